"""What a score is held against: the best constant answer, and answers to another clip."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import ParsedAnswer
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.scores import score_question

NAMES = NameMatcher(None)


class ControlError(ValueError):
    """A control that cannot be measured on these answers; the message says why."""


def score_of(prediction: ParsedAnswer, truth: Answer, task: Task) -> float:
    """The score that a world's task is about: tIoU of a temporal answer, vIoU of a spatial one; boxes in source pixels.

    Raises:
        ControlError: the truth has no such score.
    """
    scores = score_question(prediction, truth, task, NAMES)
    value = scores.viou if task == "spatial" else scores.tiou
    if value is None:
        raise ControlError(f"the truth of a {task} question has no score of its own: {truth}")
    return value


def score_matrix(predictions: Sequence[ParsedAnswer], truths: Sequence[Answer], task: Task) -> NDArray[np.float64]:
    """The score of every prediction against every truth, shape (predictions, truths)."""
    values = [score_of(prediction, truth, task) for prediction, truth in product(predictions, truths)]
    return np.array(values).reshape(len(predictions), len(truths))


def best_constant(truths: Sequence[Answer], candidates: Sequence[Answer], task: Task) -> tuple[Answer, float]:
    """The one answer of ``candidates`` that scores best on all of ``truths``, and its mean score.

    It is fitted on the very clips that it is scored on: no constant can do better there.

    Raises:
        ControlError: there are no truths, or no candidates.
    """
    if not truths or not candidates:
        raise ControlError(f"the best constant of {len(candidates)} candidates on {len(truths)} truths is not defined")
    means = score_matrix([ParsedAnswer(own) for own in candidates], truths, task).mean(axis=1)
    return candidates[int(means.argmax())], float(means.max())


def mean_of_own(matrix: NDArray[np.float64]) -> float:
    """The mean score of answers against the truths of their own clips; ``matrix`` is square."""
    return float(np.diagonal(matrix).mean())


def mean_of_others(matrix: NDArray[np.float64]) -> float:
    """The mean score of answers against the truths of all other clips: each clip's question, another clip shown.

    Every clip of a world gets the same prompt. So what a model says when clip j is shown for clip i is what it says of
    clip j, and all n (n - 1) mismatched pairs can be had from n answers.

    Raises:
        ControlError: there is one clip, or none.
    """
    count = len(matrix)
    if count < 2:
        raise ControlError(f"swapping clips needs two of them, there are {count}")
    return float((matrix.sum() - np.trace(matrix)) / (count * (count - 1)))
