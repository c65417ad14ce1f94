"""What the page needs to know of a video file beside its pictures: its address, its clock, its frames' times, its sound."""

import threading
from dataclasses import asdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from typing import Final
from urllib.parse import quote

import numpy as np

from r_avst.dataset_builder.sound import SAMPLE_RATE
from r_avst.dataset_builder.sound import read_sound
from r_avst.dataset_builder.video import VideoError
from r_avst.dataset_builder.video import picture_duration
from r_avst.dataset_builder.video import picture_start
from r_avst.dataset_builder.video import shown_times

PEAKS: Final = 800  # of the waveform: as many as a wide screen has pixels for it
KEPT: Final = 256  # videos; a few kilobytes each
AT_ONCE: Final = 2  # files that are read; a visitor may ask for any number
_READING = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True)
class Waveform:
    """``peaks`` of sound, 0..1, the loudest 1, evenly over ``seconds`` from the first frame on."""

    peaks: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Media:
    """Of one video: ``frame_times`` ascending, seconds from the first frame on; its ``sound``, None if nothing is heard."""

    frame_times: tuple[float, ...]
    sound: Waveform | None


def file_url(path: Path) -> str:
    """The address at which Gradio serves a file, with parts of it on demand; relative to the page."""
    return f"gradio_api/file={quote(str(path.absolute()))}"


def media_of(path: Path) -> Media:
    """Reads the times of the frames and the sound of a file; the latest few hundred are kept until the files change.

    Raises:
        VideoError: the file cannot be used.
    """
    changed = _changed(path)
    with _READING:
        return _media(path, changed)


def clock_start(path: Path) -> float:
    """Seconds of a browser's clock at which the first frame comes on screen: Chromium's is the file's own clock.

    Raises:
        VideoError: the file cannot be used.
    """
    return _clock_start(path, _changed(path))


def shown_start(path: Path) -> float:
    """`clock_start`, or 0 for a file that cannot be read, or is gone: the browser will say that it cannot play it."""
    try:
        return clock_start(path)
    except VideoError:
        return 0.0


@lru_cache(maxsize=KEPT)
def _clock_start(path: Path, _: int) -> float:
    return picture_start(path)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise VideoError(f"{path.name}: it cannot be read ({error.strerror})") from None


@lru_cache(maxsize=KEPT)
def _media(path: Path, _: int) -> Media:
    times = tuple(round(float(time), 6) for time in shown_times(path))
    return Media(times, _waveform(path))


def _waveform(path: Path) -> Waveform | None:
    """The largest sample of each of `PEAKS` parts."""
    seconds = picture_duration(path)
    sound = read_sound(path, SAMPLE_RATE, seconds)
    if sound is None or not sound.size or not (loudest := float(np.abs(sound).max())):
        return None
    starts = np.arange(min(PEAKS, sound.size)) * sound.size // min(PEAKS, sound.size)
    peaks = np.round(np.maximum.reduceat(np.abs(sound), starts) / loudest, 3)
    return Waveform(tuple(peaks.tolist()), seconds)


def media_view(path: Path | None) -> dict[str, Any]:
    """What the player asks for beside the scene: JSON of `Media`; nothing where there is no file that can be read."""
    try:
        media = media_of(path) if path else None
    except VideoError:
        media = None
    return {
        "frame_times": media and media.frame_times,
        "sound": asdict(media.sound) if media and media.sound else None,
    }
