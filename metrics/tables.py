"""The score tables as text: one a task, in the paper's column order, then the skill."""

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from .avst_metrics.answers import TASKS
from .avst_metrics.answers import Task
from .avst_metrics.skill import skill
from .floors import FLOORS
from .floors import LEGEND
from .paper_tables import SCORES
from .paper_tables import paper_rows

RELEASED: dict[Task, int] = {"temporal": 666, "spatial": 666, "spatio_temporal": 306}
"""Questions of the released test split, beside which the paper's rows may stand."""
PAPER_LEFT_OUT = "The paper's rows are of the released test split and are left out here."
TITLES: dict[Task, str] = {
    "temporal": "Temporal (paper, table 3)",
    "spatial": "Spatial (paper, table 2)",
    "spatio_temporal": "Spatio-temporal (paper, table 2)",
}
SKILL_OF: dict[Task, tuple[str, ...]] = {
    "temporal": ("m_tIoU",),
    "spatial": ("m_vIoU",),
    "spatio_temporal": ("m_tIoU", "m_vIoU"),
}


def render_tables(result: Mapping[str, Any], with_paper: bool) -> str:
    """The tables of `score.score`'s result, figures in percent; under each mean its 95% interval.

    The paper's rows stand beside as many questions as were released only; else a line says that they are left out.
    """
    settings, models = result["settings"], result["models"]
    beside = with_paper and _counts(models) == RELEASED
    blocks = [_heading(settings)]
    for task in TASKS:
        rows = {name: own["figures"].get(task) for name, own in models.items() if task in own["figures"]}
        if rows:
            paper = paper_rows(task) if beside else {}
            blocks.append(_table(task, rows, paper))
    if settings["by"]:
        blocks += [_breakdown(task, models, settings["by"]) for task in TASKS]
    blocks += [_missing(name, own["missing"], settings["questions"]) for name, own in models.items() if own["missing"]]
    if FLOORS.keys() & models.keys():
        blocks.append(LEGEND)
    if with_paper and not beside:
        blocks.append(PAPER_LEFT_OUT)
    return "\n\n".join(block for block in blocks if block)


def _counts(models: Mapping[str, Any]) -> dict[Task, int]:
    figures = ((task, own["figures"][task]) for own in models.values() for task in TASKS if task in own["figures"])
    return {task: own["format_rate"]["count"] for task, own in figures}


def _heading(settings: Mapping[str, Any]) -> str:
    names = "by their letters alone (exact)" if settings["word_vectors"] == "exact" else f"with {settings['word_vectors']}"
    subset = ", a subset with as many of each task" if settings["balanced"] else ""
    return (
        f"{settings['dataset']}, {settings['split']}: {settings['questions']:,} questions{subset}. Names matched {names}.\n"
        f"Percent; below each mean its 95% interval ({settings['bootstrap_samples']:,} resamples, seed {settings['seed']}). "
        "Skill: 0 is the best constant span, or the median box; 100 is perfect."
    )


def _table(task: Task, rows: Mapping[str, Any], paper: Mapping[str, Mapping[str, float]]) -> str:
    lines = [[name, *_cells(task, figures)] for name, figures in rows.items()]
    floors = {name: own["floor"] for name, own in next(iter(rows.values())).items()}
    lines += [[f"{model} (paper)", *_paper_cells(task, own, floors)] for model, own in paper.items()]
    figures = next(iter(rows.values()))
    undefined = max(own["undefined"] for own in figures.values())
    note = f"; {undefined} without a visible true box left out of the scores of boxes" if undefined else ""
    return f"{TITLES[task]}: {figures['format_rate']['count']:,} questions{note}\n{_grid(lines, ['', *_headers(task)])}"


def _breakdown(task: Task, models: Mapping[str, Any], by: str) -> str:
    lines = []
    groups = dict.fromkeys(group for own in models.values() for group in own["groups"])
    for group in groups:
        for name, own in models.items():
            figures = own["groups"].get(group, {}).get(task)
            if figures:
                lines.append([group, name, f"{figures['format_rate']['count']:,}", *_cells(task, figures)])
    return f"{TITLES[task]} by {by}\n{_grid(lines, [by, '', 'questions', *_headers(task)], names=2)}" if lines else ""


def _headers(task: Task) -> list[str]:
    return [*SCORES[task], *(f"skill\n{name}" for name in SKILL_OF[task])]


def _cells(task: Task, figures: Mapping[str, Any]) -> list[str]:
    scores = [
        f"{_percent(own['value'])}\n{_interval(own['low'], own['high'])}" for own in (figures[name] for name in SCORES[task])
    ]
    return scores + [_percent(figures[name]["skill"]) for name in SKILL_OF[task]]


def _paper_cells(task: Task, own: Mapping[str, float], floors: Mapping[str, float | None]) -> list[str]:
    skills = [skill(own[name], floors[name]) for name in SKILL_OF[task]]
    return [_percent(own[name]) for name in SCORES[task]] + [_percent(value) for value in skills]


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{round(value * 100, 2) + 0:.2f}"  # + 0: no "-0.00"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{_short(low)}-{_short(high)}"


def _short(value: float) -> str:
    return "100" if value == 1 else f"{value * 100:.1f}"


def _grid(lines: list[list[Any]], headers: list[str], names: int = 1) -> str:
    """A grid whose first ``names`` columns are text and whose others are figures."""
    align = (*["left"] * names, *["right"] * (len(headers) - names))
    return tabulate(lines, headers, tablefmt="simple_outline", colalign=align, disable_numparse=True)


def _missing(name: str, missing: int, questions: int) -> str:
    return f"{name}: {missing:,} of {questions:,} questions have no prediction; each scores 0."
