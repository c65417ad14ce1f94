"""The questions of a built data set, as the scoring needs them."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import yaml
from datasets.exceptions import DatasetsError

from .avst_metrics.answers import TASKS
from .avst_metrics.answers import Span
from .avst_metrics.answers import parse_answer
from .avst_metrics.coordinates import Size
from .avst_metrics.scores import Question

COLUMNS = [
    "question_id",
    "task",
    "answer",
    "question_type",
    "event_labels",
    "query_span",
    "when",
    "duration",
    "width",
    "height",
]
UNKNOWN = "(unknown)"


class BenchmarkError(ValueError):
    """A data set that cannot be scored; the message says what to do."""


@dataclass(frozen=True, slots=True)
class BenchmarkQuestion:
    """One question of a split. ``question`` is what the scores need, the rest serves reading, floors and breakdowns."""

    question_id: str
    question: Question
    answer: str
    question_type: str
    event_labels: tuple[str, ...]
    query_span: Span | None
    frame_size: Size | None

    @property
    def span(self) -> Span | None:
        """The span that is asked for, or about."""
        return self.query_span or self.question.truth.span


def load_questions(dataset: str, split: str) -> list[BenchmarkQuestion]:
    """The questions of a split, in the order of the data set.

    Args:
        dataset: a folder that `r-avst-build` wrote, or a data set of that form on the Hub.
        split: ``test`` or ``train``.

    Raises:
        BenchmarkError: it cannot be loaded, or lacks a column.
    """
    return questions_of(load_rows(dataset, split, COLUMNS))


def questions_of(rows: datasets.Dataset) -> list[BenchmarkQuestion]:
    """The questions of rows that have `COLUMNS` at least, in their order."""
    label_names = rows.features["event_labels"].feature.names
    return [_question(row, label_names) for row in rows.select_columns(COLUMNS)]


def load_rows(dataset: str, split: str, columns: Sequence[str]) -> datasets.Dataset:
    """These columns of a split's questions.

    Args:
        dataset: a folder that `r-avst-build` wrote, or a data set of that form on the Hub.
        split: ``test`` or ``train``.
        columns: their names.

    Raises:
        BenchmarkError: it cannot be loaded, or lacks a column.
    """
    try:
        if "/" not in dataset and not Path(dataset).is_dir():  # the cache would serve a folder that is gone
            raise FileNotFoundError("there is no such folder here")
        rows = datasets.load_dataset(dataset, split=split)
    except (OSError, ValueError, DatasetsError, yaml.YAMLError) as error:
        raise BenchmarkError(
            f"the split {split!r} of {dataset!r} cannot be loaded ({error}). Build it: r-avst-build release --out {dataset}"
        ) from None
    if missing := set(columns) - set(rows.column_names):
        raise BenchmarkError(f"{dataset!r} lacks the columns {sorted(missing)}; is it a data set of r-avst-build?")
    return rows.select_columns(list(columns))


def balanced_subset(questions: Sequence[BenchmarkQuestion], seed: int) -> list[BenchmarkQuestion]:
    """As many questions of each task, drawn without replacement, in their order (the paper's table 4 has such a subset).

    Raises:
        BenchmarkError: a task has no question.
    """
    by_task = [[index for index, own in enumerate(questions) if own.question.task == task] for task in TASKS]
    size = min(len(indices) for indices in by_task)
    if not size:
        missing = [task for task, indices in zip(TASKS, by_task, strict=True) if not indices]
        raise BenchmarkError(f"a balanced subset needs questions of every task; there is none of {', '.join(missing)}")
    rng = np.random.default_rng(seed)
    return [questions[index] for index in sorted(int(i) for own in by_task for i in rng.choice(own, size, replace=False))]


def _question(row: Mapping[str, Any], label_names: Sequence[str]) -> BenchmarkQuestion:
    size = (row["width"], row["height"]) if row["width"] and row["height"] else None
    return BenchmarkQuestion(
        question_id=row["question_id"],
        question=Question(parse_answer(row["answer"]).answer, TASKS[row["task"]], row["duration"]),
        answer=row["answer"],
        question_type=row["question_type"],
        event_labels=tuple(label_names[label] for label in row["event_labels"]),
        query_span=tuple(row["query_span"]) if row["query_span"] else None,
        frame_size=size,
    )


# --- breakdowns -------------------------------------------------------------------------------------------------------


def _video_length(own: BenchmarkQuestion) -> str:
    """The paper's groups of video durations."""
    duration = own.question.duration
    if duration is None:
        return UNKNOWN
    return next((name for limit, name in ((20, "0-20 s"), (40, "20-40 s"), (60, "40-60 s")) if duration < limit), "60+ s")


def _coverage(own: BenchmarkQuestion) -> str:
    """The share of the video that the span fills."""
    if own.span is None or not own.question.duration:
        return UNKNOWN
    share = (own.span[1] - own.span[0]) / own.question.duration
    return next((name for limit, name in ((0.25, "0-25%"), (0.5, "25-50%"), (0.75, "50-75%")) if share < limit), "75-100%")


BREAKDOWNS: dict[str, Callable[[BenchmarkQuestion], str | tuple[str, ...]]] = {
    "question_type": lambda own: own.question_type,
    "event_label": lambda own: own.event_labels or UNKNOWN,
    "length": _video_length,
    "coverage": _coverage,
}
