"""Small clips with a square and a tone, for the tests of training: each is seen and heard in a span of its own."""

from pathlib import Path
from typing import Any

import av
import numpy as np

RATE = 16_000


def write_sounding_clip(
    path: Path,
    seconds: float,
    colour: tuple[int, int, int] = (255, 0, 0),
    seen: tuple[float, float] = (0.0, 60.0),
    tone: float | None = 440.0,
    heard: tuple[float, float] = (0.0, 60.0),
    size: tuple[int, int] = (64, 56),
    fps: int = 4,
) -> Path:
    """A clip whose square is drawn in ``seen`` and whose tone sounds in ``heard``; ``tone`` None: no sound track."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        sound: Any = container.add_stream("aac", rate=RATE) if tone else None
        if sound is not None:
            sound.layout = "mono"
        for number in range(round(seconds * fps)):
            picture = np.full((size[1], size[0], 3), 20, np.uint8)
            if seen[0] <= number / fps < seen[1]:
                picture[10:40, 4 + number % 16 : 34 + number % 16] = colour
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
        if sound is not None and tone:
            _write_tone(container, sound, seconds, tone, heard)
    return path


def _write_tone(container: Any, stream: Any, seconds: float, tone: float, heard: tuple[float, float]) -> None:
    times = np.arange(round(seconds * RATE)) / RATE
    samples = 0.3 * np.sin(2 * np.pi * tone * times) * ((times >= heard[0]) & (times < heard[1]))
    for start in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024].astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = RATE, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
