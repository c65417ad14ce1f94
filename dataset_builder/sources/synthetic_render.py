"""Pictures and sound of the synthetic world's plans, and files of them: H.264 and AAC in MP4."""

from collections.abc import Iterator
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..video import PyAVMissingError
from .synthetic_plan import CELL
from .synthetic_plan import COLUMNS
from .synthetic_plan import FPS
from .synthetic_plan import ROWS
from .synthetic_plan import Plan
from .synthetic_things import SOUNDING
from .synthetic_things import Shape
from .synthetic_things import SoundingThing

SAMPLE_RATE = 16_000
SAMPLES = SAMPLE_RATE // FPS  # of a frame
AMPLITUDE = 0.2  # of a tone; an event has two at most
# One thread: several divide a picture in ways that depend on the machine. High quality: things are known by their colours.
H264 = {"preset": "ultrafast", "crf": "12", "threads": "1"}
AAC = {"aac_coder": "fast", "threads": "1"}


def write_clips(plans: Sequence[Plan], folder: Path) -> None:
    """Writes a file a plan, and leaves those that are there: a file bears its name only when it is complete.

    Raises:
        PyAVMissingError: PyAV is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for plan in tqdm(plans, desc="writing clips", unit="video"):
        path = folder / f"{plan.video_id}.mp4"
        if not path.exists():
            part = path.with_name(f"{path.name}.part")
            write_clip(plan, part)
            part.replace(path)


def write_clip(plan: Plan, path: Path) -> None:
    """Writes a plan as MP4; the same plan gives the same bytes.

    Raises:
        PyAVMissingError: PyAV is not installed.
    """
    try:
        import av
    except ImportError:
        raise PyAVMissingError("writing the synthetic world needs PyAV: pip install 'r-avst[build]'") from None
    with av.open(str(path), "w", format="mp4", container_options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=FPS, options=H264)
        video.width, video.height, video.pix_fmt = COLUMNS * CELL, ROWS * CELL, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, options=AAC, layout="mono")
        for index, (picture, samples) in enumerate(zip(pictures(plan), sound(plan), strict=True)):
            seen = av.VideoFrame.from_ndarray(picture, format="rgb24")
            seen.pts, seen.time_base = index, Fraction(1, FPS)
            heard = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            heard.pts, heard.sample_rate, heard.time_base = index * SAMPLES, SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
            container.mux(video.encode(seen))
            container.mux(audio.encode(heard))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


# --- pictures ---------------------------------------------------------------------------------------------------------


def pictures(plan: Plan) -> Iterator[NDArray[np.uint8]]:
    """The frames, each of shape (height, width, 3), RGB."""
    for frame in range(plan.frames):
        cells = np.full((ROWS, COLUMNS, 3), plan.background, np.uint8)
        for actor in plan.actors:
            if actor.drawn(frame):
                column, row = actor.place(frame)
                mask = mask_of(actor.thing.shape, actor.width, actor.height)
                cells[row : row + actor.height, column : column + actor.width][mask] = actor.thing.colour
        yield cells.repeat(CELL, axis=1).repeat(CELL, axis=0)


@cache
def mask_of(shape: Shape, width: int, height: int) -> NDArray[np.bool_]:
    """The cells that a shape fills, of shape (height, width); it touches all four sides, and no corner is a mere point."""
    x = (2 * np.arange(width) + 1) / width - 1  # centres of cells in -1..1
    y = ((2 * np.arange(height) + 1) / height - 1)[:, None]
    masks: dict[Shape, NDArray[np.bool_]] = {
        "square": np.ones((height, width), np.bool_),
        "circle": x**2 + y**2 <= 1,
        "diamond": abs(x) + abs(y) <= 1.15,
        "triangle": abs(x) <= 0.7 + 0.5 * y,
        "cross": (abs(x) <= 0.4) | (abs(y) <= 0.4),
    }
    return masks[shape]


# --- sound ------------------------------------------------------------------------------------------------------------


def sound(plan: Plan) -> NDArray[np.float32]:
    """The samples of each frame, of shape (frames, samples of a frame), in -1..1."""
    seconds = np.arange(plan.frames * SAMPLES).reshape(plan.frames, SAMPLES) / SAMPLE_RATE
    mixed = np.zeros(seconds.shape)
    for thing in SOUNDING:
        heard = sounding_frames(plan, thing)
        mixed[heard] += AMPLITUDE * np.sin(2 * np.pi * thing.pitch * seconds[heard])
    return mixed.astype(np.float32)


def sounding_frames(plan: Plan, thing: SoundingThing) -> NDArray[np.bool_]:
    """On which frames a thing sounds: while it is seen, and all through an event in which it is only heard."""
    spans = [span for actor in plan.actors if actor.thing == thing for span in actor.spans]
    spans += [scene.span for scene in plan.scenes if thing in scene.unseen]
    sounds = np.zeros(plan.frames, np.bool_)
    for first, end in spans:
        sounds[first:end] = True
    return sounds
