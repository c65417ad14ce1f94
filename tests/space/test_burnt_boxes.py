"""Which boxes are drawn at which time, where, in which lines, and what becomes of hostile names."""

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.overlap import Box
from r_avst.space.burnt_boxes import MODEL_STYLES
from r_avst.space.burnt_boxes import MOST_LETTERS
from r_avst.space.burnt_boxes import TRUE_STYLE
from r_avst.space.burnt_boxes import BurntBox
from r_avst.space.burnt_boxes import Colour
from r_avst.space.burnt_boxes import boxes_at
from r_avst.space.burnt_boxes import draw_boxes
from r_avst.space.burnt_boxes import drawable
from r_avst.space.scenes import Layer
from r_avst.space.scenes import Scene
from r_avst.space.scenes import ShownObject
from r_avst.space.scenes import ShownTrack

SIZE = (320, 180)
BOX = (100.0, 60.0, 220.0, 120.0)
OTHER = (10.0, 10.0, 50.0, 50.0)
HOSTILE = (
    "",
    " ",
    "\0\n\t\x1b[31m",
    "x" * 100_000,
    "<b>dog</b>",
    "${1}",
    "كلب",
    "犬" * 50,
    "\ud800",
    "\u202edog",
    "e\u0301" * 90,
)


def track(place: int, *frames: tuple[float, tuple[Box, ...]]) -> ShownTrack:
    return ShownTrack(place, f"thing {place}", frames)


def layer(name: str, *tracks: ShownTrack) -> Layer:
    return Layer(name, name == "truth", None, tracks, (), {}, "", ())


def scene(*layers: Layer, frame: Size | None = SIZE) -> Scene:
    objects = (ShownObject("dog", True), ShownObject("cat", None))
    return Scene("q", "v", "spatial", "", (), "where?", 10.0, frame, None, 0.0, objects, layers)


def drawn(own: Scene, time: float, picture: Size = SIZE) -> list[tuple[Box, bool]]:
    names = [layer.name for layer in own.layers]
    return [(one.box, one.held) for one in boxes_at(own, names, (0, 1), time, picture)]


# --- which boxes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (0.9, []),
        (0.9995, [(BOX, False)]),  # a frame's time may lie a rounding error before the annotated one
        (1.0, [(BOX, False)]),
        (1.04, [(BOX, False)]),
        (1.5, [(BOX, True)]),
        (1.99, [(BOX, True)]),
        (2.0, [(OTHER, False)]),
        (2.4, [(OTHER, True)]),
        (2.5, []),  # out of sight
        (4.0, [(BOX, False)]),
        (5.0, [(BOX, True)]),
        (5.01, []),
    ],
)
def test_boxes_are_held_for_a_second_unless_others_or_none_come(time: float, expected: list[tuple[Box, bool]]) -> None:
    frames = ((1.0, (BOX,)), (2.0, (OTHER,)), (2.5, ()), (4.0, (BOX,)))
    assert drawn(scene(layer("truth", track(0, *frames))), time) == expected


def test_only_what_is_shown_is_drawn_and_models_keep_their_colours() -> None:
    own = scene(*(layer(name, track(0, (0.0, (BOX,))), track(1, (0.0, (OTHER,)))) for name in ("truth", "a", "b")))
    found = list(boxes_at(own, {"truth", "b"}, {1}, 0.0, SIZE))
    assert [one.label for one in found] == ["2: thing 1 (truth)", "2: thing 1 (b)"]
    assert [one.style for one in found] == [TRUE_STYLE, MODEL_STYLES[1]]
    assert [one.truth for one in found] == [True, False]


def test_many_models_have_styles_and_the_colours_differ() -> None:
    own = scene(*(layer(f"{number}", track(0, (0.0, (BOX,)))) for number in range(9)))
    assert len(list(boxes_at(own, [f"{number}" for number in range(9)], [0], 0.0, SIZE))) == 9
    assert len({style.colour for style in (TRUE_STYLE, *MODEL_STYLES)}) == 7
    assert len({style.dashes for style in MODEL_STYLES}) == 6


@pytest.mark.parametrize(
    ("frame", "picture", "expected"),
    [
        (SIZE, (640, 360), (200.0, 120.0, 440.0, 240.0)),
        (SIZE, (320, 360), (100.0, 120.0, 220.0, 240.0)),
        (None, (640, 360), BOX),
    ],
)
def test_boxes_are_scaled_to_the_picture(frame: Size | None, picture: Size, expected: Box) -> None:
    own = scene(layer("truth", track(0, (0.0, (BOX,)))), frame=frame)
    assert drawn(own, 0.0, picture) == [(expected, False)]


# --- where and how ----------------------------------------------------------------------------------------------------


def picture_of(boxes: Iterable[BurntBox], size: Size = SIZE) -> NDArray[np.uint8]:
    return draw_boxes(np.full((size[1], size[0], 3), 90, np.uint8), boxes)


def box(own: Box = BOX, truth: bool = True, held: bool = False, label: str = "1") -> BurntBox:
    return BurntBox(own, label, TRUE_STYLE if truth else MODEL_STYLES[0], truth, held)


def runs(line: NDArray[np.uint8], colour: Colour) -> list[tuple[int, int]]:
    """The stretches of a line of pixels that are of a colour."""
    same = np.abs(line.astype(int) - colour).max(axis=1) < 30
    edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])))).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


@pytest.mark.parametrize("size", [(320, 180), (1920, 1080)])
def test_lines_lie_on_the_edges(size: Size) -> None:
    scale = size[0] // 320
    own = tuple(edge * scale for edge in BOX)
    x1, y1, x2, y2 = (int(edge) for edge in own)
    picture = picture_of([box((x1, y1, x2, y2))], size)
    across = runs(picture[(y1 + y2) // 2], TRUE_STYLE.colour)
    down = runs(picture[:, x2 - 10 * scale], TRUE_STYLE.colour)
    for found, edges in ((across, (x1, x2)), (down, (y1, y2))):
        assert [sum(run) / 2 for run in found] == pytest.approx(edges, abs=1)
        assert {run[1] - run[0] for run in found} == {max(2, round(size[1] / 240))}


def test_the_truth_is_fainter_where_held_and_a_model_is_dashed() -> None:
    top, middle = int(BOX[1]), 90
    assert len(runs(picture_of([box()])[top], TRUE_STYLE.colour)) == 1
    faint = picture_of([box(held=True)])
    assert runs(faint[middle], TRUE_STYLE.colour) == []
    assert faint[middle, 100].astype(int).sum() < sum(TRUE_STYLE.colour)
    colour = MODEL_STYLES[0].colour
    assert len(runs(picture_of([box(truth=False)])[top], colour)) == 1
    assert len(runs(picture_of([box(truth=False, held=True)])[top], colour)) == pytest.approx(120 / 15, abs=1)


def test_lines_have_a_dark_halo_on_a_bright_picture() -> None:
    picture = draw_boxes(np.full((180, 320, 3), 255, np.uint8), [box()])
    (start, end), _ = runs(picture[90], TRUE_STYLE.colour)
    assert picture[90, start - 1].max() < 100
    assert picture[90, end].max() < 100


def labels(picture: NDArray[np.uint8], colour: Colour) -> NDArray[np.bool_]:
    return np.abs(picture.astype(int) - colour).max(axis=2) < 30


def test_a_true_label_stands_above_its_box_and_a_models_below() -> None:
    above = labels(picture_of([box()]), TRUE_STYLE.colour)
    assert above[45:57, 100:110].mean() > 0.5
    assert not above[124:].any()
    below = labels(picture_of([box(truth=False)]), MODEL_STYLES[0].colour)
    assert below[124:136, 100:110].mean() > 0.5
    assert not below[:57].any()


def test_labels_do_not_lie_over_each_other() -> None:
    styles = MODEL_STYLES[:4]
    boxes = [BurntBox(BOX, f"{index}: dog", style, False, False) for index, style in enumerate(styles)]
    picture = picture_of(boxes, (320, 400))
    shares = [labels(picture, style.colour)[122:].sum() for style in styles]
    assert min(shares) > 0.6 * max(shares)


@pytest.mark.parametrize(
    "own", [(-50.0, -50.0, 30.0, 30.0), (300.0, 160.0, 900.0, 900.0), (-1e6, -1e6, 1e6, 1e6), (400.0, 400.0, 500.0, 500.0)]
)
def test_boxes_beyond_the_picture_are_cut_off(own: Box) -> None:
    for truth in (True, False):
        picture = picture_of([box(own, truth, held=not truth)])
        assert picture.shape == (180, 320, 3)
        assert (picture != 90).any()  # the label, at least, is inside


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_drawn(name: str) -> None:
    assert len(drawable(name)) <= MOST_LETTERS
    assert (picture_of([box(label=name)]) != 90).any()


def test_letters_that_the_font_lacks_are_replaced() -> None:
    assert drawable("2: Café, groß 犬\n🐶") == "2: Cafe, gro? ? ?"


def test_the_picture_given_is_not_changed() -> None:
    before = np.full((180, 320, 3), 90, np.uint8)
    draw_boxes(before, [box()])
    assert (before == 90).all()


def test_a_thousand_boxes_take_no_time() -> None:
    picture = picture_of([box(truth=False, held=True)] * 20_000)
    assert picture.shape == (180, 320, 3)
