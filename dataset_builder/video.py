"""The one place that opens video files."""

import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from itertools import dropwhile
from itertools import groupby
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import Packet
    from av import VideoFrame
    from av import VideoStream
    from av.container import InputContainer
    from av.stream import Stream

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".ts", ".m4v", ".flv")
DECODERS = ("pyav", "decord")
MOST_PIXELS = 64_000_000  # a frame; a few bytes of a hostile file can ask for gigabytes
EPSILON = 1e-6  # seconds; a time that is a frame's own but for rounding gets that frame
EARLY_END = 0.5  # seconds that may be missing at the end: headers round, and count the sound's padding
SEEK_AHEAD = 30  # frames; opening the file anew costs about as much as decoding so many


class VideoError(ValueError):
    """A video file that cannot be used; the message names the file and the reason."""


class PyAVMissingError(RuntimeError):
    """PyAV is not installed; the message says how to."""


class DecordMissingError(RuntimeError):
    """Decord is not installed; the message says how to."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Duration in seconds, and the frames' width and height in pixels as people see them (turned where the file says so)."""

    duration: float
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """A frame of a video as people see it. Times in seconds from the moment the first frame comes on screen.

    ``time`` is what was asked for, ``shown_at`` when the frame came on screen, ``image`` (height, width, 3) RGB; frames for
    times at which the same picture is on screen share it.
    """

    time: float
    shown_at: float
    image: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Moment:
    """What a packet says of its frame, in ticks. ``hidden``: decoded for others' sake, an edit list cuts it away."""

    shown: int
    duration: int
    key: bool
    hidden: bool


@dataclass(frozen=True, slots=True)
class _Timeline:
    """When the frames come on screen, as the file's packets say; nothing is decoded for it.

    ``shown`` (frames,) ascending and ``end``, when the last frame leaves, in ticks of ``tick`` seconds; ``keys`` ascending
    numbers of the frames at which decoding can begin.
    """

    tick: Fraction
    shown: NDArray[np.int64]
    end: int
    keys: NDArray[np.int64]

    def seconds(self, ticks: int) -> float:
        """Seconds from the moment the first frame comes on screen."""
        return float((ticks - int(self.shown[0])) * self.tick)

    def shown_at(self, index: int) -> float:
        """When a frame comes on screen, in seconds."""
        return self.seconds(int(self.shown[index]))

    def index_at(self, time: float) -> int:
        """The number of the frame that is on screen at a time of the video in seconds."""
        ticks = math.floor((time + EPSILON) / self.tick) + int(self.shown[0])
        return int(np.searchsorted(self.shown, ticks, side="right")) - 1

    def key_before(self, index: int) -> int:
        """The number of the last frame up to ``index`` at which decoding can begin; without one it is 0, the beginning."""
        return int(np.max(self.keys[self.keys <= index], initial=0))


def probe(path: Path) -> VideoInfo:
    """Reads duration and frame size of a video file; decodes one frame, which tells how the picture is turned.

    Raises:
        VideoError: the file is no video, has no picture, or does not say how long it is.
        PyAVMissingError: PyAV is not installed.
    """
    with opened(path) as (container, stream):
        width, height = stream.width, stream.height
        seconds = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else math.nan
        duration = container.duration / 1e6 if container.duration else seconds
        if not duration > 0 or not width > 0 or not height > 0:
            raise VideoError(f"{path}: its header gives no duration or no frame size ({duration} s, {width} x {height})")
        first = next(container.decode(stream), None)
        if first is None:
            raise VideoError(f"{path}: no frame of it can be decoded")
        transposed, _, _ = _orientation(path, first)
    return VideoInfo(duration, height, width) if transposed else VideoInfo(duration, width, height)


def find_videos(folder: Path) -> dict[str, Path]:
    """The video files in a folder and below it by their name without ending, the first of several in sorted order."""
    found: dict[str, Path] = {}
    for path in video_files(folder):
        found.setdefault(path.stem, path)
    return found


def video_files(folder: Path) -> list[Path]:
    """The video files in a folder and below it, sorted. What is hidden is left out: there lie unfinished downloads."""
    paths = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    return [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def read_frames(path: Path, times: Sequence[float], decoder: str) -> Iterator[DecodedFrame]:
    """The frames that are on screen at ``times``, one at a time; memory does not grow with their number.

    The packets of the whole file are read first: they say which frame is on screen when. The decoder must then give
    just those frames, one after another. A damaged file, or one that was cut off, is refused and not guessed at. Damage
    between two keyframes that no wanted frame needs goes unseen, and so does what decodes without a fault (VP8 always does).

    Args:
        path: the video file.
        times: ascending, in seconds from the moment the first frame comes on screen, all within the video.
        decoder: one of ``DECODERS``.

    Raises:
        VideoError: the file cannot be used, or ``times`` do not ascend or leave the video.
        PyAVMissingError: PyAV is not installed.
        DecordMissingError: decord was asked for and is not installed.
        ValueError: there is no such decoder.
    """
    if decoder not in DECODERS:
        raise ValueError(f"{decoder!r} is no decoder; there are {', '.join(DECODERS)}")
    timeline = _read_timeline(path)
    _check_times(path, times, timeline)
    wanted = (index for index, _ in groupby(times, key=timeline.index_at))
    images = _IMAGES[decoder](path, timeline, wanted)
    for (index, same), image in zip(groupby(times, key=timeline.index_at), images, strict=True):
        for time in same:
            yield DecodedFrame(time, timeline.shown_at(index), image)


def picture_duration(path: Path) -> float:
    """Seconds from the moment the first frame comes on screen to when the last one leaves; sound may last longer.

    Raises:
        VideoError: the file cannot be used.
        PyAVMissingError: PyAV is not installed.
    """
    timeline = _read_timeline(path)
    return timeline.seconds(timeline.end)


def picture_start(path: Path) -> float:
    """Seconds of the file's own clock at which the first frame comes on screen: the zero of all other times here.

    Raises:
        VideoError: the file cannot be used.
        PyAVMissingError: PyAV is not installed.
    """
    timeline = _read_timeline(path)
    return float(int(timeline.shown[0]) * timeline.tick)


def shown_times(path: Path) -> list[float]:
    """Seconds, from the moment the first frame comes on screen, at which each frame does; ascending.

    Raises:
        VideoError: the file cannot be used.
        PyAVMissingError: PyAV is not installed.
    """
    timeline = _read_timeline(path)
    return [timeline.shown_at(index) for index in range(len(timeline.shown))]


def _check_times(path: Path, times: Sequence[float], timeline: _Timeline) -> None:
    end = timeline.seconds(timeline.end)
    for time in times:
        if not 0 <= time < end:
            raise VideoError(f"{path}: there is no picture at {time} s; it goes from 0 to {end:.3f} s")
    for before, after in pairwise(times):
        if after < before:
            raise VideoError(f"{path}: the times asked for must ascend; {after} s comes after {before} s")


@contextmanager
def opened(path: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """An open file and its picture.

    Raises:
        VideoError: the file cannot be opened, has no picture, or its reader finds damage inside the ``with``.
        PyAVMissingError: PyAV is not installed.
    """
    try:
        import av
    except ImportError:
        raise PyAVMissingError("reading video files needs PyAV: pip install av") from None
    try:
        # A relative path with a colon would be taken for an address; titles come in all encodings.
        container = av.open(str(path.absolute()), metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: it cannot be opened as a video ({error})") from None
    with container:
        try:
            yield container, _picture(path, container)
        except av.FFmpegError as error:
            raise VideoError(f"{path}: it is damaged ({error})") from None


def packets(path: Path, container: "InputContainer", *streams: "Stream") -> Iterator["Packet[Any]"]:
    """The packets of an open file: of all streams, or of those given. Errors as of `opened`."""
    try:
        yield from container.demux(*streams)
    except IndexError:  # of PyAV's, which keeps no place for streams that it did not see when it opened the file
        raise VideoError(f"{path}: one of its streams begins in mid-file; convert the file to MP4") from None


def _picture(path: Path, container: "InputContainer") -> "VideoStream":
    """The first stream of pictures that is no cover."""
    from av.stream import Disposition

    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise VideoError(f"{path}: there is no picture in it")
    context = streams[0].codec_context
    if context is None:
        raise VideoError(f"{path}: PyAV has no decoder for its picture; convert it to H.264")
    if context.width * context.height > MOST_PIXELS:
        raise VideoError(
            f"{path}: frames of {context.width} x {context.height} are too large; at most {MOST_PIXELS:,} pixels"
        )
    return streams[0]


def _read_timeline(path: Path) -> _Timeline:
    latest, moments = 0.0, []
    with opened(path) as (container, stream):
        for packet in packets(path, container):
            if packet.pts is not None:
                latest = max(latest, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index == stream.index and packet.size:
                moments.append(_moment(path, packet))
        if not any(not moment.hidden for moment in moments):
            raise VideoError(f"{path}: there is no picture in it")
        timeline = _timeline(path, moments, Fraction(stream.time_base or 0))
        _check_end(path, container, stream, timeline, latest)
    return timeline


def _moment(path: Path, packet: "Packet[Any]") -> _Moment:
    if packet.is_corrupt:
        raise VideoError(f"{path}: the packet at {_place(packet)} is damaged or cut off; get the file again")
    if packet.pts is None:
        raise VideoError(
            f"{path}: the packet at {_place(packet)} does not say when its frame is shown; convert the file to MP4"
        )
    return _Moment(packet.pts, packet.duration or 0, packet.is_keyframe, packet.is_discard)


def _place(packet: "Packet[Any]") -> str:
    time = packet.pts if packet.pts is not None else packet.dts
    return f"byte {packet.pos}" if time is None else f"{float(time * packet.time_base):.3f} s of the file's clock"


def _timeline(path: Path, moments: list[_Moment], tick: Fraction) -> _Timeline:
    visible = sorted((moment for moment in moments if not moment.hidden), key=lambda moment: moment.shown)
    for before, after in pairwise(visible):
        if before.shown == after.shown:
            at = float((after.shown - visible[0].shown) * tick)
            raise VideoError(f"{path}: two frames are shown at once, at {at:.3f} s; convert the file anew")
    shown = np.array([moment.shown for moment in visible], dtype=np.int64)
    keys = np.flatnonzero([moment.key for moment in visible])
    # Some files do not say how long the last frame stays: as long as the one before it, then.
    stay = visible[-1].duration or int(np.diff(shown[-2:]).sum()) or 1
    return _Timeline(tick, shown, int(shown[-1]) + stay, keys)


def _check_end(path: Path, container: "InputContainer", stream: "VideoStream", timeline: _Timeline, latest: float) -> None:
    """Refuses a file that ends before its header says it does.

    Where the picture has no duration of its own, the file's is that of all streams, counted from 0 wherever they start.
    """
    if stream.duration:
        declared, reached = float(stream.duration * timeline.tick), timeline.seconds(timeline.end)
    else:
        declared, reached = (container.duration or 0) / 1e6, latest
    if reached < declared - EARLY_END:
        raise VideoError(f"{path}: it ends at {reached:.3f} s, its header says {declared:.3f} s: cut off; get it again")


def _frames(path: Path, timeline: _Timeline, wanted: Iterable[int]) -> Iterator[tuple[int, "VideoFrame"]]:
    """The frames of ascending numbers with them. Decoding goes on, or begins anew where a keyframe is far enough ahead."""
    frames: Iterator[tuple[int, VideoFrame]] = iter(())
    position = -SEEK_AHEAD - 1
    for index in wanted:
        if timeline.key_before(index) - position > SEEK_AHEAD:
            frames = _frames_from(path, timeline, index)
        position, frame = next(pair for pair in frames if pair[0] == index)
        yield position, frame


def _frames_from(path: Path, timeline: _Timeline, index: int) -> Iterator[tuple[int, "VideoFrame"]]:
    """Numbered frames from the last keyframe up to ``index`` on.

    Seeking may land behind it (always in .ts files with B-frames): then from the keyframe before, then from the beginning.
    """
    key = timeline.key_before(index)
    for origin in (key, timeline.key_before(key - 1)):
        frames = _in_order(path, timeline, key, _decoded(path, timeline, key, origin))
        with suppress(VideoError):
            return chain((next(frames),), frames)
    return _in_order(path, timeline, key, _decoded(path, timeline, key, 0))


def _in_order(
    path: Path, timeline: _Timeline, key: int, frames: Iterator["VideoFrame"]
) -> Iterator[tuple[int, "VideoFrame"]]:
    """Numbers the frames from ``key`` on; each is given out once the next one shows that none is missing between them."""
    due = chain(map(int, timeline.shown[key:]), (None,))
    for index, (frame, following) in enumerate(pairwise(chain((None,), frames, (None,))), key - 1):
        if (following.pts if following else None) != next(due):
            at = timeline.shown_at(max(index, 0))
            raise VideoError(
                f"{path}: the frame after the one at {at:.3f} s is missing or comes at another time; convert the file anew"
            )
        if frame:
            yield index, frame


def _decoded(path: Path, timeline: _Timeline, key: int, origin: int) -> Iterator["VideoFrame"]:
    """What the decoder gives from the frame of number ``key`` on when it begins at the one of number ``origin``."""
    import av

    start = last = int(timeline.shown[key])
    with opened(path) as (container, stream):
        size = stream.width, stream.height
        stream.thread_type = "FRAME"  # with PyAV's default, SLICE, FFmpeg's H.264 decoder keeps most damage to itself
        stream.codec_context.options = {"err_detect": "explode", "max_pixels": str(MOST_PIXELS)}
        try:
            if origin:
                container.seek(int(timeline.shown[origin]), stream=stream)
            frames = chain.from_iterable(packet.decode() for packet in packets(path, container, stream))
            for frame in dropwhile(lambda frame: frame.pts is not None and frame.pts < start, frames):
                last = last if frame.pts is None else frame.pts
                _check_frame(f"{path}: the frame at {timeline.seconds(last):.3f} s", frame, size)
                yield frame
        except av.FFmpegError as error:
            raise VideoError(f"{path}: it is damaged soon after {timeline.seconds(last):.3f} s ({error})") from None


def _check_frame(place: str, frame: "VideoFrame", size: tuple[int, int]) -> None:
    if frame.is_corrupt:
        raise VideoError(f"{place} is damaged")
    if (frame.width, frame.height) != size:
        raise VideoError(f"{place} is {frame.width} x {frame.height}, the file's are {size[0]} x {size[1]}")


def _orientation(path: Path, frame: "VideoFrame") -> tuple[bool, int, int]:
    """Whether rows and columns change places, and the steps (1 or -1) through both after that, to see the frame upright.

    One frame speaks for its file. To be asked once: a frame whose side data was read stays until the garbage collector runs.
    """
    side_data: Any = frame.side_data  # PyAV's own type knows of motion vectors only
    matrix = side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, 1, 1
    (a, b), (c, d) = np.frombuffer(bytes(matrix), dtype=np.int32).reshape(3, 3)[:2, :2].tolist()
    if not ((b == c == 0 and a and d) or (a == d == 0 and b and c)):
        raise VideoError(f"{path}: its picture is to be turned by other than quarter turns; convert it upright")
    return b != 0, 1 if b + d > 0 else -1, 1 if a + c > 0 else -1


def _pyav_images(path: Path, timeline: _Timeline, wanted: Iterable[int]) -> Iterator[NDArray[np.uint8]]:
    orientation = None
    for _, frame in _frames(path, timeline, wanted):
        image = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
        transposed, down, right = orientation = orientation or _orientation(path, frame)
        turned = image.transpose(1, 0, 2) if transposed else image
        yield np.ascontiguousarray(turned[::down, ::right])


def _decord_images(path: Path, timeline: _Timeline, wanted: Iterable[int]) -> Iterator[NDArray[np.uint8]]:
    """Decord's frames, read one after another from the first on.

    After a seek or a skip decord may give wrong frames without a word (HEVC, AVI, fragmented MP4), and so it does in a
    damaged file. So it never skips, and PyAV decodes the same frames beside it to see the damage.
    """
    decord = _decord()
    from_the_first = replace(timeline, keys=timeline.keys[:0])
    try:
        reader, position = decord.VideoReader(str(path.absolute())), -1
        _check_decord(path, timeline, reader.get_frame_timestamp(range(len(reader)))[:, 0])
        for index, frame in _frames(path, from_the_first, wanted):
            if position < 0:
                _check_mirror(path, frame)
            for _ in range(index - position):
                picture = reader.next()
            position = index
            yield picture.asnumpy()
    except decord.DECORDError as error:
        raise VideoError(f"{path}: decord cannot read it ({error}); --decoder pyav may") from None


def _decord() -> Any:
    try:
        import decord
    except ImportError:
        raise DecordMissingError("decoding with decord needs it: pip install 'r-avst[decord]'") from None
    return decord


def _check_decord(path: Path, timeline: _Timeline, starts: NDArray[np.float32]) -> None:
    """Refuses files in which decord is known to give wrong frames; ``starts`` (frames,) is when it says they are shown."""
    advice = "it gives wrong frames for such a file, PyAV does not: --decoder pyav"
    shown = (timeline.shown - timeline.shown[0]) * float(timeline.tick)
    if timeline.shown[0]:
        clock = float(int(timeline.shown[0]) * timeline.tick)
        raise VideoError(f"{path}: not for decord, its clock starts at {clock:.3f} s; {advice}")
    if len(starts) != len(shown) or not np.allclose(starts, shown, rtol=1e-6, atol=1e-3):
        found = f"it finds {len(starts)} frames or other times where {len(shown)} are shown (an edit list, another stream)"
        raise VideoError(f"{path}: not for decord, {found}; {advice}")


def _check_mirror(path: Path, frame: "VideoFrame") -> None:
    """Decord turns the picture where the file says so, but it does not mirror it."""
    transposed, down, right = _orientation(path, frame)
    if transposed == (down == right):
        raise VideoError(f"{path}: not for decord, which does not mirror its picture as it should: --decoder pyav")


_IMAGES: dict[str, Callable[[Path, _Timeline, Iterable[int]], Iterator[NDArray[np.uint8]]]] = {
    "pyav": _pyav_images,
    "decord": _decord_images,
}
