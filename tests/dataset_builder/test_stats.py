"""The verb `r-avst-stats`: a data set in, tables, JSON and pictures out."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from counted_data import UNLABELLED
from counted_data import write_counted

from r_avst.dataset_builder import stats
from r_avst.dataset_builder.build_from_release import build_release

FILES = {
    "statistics.json",
    *(
        f"{name}.{form}"
        for name in ("figure_3_categories", "figure_3_videos", "figure_3_words", "figure_6")
        for form in ("png", "svg")
    ),
}


def rows(printed: str) -> dict[str, list[str]]:
    """The cells of each printed line by its first words, which two spaces end."""
    lines = [[cell for cell in line.split("  ") if cell] for line in printed.splitlines()]
    return {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines if line}


def test_the_released_file_gives_the_known_figures_beside_the_paper_s(
    release_file: Path, unav_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_release(str(release_file), unav_file, None, tmp_path / "r-avst")
    assert stats.main([f"{tmp_path}/r-avst/", "--out", str(tmp_path / "figures")]) == 0
    assert {path.name for path in (tmp_path / "figures").iterdir()} == FILES
    printed = capsys.readouterr().out
    table = rows(printed)
    assert table["r-avst (here)"] == ["1,070", "100", "41.94", "1.53", "VA"]
    assert table["R-AVST (paper)"] == ["5,237", "100", "42.17", "5.20", "VA"]
    assert table["V-STaR (paper)"] == ["2,094", "-", "110.23", "-", "V"]
    assert table["test (here)"] == ["666", "666", "306", "1,638"]
    assert table["test (paper)"] == ["663", "664", "306", "1,633"]
    assert "It has no train videos" in printed
    assert all(str(tmp_path / "figures" / name) in printed for name in FILES)


def test_the_json_holds_the_printed_figures_and_no_place_of_the_machine(tmp_path: Path) -> None:
    assert stats.main([str(write_counted(tmp_path)), "--out", str(tmp_path / "figures")]) == 0
    text = (tmp_path / "figures" / "statistics.json").read_text(encoding="utf-8")
    told = json.loads(text)
    assert told["dataset"] == "r-avst"
    assert told["table_1"]["mean_length_s"] == {"here": 30.0, "paper": 42.17}
    assert told["table_5"]["total"]["total"] == {"here": 6, "paper": 8166}
    assert str(tmp_path) not in text


def test_a_second_process_writes_the_same_bytes(tmp_path: Path) -> None:
    folder = write_counted(tmp_path)
    for name, seed in (("a", "1"), ("b", "2")):
        command = [sys.executable, "-m", "r_avst.dataset_builder.stats", str(folder), "--out", str(tmp_path / name)]
        ran = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()
    }


def test_a_data_set_without_classes_is_counted_and_told_how_to_get_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_counted(tmp_path, UNLABELLED)
    assert stats.main([str(folder), "--out", str(tmp_path / "figures")]) == 0
    assert {path.name for path in (tmp_path / "figures").iterdir()} == FILES
    printed = capsys.readouterr().out
    assert rows(printed)["r-avst (here)"] == ["3", "-", "30.00", "2.00", "VA"]
    assert "Events without a class: 4; --unav labels those of UnAV-100's videos." in printed


def test_unav_100_s_annotations_label_the_events(tmp_path: Path) -> None:
    annotations = [{"segment": [0.0, 2.54], "label": "raining", "label_id": 66}]
    unav = tmp_path / "unav.json"
    unav.write_text(json.dumps({"database": {"tested": {"duration": 25, "subset": "test", "annotations": annotations}}}))
    counted = stats.count(str(write_counted(tmp_path, UNLABELLED)), unav)
    assert [(own.label, own.events) for own in counted.categories] == [("raining", 1)]
    assert counted.unlabelled_events == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent"], "absent: there is no such folder. Build it: r-avst-build release --out absent"),
        (["r-avst", "--unav", "absent.json"], "absent.json: there is no such file"),
        (["r-avst", "--unav", "r-avst/README.md"], "r-avst/README.md: no JSON"),
        (["r-avst", "--out", "file"], "file cannot be written"),
        (["r-avst", "--out", "file/figures"], "file/figures cannot be written"),
    ],
)
def test_what_is_wrong_is_named(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_counted(tmp_path)
    (tmp_path / "file").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert stats.main(arguments) == 2
    assert f"r-avst-stats: {message}" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_without_the_packages_that_draw_the_tables_and_the_json_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_counted(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert stats.main([str(folder), "--out", str(tmp_path / "figures")]) == 2
    printed = capsys.readouterr()
    assert "pip install 'r-avst[stats]'" in printed.err
    assert rows(printed.out)["total (here)"] == ["3", "2", "1", "6"]
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["statistics.json"]


def test_without_the_packages_that_draw_only_the_figures_of_an_earlier_run_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, figures = write_counted(tmp_path), tmp_path / "figures"
    assert stats.main([str(folder), "--out", str(figures)]) == 0
    (figures / "mine.png").write_bytes(b"mine")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert stats.main([str(folder), "--out", str(figures)]) == 2
    assert {path.name for path in figures.iterdir()} == {"statistics.json", "mine.png"}
    assert json.loads((figures / "statistics.json").read_text(encoding="utf-8"))["drawn"] == {}


def test_the_json_tells_the_checksums_of_its_figures(tmp_path: Path) -> None:
    assert stats.main([str(write_counted(tmp_path)), "--out", str(tmp_path / "figures")]) == 0
    drawn = json.loads((tmp_path / "figures" / "statistics.json").read_text(encoding="utf-8"))["drawn"]
    assert drawn == {
        name: sha256((tmp_path / "figures" / name).read_bytes()).hexdigest() for name in FILES - {"statistics.json"}
    }


def test_a_data_set_is_counted_from_inside_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(write_counted(tmp_path))
    assert stats.main([".", "--out", str(tmp_path / "figures")]) == 0
    assert rows(capsys.readouterr().out)["total (here)"] == ["3", "2", "1", "6"]


def test_the_verb_loads_what_draws_only_to_draw() -> None:
    script = "import sys, r_avst.dataset_builder.stats; print({'matplotlib', 'wordcloud'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "set()\n"
