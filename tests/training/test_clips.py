"""Clips hold the frames on screen at the model's size and the sound beside them; the cache gives back the same, or anew."""

import doctest
import math
import os
import subprocess
import sys
import time
import tracemalloc
from dataclasses import asdict
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies
from transformers import Qwen2VLVideoProcessor
from written_sounds import write_burst
from written_videos import flip_bits
from written_videos import number_in
from written_videos import write_numbered
from written_videos import write_video

from r_avst.dataset_builder.video import VideoError
from r_avst.dataset_builder.video import read_frames
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.training import clips
from r_avst.training.clips import Clip
from r_avst.training.clips import ClipCache
from r_avst.training.clips import MediaSettings
from r_avst.training.clips import frame_times
from r_avst.training.clips import processed_size
from r_avst.training.clips import read_clip

PAPER = MediaSettings(fps=2.0, max_frames=768, min_pixels=3_136, max_pixels=12_845_056, audio=True, decoder="pyav")
SILENT = replace(PAPER, audio=False)
PLENTY = 1 << 40
UNSCALED = 280, 168  # of multiples of 28


def assert_same(one: Clip, other: Clip) -> None:
    assert (one.fps, one.heard, one.source_size, one.duration) == (other.fps, other.heard, other.source_size, other.duration)
    np.testing.assert_array_equal(one.frames, other.frames)
    assert (one.sound is None) == (other.sound is None)
    if one.sound is not None and other.sound is not None:
        assert one.sound.dtype == other.sound.dtype == np.float32
        np.testing.assert_array_equal(one.sound, other.sound)


# --- settings, sizes, times -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fps": 0.0}, "fps is 0.0"),
        ({"fps": -1.0}, "fps is -1.0"),
        ({"fps": math.nan}, "fps is nan"),
        ({"fps": math.inf}, "fps is inf"),
        ({"max_frames": 0}, "max_frames 0"),
        ({"min_pixels": 0}, "min_pixels is 0"),
        ({"min_pixels": 4_000, "max_pixels": 3_999}, "min_pixels is 4000 and max_pixels 3999"),
        ({"min_pixels": 1, "max_pixels": 783}, "max_pixels be 784 at least"),
        ({"decoder": "opencv"}, "decoder is 'opencv'; there are pyav, decord"),
    ],
)
def test_settings_that_no_clip_can_be_read_with_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(PAPER, **changes)


@pytest.mark.parametrize(
    ("source_size", "limits", "expected"),
    [
        ((1280, 720), (3_136, 12_845_056), (1288, 728)),
        ((320, 180), (3_136, 12_845_056), (308, 168)),
        ((1280, 720), (3_136, 200_000), (588, 308)),
        ((720, 1280), (3_136, 200_000), (308, 588)),
        ((64, 48), (40_000, 12_845_056), (252, 196)),
        ((10, 1000), (3_136, 12_845_056), (28, 560)),
        ((280, 168), (3_136, 12_845_056), (280, 168)),
    ],
)
def test_the_models_size_of_a_frame(source_size: Size, limits: tuple[int, int], expected: Size) -> None:
    settings = replace(PAPER, min_pixels=limits[0], max_pixels=limits[1])
    assert processed_size(source_size, settings) == expected


def test_a_frame_too_narrow_is_refused() -> None:
    with pytest.raises(ValueError, match="aspect ratio"):
        processed_size((4000, 10), PAPER)


@given(
    duration=strategies.floats(1e-3, 1e5),
    fps=strategies.floats(1e-3, 1e6),
    max_frames=strategies.integers(1, 300),
)
def test_times_are_even_within_the_clip_and_all_of_them(duration: float, fps: float, max_frames: int) -> None:
    times, fact = frame_times(duration, fps, max_frames)
    assert 1 <= len(times) <= max_frames
    assert times == [number / fact for number in range(len(times))]
    assert times[-1] < duration
    if fact == fps:
        assert len(times) == max_frames or len(times) / fps >= duration
    else:
        assert fact < fps
        assert len(times) == max_frames
        assert len(times) / fact == pytest.approx(duration)


@pytest.mark.parametrize(("duration", "fps", "number"), [(20.0, 2.0, 40), (20.001, 2.0, 41), (0.3, 10.0, 3), (0.01, 2.0, 1)])
def test_a_frame_that_would_begin_at_the_end_is_left_out(duration: float, fps: float, number: int) -> None:
    assert len(frame_times(duration, fps, 768)[0]) == number


@pytest.mark.parametrize("duration", [0.0, -1.0, math.nan, math.inf])
def test_a_clip_that_lasts_no_time_has_no_frames(duration: float) -> None:
    with pytest.raises(ValueError, match="has no frames"):
        frame_times(duration, 2.0, 768)


def test_the_examples_hold() -> None:
    found = doctest.testmod(clips)
    assert (found.failed, found.attempted > 0) == (0, True)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_frame_is_what_is_on_screen(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "own.mp4", size=UNSCALED)
    clip = read_clip(path, SILENT)
    assert [number_in(frame) for frame in clip.frames] == [5 * number for number in range(40)]
    assert (clip.fps, clip.duration, clip.source_size, clip.processed_size) == (2.0, 20.0, UNSCALED, UNSCALED)
    assert (clip.sound, clip.heard) == (None, False)


def test_frames_of_uneven_times_are_those_on_screen(tmp_path: Path) -> None:
    ticks = np.cumsum([0, *np.random.default_rng(0).choice([20, 40, 60, 900], 60)])
    path = write_numbered(tmp_path / "own.mp4", ticks.tolist(), Fraction(1, 600), size=UNSCALED)
    clip = read_clip(path, replace(SILENT, fps=3.0))
    due = [int(np.searchsorted(ticks / 600, number / 3 + 1e-9, side="right")) - 1 for number in range(len(clip.frames))]
    assert [number_in(frame) for frame in clip.frames] == due
    assert len(due) / 3 >= clip.duration > (len(due) - 1) / 3


def test_a_longer_video_is_sampled_more_sparsely_over_its_whole_length(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "own.mp4", size=UNSCALED)
    clip = read_clip(path, replace(SILENT, fps=1e9, max_frames=8))
    assert [number_in(frame) for frame in clip.frames] == [25 * number for number in range(8)]
    assert clip.fps == 0.4


def test_memory_is_that_of_the_processed_frames(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "large.mp4", range(40), size=(1280, 720))
    settings = replace(SILENT, fps=10.0, max_pixels=50_000)
    read_clip(path, settings)
    tracemalloc.start()
    clip = read_clip(path, settings)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(clip.frames) == 40
    assert peak < clip.frames.nbytes + 5 * 1280 * 720 * 3


@pytest.mark.parametrize(
    ("source_size", "min_pixels", "max_pixels"),
    [
        ((320, 180), 3_136, 12_845_056),
        ((640, 360), 3_136, 60_000),
        ((96, 64), 60_000, 12_845_056),
        ((180, 320), 3_136, 20_000),
    ],
)
def test_the_model_gets_to_the_bit_what_its_own_processor_makes(
    tmp_path: Path, source_size: Size, min_pixels: int, max_pixels: int
) -> None:
    path = write_numbered(tmp_path / "own.mp4", range(30), size=source_size)
    clip = read_clip(path, replace(SILENT, min_pixels=min_pixels, max_pixels=max_pixels))
    source = np.stack([frame.image for frame in read_frames(path, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5], "pyav")])
    processor: Any = Qwen2VLVideoProcessor(size={"shortest_edge": min_pixels, "longest_edge": max_pixels})
    due = processor(videos=[source], return_tensors="pt", cap_pixels_per_frame=False)
    given = processor(videos=[clip.frames], do_resize=False, return_tensors="pt", cap_pixels_per_frame=False)
    assert torch.equal(given.video_grid_thw, due.video_grid_thw)
    assert torch.equal(given.pixel_values_videos, due.pixel_values_videos)


def test_a_turned_video_has_the_size_that_people_see(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "turned.mp4", range(3), rotation=(90, False))
    clip = read_clip(path, SILENT)
    assert (clip.source_size, clip.processed_size) == ((180, 320), (168, 308))


@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_sound_and_picture_share_their_zero(tmp_path: Path, suffix: str) -> None:
    clip = read_clip(write_burst(tmp_path / f"own{suffix}", "aac", picture_at=5, sound_at=5.2), PAPER)
    assert clip.sound is not None
    assert clip.sound.shape == (96_000,)
    assert np.flatnonzero(np.abs(clip.sound) > 0.1)[[0, -1]] / 16_000 == pytest.approx((2.2, 2.7), abs=0.03)
    assert (len(clip.frames), clip.heard) == (12, True)


def test_a_file_without_a_track_sounds_silent_and_says_so(tmp_path: Path) -> None:
    clip = read_clip(write_numbered(tmp_path / "mute.mp4", range(25)), PAPER)
    assert clip.sound is not None
    assert (clip.sound.shape, clip.sound.dtype, clip.sound.any(), clip.heard) == ((40_000,), np.float32, False, False)


def test_a_track_that_is_not_asked_for_is_noticed_all_the_same(tmp_path: Path) -> None:
    clip = read_clip(write_burst(tmp_path / "own.mp4", "aac"), SILENT)
    assert (clip.sound, clip.heard) == (None, True)


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    narrow = write_video(tmp_path / "narrow.mp4", 4020, 20, 3)
    with pytest.raises(VideoError, match=r"narrow\.mp4: frames of 4020 x 20 are not for this model \(absolute aspect ratio"):
        read_clip(narrow, PAPER)
    source = write_numbered(tmp_path / "source.mp4", container_options={"movflags": "faststart"})
    with pytest.raises(VideoError, match=r"damaged\.mp4: "):
        read_clip(flip_bits(source, tmp_path / "damaged.mp4", 0.2, 40, seed=1), PAPER)
    for read in (lambda path: read_clip(path, PAPER), lambda path: ClipCache(tmp_path, PLENTY).clip(path, PAPER)):
        with pytest.raises(VideoError, match=r"absent\.mp4: it cannot be opened as a video"):
            read(tmp_path / "absent.mp4")


# --- cache ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sounding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_burst(tmp_path_factory.mktemp("clips") / "sounding.mp4", "aac")


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


@pytest.mark.parametrize(
    "settings", [PAPER, SILENT, replace(PAPER, fps=30.0, max_frames=5), replace(PAPER, max_pixels=9_000)]
)
def test_a_kept_clip_is_the_clip(tmp_path: Path, sounding: Path, settings: MediaSettings) -> None:
    cache = ClipCache(tmp_path / "cache", PLENTY)
    due = read_clip(sounding, settings)
    for _ in range(2):
        clip = cache.clip(sounding, settings)
        assert_same(clip, due)
        assert clip.frames.flags.writeable
        assert len(entries(tmp_path / "cache")) == 1


def test_of_a_file_whose_clip_is_kept_nothing_is_read(tmp_path: Path, sounding: Path) -> None:
    path = tmp_path / "own.mp4"
    path.write_bytes(sounding.read_bytes())
    cache = ClipCache(tmp_path / "cache", PLENTY)
    due, status = cache.clip(path, PAPER), path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert_same(cache.clip(path, PAPER), due)
    with pytest.raises(VideoError):
        read_clip(path, PAPER)


def test_another_process_finds_what_one_kept(tmp_path: Path, sounding: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    due = ClipCache(tmp_path, PLENTY).clip(sounding, PAPER)
    monkeypatch.delattr(clips, "read_clip")
    monkeypatch.chdir(sounding.parent)
    assert_same(ClipCache(tmp_path, PLENTY).clip(Path(sounding.name), PAPER), due)


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path / "cache", PLENTY)
    path = write_numbered(tmp_path / "own.mp4", range(20), size=UNSCALED)
    assert len(cache.clip(path, SILENT).frames) == 4
    write_numbered(path, range(40), size=UNSCALED)
    assert len(cache.clip(path, SILENT).frames) == 8


@pytest.mark.parametrize(
    "change",
    [
        {"fps": 1.0},
        {"max_frames": 3},
        {"min_pixels": 90_000},
        {"max_pixels": 9_000},
        {"audio": False},
        {"decoder": "decord"},
    ],
)
def test_each_setting_has_clips_of_its_own(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "own.mp4"
    path.touch()
    assert asdict(replace(PAPER, **change)) != asdict(PAPER)
    assert clips._key(path, replace(PAPER, **change)) != clips._key(path, PAPER)


def test_an_entry_that_is_damaged_is_made_anew(tmp_path: Path, sounding: Path) -> None:
    cache = ClipCache(tmp_path, PLENTY)
    settings = replace(PAPER, max_frames=3)
    due = cache.clip(sounding, settings)
    (entry,) = entries(tmp_path)
    whole = entry.read_bytes()
    flipped = [0, 3, 8, 9, 12, 30, 60, 90, len(whole) // 2, len(whole) - 1]
    damaged = [whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :] for place in flipped]
    for content in (*damaged, b"", b"\n\n", whole[:5], whole[:50], whole[:-1], whole + b"\0", whole[:-4], b"\0" * 99):
        entry.write_bytes(content)
        assert_same(cache.clip(sounding, settings), due)
        assert entry.read_bytes() == whole
    assert entries(tmp_path) == [entry]


@pytest.mark.parametrize("other", [{"max_frames": 4}, {"max_pixels": 9_000}, {"audio": False}])
def test_an_entry_of_another_shape_is_made_anew(tmp_path: Path, sounding: Path, other: dict[str, Any]) -> None:
    ClipCache(tmp_path / "cache", PLENTY).clip(sounding, replace(PAPER, **other))
    (entry,) = entries(tmp_path / "cache")
    entry.rename(entry.with_name(f"{clips._key(sounding, PAPER)}{clips.SUFFIX}"))
    assert_same(ClipCache(tmp_path / "cache", PLENTY).clip(sounding, PAPER), read_clip(sounding, PAPER))


def test_the_clip_used_longest_ago_makes_room(tmp_path: Path) -> None:
    paths = [write_numbered(tmp_path / f"{number}.mp4", range(20), size=UNSCALED) for number in range(3)]
    ClipCache(tmp_path / "one", PLENTY).clip(paths[0], SILENT)
    (entry,) = entries(tmp_path / "one")
    cache = ClipCache(tmp_path / "cache", entry.stat().st_size * 2)
    names = [f"{clips._key(path, SILENT)}{clips.SUFFIX}" for path in paths]
    for number in (0, 1, 0, 2):
        cache.clip(paths[number], SILENT)
        time.sleep(0.02)  # a file system's clock may stand still for some milliseconds
    assert {entry.name for entry in entries(tmp_path / "cache")} == {names[0], names[2]}
    assert sum(entry.stat().st_size for entry in entries(tmp_path / "cache")) <= entry.stat().st_size * 2


def test_a_cache_of_no_bytes_keeps_nothing(tmp_path: Path, sounding: Path) -> None:
    cache = ClipCache(tmp_path, 0)
    assert_same(cache.clip(sounding, PAPER), read_clip(sounding, PAPER))
    assert entries(tmp_path) == []
    with pytest.raises(ValueError, match="a cache of -1 bytes"):
        ClipCache(tmp_path, -1)


def test_a_clip_larger_than_the_cache_drives_nothing_out(tmp_path: Path, sounding: Path) -> None:
    small = replace(SILENT, max_frames=1, max_pixels=3_136)
    cache = ClipCache(tmp_path, 20_000)
    cache.clip(sounding, small)
    kept = entries(tmp_path)
    cache.clip(sounding, PAPER)
    assert entries(tmp_path) == kept
    assert len(kept) == 1


def test_what_killed_processes_left_is_removed_and_what_others_put_there_stays(tmp_path: Path, sounding: Path) -> None:
    for name in ("old.clip.part", "young.clip.part", "old.txt"):
        (tmp_path / name).write_bytes(b"half")
    for name in ("old.clip.part", "old.txt"):
        os.utime(tmp_path / name, (0, 0))
    ClipCache(tmp_path, 10_000_000).clip(sounding, SILENT)
    assert [path.name for path in entries(tmp_path) if path.suffix != clips.SUFFIX] == ["old.txt", "young.clip.part"]


def test_an_entry_that_cannot_be_finished_leaves_nothing(
    tmp_path: Path, sounding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        ClipCache(tmp_path, PLENTY).clip(sounding, PAPER)
    assert entries(tmp_path) == []


HUSTLE = """
import sys
from pathlib import Path
import numpy as np
from r_avst.training.clips import ClipCache, MediaSettings
settings = MediaSettings(2.0, 768, 3136, 12845056, False, "pyav")
cache = ClipCache(Path(sys.argv[1]), int(sys.argv[2]))
random = np.random.default_rng(int(sys.argv[3]))
for path in random.choice(sys.argv[4:], 30):
    assert len(cache.clip(Path(path), settings).frames) == int(Path(path).stem), path
"""


def test_processes_share_a_folder(tmp_path: Path) -> None:
    paths = [write_numbered(tmp_path / f"{number}.mp4", range(5 * number), size=UNSCALED) for number in range(1, 7)]
    room = 9 * UNSCALED[0] * UNSCALED[1] * 3  # of 21 frames: entries come and go all the time
    command = [sys.executable, "-c", HUSTLE, str(tmp_path / "cache"), str(room)]
    both = [subprocess.Popen([*command, str(seed), *map(str, paths)], stderr=subprocess.PIPE) for seed in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    kept = entries(tmp_path / "cache")
    assert {path.suffix for path in kept} == {clips.SUFFIX}
    assert 0 < sum(path.stat().st_size for path in kept) <= room


# --- clips of others --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "number", "size", "heard"),
    [
        ("nasa_13013.mp4", 26, (308, 168), True),
        ("bigbuckbunny.mp4", 11, (1288, 728), True),
        ("b.mp4", 10, (476, 280), True),
        ("muted_b.mp4", 10, (476, 280), False),
    ],
)
def test_published_clips_are_read_and_kept(
    tmp_path: Path, clips_folder: Path, name: str, number: int, size: Size, heard: bool
) -> None:
    cache = ClipCache(tmp_path, PLENTY)
    clip = cache.clip(clips_folder / name, PAPER)
    assert (len(clip.frames), clip.processed_size, clip.heard) == (number, size, heard)
    assert clip.sound is not None
    assert clip.sound.size == round(clip.duration * 16_000)
    assert_same(cache.clip(clips_folder / name, PAPER), clip)
