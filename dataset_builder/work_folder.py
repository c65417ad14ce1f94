"""The work folder of a build: a folder a stage, with rows that outlive a kill at any moment.

A stage's folder holds::

    outcomes.jsonl   all that it ever came to, as it came; nothing in it is made twice
    rows.jsonl       {"video_id", "input", "row"}     what it made of its present input, in the order of that
    failures.jsonl   {"video_id", "input", "reason"}  what it could not make, and why
    report.json      what it tells of itself

``input`` is a digest of all that a row was made from: the settings of the stage and the row before. Other settings make
other rows, and the earlier ones are still there when the settings are changed back.
"""

import hashlib
import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import TypeVar

from pydantic import TypeAdapter
from pydantic import ValidationError

from .line_files import cut_torn_line
from .line_files import put_text
from .line_files import whole_lines
from .records import VideoRow
from .stages.stage import StageError

ROWS = "rows.jsonl"
FAILURES = "failures.jsonl"
OUTCOMES = "outcomes.jsonl"
REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class Made:
    """A row that a stage made, and the digest of what it was made from."""

    video_id: str
    input: str
    row: VideoRow


@dataclass(frozen=True, slots=True)
class Failed:
    """A video that a stage could not work on, and why."""

    video_id: str
    input: str
    reason: str


Outcome = Made | Failed
Item = TypeVar("Item")

_OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Outcome)
_ROW: TypeAdapter[VideoRow] = TypeAdapter(VideoRow)


def row_text(row: VideoRow) -> str:
    """A row as one line of JSON."""
    return _ROW.dump_json(row).decode()


def row_from_text(text: str) -> VideoRow:
    """The row that `row_text` wrote.

    Raises:
        ValueError: it is no such line.
    """
    return _ROW.validate_json(text)


def outcome_text(outcome: Outcome) -> str:
    """An outcome as one line of JSON."""
    return _OUTCOME.dump_json(outcome).decode()


def outcome_from_text(text: str | bytes) -> Outcome:
    """The outcome that `outcome_text` wrote.

    Raises:
        ValueError: it is no such line.
    """
    return _OUTCOME.validate_json(text)


def digest(settings: Mapping[str, Any], row: VideoRow) -> str:
    """Of all that a stage makes a row from: its settings and the row before."""
    text = json.dumps(settings, sort_keys=True) + "\n" + row_text(row)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_outcomes(folder: Path) -> dict[str, Outcome]:
    """All that a stage ever came to, by its input; the last word on each.

    Raises:
        StageError: a line is damaged elsewhere than at the end, where a kill may have cut one.
    """
    return {outcome.input: outcome for outcome in _read(folder / OUTCOMES)}


def read_rows(path: Path) -> tuple[VideoRow, ...]:
    """The rows of a finished stage.

    Raises:
        StageError: there is no such file, or it is damaged.
    """
    if not path.is_file():
        raise StageError(f"{path}: there is no such file; run the stage before first, or leave --only away")
    return tuple(outcome.row for outcome in _read(path) if isinstance(outcome, Made))


def _read(path: Path) -> Iterator[Outcome]:
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            yield outcome_from_text(line)
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise StageError(
                f"{path}, line {number} is damaged ({problem}): remove the file to make its rows anew"
            ) from None


def open_outcomes(folder: Path) -> Path:
    """The file of a stage's outcomes, ready for `append_line`."""
    folder.mkdir(parents=True, exist_ok=True)
    cut_torn_line(folder / OUTCOMES)
    return folder / OUTCOMES


def finish(folder: Path, outcomes: Iterable[Outcome], report: Mapping[str, Any]) -> None:
    """Writes what a stage made of its present input, each file put in place whole."""
    own = tuple(outcomes)
    folder.mkdir(parents=True, exist_ok=True)
    write_lines(folder / ROWS, (outcome for outcome in own if isinstance(outcome, Made)), outcome_text)
    write_lines(folder / FAILURES, (outcome for outcome in own if isinstance(outcome, Failed)), outcome_text)
    put_text(folder / REPORT, json.dumps(report, indent=1) + "\n")


def write_lines(path: Path, items: Iterable[Item], text: Callable[[Item], str]) -> None:
    """Writes a line an item, and puts the file in place whole."""
    put_text(path, "".join(text(item) + "\n" for item in items))
