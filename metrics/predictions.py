"""Reads predictions: JSON lines of a question id, a model's text, and the space its boxes are in.

A line, and one of a model that answers in pixels of the frame it was given::

    {"question_id": "zLfhRM6G0OU-0-spatial-0", "text": "<answer>...</answer>", "coordinate_space": "source"}
    {"question_id": "...", "text": "...", "coordinate_space": "model",
     "processed_size": [644, 364], "frame_size": [640, 360]}    (in one line)

``frame_size`` (of the source video) may be left out where the data set knows it; other keys are ignored.
"""

import json
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

from .avst_metrics.answers import Answer
from .avst_metrics.answers import ParsedAnswer
from .avst_metrics.answers import Problem
from .avst_metrics.answers import parse_answer
from .avst_metrics.coordinates import Size
from .avst_metrics.coordinates import checked_size
from .avst_metrics.coordinates import space_warning
from .avst_metrics.coordinates import to_source
from .benchmark import BenchmarkQuestion

MISSING = ParsedAnswer(Answer(), (Problem("missing", "no prediction"),))


class PredictionError(ValueError):
    """A prediction file that cannot be scored; the message gives file, line and remedy."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """A file's predictions by question id, boxes in source pixels, and what looks wrong about the file.

    ``texts`` are those of the models, before seconds between two lines were filled (``raw_text`` of `r-avst-predict`).
    """

    by_id: dict[str, ParsedAnswer]
    texts: dict[str, str]
    warnings: tuple[str, ...]

    def for_questions(self, questions: Sequence[BenchmarkQuestion]) -> list[ParsedAnswer]:
        """One prediction a question, `MISSING` where the file has none."""
        return [self.by_id.get(own.question_id, MISSING) for own in questions]


def read_predictions(path: Path, questions: Sequence[BenchmarkQuestion]) -> Predictions:
    """Reads and checks a prediction file.

    Args:
        path: JSON lines; empty lines are skipped.
        questions: of the whole split: an id outside it is an error.

    Raises:
        PredictionError: the file is absent, or a line is no JSON object, lacks a key, has a value of the wrong type, an
            unknown or repeated id, or a size that is missing or at odds with the data set.
    """
    known = {own.question_id: own for own in questions}
    converted: dict[str, ParsedAnswer] = {}
    texts: dict[str, str] = {}
    line_of: dict[str, int] = {}
    as_written: dict[str, list[Answer]] = {}
    for number, line in _lines(path):
        try:
            row = _checked_row(line, known)
            question_id, space = row["question_id"], row["coordinate_space"]
            if question_id in line_of:
                raise PredictionError(f"{question_id!r} stood in line {line_of[question_id]} before: keep one of the two")
            parsed = parse_answer(row["text"])
            answer = to_source(parsed.answer, space, _frame_size(row, known[question_id]), row.get("processed_size"))
        except ValueError as error:
            raise PredictionError(f"{path}:{number}: {error}") from None
        line_of[question_id] = number
        converted[question_id] = replace(parsed, answer=answer)
        texts[question_id] = row["raw_text"] if isinstance(row.get("raw_text"), str) else row["text"]
        as_written.setdefault(space, []).append(parsed.answer)
    warnings = (space_warning(answers, space) for space, answers in as_written.items())
    return Predictions(converted, texts, tuple(f"{path}: {warning}" for warning in warnings if warning))


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PredictionError(f"{path}: it cannot be read ({error})") from None
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _checked_row(line: str, known: Mapping[str, BenchmarkQuestion]) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise PredictionError(f"no JSON ({error}): write one JSON object a line") from None
    if not isinstance(row, dict):
        raise PredictionError(f"a JSON object is expected, but it is a {type(row).__name__}")
    for key in ("question_id", "text", "coordinate_space"):
        if key not in row:
            raise PredictionError(f"the key {key!r} is missing: a line needs question_id, text and coordinate_space")
        if not isinstance(row[key], str):
            raise PredictionError(f"{key!r} should be a string, but is a {type(row[key]).__name__}")
    if row["question_id"] not in known:
        raise PredictionError(f"the question id {row['question_id']!r} is not in this split: check --split and --dataset")
    return row


def _frame_size(row: Mapping[str, Any], own: BenchmarkQuestion) -> Size | None:
    if row.get("frame_size") is None:
        return own.frame_size
    given = checked_size(row["frame_size"], "frame_size")
    if own.frame_size is not None and given != own.frame_size:
        raise PredictionError(
            f"frame_size is {list(given)}, but the data set has {list(own.frame_size)} for this video: "
            "was the model given another file than the one that is annotated?"
        )
    return given
