"""From a question to its scores, and from many scores to a table's figures with intervals."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .answers import Answer
from .answers import ParsedAnswer
from .answers import Task
from .answers import Track
from .answers import is_well_formed
from .names import NameMatcher
from .overlap import ROUNDING
from .overlap import MatchedFrames
from .overlap import TrackOverlap
from .overlap import frame_ious
from .overlap import interval_iou
from .overlap import match_frames
from .overlap import pooled
from .overlap import visible_frames

CONFIDENCE = 0.95
MAX_BLOCK = 4_000_000  # drawn rows held at once by the bootstrap


@dataclass(frozen=True, slots=True)
class Question:
    """What scoring needs of a question. ``duration`` (of the video, seconds) is for skill alone; None where unknown."""

    truth: Answer
    task: Task
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class QuestionScore:
    """The scores of one question, each in 0..1; None where a score is not defined for the question."""

    format: float
    tiou: float | None
    object_accuracy: float
    object_f1: float
    viou: float | None
    ap_30: float | None
    ap_50: float | None
    viou_tube: float | None
    viou_any: float | None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A mean over the ``count`` questions that have the score, with its 95% bootstrap interval; None where none has it."""

    value: float | None
    low: float | None
    high: float | None
    count: int


def score_question(prediction: ParsedAnswer, truth: Answer, task: Task, names: NameMatcher) -> QuestionScore:
    """Scores one prediction against the true answer. A prediction that holds nothing scores 0, never None.

    Args:
        prediction: the parsed text with its boxes in source pixels (`coordinates.to_source`).
        truth: the true answer, boxes in source pixels. Without a span the temporal score is None; the scores of boxes are
            None for a temporal question and where no true box is visible.
        task: decides which tags the text needs and which scores there are.
        names: matches predicted with true names.

    >>> from .answers import parse_answer
    >>> gold = parse_answer("<answer><object>dog</object><when>[0.0, 4.0]</when></answer>")
    >>> text = parse_answer("<answer><object>dogs</object><when>[1, 4]</when></answer>")
    >>> score = score_question(text, gold.answer, "temporal", NameMatcher(None))
    >>> score.tiou, score.object_f1, score.format
    (0.75, 1.0, 1.0)
    """
    matched = _match(prediction.answer, truth, task, names)
    ious = frame_ious([frame for track in matched.tracks for frame in track.frames])
    overlaps, start = [], 0
    for track in matched.tracks:
        overlaps.append(TrackOverlap(ious[start : start + len(track.frames)], track.extra_times))
        start += len(track.frames)
    objects = overlaps[: matched.visible_objects]
    timed = task != "spatial" and truth.span is not None
    return QuestionScore(
        format=float(is_well_formed(prediction, task)),
        tiou=interval_iou(prediction.answer.span, truth.span) if timed else None,
        object_accuracy=matched.recall,
        object_f1=matched.f1,
        viou=_mean(overlap.viou for overlap in objects),
        ap_30=_mean(overlap.average_precision(0.3) for overlap in objects),
        ap_50=_mean(overlap.average_precision(0.5) for overlap in objects),
        viou_tube=_mean(overlap.viou_tube for overlap in objects),
        viou_any=_mean(overlap.viou for overlap in overlaps[-1:]),
    )


def score_questions(
    predictions: Sequence[ParsedAnswer], questions: Sequence[Question], names: NameMatcher
) -> list[QuestionScore]:
    """`score_question` of each prediction and its question."""
    return [
        score_question(prediction, question.truth, question.task, names)
        for prediction, question in zip(predictions, questions, strict=True)
    ]


def frame_iou_curve(prediction: Answer, truth: Answer, names: NameMatcher) -> list[tuple[float, float | None]]:
    """Frame IoU over time: at each true time its mean over the true objects that are visible then.

    Where one object is asked for, the curve's mean is vIoU. An object whose name is not matched counts 0.

    Args:
        prediction: boxes in source pixels.
        truth: boxes in source pixels.
        names: matches predicted with true names.

    Returns:
        (time, IoU) at all true times, ascending; None where every object is out of sight.

    >>> from .answers import Track
    >>> true, half = ((0.0, 0, 0, 10, 10), (1.0, 0, 0, 0, 0)), ((0.0, 0, 0, 10, 5),)
    >>> frame_iou_curve(Answer((Track("dog", half),)), Answer((Track("dog", true),)), NameMatcher(None))
    [(0.0, 0.5), (1.0, None)]
    """
    predicted, true = merged(prediction.tracks), merged(truth.tracks)
    pairs = names.match([track.name for track in predicted], [track.name for track in true]).pairs
    found = {index: visible_frames(predicted[own].rows) for index, own in pairs}
    by_time: dict[float, list[float]] = {row[0]: [] for track in true for row in track.rows}
    for index, track in enumerate(true):
        if visible := visible_frames(track.rows):
            matched = match_frames(found.get(index, {}), visible, {row[0] for row in track.rows})
            for time, iou in zip(visible, frame_ious(matched.frames), strict=True):
                by_time[time].append(iou)
    return [(time, _mean(ious)) for time, ious in sorted(by_time.items())]


class _Matched(NamedTuple):
    """What of a prediction belongs to what of the truth.

    ``tracks`` are the true objects that are visible at some time, and last, unless it is the same, all objects as one.
    """

    name_pairs: int
    predicted_names: int
    true_names: int
    visible_objects: int
    tracks: list[MatchedFrames]

    @property
    def recall(self) -> float:
        """Matched over true names."""
        return self.name_pairs / self.true_names if self.true_names else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of recall and matched over predicted names."""
        return 2 * self.name_pairs / (self.true_names + self.predicted_names) if self.name_pairs else 0.0


def _match(prediction: Answer, truth: Answer, task: Task, names: NameMatcher) -> _Matched:
    predicted, true = merged(prediction.tracks), merged(truth.tracks)
    match = names.match([track.name for track in predicted], [track.name for track in true])
    objects, together = ([], []) if task == "temporal" else _match_tracks(predicted, true, dict(match.pairs))
    return _Matched(len(match.pairs), match.predicted_count, len(true), len(objects), objects + together)


def _match_tracks(
    predicted: Sequence[Track], true: Sequence[Track], predicted_of: Mapping[int, int]
) -> tuple[list[MatchedFrames], list[MatchedFrames]]:
    found, frames = [visible_frames(track.rows) for track in predicted], [visible_frames(track.rows) for track in true]
    times = [{row[0] for row in track.rows} for track in true]
    objects = [
        match_frames(found[predicted_of[index]] if index in predicted_of else {}, own, times[index])
        for index, own in enumerate(frames)
        if own
    ]
    same = len(found) == len(frames) == len(predicted_of) == 1  # one object on both sides: all as one is that object
    if same or not objects:
        return objects, []
    return objects, [match_frames(pooled(found), pooled(frames), set().union(*times))]


def merged(tracks: Sequence[Track]) -> list[Track]:
    """The tracks with those of one casefolded name put together, in the order of first appearance."""
    by_name: dict[str, list[Track]] = {}
    for track in tracks:
        by_name.setdefault(track.name.casefold(), []).append(track)
    return [
        same[0] if len(same) == 1 else Track(same[0].name, tuple(row for track in same for row in track.rows))
        for same in by_name.values()
    ]


def _mean(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else None


# --- tables -----------------------------------------------------------------------------------------------------------


def _at_least(value: float | None, threshold: float) -> float | None:
    return None if value is None else float(value >= threshold - ROUNDING)


TABLE_SCORES: dict[str, Callable[[QuestionScore], float | None]] = {
    "format_rate": lambda score: score.format,
    "m_tIoU": lambda score: score.tiou,
    "R1@0.3": lambda score: _at_least(score.tiou, 0.3),
    "R1@0.5": lambda score: _at_least(score.tiou, 0.5),
    "R1@0.7": lambda score: _at_least(score.tiou, 0.7),
    "object_accuracy": lambda score: score.object_accuracy,
    "object_f1": lambda score: score.object_f1,
    "m_vIoU": lambda score: score.viou,
    "AP@0.3": lambda score: score.ap_30,
    "AP@0.5": lambda score: score.ap_50,
    "vIoU_tube": lambda score: score.viou_tube,
    "vIoU_any": lambda score: score.viou_any,
}


SPAN_SCORES = ("m_tIoU", "R1@0.3", "R1@0.5", "R1@0.7")
BOX_SCORES = ("m_vIoU", "AP@0.3", "AP@0.5", "vIoU_tube", "vIoU_any")


def has_score(task: Task, name: str) -> bool:
    """Whether questions of ``task`` ask for the table score ``name``."""
    return not (task == "spatial" and name in SPAN_SCORES) and not (task == "temporal" and name in BOX_SCORES)


def score_matrix(scores: Sequence[QuestionScore]) -> NDArray[np.float64]:
    """The table scores of each question, shape (questions, len(TABLE_SCORES)), NaN where a score is not defined."""
    rows = [[np.nan if (value := read(score)) is None else value for read in TABLE_SCORES.values()] for score in scores]
    return np.array(rows, dtype=np.float64).reshape(len(scores), len(TABLE_SCORES))


def aggregate(scores: Sequence[QuestionScore], bootstrap_samples: int, seed: int) -> dict[str, Aggregate]:
    """Means over questions with percentile bootstrap intervals (95%), one for each of `TABLE_SCORES`.

    Args:
        scores: of the questions of one task or group; may be empty.
        bootstrap_samples: resamples of the questions; 0 for no intervals.
        seed: of the resampling; the same for all scores, so they are resampled together.
    """
    matrix = score_matrix(scores)
    defined = ~np.isnan(matrix)
    counts = defined.sum(axis=0)
    sums = np.where(defined, matrix, 0.0).sum(axis=0)
    lows, highs = bootstrap_intervals(matrix, bootstrap_samples, seed)
    return {
        name: Aggregate(
            value=float(sums[column] / counts[column]) if counts[column] else None,
            low=_float_or_none(lows[column]),
            high=_float_or_none(highs[column]),
            count=int(counts[column]),
        )
        for column, name in enumerate(TABLE_SCORES)
    }


def bootstrap_intervals(
    matrix: NDArray[np.float64], samples: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of the 95% interval of each column's mean, questions (rows) resampled with replacement.

    Args:
        matrix: shape (questions, scores), NaN where undefined.
        samples: number of resamples.
        seed: of the generator.

    Returns:
        Lower and upper bounds, each of shape (scores,), NaN where there is nothing to resample.

    Raises:
        ValueError: ``samples`` is negative.
    """
    if samples < 0:
        raise ValueError(f"bootstrap_samples is {samples}; it must be 0 or more")
    questions, columns = matrix.shape
    nothing = np.full(columns, np.nan)
    if not samples or not questions:
        return nothing, nothing
    defined = ~np.isnan(matrix)
    both = np.concatenate([np.where(defined, matrix, 0.0), defined], axis=1)
    sums, counts = np.split(_resampled_sums(both, samples, np.random.default_rng(seed)), 2, axis=1)
    usable = counts.any(axis=0)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)[:, usable]
    tail = (1 - CONFIDENCE) / 2
    bounds = np.full((2, columns), np.nan)
    bounds[:, usable] = np.nanquantile(means, [tail, 1 - tail], axis=0)
    return bounds[0], bounds[1]


def _resampled_sums(matrix: NDArray[np.float64], samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Column sums of ``samples`` resamples of the rows, shape (samples, columns).

    How often each row is drawn makes a matrix, and all sums are one product with it; in blocks, to bound its size.
    """
    rows = len(matrix)
    block = max(1, MAX_BLOCK // rows)
    sums = []
    for start in range(0, samples, block):
        size = min(block, samples - start)
        draws = rng.integers(0, rows, (size, rows)) + np.arange(size)[:, None] * rows
        times_drawn = np.bincount(draws.ravel(), minlength=size * rows).reshape(size, rows)
        sums.append(times_drawn.astype(np.float64) @ matrix)
    return np.concatenate(sums)


def _float_or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
