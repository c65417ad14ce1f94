"""Real video files with a burst of sound at a known second."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from written_videos import numbered_picture

PICTURES_A_SECOND = 10
PITCH = 440  # hertz
BLOCK = 1000  # samples handed to an encoder at a time


def burst_samples(rate: int, seconds: float, burst: tuple[float, float], gains: tuple[float, ...]) -> NDArray[np.float32]:
    """Silence with a tone from one second to another, of shape (channels, samples); a gain a channel."""
    times = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * PITCH * times) * ((times >= burst[0]) & (times < burst[1]))
    return (np.array(gains)[:, None] * tone).astype(np.float32)


def write_burst(
    path: Path,
    codec: str,
    burst: tuple[float, float] = (2.0, 2.5),
    seconds: float = 6.0,
    rate: int = 48_000,
    gains: tuple[float, ...] = (0.5, 0.5),
    picture_at: float = 0.0,
    sound_at: float = 0.0,
    gap: tuple[float, float] = (0.0, 0.0),
    container_options: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Six seconds of numbered pictures of 10 a second, and as much sound with a burst at ``burst`` seconds of its own.

    ``picture_at`` and ``sound_at`` are when the two start, in seconds of the file's clock; packets of sound that start in
    ``gap`` are left out.
    """
    samples = burst_samples(rate, seconds, burst, gains)
    with av.open(str(path), "w", options=dict(container_options)) as container:
        pictures: Any = container.add_stream("libx264", rate=PICTURES_A_SECOND, options={"preset": "veryfast", "bf": "2"})
        pictures.width, pictures.height, pictures.pix_fmt, pictures.gop_size = 320, 180, "yuv420p", 20
        sound = container.add_stream(codec, rate=rate, layout={1: "mono", 2: "stereo", 6: "5.1"}[len(gains)])
        sound.codec_context.options = {"strict": "experimental"}
        for packet in _picture_packets(pictures, seconds, picture_at):
            container.mux(packet)
        for packet in _sound_packets(sound, samples, sound_at):
            if not gap[0] <= float(packet.pts * packet.time_base) < gap[1]:
                container.mux(packet)
    return path


def _picture_packets(stream: Any, seconds: float, start: float) -> list[Any]:
    packets = []
    for number in range(round(seconds * PICTURES_A_SECOND)):
        frame = av.VideoFrame.from_ndarray(numbered_picture(number), format="rgb24")
        frame.pts = number + round(start * PICTURES_A_SECOND)
        frame.time_base = Fraction(1, PICTURES_A_SECOND)
        packets += stream.encode(frame)
    return packets + list(stream.encode(None))


def _sound_packets(stream: Any, samples: NDArray[np.float32], start: float) -> list[Any]:
    rate, layout, packets = stream.codec_context.sample_rate, stream.codec_context.layout.name, []
    convert = av.AudioResampler(format=stream.codec_context.format.name, layout=layout, rate=rate)
    for first in range(0, samples.shape[1], BLOCK):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[:, first : first + BLOCK]), format="fltp", layout=layout
        )
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), first + round(start * rate)
        for converted in convert.resample(frame):
            packets += stream.encode(converted)
    return packets + list(stream.encode(None))
