"""The statistics on a data set's card: which figures of `statistics.json`, in which form, and the drawn ones."""

from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import Final

from r_avst.dataset_builder.dataset_statistics import DRAWN
from r_avst.dataset_builder.figures import FIGURES
from r_avst.dataset_builder.figures import checksum
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
COUNTED_BY_BOTH: Final[Mapping[str, Key]] = {
    "videos": ("table_1", "videos", "here"),
    "events": ("figure_3", "events"),
    "objects": ("figure_6", "objects", "here"),
    "questions": ("table_5", TOTAL, TOTAL, "here"),
    **{task: ("table_5", TOTAL, task, "here") for task in TASKS},
}
"""Where the statistics have what stands under ``counts`` in the report of the same data set."""


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
        CardError: the file is no JSON, or counts other videos, events, objects or questions than the report.
    """
    statistics = read_measured(path)
    for count, key in COUNTED_BY_BOTH.items():
        counted, built = statistics.at(*key), report.at("counts", count)
        if type(counted) is not int or counted != built:
            raise CardError(
                f"{path} counts {_told(counted)} {count}, {report.name} {_told(built)}: "
                "these are the statistics of another data set; run r-avst-stats on this one"
            )
    return statistics


def _told(count: Any) -> str:
    return f"{count}" if type(count) is int else "no"


def drawn_figures(path: Path, statistics: Measured) -> list[str]:
    """The names of the PNG files that `r-avst-stats` drew with this ``statistics.json``, if they lie beside it.

    Raises:
        CardError: a picture beside it is another one than was drawn with it.
    """
    shown = [name for name in (f"{figure}.png" for figure in FIGURES) if path.with_name(name).is_file()]
    for name in shown:
        if statistics.text(DRAWN, name) != checksum(path.with_name(name)):
            raise CardError(f"{path.with_name(name)} was not drawn with {path}; run r-avst-stats on the data set again")
    return shown
