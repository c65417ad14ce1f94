"""The paper's figures, a few of each table typed a second time, and the tables' shapes."""

import pytest

from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.scores import TABLE_SCORES
from r_avst.metrics.avst_metrics.scores import has_score
from r_avst.metrics.paper_tables import MODELS
from r_avst.metrics.paper_tables import ROWS
from r_avst.metrics.paper_tables import SCORES
from r_avst.metrics.paper_tables import paper_rows


@pytest.mark.parametrize(
    ("task", "model", "percent"),
    [
        ("temporal", "Qwen2.5-VL 7B", [36.05, 46.40, 34.38, 16.22]),
        ("temporal", "GroundingGPT 7B", [10.77, 11.06, 5.38, 1.84]),
        ("temporal", "AVST-Zero 7B", [47.96, 71.13, 51.43, 23.91]),
        ("temporal", "AVST-Zero-Omni 7B", [34.79, 51.05, 21.32, 11.56]),
        ("spatial", "Qwen2.5-VL 7B", [1.91, 2.31, 0.90, 0.15]),
        ("spatial", "InternVL2.5 8B", [15.97, 0.74, 0.66, 0.00]),
        ("spatial", "VideoChat-R1 7B", [15.54, 1.99, 3.11, 0.36]),
        ("spatial", "AVST-Zero-Omni 7B", [19.48, 3.87, 4.47, 2.17]),
        ("spatio_temporal", "Qwen2.5-VL 7B", [34.55, 45.10, 29.74, 15.69, 1.37, 1.14, 0.65]),
        ("spatio_temporal", "Video-LLaMA3 7B", [37.43, 50.65, 34.64, 22.22, 1.69, 1.63, 0.00]),
        ("spatio_temporal", "Video-R1 7B", [22.05, 26.47, 10.13, 5.23, 0.15, 0.11, 0.00]),
        ("spatio_temporal", "AVST-Zero-Omni 7B", [35.97, 50.00, 20.92, 10.46, 17.74, 22.90, 12.26]),
    ],
)
def test_figures_are_those_of_the_paper(task: Task, model: str, percent: list[float]) -> None:
    assert list(paper_rows(task)[model].values()) == pytest.approx([value / 100 for value in percent], abs=1e-12)


@pytest.mark.parametrize(
    ("task", "columns"),
    [
        ("temporal", ["m_tIoU", "R1@0.3", "R1@0.5", "R1@0.7"]),
        ("spatial", ["object_accuracy", "m_vIoU", "AP@0.3", "AP@0.5"]),
        ("spatio_temporal", ["m_tIoU", "R1@0.3", "R1@0.5", "R1@0.7", "m_vIoU", "AP@0.3", "AP@0.5"]),
    ],
)
def test_columns_stand_in_the_order_of_the_paper(task: Task, columns: list[str]) -> None:
    assert [list(own) for own in paper_rows(task).values()] == [columns] * 9
    assert set(columns) <= set(TABLE_SCORES)
    assert all(has_score(task, name) for name in columns)


def test_each_table_has_nine_models_and_as_many_figures_as_columns() -> None:
    assert len(MODELS) == len(set(MODELS)) == 9
    assert (MODELS[0], MODELS[-2:]) == ("Qwen2.5-VL 7B", ("AVST-Zero 7B", "AVST-Zero-Omni 7B"))
    assert list(ROWS) == list(SCORES) == list(TASKS)
    assert {task: [len(row) for row in rows] for task, rows in ROWS.items()} == {
        "temporal": [4] * 9,
        "spatial": [4] * 9,
        "spatio_temporal": [7] * 9,
    }
    assert [list(paper_rows(task)) for task in TASKS] == [list(MODELS)] * 3


@pytest.mark.parametrize("task", TASKS)
def test_no_figure_contradicts_its_neighbours(task: Task) -> None:
    for figures in paper_rows(task).values():
        assert all(0 <= value <= 1 for value in figures.values())
        for easier, harder in (("R1@0.3", "R1@0.5"), ("R1@0.5", "R1@0.7"), ("AP@0.3", "AP@0.5")):
            assert figures.get(easier, 1) >= figures.get(harder, 0)


def test_tables_2_and_3_have_the_sums_of_the_printed_columns() -> None:
    sums = {task: [round(sum(column), 2) for column in zip(*rows, strict=True)] for task, rows in ROWS.items()}
    assert sums == {
        "temporal": [281.46, 372.73, 235.79, 122.16],
        "spatial": [109.92, 15.76, 15.80, 5.34],
        "spatio_temporal": [286.40, 385.30, 224.65, 121.61, 43.00, 48.84, 18.38],
    }
