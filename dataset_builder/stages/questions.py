"""Stage 4: the paper's three tasks and four templates over the events and their boxes (arXiv 2511.16901).

An object with frames is one that can be seen. Asked are:

* ``when`` (temporal) and ``when_where`` (spatio-temporal) of each object that is seen and heard, if its name means one
  thing: no other event of the video has one of that name that is seen and heard, and the event itself no second one;
* ``where_sounding`` (spatial) of all objects that are seen and heard, and ``where_silent`` of all that are seen and not
  heard, if no other event of the video has the same span.

As in the release an answer holds the objects of its own event, on the 1 s grid from its start, and rows of zeros where an
object is out of sight. All numbers have one decimal, in the answer and in the question's own fields.
"""

from collections import Counter
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from hashlib import sha256
from typing import Any

from r_avst.metrics.avst_metrics.answers import NOT_VISIBLE
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Row
from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import is_well_formed
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.answers import write_answer

from ..question_forms import PATTERNS
from ..question_forms import ask_about_object
from ..question_forms import ask_about_span
from ..records import WHEN
from ..records import WHEN_WHERE
from ..records import WHERE_SILENT
from ..records import WHERE_SOUNDING
from ..records import Event
from ..records import ObjectTrack
from ..records import Question
from ..records import VideoRow
from ..records import frames_of
from .stage import Report

EMPTY_SPAN = "empty_span"
SHARED_SPAN = "shared_span"
AMBIGUOUS_NAME = "ambiguous_name"
UNWRITABLE_NAME = "unwritable_name"


@dataclass(frozen=True, slots=True)
class NotAsked:
    """A question that was left out, of which event, and why."""

    event_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class QuestionStage:
    """Asks about every event, then draws by seed.

    What is drawn follows from hashes of the seed and the ids: the same seed gives the same questions, and videos that are
    added don't shuffle those of the others.

    Attributes:
        balance_tasks: whether to keep as many questions of each task that occurs, in each split (the paper: 3,326
            temporal, 3,330 spatial and 1,510 spatio-temporal).
        max_per_event: the most questions about one event, None for all; the release has at most three.
        seed: of the drawing.
    """

    balance_tasks: bool = True
    max_per_event: int | None = 3
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its folder in the work folder."""
        return "questions"

    def run(self, rows: Sequence[VideoRow]) -> tuple[tuple[VideoRow, ...], Report]:
        """The rows with their questions, and how many of which kind were asked, drawn and left out."""
        found = [list(questions_of(row)) for row in rows]
        not_asked = [own for each in found for own in each if isinstance(own, NotAsked)]
        asked = [[own for own in each if isinstance(own, Question)] for each in found]
        drawn = [replace(row, questions=tuple(self._some_of_each_event(own))) for row, own in zip(rows, asked, strict=True)]
        kept = self._balanced(drawn) if self.balance_tasks else tuple(drawn)
        return kept, {
            "videos": len(rows),
            "possible": sum(map(len, asked)),
            "drawn": _count(drawn),
            "kept": _count(kept),
            "tasks": _by_split(kept),
            "not_asked": dict(sorted(Counter(own.reason for own in not_asked).items())),
        }

    def _some_of_each_event(self, questions: Sequence[Question]) -> list[Question]:
        by_event: dict[str, list[str]] = {}
        for question in questions:
            by_event.setdefault(question.event_id, []).append(question.question_id)
        drawn = {own for ids in by_event.values() for own in self._draw(ids, "event")[: self.max_per_event]}
        return [question for question in questions if question.question_id in drawn]

    def _balanced(self, rows: Sequence[VideoRow]) -> tuple[VideoRow, ...]:
        """As many questions of each task that occurs, in each split."""
        by_task: dict[str, dict[Task, list[str]]] = {}
        for row in rows:
            for question in row.questions:
                by_task.setdefault(row.video.split, {}).setdefault(question.task, []).append(question.question_id)
        drawn = {
            own
            for tasks in by_task.values()
            for ids in tasks.values()
            for own in self._draw(ids, "task")[: min(map(len, tasks.values()))]
        }
        return tuple(replace(row, questions=tuple(own for own in row.questions if own.question_id in drawn)) for row in rows)

    def _draw(self, ids: Iterable[str], step: str) -> list[str]:
        """The ids in a drawn order, which is another one in another step."""
        return sorted(ids, key=lambda own: sha256(f"{self.seed} {step} {own}".encode()).digest())


def questions_of(row: VideoRow) -> Iterator[Question | NotAsked]:
    """Every question that can be asked about a video, by event and task, and what was left out."""
    ambiguous = ambiguous_names(row.events)
    spans = Counter(_rounded(event.span) for event in row.events)
    for event in row.events:
        span = _rounded(event.span)
        if not span[0] < span[1]:
            yield NotAsked(event.event_id, EMPTY_SPAN)
            continue
        for task in TASKS:
            if task == "spatial":
                yield from _about_span(event, span, shared=spans[span] > 1)
            else:
                yield from _about_objects(event, span, task, ambiguous)


def ambiguous_names(events: Sequence[Event]) -> set[str]:
    """The names, casefolded, that mean several things: seen and heard in several events, or seen twice in one."""
    in_events = Counter(
        name for event in events for name in {_key(own) for own in event.objects if own.frames and own.audible}
    )
    in_one = (Counter(_key(own) for own in event.objects if own.frames) for event in events)
    return {name for counts in (in_events, *in_one) for name, count in counts.items() if count > 1}


def can_be_asked(name: str) -> bool:
    """Whether an answer and a question can hold a name so that a reader gets it back.

    >>> [can_be_asked(name) for name in ("a red ball", "", " dog", "a</object>b")]
    [True, False, False, False]
    """
    answer = Answer((Track(name),), (0.0, 1.0))
    try:
        parsed = parse_answer(write_answer(answer, "temporal"))
    except ValueError:  # it holds a tag
        return False
    in_question = PATTERNS[WHEN].fullmatch(ask_about_object(WHEN, name))
    return bool(in_question) and parsed.answer == answer and is_well_formed(parsed, "temporal")


def _about_objects(event: Event, span: Span, task: Task, ambiguous: set[str]) -> Iterator[Question | NotAsked]:
    question_type = WHEN if task == "temporal" else WHEN_WHERE
    ordinal = 0
    for own in (own for own in event.objects if own.frames and own.audible):
        if _key(own) in ambiguous:
            yield NotAsked(event.event_id, AMBIGUOUS_NAME)
        elif not can_be_asked(own.name):
            yield NotAsked(event.event_id, UNWRITABLE_NAME)
        else:
            track = Track(own.name) if task == "temporal" else _track(own, event.span[0])
            text = ask_about_object(question_type, own.name)
            yield _question(event, f"{task}-{ordinal}", task, question_type, text, Answer((track,), span))
            ordinal += 1


def _about_span(event: Event, span: Span, shared: bool) -> Iterator[Question | NotAsked]:
    ordinal = 0
    for question_type, audible in ((WHERE_SOUNDING, True), (WHERE_SILENT, False)):
        found = [own for own in event.objects if own.frames and own.audible is audible]
        if found and shared:
            yield NotAsked(event.event_id, SHARED_SPAN)
        elif not all(can_be_asked(own.name) for own in found):
            yield NotAsked(event.event_id, UNWRITABLE_NAME)
        elif found:
            answer = Answer(tuple(_track(own, event.span[0]) for own in found))
            text = ask_about_span(question_type, span)
            own_question = _question(event, f"spatial-{ordinal}", "spatial", question_type, text, answer)
            yield replace(own_question, query_span=span)
            ordinal += 1


def _question(event: Event, suffix: str, task: Task, question_type: str, text: str, answer: Answer) -> Question:
    audible = question_type != WHERE_SILENT
    return Question(
        question_id=f"{event.event_id}-{suffix}",
        event_id=event.event_id,
        video_id=event.video_id,
        task=task,
        question=text,
        question_type=question_type,
        answer=write_answer(answer, task),
        query_span=None,
        when=answer.span,
        objects=tuple(ObjectTrack(track.name, audible, frames_of(track.rows)) for track in answer.tracks),
        event_labels=event.labels,
    )


def _track(own: ObjectTrack, start: float) -> Track:
    """The rows of an object. The start is rounded once, not each time: the grid keeps its steps of 1 s."""
    rows: list[Row] = []
    for frame in own.frames:
        time = _tenths(_tenths(start) + (frame.time - start))
        for one in frame.instances:
            x1, y1, x2, y2 = map(_tenths, one.box if one.visible else NOT_VISIBLE)
            rows.append((time, x1, y1, x2, y2))
    return Track(own.name, tuple(rows))


def _rounded(span: Span) -> Span:
    return _tenths(span[0]), _tenths(span[1])


def _tenths(number: float) -> float:
    """The number as an answer writes it, with one decimal and without the sign of a negative zero."""
    return round(number, 1) + 0.0


def _key(own: ObjectTrack) -> str:
    return own.name.casefold()


def _count(rows: Iterable[VideoRow]) -> int:
    return sum(len(row.questions) for row in rows)


def _by_split(rows: Iterable[VideoRow]) -> dict[str, dict[str, Any]]:
    """How many questions of each task each split has."""
    counts: dict[str, dict[str, Any]] = {}
    for row in rows:
        own = counts.setdefault(row.video.split, dict.fromkeys(TASKS, 0))
        for question in row.questions:
            own[question.task] += 1
    return counts
