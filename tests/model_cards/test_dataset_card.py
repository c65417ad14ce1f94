"""The card of a data set: the configs that the builder wrote, and figures that stand in the files that it names."""

import json
import re
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from card_files import read
from card_files import written
from card_numbers import REPORT_TABLE
from card_numbers import STATISTICS_TABLE
from card_numbers import body
from card_numbers import cells
from card_numbers import rest
from card_numbers import unexplained
from card_numbers import with_other_numbers
from huggingface_hub import DatasetCard

from r_avst.dataset_builder.oddities import CHECKS
from r_avst.model_cards.dataset_card import dataset_card
from r_avst.model_cards.measured import CardError
from r_avst.model_cards.statistics_section import COUNTED_BY_BOTH

Change = Callable[[dict[str, Any]], None]


def metadata(card: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return found


@pytest.fixture
def copy(dataset: Path, tmp_path: Path) -> Path:
    """A data set that a test may spoil."""
    return Path(shutil.copytree(dataset, tmp_path / "r-avst"))


def changed(folder: Path, change: Change, name: str = "build_report.json") -> Path:
    content = read(folder / name)
    change(content)
    return written(folder / name, content)


# --- metadata ---------------------------------------------------------------------------------------------------------


def test_the_configs_are_those_that_the_builder_wrote(dataset: Path) -> None:
    built, card = metadata((dataset / "README.md").read_text(encoding="utf-8")), metadata(dataset_card(dataset))
    assert card == built | {"language": "en", "size_categories": "n<1K"}
    assert [config["config_name"] for config in card["configs"]] == [
        "default",
        "temporal",
        "spatial",
        "spatio_temporal",
        "events",
    ]


def test_a_folder_with_the_card_loads_as_before(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {
        name: datasets.load_dataset(str(copy), name, split="test").to_list() for name in ("default", "spatial", "events")
    }
    card = dataset_card(copy)
    (copy / "README.md").write_text(card, encoding="utf-8")
    after = {name: datasets.load_dataset(str(copy), name, split="test").to_list() for name in before}
    assert after == before
    assert dataset_card(copy) == card


@pytest.mark.parametrize(
    ("questions", "size"), [(999, "n<1K"), (1000, "1K<n<10K"), (1638, "1K<n<10K"), (8166, "1K<n<10K"), (2_000_000, "n>1M")]
)
def test_the_size_category_is_that_of_the_questions(copy: Path, questions: int, size: str) -> None:
    changed(copy, lambda report: report["counts"].update(questions=questions))
    assert metadata(dataset_card(copy))["size_categories"] == size


# --- figures ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def other(copy: Path, statistics: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A data set and its statistics with other numbers throughout, no two of them alike."""
    report = with_other_numbers(read(copy / "build_report.json"))
    found = with_other_numbers(read(statistics))
    for count, (*place, key) in COUNTED_BY_BOTH.items():
        inner = found
        for part in place:
            inner = inner[part]
        inner[key] = report["counts"][count]
    written(copy / "build_report.json", report)
    return copy, written(tmp_path / "statistics.json", found)


def files_of(folder: Path, statistics: Path) -> dict[str, Any]:
    return {REPORT_TABLE: read(folder / "build_report.json"), STATISTICS_TABLE: read(statistics)}


def test_every_number_stands_in_its_file_under_its_key(dataset: Path, statistics: Path) -> None:
    card = dataset_card(dataset, statistics)
    assert unexplained(card, files_of(dataset, statistics)) == []
    assert len(list(cells(card))) > 100


def test_every_number_changes_with_its_file_and_nothing_else_does(
    other: tuple[Path, Path], dataset: Path, statistics: Path
) -> None:
    first, second = dataset_card(dataset, statistics), dataset_card(*other)
    assert unexplained(second, files_of(*other)) == []
    assert rest(first) == rest(second)
    same = {cell.text for cell in cells(first)} & {cell.text for cell in cells(second)}
    assert {text for text in same if re.fullmatch(r"-?[\d.,]+", text)} == set()


def test_a_planted_number_is_found(dataset: Path, statistics: Path) -> None:
    card = dataset_card(dataset, statistics)
    planted = card.replace("| `counts.box_rows` | 4 |", "| `counts.box_rows` | 5 |")
    planted = planted.replace("| `videos.joined` | not measured |", "| `videos.joined` | 1 |")
    assert [cell.row for cell in unexplained(planted, files_of(dataset, statistics))] == ["counts.box_rows", "videos.joined"]


def test_the_counts_of_the_paper_stand_beside_those_of_the_file(dataset: Path) -> None:
    found = {(cell.row, cell.column): cell.text for cell in cells(dataset_card(dataset)) if cell.row.startswith("paper.")}
    assert found["paper.videos", "here"] == "1"
    assert found["paper.videos", "paper"] == "1,066"
    assert found["paper.spatio_temporal", "paper"] == "306"


def test_every_kind_of_oddity_is_told_with_its_handling(dataset: Path) -> None:
    card = dataset_card(dataset)
    for kind, (unit, handling, _) in CHECKS.items():
        assert re.search(rf"\| `oddities\.{kind}\.count` \| [\d,]+ \| {re.escape(unit)} \| {re.escape(handling)} \|", card)


def test_what_the_report_does_not_tell_is_not_measured(copy: Path) -> None:
    def forget(report: dict[str, Any]) -> None:
        del report["counts"]["objects"], report["oddities"]["asked_twice"]

    changed(copy, forget)
    found = {cell.row: cell.text for cell in cells(dataset_card(copy)) if cell.column == "count"}
    assert found["counts.objects"] == found["oddities.asked_twice.count"] == found["videos.joined"] == "not measured"


def test_without_statistics_there_is_no_word_of_them(dataset: Path) -> None:
    card = dataset_card(dataset)
    assert "statistics" not in card
    assert "## Known oddities" in card


def test_only_figures_that_were_drawn_are_shown(dataset: Path, statistics: Path, tmp_path: Path) -> None:
    own = Path(shutil.copy(statistics, tmp_path))
    assert "![" not in dataset_card(dataset, own)
    for name in ("figure_6.png", "figure_3_words.png", "other.png", "figure_3_words.svg"):
        (tmp_path / name).write_bytes(name.encode())
    drawn = {
        name: sha256(name.encode()).hexdigest() for name in ("figure_6.png", "figure_3_words.png", "figure_3_videos.png")
    }
    changed(tmp_path, lambda found: found.update(drawn=drawn), own.name)
    shown = re.findall(r"!\[.*?\]\((.*?)\)", dataset_card(dataset, own))
    assert shown == ["figures/figure_3_words.png", "figures/figure_6.png"]


@pytest.mark.parametrize("drawn", [{}, {"figure_6.png": sha256(b"another").hexdigest()}, {"figure_6.png": 1}, []])
def test_a_figure_that_was_not_drawn_with_the_statistics_is_refused(
    drawn: Any, dataset: Path, statistics: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copy(statistics, tmp_path))
    changed(tmp_path, lambda found: found.update(drawn=drawn), own.name)
    (tmp_path / "figure_6.png").write_bytes(b"old")
    with pytest.raises(CardError, match=r"figure_6\.png was not drawn with .*statistics\.json; run r-avst-stats"):
        dataset_card(dataset, own)


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "## Limits",
        "## Licence and removal",
        "*Community* tab",
        "named by their YouTube ids",
        "under `mit`",
        "@article{ravst2025,",
    ],
)
def test_limits_licence_removal_and_citation_are_on_the_card(dataset: Path, said: str) -> None:
    assert dataset_card(dataset).count(said) == 1


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("release", "R-AVST"),
        ("synthetic", "R-AVST synthetic world"),
        ("folder", "Questions in the form of R-AVST on own videos"),
        ("unav100", "Questions in the form of R-AVST on videos of UnAV-100"),
    ],
)
def test_the_title_is_that_of_the_source(copy: Path, kind: str, title: str) -> None:
    changed(copy, lambda report: report["source"].update(kind=kind))
    card = dataset_card(copy)
    assert metadata(card)["pretty_name"] == title
    assert [line for line in body(card).splitlines() if line.startswith("# ")] == [f"# {title}"]


@pytest.mark.parametrize(
    ("kind", "said", "unsaid"),
    [
        ("synthetic", "Coloured shapes and beeps", "YouTube ids"),
        ("folder", "Videos are not part of this data set.", "YouTube ids"),
        ("unav100", "YouTube ids", "The released file and the paper"),
    ],
)
def test_a_data_set_from_videos_says_where_they_are_from(copy: Path, kind: str, said: str, unsaid: str) -> None:
    changed(copy, lambda report: report.update(source={"kind": kind}, stages={}))
    card = dataset_card(copy)
    assert said in card
    assert unsaid not in card


def test_the_card_is_valid_metadata_and_text(dataset: Path, statistics: Path) -> None:
    text = dataset_card(dataset, statistics)
    card = DatasetCard(text)
    assert str(card) == text
    assert card.data.to_dict() == metadata(text)  # type: ignore[no-untyped-call]
    assert "{%" not in text
    assert "\n\n\n" not in text


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda own: own["counts"].update(videos="<b>1</b>"), "counts.videos is '<b>1</b>', not a whole number"),
        (lambda own: own["counts"].update(videos=-1), "counts.videos is -1, not a whole number"),
        (lambda own: own["oddities"].update({"<b>": {"count": 1}}), r"unknown oddities \['<b>'\]"),
        (lambda own: own["rows"].update({"a | b": {"test": 1}}), r"unknown config or split \('a \| b', 'test'\)"),
        (lambda own: own["rows"]["spatial"].update({"`x`": 1}), "unknown config or split"),
        (lambda own: own.update(rows=[1]), r"rows is \[1\], no mapping"),
        (lambda own: own.update(source={"kind": "web"}), "the source 'web' is none of release, unav100, folder, synthetic"),
        (lambda own: own.update(source=None), "the source None is none of"),
        (lambda own: own["source"].update(annotations="a`b.json"), "source.annotations 'a`b.json' cannot stand on a card"),
    ],
)
def test_a_report_of_another_form_is_named(copy: Path, change: Change, said: str) -> None:
    path = changed(copy, change)
    with pytest.raises(CardError, match=f"^{re.escape(str(path))}: .*{said}"):
        dataset_card(copy)


def spoiled(change: Change) -> Callable[[str], str]:
    def spoil(text: str) -> str:
        own = metadata(text)
        change(own)
        return f"---\n{json.dumps(own)}\n---\n"

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda _: "# No metadata", "its configs are not those of r-avst-build"),
        (lambda _: "---\n- 1\n---\n", "has no valid metadata"),
        (lambda _: "---\na: [\n---\n", "has no valid metadata"),
        (lambda text: text.replace("---\n", "---\n1: one\n", 1), "has no valid metadata"),
        (lambda text: text.replace("---\n", "---\nself: one\n", 1), "has no valid metadata"),
        (spoiled(lambda own: own.update(configs=3)), "its configs are not those of r-avst-build"),
        (spoiled(lambda own: own["configs"][0].pop("data_files")), "its configs are not those of r-avst-build"),
        (spoiled(lambda own: own["configs"][0].update(config_name="<b>")), "unknown configs or splits"),
        (spoiled(lambda own: own["configs"][0]["data_files"][0].update(split="dev")), "unknown configs or splits"),
        (
            spoiled(lambda own: own["configs"][0]["data_files"][0].update(path=["a.parquet"])),
            "names 'a.parquet', which is not",
        ),
        (
            spoiled(lambda own: own["configs"][0]["data_files"][0].update(path=["../r-avst/README.md"])),
            "which is not in the",
        ),
        (spoiled(lambda own: own.update(license=["mit"])), r"the licence is \['mit'\], no identifier"),
    ],
)
def test_a_card_that_the_builder_did_not_write_is_named(copy: Path, spoil: Callable[[str], str], said: str) -> None:
    path = copy / "README.md"
    path.write_text(spoil(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(CardError, match=f"^{re.escape(str(path))}.*{said}"):
        dataset_card(copy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda own: own["table_1"]["videos"].update(here=2), "2 videos, .* 1"),
        (lambda own: own["figure_3"].update(events=2), "2 events, .* 1"),
        (lambda own: own["figure_6"]["objects"].update(here=2), "2 objects, .* 1"),
        (lambda own: own["table_5"]["total"]["total"].update(here=1638), "1638 questions, .* 3"),
        (lambda own: own["table_5"]["total"]["temporal"].update(here=0), "0 temporal, .* 1"),
        (lambda own: own["table_5"]["total"]["spatial"].update(here="1"), "no spatial, .* 1"),
        (lambda own: own["table_5"]["total"]["spatio_temporal"].pop("here"), "no spatio_temporal, .* 1"),
    ],
)
def test_the_statistics_of_another_data_set_are_refused(
    change: Change, said: str, dataset: Path, statistics: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copy(statistics, tmp_path))
    changed(tmp_path, change, own.name)
    with pytest.raises(CardError, match=rf"statistics\.json counts {said}: .*run r-avst-stats on this one"):
        dataset_card(dataset, own)


@pytest.mark.parametrize("name", ["build_report.json", "README.md"])
def test_a_folder_without_a_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(CardError, match=f"{name} cannot be read"):
        dataset_card(copy)


def test_the_released_data_set_s_card_states_its_known_figures(release_file: Path, unav_file: Path, tmp_path: Path) -> None:
    from r_avst.dataset_builder.build import main

    out = tmp_path / "r-avst"
    assert main(["release", "--annotations", str(release_file), "--unav", str(unav_file), "--out", str(out)]) == 0
    card = dataset_card(out)
    assert "| `paper.videos` | 1,070 | 1,066 |" in card
    assert "| `counts.questions` | 1,638 |" in card
    assert "| `oddities.invisible_rows.count` | 2,966 |" in card
    assert unexplained(card, {REPORT_TABLE: read(out / "build_report.json")}) == []
