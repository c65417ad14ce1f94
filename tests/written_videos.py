"""Real video files, written on the spot."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SAMPLE_RATE = 16000
SAMPLES = 1000


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
        for index in range(seconds * SAMPLE_RATE // SAMPLES):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, SAMPLES), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
            silence.pts = index * SAMPLES
            container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    return path
