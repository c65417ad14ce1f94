"""The card of a built data set: what its folder holds, from `build_report.json` and the statistics."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import Final

import yaml
from huggingface_hub import DatasetCard
from huggingface_hub import DatasetCardData
from huggingface_hub import metadata_load

from r_avst.dataset_builder.builder import CONFIGS
from r_avst.dataset_builder.builder import SPLITS
from r_avst.dataset_builder.dataset_folder import REPORT
from r_avst.dataset_builder.oddities import CHECKS
from r_avst.dataset_builder.sources import card_texts
from r_avst.dataset_builder.sources.release import CARD_TEXT

from .citations import r_avst_citation
from .measured import NOTHING_MEASURED
from .measured import CardError
from .measured import Measured
from .measured import read_measured
from .rendering import rendered
from .safe_text import code
from .safe_text import licence
from .statistics_section import SINGLE
from .statistics_section import beside_the_paper
from .statistics_section import drawn_figures
from .statistics_section import read_statistics

CARD = "README.md"
RELEASE = "release"
ABOUT: Final[Mapping[str, str]] = {
    RELEASE: CARD_TEXT.body,
    "unav100": card_texts.UNAV100.body,
    "folder": card_texts.FOLDER,
    "synthetic": card_texts.SYNTHETIC.body,
}
"""What the builder says of a data set of each source; on the card the citation has a section of its own."""
TITLES: Final[Mapping[str, str]] = {
    RELEASE: "R-AVST",
    "unav100": "Questions in the form of R-AVST on videos of UnAV-100",
    "folder": "Questions in the form of R-AVST on own videos",
    "synthetic": "R-AVST synthetic world",
}
"""What a data set of each source is called."""
FROM_YOUTUBE = (RELEASE, "unav100")
CITATION_FENCE = "```bibtex"
COUNTS = (
    "videos",
    "events",
    "objects",
    "questions",
    "temporal",
    "spatial",
    "spatio_temporal",
    "box_rows",
    "invisible_box_rows",
)
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def dataset_card(folder: Path, statistics: Path | None = None) -> str:
    """The whole README.md of a data set.

    Args:
        folder: what `r-avst-build` wrote; the configs of its card are kept as they are.
        statistics: the JSON of `r-avst-stats` for this folder. Figures drawn beside it are shown from ``figures/``.

    Raises:
        CardError: a file is missing or not as it was written, or Jinja2 is not installed.
    """
    report = read_measured(folder / REPORT)
    kind = _kind(report)
    data = _metadata(folder, {"language": "en", "pretty_name": TITLES[kind], "size_categories": _size(report)})
    return rendered(
        DatasetCard,
        data,
        "dataset.md",
        title=TITLES[kind],
        about=ABOUT[kind].partition(CITATION_FENCE)[0].strip(),
        kind=kind,
        youtube=kind in FROM_YOUTUBE,
        licence=data.license,
        report=report,
        rows=_rows(report),
        counts=COUNTS,
        oddities=_oddities(report),
        origin=_origin(report),
        citation=r_avst_citation(),
        **_statistics(statistics, report),
    )


def _statistics(path: Path | None, report: Measured) -> dict[str, Any]:
    if path is None:
        return {"statistics": NOTHING_MEASURED, "pairs": (), "single": (), "drawn": ()}
    statistics = read_statistics(path, report)
    return {
        "statistics": statistics,
        "pairs": beside_the_paper(),
        "single": SINGLE,
        "drawn": drawn_figures(path, statistics),
    }


# --- what the report tells --------------------------------------------------------------------------------------------


def _kind(report: Measured) -> str:
    """Which source the data set was built from; the released annotations name themselves by their file."""
    kind = report.text("source", "kind") or (RELEASE if report.text("source", "annotations") else None)
    if kind is None or kind not in ABOUT:
        raise CardError(f"{report.name}: the source {kind!r} is none of {', '.join(ABOUT)}; build the data set again")
    return kind


def _rows(report: Measured) -> list[tuple[str, str]]:
    """The configs and splits that the report counts the rows of."""
    found = [(config, split) for config in report.names("rows") for split in report.names("rows", config)]
    if unknown := [own for own in found if own[0] not in CONFIGS or own[1] not in SPLITS]:
        raise CardError(f"{report.name}: rows of an unknown config or split {unknown[0]}; build the data set again")
    return found


def _oddities(report: Measured) -> list[tuple[str, str, str]]:
    """Kind, unit and handling of all kinds of oddities; the words are the builder's own, not the file's."""
    if unknown := set(report.names("oddities")) - set(CHECKS):
        raise CardError(f"{report.name}: unknown oddities {sorted(unknown)}; build the data set again")
    return [(kind, unit, handling) for kind, (unit, handling, _) in CHECKS.items()]


def _origin(report: Measured) -> dict[str, str]:
    """The released file and its checksum."""
    found = {key: report.text("source", key) for key in ("annotations", "sha256")}
    return {key: code(text, f"{report.name}: source.{key}") for key, text in found.items() if text}


# --- metadata ---------------------------------------------------------------------------------------------------------


def _metadata(folder: Path, own: Mapping[str, Any]) -> DatasetCardData:
    """What the builder wrote, with the card's ``own`` in place of it or beside it."""
    path = folder / CARD
    try:
        written = metadata_load(path) or {}
    except OSError as error:
        raise CardError(f"{path} cannot be read ({error.strerror}); build the data set again") from None
    except (ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise CardError(f"{path} has no valid metadata ({error}); build the data set again") from None
    _check_configs(written.get("configs"), folder)
    licence(written.get("license"), f"{path}: the licence")
    try:
        return DatasetCardData(**{**written, **own})
    except TypeError as error:  # a key that is no text, or one that no argument can have
        raise CardError(f"{path} has no valid metadata ({error}); build the data set again") from None


def _check_configs(configs: Any, folder: Path) -> None:
    """What the card tells `load_dataset` to load has to be in the folder."""
    try:
        paths = [path for config in configs for files in config["data_files"] for path in files["path"]]
        names = {config["config_name"] for config in configs}
        splits = {files["split"] for config in configs for files in config["data_files"]}
    except (KeyError, TypeError):
        raise CardError(f"{folder / CARD}: its configs are not those of r-avst-build; build the data set again") from None
    if unknown := (names - {"default", *CONFIGS}) | (splits - set(SPLITS)):
        raise CardError(f"{folder / CARD}: unknown configs or splits {sorted(map(repr, unknown))}; build the data set again")
    if missing := [path for path in paths if not _is_inside(folder, path)]:
        raise CardError(f"{folder / CARD} names {missing[0]!r}, which is not in the folder; build the data set again")


def _is_inside(folder: Path, path: Any) -> bool:
    return (
        isinstance(path, str) and ".." not in Path(path).parts and not Path(path).is_absolute() and (folder / path).is_file()
    )


def _size(report: Measured) -> str | None:
    questions = report.at("counts", "questions")
    if type(questions) is not int:
        return None
    return next((name for limit, name in _SIZES if questions < limit), "n>1M")
