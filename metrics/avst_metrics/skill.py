"""How much better than a constant: the best constant answer to the same questions, and skill against it.

The released test file is so full of long events that "the whole video" as the answer to every temporal question has an
m_tIoU of 58.3. A score alone does not tell whether a model looked at the video; skill does.
"""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .answers import Answer
from .answers import ParsedAnswer
from .answers import Track
from .answers import is_visible
from .names import NameMatcher
from .overlap import ROUNDING
from .overlap import Box
from .scores import BOX_SCORES
from .scores import TABLE_SCORES
from .scores import Question
from .scores import QuestionScore
from .scores import score_matrix
from .scores import score_questions

GRID_STEP = 0.02
SPAN_THRESHOLDS = {"R1@0.3": 0.3, "R1@0.5": 0.5, "R1@0.7": 0.7}


def skill(score: float | None, floor: float | None) -> float | None:
    """``(score - floor) / (1 - floor)``: 0 is the best constant, 1 is perfect; None where the floor is unknown or 1."""
    if score is None or floor is None or floor >= 1:
        return None
    return (score - floor) / (1 - floor)


def best_constant_spans(questions: Sequence[Question]) -> dict[str, float]:
    """The best that one span, as a share of the video, reaches in each temporal score of these questions.

    Every span [a, b] x duration with a < b on a grid of 0.02 is tried, for each score by itself. Empty where no question has
    a span or a duration is unknown.
    """
    timed = [question for question in questions if question.task != "spatial" and question.truth.span is not None]
    durations = [question.duration for question in timed if question.duration is not None]
    if not timed or len(durations) < len(timed):
        return {}
    true = np.array([question.truth.span for question in timed]) / np.array(durations)[:, None]
    overlaps = _grid_overlaps(true)
    floors = {"m_tIoU": float(overlaps.mean(axis=1).max())}
    for name, threshold in SPAN_THRESHOLDS.items():
        floors[name] = float((overlaps >= threshold - ROUNDING).mean(axis=1).max())
    return floors


def _grid_overlaps(true: NDArray[np.float64]) -> NDArray[np.float64]:
    """TIoU of every span of the grid with every true span; (n, 2) -> (spans of the grid, n), all in shares of a video."""
    edges = np.arange(round(1 / GRID_STEP) + 1) * GRID_STEP
    first, last = np.triu_indices(len(edges), k=1)
    start, end = edges[first][:, None], edges[last][:, None]
    intersection = np.clip(np.minimum(end, true[:, 1]) - np.maximum(start, true[:, 0]), 0, None)
    return np.asarray(intersection / ((end - start) + (true[:, 1] - true[:, 0]) - intersection))


def median_box(truths: Sequence[Answer]) -> Box | None:
    """The coordinate-wise median of all visible boxes, in source pixels; None where there are none."""
    boxes = [row[1:] for truth in truths for track in truth.tracks for row in track.rows if is_visible(row)]
    if not boxes:
        return None
    x1, y1, x2, y2 = (float(value) for value in np.median(np.array(boxes), axis=0))
    return x1, y1, x2, y2


def commonest_name(truths: Sequence[Answer]) -> str:
    """The name that most objects bear, case folded; the first in the alphabet of several; "" where there is none."""
    counts = Counter(track.name.casefold() for truth in truths for track in truth.tracks)
    return min(counts, key=lambda name: (-counts[name], name), default="")


def constant_box_scores(questions: Sequence[Question], names: NameMatcher) -> list[QuestionScore]:
    """The scores of the split's median box, shown at every true time of every question, for each question.

    A spatio-temporal question says which object it asks for; for a spatial one the split's commonest name is guessed.
    """
    box = median_box([question.truth for question in questions])
    guess = commonest_name([question.truth for question in questions if question.task == "spatial"])
    return score_questions([ParsedAnswer(_constant(own, box, guess)) for own in questions], questions, names)


def _constant(question: Question, box: Box | None, guess: str) -> Answer:
    tracks = question.truth.tracks
    name = guess if question.task == "spatial" else next((track.name for track in tracks), "")
    times = sorted({row[0] for track in tracks for row in track.rows})
    return Answer((Track(name, tuple((time, *box) for time in times) if box else ()),), question.truth.span)


def mean_box_scores(constants: Sequence[QuestionScore]) -> dict[str, float]:
    """The mean of each box score over those of `constant_box_scores` where it is defined."""
    columns = dict(zip(TABLE_SCORES, score_matrix(constants).T, strict=True))
    defined: Mapping[str, NDArray[np.float64]] = {name: columns[name][~np.isnan(columns[name])] for name in BOX_SCORES}
    return {name: float(values.mean()) for name, values in defined.items() if len(values)}
