"""Follows named things through the frames of a clip: detections become tracks, and a track keeps its number.

Tracks are matched to detections, phrase by phrase, by assignment, and never reset: a detection that fails once, or is off
by a few pixels, costs no number. Phrases are independent: what "man" and "person" both find is a track of each.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from itertools import chain

import numpy as np
from scipy.optimize import linear_sum_assignment

from r_avst.metrics.avst_metrics.overlap import Box
from r_avst.metrics.avst_metrics.overlap import box_iou

from .backend import Backend
from .backend import Detection
from .backend import Image
from .backend import TrackSession


@dataclass(frozen=True, slots=True)
class TrackRules:
    """How tracks are kept.

    ``match_iou``: boxes of one phrase that overlap by so much are the same thing. ``most_instances``: tracks of one phrase,
    a bound on the work that a crowd makes. ``every``: the first frame and each so many'th after it is searched for things.
    """

    match_iou: float
    most_instances: int
    every: int


@dataclass(frozen=True, slots=True)
class Track:
    """A thing of the phrase of this index: its box on the current frame, None out of sight, and where it was seen last."""

    phrase: int
    box: Box | None
    last: Box


class Tracks:
    """The tracks of one clip by their numbers."""

    def __init__(self, session: TrackSession, rules: TrackRules) -> None:
        self._session = session
        self._rules = rules
        self._tracks: dict[int, Track] = {}

    def step(self, image: Image) -> None:
        """Moves all tracks on to the next frame."""
        self._place(self._session.step(image))

    def meet(self, found: Sequence[Sequence[Detection]]) -> None:
        """Adds what was found on the current frame, phrase by phrase, and is no visible track yet."""
        added: dict[int, Box] = {}
        for phrase, detections in enumerate(found):
            boxes = distinct(detections, self._rules.match_iou)[: self._rules.most_instances]
            added |= self._unknown(phrase, boxes)
        if added:
            self._place(self._session.add(added))

    def visible(self, phrase: int) -> dict[int, Box]:
        """Where the things of a phrase are on the current frame, without those out of sight."""
        return {number: track.box for number, track in self._of(phrase).items() if track.box is not None}

    def _unknown(self, phrase: int, boxes: Sequence[Box]) -> dict[int, Box]:
        """The boxes that match no visible track by the number of a lost track, or else by a new number."""
        own = self._of(phrase)
        known = assign(boxes, list(self.visible(phrase).values()), self._rules.match_iou)
        new = [box for index, box in enumerate(boxes) if index not in known]
        lost = [number for number, track in own.items() if track.box is None]
        again = nearest(new, [own[number].last for number in lost])
        numbers = {index: lost[which] for index, which in again.items()}
        others = [index for index in range(len(new)) if index not in numbers]
        room = self._rules.most_instances - len(own)
        numbers |= {index: len(self._tracks) + place for place, index in enumerate(others[:room])}
        for index, number in numbers.items():
            self._tracks.setdefault(number, Track(phrase, None, new[index]))
        return {number: new[index] for index, number in numbers.items()}

    def _of(self, phrase: int) -> dict[int, Track]:
        return {number: track for number, track in self._tracks.items() if track.phrase == phrase}

    def _place(self, boxes: Mapping[int, Box | None]) -> None:
        for number, box in boxes.items():
            track = self._tracks[number]
            self._tracks[number] = replace(track, box=box, last=box or track.last)


def follow(
    backend: Backend, images: Iterable[Image], phrases: Sequence[str], rules: TrackRules
) -> Iterator[list[dict[int, Box]]]:
    """The visible tracks on each image, for each phrase by their numbers; holds one image at a time.

    Raises:
        ValueError: the images are not all of one size.
    """
    rest = iter(images)
    first = next(rest, None)
    if first is None:
        return
    height, width = first.shape[:2]
    tracks = Tracks(backend.start(width, height), rules)
    for index, image in enumerate(chain([first], rest)):
        if image.shape[:2] != (height, width):
            raise ValueError(f"frame {index} is {image.shape[1]} x {image.shape[0]}, those before it {width} x {height}")
        tracks.step(image)
        if index % rules.every == 0:
            tracks.meet(backend.detect(image, phrases))
        yield [tracks.visible(phrase) for phrase in range(len(phrases))]


def distinct(detections: Iterable[Detection], same_iou: float) -> list[Box]:
    """The boxes of the detections, best first, without those that overlap a better one by ``same_iou`` or more.

    >>> distinct([Detection((0, 0, 10, 9), 0.5), Detection((0, 0, 10, 10), 0.9), Detection((20, 0, 30, 10), 0.4)], 0.5)
    [(0, 0, 10, 10), (20, 0, 30, 10)]
    """
    kept: list[Box] = []
    for detection in sorted(detections, key=lambda own: -own.score):
        if not kept or box_iou(detection.box, kept).max() < same_iou:
            kept.append(detection.box)
    return kept


def assign(first: Sequence[Box], second: Sequence[Box], least_iou: float) -> dict[int, int]:
    """Pairs of indices with an IoU of at least ``least_iou``, one to one, so that their total IoU is the largest.

    >>> assign([(0, 0, 10, 10), (50, 0, 60, 10)], [(51, 0, 61, 10)], 0.5)
    {1: 0}
    """
    if not first or not second:
        return {}
    overlaps = box_iou(np.array(first)[:, None], np.array(second)[None])
    overlaps[overlaps < least_iou] = 0  # a pair that is none must not take a box from one that is
    rows, columns = linear_sum_assignment(overlaps, maximize=True)
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True) if overlaps[row, column] > 0}


def nearest(first: Sequence[Box], second: Sequence[Box]) -> dict[int, int]:
    """Pairs of indices, one to one and as many as there can be, so that the sum of the distances of centres is the least.

    >>> nearest([(0, 0, 10, 10), (50, 0, 60, 10)], [(40, 0, 50, 10)])
    {1: 0}
    """
    if not first or not second:
        return {}
    distances = np.linalg.norm(_centres(first)[:, None] - _centres(second)[None], axis=-1)
    rows, columns = linear_sum_assignment(distances)
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True)}


def _centres(boxes: Sequence[Box]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    corners = np.array(boxes, dtype=np.float64).reshape(-1, 2, 2)
    centres: np.ndarray[tuple[int, int], np.dtype[np.float64]] = corners.mean(axis=1)
    return centres
