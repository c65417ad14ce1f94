"""Predictors that look at no video: what a model has to beat, and what perfect looks like.

Each takes the questions of a split and a seed and gives one answer a question, which is scored like a model's text.
"""

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np

from .avst_metrics.answers import Answer
from .avst_metrics.answers import Row
from .avst_metrics.answers import Span
from .avst_metrics.answers import Track
from .avst_metrics.answers import is_visible
from .avst_metrics.overlap import Box
from .avst_metrics.skill import commonest_name
from .avst_metrics.skill import median_box
from .benchmark import BenchmarkError
from .benchmark import BenchmarkQuestion

JITTER = 0.1  # standard deviation, in lengths of the span or sides of the box
MAX_JITTER = 0.4  # below half, so that no span or box is turned round

Floor = Callable[[Sequence[BenchmarkQuestion], int], list[Answer]]


def gold(questions: Sequence[BenchmarkQuestion], seed: int) -> list[Answer]:
    """The true answers: every defined score is 1. The seed is not used."""
    return [own.question.truth for own in questions]


def whole_video(questions: Sequence[BenchmarkQuestion], seed: int) -> list[Answer]:
    """The whole video as the span, and the split's median box at every second. The seed is not used.

    The object is the one a question names; a spatial question names none and gets the split's commonest one.
    """
    return _constant_boxes(questions, [(0.0, _duration(own)) for own in questions])


def random_span(questions: Sequence[BenchmarkQuestion], seed: int) -> list[Answer]:
    """A span of the split's median length at a random place, and the split's median box at every second in it."""
    lengths = [span[1] - span[0] for own in questions if (span := own.question.truth.span)]
    length = float(np.median(lengths)) if lengths else 0.0
    places = np.random.default_rng(seed).random(len(questions))
    starts = [place * max(0.0, _duration(own) - length) for place, own in zip(places, questions, strict=True)]
    spans = [(start, min(start + length, _duration(own))) for start, own in zip(starts, questions, strict=True)]
    return _constant_boxes(questions, spans)


def jittered_gold(questions: Sequence[BenchmarkQuestion], seed: int) -> list[Answer]:
    """The true answers with both ends of each span and all sides of each box moved by about a tenth of its size."""
    rng = np.random.default_rng(seed)
    return [_jittered(own.question.truth, rng) for own in questions]


FLOORS: dict[str, Floor] = {
    "gold": gold,
    "gold +- 10%": jittered_gold,
    "whole video": whole_video,
    "random span": random_span,
}
LEGEND = (
    "gold +- 10%: the true answers, ends of spans and sides of boxes moved by about a tenth of their length\n"
    "whole video: [0, duration], the split's median box at every second; in spatial questions the commonest name\n"
    "random span: a span of the split's median length at a random place, boxes and name as above"
)


def _duration(own: BenchmarkQuestion) -> float:
    if own.question.duration is None:
        raise BenchmarkError(f"the question {own.question_id} has no video duration, which a floor needs")
    return own.question.duration


def _constant_boxes(questions: Sequence[BenchmarkQuestion], spans: Sequence[Span]) -> list[Answer]:
    box = median_box([own.question.truth for own in questions])
    guess = commonest_name([own.question.truth for own in questions if own.question.task == "spatial"])
    return [_constant_answer(own, span, box, guess) for own, span in zip(questions, spans, strict=True)]


def _constant_answer(own: BenchmarkQuestion, span: Span, box: Box | None, guess: str) -> Answer:
    task = own.question.task
    name = guess if task == "spatial" else own.question.truth.tracks[0].name
    start, end = own.query_span or span
    times = np.arange(start, end, 1.0) if box and task != "temporal" else ()
    rows = tuple((float(time), *box) for time in times) if box else ()
    return Answer((Track(name, rows),), None if task == "spatial" else span)


def _jittered(truth: Answer, rng: np.random.Generator) -> Answer:
    tracks = tuple(Track(track.name, tuple(_jittered_row(row, rng) for row in track.rows)) for track in truth.tracks)
    if truth.span is None:
        return Answer(tracks)
    start, end = truth.span
    first, last = _shifts(rng, 2) * (end - start)
    return Answer(tracks, (start + first, end + last))


def _jittered_row(row: Row, rng: np.random.Generator) -> Row:
    if not is_visible(row):
        return row
    time, x1, y1, x2, y2 = row
    left, top, right, bottom = _shifts(rng, 4) * (x2 - x1, y2 - y1, x2 - x1, y2 - y1)
    return time, x1 + left, y1 + top, x2 + right, y2 + bottom


def _shifts(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.clip(rng.normal(0.0, JITTER, count), -MAX_JITTER, MAX_JITTER)
