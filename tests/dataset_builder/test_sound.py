"""Sound lies where it is heard beside the picture; what is silent, absent or damaged is told apart."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from numpy.typing import NDArray
from scipy.signal import resample_poly
from written_sounds import burst_samples
from written_sounds import write_burst
from written_videos import write_numbered
from written_videos import write_sound

from r_avst.dataset_builder import sound
from r_avst.dataset_builder.sound import SAMPLE_RATE
from r_avst.dataset_builder.sound import has_sound
from r_avst.dataset_builder.sound import read_sound
from r_avst.dataset_builder.sound import sound_frames
from r_avst.dataset_builder.video import VideoError
from r_avst.dataset_builder.video import picture_duration

CLOSE = 0.03  # seconds
SIX_CHANNELS = (0.5,) * 6


def heard(samples: NDArray[np.float32] | None, rate: int = SAMPLE_RATE) -> tuple[float, float]:
    """From when to when it is loud, in seconds."""
    assert samples is not None
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    return loud[0] / rate, loud[-1] / rate


@pytest.mark.parametrize(
    ("name", "codec", "options", "begin"),
    [
        ("plain.mp4", "aac", {}, 2.0),
        ("rate_44100.mp4", "aac", {"rate": 44_100}, 2.0),
        ("mono_16000.mp4", "aac", {"rate": 16_000, "gains": (0.5,)}, 2.0),
        ("six_channels.ts", "ac3", {"gains": SIX_CHANNELS}, 2.0),
        ("start_5.ts", "aac", {"picture_at": 5, "sound_at": 5}, 2.0),
        ("start_5.mp4", "aac", {"picture_at": 5, "sound_at": 5}, 2.0),
        ("start_5_late_sound.mp4", "aac", {"picture_at": 5, "sound_at": 5.3}, 2.3),
        ("late_sound.mkv", "aac", {"sound_at": 0.7}, 2.7),
        ("late_sound.mp4", "aac", {"sound_at": 0.7}, 2.7),
        ("late_sound.ts", "aac", {"sound_at": 0.7}, 2.7),
        ("late_sound_opus.mkv", "libopus", {"sound_at": 0.7}, 2.7),
        ("late_picture.mp4", "aac", {"picture_at": 0.5}, 1.5),
        ("late_picture.ts", "aac", {"picture_at": 0.5}, 1.5),
        ("edit_list.mp4", "aac", {"picture_at": -3.3}, 2.0),
        ("fragmented.mp4", "aac", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}, 2.0),
        ("opus.mkv", "libopus", {}, 2.0),
        ("mp3.mp4", "libmp3lame", {}, 2.0),
        ("flash.flv", "aac", {"rate": 44_100}, 2.0),
        ("pcm.mov", "pcm_s16le", {}, 2.0),
        ("pcm_8_bits.mkv", "pcm_u8", {"rate": 8_000}, 2.0),
        ("pcm_24_bits.mkv", "pcm_s24le", {"rate": 96_000}, 2.0),
        ("pcm_float.mkv", "pcm_f32le", {}, 2.0),
        ("pcm_double.mkv", "pcm_f64le", {}, 2.0),
        ("flac.mkv", "flac", {}, 2.0),
    ],
)
def test_a_burst_is_heard_when_it_was_written(
    tmp_path: Path, name: str, codec: str, options: dict[str, Any], begin: float
) -> None:
    path = write_burst(tmp_path / name, codec, **options)
    duration = picture_duration(path)
    samples = read_sound(path, SAMPLE_RATE, duration)
    assert samples is not None
    assert (samples.dtype, samples.shape) == (np.float32, (round(duration * SAMPLE_RATE),))
    assert heard(samples) == pytest.approx((begin, min(begin + 0.5, duration)), abs=CLOSE)
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.06)
    assert np.abs(samples[: round((begin - CLOSE) * SAMPLE_RATE)]).max() < 0.02


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_any_rate_can_be_asked_for(tmp_path: Path, rate: int) -> None:
    samples = read_sound(write_burst(tmp_path / "flac.mkv", "flac"), rate, 6.0)
    assert samples is not None
    assert samples.shape == (6 * rate,)
    assert heard(samples, rate) == pytest.approx((2.0, 2.5), abs=0.002)


def test_samples_of_the_rate_asked_for_are_left_as_they_are(tmp_path: Path) -> None:
    path = write_burst(tmp_path / "own.mkv", "pcm_f32le", rate=16_000, gains=(0.5,))
    samples = read_sound(path, 16_000, 6.0)
    np.testing.assert_array_equal(samples, burst_samples(16_000, 6.0, (2.0, 2.5), (0.5,))[0])


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_resampling_agrees_with_scipy(tmp_path: Path, rate: int) -> None:
    path = write_burst(tmp_path / "own.mkv", "pcm_f32le", rate=rate, gains=(0.5,))
    expected = resample_poly(burst_samples(rate, 6.0, (2.0, 2.5), (0.5,))[0].astype(np.float64), 16_000, rate)
    samples = read_sound(path, 16_000, 6.0)
    assert samples is not None
    inside = slice(round(2.02 * 16_000), round(2.48 * 16_000))  # the filters ring differently where the tone begins and ends
    assert np.abs(samples - expected)[inside].max() < 0.002


@pytest.mark.parametrize(("gains", "peak"), [((0.5, 0.5), 0.5), ((0.8, 0.0), 0.4), ((0.5, -0.5), 0.0), ((1.0, 1.0), 1.0)])
def test_channels_are_averaged(tmp_path: Path, gains: tuple[float, ...], peak: float) -> None:
    samples = read_sound(write_burst(tmp_path / "own.mkv", "flac", gains=gains), SAMPLE_RATE, 6.0)
    assert samples is not None
    middle = samples[round(2.1 * SAMPLE_RATE) : round(2.4 * SAMPLE_RATE)]
    assert np.abs(middle).max() == pytest.approx(peak, abs=0.005)
    assert np.abs(samples).max() <= 1


def test_a_file_without_a_sound_track_has_none(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "mute.mp4", range(20))
    assert read_sound(path, SAMPLE_RATE, 2.0) is None
    assert not has_sound(path)


def test_a_silent_track_is_a_track(tmp_path: Path) -> None:
    path = write_burst(tmp_path / "silent.mp4", "aac", gains=(0.0, 0.0))
    samples = read_sound(path, SAMPLE_RATE, 6.0)
    assert samples is not None
    assert not samples.any()
    assert has_sound(path)


def test_before_the_track_begins_and_after_it_ends_there_is_silence(tmp_path: Path) -> None:
    path = write_burst(tmp_path / "late.mkv", "pcm_s16le", burst=(0, 6), sound_at=0.7)
    assert heard(read_sound(path, SAMPLE_RATE, 9.0)) == pytest.approx((0.7, 6.7), abs=0.002)
    assert heard(read_sound(path, SAMPLE_RATE, 3.0)) == pytest.approx((0.7, 3.0), abs=0.002)


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "aac"), ("a.mp4", "aac"), ("a.ts", "aac"), ("a.mkv", "libopus")])
def test_a_gap_in_the_track_is_silence_and_what_follows_stays_in_place(tmp_path: Path, name: str, codec: str) -> None:
    path = write_burst(tmp_path / name, codec, burst=(0.0, 5.0), gap=(2.0, 3.5))
    samples = read_sound(path, SAMPLE_RATE, 6.0)
    assert samples is not None
    loud = np.abs(samples).reshape(-1, SAMPLE_RATE // 20).max(axis=1) > 0.1  # in twentieths of a second
    assert loud[1:39].all()
    assert not loud[42:69].any()
    assert loud[72:99].all()
    assert not loud[102:].any()


def test_clocks_that_waver_leave_no_holes(tmp_path: Path) -> None:
    path = write_burst(tmp_path / "milliseconds.mkv", "aac", burst=(0, 6), rate=44_100)
    samples = read_sound(path, SAMPLE_RATE, 6.0)
    assert samples is not None
    assert np.abs(samples).reshape(-1, 160)[2:-2].max(axis=1).min() > 0.4  # a tone of 440 Hz peaks in every 10 ms


@pytest.mark.parametrize("default", [1, 2])
def test_of_several_tracks_the_first_default_is_read(tmp_path: Path, default: int) -> None:
    path = tmp_path / "both.mkv"
    sources = write_burst(tmp_path / "one.mp4", "aac"), write_burst(tmp_path / "two.mp4", "aac", burst=(3.0, 3.5))
    with av.open(str(path), "w") as written, av.open(str(sources[0])) as one, av.open(str(sources[1])) as two:
        taken = [one.streams.video[0], one.streams.audio[0], two.streams.audio[0]]
        streams = [written.add_stream_from_template(stream) for stream in taken]
        for number in (1, 2):
            streams[number].disposition = Disposition.default if number == default else Disposition(0)
        for container, source, stream in zip((one, one, two), taken, streams, strict=True):
            container.seek(0)
            for packet in container.demux(source):
                if packet.size:
                    packet.stream = stream
                    written.mux(packet)
    assert heard(read_sound(path, SAMPLE_RATE, 6.0)) == pytest.approx((1.0 + default, 1.5 + default), abs=CLOSE)


def flip_sound(source: Path, target: Path, seed: int, count: int = 30) -> Path:
    """The same file with a byte inverted in some packets of sound."""
    content, random = bytearray(source.read_bytes()), np.random.default_rng(seed)
    with av.open(str(source)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(container.streams.audio[0]) if packet.size]
    for index in random.integers(0, len(places), count).tolist():
        position, size = places[index]
        content[(position or 0) + int(random.integers(0, size))] ^= 0xFF
    target.write_bytes(content)
    return target


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "aac"), ("a.ts", "aac"), ("a.mkv", "flac"), ("a.ts", "ac3")]
)
def test_damaged_sound_is_named(tmp_path: Path, name: str, codec: str) -> None:
    source = write_burst(tmp_path / f"source.{name}", codec, burst=(0, 6))
    for seed in range(8):
        path = flip_sound(source, tmp_path / name, seed)
        with pytest.raises(VideoError, match=f"^{re.escape(str(path))}: "):
            read_sound(path, SAMPLE_RATE, 6.0)


def test_where_the_sound_is_damaged_is_said(tmp_path: Path) -> None:
    path = flip_sound(write_burst(tmp_path / "source.mp4", "aac", burst=(0, 6)), tmp_path / "own.mp4", seed=1)
    with pytest.raises(VideoError, match=r"own\.mp4: its sound is damaged at [\d.]+ s of the file's clock \("):
        read_sound(path, SAMPLE_RATE, 6.0)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_file_that_was_cut_off_is_named(tmp_path: Path, suffix: str) -> None:
    options = {"movflags": "faststart"} if suffix == ".mp4" else {}
    content = write_burst(tmp_path / f"whole{suffix}", "aac", container_options=options).read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(VideoError, match=f"^{re.escape(str(path))}: .*cut off"):
        read_sound(path, SAMPLE_RATE, 6.0)


def test_samples_that_are_no_numbers_are_damage(tmp_path: Path) -> None:
    path = write_burst(tmp_path / "own.mkv", "pcm_f32le", rate=16_000, gains=(float("nan"),))
    with pytest.raises(VideoError, match=r"own\.mkv: its sound is damaged, some samples are no numbers"):
        read_sound(path, SAMPLE_RATE, 6.0)


def test_samples_beyond_full_scale_are_clipped(tmp_path: Path) -> None:
    samples = read_sound(write_burst(tmp_path / "own.mkv", "pcm_f32le", gains=(1e20,)), SAMPLE_RATE, 6.0)
    assert samples is not None
    assert (samples.min(), samples.max()) == (-1, 1)


def test_an_absurd_rate_is_refused(tmp_path: Path) -> None:
    path = write_burst(tmp_path / "slow.mkv", "pcm_s16le", rate=500)
    with pytest.raises(VideoError, match=r"slow\.mkv: its sound has 500 samples a second"):
        read_sound(path, SAMPLE_RATE, 6.0)


def test_an_absurd_length_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = write_burst(tmp_path / "own.mp4", "aac")
    with pytest.raises(VideoError, match=r"own\.mp4: 1000000000 s of sound are too much; at most 33554 s"):
        read_sound(path, SAMPLE_RATE, 1e9)


@pytest.mark.parametrize(("rate", "duration"), [(0, 6.0), (-1, 6.0), (16_000, 0.0), (16_000, -1.0), (16_000, float("nan"))])
def test_a_rate_or_a_duration_must_be_above_0(tmp_path: Path, rate: int, duration: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        read_sound(tmp_path / "any.mp4", rate, duration)


@pytest.mark.parametrize("read", [has_sound, lambda path: read_sound(path, SAMPLE_RATE, 1.0)])
def test_what_is_no_video_is_named(tmp_path: Path, read: Callable[[Path], object]) -> None:
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(bytes(range(256)) * 40)
    for path in (noise, tmp_path / "absent.mp4", write_sound(tmp_path / "sound.mp4", 1)):
        with pytest.raises(VideoError, match=f"^{re.escape(str(path))}: "):
            read(path)


def test_a_stream_that_begins_in_mid_file_ends_in_no_crash(tmp_path: Path) -> None:
    silent = write_numbered(tmp_path / "silent.ts", range(200)).read_bytes()
    path = tmp_path / "both.ts"
    path.write_bytes(silent + write_burst(tmp_path / "sounding.ts", "aac").read_bytes())
    with pytest.raises(VideoError, match=f"^{re.escape(str(path))}: "):
        read_sound(path, SAMPLE_RATE, 6.0)


def test_parts_of_another_rate_begin_a_new_run() -> None:
    ones = np.ones(1_600, np.float32)
    parts = [sound._Part(0, 1.0, 16_000, ones), sound._Part(1, 1.1, 8_000, ones / 2), sound._Part(1, 1.3, 8_000, ones / 2)]
    placed = np.zeros(16_000, np.float32)
    for first, samples in sound._resampled(iter(parts), 0.9, 16_000):
        sound._put(placed, first, samples)
    assert not placed[:1_600].any()
    np.testing.assert_allclose(placed[1_600:3_200], 1, atol=0.02)
    np.testing.assert_allclose(placed[3_300:9_500], 0.5, atol=0.02)
    assert not placed[9_601:].any()


# --- clips of others --------------------------------------------------------------------------------------------------


def plainly_decoded(path: Path) -> tuple[NDArray[np.float64], int]:
    """All samples in the file's order, averaged, with their rate."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    assert frames[0].time == 0
    return np.concatenate([frame.to_ndarray().mean(axis=0) for frame in frames]), frames[0].sample_rate


@pytest.mark.parametrize("name", ["nasa_13013.mp4", "bigbuckbunny.mp4", "b.mp4"])
def test_the_sound_of_published_clips_agrees_with_plain_decoding(clips_folder: Path, name: str) -> None:
    path = clips_folder / name
    duration = picture_duration(path)
    samples = read_sound(path, SAMPLE_RATE, duration)
    plain, rate = plainly_decoded(path)
    expected = resample_poly(plain, SAMPLE_RATE, rate)[: round(duration * SAMPLE_RATE)]
    assert samples is not None
    assert np.abs(samples[: expected.size] - expected).max() <= 0.02
    if expected.any():
        assert np.corrcoef(samples[: expected.size], expected)[0, 1] > 0.99


def test_a_published_clip_without_sound_has_none(clips_folder: Path) -> None:
    assert read_sound(clips_folder / "muted_b.mp4", SAMPLE_RATE, 5.0) is None
    assert not has_sound(clips_folder / "muted_b.mp4")
    assert has_sound(clips_folder / "b.mp4")


# --- frame by frame ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "options", "first", "channels"),
    [
        ("plain.mp4", "aac", {}, 0.0, 2),
        ("six_channels.ts", "ac3", {"gains": SIX_CHANNELS}, 0.0, 6),
        ("late_sound.mkv", "aac", {"sound_at": 0.7}, 0.7, 2),
        ("late_picture.mp4", "aac", {"picture_at": 0.5}, -0.5, 2),
    ],
)
def test_frames_say_when_they_are_heard_and_keep_their_channels(
    tmp_path: Path, name: str, codec: str, options: dict[str, Any], first: float, channels: int
) -> None:
    frames = list(sound_frames(write_burst(tmp_path / name, codec, **options)))
    assert frames[0][0] == pytest.approx(first, abs=CLOSE)
    assert {frame.layout.nb_channels for _, frame in frames} == {channels}
    ends = [at + frame.samples / frame.sample_rate for at, frame in frames]
    assert [at for at, _ in frames[1:]] == pytest.approx(ends[:-1], abs=0.002)
    assert ends[-1] - frames[0][0] == pytest.approx(6.0, abs=CLOSE)


def test_a_film_without_a_track_gives_no_frames(tmp_path: Path) -> None:
    assert list(sound_frames(write_numbered(tmp_path / "silent.mp4", range(3)))) == []
