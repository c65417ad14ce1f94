"""Checks the columns that `compute` is given and makes records of them; every error names the row and the remedy."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from .answers import TASKS
from .answers import Answer
from .answers import ParsedAnswer
from .answers import Task
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
        ValueError: a reference that does not parse cleanly or does not fit its task, an unknown task, a negative duration,
            or a column of another length.
    """
    truths = [_truth(text, row) for row, text in enumerate(references)]
    named = [task_of(truth) for truth in truths] if tasks is None else column("tasks", tasks, len(truths))
    lengths = column("durations", durations, len(truths))
    return [_question(row, *parts) for row, parts in enumerate(zip(truths, named, lengths, strict=True))]


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


def task_of(truth: Answer) -> Task:
    """The task a true answer belongs to: no span is spatial, a span without boxes temporal."""
    if truth.span is None:
        return "spatial"
    return "spatio_temporal" if any(track.rows for track in truth.tracks) else "temporal"


def _truth(text: str, row: int) -> Answer:
    parsed = parse_answer(text)
    if parsed.problems or not parsed.answer.tracks:
        problem = parsed.problems[0] if parsed.problems else "no <object>"
        raise ValueError(f"references[{row}] is no well-formed answer ({problem}); are predictions and references swapped?")
    return parsed.answer


def _question(row: int, truth: Answer, task: str | int | None, duration: float | None) -> Question:
    named = TASKS[task] if isinstance(task, int) and 0 <= task < len(TASKS) else task
    if named not in TASKS:
        raise ValueError(f"tasks[{row}] is {task!r}; it must be one of {', '.join(TASKS)}, or a class number")
    if named != "spatial" and truth.span is None:
        raise ValueError(f"references[{row}] has no <when>, but tasks[{row}] is {named!r}")
    if duration is not None and not duration > 0:
        raise ValueError(f"durations[{row}] is {duration!r}; it must be above 0 seconds")
    return Question(truth, named, duration)
