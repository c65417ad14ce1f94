"""A folder of videos: what counts as there, what is noted, what is reported."""

import json
import re
from pathlib import Path

import pytest
from written_videos import write_sound
from written_videos import write_video

from r_avst.dataset_builder.downloads.video_folder import FAILURES
from r_avst.dataset_builder.downloads.video_folder import PARTIAL
from r_avst.dataset_builder.downloads.video_folder import REPORT
from r_avst.dataset_builder.downloads.video_folder import Outcome
from r_avst.dataset_builder.downloads.video_folder import Status
from r_avst.dataset_builder.downloads.video_folder import VideoFolder
from r_avst.dataset_builder.downloads.video_folder import VideoFolderError
from r_avst.dataset_builder.downloads.video_folder import report_of
from r_avst.dataset_builder.downloads.wanted import WantedVideo
from r_avst.dataset_builder.video import find_videos

A, B = WantedVideo("a", 3.0), WantedVideo("b", None)
GONE = Outcome("a", Status.REMOVED, "it is gone")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    (folder / PARTIAL).mkdir(parents=True)
    return folder


@pytest.mark.parametrize("place", ["a.mp4", "a.MKV", "below/it/a.mp4"])
def test_a_file_put_there_by_hand_counts(path: Path, place: str) -> None:
    (path / place).parent.mkdir(parents=True, exist_ok=True)
    write_video(path / "a.mkv", 64, 48, 3).rename(path / place)
    assert VideoFolder(path, 0.5).check(A) == Outcome("a", Status.AVAILABLE, None, 3.0, 3.0, 64, 48)


@pytest.mark.parametrize(
    ("wanted", "tolerance", "status"),
    [
        (3.4, 0.5, Status.AVAILABLE),
        (2.6, 0.5, Status.AVAILABLE),
        (3.6, 0.5, Status.OTHER_DURATION),
        (2.4, 0.5, Status.OTHER_DURATION),
        (3.6, 1.0, Status.AVAILABLE),
        (3.4, 0.0, Status.OTHER_DURATION),
        (None, 0.0, Status.AVAILABLE),
    ],
)
def test_another_duration_is_told(path: Path, wanted: float | None, tolerance: float, status: Status) -> None:
    write_video(path / "a.mp4", 64, 48, 3)
    outcome = VideoFolder(path, tolerance).check(WantedVideo("a", wanted))
    assert (outcome.status, outcome.duration, outcome.wanted_duration) == (status, 3.0, wanted)
    if status is Status.OTHER_DURATION:
        assert outcome.reason == f"annotations {wanted:.2f} s, file 3.00 s"


@pytest.mark.parametrize("name", ["a.unchecked.mp4", "a.mp4.part", "ab.mp4", "a.txt", f"{PARTIAL}/a.mp4"])
def test_half_a_download_does_not_count(path: Path, name: str) -> None:
    write_video(path / "whole.mp4", 64, 48, 3).rename(path / name)
    assert VideoFolder(path, 0.5).check(A).status is Status.MISSING


def test_a_file_that_is_no_video_is_named_and_left_alone(path: Path) -> None:
    (path / "a.mp4").write_text("<html>Not found</html>")
    outcome = VideoFolder(path, 0.5).check(A)
    assert outcome.status is Status.UNREADABLE
    assert str(path / "a.mp4") in str(outcome.reason)
    assert (path / "a.mp4").exists()


def test_an_improper_id_is_told_and_not_looked_for(path: Path) -> None:
    write_video(path.parent / "x.mp4", 64, 48, 3)
    assert VideoFolder(path, 0.5).check(WantedVideo("../x", None)).status is Status.INVALID_ID


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert VideoFolder(tmp_path / "absent", 0.5).check(A).status is Status.MISSING


def test_a_download_is_put_in_place_when_it_is_a_video(path: Path) -> None:
    unchecked = write_video(path / PARTIAL / "a.unchecked.mp4", 64, 48, 3)
    folder = VideoFolder(path, 0.5)
    assert folder.put_in_place(A, unchecked) == Outcome("a", Status.AVAILABLE, None, 3.0, 3.0, 64, 48)
    assert find_videos(path) == {"a": path / "a.mp4"}
    assert folder.check(A).status is Status.AVAILABLE


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html><body>Not found</body></html>", b"\x00" * 5000])
def test_a_download_that_is_no_video_is_a_failure_and_goes(path: Path, content: bytes) -> None:
    unchecked = path / PARTIAL / "a.unchecked.mp4"
    unchecked.write_bytes(content)
    outcome = VideoFolder(path, 0.5).put_in_place(A, unchecked)
    assert outcome.status is Status.FAILED
    assert re.match("what came is no video: .*a.unchecked.mp4", str(outcome.reason))
    assert find_videos(path) == {}


def test_sound_alone_is_no_video(path: Path) -> None:
    outcome = VideoFolder(path, 0.5).put_in_place(A, write_sound(path / PARTIAL / "a.unchecked.mp4", 3))
    assert (outcome.status, find_videos(path)) == (Status.FAILED, {})


def test_failures_are_remembered_by_source(path: Path) -> None:
    folder = VideoFolder(path, 0.5)
    assert folder.failures("hub") == {}
    folder.note_failure("hub", GONE)
    folder.note_failure("youtube", Outcome("a", Status.PRIVATE, "it is private"))
    folder.note_failure("hub", Outcome("b", Status.FAILED, "first"))
    folder.note_failure("hub", Outcome("b", Status.REMOVED, "last"))
    again = VideoFolder(path, 0.5)
    assert [(own.video_id, own.status, own.reason) for own in again.failures("hub").values()] == [
        ("a", Status.REMOVED, "it is gone (in an earlier run)"),
        ("b", Status.REMOVED, "last (in an earlier run)"),
    ]
    again.forget_failures("hub", [B])
    assert list(again.failures("hub")) == ["a"]
    again.forget_failures("hub", [A, B])
    assert (again.failures("hub"), list(again.failures("youtube"))) == ({}, ["a"])


def test_a_line_that_a_kill_cut_short_is_dropped_wherever_it_was_cut(path: Path) -> None:
    folder = VideoFolder(path, 0.5)
    folder.note_failure("hub", GONE)
    folder.note_failure("hub", Outcome("b", Status.PRIVATE, "x"))
    whole = (path / FAILURES).read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        (path / FAILURES).write_bytes(whole[:cut])
        assert list(folder.failures("hub")) == ["a"]
        folder.note_failure("hub", Outcome("c", Status.FAILED, "y"))
        assert list(folder.failures("hub")) == ["a", "c"]


@pytest.mark.parametrize("line", ["x", "[]", "{}", '{"source": "hub", "video_id": "a", "status": "new", "reason": ""}'])
def test_a_line_that_no_run_wrote_is_named(path: Path, line: str) -> None:
    (path / FAILURES).write_text(line + "\n")
    with pytest.raises(VideoFolderError, match=r"failures\.jsonl, line 1: .*delete it"):
        VideoFolder(path, 0.5).failures("hub")


def test_the_report_counts_every_status_and_keeps_the_order(path: Path) -> None:
    outcomes = [GONE, Outcome("b", Status.AVAILABLE, None, 3.0, 3.0, 64, 48), Outcome("é", Status.INVALID_ID)]
    VideoFolder(path, 0.5).write_report(report_of(outcomes, "hub:x", {"commit": "c"}))
    assert json.loads((path / REPORT).read_text()) == {
        "source": "hub:x",
        "commit": "c",
        "counts": {"available": 1, "removed": 1, "invalid_id": 1},
        "videos": [
            {"video_id": "a", "status": "removed", "reason": "it is gone"},
            {"video_id": "b", "status": "available", "wanted_duration": 3.0, "duration": 3.0, "width": 64, "height": 48},
            {"video_id": "é", "status": "invalid_id"},
        ],
    }
