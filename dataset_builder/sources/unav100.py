"""UnAV-100's annotations: the segments and event classes that R-AVST's events were taken from.

The file, shortened::

    {"database": {"72f67ednp7w": {"duration": 47.68, "subset": "train", "annotations": [
      {"segment": [13.01, 15.78316], "label": "skateboarding", "label_id": 36}]}}}

It names no captions. They come in a file of JSON lines, a line a segment::

    {"video_id": "72f67ednp7w", "span": [13.01, 15.78316], "caption": "A boy rolls by on a rattling skateboard."}
"""

import json
import math
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

from r_avst.metrics.avst_metrics.answers import Span

from ..event_classes import UNAV_100
from ..frame_sizes import join_videos
from ..records import Event
from ..records import Records
from ..records import Video
from ..records import VideoRow
from ..video import find_videos
from .splits import TEST
from .splits import TRAIN
from .user_files import MAX_SECONDS
from .user_files import LineError
from .user_files import checked_id
from .user_files import read_objects
from .user_files import span_of
from .user_files import text_of

SPLIT_OF_SUBSET = {"train": TRAIN, "validation": TRAIN, "test": TEST}
SPAN_TOLERANCE = 0.06  # R-AVST writes a segment's ends with one decimal


class UnavError(ValueError):
    """An annotation file that is not in UnAV-100's form; the message names the place."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One labelled event segment of a video; ``span`` in seconds."""

    span: Span
    label: str


def read_unav(path: Path) -> dict[str, tuple[Segment, ...]]:
    """The segments of each video.

    Raises:
        UnavError: the file is no JSON of UnAV-100's form, or names a class that is none of its 100.
    """
    database = _read_database(path)
    return {video_id: _segments(entry, f"{path}: video {video_id}") for video_id, entry in database.items()}


def with_labels(records: Records, segments: Mapping[str, tuple[Segment, ...]]) -> Records:
    """The records with events and questions labelled by the classes of the segments on their span.

    On it means within 0.06 s at both ends; events and questions are looked at one by one, each with its own span.
    """
    events = (replace(own, labels=_labels(own.span, segments.get(own.video_id, ()))) for own in records.events)
    questions = (replace(own, event_labels=_labels(own.span, segments.get(own.video_id, ()))) for own in records.questions)
    return replace(records, events=tuple(events), questions=tuple(questions))


def read_unav_rows(
    annotations: Path, videos: Path | None, captions: Path | None
) -> tuple[tuple[VideoRow, ...], dict[str, Any]]:
    """A row a video of all subsets, an event a segment, in the order of the file; and what is missing.

    Training and validation videos are the split ``train``. Without a folder of videos, all are kept, and their files are
    taken to be named VIDEO_ID.mp4. With one, only videos that can be opened and are as long as annotated are kept, for
    the spans of others are of another cut; their size and duration are the file's.

    Returns:
        The rows, and a report: the number of ``videos`` kept; the ids of those ``missing``, and for those ``unreadable``
        or of ``other_duration`` why; of the captions file the lines that are ``unmatched`` (no segment lies within 0.06 s
        of their span) or ``duplicate`` (all such segments had their caption before), and the ids of ``uncaptioned`` events.

    Raises:
        UnavError: the annotations are not in UnAV-100's form.
        LineError: a line of the captions file is not of the form above.
        VideoError: there is no such folder.
    """
    rows = [
        _row(video_id, entry, f"{annotations}: video {video_id}") for video_id, entry in _read_database(annotations).items()
    ]
    report: dict[str, Any] = {}
    if captions is not None:
        rows, report = _captioned(rows, captions)
    if videos is not None:
        rows, of_videos = _joined(rows, videos)
        report |= of_videos
    if captions is not None:
        report["uncaptioned"] = [own.event_id for row in rows for own in row.events if own.caption is None]
    return tuple(rows), {"videos": len(rows), **report}


def _row(video_id: str, entry: Mapping[str, Any], place: str) -> VideoRow:
    duration, subset = entry.get("duration"), entry.get("subset")
    if not isinstance(duration, int | float) or isinstance(duration, bool) or not 0 < duration <= MAX_SECONDS:
        raise UnavError(f"{place}: the duration is {duration!r:.20}; it must be above 0 seconds and at most {MAX_SECONDS:,}")
    if not isinstance(subset, str) or subset not in SPLIT_OF_SUBSET:
        raise UnavError(f"{place}: the subset is {subset!r:.40}; known are {', '.join(SPLIT_OF_SUBSET)}")
    try:
        video = Video(checked_id(video_id), SPLIT_OF_SUBSET[subset], float(duration))
    except ValueError as error:
        raise UnavError(f"{place}: {error}") from None
    events = (
        Event(f"{video_id}-{index}", video_id, segment.span, (segment.label,), None, ())
        for index, segment in enumerate(_segments(entry, place))
    )
    return VideoRow(video, f"{video_id}.mp4", tuple(events))


def _joined(rows: Sequence[VideoRow], folder: Path) -> tuple[list[VideoRow], dict[str, Any]]:
    """The rows whose file can be opened."""
    joined, report = join_videos(Records(tuple(row.video for row in rows), (), ()), folder)
    lost = {*report.missing, *report.unreadable, *report.other_duration}
    files = find_videos(folder)
    kept = [
        replace(row, video=video, file=files[video.video_id].relative_to(folder).as_posix())
        for row, video in zip(rows, joined.videos, strict=True)
        if video.video_id not in lost
    ]
    return kept, {
        "missing": list(report.missing),
        "unreadable": report.unreadable,
        "other_duration": report.other_duration,
    }


def _captioned(rows: Sequence[VideoRow], path: Path) -> tuple[list[VideoRow], dict[str, Any]]:
    """The rows with their captions, and the lines that do not fit.

    A caption belongs to the nearest segment on its span that has none yet: segments of several classes may share a span.
    """
    events = {row.video.video_id: row.events for row in rows}
    captions: dict[str, str] = {}
    problems: dict[str, Any] = {"unmatched": [], "duplicate": []}
    for number, entry in read_objects(path):
        video_id, span, caption = _caption(entry, f"{path}, line {number}")
        near = sorted(
            (_distance(own.span, span), own.event_id) for own in events.get(video_id, ()) if _same_span(own.span, span)
        )
        free = [event_id for _, event_id in near if event_id not in captions]
        if free:
            captions[free[0]] = caption
        else:
            problems["duplicate" if near else "unmatched"].append(f"line {number}: {video_id} {list(span)}")
    return [replace(row, events=tuple(_with_caption(own, captions) for own in row.events)) for row in rows], problems


def _caption(entry: Mapping[str, Any], place: str) -> tuple[str, Span, str]:
    try:
        return text_of(entry, "video_id"), span_of(entry), text_of(entry, "caption")
    except ValueError as error:
        raise LineError(f"{place}: {error}") from None


def _with_caption(event: Event, captions: Mapping[str, str]) -> Event:
    return replace(event, caption=captions.get(event.event_id))


def _distance(first: Span, second: Span) -> float:
    return sum(abs(a - b) for a, b in zip(first, second, strict=True))


def _labels(span: Span | None, segments: Sequence[Segment]) -> tuple[str, ...]:
    labels = {segment.label for segment in segments if span and _same_span(segment.span, span)}
    return tuple(sorted(labels, key=UNAV_100.index))


def _same_span(first: Span, second: Span) -> bool:
    return all(abs(a - b) <= SPAN_TOLERANCE for a, b in zip(first, second, strict=True))


def _read_database(path: Path) -> dict[str, Mapping[str, Any]]:
    """The entry of each video, which has a list of annotations."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnavError(f"{path}: no JSON ({error}); is it unav100_annotations.json?") from None
    try:
        return {
            video_id: {**entry, "annotations": list(entry["annotations"])} for video_id, entry in content["database"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise UnavError(f"{path}: not in UnAV-100's form ({error!r}); is it unav100_annotations.json?") from None


def _segments(entry: Mapping[str, Any], place: str) -> tuple[Segment, ...]:
    try:
        return tuple(_segment(annotation) for annotation in entry["annotations"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UnavError(f"{place}: a segment is not in UnAV-100's form ({error})") from None


def _segment(annotation: Mapping[str, Any]) -> Segment:
    start, end = map(float, annotation["segment"])
    if not -math.inf < start <= end < math.inf:
        raise ValueError(f"it spans [{start}, {end}]")
    if annotation["label"] not in UNAV_100:
        raise ValueError(f"the label {annotation['label']!r} is none of the 100 event classes")
    return Segment((start, end), annotation["label"])
