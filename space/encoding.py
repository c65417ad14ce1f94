"""Videos written anew as browsers play them: H.264 and AAC in MP4, on the clock of the picture they come from."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from itertools import chain
from itertools import takewhile
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

import numpy as np
from numpy.typing import NDArray

from r_avst.dataset_builder.sound import JUMP
from r_avst.dataset_builder.sound import sound_frames
from r_avst.dataset_builder.video import VideoError
from r_avst.dataset_builder.video import opened
from r_avst.dataset_builder.video import picture_duration
from r_avst.dataset_builder.video import read_frames
from r_avst.dataset_builder.video import shown_times

if TYPE_CHECKING:
    from av import AudioFrame
    from av import AudioStream
    from av import Packet
    from av import VideoFrame
    from av import VideoStream
    from av.container import OutputContainer

Picture = NDArray[np.uint8]
Samples = NDArray[np.float32]
Redraw = Callable[[float, Picture], Picture]
Progress = Callable[[float], None]

TICK: Final = Fraction(1, 90_000)  # seconds; all usual frame rates are whole numbers of it
# No B-frames: with them MP4 does not say how long the last frame stays.
H264: Final = {"preset": "veryfast", "crf": "20", "g": "60", "bf": "0", "threads": "2"}
MOST_FRAMES: Final = Fraction(240)  # a second, that the encoder is told of; a hostile file has any number
BT709: Final = 1  # as the standards number it: colours, curve and matrix
LIMITED: Final = 1  # as FFmpeg numbers it: black is 16, white is 235
AAC_RATES: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
USUAL_RATE: Final = 48_000
TAIL: Final = 1.0  # seconds of sound after the last frame; a hostile file has its next packet years later


class EncodingError(RuntimeError):
    """A video that cannot be written; the message gives the reason."""


def write_mp4(video: Path, redraw: Redraw, out: Path, progress: Progress) -> None:
    """Writes a video anew, a frame at a time: its picture as ``redraw`` gives it, its sound, its frames' times.

    The new file's clock starts with the first frame; sound before it is left out, and so is what comes more than `TAIL`
    seconds after the last one. A row or a column is added to pictures of odd height or width, which H.264 does not take.

    Args:
        video: the file.
        redraw: from seconds since the first frame came on screen, and the picture (height, width, 3) RGB, a picture of the
            same shape.
        out: the new file; it is there when it is complete, and what stood in its place stays till then.
        progress: is told the share that is written, 0..1; what it raises ends the writing.

    Raises:
        VideoError: the file cannot be used.
        EncodingError: the new file cannot be written.
        PyAVMissingError: PyAV is not installed.
    """
    times, end = shown_times(video), picture_duration(video)
    import av

    part, shape = out.with_name(f".{out.name}.part"), _shape(video, times, end)
    try:
        with av.open(str(part.absolute()), "w", format="mp4", container_options={"movflags": "+faststart"}) as container:
            for time in _write(video, container, shape, _pictures(video, times, end, redraw), end):
                progress(min(time / end, 1.0))
        part.replace(out)
    except av.FFmpegError as error:
        raise EncodingError(f"{video}: it cannot be written as MP4 ({error}); is there room on the disk?") from None
    finally:
        part.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Shape:
    """Of the new picture: even ``width`` and ``height``, frames a second, and how wide a pixel is for its height."""

    width: int
    height: int
    rate: Fraction
    pixel: Fraction


def _shape(video: Path, times: Sequence[float], end: float) -> _Shape:
    (first,) = read_frames(video, times[:1], "pyav")  # the header of a browser's recording says too little for `probe`
    height, width, _ = first.image.shape
    with opened(video) as (_, stream):
        pixel = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
        turned = (width, height) != (stream.width, stream.height)
    rate = min(max(Fraction(len(times) / end).limit_denominator(1001), Fraction(1)), MOST_FRAMES)
    return _Shape(width + width % 2, height + height % 2, rate, pixel ** (1 - 2 * turned))


def _write(
    video: Path, container: "OutputContainer", shape: _Shape, pictures: Iterator[tuple[float, "VideoFrame"]], end: float
) -> Iterator[float]:
    """Encodes pictures and sound in the order of their times, which are given out: neither waits for the other in memory.

    ``end`` is when the last picture leaves; the sound does soon after.
    """
    from av import AudioFrame

    streams: dict[str, Any] = {"video": _picture_stream(container, shape)}
    frames: Iterator[tuple[float, Any]] = pictures
    sound = sound_frames(video)
    if (first := next(sound, None)) is not None:
        heard = streams["audio"] = _sound_stream(container, first[1])
        sounds = _sounds(_resampled(video, chain((first,), sound), heard), heard)
        frames = merge(pictures, takewhile(lambda timed: timed[0] < end + TAIL, sounds), key=itemgetter(0))
    stays: dict[int, int] = {}
    for time, frame in frames:
        kind = "audio" if isinstance(frame, AudioFrame) else "video"
        stays |= {frame.pts: frame.duration} if kind == "video" else {}
        container.mux(_lasting(streams[kind].encode(frame), stays))
        yield time
    for stream in streams.values():
        container.mux(_lasting(stream.encode(None), stays))


def _lasting(packets: "list[Packet[Any]]", stays: dict[int, int]) -> "list[Packet[Any]]":
    """Packets that say how long their picture stays, which the encoder forgets: without it the last one's is a guess."""
    for packet in packets:
        if packet.stream.type == "video":
            packet.duration = stays.pop(packet.pts or 0)
    return packets


# --- picture ----------------------------------------------------------------------------------------------------------


def _picture_stream(container: "OutputContainer", shape: _Shape) -> "VideoStream":
    stream: VideoStream = container.add_stream("libx264", rate=shape.rate, options=dict(H264))
    stream.width, stream.height, stream.pix_fmt = shape.width, shape.height, "yuv420p"
    context: Any = stream.codec_context
    context.time_base, context.sample_aspect_ratio = TICK, shape.pixel
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = LIMITED
    return stream


def _pictures(video: Path, times: Sequence[float], end: float, redraw: Redraw) -> Iterator[tuple[float, "VideoFrame"]]:
    from av import VideoFrame

    for frame, following in zip(read_frames(video, times, "pyav"), (*times[1:], end), strict=True):
        picture = _even(redraw(frame.shown_at, frame.image))
        shown = VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p", dst_colorspace="ITU709")
        shown.pts, shown.time_base = _ticks(frame.shown_at), TICK
        shown.duration = _ticks(following) - shown.pts
        yield frame.shown_at, shown


def _ticks(seconds: float) -> int:
    return round(seconds / TICK)


def _even(picture: Picture) -> Picture:
    """The same picture, its last row and column twice where their numbers are odd; nothing in it moves."""
    height, width, _ = picture.shape
    if not height % 2 and not width % 2:
        return np.ascontiguousarray(picture)
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


# --- sound ------------------------------------------------------------------------------------------------------------


def _sound_stream(container: "OutputContainer", first: "AudioFrame") -> "AudioStream":
    """AAC with the rate of the sound where AAC has it, of one channel or two."""
    rate = first.sample_rate if first.sample_rate in AAC_RATES else USUAL_RATE
    layout = "mono" if first.layout.nb_channels == 1 else "stereo"
    stream: AudioStream = container.add_stream("aac", rate=rate, layout=layout)
    return stream


def _resampled(
    video: Path, frames: Iterator[tuple[float, "AudioFrame"]], stream: "AudioStream"
) -> Iterator[tuple[int, Samples]]:
    """Samples (channels, samples) as the stream takes them, with the place of the first of them from time 0 on."""
    from av import AudioResampler

    resampler = AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
    for at, frame in frames:
        frame.pts, frame.time_base = round(at * frame.sample_rate), Fraction(1, frame.sample_rate)
        try:
            made = resampler.resample(frame)
        except ValueError:
            raise VideoError(f"{video}: its sound changes its form at {at:.3f} s; convert it to AAC") from None
        yield from _placed(made)
    yield from _placed(resampler.resample(None))


def _placed(frames: "Iterable[AudioFrame | None]") -> Iterator[tuple[int, Samples]]:
    for frame in frames:
        if frame is not None:
            samples: Any = frame.to_ndarray()  # PyAV's own type says all kinds of numbers
            yield frame.pts or 0, samples


def _sounds(parts: Iterator[tuple[int, Samples]], stream: "AudioStream") -> Iterator[tuple[float, "AudioFrame"]]:
    """The frames to encode, one after another from time 0 on."""
    from av import AudioFrame

    written = 0
    for samples in _joined(parts, stream.rate):
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=stream.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = stream.rate, written, Fraction(1, stream.rate)
        yield written / stream.rate, frame
        written += samples.shape[1]


def _joined(parts: Iterator[tuple[int, Samples]], rate: int) -> Iterator[Samples]:
    """The samples without gaps from place 0 on: silence where there is nothing, a second at a time; what overlaps goes."""
    due = 0
    for place, samples in parts:
        place = place if not due or abs(place - due) > JUMP * rate else due  # clocks waver
        for start in range(due, place, rate):
            yield np.zeros((len(samples), min(rate, place - start)), np.float32)
        fresh = samples[:, max(0, due - place) :]
        if fresh.size:
            yield fresh
        due = max(due, place + samples.shape[1])
