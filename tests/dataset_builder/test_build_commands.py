"""`r-avst-build folder`, `unav100` and the options they share, as a user gives them."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from tiny_models import write_tiny_detector
from tiny_models import write_tiny_tracker

from r_avst.dataset_builder.build import main
from r_avst.dataset_builder.records import Subject
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.sources.synthetic import make_world
from r_avst.dataset_builder.sources.truth_server import TruthServer

CLIPS = 4


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[VideoRow, ...]]:
    """A folder of videos, and the truth of it."""
    folder = tmp_path_factory.mktemp("world")
    return folder / "videos", make_world(folder, CLIPS, seed=3)


@pytest.fixture(scope="module")
def server(world: tuple[Path, tuple[VideoRow, ...]]) -> Iterator[str]:
    subjects = {event.caption or "": event.subjects for row in world[1] for event in row.events}
    with TruthServer({**subjects, "Two people talk.": (Subject("person", visible=True, audible=True),)}) as running:
        yield running.base_url


def lines(path: Path, *entries: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path


def events_of(row: VideoRow) -> Iterator[dict[str, Any]]:
    for event in row.events:
        yield {"video": row.file, "span": list(event.span), "caption": event.caption, "labels": list(event.labels)}


def build(tmp_path: Path, server: str, *more: str | Path) -> int:
    shared = ["--work", tmp_path / "build", "--out", tmp_path / "r-avst", "--no-balance", "--backend", "synthetic"]
    return main([*map(str, more), *map(str, shared), "--base-url", server, "--caption-model", "truth"])


def outcomes(tmp_path: Path, stage: str, file: str = "rows") -> dict[str, dict[str, Any]]:
    found = [json.loads(line) for line in (tmp_path / "build" / stage / f"{file}.jsonl").read_text().splitlines()]
    return {line["video_id"]: line for line in found}


# --- own videos -------------------------------------------------------------------------------------------------------


def test_own_videos_become_a_data_set(
    world: tuple[Path, tuple[VideoRow, ...]], server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = lines(tmp_path / "events.jsonl", *(event for row in world[1] for event in events_of(row)))
    assert build(tmp_path, server, "folder", "--videos", world[0], "--events", events, "--licence", "cc-by-4.0") == 0
    assert "questions are kept" in capsys.readouterr().out
    loaded = datasets.load_dataset(str(tmp_path / "r-avst"), cache_dir=str(tmp_path / "cache"))
    assert {row["video_id"] for split in loaded for row in loaded[split]} <= {row.video.video_id for row in world[1]}
    assert "license: cc-by-4.0" in (tmp_path / "r-avst/README.md").read_text()


def test_one_bad_video_is_listed_and_the_others_go_on(
    world: tuple[Path, tuple[VideoRow, ...]], server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for row in world[1]:
        (videos / row.file).write_bytes((world[0] / row.file).read_bytes())
    bad = videos / world[1][0].file
    whole = bad.read_bytes()
    bad.write_bytes(flipped(whole))
    events = lines(tmp_path / "events.jsonl", *(event for row in world[1] for event in events_of(row)))
    command = ("folder", "--videos", videos, "--events", events)
    assert build(tmp_path, server, *command) == 0
    failures = outcomes(tmp_path, "boxes", "failures")
    assert set(failures) == {bad.stem}
    assert bad.name in failures[bad.stem]["reason"]
    assert f"{bad.stem}: " in capsys.readouterr().out
    assert len(outcomes(tmp_path, "boxes")) == CLIPS - 1
    bad.write_bytes(whole)  # it is another file now, so it is tried without being asked for
    assert build(tmp_path, server, *command) == 0
    assert outcomes(tmp_path, "boxes", "failures") == {}
    assert len(outcomes(tmp_path, "boxes")) == CLIPS


def test_a_video_that_is_replaced_gets_new_boxes(
    world: tuple[Path, tuple[VideoRow, ...]], server: str, tmp_path: Path
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    first, second = (world[0] / row.file for row in world[1][1:3])
    (videos / "one.mp4").write_bytes(first.read_bytes())
    caption = next(event.caption for event in world[1][1].events)
    events = lines(tmp_path / "events.jsonl", {"video": "one", "span": [0.0, 7.0], "caption": caption})
    command = ("folder", "--videos", videos, "--events", events, "--no-balance-tasks", "--only")
    for stage in ("filter", "captions", "boxes"):
        assert build(tmp_path, server, *command, stage) == 0
    before = outcomes(tmp_path, "boxes")["one"]["row"]["events"][0]["objects"]
    (videos / "one.mp4").write_bytes(second.read_bytes())
    for stage in ("filter", "captions", "boxes"):
        assert build(tmp_path, server, *command, stage) == 0
    assert outcomes(tmp_path, "boxes")["one"]["row"]["events"][0]["objects"] != before


def test_what_cannot_be_worked_on_is_listed_before_anything_is_paid(
    world: tuple[Path, tuple[VideoRow, ...]], server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = {"video": world[1][0].file, "span": [1.0, 400.0], "caption": "Nobody is asked about this."}
    gone = {"video": "gone.mp4", "span": [1.0, 4.0], "caption": "Nor about this."}
    events = lines(tmp_path / "events.jsonl", *events_of(world[1][0]), late, gone)
    assert build(tmp_path, server, "folder", "--videos", world[0], "--events", events, "--no-balance-tasks") == 0
    failures = outcomes(tmp_path, "source", "failures")
    late_id = f"{world[1][0].video.video_id}-{len(world[1][0].events)}"
    assert set(failures) == {"gone", late_id}
    assert "it goes from 1.0 to 400.0 s, the file to" in failures[late_id]["reason"]
    assert f"  {late_id}: it goes" in capsys.readouterr().out


def test_the_report_names_models_and_settings_and_no_folder(
    world: tuple[Path, tuple[VideoRow, ...]], server: str, tmp_path: Path
) -> None:
    events = lines(tmp_path / "events.jsonl", *(event for row in world[1] for event in events_of(row)))
    assert build(tmp_path, server, "folder", "--videos", world[0], "--events", events) == 0
    text = (tmp_path / "r-avst/build_report.json").read_text()
    stages = json.loads(text)["stages"]
    assert stages["captions"]["settings"]["model"] == "truth"
    assert stages["boxes"]["settings"]["backend"] == "synthetic"
    assert str(tmp_path) not in text
    assert server not in text


def test_a_data_set_without_a_question_is_refused(
    world: tuple[Path, tuple[VideoRow, ...]], server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = lines(tmp_path / "events.jsonl", *events_of(world[1][0]))
    command = ("folder", "--videos", world[0], "--events", events, "--max-answer-tokens", "1")
    assert build(tmp_path, server, *command) == 2
    assert "no question is left" in capsys.readouterr().err
    assert not (tmp_path / "r-avst").exists()


def flipped(content: bytes) -> bytes:
    """The file with its pictures spoiled and its tables, which stand at its end, whole."""
    middle = len(content) // 3
    return content[:middle] + bytes(byte ^ 0xFF for byte in content[middle : middle + 4000]) + content[middle + 4000 :]


def test_the_real_models_are_one_option_away(
    clips_folder: Path, server: str, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    models = tmp_path_factory.mktemp("models")
    events = lines(tmp_path / "events.jsonl", {"video": "nasa_13013.mp4", "span": [1.0, 4.0], "caption": "Two people talk."})
    more = ("--backend", "transformers", "--device", "cpu", "--box-threshold", "0", "--text-threshold", "0")
    tiny = ("--detector", write_tiny_detector(models / "dino"), "--tracker", write_tiny_tracker(models / "sam2"))
    arguments = ["folder", "--videos", clips_folder, "--events", events, "--test-share", "0", *more, *tiny]
    own = ["--work", tmp_path / "build", "--out", tmp_path / "r-avst", "--base-url", server, "--no-balance-tasks"]
    for stage in ("filter", "captions", "boxes", "questions"):
        assert main([str(each) for each in (*arguments, *own, "--only", stage)]) == 0
    (event,) = outcomes(tmp_path, "boxes")["nasa_13013"]["row"]["events"]
    assert [frame["time"] for frame in event["objects"][0]["frames"]] == [1.0, 2.0, 3.0]


# --- UnAV-100 ---------------------------------------------------------------------------------------------------------


def test_unav_videos_become_a_data_set(world: tuple[Path, tuple[VideoRow, ...]], server: str, tmp_path: Path) -> None:
    database = {
        row.video.video_id: {
            "duration": row.video.duration,
            "subset": "test" if index == 0 else "train",
            "annotations": [{"segment": list(event.span), "label": event.labels[0], "label_id": 0} for event in row.events],
        }
        for index, row in enumerate(world[1])
    }
    annotations = tmp_path / "unav.json"
    annotations.write_text(json.dumps({"database": database | {"gone": database[world[1][1].video.video_id]}}))
    captions = lines(
        tmp_path / "captions.jsonl",
        *(
            {"video_id": row.video.video_id, "span": list(event.span), "caption": event.caption}
            for row in world[1]
            for event in row.events
        ),
    )
    command = ("unav100", "--annotations", annotations, "--videos", world[0], "--captions", captions)
    assert build(tmp_path, server, *command) == 0
    report = json.loads((tmp_path / "r-avst/build_report.json").read_text())
    assert report["source"]["missing"] == ["gone"]
    assert {line["row"]["video"]["split"] for line in outcomes(tmp_path, "quality").values()} == {"train", "test"}


# --- what all share ---------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_it_would_cost_and_asks_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["synthetic", "--videos", "3", "--work", str(tmp_path / "build"), "--out", str(tmp_path / "r-avst")]
    assert main([*command, "--no-balance", "--dry-run", "--price-in", "0.15", "--price-out", "0.6"]) == 0
    said = capsys.readouterr().out
    estimate = json.loads(said[said.index("{") :])
    assert estimate["to_ask"] == estimate["captions"] == 3
    assert estimate["cost_usd_about"] > 0
    assert {path.name for path in (tmp_path / "build").iterdir()} == {".lock", "truth.jsonl", "videos"}
    assert not (tmp_path / "r-avst").exists()


def test_a_stage_can_be_run_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "synthetic",
        "--videos",
        "2",
        "--work",
        str(tmp_path / "build"),
        "--out",
        str(tmp_path / "r-avst"),
        "--no-balance",
    ]
    assert main([*command, "--only", "boxes"]) == 2
    assert "captions/rows.jsonl: there is no such file; run the stage before first" in capsys.readouterr().err
    for stage in ("filter", "captions", "boxes"):
        assert main([*command, "--only", stage]) == 0
    assert len(outcomes(tmp_path, "boxes")) == 2
    assert not (tmp_path / "r-avst").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--keep-at-least", "3"), "keep_at_least needs ratings"),
        (("--durations", "20", "10"), "ascending"),
        (("--base-url", "nowhere"), "'nowhere' is no URL of a server"),
        (("--detect-every", "0.3"), "a whole number of frames"),
        (("--min-duration", "300"), "the stage filter leaves no video"),
    ],
)
def test_what_makes_no_sense_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    command = ["synthetic", "--videos", "1", "--work", str(tmp_path / "build"), "--out", str(tmp_path / "r-avst")]
    assert main([*command, *more]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "build/captions/answers.jsonl").exists()  # nothing was paid


@pytest.mark.parametrize(("backend", "extra"), [("transformers", "boxes"), ("sam2", "sam2")])
def test_a_missing_package_is_named_before_anything_is_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], backend: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    command = ["synthetic", "--videos", "1", "--work", str(tmp_path / "build"), "--out", str(tmp_path / "r-avst")]
    assert main([*command, "--backend", backend]) == 2
    assert f"boxes need torch: pip install 'r-avst[{extra}]'" in capsys.readouterr().err
    assert not (tmp_path / "build/captions").exists()


def test_without_a_key_the_real_model_is_not_asked(
    world: tuple[Path, tuple[VideoRow, ...]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    events = lines(tmp_path / "events.jsonl", *events_of(world[1][0]))
    own = ["--videos", str(world[0]), "--events", str(events), "--work", str(tmp_path / "build")]
    assert main(["folder", *own, "--out", str(tmp_path / "r-avst")]) == 2
    assert "set OPENAI_API_KEY, or give a server of your own by --base-url" in capsys.readouterr().err
