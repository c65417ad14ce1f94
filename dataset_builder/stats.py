"""The paper's statistics and figures for any built data set: `r-avst-stats r-avst/ --out figures/`."""

# Absolute imports, so that the file also runs by its path.
import argparse
import json
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from r_avst.dataset_builder.build_from_release import existing_file
from r_avst.dataset_builder.built_dataset import BuiltDatasetError
from r_avst.dataset_builder.built_dataset import label_events
from r_avst.dataset_builder.built_dataset import load_built_dataset
from r_avst.dataset_builder.dataset_folder import BuildError
from r_avst.dataset_builder.dataset_statistics import DRAWN
from r_avst.dataset_builder.dataset_statistics import Statistics
from r_avst.dataset_builder.dataset_statistics import beside_paper
from r_avst.dataset_builder.dataset_statistics import statistics_of
from r_avst.dataset_builder.figures import FiguresMissingError
from r_avst.dataset_builder.figures import checksum
from r_avst.dataset_builder.figures import remove_figures
from r_avst.dataset_builder.figures import write_figures
from r_avst.dataset_builder.line_files import put_text
from r_avst.dataset_builder.paper_statistics import OURS
from r_avst.dataset_builder.paper_statistics import TABLE_1
from r_avst.dataset_builder.sources.unav100 import UnavError
from r_avst.dataset_builder.sources.unav100 import read_unav

STATISTICS = "statistics.json"
DESCRIPTION = f"""\
Counts what the paper (arXiv 2511.16901) tells of its data set: its row of table 1, table 5, figure 3 and figure 6.

Prints the tables, and writes the figures as PNG and SVG and every figure of them to {STATISTICS}, each beside the paper's
where it has one. The pictures are readable on light and on dark pages.
"""
EPILOG = """\
examples:
  r-avst-stats r-avst/ --out figures/
  r-avst-stats user/r-avst --unav unav100_annotations.json
"""
NO_FIGURE = "-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script `r-avst-stats`."""
    options = _parser().parse_args(arguments)
    try:
        statistics = count(options.dataset, options.unav)
        name = dataset_name(options.dataset)
        beside = beside_paper(statistics, name)
        print(render_tables(statistics, beside))
        written = write_all(statistics, beside, options.out)
    except (BuildError, BuiltDatasetError, FiguresMissingError, UnavError) as error:
        print(f"r-avst-stats: {error}", file=sys.stderr)
        return 2
    print("\n" + "\n".join(str(path) for path in written))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="r-avst-stats",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", help="a folder of r-avst-build, or user/name on the Hub")
    parser.add_argument("--out", type=Path, default=Path("figures"), metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--unav", type=Path, metavar="FILE", help="UnAV-100's annotation JSON: labels the events that have no class yet"
    )
    return parser


def count(dataset: str, unav: Path | None) -> Statistics:
    """The statistics of a data set; with UnAV-100's annotations, its unlabelled events get their classes from these.

    Raises:
        BuiltDatasetError: there is no such data set, or it is none of this builder.
        BuildError, UnavError: there is no such file of annotations, or it is not in UnAV-100's form.
    """
    segments = {} if unav is None else read_unav(existing_file(unav))
    return statistics_of(label_events(load_built_dataset(dataset), segments))


def dataset_name(dataset: str) -> str:
    """The name of a folder, without where it is; that of a data set on the Hub as it is."""
    path = Path(dataset)
    return path.resolve().name if path.is_dir() else dataset


def write_all(statistics: Statistics, beside: Mapping[str, Any], out: Path) -> list[Path]:
    """Writes ``statistics.json`` and the figures; returns the paths.

    The JSON tells the checksums of the figures that were drawn with it, none until all are. Those of an earlier run are
    removed before.

    Raises:
        BuildError: the folder cannot be written.
        FiguresMissingError: a package that draws is not installed; the JSON is there.
    """
    path = out / STATISTICS
    try:
        out.mkdir(parents=True, exist_ok=True)
        remove_figures(out)
        _put(path, beside, [])
        drawn = write_figures(statistics, out)
        _put(path, beside, drawn)
    except OSError as error:
        raise BuildError(f"{out} cannot be written ({error}); give another --out") from error
    return [path, *drawn]


def _put(path: Path, beside: Mapping[str, Any], drawn: Sequence[Path]) -> None:
    told = {**beside, DRAWN: {figure.name: checksum(figure) for figure in drawn}}
    put_text(path, json.dumps(told, indent=1) + "\n")


# --- tables -----------------------------------------------------------------------------------------------------------


def render_tables(statistics: Statistics, beside: Mapping[str, Any]) -> str:
    """Tables 1 and 5 with the paper's rows, and what the figures tell in a number, for a terminal."""
    return "\n\n".join((_table_1(beside), _table_5(beside["table_5"]), "\n".join(_remarks(statistics, beside))))


def _table_1(beside: Mapping[str, Any]) -> str:
    here = [own["here"] for own in beside["table_1"].values()]
    rows = [[f"{beside['dataset']} (here)", *here]]
    for name in (OURS, *(name for name in TABLE_1 if name != OURS)):
        own = TABLE_1[name]
        rows.append([f"{name} (paper)", own.videos, own.classes, own.mean_length, own.objects_a_video, own.modality])
    headers = ("data set", "videos", "classes", "mean length (s)", "objects a video", "modality")
    return f"Table 1\n{_tabulated([[_cell(cell) for cell in row] for row in rows], headers)}"


def _table_5(table: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        [f"{split} ({source})", *(_cell(own[source]) for own in tasks.values())]
        for split, tasks in table.items()
        for source in ("here", "paper")
    ]
    return f"Table 5: questions\n{_tabulated(rows, ('split', 'temporal', 'spatial', 'spatio-temporal', 'total'))}"


def _tabulated(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    aligned = ["left", *["right"] * (len(headers) - 1)]
    return tabulate(rows, headers, colalign=aligned, disable_numparse=True)


def _cell(value: Any) -> str:
    if value is None:
        return NO_FIGURE
    if isinstance(value, float):
        return f"{value:,.2f}"
    return value if isinstance(value, str) else f"{value:,}"


def _remarks(own: Statistics, beside: Mapping[str, Any]) -> list[str]:
    length, objects = beside["figure_3"]["total_length_s"], beside["figure_6"]["objects"]
    share = beside["figure_6"]["visible_and_audible_share"]
    heard = "not known" if share["here"] is None else f"{share['here']:.2%}"
    remarks = [
        f"Total duration {length['here']:,.0f} s (paper {length['paper']:,.0f} s); {own.events:,} events.",
        f"{objects['here']:,} objects (paper {objects['paper']:,}); visible and audible are {heard} "
        f"(paper {share['paper']:.2%}).",
        "An object counts in every event that has it. A data set of the released file holds only the objects that its "
        "questions name.",
    ]
    if empty := [split for split, videos in own.videos.items() if not videos]:
        remarks.append(f"It has no {' and no '.join(empty)} videos; the paper's row of table 1 counts train and test.")
    if own.unlabelled_events:
        remarks.append(f"Events without a class: {own.unlabelled_events:,}; --unav labels those of UnAV-100's videos.")
    if own.unknown_lengths:
        remarks.append(f"Videos of unknown duration, for they have no question: {own.unknown_lengths:,}.")
    return remarks


if __name__ == "__main__":
    sys.exit(main())
