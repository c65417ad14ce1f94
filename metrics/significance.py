"""Whether one model scores higher than another on the same questions: paired bootstrap, corrected for many comparisons.

Questions are drawn as if they were independent; some share a video, so intervals may be too narrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .avst_metrics.scores import CONFIDENCE

LEVEL = 1 - CONFIDENCE
MIN_QUESTIONS = 30  # with fewer, a percentile bootstrap finds differences that are none (of two questions: half the time)
MAX_BLOCK = 4_000_000  # drawn counts held at once
_ROUNDING = 1e-12  # of a sum of differences that cancel out


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean difference of two models' scores over the same questions.

    Attributes:
        value: first minus second, in -1..1.
        low: lower bound of its 95% percentile bootstrap interval.
        high: upper bound.
        p_value: two-sided, of this comparison alone: the level at which the interval begins to hold 0.
        adjusted: the p-value after Holm's correction for all comparisons made together.
    """

    value: float
    low: float
    high: float
    p_value: float
    adjusted: float

    @property
    def significant(self) -> bool:
        """Whether the difference is told from 0 at 5%, after the correction."""
        return self.adjusted < LEVEL


def paired_bootstrap(differences: NDArray[np.float64], resamples: int, seed: int) -> list[Difference]:
    """Tests the mean of each column against 0; all columns see the same resamples of the questions.

    The p-value is ``2 (1 + k) / (1 + resamples)``, at most 1, where k counts the resampled means on the rarer side of 0 (0
    itself counts on both). It is the bootstrap interval turned into a test (Efron and Tibshirani, An Introduction to the
    Bootstrap, 1993, chapters 13 and 15.4); the two ones keep it above 0 (Davison and Hinkley, 1997, section 4.2).

    Args:
        differences: first minus second model, shape (questions, comparisons), no NaN: leave undefined questions out.
        resamples: how often the questions are drawn anew, with replacement.
        seed: of the draws.

    Returns:
        One difference a column, in their order.

    Raises:
        ValueError: fewer than `MIN_QUESTIONS` questions, a NaN, or too few resamples to find anything (`least_resamples`).
    """
    questions, comparisons = differences.shape
    if not comparisons:
        return []
    if questions < MIN_QUESTIONS or np.isnan(differences).any():
        raise ValueError(f"{questions} questions; a test takes {MIN_QUESTIONS} or more, each with a score of both models")
    if resamples < least_resamples(comparisons):
        raise ValueError(f"{resamples} resamples; {comparisons} comparisons take {least_resamples(comparisons)} or more")
    means = _resampled_means(differences, resamples, np.random.default_rng(seed))
    rarer = np.minimum((means <= _ROUNDING).sum(axis=0), (means >= -_ROUNDING).sum(axis=0))
    p_values = np.minimum(1.0, 2 * (1 + rarer) / (1 + resamples)).tolist()
    lows, highs = np.quantile(means, [LEVEL / 2, 1 - LEVEL / 2], axis=0).tolist()
    values = differences.mean(axis=0).tolist()
    return [Difference(*own) for own in zip(values, lows, highs, p_values, holm(p_values), strict=True)]


def least_resamples(comparisons: int) -> int:
    """The fewest resamples with which the smallest p-value there can be is below 5% after the correction.

    >>> least_resamples(1), least_resamples(20)
    (40, 800)
    """
    return round(2 / LEVEL) * comparisons


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected so that one false discovery among all has at most the chance that they are compared with.

    The smallest is multiplied by their number, the next by one less, and so on; none gets smaller than one before it
    (Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979).

    >>> holm([0.04, 0.01, 0.03])
    [0.06, 0.03, 0.06]
    """
    count = len(p_values)
    adjusted, largest = [0.0] * count, 0.0
    for rank, index in enumerate(sorted(range(count), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _resampled_means(differences: NDArray[np.float64], resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Column means of each resample of the rows, shape (resamples, columns); in blocks, to bound the memory."""
    rows = len(differences)
    block = max(1, MAX_BLOCK // rows)
    even = np.full(rows, 1 / rows)
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]
    return np.concatenate([rng.multinomial(rows, even, size) @ differences / rows for size in sizes])
