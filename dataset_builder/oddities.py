"""What is odd in a data set's annotations: found, counted and told how it is handled. Nothing is dropped.

`find_oddities` runs over the records of any source. Each oddity is found by one function from records to the places where
it occurs; a place is named once for every time that it occurs there.
"""

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from .records import ObjectTrack
from .records import Question
from .records import Records

TIME_STEP_TOLERANCE = 0.05  # times are written with one decimal


@dataclass(frozen=True, slots=True)
class Oddity:
    """A kind of oddity: how often it occurs, of what, how it is handled, and where (question or video ids)."""

    kind: str
    count: int
    unit: str
    handling: str
    where: tuple[str, ...]


def find_oddities(records: Records) -> tuple[Oddity, ...]:
    """Every kind of oddity in `CHECKS` with its count, also where that is 0."""
    found = []
    for kind, (unit, handling, find) in CHECKS.items():
        places = list(find(records))
        found.append(Oddity(kind, len(places), unit, handling, tuple(dict.fromkeys(places))))
    return tuple(found)


def _tracks(records: Records) -> Iterator[tuple[Question, ObjectTrack]]:
    return ((question, track) for question in records.questions for track in question.objects)


def _times(track: ObjectTrack) -> list[float]:
    return [frame.time for frame in track.frames]


def _invisible_rows(records: Records) -> Iterator[str]:
    for question, track in _tracks(records):
        yield from (question.question_id for frame in track.frames for one in frame.instances if not one.visible)


def _empty_where(records: Records) -> Iterator[str]:
    return (question.question_id for question, track in _tracks(records) if question.task != "temporal" and not track.frames)


def _several_boxes(records: Records) -> Iterator[str]:
    for question, track in _tracks(records):
        rows_at = Counter(frame.time for frame in track.frames for _ in frame.instances)
        if rows_at and max(rows_at.values()) > 1:
            yield question.question_id


def _duplicate_rows(records: Records) -> Iterator[str]:
    for question, track in _tracks(records):
        rows = Counter((frame.time, one.box) for frame in track.frames for one in frame.instances if one.visible)
        yield from (question.question_id for times in rows.values() for _ in range(times - 1))


def _non_monotonic(records: Records) -> Iterator[str]:
    for question, track in _tracks(records):
        times = _times(track)
        if times != sorted(times):
            yield question.question_id


def _gaps(records: Records) -> Iterator[str]:
    for question, track in _tracks(records):
        times = sorted(set(_times(track)))
        if any(later - sooner > 1 + TIME_STEP_TOLERANCE for sooner, later in pairwise(times)):
            yield question.question_id


def _fractional_times(records: Records) -> Iterator[str]:
    return (question.question_id for question, track in _tracks(records) if any(time % 1 for time in _times(track)))


def _late_spans(records: Records) -> Iterator[str]:
    duration = {video.video_id: video.duration for video in records.videos}
    for question in records.questions:
        if question.span and question.span[1] > duration[question.video_id]:
            yield question.question_id


def _asked_twice(records: Records) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for question in records.questions:
        key = (question.video_id, question.question)
        if key in seen:
            yield question.question_id
        seen.add(key)


def _repeated_event_numbers(records: Records) -> Iterator[str]:
    numbers: dict[str, list[int]] = {}
    for event in records.events:
        if event.number is not None:
            numbers.setdefault(event.video_id, []).append(event.number)
    return (video_id for video_id, own in numbers.items() if len(set(own)) < len(own))


def _no_frame_size(records: Records) -> Iterator[str]:
    return (video.video_id for video in records.videos if video.width is None)


def _no_event_label(records: Records) -> Iterator[str]:
    return (event.event_id for event in records.events if not event.labels)


CHECKS: dict[str, tuple[str, str, Callable[[Records], Iterator[str]]]] = {
    "invisible_rows": (
        "rows of four zeros",
        'kept with visible=False: they mean "tracked, not visible" and take part in no score',
        _invisible_rows,
    ),
    "empty_where": (
        "objects without a row, outside temporal questions",
        "kept without frames: they count in the scores of names, not in those of boxes",
        _empty_where,
    ),
    "several_boxes_at_one_time": (
        "objects with several rows at one time",
        "kept as the instances of one object; scored by the best assignment",
        _several_boxes,
    ),
    "duplicate_rows": (
        "visible rows that repeat a time and box of their object exactly",
        "kept; scored once",
        _duplicate_rows,
    ),
    "times_not_ascending": ("objects", "kept in the order written; scores do not depend on it", _non_monotonic),
    "gaps_in_time": (
        "objects with more than 1 s between two successive times",
        "kept; what is predicted in a gap is ignored in the scores",
        _gaps,
    ),
    "fractional_times": (
        "objects with times off the whole second",
        "kept: the grid starts at the event's start; scores match times at most 0.5 s apart",
        _fractional_times,
    ),
    "span_ends_after_video": ("questions", "kept as released", _late_spans),
    "asked_twice": ("questions whose text stood before for the same video", "kept, each with its answer", _asked_twice),
    "repeated_event_numbers": (
        "videos in which two events bear one number",
        "the number is not used: ids count the annotations of a video",
        _repeated_event_numbers,
    ),
    "no_frame_size": ("videos", "width and height are null; --videos fills them", _no_frame_size),
    "no_event_label": ("events", "labels are empty; --unav fills them", _no_event_label),
}
