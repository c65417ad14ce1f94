"""The statistics of a data set that the paper gives of its own: its row of table 1, table 5, and what figures 3 and 6 show.

Nothing here draws or reads. Times are in seconds. An object is counted in every event that has it, so that one that two
events of a video name is two; a data set of the released file holds only the objects that its questions name.
"""

from collections import Counter
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any
from typing import TypeVar

from r_avst.metrics.avst_metrics.answers import Task

from .built_dataset import BuiltDataset
from .event_classes import UNAV_100
from .event_groups import GROUP_OF
from .event_groups import GROUPS
from .paper_statistics import OBJECTS
from .paper_statistics import OURS
from .paper_statistics import TABLE_1
from .paper_statistics import TABLE_5
from .paper_statistics import TOTAL_LENGTH
from .paper_statistics import VIDEOS
from .paper_statistics import VISIBLE_AND_AUDIBLE
from .question_forms import TYPES_OF_TASK
from .records import Event

Key = TypeVar("Key", bound=str)

DRAWN = "drawn"  # key of the figures in statistics.json: the SHA-256 of each by its file's name
STEPS = (5, 10, 30, 60, 300, 600, 1800, 3600)
MOST_STEPS = 24  # of a histogram; a day, the longest video there can be, has as many hours
MODALITY = "VA"  # every event of this builder is one that is seen and heard


@dataclass(frozen=True, slots=True)
class Histogram:
    """``counts[i]`` durations lie in ``[i * step, (i + 1) * step)`` seconds."""

    step: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Category:
    """An event class that the data set has. An event counts in each of its classes."""

    label: str
    group: str
    events: int
    total_length: float

    @property
    def mean_length(self) -> float:
        """The mean duration of its events."""
        return self.total_length / self.events


@dataclass(frozen=True, slots=True)
class Audibility:
    """How many objects that are seen are heard too, how many are silent, and of how many nobody said."""

    audible: int
    silent: int
    unknown: int

    @property
    def known(self) -> int:
        """Of how many it is known."""
        return self.audible + self.silent


@dataclass(frozen=True, slots=True)
class Statistics:
    """The counts of a data set.

    ``videos`` by split and ``questions`` by split and question type have every split and type, also those without any.
    ``unknown_lengths`` are videos whose duration is not known. ``events_a_video`` and ``objects_a_video`` say how many
    videos have so many. ``categories`` are ordered by group, then by their total length, the longest first.
    """

    videos: dict[str, int]
    questions: dict[str, dict[str, int]]
    lengths: Histogram
    total_length: float
    unknown_lengths: int
    events: int
    unlabelled_events: int
    events_a_video: dict[int, int]
    categories: tuple[Category, ...]
    objects_a_video: dict[int, int]
    audibility: Audibility

    @property
    def mean_length(self) -> float | None:
        """The mean duration of the videos of which it is known."""
        known = sum(self.lengths.counts)
        return self.total_length / known if known else None

    @property
    def objects(self) -> int:
        """The number of objects of all events."""
        return sum(number * videos for number, videos in self.objects_a_video.items())

    @property
    def mean_objects(self) -> float:
        """The mean number of objects a video."""
        return self.objects / sum(self.videos.values())

    @property
    def audible_share(self) -> float | None:
        """The share of visible and audible objects among those of which it is known."""
        return self.audibility.audible / self.audibility.known if self.audibility.known else None

    def questions_of(self, split: str, task: Task) -> int:
        """The number of questions of a task in a split."""
        return sum(self.questions[split][kind] for kind in TYPES_OF_TASK[task])


def statistics_of(dataset: BuiltDataset) -> Statistics:
    """Counts a data set that has a video."""
    lengths = [video.duration for video in dataset.videos if video.duration is not None]
    by_video = Counter(event.video_id for event in dataset.events)
    objects = Counter(event.video_id for event in dataset.events for _ in event.objects)
    split_of = Counter(video.split for video in dataset.videos)
    asked = Counter((question.split, question.question_type) for question in dataset.questions)
    heard = Counter(own.audible for event in dataset.events for own in event.objects)
    kinds = [kind for own in TYPES_OF_TASK.values() for kind in own]
    return Statistics(
        videos={split: split_of[split] for split in TABLE_5},
        questions={split: {kind: asked[split, kind] for kind in kinds} for split in TABLE_5},
        lengths=histogram(lengths),
        total_length=fsum(lengths),
        unknown_lengths=len(dataset.videos) - len(lengths),
        events=len(dataset.events),
        unlabelled_events=sum(not event.labels for event in dataset.events),
        events_a_video=_tally(by_video[video.video_id] for video in dataset.videos),
        categories=categories_of(dataset.events),
        objects_a_video=_tally(objects[video.video_id] for video in dataset.videos),
        audibility=Audibility(heard[True], heard[False], heard[None]),
    )


def histogram(durations: Sequence[float]) -> Histogram:
    """Durations in steps of a round number of seconds, at most 24 for a day.

    >>> histogram([3.0, 5.0, 14.9])
    Histogram(step=5, counts=(1, 1, 1))
    """
    longest = max(durations, default=0.0)
    step = next((own for own in STEPS if longest < own * MOST_STEPS), STEPS[-1])
    counts = Counter(int(own // step) for own in durations)
    return Histogram(step, tuple(counts[index] for index in range(max(counts, default=-1) + 1)))


def categories_of(events: Iterable[Event]) -> tuple[Category, ...]:
    """The event classes that the events have."""
    lengths = defaultdict(list)
    for event in events:
        for label in event.labels:
            lengths[label].append(event.span[1] - event.span[0])
    found = (Category(label, GROUP_OF[label], len(own), fsum(own)) for label, own in lengths.items())
    groups = list(GROUPS)
    return tuple(sorted(found, key=lambda own: (groups.index(own.group), -own.total_length, UNAV_100.index(own.label))))


def _tally(numbers: Iterable[int]) -> dict[int, int]:
    return dict(sorted(Counter(numbers).items()))


# --- beside the paper -------------------------------------------------------------------------------------------------


def beside_paper(statistics: Statistics, dataset: str) -> dict[str, Any]:
    """What ``statistics.json`` tells: every figure; where the paper has one, as ``{"here": ..., "paper": ...}``."""
    return {
        "dataset": dataset,
        "table_1": _table_1(statistics),
        "videos": _with_total(statistics.videos, VIDEOS),
        "table_5": _table_5(statistics),
        "figure_3": _figure_3(statistics),
        "figure_6": _figure_6(statistics),
    }


def _pair(here: Any, paper: Any) -> dict[str, Any]:
    return {"here": here, "paper": paper}


def _table_1(own: Statistics) -> dict[str, Any]:
    paper = TABLE_1[OURS]
    return {
        "videos": _pair(sum(own.videos.values()), paper.videos),
        "classes": _pair(len(own.categories) or None, paper.classes),
        "mean_length_s": _pair(own.mean_length, paper.mean_length),
        "objects_a_video": _pair(own.mean_objects, paper.objects_a_video),
        "modality": _pair(MODALITY, paper.modality),
    }


def _with_total(here: Mapping[Key, int], paper: Mapping[Key, int]) -> dict[str, Any]:
    pairs: dict[str, Any] = {key: _pair(here[key], paper[key]) for key in paper}
    return pairs | {"total": _pair(sum(here.values()), sum(paper.values()))}


def _table_5(own: Statistics) -> dict[str, Any]:
    """By split, then by task, each with a total."""
    here = {split: {task: own.questions_of(split, task) for task in TYPES_OF_TASK} for split in TABLE_5}
    return {split: _with_total(here[split], TABLE_5[split]) for split in TABLE_5} | {
        "total": _with_total(_summed(here), _summed(TABLE_5))
    }


def _summed(by_split: Mapping[str, Mapping[Task, int]]) -> dict[Task, int]:
    return {task: sum(own[task] for own in by_split.values()) for task in TYPES_OF_TASK}


def _figure_3(own: Statistics) -> dict[str, Any]:
    return {
        "total_length_s": _pair(own.total_length, TOTAL_LENGTH),
        "videos_of_unknown_length": own.unknown_lengths,
        "video_lengths": {"step_s": own.lengths.step, "videos": list(own.lengths.counts)},
        "events": own.events,
        "events_a_video": {str(number): videos for number, videos in own.events_a_video.items()},
        "unlabelled_events": own.unlabelled_events,
        "categories": [
            {
                "label": category.label,
                "group": category.group,
                "events": category.events,
                "mean_length_s": category.mean_length,
                "total_length_s": category.total_length,
            }
            for category in own.categories
        ],
    }


def _figure_6(own: Statistics) -> dict[str, Any]:
    return {
        "objects": _pair(own.objects, OBJECTS),
        "objects_a_video": {str(number): videos for number, videos in own.objects_a_video.items()},
        "visible_and_audible": own.audibility.audible,
        "silent": own.audibility.silent,
        "audibility_unknown": own.audibility.unknown,
        "visible_and_audible_share": _pair(own.audible_share, VISIBLE_AND_AUDIBLE),
        "question_types": own.questions,
    }
