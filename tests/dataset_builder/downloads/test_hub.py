"""The real client of the Hub, against a Hub on loopback. It reads its address at import: each run is a process."""

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import COMMIT
from hub_server import HubServer
from hub_server import running_hub

REPO = "user/videos"


@pytest.fixture
def repo(tmp_path: Path, clips_folder: Path) -> Path:
    """A repository with two videos as files, in a zip, in a compressed tar, and in a zip that is cut into parts."""
    folder = tmp_path / "hub" / REPO
    (folder / "raw").mkdir(parents=True)
    for video_id, clip in (("-a_1", "nasa_13013.mp4"), ("b", "b.mp4")):
        (folder / "raw" / f"{video_id}.mp4").write_bytes((clips_folder / clip).read_bytes())
    files = sorted((folder / "raw").iterdir())
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for path in files:
            archive.write(path, f"data/{path.name}")
    subprocess.run(["tar", "czf", folder / "all.tar.gz", "raw"], cwd=folder, check=True)
    content = (folder / "all.zip").read_bytes()
    for number, start in enumerate(range(0, len(content), 300_000), 1):
        (folder / f"parts.zip.{number:03}").write_bytes(content[start : start + 300_000])
    return folder


@pytest.fixture
def hub(tmp_path: Path, repo: Path) -> Iterator[HubServer]:
    with running_hub(tmp_path / "hub") as server:
        yield server


def command(tmp_path: Path, *options: str, ids: str = "b -a_1 nope ../x") -> list[str]:
    (tmp_path / "ids.txt").write_text(ids.replace(" ", "\n"))
    own = ["--ids", str(tmp_path / "ids.txt"), "--out", str(tmp_path / "videos"), "--from-hub", REPO]
    return [sys.executable, "-m", "r_avst.dataset_builder.download", *own, *options]


def environment(tmp_path: Path, hub: HubServer) -> dict[str, str]:
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    return os.environ | own


def run(tmp_path: Path, hub: HubServer, *options: str, ids: str = "b -a_1 nope ../x") -> subprocess.CompletedProcess[str]:
    line = command(tmp_path, *options, ids=ids)
    return subprocess.run(
        line, env=environment(tmp_path, hub), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )


def report(tmp_path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((tmp_path / "videos" / "report.json").read_text())
    return content


@pytest.mark.parametrize(
    "layout", ["anywhere", "raw/{video_id}.mp4", "archive:all.zip", "archive:all.tar.gz", "archive:parts.zip.*"]
)
def test_the_videos_of_every_layout_come_whole(tmp_path: Path, hub: HubServer, repo: Path, layout: str) -> None:
    done = run(tmp_path, hub, "--layout", layout)
    assert done.returncode == 0, done.stderr
    for name in ("b.mp4", "-a_1.mp4"):
        assert (tmp_path / "videos" / name).read_bytes() == (repo / "raw" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "videos").iterdir()) == ["-a_1.mp4", "b.mp4", "report.json"]
    found = report(tmp_path)
    assert (found["source"], found["commit"]) == (f"hub:{REPO}", COMMIT)
    assert [(video["video_id"], video["status"]) for video in found["videos"]] == [
        ("b", "available"),
        ("-a_1", "available"),
        ("nope", "missing"),
        ("../x", "invalid_id"),
    ]
    assert "2 of 4 videos" in done.stdout


def test_only_the_wanted_part_of_a_large_zip_is_downloaded(tmp_path: Path, hub: HubServer, repo: Path) -> None:
    with zipfile.ZipFile(repo / "large.zip", "w") as archive:
        archive.write(repo / "raw" / "b.mp4", "b.mp4")
        archive.writestr("other.mp4", os.urandom(40 << 20))
        archive.write(repo / "raw" / "-a_1.mp4", "-a_1.mp4")
    assert run(tmp_path, hub, "--layout", "archive:large.zip", ids="b -a_1").returncode == 0
    spans = [span.removeprefix("bytes=").split("-") for _, path, span in hub.requests if path.endswith("large.zip") and span]
    assert sum(int(last) - int(first) + 1 for first, last in spans) < 20 << 20
    assert report(tmp_path)["counts"] == {"available": 2}


def test_videos_that_are_there_are_not_asked_for_again(tmp_path: Path, hub: HubServer) -> None:
    run(tmp_path, hub, ids="b")
    hub.requests.clear()
    assert run(tmp_path, hub, ids="b -a_1").returncode == 0
    assert {path.rpartition("/")[2] for _, path, _ in hub.requests if "/resolve/" in path} == {"-a_1.mp4"}


def test_a_page_in_the_repository_under_a_video_s_name_is_no_video(tmp_path: Path, hub: HubServer, repo: Path) -> None:
    (repo / "raw" / "b.mp4").write_text("<html>moved</html>")
    assert run(tmp_path, hub).returncode == 0
    assert [(own["video_id"], own["status"]) for own in report(tmp_path)["videos"]][:2] == [
        ("b", "failed"),
        ("-a_1", "available"),
    ]
    assert not (tmp_path / "videos" / "b.mp4").exists()


@pytest.mark.parametrize(
    ("codes", "status"), [([403] * 9, "failed"), ([404] * 9, "failed"), ([500], "available"), ([429], "available")]
)
def test_an_error_of_the_hub_is_understood(tmp_path: Path, hub: HubServer, codes: list[int], status: str) -> None:
    hub.faults[f"/datasets/{REPO}/resolve/{COMMIT}/raw/b.mp4"] = codes
    assert run(tmp_path, hub, "--retries", "1", ids="b -a_1").returncode == 0
    assert [own["status"] for own in report(tmp_path)["videos"]] == [status, "available"]


def test_a_hub_that_is_not_there_is_named(tmp_path: Path) -> None:
    with running_hub(tmp_path) as gone:
        pass  # its port is free again
    done = run(tmp_path, gone, "--retries", "0", ids="b")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "cannot be read" in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["--layout", "other/{video_id}.mp4"],
            "holds no video in the layout .* archives: all.tar.gz, all.zip, broken.zip, parts.zip",
        ),
        (["--layout", "archive:other.zip"], "holds no archive 'other.zip'"),
        (["--layout", "archive:broken.zip"], "broken.zip cannot be read .*--check"),
        (["--from-hub", "nobody/nothing"], "'nobody/nothing' on the Hub cannot be read .*hf auth login"),
        (["--from-hub", "no name at all"], "'no name at all' on the Hub cannot be read"),
    ],
)
def test_a_repository_that_cannot_be_used_is_named(
    tmp_path: Path, hub: HubServer, repo: Path, options: list[str], says: str
) -> None:
    (repo / "broken.zip").write_bytes(b"PK\x03\x04nothing")
    done = run(tmp_path, hub, *options)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert re.search(says, done.stderr.replace("\n", " "))
