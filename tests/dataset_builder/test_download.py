"""The verb: options, report, and runs that are stopped and go on. Videos come from a site on loopback."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_server import SiteServer
from site_server import running_site
from written_videos import write_video

from r_avst.dataset_builder.download import main
from r_avst.dataset_builder.video import find_videos

pytest.importorskip("yt_dlp")


@pytest.fixture
def site(clips_folder: Path) -> Iterator[SiteServer]:
    with running_site() as server:
        server.videos = {"nasa": (clips_folder / "nasa_13013.mp4").read_bytes(), "b": (clips_folder / "b.mp4").read_bytes()}
        yield server


@pytest.fixture
def unav(tmp_path: Path) -> Path:
    durations = {"nasa": 13.1, "b": 99.0, "gone": 5.0, "../x": 1.0}
    path = tmp_path / "unav.json"
    path.write_text(
        json.dumps({"database": {name: {"duration": own, "annotations": []} for name, own in durations.items()}})
    )
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "videos"


def options(site: SiteServer, unav: Path, folder: Path) -> list[str]:
    own = ["--unav", str(unav), "--out", str(folder), "--from-youtube"]
    return [*own, "--url", site.address, "--pause", "0", "--retries", "1"]


def report(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return content


def statuses(folder: Path) -> dict[str, str]:
    return {own["video_id"]: own["status"] for own in report(folder)["videos"]}


USUAL = {"nasa": "available", "b": "other_duration", "gone": "removed", "../x": "invalid_id"}


def test_what_came_and_what_did_not_is_reported(
    site: SiteServer, unav: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options(site, unav, folder)) == 0
    assert statuses(folder) == USUAL
    assert list(statuses(folder)) == list(USUAL)
    assert find_videos(folder) == {"nasa": folder / "nasa.mp4", "b": folder / "b.mp4"}
    assert sorted(path.name for path in folder.iterdir()) == ["b.mp4", "failures.jsonl", "nasa.mp4", "report.json"]
    assert report(folder)["counts"] == {"available": 1, "other_duration": 1, "removed": 1, "invalid_id": 1}
    nasa = {"duration": 13.056, "wanted_duration": 13.1, "width": 320, "height": 180}
    assert report(folder)["videos"][0] == pytest.approx({"video_id": "nasa", "status": "available", **nasa})
    out = capsys.readouterr().out
    assert f"{folder}: 2 of 4 videos" in out
    assert "gone: removed: [generic] gone: Unable to download webpage: HTTP Error 404" in out


def test_failures_are_tried_again_only_when_asked(site: SiteServer, unav: Path, folder: Path) -> None:
    main(options(site, unav, folder))
    site.videos["gone"] = site.videos["nasa"]
    site.requests.clear()
    assert main(options(site, unav, folder)) == 0
    assert (statuses(folder), site.requests) == (USUAL, [])
    assert report(folder)["videos"][2]["reason"].endswith("(in an earlier run)")
    assert main([*options(site, unav, folder), "--retry-failed"]) == 0
    assert statuses(folder) == USUAL | {"gone": "other_duration"}
    assert {video_id for video_id, _, _ in site.requests} == {"gone"}


def test_what_another_source_said_is_no_answer_of_this_one(site: SiteServer, unav: Path, folder: Path) -> None:
    main(options(site, unav, folder))
    with running_site() as mirror:
        mirror.videos["gone"] = site.videos["nasa"]
        assert main(options(mirror, unav, folder)) == 0
    assert statuses(folder)["gone"] == "other_duration"


def test_a_site_that_answers_nobody_ends_the_run_and_all_is_reported(
    site: SiteServer, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("nasa\nq\nr\ns\nb\n")
    for video_id in "qrs":
        site.statuses[video_id] = [429] * 2
    own = ["--ids", str(ids), *options(site, ids, folder)[2:]]
    assert main(own) == 2
    assert "3 videos in a row could not be fetched" in capsys.readouterr().err
    expected = {"nasa": "available", "q": "unreachable", "r": "unreachable", "s": "unreachable", "b": "missing"}
    assert statuses(folder) == expected
    assert main(own) == 0
    assert statuses(folder) == expected | {"q": "removed", "r": "removed", "s": "removed", "b": "available"}


def test_check_downloads_nothing_and_reports_what_is_there(unav: Path, folder: Path) -> None:
    folder.mkdir()
    write_video(folder / "gone.mp4", 64, 48, 5)
    write_video(folder / "b.mp4", 64, 48, 3)
    (folder / "nasa.mp4").write_text("<html></html>")
    own = ["--unav", str(unav), "--out", str(folder), "--check"]
    assert main(own) == 0
    assert statuses(folder) == USUAL | {"gone": "available", "nasa": "unreadable"}
    assert main([*own, "--tolerance", "100"]) == 0
    assert statuses(folder)["b"] == "available"


def test_a_folder_that_is_a_file_is_named(unav: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--unav", str(unav), "--out", str(unav), "--check"]) == 2
    assert str(unav) in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        ["--url", "https://site/"],
        ["--url", "file:///{video_id}"],
        ["--layout", "videos/x.mp4"],
        ["--rate-limit", "0"],
        ["--rate-limit", "2G"],
        ["--pause", "-1"],
        ["--pause", "nan"],
        ["--retries", "-1"],
        ["--check", "--from-youtube"],
        ["--ids", "a", "--unav", "b"],
    ],
)
def test_an_option_that_makes_no_sense_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_the_help_teaches_all_three_ways(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for word in ("VIDEO_ID.mp4", "--check", "--from-youtube", "r-avst[videos]", "archive:", "ttgeng233/UnAV-100"):
        assert word in text


def started(own: list[str]) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "r_avst.dataset_builder.download", *own]
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "80"}
    )


def test_a_run_that_is_killed_at_any_moment_goes_on_and_ends_the_same(site: SiteServer, unav: Path, folder: Path) -> None:
    site.delay = 0.01  # 0.26 s a clip
    rng = random.Random(0)
    for _ in range(5):
        process = started(options(site, unav, folder))
        time.sleep(rng.uniform(0.8, 1.8))
        process.kill()
        process.communicate()
        for path in folder.glob("*.mp4"):  # what is in place is whole
            assert path.read_bytes() == site.videos[path.stem]
    assert main(options(site, unav, folder)) == 0
    assert statuses(folder) == USUAL
    assert {path.stem: path.read_bytes() for path in folder.glob("*.mp4")} == site.videos
    assert sorted(path.name for path in folder.iterdir()) == ["b.mp4", "failures.jsonl", "nasa.mp4", "report.json"]


def test_a_kill_in_the_middle_of_a_video_keeps_what_came(site: SiteServer, unav: Path, folder: Path) -> None:
    site.delay = 0.1
    process = started(options(site, unav, folder))
    part = folder / ".partial" / "nasa.unchecked.mp4.part"
    while not (part.exists() and part.stat().st_size > 50_000):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    kept, site.delay = part.stat().st_size, 0.0
    site.requests.clear()
    assert main(options(site, unav, folder)) == 0
    assert ("nasa", kept) in [(video_id, start) for video_id, start, _ in site.requests]
    assert (folder / "nasa.mp4").read_bytes() == site.videos["nasa"]


def test_an_interrupt_reports_what_there_is(site: SiteServer, unav: Path, folder: Path) -> None:
    site.delay = 0.02
    process = started(options(site, unav, folder))
    while not (folder / "nasa.mp4").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, "the same command goes on from here" in err) == (130, True)
    assert statuses(folder)["nasa"] == "available"
    assert statuses(folder)["gone"] == "missing"
