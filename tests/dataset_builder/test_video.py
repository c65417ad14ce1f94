"""Headers are read; what is no video is named with its reason."""

import re
from pathlib import Path

import pytest
from written_videos import write_sound
from written_videos import write_video

from r_avst.dataset_builder.video import VIDEO_SUFFIXES
from r_avst.dataset_builder.video import VideoError
from r_avst.dataset_builder.video import VideoInfo
from r_avst.dataset_builder.video import find_videos
from r_avst.dataset_builder.video import probe


@pytest.mark.parametrize(
    ("name", "duration", "width", "height"),
    [
        ("nasa_13013.mp4", 13.056, 320, 180),
        ("bigbuckbunny.mp4", 5.312, 1280, 720),
        ("b.mp4", 5.0, 480, 270),
        ("muted_b.mp4", 5.0, 480, 270),
    ],
)
def test_published_clips_are_probed(clips_folder: Path, name: str, duration: float, width: int, height: int) -> None:
    info = probe(clips_folder / name)
    assert (info.width, info.height) == (width, height)
    assert info.duration == pytest.approx(duration, abs=1e-6)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi", ".MP4"])
def test_written_videos_are_probed(tmp_path: Path, suffix: str) -> None:
    assert probe(write_video(tmp_path / f"own{suffix}", 64, 48, 3)) == VideoInfo(3.0, 64, 48)


@pytest.mark.parametrize(
    "content",
    [b"", bytes(range(256)) * 40, b"<html><body>404 Not Found</body></html>" * 50],
    ids=["zero bytes", "noise", "page"],
)
def test_what_is_no_video_is_named_with_its_reason(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tiny_dog.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=f"^{re.escape(str(path))}: it cannot be opened as a video"):
        probe(path)


def test_a_download_that_was_cut_off_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.mp4", 64, 48, 3)
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(VideoError, match=f"^{re.escape(str(path))}: "):
        probe(path)


def test_a_file_of_sound_alone_is_named(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "sound.mp4", 1)
    with pytest.raises(VideoError, match=f"^{re.escape(str(path))}: there is no picture in it$"):
        probe(path)


def test_a_file_or_folder_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.mp4", tmp_path):
        with pytest.raises(VideoError, match=f"^{re.escape(str(path))}: it cannot be opened"):
            probe(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_title_that_is_not_utf_8_does_no_harm(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"own{suffix}", 64, 48, 3, title="TITLETITLE")
    content = path.read_bytes()
    assert content.count(b"TITLETITLE") == 1
    path.write_bytes(content.replace(b"TITLETITLE", b"caf\xe9 caf\xe9\xff"))
    assert probe(path) == VideoInfo(3.0, 64, 48)


def test_videos_are_found_by_name_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "part_1").mkdir()
    names = ["one.mp4", "two.WEBM", "part_1/three.mkv", "part_1/notes.txt", "four.mp4.part", "five"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "folder.mp4").mkdir()
    assert find_videos(tmp_path) == {
        "one": tmp_path / "one.mp4",
        "two": tmp_path / "two.WEBM",
        "three": tmp_path / "part_1/three.mkv",
    }


def test_a_name_with_dots_keeps_all_but_the_last_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.b-c_1.mp4").touch()
    assert find_videos(tmp_path) == {"a.b-c_1": tmp_path / "a.b-c_1.mp4"}


def test_of_several_files_of_one_name_the_first_in_sorted_order_counts(tmp_path: Path) -> None:
    (tmp_path / "z").mkdir()
    for name in ("z/one.avi", "one.webm", "one.mp4"):
        (tmp_path / name).touch()
    assert find_videos(tmp_path) == {"one": tmp_path / "one.mp4"}


@pytest.mark.parametrize("suffix", VIDEO_SUFFIXES)
def test_every_known_suffix_is_found(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"one{suffix}"
    path.touch()
    assert find_videos(tmp_path) == {"one": path}


def test_an_empty_folder_holds_no_videos(tmp_path: Path) -> None:
    assert find_videos(tmp_path) == {}
