"""Pictures of answers, pixel by pixel: what is drawn where, in which colour, and that no answer can break them."""

import math
from typing import Any

import numpy as np
import pytest
from hostile_texts import HOSTILE
from hostile_texts import hostile
from numpy.typing import NDArray
from PIL import Image

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.training.answer_pictures import MARGIN
from r_avst.training.answer_pictures import NAME_WIDTH
from r_avst.training.answer_pictures import PREDICTED_COLOUR
from r_avst.training.answer_pictures import ROW_HEIGHT
from r_avst.training.answer_pictures import TRUE_COLOUR
from r_avst.training.answer_pictures import FrameSizeError
from r_avst.training.answer_pictures import ShownBox
from r_avst.training.answer_pictures import boxes_at
from r_avst.training.answer_pictures import draw_answer
from r_avst.training.answer_pictures import held_boxes_at
from r_avst.training.answer_pictures import plain
from r_avst.training.answer_pictures import time_to_show

WIDTH, HEIGHT = 640, 360
TOP = MARGIN + 2 * ROW_HEIGHT  # of the frame in the picture
GREY = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
TRUE_BOX = (100.0, 80.0, 300.0, 240.0)
PREDICTED_BOX = (350.0, 120.0, 500.0, 300.0)


def answer(*rows: tuple[float, ...], name: str = "dog", span: tuple[float, float] | None = None) -> Answer:
    return Answer((Track(name, rows),) if rows else (), span)  # type: ignore[arg-type]


NOTHING = Answer()
TRUTH = answer((3.0, *TRUE_BOX), span=(2.0, 5.0))


def drawn(predicted: Answer = NOTHING, truth: Answer = NOTHING, **changes: Any) -> NDArray[np.uint8]:
    known = {"frame": GREY, "time": 3.0, "source_size": (WIDTH, HEIGHT), "duration": 10.0, "caption": "q"} | changes
    return np.asarray(draw_answer(predicted=predicted, truth=truth, **known))


def frame_of(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The part of the picture that is the frame; 640 x 360 is drawn at its own size."""
    return picture[TOP : TOP + HEIGHT, MARGIN : MARGIN + WIDTH]


def strip_of(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The time line under it, from second 0 to the end."""
    return picture[TOP + HEIGHT + MARGIN :, MARGIN + NAME_WIDTH : -MARGIN + 1]


def is_coloured(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray((picture == np.array(colour, np.uint8)).all(axis=2))


# --- boxes ------------------------------------------------------------------------------------------------------------


def test_a_true_box_is_solid_green_in_its_place() -> None:
    frame = frame_of(drawn(truth=TRUTH))
    green = is_coloured(frame, TRUE_COLOUR)
    assert green[80, 100:300].all()
    assert green[239, 100:300].all()
    assert green[80:240, 100].all()
    assert green[80:240, 299].all()
    assert not green[84:236, 104:296].any()
    assert not is_coloured(frame, PREDICTED_COLOUR).any()
    rows, columns = np.nonzero(green)
    assert rows.max() == 239  # its name is above
    assert 60 < rows.min() < 80
    assert (columns.min(), columns.max()) == (100, 299)


def test_a_predicted_box_is_solid_orange_and_its_name_below() -> None:
    orange = is_coloured(frame_of(drawn(predicted=answer((3.4, *PREDICTED_BOX)))), PREDICTED_COLOUR)
    assert orange[120, 350:500].all()
    assert orange[120:300, 499].all()
    rows, _ = np.nonzero(orange)
    assert rows.min() == 120
    assert 300 < rows.max() < 320


def test_a_held_box_is_dashed_and_says_from_when() -> None:
    now = is_coloured(frame_of(drawn(predicted=answer((3.0, *PREDICTED_BOX)))), PREDICTED_COLOUR)
    held = is_coloured(frame_of(drawn(predicted=answer((1.0, *PREDICTED_BOX)))), PREDICTED_COLOUR)
    edge = held[120, 350:500]
    assert 0.4 < edge.mean() < 0.65
    assert np.abs(np.diff(edge.astype(int))).sum() > 15
    assert held[301:320].sum() > now[301:320].sum() * 1.5  # "dog (from 1.0 s)" is longer than "dog"


def test_the_boxes_lie_where_their_pixels_are_when_the_frame_is_scaled() -> None:
    large = np.full((1080, 1920, 3), 90, np.uint8)
    picture = drawn(truth=answer((3.0, 480.0, 270.0, 960.0, 540.0)), frame=large, source_size=(1920, 1080))
    green = is_coloured(picture[TOP : TOP + 540, MARGIN : MARGIN + 960], TRUE_COLOUR)
    assert green[135, 240:480].all()
    assert green[269, 240:480].all()
    small = np.full((28, 56, 3), 90, np.uint8)
    picture = drawn(truth=answer((3.0, 14.0, 7.0, 28.0, 21.0)), frame=small, source_size=(56, 28))
    green = is_coloured(picture[TOP : TOP + 180, MARGIN : MARGIN + 360], TRUE_COLOUR)
    assert green[45:135, 90].all()  # 360 / 56 pixels each


def test_boxes_of_no_area_in_the_frame_are_counted_and_not_drawn() -> None:
    outside = answer((3.0, 700.0, 10.0, 800.0, 60.0), (3.0, -90.0, 5.0, -10.0, 9.0), (3.0, 1e308, 1.0, 1.5e308, 9.0))
    picture = drawn(predicted=outside)
    assert not is_coloured(frame_of(picture), PREDICTED_COLOUR).any()
    assert (picture[:TOP] != drawn()[:TOP]).any()  # ", 3 boxes not drawn"


def test_a_box_that_reaches_out_is_cut_at_the_edge() -> None:
    orange = is_coloured(frame_of(drawn(predicted=answer((3.0, -500.0, 100.0, 1e9, 200.0)))), PREDICTED_COLOUR)
    assert orange[100, :].all()
    assert orange[100:200, 0].all()
    assert orange[100:200, WIDTH - 1].all()


def test_invisible_rows_are_no_boxes() -> None:
    rows = ((3.0, 0.0, 0.0, 0.0, 0.0), (1.0, *TRUE_BOX))
    assert boxes_at(answer(*rows), 3.0) == []
    assert held_boxes_at(answer(*rows), 3.0) == []  # it says that the thing is not to be seen now: nothing is held


@pytest.mark.parametrize(
    ("time", "true", "predicted"),
    [
        (1.4, [1.0], [(1.0, None)]),
        (1.5, [1.0], [(1.0, None)]),
        (1.6, [], [(1.0, 1.0)]),
        (3.5, [4.0, 4.0], [(4.0, None), (4.0, None)]),
        (9.0, [], [(4.0, 4.0), (4.0, 4.0)]),
        (0.4, [], []),
    ],
)
def test_times_half_a_second_away_count(time: float, true: list[float], predicted: list[tuple[float, float | None]]) -> None:
    own = answer(*((at, at, at, at + 10, at + 10) for at in (1.0, 4.0, 4.0)))
    assert [box.corners[0] for box in boxes_at(own, time)] == true
    assert [(box.corners[0], box.held_from) for box in held_boxes_at(own, time)] == predicted


def test_each_object_is_held_for_itself() -> None:
    both = Answer((Track("a", ((1.0, *TRUE_BOX),)), Track("b", ((3.0, *PREDICTED_BOX),))))
    assert held_boxes_at(both, 3.0) == [ShownBox("a", TRUE_BOX, 1.0), ShownBox("b", PREDICTED_BOX, None)]


# --- time line --------------------------------------------------------------------------------------------------------


def test_the_spans_stand_on_the_time_line() -> None:
    strip = strip_of(drawn(predicted=answer(span=(4.0, 8.0)), truth=answer(span=(2.0, 5.0)), time=9.0))
    length = strip.shape[1] - 1
    true = np.nonzero(is_coloured(strip, TRUE_COLOUR)[ROW_HEIGHT - 4])[0] / length
    predicted = np.nonzero(is_coloured(strip, PREDICTED_COLOUR)[2 * ROW_HEIGHT - 4])[0] / length
    assert (true.min(), true.max()) == pytest.approx((0.2, 0.5), abs=0.004)
    assert (predicted.min(), predicted.max()) == pytest.approx((0.4, 0.8), abs=0.004)
    assert not is_coloured(strip, PREDICTED_COLOUR)[:ROW_HEIGHT].any()


def test_the_names_tell_whose_the_colours_are() -> None:
    names = drawn()[TOP + HEIGHT + MARGIN :, : MARGIN + NAME_WIDTH]
    assert is_coloured(names, TRUE_COLOUR)[:ROW_HEIGHT].sum() > 500
    assert is_coloured(names, PREDICTED_COLOUR)[ROW_HEIGHT : 2 * ROW_HEIGHT].sum() > 500


def test_a_span_beyond_the_video_is_cut_and_an_absent_one_not_drawn() -> None:
    strip = strip_of(drawn(predicted=answer(span=(-5.0, 1e300)), truth=NOTHING))
    assert is_coloured(strip, PREDICTED_COLOUR)[2 * ROW_HEIGHT - 4].mean() > 0.98
    assert not is_coloured(strip, TRUE_COLOUR).any()
    assert not is_coloured(strip_of(drawn(predicted=answer(span=(12.0, 15.0)))), PREDICTED_COLOUR).any()


# --- the time to show -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("truth", "predicted", "time"),
    [
        (answer((1.0, *TRUE_BOX), (2.0, *TRUE_BOX), (2.0, *PREDICTED_BOX), (3.0, *TRUE_BOX)), NOTHING, 2.0),
        (answer((1.0, *TRUE_BOX), (2.0, *TRUE_BOX)), NOTHING, 1.0),
        (answer((1.0, *TRUE_BOX), (2.0, *TRUE_BOX)), answer((2.4, *TRUE_BOX)), 2.0),
        (answer((1.0, *TRUE_BOX), (2.0, *TRUE_BOX)), answer((2.6, *TRUE_BOX)), 1.0),
        (answer((1.0, 0.0, 0.0, 0.0, 0.0), (2.0, *TRUE_BOX)), NOTHING, 2.0),
        (answer((1.0, 0.0, 0.0, 0.0, 0.0), span=(4.0, 7.0)), NOTHING, 5.5),
        (answer(span=(2.0, 5.0)), answer(span=(8.0, 9.0)), 3.5),
        (NOTHING, answer(span=(8.0, 9.0)), 8.5),
        (NOTHING, NOTHING, 0.0),
    ],
)
def test_the_time_shows_most_of_the_truth(truth: Answer, predicted: Answer, time: float) -> None:
    assert time_to_show(truth, predicted) == time


# --- what must not break it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 100_000,
        "\u202eevil\x00\x1b[2J\n\t",
        "鋼琴 🎹 \U0010ffff",
        "\ud800 half a pair",
        "%s {} $x^2$ <b>",
        "\u0301" * 50,
    ],
)
def test_any_name_is_drawn(name: str) -> None:
    picture = drawn(predicted=answer((3.0, *PREDICTED_BOX), name=name), caption=name)
    assert picture.shape == drawn().shape
    assert is_coloured(frame_of(picture), PREDICTED_COLOUR)[120, 350:500].all()


@pytest.mark.parametrize("name", HOSTILE)
def test_any_text_of_a_model_can_be_drawn(name: str) -> None:
    predicted = parse_answer(hostile(name, 50_000)).answer
    assert drawn(predicted=predicted, truth=TRUTH, time=time_to_show(TRUTH, predicted)).shape == drawn().shape


def test_thousands_of_boxes_are_counted_and_not_drawn() -> None:
    many = answer(*((3.0, float(index), 0.0, index + 5.0, 5.0) for index in range(5000)))
    assert drawn(predicted=many).shape == drawn().shape


def test_a_text_is_bounded_and_plain() -> None:
    assert plain("dog", 3) == "dog"
    assert plain("dogs", 3) == "do…"
    assert plain("\ud800\x1b\n", 9) == "?? "


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH - 1, 3), (WIDTH, HEIGHT, 3), (HEIGHT, WIDTH), (HEIGHT, WIDTH, 4)])
def test_a_frame_of_another_size_than_the_boxes_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(FrameSizeError, match=r"boxes in source pixels need \(360, 640, 3\)"):
        drawn(frame=np.zeros(shape, np.uint8))


@pytest.mark.parametrize("duration", [0.0, -1.0, math.inf, math.nan])
def test_a_time_line_needs_a_length(duration: float) -> None:
    with pytest.raises(ValueError, match="a time line needs one above 0"):
        drawn(duration=duration)


def test_the_frame_itself_is_left_as_it_was() -> None:
    frame = GREY.copy()
    picture = draw_answer(frame, 3.0, TRUTH, TRUTH, (WIDTH, HEIGHT), 10.0, "q")
    assert (frame == GREY).all()
    assert isinstance(picture, Image.Image)
    assert picture.mode == "RGB"
