"""A plain reader of rendered cards: every number on them, held against the files that they name."""

import copy
import re
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from r_avst.metrics.paper_tables import ROWS
from r_avst.metrics.paper_tables import SCORES

REPORT_TABLE = "key in `build_report.json`"
STATISTICS_TABLE = "key in `statistics.json`"
SETTINGS_TABLE = "key in the score file"
RUN_TABLE = "key in `run.json`"
SCORE_TABLE = "score"
SHARES = ("value", "low", "high", "floor", "skill")
NUMBER = re.compile(r"-?[\d,]+(\.\d+)?(e[-+]?\d+)?")
ABSENT = object()


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: the heading above its table, the table's first header, the first cell of its row, its column, its text."""

    heading: str
    table: str
    row: str
    column: str
    text: str


def body(card: str) -> str:
    """The card without its metadata."""
    return card.split("\n---\n", 1)[1]


def rest(card: str) -> list[str]:
    """The lines of the body that stand in no table."""
    return [line for line in body(card).splitlines() if not line.startswith("|")]


def cells(card: str) -> Iterator[Cell]:
    """The cells of all tables of the body but those of their first columns."""
    heading, headers = "", [""]
    for line in body(card).splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not line.startswith("|"):
            headers = [""]
            continue
        row = [cell.strip() for cell in line.strip("|").split("|")]
        if headers == [""]:
            headers = row
        elif set(line) - set("|-: "):
            yield from (
                Cell(heading, headers[0], row[0].strip("`"), column, text)
                for column, text in zip(headers[1:], row[1:], strict=True)
            )


def unexplained(card: str, files: Mapping[str, Any], model: str = "", paper_row: int | None = None) -> list[Cell]:
    """The cells whose text is not what stands under their key; texts that are no figures are not looked at.

    Args:
        card: its text.
        files: what the files hold, by the first header of the tables that name them.
        model: the row of the score file.
        paper_row: the index of the model in the paper's tables.
    """
    return [
        cell
        for cell in cells(card)
        if (NUMBER.fullmatch(cell.text) or cell.text in ("not measured", "none"))
        and not _explained(cell, files, model, paper_row)
    ]


def _explained(cell: Cell, files: Mapping[str, Any], model: str, paper_row: int | None) -> bool:
    if cell.table == SCORE_TABLE and cell.column == "paper":
        assert paper_row is not None
        return float(cell.text) == dict(zip(SCORES[cell.heading], ROWS[cell.heading][paper_row], strict=True))[cell.row]  # type: ignore[index]
    found = _at(files[cell.table], _key(cell, model))
    if found is ABSENT or found is None:
        return cell.text == ("none" if found is None else "not measured")
    if not NUMBER.fullmatch(cell.text):
        return False
    scale = 100 if (cell.table == SCORE_TABLE and cell.column in SHARES) or cell.row.endswith("_share") else 1
    said = float(cell.text.replace(",", ""))
    if cell.table == RUN_TABLE and isinstance(found, float):
        return abs(said - found) <= 0.0005 * abs(found)  # four digits that count
    return said == found if isinstance(found, int) and scale == 1 else abs(said - scale * found) <= 0.005 + 1e-9


def _key(cell: Cell, model: str) -> list[str]:
    if cell.table == SCORE_TABLE:
        return ["models", model, "figures", cell.heading, cell.row, cell.column]
    if cell.row == "missing":
        return ["models", model, "missing"]
    if cell.table == RUN_TABLE:
        own = cell.row.split(".", 1)  # behind the dot is a name, whatever it holds
        return [*own, *([cell.column] if own[0] == "figures" else [])]
    return [*cell.row.split("."), *([cell.column] if cell.column in ("here", "paper") else [])]


def _at(content: Any, key: list[str]) -> Any:
    for part in key:
        if not isinstance(content, dict) or part not in content:
            return ABSENT
        content = content[part]
    return content


def with_other_numbers(content: Any) -> Any:
    """A copy in which every number is another one, no two alike: whole numbers stay whole, others lie in 0..1."""
    numbers = count(100_003, 7)
    return _renumbered(copy.deepcopy(content), numbers)


def _renumbered(content: Any, numbers: Iterator[int]) -> Any:
    if isinstance(content, dict):
        return {key: _renumbered(value, numbers) for key, value in content.items()}
    if isinstance(content, list):
        return [_renumbered(value, numbers) for value in content]
    if isinstance(content, bool) or not isinstance(content, int | float):
        return content
    return next(numbers) if isinstance(content, int) else next(numbers) / 1_000_000
