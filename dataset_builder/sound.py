"""The sound of video files, on the timeline of their picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .video import VideoError
from .video import opened
from .video import packets
from .video import picture_start

if TYPE_CHECKING:
    from av import AudioFrame
    from av import AudioStream
    from av.container import InputContainer

SAMPLE_RATE: Final = 16_000  # samples a second, of the models that hear
MOST_SAMPLES = 1 << 29  # 9 hours at 16 kHz, 2 GiB; a few bytes of a hostile file can ask for any length
TRACK_RATES = range(1_000, 768_001)  # a rate far from the one wanted asks for any amount of memory
JUMP = 0.01  # seconds; clocks of whole milliseconds waver less, and the shortest lost packet is longer
FULL_SCALE = {"u1": 128.0, "i2": 2.0**15, "i4": 2.0**31, "i8": 2.0**63}


@dataclass(frozen=True, slots=True)
class _Part:
    """Mono samples (samples,) of ``rate`` a second; parts of the same ``run`` follow each other without a gap.

    ``at`` is when the part is heard, in seconds of the file's clock.
    """

    run: int
    at: float
    rate: int
    samples: NDArray[np.float32]


def has_sound(path: Path) -> bool:
    """Whether a video file has a sound track, be it a silent one.

    Raises:
        VideoError: the file cannot be used.
        PyAVMissingError: PyAV is not installed.
    """
    with opened(path) as (container, _):
        return bool(container.streams.audio)


def read_sound(path: Path, rate: int, duration: float) -> NDArray[np.float32] | None:
    """The sound of a video file, its channels averaged; of several tracks the first that is marked as the default.

    Sample n is what is heard n / ``rate`` seconds after the first frame of the picture comes on screen. Where the track
    starts later, ends earlier or has a gap there is silence. A codec without checksums may decode damage without a fault.

    Args:
        path: the video file.
        rate: samples a second.
        duration: seconds wanted, as `r_avst.dataset_builder.video.picture_duration` gives them.

    Returns:
        Samples in -1..1 of shape (round(duration * rate),); None where the file has no sound track.

    Raises:
        VideoError: the file or its sound cannot be used.
        PyAVMissingError: PyAV is not installed.
        ValueError: the rate or the duration is not above 0.
    """
    if not rate > 0 or not duration > 0:
        raise ValueError(f"sound needs a rate and a duration above 0, not {rate} a second and {duration} s")
    if not duration * rate <= MOST_SAMPLES:
        raise VideoError(f"{path}: {duration:.0f} s of sound are too much; at most {MOST_SAMPLES / rate:.0f} s")
    start = picture_start(path)
    sound = np.zeros(round(duration * rate), np.float32)
    with opened(path) as (container, _):
        stream = _track(path, container)
        if stream is None:
            return None
        for first, samples in _resampled(_parts(path, container, stream), start, rate):
            _put(sound, first, samples)
    return np.clip(sound, -1, 1, out=sound)


def sound_frames(path: Path) -> Iterator[tuple[float, "AudioFrame"]]:
    """The decoded sound of a video file, its channels and its rate as they are; one frame at a time.

    Yields:
        Seconds from the moment the first frame of the picture comes on screen to when the sound is heard (negative for what
        is heard before), and the sound. Nothing where the file has no sound track.

    Raises:
        VideoError: the file or its sound cannot be used.
        PyAVMissingError: PyAV is not installed.
    """
    start, due = picture_start(path), None
    with opened(path) as (container, _):
        stream = _track(path, container)
        for frame in _decoded(path, container, stream) if stream is not None else ():
            at = _heard_at(path, frame, due)
            yield at - start, frame
            due = at + frame.samples / frame.sample_rate


def _track(path: Path, container: "InputContainer") -> "AudioStream | None":
    """The first track that is marked as the default, or the first one."""
    from av.stream import Disposition

    tracks = container.streams.audio
    if not tracks:
        return None
    track = next((track for track in tracks if track.disposition & Disposition.default), tracks[0])
    if track.codec_context is None:
        raise VideoError(f"{path}: PyAV has no decoder for its sound; convert it to AAC")
    track.codec_context.options = {"err_detect": "crccheck+explode"}
    return track


def _parts(path: Path, container: "InputContainer", stream: "AudioStream") -> Iterator[_Part]:
    """What the decoder gives, in runs. A run ends where the file's clock leaves it, or the rate changes."""
    run, due, rate = -1, 0.0, 0
    for frame in _decoded(path, container, stream):
        at = _heard_at(path, frame, due if rate else None)
        if frame.sample_rate != rate or abs(at - due) > JUMP:
            run, due, rate = run + 1, at, frame.sample_rate
        yield _Part(run, due, rate, _mono(path, frame))
        due += frame.samples / rate


def _decoded(path: Path, container: "InputContainer", stream: "AudioStream") -> Iterator["AudioFrame"]:
    import av

    place = "its start"
    for packet in packets(path, container, stream):
        if packet.pts is not None:
            place = f"{float(packet.pts * packet.time_base):.3f} s of the file's clock"
        if packet.is_corrupt:
            raise VideoError(f"{path}: the packet of sound at {place} is damaged or cut off; get the file again")
        try:
            frames: list[Any] = packet.decode()  # PyAV's own type says pictures
        except av.FFmpegError as error:
            raise VideoError(f"{path}: its sound is damaged at {place} ({error})") from None
        yield from frames


def _heard_at(path: Path, frame: "AudioFrame", due: float | None) -> float:
    """When a frame is heard, in seconds of the file's clock; one that does not say follows on the frame before."""
    if frame.sample_rate not in TRACK_RATES:
        raise VideoError(f"{path}: its sound has {frame.sample_rate} samples a second; convert it to 48,000")
    if frame.pts is not None and frame.time_base is not None:
        return float(frame.pts * frame.time_base)
    if due is None:
        raise VideoError(f"{path}: its sound does not say when it begins; convert the file to MP4")
    return due


def _mono(path: Path, frame: "AudioFrame") -> NDArray[np.float32]:
    """The mean of a frame's channels, of shape (samples,), in -1..1."""
    values: NDArray[Any] = frame.to_ndarray()
    channels = values if frame.format.is_planar else values.reshape(frame.samples, -1).T
    mean: NDArray[np.float64] = channels.mean(axis=0, dtype=np.float64)
    kind = values.dtype.str[1:]
    if kind in FULL_SCALE:
        mean = mean / FULL_SCALE[kind] - (1 if kind == "u1" else 0)
    if not np.isfinite(mean).all():
        raise VideoError(f"{path}: its sound is damaged, some samples are no numbers")
    return mean.clip(-1, 1).astype(np.float32)


def _resampled(parts: Iterator[_Part], start: float, rate: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Samples at ``rate`` with the number of the first of them, counted from ``start`` on."""
    from av import AudioResampler

    for _, run in groupby(parts, key=lambda part: part.run):
        resampler, first = AudioResampler(format="fltp", layout="mono", rate=rate), None
        for part in run:
            first = round((part.at - start) * rate) if first is None else first
            for frame in resampler.resample(_frame(part)):
                samples = frame.to_ndarray()[0]
                yield first, samples
                first += samples.size
        for frame in resampler.resample(None):
            if frame is not None and first is not None:
                yield first, frame.to_ndarray()[0]


def _frame(part: _Part) -> "AudioFrame":
    from av import AudioFrame

    frame = AudioFrame.from_ndarray(part.samples[None], format="fltp", layout="mono")
    frame.sample_rate, frame.time_base = part.rate, Fraction(1, part.rate)
    return frame


def _put(sound: NDArray[np.float32], first: int, samples: NDArray[np.float32]) -> None:
    """Writes samples into the sound from number ``first`` on, less what lies outside it."""
    begin, end = max(first, 0), min(first + samples.size, sound.size)
    if begin < end:
        sound[begin:end] = samples[begin - first : end - first]
