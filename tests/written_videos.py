"""Real video files, written on the spot."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.stream import Disposition
from numpy.typing import NDArray

SAMPLE_RATE = 16000
SAMPLES = 1000
BITS = 10
NUMBERED_SIZE = 320, 180
B_FRAMES = {"preset": "veryfast", "bf": "3", "b-adapt": "2"}


def write_video(path: Path, width: int, height: int, seconds: int, title: str = "") -> Path:
    """A black video of one frame a second."""
    with av.open(str(path), "w") as container:
        if title:
            container.metadata["title"] = title
        stream = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((height, width, 3), np.uint8), format="rgb24")
        for time in range(seconds):
            picture.pts = time
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path, seconds: int) -> Path:
    """A file of a second or more of silence, without a picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=SAMPLE_RATE)
        for packet in _silence(stream, seconds):
            container.mux(packet)
    return path


def _silence(stream: AudioStream, seconds: int) -> Iterator["av.Packet[AudioStream]"]:
    for index in range(seconds * SAMPLE_RATE // SAMPLES):
        silence = av.AudioFrame.from_ndarray(np.zeros((1, SAMPLES), np.float32), format="fltp", layout="mono")
        silence.sample_rate, silence.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
        silence.pts = index * SAMPLES
        yield from stream.encode(silence)
    yield from stream.encode(None)


def numbered_picture(number: int, width: int = 320, height: int = 180) -> NDArray[np.uint8]:
    """A picture with something that moves, and its number as a row of black and white blocks at the top."""
    picture = np.full((height, width, 3), 90, np.uint8)
    x = number * 3 % width
    picture[height // 3 : height // 2, max(0, x - 20) : x + 20] = (200, 60, 60)
    noise = np.random.default_rng(number // 15).integers(0, 255, (10, width, 3), dtype=np.uint8)
    picture[height * 2 // 3 : height * 2 // 3 + 10] = noise
    block = width // BITS
    for bit in range(BITS):
        picture[: block // 2, bit * block : (bit + 1) * block] = 255 * (number >> bit & 1)
    return picture


def number_in(picture: NDArray[np.uint8]) -> int | None:
    """The number that is written in a picture; None where a block is neither black nor white."""
    block = picture.shape[1] // BITS
    rows = picture[block // 8 : block * 3 // 8].astype(float)
    levels = [rows[:, bit * block + block // 4 : (bit + 1) * block - block // 4].mean() for bit in range(BITS)]
    if any(60 < level < 195 for level in levels):
        return None
    return sum(1 << bit for bit, level in enumerate(levels) if level > 127)


def write_numbered(
    path: Path,
    ticks: Sequence[int] = range(200),
    tick: Fraction = Fraction(1, 10),
    codec: str = "libx264",
    options: Mapping[str, str] = B_FRAMES,
    container_options: Mapping[str, str] = MappingProxyType({}),
    size: tuple[int, int] = NUMBERED_SIZE,
    rotation: tuple[float, bool] = (0, False),
) -> Path:
    """A video of numbered pictures shown at ``ticks``, a keyframe every 20; ``rotation`` in degrees, and mirrored or not."""
    with av.open(str(path), "w", options={"fflags": "+bitexact", **container_options}) as container:
        stream: Any = container.add_stream(codec, rate=round(1 / tick), options=dict(options))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base, stream.gop_size = tick, 20
        stream.thread_count = 1  # with bitexact: the same bytes on every machine, each time
        if rotation != (0, False):
            stream.set_display_rotation(rotation[0], hflip=rotation[1])
        for number, shown in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number, *size), format="rgb24")
            frame.pts, frame.time_base = shown, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shift_packets(target: Path, *sources: tuple[Path, int | Fraction]) -> Path:
    """The pictures' packets of files, one after another in one stream, each file's so many seconds later.

    A later start of the first sets the clock; an earlier one needs an edit list in MP4.
    """
    with av.open(str(target), "w") as written:
        for source, seconds in sources:
            with av.open(str(source)) as read:
                if not written.streams.video:
                    written.add_stream_from_template(read.streams.video[0])
                for packet in read.demux(read.streams.video[0]):
                    if packet.dts is None or packet.pts is None:
                        continue
                    shift = round(seconds / packet.time_base)
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, written.streams.video[0]
                    written.mux(packet)
    return target


def flip_bits(source: Path, target: Path, begin: float, count: int, seed: int) -> Path:
    """The same file with ``count`` random bytes inverted between ``begin`` and 1 - ``begin`` of its length."""
    content = bytearray(source.read_bytes())
    places = np.random.default_rng(seed).integers(int(len(content) * begin), int(len(content) * (1 - begin)), count)
    for place in places.tolist():
        content[place] ^= 0xFF
    target.write_bytes(bytes(content))
    return target


def write_sound_with_cover(path: Path) -> Path:
    """A file of two seconds of silence with a picture of its record."""
    with av.open(str(path), "w", format="mp4") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = *NUMBERED_SIZE, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        sound = container.add_stream("aac", rate=SAMPLE_RATE)
        picture = av.VideoFrame.from_ndarray(numbered_picture(1), format="rgb24")
        picture.pts = 0
        container.mux(cover.encode(picture))
        container.mux(cover.encode(None))
        for packet in _silence(sound, 2):
            container.mux(packet)
    return path
