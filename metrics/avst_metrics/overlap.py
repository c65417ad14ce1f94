"""Overlap of boxes, of time spans, and of the tracks of one object over time. Arrays in, figures out."""

import math
from bisect import bisect_left
from bisect import bisect_right
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .answers import NOT_VISIBLE
from .answers import Row
from .answers import Span

Box = tuple[float, float, float, float]
Frames = dict[float, list[Box]]

TIME_TOLERANCE = 0.5 + 1e-6
ROUNDING = 1e-9  # so near below a threshold a score is rounded, not lower


def interval_iou(first: Span | None, second: Span | None) -> float:
    """Intersection over union of two spans ``(start, end)``, in seconds (paper, eq. 4). No span, no overlap: 0.

    >>> interval_iou((0.0, 6.0), (4.0, 10.0))
    0.2
    """
    if first is None or second is None:
        return 0.0
    (start, end), (other_start, other_end) = first, second
    intersection = min(end, other_end) - max(start, other_start)
    union = (end - start) + (other_end - other_start) - intersection
    if start >= end or other_start >= other_end or intersection <= 0 or not math.isfinite(union):
        return 0.0
    return intersection / union


def box_iou(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union of boxes ``(x1, y1, x2, y2)`` of any real numbers; area = (x2 - x1)(y2 - y1), no + 1.

    Args:
        first: shape (..., 4).
        second: shape (..., 4); the leading dimensions broadcast. All pairs: ``box_iou(a[:, None], b[None])``.

    Returns:
        Shape (...), each in 0..1. Boxes without a finite, positive area overlap nothing.

    Raises:
        ValueError: the last dimension is not 4, or the leading ones do not broadcast.

    >>> float(box_iou([0, 0, 10, 10], [5, 0, 15, 10]))
    0.3333333333333333
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape[-1:] != (4,) or b.shape[-1:] != (4,):
        raise ValueError(f"boxes need 4 numbers in their last dimension; the shapes are {a.shape} and {b.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
        intersection = sides[..., 0] * sides[..., 1]
        union = _areas(a) + _areas(b) - intersection
        overlap = (sides[..., 0] > 0) & (sides[..., 1] > 0) & (union > 0) & np.isfinite(union)
    result: NDArray[np.float64] = np.divide(intersection, union, out=np.zeros(union.shape), where=overlap)
    return result


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return areas


def frame_iou(predicted: Sequence[Box], true: Sequence[Box]) -> float:
    """Overlap of two sets of boxes in one frame: several instances of one object.

    The assignment of predicted to true boxes that maximises the total IoU, over the larger of the two numbers: boxes too
    many cost as much as boxes too few.

    >>> frame_iou([(0, 0, 10, 10), (50, 50, 60, 60)], [(0, 0, 10, 10)])
    0.5
    """
    return frame_ious([(predicted, true)])[0]


def frame_ious(frames: Sequence[tuple[Sequence[Box], Sequence[Box]]]) -> list[float]:
    """`frame_iou` of each of many frames of (predicted, true) boxes, with one call of `box_iou` for all their pairs."""
    if not frames:
        return []
    first = [box for predicted, true in frames for box in predicted for _ in true]
    second = [box for predicted, true in frames for _ in predicted for box in true]
    overlaps = box_iou(_array(first), _array(second))
    numbers = overlaps.tolist()
    result, start = [], 0
    for predicted, true in frames:
        rows, columns = len(predicted), len(true)
        end = start + rows * columns
        if rows > 1 and columns > 1:
            matrix = overlaps[start:end].reshape(rows, columns)
            best = float(matrix[linear_sum_assignment(matrix, maximize=True)].sum())
        else:  # one box on a side has its pick
            best = max(numbers[start:end], default=0.0)
        result.append(best / max(rows, columns, 1))
        start = end
    return result


def _array(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """The boxes as an array of shape (n, 4); several times as fast as np.array."""
    return np.fromiter(chain.from_iterable(boxes), np.float64, 4 * len(boxes)).reshape(-1, 4)


# --- tracks -----------------------------------------------------------------------------------------------------------


class MatchedFrames(NamedTuple):
    """Predicted and true boxes at each visible true time of an object, and how many predicted times lie beside them."""

    frames: list[tuple[Sequence[Box], Sequence[Box]]]
    extra_times: int


class TrackOverlap(NamedTuple):
    """Frame IoU at each visible true time of an object, and how many predicted times lie beside them."""

    frame_ious: Sequence[float]
    extra_times: int

    @property
    def viou(self) -> float:
        """Mean of frame IoU over the visible true times."""
        return sum(self.frame_ious) / len(self.frame_ious)

    @property
    def viou_tube(self) -> float:
        """Sum of frame IoU over the times that are true or predicted (VidSTG's vIoU): extra times cost."""
        return sum(self.frame_ious) / (len(self.frame_ious) + self.extra_times)

    def average_precision(self, threshold: float) -> float:
        """Share of the visible true times with frame IoU of at least ``threshold`` (AP@t of V-STaR)."""
        return sum(iou >= threshold - ROUNDING for iou in self.frame_ious) / len(self.frame_ious)


def visible_frames(rows: Iterable[Row]) -> Frames:
    """The visible boxes of one object by time; an exact duplicate of a row counts once."""
    frames: Frames = {}
    for row in dict.fromkeys(rows):
        box = row[1:]
        if box != NOT_VISIBLE:
            frames.setdefault(row[0], []).append(box)
    return frames


def pooled(frames: Iterable[Frames]) -> Frames:
    """The boxes of several objects by time, names forgotten. The same box under two names stays two boxes."""
    pool: Frames = {}
    for own in frames:
        for time, boxes in own.items():
            pool.setdefault(time, []).extend(boxes)
    return pool


def match_frames(predicted: Frames, true: Frames, annotated_times: Collection[float]) -> MatchedFrames:
    """The predicted boxes at each visible true time of one object; none where no predicted time matches.

    Args:
        predicted: predicted boxes by time.
        true: visible true boxes by time, not empty.
        annotated_times: all true times, the ones where the object is not visible too.
    """
    matches, extra = match_times(predicted, true, annotated_times)
    found = (predicted[matches[time]] if time in matches else () for time in true)
    return MatchedFrames(list(zip(found, true.values(), strict=True)), extra)


def match_times(
    predicted: Collection[float], visible: Mapping[float, object], annotated: Collection[float]
) -> tuple[dict[float, float], int]:
    """Matches predicted times one to one to visible true times at most 0.5 s (+ 1e-6) away.

    Greedy by (distance, true time, predicted time), so equal times match first. A predicted time is ignored where its
    nearest true time is one at which the object is not visible, or where it falls into a gap of the annotation (farther
    than the tolerance from every true time, between the first and the last).

    Returns:
        The predicted time of each matched true time, and the number of predicted times neither matched nor ignored.
    """
    matches = {time: time for time in predicted if time in visible}
    others = [time for time in predicted if time not in annotated]
    grid = sorted(annotated) if others else []
    candidates, kept = [], 0
    for time in others:
        near = grid[bisect_left(grid, time - TIME_TOLERANCE) : bisect_right(grid, time + TIME_TOLERANCE)]
        if not near and grid[0] < time < grid[-1]:
            continue
        by_distance = sorted((_distance(true, time), true, time) for true in near)
        nearest = by_distance[0][1] if near else grid[0 if time < grid[0] else -1]
        if nearest in visible:
            kept += 1
            candidates += [pair for pair in by_distance if pair[1] in visible]
    used: set[float] = set()
    for _, true, time in sorted(candidates):
        if true not in matches and time not in used:
            matches[true] = time
            used.add(time)
    return matches, kept - len(used)


def _distance(true: float, predicted: float) -> float:
    """Distance in seconds to the microsecond: 0.9 is as near to 0.4 as to 1.4, whatever the last bit says."""
    return round(abs(true - predicted), 6)
