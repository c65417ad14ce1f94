"""Boxes drawn into the pictures of a video, by the rule by which the page draws them over it.

The truth's lines are solid, and fainter where they are held from one annotated second to the next; a model's are dashed
there.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle
from itertools import islice
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont
from PIL.ImageDraw import ImageDraw as Pen

from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.overlap import Box

from .scenes import Layer
from .scenes import Scene
from .scenes import ShownTrack

Colour = tuple[int, int, int]
Place = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels of the picture

HOLD: Final = 1.0  # seconds; boxes stand on a grid of one second
EXACT: Final = 0.05  # seconds; about one frame
ROUNDING: Final = 1e-3  # seconds
FAINT: Final = 150  # of 255
BLACK: Final[Colour] = (0, 0, 0)
WHITE: Final[Colour] = (255, 255, 255)
HALO: Final = 190  # of 255
MOST_BOXES: Final = 200  # of a picture; a broken model may write thousands for one second
MOST_LETTERS: Final = 40  # of a label
LABELS: Final = 8  # that are put one behind another where they would lie over each other


@dataclass(frozen=True, slots=True)
class Style:
    """How a layer's boxes look: ``dashes`` and gaps between them, of a held line 2.5 pixels wide; none for the truth's."""

    colour: Colour
    dashes: tuple[float, ...]
    halo: Colour = BLACK
    ink: Colour = BLACK


# Okabe and Ito's colours, some brighter for dark pictures, which the colour-blind tell apart; the page has the same.
TRUE_STYLE: Final = Style((31, 214, 163), ())
MODEL_STYLES: Final = (
    Style((255, 179, 26), (9, 6)),
    Style((86, 180, 233), (4, 4)),
    Style((229, 143, 192), (12, 4, 3, 4)),
    Style((240, 228, 66), (2, 4)),
    Style((255, 122, 26), (16, 5)),
    Style((0, 114, 178), (6, 3, 2, 3), WHITE, WHITE),
)


@dataclass(frozen=True, slots=True)
class BurntBox:
    """A box as it is drawn at one moment; ``box`` in pixels of the picture, ``held`` from an earlier second."""

    box: Box
    label: str
    style: Style
    truth: bool
    held: bool


def boxes_at(
    scene: Scene, layers: Collection[str], objects: Collection[int], time: float, picture: Size
) -> Iterator[BurntBox]:
    """What is drawn into a picture.

    Args:
        scene: the question.
        layers: names of those that are shown.
        objects: places, among the scene's, of those that are shown.
        time: seconds from the moment the first frame comes on screen.
        picture: its width and height.
    """
    width, height = scene.frame or picture
    across, down = picture[0] / width, picture[1] / height
    for layer, style in _styled(scene.layers):
        if layer.name not in layers:
            continue
        for track in layer.tracks:
            age, held = _held(track, time) if track.object in objects else (0.0, ())
            for x1, y1, x2, y2 in held:
                box = (x1 * across, y1 * down, x2 * across, y2 * down)
                label = f"{track.object + 1}: {track.name} ({layer.name})"
                yield BurntBox(box, label, style, layer.truth, age > EXACT)


def _styled(layers: Iterable[Layer]) -> Iterator[tuple[Layer, Style]]:
    models = cycle(MODEL_STYLES)
    for layer in layers:
        yield layer, TRUE_STYLE if layer.truth else next(models)


def _held(track: ShownTrack, time: float) -> tuple[float, tuple[Box, ...]]:
    """The latest boxes and their age in seconds; none where they are older than the grid's step."""
    place = bisect_right(track.frames, time + ROUNDING, key=itemgetter(0)) - 1
    if place < 0 or time - track.frames[place][0] > HOLD + ROUNDING:
        return 0.0, ()
    shown_at, boxes = track.frames[place]
    return time - shown_at, boxes


# --- drawing ----------------------------------------------------------------------------------------------------------


def draw_boxes(picture: NDArray[np.uint8], boxes: Iterable[BurntBox]) -> NDArray[np.uint8]:
    """A copy of a picture (height, width, 3) RGB with boxes: the lines first, so that no line crosses a label."""
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image, "RGBA")
    shown = tuple(islice(boxes, MOST_BOXES))
    for own in shown:
        _draw_lines(pen, own, image.size)
    taken: list[Place] = []
    for own in shown:
        taken.append(_draw_label(pen, own, image.size, taken))
    return np.asarray(image)


def _draw_lines(pen: Pen, own: BurntBox, picture: Size) -> None:
    half = max(2, round(min(picture) / 240)) / 2
    dashes = tuple(dash * max(1.0, half / 1.25) for dash in own.style.dashes) if own.held else ()
    opacity = FAINT if own.held and own.truth else 255
    strokes = list(_strokes(own.box, picture, dashes))
    for x1, y1, x2, y2 in strokes:
        pen.rectangle((x1 - half - 1, y1 - half - 1, x2 + half, y2 + half), (*own.style.halo, HALO))
    for x1, y1, x2, y2 in strokes:
        pen.rectangle((x1 - half, y1 - half, x2 + half - 1, y2 + half - 1), (*own.style.colour, opacity))


def _strokes(box: Box, picture: Size, dashes: Sequence[float]) -> Iterator[Place]:
    """The lines of a box, whole or in dashes; what is outside the picture is cut off, however far the box goes."""
    margin = min(picture)
    x1, x2 = (min(max(edge, -margin), picture[0] + margin) for edge in (box[0], box[2]))
    y1, y2 = (min(max(edge, -margin), picture[1] + margin) for edge in (box[1], box[3]))
    for start, end in _parts(x1, x2, dashes):
        yield from ((start, y, end, y) for y in (y1, y2))
    for start, end in _parts(y1, y2, dashes):
        yield from ((x, start, x, end) for x in (x1, x2))


def _parts(start: float, end: float, dashes: Sequence[float]) -> Iterator[tuple[float, float]]:
    """A line whole, or its dashes; every second length of ``dashes`` is that of a gap."""
    if not dashes:
        yield start, end
    for place, length in enumerate(cycle(dashes)):
        if start > end:
            return
        if place % 2 == 0:
            yield start, min(start + length, end)
        start += length


def _draw_label(pen: Pen, own: BurntBox, picture: Size, taken: Sequence[Place]) -> Place:
    """The truth's above its box, a model's below; farther off where another one is, and inside the picture."""
    font = _font(max(11, round(min(picture) / 36)))
    text = drawable(own.label)
    width, height = font.getlength(text) + 6, sum(font.getmetrics()) + 2.0
    x = max(0.0, min(own.box[0], picture[0] - width))
    step = -height if own.truth else height
    wanted = own.box[1] - height - 2 if own.truth else own.box[3] + 2
    first = max(0.0, min(wanted, picture[1] - height))
    tops = [first + sign * step * count for sign in (1, -1) for count in range(LABELS)]
    places = [(x, top, x + width, top + height) for top in tops if 0 <= top <= picture[1] - height]
    place = next(
        (one for one in places if not any(_meet(one, other) for other in taken)), (x, first, x + width, first + height)
    )
    pen.rectangle(place, (*own.style.colour, 255))
    pen.text((x + 3, place[1] + 1), text, own.style.ink, font)
    return place


def _meet(one: Place, other: Place) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def drawable(text: str) -> str:
    """A text in letters that the font has, short enough for a label: accents are dropped, other letters become ``?``.

    >>> drawable("1 café, 犬")
    '1 cafe, ?'
    """
    letters = unicodedata.normalize("NFKD", " ".join(text[: 10 * MOST_LETTERS].split()))
    known = "".join(one if _has_glyph(one) else "?" for one in letters if not unicodedata.combining(one))
    return known if len(known) <= MOST_LETTERS else f"{known[: MOST_LETTERS - 1]}…"


@lru_cache(maxsize=4096)
def _has_glyph(letter: str) -> bool:
    """Whether the font has a letter: it draws one and the same sign for all that it lacks."""
    font = _font(20)
    return letter == " " or bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, the same on every machine."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow gives its old font only where no size is asked for
    return font
