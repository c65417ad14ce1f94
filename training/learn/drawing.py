"""Squares and tones: what the worlds' clips show and let hear, and how a clip becomes a file."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from random import Random

import av
import numpy as np
from numpy.typing import NDArray

from r_avst.dataset_builder.sound import SAMPLE_RATE
from r_avst.dataset_builder.sources.synthetic_render import AAC
from r_avst.dataset_builder.sources.synthetic_render import H264

Pictures = NDArray[np.uint8]
Sound = NDArray[np.float32]
WholeSpan = tuple[int, int]
PixelBox = tuple[int, int, int, int]

BACKGROUND = 20  # of 255, in all three colours
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
LENGTHS = (2, 4)  # seconds: shortest and longest span
LOUDNESS = (0.2, 0.35)
PITCHES = (300.0, 3000.0)  # Hz
NOISE = 0.004


def draw_span(rng: Random, seconds: int) -> WholeSpan:
    """A span of 2 to 4 whole seconds within so many."""
    length = rng.randint(*LENGTHS)
    start = rng.randint(0, seconds - length)
    return start, start + length


def pictures_of_square(size: tuple[int, int], frames: int, shown: range, box: PixelBox, colour: Sequence[int]) -> Pictures:
    """A square that stands at ``box`` (x1, y1, x2, y2, upper edges exclusive) on the frames ``shown``.

    Returns:
        Shape (frames, height, width, 3), RGB.
    """
    width, height = size
    pictures = np.full((frames, height, width, 3), BACKGROUND, np.uint8)
    x1, y1, x2, y2 = box
    pictures[shown.start : shown.stop, y1:y2, x1:x2] = colour
    return pictures


def tone(rng: Random, span: WholeSpan, seconds: int) -> Sound:
    """A tone of a drawn pitch and loudness during ``span``, over soft noise; shape (seconds * 16,000,)."""
    at = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    heard = (at >= span[0]) & (at < span[1])
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, NOISE, len(at))
    wave = rng.uniform(*LOUDNESS) * np.sin(2 * np.pi * rng.uniform(*PITCHES) * at)
    return (noise + wave * heard).astype(np.float32)


def write_clip(path: Path, pictures: Pictures, fps: int, sound: Sound | None) -> None:
    """Writes an MP4; a file bears its name only when it is complete, and one that is there is left as it is.

    Args:
        path: of the file.
        pictures: shape (frames, height, width, 3), RGB, sides even.
        fps: frames a second.
        sound: samples at 16 kHz, or None for a file without a sound track.
    """
    if path.exists():
        return
    part = path.with_name(f".{path.name}.part")
    with av.open(str(part), "w", format="mp4", container_options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=fps, options=H264)
        video.height, video.width, video.pix_fmt = *pictures.shape[1:3], "yuv420p"
        audio = None if sound is None else container.add_stream("aac", rate=SAMPLE_RATE, options=AAC, layout="mono")
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            heard = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            heard.pts, heard.sample_rate, heard.time_base = 0, SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
            container.mux(audio.encode(heard))
            container.mux(audio.encode(None))
    part.replace(path)
