"""The statistics on a data set's card: which figures of `statistics.json`, in which form, and the drawn ones."""

from collections.abc import Iterator
from pathlib import Path

from r_avst.dataset_builder.figures import FIGURES
from r_avst.dataset_builder.paper_statistics import TABLE_5
from r_avst.metrics.avst_metrics.answers import TASKS

from .measured import CardError
from .measured import Measured
from .measured import read_measured

FIGURE_FOLDER = "figures"
TOTAL = "total"
Key = tuple[str, ...]

SINGLE: tuple[Key, ...] = (
    ("figure_3", "events"),
    ("figure_3", "unlabelled_events"),
    ("figure_3", "videos_of_unknown_length"),
    ("figure_6", "visible_and_audible"),
    ("figure_6", "silent"),
    ("figure_6", "audibility_unknown"),
)
"""Counts that the paper does not give."""


def beside_the_paper() -> Iterator[tuple[str, Key]]:
    """Form and key of every figure that the paper gives too; under the key stand ``here`` and ``paper``."""
    yield "count", ("table_1", "videos")
    yield "count", ("table_1", "classes")
    yield "number", ("table_1", "mean_length_s")
    yield "number", ("table_1", "objects_a_video")
    yield "number", ("figure_3", "total_length_s")
    yield "count", ("figure_6", "objects")
    yield "share", ("figure_6", "visible_and_audible_share")
    for split in (*TABLE_5, TOTAL):
        yield "count", ("videos", split)
        yield from (("count", ("table_5", split, task)) for task in (*TASKS, TOTAL))


def read_statistics(path: Path, report: Measured) -> Measured:
    """The statistics of the data set that ``report`` tells of.

    Raises:
        CardError: the file is no JSON, or counts the questions of another data set.
    """
    statistics = read_measured(path)
    counted, built = statistics.at("table_5", TOTAL, TOTAL, "here"), report.at("counts", "questions")
    if counted != built:
        raise CardError(
            f"{path} counts {counted if isinstance(counted, int) else 'no'} questions, {report.name} {built}: "
            "these are the statistics of another data set; run r-avst-stats on this one"
        )
    return statistics


def drawn_figures(path: Path) -> list[str]:
    """The names of the PNG files that `r-avst-stats` drew beside its ``statistics.json``."""
    return [f"{name}.png" for name in FIGURES if path.with_name(f"{name}.png").is_file()]
