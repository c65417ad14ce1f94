"""Videos written anew have the same frames at the same times, the same sound, and play in a browser."""

import base64
import re
import subprocess
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from chromium import browser_tab
from numpy.typing import NDArray
from written_sounds import write_burst
from written_videos import flip_bits
from written_videos import number_in
from written_videos import write_numbered

from r_avst.dataset_builder.sound import SAMPLE_RATE
from r_avst.dataset_builder.sound import read_sound
from r_avst.dataset_builder.video import VideoError
from r_avst.dataset_builder.video import picture_duration
from r_avst.dataset_builder.video import probe
from r_avst.dataset_builder.video import read_frames
from r_avst.dataset_builder.video import shown_times
from r_avst.space.encoding import TAIL
from r_avst.space.encoding import EncodingError
from r_avst.space.encoding import Picture
from r_avst.space.encoding import write_mp4

TICK = 1 / 90_000
CLOSE = 0.03  # seconds
UNEVEN = (0, 1, 2, 5, 6, 9, 14, 15, 29, 30, 31, 50)


def as_it_is(_: float, picture: Picture) -> Picture:
    return picture


def rewritten(video: Path) -> Path:
    out = video.with_name(f"{video.stem}-again.mp4")
    write_mp4(video, as_it_is, out, lambda _: None)
    return out


def numbers(video: Path) -> list[int | None]:
    return [number_in(frame.image) for frame in read_frames(video, shown_times(video), "pyav")]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain.mp4", {"ticks": range(40)}),
        ("film.mp4", {"ticks": range(40), "tick": Fraction(1001, 24_000)}),
        ("uneven.mp4", {"ticks": UNEVEN}),
        ("uneven.mkv", {"ticks": UNEVEN, "tick": Fraction(1, 30)}),
        ("late.mp4", {"ticks": range(5, 30)}),
        ("old.avi", {"ticks": range(30), "codec": "mpeg4", "options": {}}),
        ("vp9.webm", {"ticks": range(10), "codec": "libvpx-vp9", "options": {"cpu-used": "8"}}),
    ],
)
def test_the_frames_come_at_the_same_times(tmp_path: Path, name: str, options: Mapping[str, Any]) -> None:
    video = write_numbered(tmp_path / name, **options)
    again = rewritten(video)
    assert shown_times(again) == pytest.approx(shown_times(video), abs=TICK)
    assert picture_duration(again) == pytest.approx(picture_duration(video), abs=TICK)
    assert numbers(again) == list(range(len(options["ticks"])))


def test_a_recording_whose_header_says_no_length_is_written_too(tmp_path: Path) -> None:
    options = {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}, "container_options": {"live": "1"}}
    video = write_numbered(tmp_path / "recorded.webm", range(10), **options)
    with av.open(str(video)) as container:
        assert not container.duration
    again = rewritten(video)
    assert shown_times(again) == pytest.approx(shown_times(video), abs=TICK)
    assert numbers(again) == list(range(10))


def test_the_file_is_h264_and_aac_that_starts_before_it_is_there_whole(tmp_path: Path) -> None:
    again = rewritten(write_burst(tmp_path / "old.mkv", "pcm_s16le"))
    with av.open(str(again)) as container:
        (picture,), (sound,) = container.streams.video, container.streams.audio
        assert (picture.codec_context.name, picture.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert sound.codec_context.name == "aac"
    content = again.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize(("degrees", "mirrored"), [(90, False), (180, False), (-90, False), (0, True)])
def test_a_turned_picture_is_written_upright(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    video = write_numbered(tmp_path / "turned.mp4", range(5), rotation=(degrees, mirrored))
    again = rewritten(video)
    seen = probe(again)
    assert (seen.width, seen.height) == (probe(video).width, probe(video).height)
    for before, after in zip(frames(video), frames(again), strict=True):
        assert np.abs(before.astype(int) - after).mean() < 6


def frames(video: Path) -> list[NDArray[np.uint8]]:
    return [frame.image for frame in read_frames(video, shown_times(video), "pyav")]


def test_odd_sizes_are_made_even_and_nothing_moves(tmp_path: Path) -> None:
    video = write_numbered(tmp_path / "odd.mkv", range(3), codec="ffv1", options={}, size=(319, 181))
    again = frames(rewritten(video))
    assert {picture.shape for picture in again} == {(182, 320, 3)}
    for before, after in zip(frames(video), again, strict=True):
        assert np.abs(before.astype(int) - after[:181, :319]).mean() < 6


@pytest.mark.parametrize("matrix", [1, 5], ids=["BT.709", "BT.601"])
def test_colours_stay(tmp_path: Path, matrix: int) -> None:
    wanted = np.empty((64, 64, 3), np.uint8)
    wanted[:] = (200, 90, 40)
    with av.open(str(tmp_path / "red.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.colorspace = 64, 64, "yuv420p", matrix
        picture = av.VideoFrame.from_ndarray(wanted, format="rgb24").reformat(format="yuv420p", dst_colorspace=matrix)
        for number in range(3):
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    for picture in frames(rewritten(tmp_path / "red.mp4")):
        assert picture[32, 32].tolist() == pytest.approx([200, 90, 40], abs=4)


def test_wide_pixels_stay_wide(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "wide.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 72, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(16, 15)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 72, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(rewritten(tmp_path / "wide.mp4"))) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 15)


# --- sound ------------------------------------------------------------------------------------------------------------


def heard(video: Path) -> tuple[float, float]:
    """From when to when it is loud."""
    samples = read_sound(video, SAMPLE_RATE, 6.0)
    assert samples is not None
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    return loud[0] / SAMPLE_RATE, loud[-1] / SAMPLE_RATE


def length_of_sound(video: Path) -> float:
    with av.open(str(video)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("plain.mp4", "aac", {}),
        ("mono.mp4", "aac", {"rate": 16_000, "gains": (0.5,)}),
        ("six.ts", "ac3", {"gains": (0.2,) * 6}),
        ("start_5.ts", "aac", {"picture_at": 5, "sound_at": 5}),
        ("opus.mkv", "libopus", {}),
        ("mp3.mp4", "libmp3lame", {"rate": 44_100}),
        ("pcm_8_bits.mkv", "pcm_u8", {"rate": 8_000}),
        ("pcm_96_kHz.mkv", "pcm_s24le", {"rate": 96_000}),
    ],
)
def test_sound_is_heard_as_long_and_at_the_same_time(
    tmp_path: Path, name: str, codec: str, options: Mapping[str, Any]
) -> None:
    video = write_burst(tmp_path / name, codec, **options)
    again = rewritten(video)
    assert heard(again) == pytest.approx(heard(video), abs=CLOSE)
    assert length_of_sound(again) == pytest.approx(length_of_sound(video), abs=CLOSE)


@pytest.mark.parametrize(
    ("name", "options", "begin"),
    [
        ("late_sound.mkv", {"sound_at": 0.7}, 2.7),
        ("late_picture.mp4", {"picture_at": 0.5}, 1.5),
        ("gap.mkv", {"gap": (0.5, 1.7)}, 2.0),
    ],
)
def test_sound_stays_with_the_picture(tmp_path: Path, name: str, options: Mapping[str, Any], begin: float) -> None:
    again = rewritten(write_burst(tmp_path / name, "aac", **options))
    assert heard(again) == pytest.approx((begin, begin + 0.5), abs=CLOSE)


def test_sound_ends_soon_after_the_picture_however_late_it_comes(tmp_path: Path) -> None:
    again = rewritten(write_burst(tmp_path / "late.mkv", "aac", sound_at=1000))
    assert 6 <= length_of_sound(again) <= 6 + TAIL + 0.1
    assert picture_duration(again) == pytest.approx(6, abs=TICK)


def test_a_silent_film_gets_no_sound(tmp_path: Path) -> None:
    with av.open(str(rewritten(write_numbered(tmp_path / "silent.mp4", range(3))))) as container:
        assert not container.streams.audio


# --- in a browser -----------------------------------------------------------------------------------------------------


def test_a_browser_plays_what_it_could_not_play_before(tmp_path: Path) -> None:
    video = write_burst(tmp_path / "old.mkv", "ac3")
    old = write_numbered(tmp_path / "old.avi", range(20), codec="mpeg4", options={})
    page = "data:text/html,<p>"
    script = """
        new Promise((resolve) => {
          const video = document.createElement("video");
          video.onloadeddata = () => resolve([video.videoWidth, video.videoHeight, Math.round(video.duration * 10)]);
          video.onerror = () => resolve(null);
          video.src = "data:video/mp4;base64,%s";
        })"""
    with browser_tab(tmp_path / "profile") as tab:
        tab.open(page)
        assert tab.value(script % base64_of(old)) is None
        assert tab.value(script % base64_of(rewritten(old))) == [320, 180, 20]
        assert tab.value(script % base64_of(rewritten(video))) == [320, 180, 60]


def base64_of(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


# --- what goes wrong, and how much it takes ---------------------------------------------------------------------------


def test_progress_is_told_from_0_to_1_and_ends_the_writing_when_it_raises(tmp_path: Path) -> None:
    video, told = write_burst(tmp_path / "film.mp4", "aac"), []
    out = tmp_path / "out.mp4"
    out.write_text("what was there")

    def stop(done: float) -> None:
        told.append(done)
        if done > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mp4(video, as_it_is, out, stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "out.mp4"]
    assert out.read_text() == "what was there"
    assert told == sorted(told)
    assert told[0] == 0 < told[-1] < 0.6
    told.clear()
    write_mp4(video, as_it_is, out, told.append)
    assert told[-1] == pytest.approx(1, abs=0.02)
    assert shown_times(out) == shown_times(video)


def test_a_damaged_video_leaves_no_file(tmp_path: Path) -> None:
    whole = write_numbered(tmp_path / "whole.mp4", container_options={"movflags": "faststart"})
    video = flip_bits(whole, tmp_path / "film.mp4", 0.45, 40, seed=0)
    with pytest.raises(VideoError, match=re.escape(f"{video}: ")):
        rewritten(video)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "whole.mp4"]


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    video = write_numbered(tmp_path / "film.mp4", range(3))
    with pytest.raises(EncodingError, match="it cannot be written as MP4"):
        write_mp4(video, as_it_is, tmp_path / "gone" / "out.mp4", lambda _: None)


MEASURED = """
import sys
from pathlib import Path
from peak_memory import peak_memory
from r_avst.space.encoding import write_mp4
write_mp4(Path(sys.argv[1]), lambda _, picture: picture, Path(sys.argv[2]), lambda _: None)
print(peak_memory())
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    peaks = []
    for seconds in (12, 120):
        video = write_burst(tmp_path / f"{seconds}.mp4", "aac", seconds=seconds)
        command = [sys.executable, "-c", MEASURED, str(video), str(tmp_path / "out.mp4")]
        environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
        ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        peaks.append(float(ran.stdout))
    assert peaks[1] < peaks[0] + 30
