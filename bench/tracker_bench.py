"""Benchmarks of the tracker, on tiny random models: what streaming costs, and that memory does not grow."""

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from measure import Row
from measure import median_seconds
from moving_square import frames
from tiny_models import write_tiny_detector
from tiny_models import write_tiny_tracker

from r_avst.dataset_builder.grounding.backend import Image
from r_avst.dataset_builder.grounding.grounding_dino import load_grounding_dino
from r_avst.dataset_builder.grounding.tracking import TrackRules
from r_avst.dataset_builder.grounding.tracking import follow
from r_avst.dataset_builder.grounding.transformers_backend import TransformersBackend
from r_avst.dataset_builder.grounding.transformers_backend import load_transformers
from r_avst.metrics.avst_metrics.overlap import Box

WIDTH, HEIGHT = 160, 90
CLIP = 24  # frames
SHORT, LONG = 60, 600


@cache
def backend() -> TransformersBackend:
    with tempfile.TemporaryDirectory() as folder:
        detector = load_grounding_dino(str(write_tiny_detector(Path(folder, "detector"))), 0.0, 0.0, "cpu", "float32")
        return load_transformers(detector, str(write_tiny_tracker(Path(folder, "tracker"))), "cpu", "float32")


def boxes(objects: int) -> dict[int, Box]:
    return {number: (10.0 + 30 * number, 20.0, 40.0 + 30 * number, 50.0) for number in range(objects)}


def streamed(images: list[Image], objects: int) -> None:
    session = backend().start(WIDTH, HEIGHT)
    for frame, image in enumerate(images):
        session.step(image)
        if not frame:
            session.add(boxes(objects))


def whole(images: list[Image], objects: int) -> None:
    """The library's own way for a clip that is held in full, with its masks at the frames' size."""
    processor, model = backend().processor, backend().model
    session = processor.init_video_session(video=images, inference_device="cpu")
    own = boxes(objects)
    given = [[list(box) for box in own.values()]]
    processor.add_inputs_to_inference_session(session, frame_idx=0, obj_ids=list(own), input_boxes=given)
    for output in model.propagate_in_video_iterator(session, start_frame_idx=0):
        processor.post_process_masks([output.pred_masks], original_sizes=[[HEIGHT, WIDTH]])


def _tracking(objects: int) -> Row:
    images = list(frames(CLIP, WIDTH, HEIGHT))
    ours, theirs = median_seconds(lambda: streamed(images, objects), lambda: whole(images, objects), runs=5)
    against = f"transformers' session of the whole clip, {CLIP} frames: {CLIP / theirs:.1f} frames/s"
    return Row(f"tracker_{objects}", CLIP / ours, "frames/s", against, theirs / ours, "at least 0.8 times as fast")


def tracker_1() -> Row:
    """One object followed through a clip."""
    return _tracking(1)


def tracker_2() -> Row:
    """Two objects."""
    return _tracking(2)


def tracker_4() -> Row:
    """Four objects."""
    return _tracking(4)


def follow_two(number: int) -> None:
    """Two things found and followed through so many frames, with a search on every tenth."""
    for _ in follow(backend(), frames(number, WIDTH, HEIGHT), ["dog"], TrackRules(0.5, 2, 10)):
        pass


def peak_of(number: int) -> float:
    """Peak resident memory, in MB, of a process that does so."""
    code = (
        "import tracker_bench as bench\nfrom peak_memory import peak_memory\n"
        f"bench.follow_two({number}); print(peak_memory())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[:2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def tracker_memory() -> Row:
    """Peak resident memory against the length of the video."""
    short, long = peak_of(SHORT), peak_of(LONG)
    return Row(
        "tracker_memory", long, "MB", f"{SHORT} frames instead of {LONG}: {short:.0f} MB", long / short, "at most 1.1 times"
    )


BENCHMARKS = [tracker_1, tracker_2, tracker_4, tracker_memory]
