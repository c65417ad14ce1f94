"""Checks the columns that `compute` is given and makes records of them; every error names the row and the remedy."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from numbers import Real
from typing import Any
from typing import TypeVar

from .answers import TASKS
from .answers import ParsedAnswer
from .answers import Task
from .answers import is_well_formed
from .answers import parse_answer
from .coordinates import Size
from .coordinates import space_warning
from .coordinates import to_source
from .scores import Question

Value = TypeVar("Value")


def read_questions(
    references: Sequence[str], tasks: Sequence[str | int] | None, durations: Sequence[float | None] | None
) -> list[Question]:
    """The questions behind the reference texts.

    Args:
        references: true answers in the unified format, boxes in source pixels.
        tasks: names or class numbers; read off the references where None.
        durations: of the videos in seconds, for the skill of the temporal scores.

    Raises:
        ValueError: a reference that is not well formed for its task, an unknown task, a duration that is not above 0, or a
            column of another length.
    """
    parsed = [parse_answer(text) for text in references]
    named = [task_of(one) for one in parsed] if tasks is None else column("tasks", tasks, len(parsed))
    lengths = column("durations", durations, len(parsed))
    return [_question(row, *own) for row, own in enumerate(zip(parsed, named, lengths, strict=True))]


def read_predictions(
    texts: Sequence[str],
    space: str | None,
    frame_sizes: Sequence[Size | None] | None,
    processed_sizes: Sequence[Size | None] | None,
) -> list[ParsedAnswer]:
    """Parses the predicted texts and converts their boxes to source pixels; errors as in `coordinates.to_source`.

    Warns where most boxes do not look as if they were written in ``space``.
    """
    sizes = column("frame_sizes", frame_sizes, len(texts))
    processed = column("processed_sizes", processed_sizes, len(texts))
    parsed = [parse_answer(text) for text in texts]
    converted = []
    for row, one in enumerate(parsed):
        try:
            answer = to_source(one.answer, space, sizes[row], processed[row])
        except ValueError as error:
            raise ValueError(f"predictions[{row}]: {error}") from None
        converted.append(replace(one, answer=answer))
    if space is not None and (warning := space_warning((one.answer for one in parsed), space)):
        warnings.warn(warning, stacklevel=2)
    return converted


def column(name: str, values: Sequence[Value] | None, count: int) -> Sequence[Value | None]:
    """``values``, checked to be ``count`` long; as many None where they are None."""
    if values is None:
        return [None] * count
    if len(values) != count:
        raise ValueError(f"{name} has {len(values)} entries for {count} references; give one for each, in their order")
    return values


def task_of(truth: ParsedAnswer) -> Task:
    """The task a true answer belongs to, by its tags."""
    if not truth.tags.when:
        return "spatial"
    return "spatio_temporal" if truth.tags.where else "temporal"


def _question(row: int, truth: ParsedAnswer, named: Any, duration: Any) -> Question:
    task = _task(row, named)
    if not is_well_formed(truth, task):
        problem = f" ({truth.problems[0]})" if truth.problems else ""
        raise ValueError(
            f"references[{row}] is no well-formed answer to a {task} question{problem}: "
            "are predictions and references swapped, or tasks off?"
        )
    if duration is not None and not (isinstance(duration, Real) and 0 < float(duration) < math.inf):
        raise ValueError(f"durations[{row}] is {duration!r}; it must be above 0 seconds")
    return Question(truth.answer, task, None if duration is None else float(duration))


def _task(row: int, named: Any) -> Task:
    if isinstance(named, Integral) and 0 <= int(named) < len(TASKS):
        return TASKS[int(named)]
    for task in TASKS:
        if named == task:
            return task
    raise ValueError(
        f"tasks[{row}] is {named!r}; it must be one of {', '.join(TASKS)}, or a class number below {len(TASKS)}"
    )
