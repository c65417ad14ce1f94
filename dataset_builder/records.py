"""What flows through the builder: videos, their events, the objects in them, and the questions asked about them."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from r_avst.metrics.avst_metrics.answers import Row
from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import is_visible
from r_avst.metrics.avst_metrics.overlap import Box

WHEN = "when"
WHERE_SOUNDING = "where_sounding"
WHERE_SILENT = "where_silent"
WHEN_WHERE = "when_where"
QUESTION_TYPES = (WHEN, WHERE_SOUNDING, WHERE_SILENT, WHEN_WHERE)


@dataclass(frozen=True, slots=True)
class Instance:
    """One box of an object in source pixels; not ``visible``: tracked there, but out of sight (a box of zeros)."""

    box: Box
    visible: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """The instances of one object at one time, in seconds from the start of the video."""

    time: float
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class ObjectTrack:
    """An object over time. ``audible`` is None where nobody said; times may repeat and need not ascend."""

    name: str
    audible: bool | None
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a caption names: a concrete thing, whether it is seen and whether it is heard (at least one of the two)."""

    name: str
    visible: bool
    audible: bool


@dataclass(frozen=True, slots=True)
class Video:
    """A video. ``duration`` in seconds; ``width`` and ``height`` in pixels, None where unknown."""

    video_id: str
    split: str
    duration: float
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An audio-visual event of a video. ``labels`` are UnAV-100 classes, empty where unknown.

    ``number`` is the source's own number of the event; no key, it may repeat. ``subjects`` is what its caption names,
    ``objects`` where those that are seen were found; both are empty before their stages.
    """

    event_id: str
    video_id: str
    span: Span
    labels: tuple[str, ...]
    caption: str | None
    objects: tuple[ObjectTrack, ...]
    number: int | None = None
    subjects: tuple[Subject, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer. ``query_span`` is what a spatial question asks about, ``when`` what the others seek.

    ``event_labels`` are the UnAV-100 classes on its span, empty where unknown. They can be more than its event's: a ``when``
    is rounded, and may lie on a second segment too.
    """

    question_id: str
    event_id: str
    video_id: str
    task: Task
    question: str
    question_type: str
    answer: str
    query_span: Span | None
    when: Span | None
    objects: tuple[ObjectTrack, ...]
    event_labels: tuple[str, ...] = ()

    @property
    def span(self) -> Span | None:
        """The span that is asked about, or for."""
        return self.query_span or self.when


@dataclass(frozen=True, slots=True)
class Records:
    """All that a data set is made of, in source order."""

    videos: tuple[Video, ...]
    events: tuple[Event, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class VideoRow:
    """What the stages hand on, a row a video: its file, its events, and its questions once they are asked.

    ``file`` is the path of the video inside the folder of videos, ``content`` a digest of the file, empty before it is
    read: rows made from another file of that name are made anew.
    """

    video: Video
    file: str
    events: tuple[Event, ...]
    questions: tuple[Question, ...] = ()
    content: str = ""


@dataclass(frozen=True, slots=True)
class CardText:
    """What a data set's card says of its source: the licence's identifier on the Hub, and Markdown."""

    licence: str
    body: str


def records_of(rows: Iterable[VideoRow]) -> Records:
    """All rows as one data set."""
    own = tuple(rows)
    return Records(
        videos=tuple(row.video for row in own),
        events=tuple(event for row in own for event in row.events),
        questions=tuple(question for row in own for question in row.questions),
    )


def frames_of(rows: Iterable[Row]) -> tuple[Frame, ...]:
    """The frames of an answer's rows; adjacent rows of equal time share one, so the rows can be had back in their order."""
    return tuple(
        Frame(time, tuple(Instance(row[1:], is_visible(row)) for row in same))
        for time, same in groupby(rows, key=lambda row: row[0])
    )
