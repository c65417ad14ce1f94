"""Fetching goes on over failures, tries again where nobody answered, and stops when nobody answers at all."""

import time
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from itertools import pairwise
from pathlib import Path

import pytest
from written_videos import write_video

from r_avst.dataset_builder.downloads.fetching import FetchError
from r_avst.dataset_builder.downloads.fetching import Pace
from r_avst.dataset_builder.downloads.fetching import SourceError
from r_avst.dataset_builder.downloads.fetching import fetch_videos
from r_avst.dataset_builder.downloads.video_folder import Status
from r_avst.dataset_builder.downloads.video_folder import VideoFolder
from r_avst.dataset_builder.downloads.wanted import WantedVideo


@dataclass
class ScriptedSource:
    """Writes a real video of 2 s for an id, after the errors that the script has for it."""

    script: Mapping[str, list[Status]] = field(default_factory=dict)
    asked: list[tuple[str, float]] = field(default_factory=list)
    name: str = "script"

    def details(self) -> Mapping[str, str]:
        return {}

    def in_order(self, wanted: Sequence[WantedVideo]) -> list[WantedVideo]:
        return list(wanted)[::-1]

    def fetch(self, video_id: str, folder: Path) -> Path:
        self.asked.append((video_id, time.monotonic()))
        if statuses := self.script.get(video_id):
            raise FetchError(statuses.pop(0), "as the script says")
        return write_video(folder / f"{video_id}.unchecked.mp4", 64, 48, 2)


def wanted(ids: str) -> list[WantedVideo]:
    return [WantedVideo(video_id, 2.0) for video_id in ids]


def run(ids: str, source: ScriptedSource, folder: VideoFolder, pace: Pace) -> list[tuple[str, Status]]:
    return [(own.video_id, own.status) for own in fetch_videos(wanted(ids), source, folder, pace)]


def test_a_failure_does_not_stop_the_others_and_is_noted(tmp_path: Path) -> None:
    source = ScriptedSource({"b": [Status.PRIVATE], "d": [Status.MISSING]})
    folder = VideoFolder(tmp_path / "videos", 0.5)
    assert run("abcd", source, folder, Pace(0, 2)) == [
        ("d", Status.MISSING),
        ("c", Status.AVAILABLE),
        ("b", Status.PRIVATE),
        ("a", Status.AVAILABLE),
    ]
    assert [video_id for video_id, _ in source.asked] == list("dcba")  # the source's order, and each once
    assert list(folder.failures("script")) == ["b"]
    assert sorted(path.name for path in (tmp_path / "videos").glob("*.mp4")) == ["a.mp4", "c.mp4"]


@pytest.mark.parametrize(("errors", "retries", "tries"), [(0, 2, 1), (1, 2, 2), (2, 2, 3), (3, 2, 3), (1, 0, 1)])
def test_a_video_without_an_answer_is_tried_again(tmp_path: Path, errors: int, retries: int, tries: int) -> None:
    source = ScriptedSource({"a": [Status.UNREACHABLE] * errors})
    folder = VideoFolder(tmp_path, 0.5)
    status = Status.AVAILABLE if errors <= retries else Status.UNREACHABLE
    assert run("a", source, folder, Pace(0, retries)) == [("a", status)]
    assert len(source.asked) == tries
    assert folder.failures("script") == {}  # it says nothing of the video: the next run asks again


def test_three_videos_in_a_row_without_an_answer_end_the_run(tmp_path: Path) -> None:
    source = ScriptedSource({video_id: [Status.UNREACHABLE] * 9 for video_id in "abdef"})
    seen: list[str] = []
    with pytest.raises(SourceError, match=r"3 videos in a row .*as the script says.*run the same command again"):
        seen.extend(own.video_id for own in fetch_videos(wanted("abcdefg"), source, VideoFolder(tmp_path, 0.5), Pace(0, 0)))
    assert (seen, [video_id for video_id, _ in source.asked]) == (list("gfed"), list("gfed"))


def test_an_answer_between_starts_the_count_anew(tmp_path: Path) -> None:
    source = ScriptedSource({"a": [Status.UNREACHABLE], "b": [Status.UNREACHABLE], "d": [Status.UNREACHABLE]})
    assert len(run("abcd", source, VideoFolder(tmp_path, 0.5), Pace(0, 0))) == 4


def test_the_pace_is_kept_between_videos_and_grows_between_tries(tmp_path: Path) -> None:
    source = ScriptedSource({"a": [Status.UNREACHABLE] * 2})
    run("ab", source, VideoFolder(tmp_path, 0.5), Pace(0.1, 2))
    times = [moment for _, moment in source.asked]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert [video_id for video_id, _ in source.asked] == ["b", "a", "a", "a"]
    for gap, least in zip(gaps, (0.05, 0.2, 0.4), strict=True):
        assert gap >= least
