"""AVE and AVSBench from their own files to the figures of table 6: built, loaded and scored by the commands."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image
from PIL import ImageDraw
from written_videos import write_video

from r_avst.dataset_builder.build import main as build
from r_avst.dataset_builder.builder import QUESTION_FEATURES
from r_avst.dataset_builder.dataset_folder import REPORT
from r_avst.dataset_builder.sources.card_texts import AVE
from r_avst.dataset_builder.sources.card_texts import AVSBENCH
from r_avst.metrics.score import main as score

AVE_LINES = (
    "Church bell&MH3m4AwEcRY&good&6&8",
    "Church bell&VWi2ENBuTbw&good&0&0",
    "Male speech, man speaking&0giAfYq9oVM&good&0&10",
    "Ukulele&-mMr3S6543A&good&1&10",
    "Mandolin&-mMr3S6543A&good&1&9",
    "Helicopter&abcdefghijk&good&2&6",
)
AVE_SPLITS = {"train": (3,), "val": (), "test": (0, 1, 2, 4, 5)}
DOG, BAND = "dogdogdog01", "bandband001"


@pytest.fixture
def ave_files(tmp_path: Path) -> Path:
    """AVE_Dataset as it is unpacked: Annotations.txt with its header, the three lists, AVE/ with two of the videos."""
    folder = tmp_path / "AVE_Dataset"
    (folder / "AVE").mkdir(parents=True)
    lines = ("Category&VideoID&Quality&StartTime&EndTime", *AVE_LINES)
    (folder / "Annotations.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for subset, own in AVE_SPLITS.items():
        text = "".join(f"{AVE_LINES[index]}\n" for index in own)
        (folder / f"{subset}Set.txt").write_text(text, encoding="utf-8")
    write_video(folder / "AVE/MH3m4AwEcRY.mp4", 64, 48, 10)
    write_video(folder / "AVE/-mMr3S6543A.mp4", 48, 64, 10)
    return folder


@pytest.fixture
def avsbench_files(tmp_path: Path) -> Path:
    """AVSBench-object as it is unpacked: a test clip of S4 with its video, and one of MS3 without."""
    root = tmp_path / "AVSBench-v1"
    s4, ms3 = root / "Single-source/s4_data", root / "Multi-sources/ms3_data"
    dog, band = s4 / f"gt_masks/test/dog_barking/{DOG}", ms3 / f"gt_masks/test/{BAND}"
    videos = s4 / "raw_videos/test/dog_barking"
    for folder in (dog, band, videos):
        folder.mkdir(parents=True)
    (s4.parent / "s4_meta_data.csv").write_text(f"name,x,category,split\n{DOG},0,dog_barking,test\n", encoding="utf-8")
    (ms3.parent / "ms3_meta_data.csv").write_text(f"name,split\n{BAND},test\n", encoding="utf-8")
    for number in range(1, 6):
        image = Image.new("L", (224, 224))
        if number != 5:
            ImageDraw.Draw(image).rectangle((0, 0, 111, 111), fill=255)
        image.save(dog / f"{DOG}_{number}.png")
        ImageDraw.Draw(image).rectangle((168, 168, 223, 223), fill=255)
        image.convert("P").save(band / f"{BAND}_{number}.png")
    write_video(videos / f"{DOG}.mp4", 640, 360, 5)
    return root


def report(out: Path) -> dict[str, Any]:
    own: dict[str, Any] = json.loads((out / REPORT).read_text(encoding="utf-8"))
    return own


def counted(out: Path) -> dict[str, int]:
    return {kind: own["count"] for kind, own in report(out)["notes"].items() if own["count"]}


Change = Callable[[dict[str, Any]], str]


def scored(dataset: Path, folder: Path, change: Change) -> dict[str, float | None]:
    """The figures of all questions by r-avst-score, for answers made of the rows, in 0..1."""
    rows = datasets.load_dataset(str(dataset), split="test")
    lines = [{"question_id": row["question_id"], "text": change(row), "coordinate_space": "source"} for row in rows]
    (folder / "mine.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    options = ["--word-vectors", "exact", "--bootstrap-samples", "0", "--json", str(folder / "scores.json")]
    assert score(["--dataset", str(dataset), "--predictions", str(folder / "mine.jsonl"), *options]) == 0
    figures = json.loads((folder / "scores.json").read_text(encoding="utf-8"))["models"]["mine"]["figures"]
    (task,) = {QUESTION_FEATURES["task"].int2str(row["task"]) for row in rows}
    return {name: own["value"] for name, own in figures[task].items()}


# --- AVE --------------------------------------------------------------------------------------------------------------


def test_ave_from_its_files_to_m_tiou(ave_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "ave"
    command = ["ave", "--annotations", str(ave_files / "Annotations.txt"), "--videos", str(ave_files / "AVE")]
    assert build([*command, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "read: lines 6 (published: 4,143), test lines 5 (published: 402)" in printed
    assert "1 no_span: lines that end where they start" in printed
    rows = datasets.load_dataset(str(out), split="test")
    assert rows.features == QUESTION_FEATURES
    assert rows["video_id"] == ["MH3m4AwEcRY", "0giAfYq9oVM", "-mMr3S6543A", "abcdefghijk"]
    assert [(row["width"], row["height"]) for row in rows] == [(64, 48), (None, None), (48, 64), (None, None)]
    assert rows["duration"] == [10.0] * 4
    assert counted(out) == {"no_span": 1, "also_tested": 1, "assumed_duration": 2}
    assert report(out)["videos"]["missing"] == ["0giAfYq9oVM", "abcdefghijk"]
    assert scored(out, tmp_path, lambda row: row["answer"])["m_tIoU"] == 1.0
    whole = scored(out, tmp_path, lambda row: "<answer><object>it</object><when>[0.0, 10.0]</when></answer>")
    assert whole["m_tIoU"] == pytest.approx((0.2 + 1.0 + 0.8 + 0.4) / 4)
    assert scored(out, tmp_path, lambda row: "no idea")["m_tIoU"] == 0.0


def test_the_events_of_ave_load_too(ave_files: Path, tmp_path: Path) -> None:
    out = tmp_path / "ave"
    assert build(["ave", "--annotations", str(ave_files / "Annotations.txt"), "--out", str(out)]) == 0
    events = datasets.load_dataset(str(out), "events", split="test")
    assert events["span"] == [[6.0, 8.0], [0.0, 10.0], [1.0, 9.0], [2.0, 6.0]]
    assert [len(own) for own in events["labels"]] == [0, 0, 0, 1]


def test_lists_in_another_folder_are_used(ave_files: Path, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    for path in ave_files.glob("*Set.txt"):
        path.rename(lists / path.name)
    out, command = tmp_path / "ave", ["ave", "--annotations", str(ave_files / "Annotations.txt")]
    assert build([*command, "--splits", str(lists), "--out", str(out)]) == 0
    assert report(out)["source"]["lines"]["testSet.txt"] == 5
    assert build([*command, "--out", str(out)]) == 0
    assert counted(out)["no_split_files"] == 1


# --- AVSBench ---------------------------------------------------------------------------------------------------------


def boxes_moved(row: dict[str, Any]) -> str:
    """The answer with every box that is seen moved to the right by half its width."""
    lines = [f"<answer>\n<object>{row['objects'][0]['name']}</object>\n<where>"]
    for frame in row["objects"][0]["frames"]:
        for one in frame["instances"]:
            x1, y1, x2, y2 = one["box"]
            half = (x2 - x1) / 2
            lines.append(f"{frame['time']}: [{x1 + half}, {y1}, {x2 + half}, {y2}]")
    return "\n".join([*lines, "</where>\n</answer>"])


def test_avsbench_from_its_files_to_m_viou(avsbench_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "avsbench"
    root = str(avsbench_files)
    assert build(["avsbench", "--root", root, "--videos", root, "--out", str(out)]) == 0
    assert "read: s4 1 (published: 4,932), ms3 1 (published: 424)" in capsys.readouterr().out
    rows = datasets.load_dataset(str(out), split="test")
    assert rows.features == QUESTION_FEATURES
    assert [(row["video_id"], row["width"], row["height"]) for row in rows] == [(DOG, 640, 360), (BAND, 224, 224)]
    boxes = [[one["box"] for one in row["objects"][0]["frames"][0]["instances"]] for row in rows]
    assert boxes == [[[0, 0, 320, 180]], [[0, 0, 112, 112], [168, 168, 224, 224]]]
    expected = {"empty_mask": 1, "several_parts": 4, "assumed_duration": 1, "size_of_mask": 1}
    assert counted(out) == expected
    gold = scored(out, tmp_path, lambda row: row["answer"])
    assert (gold["m_vIoU"], gold["object_accuracy"]) == (1.0, 1.0)
    moved = scored(out, tmp_path, boxes_moved)
    assert moved["m_vIoU"] == pytest.approx(1 / 3)
    assert moved["object_accuracy"] == 1.0


def test_a_model_that_answers_on_whole_seconds_meets_the_masks(avsbench_files: Path, tmp_path: Path) -> None:
    """1.0, 2.0, ... 5.0 are a tenth of a second after the frames of the masks; 0.0 meets none."""
    out = tmp_path / "avsbench"
    root = str(avsbench_files)
    assert build(["avsbench", "--root", root, "--videos", root, "--subset", "s4", "--out", str(out)]) == 0

    def answer(times: range) -> Change:
        rows = "\n".join(f"{time}.0: [0, 0, 320, 180]" for time in times)
        return lambda row: f"<answer><object>dog barking</object><where>\n{rows}\n</where></answer>"

    assert scored(out, tmp_path, answer(range(6)))["m_vIoU"] == 1.0
    assert scored(out, tmp_path, answer(range(3)))["m_vIoU"] == 0.5
    assert scored(out, tmp_path, answer(range(1)))["m_vIoU"] == 0.0


def test_the_rules_of_masks_are_options_and_are_told(avsbench_files: Path, tmp_path: Path) -> None:
    out = tmp_path / "avsbench"
    options = ["--ms3-boxes", "whole", "--names", "thing", "--min-area", "0.01"]
    assert build(["avsbench", "--root", str(avsbench_files), *options, "--out", str(out)]) == 0
    rows = datasets.load_dataset(str(out), split="test")
    assert [row["objects"][0]["name"] for row in rows] == ["dog", "sounding object"]
    assert rows[1]["objects"][0]["frames"][0]["instances"][0]["box"] == [0, 0, 224, 224]
    rules = {"boxes": {"s4": "whole", "ms3": "whole"}, "min_area": 0.01, "names": "thing"}
    assert report(out)["source"] == {"kind": "avsbench", "subsets": ["s4", "ms3"], "rules": rules}


def test_cards_say_what_the_data_are(ave_files: Path, avsbench_files: Path, tmp_path: Path) -> None:
    assert build(["ave", "--annotations", str(ave_files / "Annotations.txt"), "--out", str(tmp_path / "a")]) == 0
    assert build(["avsbench", "--root", str(avsbench_files), "--out", str(tmp_path / "b")]) == 0
    assert AVE.body in (tmp_path / "a/README.md").read_text(encoding="utf-8")
    assert AVSBENCH.body in (tmp_path / "b/README.md").read_text(encoding="utf-8")


# --- what is refused --------------------------------------------------------------------------------------------------


def test_errors_are_one_line_and_leave_an_earlier_data_set(
    ave_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations, out = ave_files / "Annotations.txt", tmp_path / "ave"
    command = ["ave", "--annotations", str(annotations), "--out", str(out)]
    assert build(command) == 0
    before = (out / REPORT).read_bytes()
    annotations.write_text("Bark&abc&good&0\n", encoding="utf-8")
    capsys.readouterr()
    assert build(command) == 2
    assert capsys.readouterr().err.startswith(f"r-avst-build: {annotations}, line 1: ")
    assert (out / REPORT).read_bytes() == before


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["ave", "--annotations", "absent.txt"], "absent.txt: there is no such file"),
        (["ave", "--annotations", "Annotations.txt", "--videos", "absent"], "absent: there is no such folder"),
        (["avsbench", "--root", "absent"], "absent: there is no Single-source/s4_meta_data.csv"),
    ],
)
def test_what_is_not_there_is_named(
    ave_files: Path, command: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ave_files)
    assert build(command) == 2
    assert capsys.readouterr().err.startswith(f"r-avst-build: {message}")


def test_without_pillow_only_avsbench_is_refused(ave_files: Path, avsbench_files: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['PIL'] = None; from r_avst.dataset_builder.build import main; sys.exit(main(sys.argv[1:]))"
    )
    commands = [["ave", "--annotations", ave_files / "Annotations.txt"], ["avsbench", "--root", avsbench_files]]
    ran = [
        subprocess.run(
            [sys.executable, "-c", code, *own, "--out", tmp_path / own[0]], capture_output=True, text=True, check=False
        )
        for own in commands
    ]
    assert [own.returncode for own in ran] == [0, 2]
    assert "r-avst-build: reading masks needs Pillow: pip install pillow" in ran[1].stderr
