"""Videos are joined; what does not fit is reported and not fatal."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from written_videos import write_sound
from written_videos import write_video

from r_avst.dataset_builder.frame_sizes import JoinReport
from r_avst.dataset_builder.frame_sizes import box_extents
from r_avst.dataset_builder.frame_sizes import join_videos
from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.records import Video
from r_avst.dataset_builder.sources.release import read_release
from r_avst.dataset_builder.video import VideoError

DOG = Video("tiny_dog", "test", 10.0)  # its boxes reach x 250, y 90
CAR = Video("tiny_car", "test", 45.5)  # it has no boxes


@pytest.fixture
def tiny(tiny_release: Path) -> Records:
    return read_release(tiny_release)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "videos"
    path.mkdir()
    return path


def test_a_fitting_video_gives_its_size_and_duration(tiny: Records, folder: Path) -> None:
    write_video(folder / "tiny_dog.mp4", 320, 240, 10)
    joined, report = join_videos(tiny, folder)
    assert joined.videos == (replace(DOG, width=320, height=240), CAR)
    assert report == JoinReport(1, ("tiny_car",), {}, {}, {})
    assert (joined.events, joined.questions) == (tiny.events, tiny.questions)


def test_videos_of_other_names_are_left_alone_and_all_missing_are_listed(tiny: Records, folder: Path) -> None:
    write_video(folder / "other.mp4", 320, 240, 1)
    assert join_videos(tiny, folder) == (tiny, JoinReport(0, ("tiny_dog", "tiny_car"), {}, {}, {}))


def test_unreadable_videos_are_listed_and_the_others_are_joined(tiny: Records, folder: Path) -> None:
    write_video(folder / "tiny_dog.mp4", 320, 240, 10)
    write_sound(folder / "tiny_car.mp4", 1)
    joined, report = join_videos(tiny, folder)
    assert joined.videos == (replace(DOG, width=320, height=240), CAR)
    reason = f"{folder / 'tiny_car.mp4'}: there is no picture in it"
    assert report == JoinReport(1, (), {"tiny_car": reason}, {}, {})


@pytest.mark.parametrize(
    ("width", "height", "fits"),
    [(250, 90, True), (248, 90, False), (250, 88, False), (1280, 720, True), (64, 48, False)],
)
def test_a_frame_that_is_too_small_for_the_boxes_gives_no_size(
    tiny: Records, folder: Path, width: int, height: int, fits: bool
) -> None:
    write_video(folder / "tiny_dog.mp4", width, height, 10)
    joined, report = join_videos(tiny, folder)
    reason = f"boxes reach x 250, y 90; the file's frames are {width} x {height}"
    assert report == JoinReport(1, ("tiny_car",), {}, {} if fits else {"tiny_dog": reason}, {})
    assert joined.videos[0] == (replace(DOG, width=width, height=height) if fits else DOG)


@pytest.mark.parametrize(
    ("annotated", "other"),
    [(3.4, None), (2.6, None), (2.4, "annotations 2.40 s, file 3.00 s"), (3.6, "annotations 3.60 s, file 3.00 s")],
)
def test_another_duration_is_reported_and_the_file_s_is_kept(
    tiny: Records, folder: Path, annotated: float, other: str | None
) -> None:
    write_video(folder / "tiny_car.mp4", 64, 48, 3)
    own = replace(tiny, videos=(DOG, replace(CAR, duration=annotated)))
    joined, report = join_videos(own, folder)
    assert joined.videos[1] == replace(CAR, duration=3.0, width=64, height=48)
    assert report == JoinReport(1, ("tiny_dog",), {}, {}, {"tiny_car": other} if other else {})


def test_a_published_clip_is_joined_through_a_link(tiny: Records, folder: Path, clips_folder: Path) -> None:
    (folder / "tiny_dog.mp4").symlink_to(clips_folder / "nasa_13013.mp4")
    joined, report = join_videos(tiny, folder)
    assert (joined.videos[0].width, joined.videos[0].height) == (320, 180)
    assert joined.videos[0].duration == pytest.approx(13.056, abs=1e-6)
    assert report.other_duration == {"tiny_dog": "annotations 10.00 s, file 13.06 s"}


def test_a_folder_that_is_not_there_is_named(tiny: Records, tmp_path: Path, tiny_release: Path) -> None:
    for path in (tmp_path / "absent", tiny_release):
        with pytest.raises(VideoError, match=f"^{re.escape(str(path))}: there is no such folder.*VIDEO_ID.mp4"):
            join_videos(tiny, path)


def test_the_extent_of_a_video_is_that_of_all_its_events(tiny: Records) -> None:
    assert box_extents(tiny) == {"tiny_dog": (250.0, 90.0)}
