"""The one place that opens video files."""

import math
from dataclasses import dataclass
from pathlib import Path

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".ts", ".m4v", ".flv")


class VideoError(ValueError):
    """A video file that cannot be used; the message names the file and the reason."""


class PyAVMissingError(RuntimeError):
    """PyAV is not installed; the message says how to."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a file's header says: duration in seconds, and the frames' width and height in pixels."""

    duration: float
    width: int
    height: int


def probe(path: Path) -> VideoInfo:
    """Reads duration and frame size from the header of a video file; decodes nothing.

    Raises:
        VideoError: the file is no video, has no picture, or does not say how long it is.
        PyAVMissingError: PyAV is not installed.
    """
    try:
        import av
    except ImportError:
        raise PyAVMissingError("reading video files needs PyAV: pip install av") from None
    try:
        with av.open(str(path), metadata_errors="replace") as container:  # titles come in all encodings
            if not container.streams.video:
                raise VideoError(f"{path}: there is no picture in it")
            stream = container.streams.video[0]
            width, height = stream.codec_context.width, stream.codec_context.height
            microseconds = container.duration
            seconds = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else math.nan
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: it cannot be opened as a video ({error})") from None
    duration = microseconds / 1e6 if microseconds else seconds
    if not duration > 0 or not width > 0 or not height > 0:
        raise VideoError(f"{path}: its header gives no duration or no frame size ({duration} s, {width} x {height})")
    return VideoInfo(duration, width, height)


def find_videos(folder: Path) -> dict[str, Path]:
    """The video files in a folder and below it by their name without ending, the first of several in sorted order."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            found.setdefault(path.stem, path)
    return found
