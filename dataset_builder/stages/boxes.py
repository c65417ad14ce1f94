"""Stage 3: where what the captions name is, once a second (paper, data construction, step 3)."""

import functools
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from r_avst.metrics.avst_metrics.answers import NOT_VISIBLE
from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.overlap import Box

from ..grounding.backend import Backend
from ..grounding.tracking import TrackRules
from ..grounding.tracking import follow
from ..records import Event
from ..records import Frame
from ..records import Instance
from ..records import ObjectTrack
from ..records import VideoRow
from ..video import DECODERS
from ..video import DecordMissingError
from ..video import PyAVMissingError
from ..video import picture_duration
from ..video import read_frames
from .stage import Report
from .stage import StageError

if TYPE_CHECKING:
    from ..grounding.grounding_dino import GroundingDino

OUT_OF_SIGHT = Instance(NOT_VISIBLE, visible=False)
DTYPES = ("float32", "bfloat16")
SOUND_TAIL = 1.0  # seconds that an event may go on after the picture; a file's duration is that of its sound too


class BoxError(ValueError):
    """An event whose objects cannot be looked for; the message names it and the reason."""


@dataclass(frozen=True, slots=True)
class BoxStage:
    """Finds the visible subjects of each event, follows them through it, and writes down where they are once a second.

    Names, thresholds and the 1 s grid are the paper's. Tracks are never reset, as a detection that fails once would then
    give a thing a new number.

    Attributes:
        videos: the folder of videos.
        backend: ``transformers``, ``sam2`` or ``synthetic``.
        decoder: ``pyav`` or ``decord``.
        detector: a Grounding DINO, by its name on the Hub or its folder.
        tracker: a SAM 2, likewise; for the backend ``sam2`` one of Meta's names.
        box_threshold: what a box must score.
        text_threshold: what a token of the phrase must score on it.
        detect_every: seconds between two searches for things; the first frame of an event is always searched.
        frames_per_second: frames that are tracked in a second. Four keep what moves overlapping from frame to frame, near
            the six a second that SAM 2 was taught with, at a fraction of the cost of all frames.
        match_iou: boxes of one phrase that overlap by so much are the same thing.
        most_instances: things of one phrase that are followed in an event; the surest come first.
        dtype: ``float32``, the same boxes everywhere, or ``bfloat16``, faster on a GPU.
        device: ``auto`` (a GPU where there is one), ``cuda``, ``cpu``.
        gpus: that each worker holds on a Ray cluster; 0 where no GPU is needed.
        workers: videos at once on this machine, which share one copy of the models.
    """

    videos: Path = Path("videos")
    backend: str = "transformers"
    decoder: str = "pyav"
    detector: str = "IDEA-Research/grounding-dino-base"
    tracker: str = "facebook/sam2.1-hiera-large"
    box_threshold: float = 0.4
    text_threshold: float = 0.3
    detect_every: float = 1.0
    frames_per_second: int = 4
    match_iou: float = 0.5
    most_instances: int = 10
    dtype: str = "float32"
    device: str = "auto"
    gpus: float = 1.0
    workers: int = 1

    @property
    def name(self) -> str:
        """Of its folder in the work folder."""
        return "boxes"

    def __post_init__(self) -> None:
        """Checks the options.

        Raises:
            StageError: one makes no sense.
        """
        check_options(self)

    @property
    def rules(self) -> TrackRules:
        """How tracks are kept."""
        return TrackRules(self.match_iou, self.most_instances, round(self.detect_every * self.frames_per_second))

    def settings(self) -> Mapping[str, Any]:
        """What the boxes depend on: neither where the videos lie, nor what runs the models."""
        return {
            "backend": self.backend,
            "decoder": self.decoder,
            "detector": self.detector,
            "tracker": self.tracker,
            "box_threshold": self.box_threshold,
            "text_threshold": self.text_threshold,
            "detect_every": self.detect_every,
            "frames_per_second": self.frames_per_second,
            "match_iou": self.match_iou,
            "most_instances": self.most_instances,
            "dtype": self.dtype,
        }

    def open(self) -> Callable[[VideoRow], VideoRow]:
        """Loads the models and returns what fills in the objects of a row's events, and its width and height.

        Raises:
            StageError: the backend cannot be had.
        """
        return functools.partial(with_boxes, stage=self, backend=BACKENDS[self.backend](self))

    def report(self, rows: Sequence[VideoRow]) -> Report:
        """How many objects were looked for, how many never found, and at how many times they were visible."""
        tracks = [track for row in rows for event in row.events for track in event.objects]
        looked_for = [track for track in tracks if track.frames]
        boxes = [[one for one in frame.instances if one.visible] for track in looked_for for frame in track.frames]
        return {
            "objects": len(tracks),
            "looked_for": len(looked_for),
            "never_visible": sum(not _is_seen(track) for track in looked_for),
            "times": len(boxes),
            "times_visible": sum(bool(own) for own in boxes),
            "boxes": sum(map(len, boxes)),
        }


def _is_seen(track: ObjectTrack) -> bool:
    return any(one.visible for frame in track.frames for one in frame.instances)


def check_options(stage: BoxStage) -> None:
    """Refuses options that make no sense.

    Raises:
        StageError: names the option and what it may be.
    """
    between = stage.detect_every * stage.frames_per_second
    problems = {
        f"backend {stage.backend!r}: it is one of {', '.join(BACKENDS)}": stage.backend not in BACKENDS,
        f"decoder {stage.decoder!r}: it is one of {', '.join(DECODERS)}": stage.decoder not in DECODERS,
        f"dtype {stage.dtype!r}: it is one of {', '.join(DTYPES)}": stage.dtype not in DTYPES,
        f"frames_per_second {stage.frames_per_second}: at least 1": stage.frames_per_second < 1,
        f"box_threshold {stage.box_threshold}: 0 to 1": not 0 <= stage.box_threshold <= 1,
        f"text_threshold {stage.text_threshold}: 0 to 1": not 0 <= stage.text_threshold <= 1,
        f"match_iou {stage.match_iou}: more than 0 and at most 1": not 0 < stage.match_iou <= 1,
        f"most_instances {stage.most_instances}: at least 1": stage.most_instances < 1,
        f"detect_every {stage.detect_every}: a whole number of frames, of {stage.frames_per_second} a second": (
            not 1 <= between < math.inf or abs(between - round(between)) > 1e-6
        ),
    }
    if found := [problem for problem, holds in problems.items() if holds]:
        raise StageError("; ".join(found))


@dataclass(frozen=True, slots=True)
class Clip:
    """A video's file, the size of its frames in pixels, and how many seconds its picture lasts."""

    path: Path
    width: int
    height: int
    duration: float


# --- one video --------------------------------------------------------------------------------------------------------


def with_boxes(row: VideoRow, stage: BoxStage, backend: Backend) -> VideoRow:
    """The row with the objects of its events, and the width and height of its first frame.

    Raises:
        VideoError: the file cannot be used.
        BoxError: an event of it cannot be worked on.
        StageError: the decoder is not installed.
    """
    path = stage.videos / row.file
    try:
        height, width = next(iter(read_frames(path, [0.0], stage.decoder))).image.shape[:2]
        clip = Clip(path, width, height, picture_duration(path))
    except (PyAVMissingError, DecordMissingError) as error:
        raise StageError(str(error)) from error
    events = (replace(event, objects=objects_of(event, clip, stage, backend)) for event in row.events)
    return replace(row, video=replace(row.video, width=width, height=height), events=tuple(events))


def objects_of(event: Event, clip: Clip, stage: BoxStage, backend: Backend) -> tuple[ObjectTrack, ...]:
    """A track for each subject of an event, in their order; those that are only heard have no frames.

    Args:
        event: with its subjects.
        clip: the video.
        stage: the options.
        backend: a detector and a tracker.

    Raises:
        BoxError: the event is empty, or not in the video.
    """
    phrases = [subject.name for subject in event.subjects if subject.visible]
    try:
        frames = iter(_frames_of(phrases, event.span, clip, stage, backend))
    except ValueError as error:
        start, end = event.span
        raise BoxError(f"event {event.event_id}, {start} to {end} s: {error}") from error
    return tuple(
        ObjectTrack(subject.name, subject.audible, next(frames) if subject.visible else ()) for subject in event.subjects
    )


def _frames_of(phrases: Sequence[str], span: Span, clip: Clip, stage: BoxStage, backend: Backend) -> list[tuple[Frame, ...]]:
    """The frames of each phrase on the event's grid, as far as there is a picture: sound may last longer."""
    if not span[0] < span[1]:
        raise ValueError("it is empty")
    grid = grid_times((span[0], min(span[1], clip.duration)))
    if not grid or span[1] > clip.duration + SOUND_TAIL:
        raise ValueError(f"{clip.path}: it leaves the video, whose picture goes from 0 to {clip.duration:.3f} s")
    if not phrases:
        return []
    times = tracking_times(grid, stage.frames_per_second)
    images = (frame.image for frame in read_frames(clip.path, times, stage.decoder))
    followed = follow(backend, images, phrases, stage.rules)
    on_grid = list(islice(followed, 0, None, stage.frames_per_second))
    return [
        tuple(_frame(time, places[index], clip) for time, places in zip(grid, on_grid, strict=True))
        for index in range(len(phrases))
    ]


def _frame(time: float, places: Mapping[int, Box], clip: Clip) -> Frame:
    return Frame(time, tuple(instances_of(places.values(), (clip.width, clip.height))) or (OUT_OF_SIGHT,))


def instances_of(boxes: Iterable[Box], size: tuple[int, int]) -> Iterator[Instance]:
    """The boxes as answers write them, with one decimal and inside the frame; those without an area then are left out.

    >>> list(instances_of([(-3.0, 2.04, 10.06, 500.0), (5.0, 5.0, 5.02, 9.0)], (320, 240)))
    [Instance(box=(0.0, 2.0, 10.1, 240.0), visible=True)]
    """
    width, height = size
    for box in boxes:
        x1, x2 = (round(min(max(x, 0.0), float(width)), 1) for x in box[::2])
        y1, y2 = (round(min(max(y, 0.0), float(height)), 1) for y in box[1::2])
        if x1 < x2 and y1 < y2:
            yield Instance((x1, y1, x2, y2), visible=True)


def grid_times(span: Span) -> list[float]:
    """The times of an event's boxes: each second from its start and before its end, to 3 decimals.

    >>> grid_times((1.4, 3.4))
    [1.4, 2.4]
    """
    start, end = span
    return [time for k in range(max(0, int(end - start) + 1)) if (time := round(start + k, 3)) < end]


def tracking_times(grid: Sequence[float], rate: int) -> list[float]:
    """The times of the frames that are tracked: ``rate`` a second, all times of the grid among them, the last one last.

    >>> tracking_times([1.4, 2.4], 4)
    [1.4, 1.65, 1.9, 2.15, 2.4]
    """
    return [round(time + step / rate, 3) for time in grid[:-1] for step in range(rate)] + [*grid[-1:]]


# --- backends ---------------------------------------------------------------------------------------------------------


PACKAGES = {"transformers": ("torch", "transformers"), "sam2": ("torch", "transformers", "sam2"), "synthetic": ()}


def check_installed(backend: str) -> None:
    """Looks whether a backend's packages are there, before other stages are paid for; imports nothing.

    Raises:
        StageError: one is missing.
    """
    if missing := [name for name in PACKAGES[backend] if find_spec(name) is None]:
        extra = "sam2" if backend == "sam2" else "boxes"
        raise StageError(f"boxes need {', '.join(missing)}: pip install 'r-avst[{extra}]', or give another --backend")


@contextmanager
def packages_of(extra: str) -> Iterator[None]:
    """Says what to install where an import fails.

    Raises:
        StageError: it fails.
    """
    try:
        yield
    except ImportError as error:
        raise StageError(f"boxes need more packages ({error}): pip install 'r-avst[{extra}]'") from error


def _transformers(stage: BoxStage) -> Backend:
    with packages_of("boxes"):
        from ..grounding.transformers_backend import load_transformers
    return load_transformers(_grounding_dino(stage), stage.tracker, stage.device, stage.dtype)


def _sam2(stage: BoxStage) -> Backend:
    with packages_of("sam2"):
        from ..grounding.sam2_backend import load_sam2
    return load_sam2(_grounding_dino(stage), stage.tracker, stage.device, stage.dtype)


def _grounding_dino(stage: BoxStage) -> "GroundingDino":
    with packages_of("boxes"):
        from ..grounding.grounding_dino import load_grounding_dino
    return load_grounding_dino(stage.detector, stage.box_threshold, stage.text_threshold, stage.device, stage.dtype)


def _synthetic(_: BoxStage) -> Backend:
    from ..grounding.synthetic_backend import SyntheticBackend

    return SyntheticBackend()


BACKENDS: Mapping[str, Callable[[BoxStage], Backend]] = {
    "transformers": _transformers,
    "sam2": _sam2,
    "synthetic": _synthetic,
}
