"""Clips as a model is given them: frames at a stated rate and the model's size, sound beside them, a cache on disk."""

import json
import math
import os
import tempfile
import time
import zlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from r_avst.dataset_builder.sound import SAMPLE_RATE
from r_avst.dataset_builder.sound import has_sound
from r_avst.dataset_builder.sound import read_sound
from r_avst.dataset_builder.video import DECODERS
from r_avst.dataset_builder.video import VideoError
from r_avst.dataset_builder.video import picture_duration
from r_avst.dataset_builder.video import read_frames
from r_avst.metrics.avst_metrics.coordinates import Size

FACTOR: Final = 28  # pixels; sides of a frame are multiples of it: patches of 14 pixels, merged by twos
ENTRY_FORM: Final = 1  # of the cache's files and of what is in them; to be raised when either changes
SUFFIX: Final = ".clip"
PART_SUFFIX: Final = ".clip.part"
PART_AGE: Final = 3600  # seconds; an unfinished entry this old was left by a process that was killed


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """How a video becomes what a model is given.

    Attributes:
        fps: frames a second, on the presentation timeline.
        max_frames: a longer video is sampled more sparsely, evenly over its whole length.
        min_pixels: of a frame, after resizing.
        max_pixels: of a frame, after resizing.
        audio: sound at 16 kHz with the frames.
        decoder: one of `r_avst.dataset_builder.video.DECODERS`.

    Raises:
        ValueError: a value that no clip can be read with.
    """

    fps: float
    max_frames: int
    min_pixels: int
    max_pixels: int
    audio: bool
    decoder: str

    def __post_init__(self) -> None:
        _check_sampling(self.fps, self.max_frames)
        if not 0 < self.min_pixels <= self.max_pixels or self.max_pixels < FACTOR * FACTOR:
            raise ValueError(
                f"min_pixels is {self.min_pixels} and max_pixels {self.max_pixels}; they must be above 0 and ascend, "
                f"and max_pixels be {FACTOR * FACTOR} at least"
            )
        if self.decoder not in DECODERS:
            raise ValueError(f"decoder is {self.decoder!r}; there are {', '.join(DECODERS)}")


@dataclass(frozen=True, slots=True)
class Clip:
    """A video as a model is given it.

    Attributes:
        frames: (frames, height, width, 3) RGB, at the processed size; frame k is on screen at k / fps seconds.
        fps: frames a second in fact, lower than asked for where ``max_frames`` bit.
        sound: (samples,) in -1..1 at 16 kHz from the first frame on, round(duration * 16,000) of them; zeros where the
            file has no track, None without ``settings.audio``.
        heard: whether the file has a sound track.
        source_size: width and height of the video in pixels as people see it.
        duration: seconds of picture.
    """

    frames: NDArray[np.uint8]
    fps: float
    sound: NDArray[np.float32] | None
    heard: bool
    source_size: Size
    duration: float

    @property
    def processed_size(self) -> Size:
        """Width and height of the frames in pixels."""
        return self.frames.shape[2], self.frames.shape[1]


def processed_size(source_size: Size, settings: MediaSettings) -> Size:
    """Width and height that Qwen's processors give a frame: multiples of 28, about the same shape, within the limits.

    Args:
        source_size: width and height of the video in pixels as people see it.
        settings: ``min_pixels`` and ``max_pixels`` count.

    Raises:
        ValueError: one side is more than 200 times the other.
    """
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import smart_resize

    width, height = source_size
    new_height, new_width = smart_resize(height, width, FACTOR, settings.min_pixels, settings.max_pixels)
    return int(new_width), int(new_height)


def frame_times(duration: float, fps: float, max_frames: int) -> tuple[list[float], float]:
    """When the frames of a clip are on screen, k / fps < duration, and the frames a second in fact.

    Where that makes more than ``max_frames``, the rate is lowered to ``max_frames`` / ``duration``.

    Args:
        duration: seconds of picture.
        fps: frames a second.
        max_frames: at most so many.

    Raises:
        ValueError: a number that is not above 0, or not finite.

    >>> frame_times(2.2, 2.0, 768)
    ([0.0, 0.5, 1.0, 1.5, 2.0], 2.0)
    >>> frame_times(60.0, 2.0, 4)
    ([0.0, 15.0, 30.0, 45.0], 0.06666666666666667)
    """
    _check_sampling(fps, max_frames)
    if not 0 < duration < math.inf:
        raise ValueError(f"a clip of {duration} s has no frames")
    if duration * fps > max_frames:
        fps = max_frames / duration
    return list(takewhile(lambda seconds: seconds < duration, (number / fps for number in range(max_frames)))), fps


def _check_sampling(fps: float, max_frames: int) -> None:
    if not 0 < fps < math.inf or max_frames < 1:
        raise ValueError(f"fps is {fps} and max_frames {max_frames}; both must be above 0 and finite")


def read_clip(path: Path, settings: MediaSettings) -> Clip:
    """Reads a video file; memory is that of the processed frames and one source frame.

    Raises:
        VideoError: the file cannot be used, or its frames are too narrow for the model.
        PyAVMissingError: PyAV is not installed.
        DecordMissingError: decord was asked for and is not installed.
    """
    duration = picture_duration(path)
    times, fps = frame_times(duration, settings.fps, settings.max_frames)
    frames, source_size = read_sized(path, times, settings.decoder, partial(processed_size, settings=settings), _resized)
    sound = read_sound(path, SAMPLE_RATE, duration) if settings.audio else None
    heard = sound is not None or (not settings.audio and has_sound(path))
    if settings.audio and sound is None:
        sound = np.zeros(round(duration * SAMPLE_RATE), np.float32)
    return Clip(frames, fps, sound, heard, source_size, duration)


def read_sized(
    path: Path,
    times: Sequence[float],
    decoder: str,
    size_of: Callable[[Size], Size],
    resize: Callable[[NDArray[np.uint8], Size], NDArray[np.uint8]],
) -> tuple[NDArray[np.uint8], Size]:
    """The frames at ``times``, resized one at a time: memory is that of the resized ones and one of the file.

    Args:
        path: of the video.
        times: ascending, in seconds.
        decoder: one of `r_avst.dataset_builder.video.DECODERS`.
        size_of: width and height after resizing, by those in the file; ValueError where the model takes no such frames.
        resize: a frame (height, width, 3) at another width and height.

    Returns:
        Frames of shape (frames, height, width, 3), and the size they had in the file.

    Raises:
        VideoError: the file cannot be used, or its frames have no size that the model takes.
    """
    source_size, size, frames = (0, 0), (0, 0), np.empty((0, 0, 0, 3), np.uint8)
    for number, image in enumerate(_images(path, times, decoder)):
        if number == 0:
            source_size = image.shape[1], image.shape[0]
            size = _model_size(path, source_size, size_of)
            frames = np.empty((len(times), size[1], size[0], 3), np.uint8)
        frames[number] = resize(image, size)
    return frames, source_size


def _images(path: Path, times: Sequence[float], decoder: str) -> Iterator[NDArray[np.uint8]]:
    return (frame.image for frame in read_frames(path, times, decoder))


def _model_size(path: Path, source_size: Size, size_of: Callable[[Size], Size]) -> Size:
    try:
        return size_of(source_size)
    except ValueError as error:
        raise VideoError(f"{path}: frames of {source_size[0]} x {source_size[1]} are not for this model ({error})") from None


def _resized(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """A frame (height, width, 3) at another width and height, to the bit as Qwen's video processor would make it."""
    import torch
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional

    channels_first = torch.from_numpy(image).permute(2, 0, 1).contiguous()
    resized = functional.resize(channels_first, [size[1], size[0]], InterpolationMode.BICUBIC, antialias=True)
    pixels: NDArray[np.uint8] = resized.permute(1, 2, 0).numpy()
    return pixels


class ClipCache:
    """Clips on disk, so that a video is decoded and resized once; the least recently used ones make room for new ones.

    An entry is found by the file's path, size and time of change, and by the settings. Several processes may share a
    folder: an entry bears its name only when it is complete, and one that is damaged or gone is made anew. Files of
    other kinds in the folder are let be.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Makes the folder where it is missing.

        Args:
            folder: of the entries.
            max_bytes: of all entries together; 0 keeps nothing.

        Raises:
            ValueError: ``max_bytes`` is negative.
        """
        if max_bytes < 0:
            raise ValueError(f"a cache of {max_bytes} bytes; 0 keeps nothing")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._max_bytes = folder, max_bytes

    def clip(self, path: Path, settings: MediaSettings) -> Clip:
        """The clip of a video file: as kept, or read and then kept.

        Raises:
            VideoError: as of `read_clip`, like its other errors.
            OSError: the folder cannot be written to.
        """
        entry = self._folder / f"{_key(path, settings)}{SUFFIX}"
        kept = _kept(entry, settings)
        if kept is not None:
            return kept
        clip = read_clip(path, settings)
        content = _content(clip)
        if sum(map(len, content)) <= self._max_bytes:
            _put_entry(entry, content)
            _make_room(self._folder, self._max_bytes)
        return clip


def _key(path: Path, settings: MediaSettings) -> str:
    try:
        status = path.stat()
    except OSError as error:
        raise VideoError(f"{path}: it cannot be opened as a video ({error})") from None
    parts = [ENTRY_FORM, str(path.resolve()), status.st_size, status.st_mtime_ns, asdict(settings)]
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _content(clip: Clip) -> list[memoryview]:
    """A line with the checksum of all after it, a line of facts, the frames, the sound.

    The shapes are not written: they follow from the facts and the settings.
    """
    facts = {"duration": clip.duration, "source_size": clip.source_size, "heard": clip.heard}
    sound = np.empty(0, np.float32) if clip.sound is None else clip.sound
    body = [memoryview(json.dumps(facts).encode() + b"\n"), _bytes_of(clip.frames), _bytes_of(sound)]
    return [memoryview(b"%08x\n" % _checksum(body)), *body]


def _bytes_of(values: NDArray[np.uint8] | NDArray[np.float32]) -> memoryview:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data


def _checksum(parts: Sequence[memoryview]) -> int:
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return checksum


def _kept(entry: Path, settings: MediaSettings) -> Clip | None:
    """The clip of an entry, now the one used last; None where there is no such entry, or a damaged one."""
    try:
        clip = _read_entry(entry, settings)
        os.utime(entry)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return clip


def _read_entry(entry: Path, settings: MediaSettings) -> Clip:
    with entry.open("rb") as file:
        checksum, line = int(file.readline(), 16), file.readline()
        content = np.fromfile(file, np.uint8)
    if _checksum([memoryview(line), content.data]) != checksum:
        raise ValueError("the entry is damaged")
    facts = json.loads(line)
    width, height = facts["source_size"]
    times, fps = frame_times(facts["duration"], settings.fps, settings.max_frames)
    new_width, new_height = processed_size((width, height), settings)
    frames, sound = np.split(content, [len(times) * new_height * new_width * 3])
    if sound.nbytes != (round(facts["duration"] * SAMPLE_RATE) * 4 if settings.audio else 0):
        raise ValueError("the entry is of another length than its facts ask for")
    return Clip(
        frames.reshape(len(times), new_height, new_width, 3),
        fps,
        sound.view(np.float32) if settings.audio else None,
        facts["heard"],
        (width, height),
        facts["duration"],
    )


def _put_entry(entry: Path, content: Sequence[memoryview]) -> None:
    """Puts an entry in place whole; what could not be finished is removed."""
    descriptor, name = tempfile.mkstemp(suffix=PART_SUFFIX, dir=entry.parent)
    try:
        with open(descriptor, "wb") as file:
            for part in content:
                file.write(part)
        Path(name).replace(entry)
    finally:
        Path(name).unlink(missing_ok=True)


def _make_room(folder: Path, max_bytes: int) -> None:
    """Removes entries, those used longest ago first, until the rest fits; and what killed processes left."""
    entries = sorted(_statuses(folder, SUFFIX), key=lambda one: one[1].st_mtime_ns)
    total = sum(status.st_size for _, status in entries)
    for entry, status in entries:
        if total <= max_bytes:
            break
        entry.unlink(missing_ok=True)
        total -= status.st_size
    for part, status in _statuses(folder, PART_SUFFIX):
        if status.st_mtime < time.time() - PART_AGE:
            part.unlink(missing_ok=True)


def _statuses(folder: Path, suffix: str) -> Iterator[tuple[Path, os.stat_result]]:
    """The files with this ending, without those that another process removes meanwhile."""
    for path in folder.glob(f"*{suffix}"):
        with suppress(FileNotFoundError):
            yield path, path.stat()
