"""Benchmarks of decoding: one frame a second of a minute of video."""

import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import decord
from measure import Row
from measure import median_seconds
from written_videos import B_FRAMES
from written_videos import write_numbered

from r_avst.dataset_builder.video import read_frames

SECONDS = 60
RATE = 30
FOLDER = tempfile.TemporaryDirectory(prefix="r-avst-bench-")


@cache
def clip() -> Path:
    """H.264 with B-frames, 640 x 360, 30 frames a second, a keyframe every 250 frames as x264 does."""
    path = Path(FOLDER.name) / "clip.mp4"
    return write_numbered(path, range(SECONDS * RATE), Fraction(1, RATE), options={**B_FRAMES, "g": "250"}, size=(640, 360))


def times() -> list[float]:
    return [float(second) for second in range(SECONDS)]


def by_read_frames() -> int:
    return sum(1 for _ in read_frames(clip(), times(), "pyav"))


def by_reading_all() -> int:
    """PyAV with its threads decodes every frame and converts it."""
    with av.open(str(clip())) as container:
        container.streams.video[0].thread_type = "AUTO"
        return sum(1 for frame in container.decode(video=0) if frame.to_ndarray(format="rgb24").size)


def by_decord() -> int:
    """Decord as it is, without a check."""
    reader = decord.VideoReader(str(clip()))
    return sum(1 for second in range(SECONDS) if reader[second * RATE].asnumpy().size)


def decode_against_all() -> Row:
    """Frames a second that ``read_frames`` gives, against the same from all frames converted."""
    clip()
    ours, plain = median_seconds(by_read_frames, by_reading_all, runs=5)
    against = (
        f"PyAV reading and converting all {SECONDS * RATE:,} frames for the same {SECONDS}: {SECONDS / plain:.0f} frames/s"
    )
    return Row("decode_1_fps", SECONDS / ours, "frames/s", against, plain / ours, "faster")


def decode_against_decord() -> Row:
    """Frames a second that ``read_frames`` gives, against decord by frame number."""
    clip()
    ours, plain = median_seconds(by_read_frames, by_decord, runs=5)
    against = f"decord by frame number, unchecked: {SECONDS / plain:.0f} frames/s"
    return Row("decode_1_fps_decord", SECONDS / ours, "frames/s", against, plain / ours, "told, no aim")


BENCHMARKS = [decode_against_all, decode_against_decord]
