"""A page of models side by side: `r-avst-leaderboard results/*.json --out leaderboard.md`."""

# Absolute imports, so that the file also runs by its path.
import argparse
import re
import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import astuple
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.skill import skill
from r_avst.metrics.avst_metrics.word_vectors import EXACT
from r_avst.metrics.floors import FLOORS
from r_avst.metrics.floors import LEGEND
from r_avst.metrics.option_types import positive
from r_avst.metrics.option_types import whole_number
from r_avst.metrics.paper_tables import SCORES
from r_avst.metrics.paper_tables import paper_rows
from r_avst.metrics.score_files import Figure
from r_avst.metrics.score_files import ScoredRow
from r_avst.metrics.score_files import ScoreFile
from r_avst.metrics.score_files import ScoreFileError
from r_avst.metrics.score_files import Settings
from r_avst.metrics.score_files import check_comparable
from r_avst.metrics.score_files import read_score_file
from r_avst.metrics.significance import MIN_QUESTIONS
from r_avst.metrics.significance import Difference
from r_avst.metrics.significance import least_resamples
from r_avst.metrics.significance import paired_bootstrap
from r_avst.metrics.tables import PAPER_LEFT_OUT
from r_avst.metrics.tables import RELEASED
from r_avst.metrics.tables import SKILL_OF
from r_avst.metrics.tables import TITLES

DESCRIPTION = """\
Puts models side by side: the paper's tables 2 and 3 with the rows of r-avst-score beside the paper's, in percent.

Give files of `r-avst-score --json`. Each mean has its 95% interval. Rows stand by m_tIoU (temporal, spatio-temporal) or
m_vIoU (spatial). The last column is how far a row is above the next scored row below it; * marks what a paired bootstrap
over the questions tells from 0 at 5%, after Holm's correction for all such pairs of a table. The paper's rows stand only
beside all questions of the released test split; they have no scores of single questions and so no mark. Nor have files of an
older r-avst-score.

Files that were scored on other questions or with other settings are refused: such rows cannot be compared. A floor may
stand in several files, if it is the same in all.
"""
EPILOG = """\
examples:
  r-avst-score --predictions model_a.jsonl --with-floors --json results/a.json
  r-avst-score --predictions model_b.jsonl --json results/b.json
  r-avst-leaderboard results/*.json --out leaderboard.md
  r-avst-leaderboard results/*.json --resamples 100000 --seed 1 > leaderboard.md
"""
RANKED_BY: Final[dict[Task, str]] = {"temporal": "m_tIoU", "spatial": "m_vIoU", "spatio_temporal": "m_tIoU"}
PAPER_NOTE = (
    "Rows of the paper are those of arXiv 2511.16901, tables 2 and 3, for orientation: it counts 663, 664 and 306 questions "
    "where the released file has 666, 666 and 306, and how it matched names and times is known in part only."
)
INDEPENDENCE_NOTE = (
    "Intervals and marks treat questions as independent, although some share a video: they may be too narrow, and told too "
    "readily."
)

_ROUNDING = 1e-6

Kind = Literal["measured", "floor", "paper"]
Cell = tuple[str, str]  # what stands there, and what in small type below it


class LeaderboardError(ValueError):
    """Rows that cannot stand in one table, or a page that cannot be written; the message says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table. ``scores`` are those of each question that rank it, NaN where undefined; None where unknown."""

    name: str
    kind: Kind
    figures: dict[str, Figure]
    scores: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a task from the best to the worst, and how far each is above the next scored one below it."""

    task: Task
    rows: tuple[Row, ...]
    leads: dict[str, Difference]


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """All that stands on the page."""

    files: tuple[ScoreFile, ...]
    models: tuple[ScoredRow, ...]
    tables: tuple[Table, ...]
    resamples: int
    seed: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script `r-avst-leaderboard`."""
    options = _parser().parse_args(arguments)
    try:
        _check_out(options.out, options.results)
        board = leaderboard([read_score_file(path) for path in options.results], options.resamples, options.seed)
        if options.out is None:
            print(markdown(board), end="")
        else:
            _write(options.out, markdown(board))
            print(plain(board))
    except (LeaderboardError, ScoreFileError) as error:
        print(f"r-avst-leaderboard: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="r-avst-leaderboard",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", type=Path, nargs="+", metavar="FILE", help="of r-avst-score --json")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write the page here and print plain tables (default: print the page)"
    )
    parser.add_argument(
        "--resamples",
        type=positive,
        default=10_000,
        metavar="N",
        help="of the questions, for the marks (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=whole_number, default=0, help="of the resampling for the marks (default: %(default)s)"
    )
    return parser


def _check_out(out: Path | None, results: Sequence[Path]) -> None:
    if out is not None and out.resolve() in {path.resolve() for path in results}:
        raise LeaderboardError(f"{out} is one of the files to read: give --out another name")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LeaderboardError(f"{path}: it cannot be written ({error.strerror})") from None


# --- tables -----------------------------------------------------------------------------------------------------------


def leaderboard(files: Sequence[ScoreFile], resamples: int, seed: int) -> Leaderboard:
    """Ranks the rows of all files, beside the paper's where all questions of the release were scored.

    Args:
        files: at least one.
        resamples: of the questions, for the marks.
        seed: of the resampling.

    Raises:
        DifferentSettingsError: the files were not scored alike.
        LeaderboardError: two models bear one name, there are no figures, or too few resamples for a mark.
    """
    check_comparable(files)
    models = _models(files)
    by_task = {task: [own for own in models if task in own.figures] for task in TASKS}
    with_paper = _counts(models) == RELEASED
    tables = tuple(
        _table(task, own, _paper(task, own[0]) if with_paper else [], resamples, seed)
        for task, own in by_task.items()
        if own
    )
    if not tables:
        raise LeaderboardError(f"{files[0].path} holds no figures of any model: score predictions with r-avst-score")
    return Leaderboard(tuple(files), tuple(models), tables, resamples, seed)


def _models(files: Iterable[ScoreFile]) -> list[ScoredRow]:
    """All rows; a floor that several files share is one."""
    found: dict[str, ScoredRow] = {}
    for row in (row for file in files for row in file.rows):
        first = found.setdefault(row.name, row)
        if row is first:
            continue
        if row.name not in FLOORS:
            raise LeaderboardError(
                f"{first.path} and {row.path} both have a model named {row.name!r}: rows are named by the files of "
                "predictions, rename one and score it anew"
            )
        if not _alike(row, first):
            raise LeaderboardError(
                f"the floor {row.name!r} has other figures in {row.path} than in {first.path}: write both files anew"
            )
        if first.questions is None:
            found[row.name] = row
    return list(found.values())


def _alike(one: ScoredRow, other: ScoredRow) -> bool:
    """Whether all figures are the same but for the rounding of another machine."""
    first, second = (
        np.array([astuple(own) for by_score in row.figures.values() for own in by_score.values()], dtype=np.float64)
        for row in (one, other)
    )
    return first.shape == second.shape and np.allclose(first, second, rtol=0, atol=_ROUNDING, equal_nan=True)


def _counts(models: Iterable[ScoredRow]) -> dict[Task, int]:
    """Questions of each task, those with it for which the ranking score is not defined."""
    ranked = ((task, own[RANKED_BY[task]]) for model in models for task, own in model.figures.items())
    return {task: own.count + own.undefined for task, own in ranked}


def _table(task: Task, models: Sequence[ScoredRow], paper: Sequence[Row], resamples: int, seed: int) -> Table:
    rows = [_measured(task, own) for own in models] + [*paper]
    rows.sort(key=lambda row: (-_rank(task, row), row.kind == "paper", row.name))
    return Table(task, tuple(rows), _leads(task, [row for row in rows if row.kind != "paper"], resamples, seed))


def _rank(task: Task, row: Row) -> float:
    value = row.figures[RANKED_BY[task]].value
    return -1.0 if value is None else value


def _measured(task: Task, model: ScoredRow) -> Row:
    scores = model.questions[task][RANKED_BY[task]] if model.questions else None
    return Row(model.name, "floor" if model.name in FLOORS else "measured", model.figures[task], scores)


def _paper(task: Task, model: ScoredRow) -> list[Row]:
    """The paper's rows, with the skill against the floor that the scored rows have."""
    floors = {name: own.floor for name, own in model.figures[task].items()}
    return [
        Row(name, "paper", {score: _stated(value, floors[score]) for score, value in own.items()})
        for name, own in paper_rows(task).items()
    ]


def _stated(value: float, floor: float | None) -> Figure:
    return Figure(value, None, None, floor, skill(value, floor), count=0, undefined=0)


def _leads(task: Task, rows: Sequence[Row], resamples: int, seed: int) -> dict[str, Difference]:
    """How far each scored row is above the next, by name; those without scores of questions are left out."""
    pairs = [
        (upper.name, upper.scores, lower.scores)
        for upper, lower in pairwise(rows)
        if upper.scores is not None and lower.scores is not None
    ]
    if not pairs:
        return {}
    defined = ~np.isnan(pairs[0][1])
    if not all((np.isfinite(own) == defined).all() for pair in pairs for own in pair[1:]):
        raise LeaderboardError(f"{RANKED_BY[task]} of {task} is undefined for other questions in one row than in another")
    if defined.sum() < MIN_QUESTIONS:
        return {}
    if resamples < least_resamples(len(pairs)):
        raise LeaderboardError(
            f"--resamples {resamples} is too few to mark any of {len(pairs)} differences: "
            f"give {least_resamples(len(pairs))} or more"
        )
    differences = np.stack([upper[defined] - lower[defined] for _, upper, lower in pairs], axis=1)
    found = paired_bootstrap(differences, resamples, seed)
    return {name: own for (name, _, _), own in zip(pairs, found, strict=True)}


# --- cells ------------------------------------------------------------------------------------------------------------


def _headers(task: Task) -> list[str]:
    ahead = f"{RANKED_BY[task]} above next"
    return ["row", "from", *SCORES[task], *(f"skill {name}" for name in SKILL_OF[task]), ahead]


def _cells(table: Table, row: Row) -> list[Cell]:
    """The figures of a row, and its lead."""
    figures = row.figures
    return [
        *((_percent(figures[name].value), _interval(figures[name])) for name in SCORES[table.task]),
        *((_percent(figures[name].skill), "") for name in SKILL_OF[table.task]),
        _lead(table.leads.get(row.name) if row.kind != "paper" else None),
    ]


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{round(value * 100, 2) + 0:.2f}"  # + 0: no "-0.00"


def _interval(figure: Figure) -> str:
    return "" if figure.low is None or figure.high is None else f"{figure.low * 100:.1f}-{figure.high * 100:.1f}"


def _lead(lead: Difference | None) -> Cell:
    if lead is None:
        return "", ""
    mark = "*" if lead.significant else ""
    return f"{_percent(lead.value)}{mark}", f"{_percent(lead.low)} to {_percent(lead.high)}"


def _title(table: Table) -> str:
    figures = next(row.figures for row in table.rows if row.kind != "paper")
    own = figures[RANKED_BY[table.task]]
    undefined = f", {own.undefined:,} more for which it is not defined" if own.undefined else ""
    return f"{TITLES[table.task]}, by {RANKED_BY[table.task]}: {own.count:,} questions{undefined}"


# --- the page ---------------------------------------------------------------------------------------------------------


def markdown(board: Leaderboard) -> str:
    """The page as Markdown that GitHub renders; nothing in a name is read as Markdown or HTML."""
    blocks = ["# R-AVST leaderboard", "\n".join(_settings(board.files[0].settings, _code))]
    for table in board.tables:
        blocks += [f"## {_title(table)}", _markdown_table(table)]
    return "\n\n".join([*blocks, "\n".join(f"- {note}" for note in _notes(board, _code, "\\*"))]) + "\n"


def plain(board: Leaderboard) -> str:
    """The page for a terminal."""
    blocks = ["\n".join(_settings(board.files[0].settings, visible))]
    blocks += [f"{_title(table)}\n{_plain_table(table)}" for table in board.tables]
    return "\n\n".join([*blocks, "\n".join(_notes(board, visible, "*"))])


def _markdown_table(table: Table) -> str:
    headers = _headers(table.task)
    lines = [headers, ["---", "---", *["---:"] * (len(headers) - 2)]]
    for row in table.rows:
        name = row.name if row.kind == "paper" else _code(row.name)
        cells = (f"{top}<br><sub>{small}</sub>" if small else top for top, small in _cells(table, row))
        lines.append([name, row.kind, *(cell.replace("*", "\\*") for cell in cells)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain_table(table: Table) -> str:
    headers = [header.replace(" ", "\n", 1) for header in _headers(table.task)]
    lines = [
        [visible(row.name), row.kind, *(f"{top}\n{small}" if small else top for top, small in _cells(table, row))]
        for row in table.rows
    ]
    align = ("left", "left", *["right"] * (len(headers) - 2))
    return tabulate(lines, headers, tablefmt="simple_outline", colalign=align, disable_numparse=True)


def _settings(own: Settings, write: Callable[[str], str]) -> list[str]:
    subset = ", a subset with as many of each task" if own.balanced else ""
    names = "by their letters alone (exact)" if own.word_vectors == EXACT else f"with {write(own.word_vectors)}"
    drawn = f"below each mean its 95% interval ({own.bootstrap_samples:,} resamples, seed {own.seed})"
    intervals = drawn if own.bootstrap_samples else "scored without intervals"
    return [
        f"{write(own.dataset)}, split {write(own.split)}: {own.questions:,} questions{subset}. Names matched {names}. "
        f"Metric version {write(own.version)}.",
        f"Percent; {intervals}. Skill: 0 is the best constant span, or the median box; 100 is perfect.",
    ]


def _notes(board: Leaderboard, write: Callable[[str], str], mark: str) -> list[str]:
    """What a reader has to know of the marks and the rows."""
    notes = [
        f'"above next" is the mean difference to the next scored row below (floors too, rows of the paper not) and its 95% '
        f"interval. {mark}: told from 0 at 5% by a paired bootstrap over the questions ({board.resamples:,} resamples, seed "
        f"{board.seed}), after Holm's correction for all such pairs of the table. Without it, the order may be chance.",
        INDEPENDENCE_NOTE,
    ]
    if few := [table.task for table in board.tables if _too_few(table)]:
        notes.append(f"Fewer than {MIN_QUESTIONS} questions, so no difference is tested: {', '.join(few)}.")
    notes += [
        f"{write(str(file.path))} has no scores of single questions (an older r-avst-score): its rows have no mark."
        for file in board.files
        if file.truth is None
    ]
    for own in board.models:
        if own.missing:
            notes.append(f"{write(own.name)}: {own.missing:,} questions have no prediction; each scores 0.")
    if any(own.name in FLOORS for own in board.models):
        notes += LEGEND.splitlines()
    has_paper = any(row.kind == "paper" for table in board.tables for row in table.rows)
    return [*notes, PAPER_NOTE if has_paper else PAPER_LEFT_OUT]


def _too_few(table: Table) -> bool:
    known = [row.scores for row in table.rows if row.scores is not None]
    return bool(known) and int(np.isfinite(known[0]).sum()) < MIN_QUESTIONS


# --- text from files --------------------------------------------------------------------------------------------------


def visible(text: str) -> str:
    r"""The text in one line, what cannot be printed (line breaks, escape sequences, text direction) written as its code.

    >>> visible("a\nb")
    'a\\nb'
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _code(text: str) -> str:
    """The text as a code span in a cell of a table: GitHub reads no Markdown, HTML, link or mention in it.

    A bar is escaped, as tables ask for. Renderers disagree about a backslash before it, which is so written as its code.
    """
    shown = visible(text).replace("\\|", "\\x5c|")
    runs = [len(run) for run in re.findall("`+", shown)]
    fence = "`" * (max(runs, default=0) + 1)
    room = " " if runs or shown != shown.strip() else ""
    return f"{fence}{room}{shown}{room}{fence}".replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
