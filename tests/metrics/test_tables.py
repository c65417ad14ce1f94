"""The tables as text: columns, rows, cells, breakdowns and notes."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.scores import TABLE_SCORES
from r_avst.metrics.avst_metrics.scores import has_score
from r_avst.metrics.paper_tables import MODELS
from r_avst.metrics.paper_tables import SCORES
from r_avst.metrics.tables import LEGEND
from r_avst.metrics.tables import PAPER_LEFT_OUT
from r_avst.metrics.tables import RELEASED
from r_avst.metrics.tables import SKILL_OF
from r_avst.metrics.tables import TITLES
from r_avst.metrics.tables import render_tables

SETTINGS = {
    "dataset": "r-avst",
    "split": "test",
    "word_vectors": "exact",
    "bootstrap_samples": 1000,
    "balanced": False,
    "by": None,
    "seed": 0,
    "questions": 1638,
}


def figures(task: Task, **changes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """All figures of a task: 0.5 each, or as changed by score (``m_tIoU={"value": 0.1}``)."""
    figure = {"value": 0.5, "low": 0.25, "high": 0.75, "count": 10, "undefined": 0, "floor": 0.4, "skill": 0.125}
    return {name: figure | changes.get(name, {}) for name in TABLE_SCORES if has_score(task, name)}


def released_model() -> dict[str, Any]:
    """With as many questions of each task as were released."""
    own = model(*TASKS)
    own["figures"] = {task: figures(task, format_rate={"count": count}) for task, count in RELEASED.items()}
    return own


def model(*tasks: Task, missing: int = 0, **groups: dict[str, Any]) -> dict[str, Any]:
    return {"figures": {task: figures(task) for task in tasks}, "missing": missing} | ({"groups": groups} if groups else {})


def result(models: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    return {"settings": SETTINGS | settings, "models": models}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("│")[1:-1]]


def table(text: str, title: str) -> list[list[str]]:
    """The lines of the table under a title, header included, as cells."""
    lines = text[text.index(title) :].splitlines()[1:]
    end = next(index for index, line in enumerate(lines) if line.startswith("└"))
    return [cells(line) for line in lines[:end] if line.startswith("│")]


def headers(text: str, task: Task) -> list[str]:
    """The column names of a task's table; a name that takes two lines is joined."""
    first, second = table(text, TITLES[task])[:2]
    return [f"{a} {b}".strip() for a, b in zip(first, second, strict=True)]


# --- columns and rows -------------------------------------------------------------------------------------------------

COLUMNS = {
    "temporal": ["m_tIoU", "R1@0.3", "R1@0.5", "R1@0.7", "skill m_tIoU"],
    "spatial": ["object_accuracy", "m_vIoU", "AP@0.3", "AP@0.5", "skill m_vIoU"],
    "spatio_temporal": [
        *("m_tIoU", "R1@0.3", "R1@0.5", "R1@0.7", "m_vIoU", "AP@0.3", "AP@0.5"),
        *("skill m_tIoU", "skill m_vIoU"),
    ],
}


@pytest.mark.parametrize("task", TASKS)
def test_columns_stand_in_the_order_of_the_paper_with_skill_behind_them(task: Task) -> None:
    text = render_tables(result({"a model": model(*TASKS)}), with_paper=False)
    assert headers(text, task) == ["", *COLUMNS[task]]


def test_a_row_shows_percent_with_the_interval_below() -> None:
    own = model("temporal")
    own["figures"]["temporal"] = figures(
        "temporal",
        m_tIoU={"value": 0.58304, "low": 0.5, "high": 1.0, "skill": -0.00001},
        **{"R1@0.3": {"value": 1.0, "low": 0.9996, "high": 1.0}, "R1@0.5": {"value": 0.0, "low": 0.0, "high": 0.0004}},
    )
    lines = table(render_tables(result({"a model": own}), with_paper=False), TITLES["temporal"])
    assert lines[2:] == [
        ["a model", "58.30", "100.00", "0.00", "50.00", "0.00"],
        ["", "50.0-100", "100.0-100", "0.0-0.0", "25.0-75.0", ""],
    ]


def test_figures_and_intervals_that_are_not_there_are_no_numbers() -> None:
    own = model("spatial")
    nothing = {"value": None, "low": None, "high": None, "skill": None, "floor": None}
    own["figures"]["spatial"] = figures("spatial", m_vIoU=nothing, object_accuracy={"low": None, "high": None})
    lines = table(render_tables(result({"a model": own}), with_paper=False), TITLES["spatial"])
    assert lines[2:] == [["a model", "50.00", "n/a", "50.00", "50.00", "n/a"], ["", "", "", "25.0-75.0", "25.0-75.0", ""]]


def test_without_any_interval_a_row_is_one_line() -> None:
    own = model("temporal")
    own["figures"]["temporal"] = figures("temporal", **{name: {"low": None, "high": None} for name in SCORES["temporal"]})
    assert len(table(render_tables(result({"a": own, "b": own}), with_paper=False), TITLES["temporal"])) == 2 + 2


def test_models_stand_in_their_order_and_only_tasks_with_questions_have_a_table() -> None:
    text = render_tables(result({"zeta": model("spatial"), "alpha": model("spatial")}), with_paper=False)
    assert [line[0] for line in table(text, TITLES["spatial"])[2:] if line[0]] == ["zeta", "alpha"]
    assert TITLES["temporal"] not in text
    assert TITLES["spatio_temporal"] not in text


@pytest.mark.parametrize("task", TASKS)
def test_the_paper_s_rows_stand_below_with_skill_against_the_same_floor(task: Task) -> None:
    text = render_tables(result({"a model": released_model()}), with_paper=True)
    rows = [line for line in table(text, TITLES[task])[2:] if line[0].endswith("(paper)")]
    assert [line[0] for line in rows] == [f"{name} (paper)" for name in MODELS]
    for line in rows:
        values = dict(zip(COLUMNS[task], map(float, line[1:]), strict=True))
        for name in SKILL_OF[task]:
            assert values[f"skill {name}"] == pytest.approx((values[name] - 40) / 60 * 100, abs=0.011)
    assert PAPER_LEFT_OUT not in text
    assert "(paper)" not in render_tables(result({"a": released_model()}), with_paper=False)


@pytest.mark.parametrize("task", [*TASKS, None])
def test_the_paper_s_rows_do_not_stand_beside_other_questions_than_the_released(task: Task | None) -> None:
    own = released_model()
    if task is None:
        del own["figures"]["temporal"]
    else:
        own["figures"][task] = figures(task, format_rate={"count": RELEASED[task] - 1})
    text = render_tables(result({"a model": own}), with_paper=True)
    assert "(paper)" not in text
    assert text.endswith("\n\nThe paper's rows are of the released test split and are left out here.")
    assert PAPER_LEFT_OUT not in render_tables(result({"a model": own}), with_paper=False)


def test_the_paper_s_first_temporal_row_is_printed_as_it_stands_there() -> None:
    text = render_tables(result({"a model": released_model()}), with_paper=True)
    line = next(line for line in table(text, TITLES["temporal"]) if line[0] == "AVST-Zero 7B (paper)")
    assert line == ["AVST-Zero 7B (paper)", "47.96", "71.13", "51.43", "23.91", "13.27"]


# --- headings and notes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "r-avst, test: 1,638 questions. Names matched by their letters alone (exact)."),
        ({"word_vectors": "x.npz"}, "r-avst, test: 1,638 questions. Names matched with x.npz."),
        ({"balanced": True, "questions": 918}, "r-avst, test: 918 questions, a subset with as many of each task. Names"),
        ({"bootstrap_samples": 50, "seed": 3}, "95% interval (50 resamples, seed 3)"),
    ],
)
def test_the_heading_says_what_was_scored_and_how(settings: dict[str, Any], expected: str) -> None:
    assert expected in render_tables(result({"a": model("temporal")}, **settings), with_paper=False)


def test_questions_and_undefined_ones_are_counted_above_the_table() -> None:
    own = model("spatial", "temporal")
    own["figures"]["spatial"] = figures(
        "spatial", format_rate={"count": 1666}, m_vIoU={"count": 1665, "undefined": 1}, vIoU_any={"undefined": 1}
    )
    text = render_tables(result({"a": own}), with_paper=False)
    assert "1,666 questions; 1 without a visible true box left out of the scores of boxes\n" in text
    assert f"{TITLES['temporal']}: 10 questions\n" in text


def test_missing_predictions_are_counted_for_each_model() -> None:
    models = {"a": model("temporal", missing=1200), "b": model("temporal"), "c": model("temporal", missing=1)}
    text = render_tables(result(models), with_paper=False)
    assert re.findall(r"^(\w): (.*) have no prediction; each scores 0\.$", text, re.MULTILINE) == [
        ("a", "1,200 of 1,638 questions"),
        ("c", "1 of 1,638 questions"),
    ]


@pytest.mark.parametrize(("name", "explained"), [("whole video", True), ("gold", True), ("a model", False)])
def test_floors_are_explained_where_they_stand(name: str, explained: bool) -> None:
    assert (LEGEND in render_tables(result({name: model("temporal")}), with_paper=False)) == explained


# --- breakdowns -------------------------------------------------------------------------------------------------------


def test_a_breakdown_has_a_row_for_each_group_and_model_that_has_questions() -> None:
    group = {"temporal": figures("temporal")}
    other = {"temporal": figures("temporal", m_tIoU={"value": 0.25}, format_rate={"count": 1234})}
    models = {"a": model("temporal", first=group, second=other), "b": model("temporal", first=other, third={})}
    text = render_tables(result(models, by="coverage"), with_paper=True)
    lines = table(text, f"{TITLES['temporal']} by coverage")
    assert lines[0] == ["coverage", "", "questions", "m_tIoU", "R1@0.3", "R1@0.5", "R1@0.7", "skill"]
    assert [line[:4] for line in lines[2:] if line[0]] == [
        ["first", "a", "10", "50.00"],
        ["first", "b", "1,234", "25.00"],
        ["second", "a", "1,234", "25.00"],
    ]
    assert f"{TITLES['spatial']} by coverage" not in text
    assert "(paper)" not in text[text.index("by coverage") :]


def test_without_a_breakdown_no_groups_are_printed() -> None:
    assert " by coverage" not in render_tables(result({"a": model("temporal", first={})}), with_paper=False)
