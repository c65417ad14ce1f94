"""The questions of a built data set as raters look at them."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.benchmark import load_rows

from .ratings import digest_shown
from .records import Frame
from .records import Instance
from .records import ObjectTrack

COLUMNS = [
    "question_id",
    "video_id",
    "question",
    "question_type",
    "answer",
    "query_span",
    "when",
    "duration",
    "width",
    "height",
    "objects",
]


class ReviewError(ValueError):
    """Something that keeps a review from starting; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ReviewQuestion:
    """A question with its answer. Times in seconds; boxes in pixels of a frame of ``width`` x ``height`` if these are known.

    ``span`` is what is asked about or for.
    """

    question_id: str
    video_id: str
    question: str
    question_type: str
    answer: str
    span: Span | None
    duration: float
    width: int | None
    height: int | None
    objects: tuple[ObjectTrack, ...]

    @property
    def shown(self) -> str:
        """The digest of what is rated."""
        return digest_shown(self.question, self.answer)


def load_review_questions(dataset: str, split: str) -> list[ReviewQuestion]:
    """The questions of a split, in the order of the data set.

    Args:
        dataset: a folder that `r-avst-build` wrote, or a data set of that form on the Hub.
        split: ``test`` or ``train``.

    Raises:
        BenchmarkError: it cannot be loaded, or lacks a column.
    """
    return [_question(row) for row in load_rows(dataset, split, COLUMNS)]


def sample_questions(questions: Sequence[ReviewQuestion], size: int, seed: int) -> list[ReviewQuestion]:
    """``size`` questions drawn without replacement, or all if there are not so many, in the order of the data set."""
    drawn = np.random.default_rng(seed).choice(len(questions), min(size, len(questions)), replace=False)
    return [questions[index] for index in sorted(int(one) for one in drawn)]


def _question(row: Mapping[str, Any]) -> ReviewQuestion:
    span = row["query_span"] or row["when"]
    return ReviewQuestion(
        question_id=row["question_id"],
        video_id=row["video_id"],
        question=row["question"],
        question_type=row["question_type"],
        answer=row["answer"],
        span=tuple(span) if span else None,
        duration=row["duration"],
        width=row["width"],
        height=row["height"],
        objects=tuple(_track(one) for one in row["objects"]),
    )


def _track(row: Mapping[str, Any]) -> ObjectTrack:
    return ObjectTrack(row["name"], row["audible"], tuple(_frame(frame) for frame in row["frames"]))


def _frame(row: Mapping[str, Any]) -> Frame:
    return Frame(row["time"], tuple(Instance(tuple(one["box"]), one["visible"]) for one in row["instances"]))
