"""Every space to source pixels and back, what is refused, and the warning about boxes that do not fit their space."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Row
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.coordinates import SPACES
from r_avst.metrics.avst_metrics.coordinates import SPACES_HELP
from r_avst.metrics.avst_metrics.coordinates import checked_size
from r_avst.metrics.avst_metrics.coordinates import scales_to_source
from r_avst.metrics.avst_metrics.coordinates import space_warning
from r_avst.metrics.avst_metrics.coordinates import to_source

Box = tuple[float, float, float, float]
ZERO: Box = (0.0, 0.0, 0.0, 0.0)
FRAME = (640, 360)


def answer_of(*boxes: Box) -> Answer:
    """One object, a box a second, and a span."""
    return Answer((Track("dog", tuple((float(time), *box) for time, box in enumerate(boxes))),), (0.0, 9.5))


def boxes_of(answer: Answer) -> list[Box]:
    return [row[1:] for track in answer.tracks for row in track.rows]


# --- forward ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "frame_size", "processed_size", "written", "expected"),
    [
        ("source", None, None, (10, 20, 50, 80), (10, 20, 50, 80)),
        ("source", FRAME, None, (10, 20, 50, 80), (10, 20, 50, 80)),
        ("model", FRAME, (320, 720), (10, 20, 50, 80), (20, 10, 100, 40)),
        ("model", FRAME, FRAME, (10.25, 20, 50, 80), (10.25, 20, 50, 80)),
        ("model", [640, 360], [1280, 90], (10, 20, 50, 80), (5, 80, 25, 320)),
        ("norm1000", FRAME, None, (100, 500, 200, 1000), (64, 180, 128, 360)),
        ("norm1000", (1000, 1000), None, (1, 2, 3, 4), (1, 2, 3, 4)),
        ("unit", FRAME, None, (0.25, 0.5, 0.75, 1), (160, 180, 480, 360)),
        ("unit", (1, 1), None, (0.25, 0.5, 0.75, 1), (0.25, 0.5, 0.75, 1)),
    ],
)
def test_each_space_becomes_source_pixels(
    space: str, frame_size: Sequence[int] | None, processed_size: Sequence[int] | None, written: Box, expected: Box
) -> None:
    assert boxes_of(to_source(answer_of(written), space, frame_size, processed_size)) == [expected]


def test_boxes_beyond_the_frame_are_neither_clipped_nor_rounded() -> None:
    assert boxes_of(to_source(answer_of((-100, -3, 1500, 1001)), "norm1000", (333, 777))) == [
        pytest.approx((-33.3, -2.331, 499.5, 777.777), rel=1e-12)
    ]


def test_names_times_and_span_stay_as_they_are() -> None:
    written = Answer((Track("dog", ((1.4, 1, 2, 3, 4),)), Track("a cat")), (1.4, 6.0))
    converted = to_source(written, "norm1000", FRAME)
    assert (converted.span, [track.name for track in converted.tracks]) == ((1.4, 6.0), ["dog", "a cat"])
    assert [[row[0] for row in track.rows] for track in converted.tracks] == [[1.4], []]


@pytest.mark.parametrize("space", ["norm1000", "unit", "model"])
def test_a_zero_box_stays_zero(space: str) -> None:
    processed_size = (100, 50) if space == "model" else None
    assert boxes_of(to_source(answer_of(ZERO, (1, 1, 2, 2)), space, FRAME, processed_size))[0] == ZERO


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [None, "", "pixels", "Source", "norm"])
def test_an_unknown_space_is_refused_with_the_list_of_spaces(space: str | None) -> None:
    with pytest.raises(ValueError, match="coordinate_space is ") as caught:
        to_source(answer_of((1, 2, 3, 4)), space, FRAME)
    assert repr(space) in str(caught.value)
    assert SPACES_HELP in str(caught.value)
    assert all(repr(name) in SPACES_HELP for name in SPACES)


@pytest.mark.parametrize(
    ("space", "frame_size", "processed_size", "missing"),
    [
        ("norm1000", None, None, "frame_size"),
        ("unit", None, None, "frame_size"),
        ("model", None, (10, 10), "frame_size"),
        ("model", FRAME, None, "processed_size"),
    ],
)
def test_a_missing_size_is_named_with_its_space(
    space: str, frame_size: Sequence[int] | None, processed_size: Sequence[int] | None, missing: str
) -> None:
    with pytest.raises(ValueError, match=f"the space '{space}' needs {missing}"):
        to_source(answer_of((1, 2, 3, 4)), space, frame_size, processed_size)


BAD_SIZES = [(0, 360), (-1, 360), (640,), (640, 360, 3), (640.0, 360), ("640", 360), (True, 360), 640, "640x360", {}, ()]


@pytest.mark.parametrize("size", BAD_SIZES)
def test_a_bad_frame_size_is_named_and_shown(size: Any) -> None:
    with pytest.raises(ValueError, match=r"frame_size is .*two whole numbers above 0: width, height") as caught:
        to_source(answer_of((1, 2, 3, 4)), "unit", size)
    assert repr(size) in str(caught.value)


@pytest.mark.parametrize("size", BAD_SIZES)
def test_a_bad_processed_size_is_named_and_shown(size: Any) -> None:
    with pytest.raises(ValueError, match=r"processed_size is .*two whole numbers above 0: width, height"):
        to_source(answer_of((1, 2, 3, 4)), "model", FRAME, size)


@pytest.mark.parametrize("space", [name for name in SPACES if name != "model"])
def test_a_processed_size_outside_the_space_model_is_refused(space: str) -> None:
    with pytest.raises(ValueError, match=f"processed_size .* in the space 'model' only, not in '{space}'"):
        to_source(answer_of((1, 2, 3, 4)), space, FRAME, (320, 180))


def test_a_size_comes_back_as_a_pair_of_numbers() -> None:
    assert checked_size([640, 360], "frame_size") == (640, 360)


# --- there and back ---------------------------------------------------------------------------------------------------

_START = st.floats(0, 4000, allow_subnormal=False)
_SIDE = st.floats(0.001, 4000)
_BOX = st.one_of(
    st.just(ZERO), st.tuples(_START, _START, _SIDE, _SIDE).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
)
_ROW: st.SearchStrategy[Row] = st.tuples(st.floats(-1, 600), _BOX).map(lambda row: (row[0], *row[1]))
_TRACKS = st.lists(st.builds(Track, st.text(max_size=8), st.lists(_ROW, max_size=6).map(tuple)), max_size=3).map(tuple)
_ANSWER = st.builds(Answer, _TRACKS, st.none() | st.just((0.0, 4.5)))
_SIZE = st.tuples(st.integers(1, 8192), st.integers(1, 8192))


def written_in(space: str, answer: Answer, frame: Sequence[int], processed: Sequence[int]) -> Answer:
    """What a model that answers in ``space`` would have written for an answer in source pixels."""
    full = {"source": frame, "model": processed, "norm1000": (1000, 1000), "unit": (1, 1)}[space]
    x, y = full[0] / frame[0], full[1] / frame[1]
    tracks = (
        replace(track, rows=tuple((time, x1 * x, y1 * y, x2 * x, y2 * y) for time, x1, y1, x2, y2 in track.rows))
        for track in answer.tracks
    )
    return replace(answer, tracks=tuple(tracks))


@given(_ANSWER, st.sampled_from(SPACES), _SIZE, _SIZE)
def test_from_source_into_a_space_and_back_gives_the_same_numbers(
    answer: Answer, space: str, frame: tuple[int, int], processed: tuple[int, int]
) -> None:
    written = written_in(space, answer, frame, processed)
    back = to_source(written, space, frame, processed if space == "model" else None)
    assert back.span == answer.span
    assert [track.name for track in back.tracks] == [track.name for track in answer.tracks]
    for found, expected in zip(back.tracks, answer.tracks, strict=True):
        assert [row[0] for row in found.rows] == [row[0] for row in expected.rows]
        assert [row[1:] == ZERO for row in found.rows] == [row[1:] == ZERO for row in expected.rows]
        for found_row, expected_row in zip(found.rows, expected.rows, strict=True):
            assert found_row == pytest.approx(expected_row, rel=1e-9, abs=0)


@given(st.sampled_from(SPACES), _SIZE, _SIZE)
def test_the_corner_of_a_space_is_the_corner_of_the_frame(
    space: str, frame: tuple[int, int], processed: tuple[int, int]
) -> None:
    corner = {"source": frame, "model": processed, "norm1000": (1000, 1000), "unit": (1, 1)}[space]
    x_scale, y_scale = scales_to_source(space, frame, processed if space == "model" else None)
    assert (corner[0] * x_scale, corner[1] * y_scale) == pytest.approx(frame, rel=1e-12)


# --- the warning ------------------------------------------------------------------------------------------------------

UNIT = (0.1, 0.2, 0.5, 1.0)
UNIT_BESIDE_THE_FRAME = (0.9, 0.9, 1.4, 1.5)
PIXELS = (900.0, 500.0, 1800.0, 1000.0)
SMALL_PIXELS = (10.0, 20.0, 50.0, 80.0)
THOUSANDTHS = (100.0, 200.0, 1000.0, 900.0)


@pytest.mark.parametrize(
    ("space", "boxes", "misfits"),
    [
        ("source", [UNIT], 1),
        ("model", [UNIT], 1),
        ("source", [UNIT_BESIDE_THE_FRAME], 1),
        ("unit", [PIXELS], 1),
        ("unit", [SMALL_PIXELS], 1),
        ("unit", [THOUSANDTHS], 1),
        ("norm1000", [PIXELS], 1),
        ("unit", [(-40.0, 0.1, 0.5, 0.9)], 1),
        ("source", [UNIT, UNIT, PIXELS], 2),
        ("norm1000", [PIXELS, PIXELS, THOUSANDTHS], 2),
        ("source", [UNIT, ZERO, ZERO, ZERO], 1),
    ],
)
def test_boxes_that_do_not_fit_their_space_are_pointed_out(space: str, boxes: list[Box], misfits: int) -> None:
    visible = sum(box != ZERO for box in boxes)
    warning = space_warning([answer_of(*boxes)], space)
    assert warning is not None
    assert warning.startswith(f"{misfits} of {visible} predicted boxes")
    assert f"is coordinate_space {space!r} right?" in warning
    assert SPACES_HELP in warning


@pytest.mark.parametrize(
    ("space", "boxes"),
    [
        ("source", [PIXELS, SMALL_PIXELS]),
        ("model", [PIXELS]),
        ("norm1000", [THOUSANDTHS, SMALL_PIXELS, UNIT]),
        ("unit", [UNIT, UNIT_BESIDE_THE_FRAME]),
        ("source", [UNIT, PIXELS]),
        ("unit", [UNIT, PIXELS]),
        *((space, [ZERO, ZERO]) for space in SPACES),
        *((space, []) for space in SPACES),
    ],
)
def test_boxes_that_fit_and_ties_and_no_boxes_are_passed_over_in_silence(space: str, boxes: list[Box]) -> None:
    assert space_warning([answer_of(*boxes)], space) is None


def test_the_boxes_of_all_answers_count_together() -> None:
    answers = [answer_of(UNIT), answer_of(PIXELS), answer_of(UNIT, UNIT)]
    warning = space_warning(answers, "source")
    assert warning is not None
    assert warning.startswith("3 of 4 ")
    assert space_warning([], "source") is None
