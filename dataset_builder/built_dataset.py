"""A built data set, read back: its videos, events and questions, without boxes."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import yaml
from datasets.exceptions import DatasetsError

from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task

from .builder import EVENT_FEATURES
from .builder import EVENTS
from .builder import QUESTION_FEATURES
from .builder import SPLITS
from .event_classes import UNAV_100
from .hub_names import HUB_NAME
from .question_forms import TYPES_OF_TASK
from .records import Event
from .records import ObjectTrack
from .records import Records
from .sources.unav100 import Segment
from .sources.unav100 import with_labels
from .sources.user_files import MAX_SECONDS

_EVENT = {name: EVENT_FEATURES[name] for name in ("event_id", "video_id", "span", "labels", "objects")}
_QUESTION = {name: QUESTION_FEATURES[name] for name in ("question_id", "video_id", "question_type", "duration")}
_FEATURES = {EVENTS: _EVENT} | dict.fromkeys(TASKS, _QUESTION)


class BuiltDatasetError(ValueError):
    """What is no data set of this builder; the message says what was found and what to do."""


@dataclass(frozen=True, slots=True)
class BuiltVideo:
    """A video. ``duration`` in seconds, None where none of its questions is left: events do not bear it."""

    video_id: str
    split: str
    duration: float | None


@dataclass(frozen=True, slots=True)
class BuiltQuestion:
    """A question, as far as it is counted."""

    video_id: str
    split: str
    task: Task
    question_type: str


@dataclass(frozen=True, slots=True)
class BuiltDataset:
    """All videos that an event or a question names, with these. The objects of the events come without their boxes."""

    videos: tuple[BuiltVideo, ...]
    events: tuple[Event, ...]
    questions: tuple[BuiltQuestion, ...]


def load_built_dataset(dataset: str) -> BuiltDataset:
    """Reads the config of the events and of every task that there is, in all splits.

    Args:
        dataset: a folder that `r-avst-build` wrote, or a data set of that form on the Hub.

    Raises:
        BuiltDatasetError: it cannot be loaded, or a row is not what this builder writes.
    """
    place = str(Path(dataset).resolve()) if Path(dataset).is_dir() else dataset  # a folder "." has no name to load it by
    rows = {config: list(_rows(place, config)) for config in _configs(place)}
    try:
        events = [_event(row) for _, row in rows[EVENTS]]
        questions = [(_question(row, split, task), row) for task in TASKS for split, row in rows.get(task, ())]
        splits = _splits(((split, row["video_id"]) for own in rows.values() for split, row in own))
        durations = {own.video_id: _duration(row) for own, row in questions}
    except BuiltDatasetError as error:
        raise BuiltDatasetError(f"{dataset!r}: {error}; is it a data set of r-avst-build?") from None
    videos = tuple(BuiltVideo(video_id, split, durations.get(video_id)) for video_id, split in splits.items())
    return BuiltDataset(videos, tuple(events), tuple(own for own, _ in questions))


def label_events(dataset: BuiltDataset, segments: Mapping[str, tuple[Segment, ...]]) -> BuiltDataset:
    """The data set with the events that have no label labelled from UnAV-100's segments, as `r-avst-build --unav` does."""
    labelled = with_labels(Records((), dataset.events, ()), segments).events
    events = (own if own.labels else new for own, new in zip(dataset.events, labelled, strict=True))
    return replace(dataset, events=tuple(events))


def _configs(dataset: str) -> list[str]:
    """The configs to read.

    A missing folder is told here: the cache would serve one that is gone.
    """
    if not Path(dataset).is_dir() and not HUB_NAME.fullmatch(dataset):
        raise BuiltDatasetError(f"{dataset}: there is no such folder. Build it: r-avst-build release --out {dataset}")
    try:
        found = datasets.get_dataset_config_names(dataset)
    except (OSError, ValueError, DatasetsError, yaml.YAMLError) as error:
        raise _cannot_load(dataset, error) from None
    if EVENTS not in found:
        raise BuiltDatasetError(
            f"{dataset!r} has no config {EVENTS!r}, only {', '.join(found)}; give a data set of r-avst-build"
        )
    return [name for name in (*TASKS, EVENTS) if name in found]


def _rows(dataset: str, config: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of a config, each with its split."""
    try:
        splits = datasets.load_dataset(dataset, config)
    except (OSError, ValueError, DatasetsError, yaml.YAMLError) as error:
        raise _cannot_load(f"{dataset}, config {config}", error) from None
    features = _FEATURES[config]
    for split, rows in splits.items():
        other = [name for name in features if rows.features.get(name) != features[name]]
        if other:
            raise BuiltDatasetError(f"{dataset!r}, config {config}: no columns {other} of the form that r-avst-build writes")
        for row in rows.select_columns(list(features)):
            if None in row.values():
                raise BuiltDatasetError(f"{dataset!r}, config {config}: a row has a null: {row!s:.120}")
            yield split, row


def _splits(found: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The split of each video, in the order in which they are met."""
    splits: dict[str, str] = {}
    for split, video_id in found:
        if split not in SPLITS:
            raise BuiltDatasetError(f"the split {split!r} is none of {', '.join(SPLITS)}")
        if splits.setdefault(video_id, split) != split:
            raise BuiltDatasetError(f"the video {video_id!r} is in the splits {splits[video_id]} and {split}")
    return splits


def _event(row: Mapping[str, Any]) -> Event:
    labels, (start, end) = row["labels"], row["span"]
    if not 0 <= start <= end <= MAX_SECONDS:
        raise BuiltDatasetError(f"the event {row['event_id']!r} spans {[start, end]}")
    if not all(0 <= label < len(UNAV_100) for label in labels):
        raise BuiltDatasetError(f"the event {row['event_id']!r} has the labels {labels}, of {len(UNAV_100)} classes")
    objects = tuple(ObjectTrack(own["name"], own["audible"], ()) for own in row["objects"])
    return Event(row["event_id"], row["video_id"], (start, end), tuple(UNAV_100[own] for own in labels), None, objects)


def _question(row: Mapping[str, Any], split: str, task: Task) -> BuiltQuestion:
    if row["question_type"] not in TYPES_OF_TASK[task]:
        raise BuiltDatasetError(f"the {task} question {row['question_id']!r} is of the type {row['question_type']!r:.40}")
    return BuiltQuestion(row["video_id"], split, task, row["question_type"])


def _duration(row: Mapping[str, Any]) -> float:
    duration: float = row["duration"]
    if not 0 < duration <= MAX_SECONDS:
        raise BuiltDatasetError(f"the question {row['question_id']!r} has a video of {duration!r:.20} seconds")
    return duration


def _cannot_load(what: str, error: Exception) -> BuiltDatasetError:
    return BuiltDatasetError(
        f"{what} cannot be loaded ({error.__cause__ or error}); give a folder that r-avst-build wrote, or user/name"
    )
