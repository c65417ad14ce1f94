"""Overlaps against counting cells of a grid, and assignments against trying them all."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r_avst.metrics.avst_metrics.overlap import Box
from r_avst.metrics.avst_metrics.overlap import box_iou
from r_avst.metrics.avst_metrics.overlap import frame_iou
from r_avst.metrics.avst_metrics.overlap import interval_iou
from r_avst.metrics.avst_metrics.overlap import match_times
from r_avst.metrics.avst_metrics.overlap import pooled
from r_avst.metrics.avst_metrics.overlap import visible_frames

corners, sides = st.integers(0, 8), st.integers(1, 6)
grid_boxes = st.tuples(corners, corners, sides, sides).map(lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3]))
spans = st.tuples(st.integers(-20, 20), st.integers(1, 20)).map(lambda span: (span[0], span[0] + span[1]))


def cells_of(box: Box) -> set[tuple[int, int]]:
    return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}


@given(grid_boxes, grid_boxes)
def test_box_iou_counts_cells(first: Box, second: Box) -> None:
    common, together = cells_of(first) & cells_of(second), cells_of(first) | cells_of(second)
    assert box_iou(first, second) == pytest.approx(len(common) / len(together), abs=1e-12)
    assert box_iou(second, first) == box_iou(first, second)


@given(spans, spans)
def test_interval_iou_counts_seconds(first: tuple[int, int], second: tuple[int, int]) -> None:
    a, b = set(range(*first)), set(range(*second))
    assert interval_iou(first, second) == pytest.approx(len(a & b) / len(a | b), abs=1e-12)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (None, (0, 1)),
        ((0, 1), None),
        ((1, 0), (0, 1)),
        ((0, 1), (1, 0)),
        ((0, 0), (0, 1)),
        ((0, float("inf")), (0, float("inf"))),
        ((0, 1), (1, 2)),
        ((0, 1e308), (-1e308, 1)),
    ],
)
def test_spans_that_are_none_or_apart_or_endless_overlap_nothing(first, second) -> None:
    assert interval_iou(first, second) == pytest.approx(0.0, abs=1e-300)


def test_box_iou_broadcasts() -> None:
    boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 6, 6]], dtype=float)
    assert box_iou(boxes[:, None], boxes[None]).shape == (3, 3)
    np.testing.assert_allclose(box_iou(boxes[:, None], boxes[None])[0], [1, 1 / 7, 0])
    np.testing.assert_allclose(box_iou(boxes, boxes[::-1]), [0, 1, 0])


def test_box_iou_names_the_shapes_it_cannot_take() -> None:
    with pytest.raises(ValueError, match=r"\(3,\) and \(4,\)"):
        box_iou([0, 0, 1], [0, 0, 1, 1])


@pytest.mark.parametrize(
    "bad",
    [
        [0, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 0, np.nan, 1],
        [0, 0, np.inf, 1],
        [-1e308, -1e308, 1e308, 1e308],
        [0, 0, 1e-200, 1e-200],
    ],
)
def test_boxes_without_a_finite_positive_area_overlap_nothing(bad: list[float]) -> None:
    assert box_iou(bad, [0, 0, 1, 1]) == 0
    assert box_iou(bad, bad) == 0


@given(st.lists(grid_boxes, max_size=4), st.lists(grid_boxes, max_size=4))
def test_frame_iou_is_the_best_of_all_assignments(predicted: list[Box], true: list[Box]) -> None:
    few, many = sorted((predicted, true), key=len)
    totals = [sum(float(box_iou(a, b)) for a, b in zip(few, order, strict=False)) for order in permutations(many)]
    expected = max(totals) / len(many) if few else 0.0
    assert frame_iou(predicted, true) == pytest.approx(expected, abs=1e-12)


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("predicted", "visible", "hidden", "matches", "extra"),
    [
        ([0, 1], [0, 1], [], {0: 0, 1: 1}, 0),
        ([0.5], [0, 1], [], {0: 0.5}, 0),  # as near to both: the earlier
        ([0.4, 0.6], [0, 1], [], {0: 0.4, 1: 0.6}, 0),
        ([0.4, 0.5], [0, 1], [], {0: 0.4, 1: 0.5}, 0),  # the nearer one takes 0, the other is left 1
        ([0.0, 0.3], [0], [], {0: 0.0}, 1),  # equal times first
        ([0.3, -0.3], [0], [], {0: -0.3}, 1),  # as far: the earlier predicted time
        ([0.500001], [0], [], {0: 0.500001}, 0),
        ([0.500002], [0], [], {}, 1),
        ([0.4], [0.9], [], {0.9: 0.4}, 0),
        ([1], [0, 2], [1], {}, 0),  # the nearest true time is hidden: ignored
        ([0.6], [0], [1], {}, 0),
        ([9], [0], [1], {}, 0),  # so far behind that the hidden time is the nearest
        ([9], [0, 1], [], {}, 1),
        ([-3], [0, 1], [], {}, 1),
        ([5], [0, 1, 11], [], {}, 0),  # in a gap
        ([1.5, 1.6], [0, 1, 11], [], {1: 1.5}, 0),  # 1.6 lies in the gap already
        ([], [0], [], {}, 0),
        ([1e308, -1e308], [0, 1], [], {}, 2),
    ],
)  # fmt: skip
def test_times_match_by_the_rules(predicted, visible, hidden, matches, extra) -> None:
    frames = dict.fromkeys(visible, ())
    assert match_times(predicted, frames, {*visible, *hidden}) == (matches, extra)


def test_visible_frames_drop_zeros_and_exact_duplicates() -> None:
    rows = [(0.0, 1.0, 1.0, 2.0, 2.0), (0.0, 1.0, 1.0, 2.0, 2.0), (0.0, 3.0, 3.0, 4.0, 4.0), (1.0, 0.0, 0.0, 0.0, 0.0)]
    assert visible_frames(rows) == {0.0: [(1.0, 1.0, 2.0, 2.0), (3.0, 3.0, 4.0, 4.0)]}


def test_pooling_keeps_one_box_under_two_names_as_two() -> None:
    box = (1.0, 1.0, 2.0, 2.0)
    assert pooled([{0.0: [box]}, {0.0: [box], 1.0: [box]}]) == {0.0: [box, box], 1.0: [box]}
