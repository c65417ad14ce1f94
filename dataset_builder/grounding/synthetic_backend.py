"""Finds and follows the things of the synthetic world by their colours. No model, and exact to the pixel or nearly so."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from r_avst.metrics.avst_metrics.names import ARTICLES
from r_avst.metrics.avst_metrics.overlap import Box

from ..sources.synthetic_things import THINGS
from ..sources.synthetic_things import Colour
from .backend import Detection
from .backend import Image
from .tracking import nearest

COLOUR_OF_NAME: dict[str, Colour] = {thing.name: thing.colour for thing in THINGS}
REACH = 50  # a pixel this near to a colour has it: less than half of what parts two colours, or a colour and its background
FEWEST_PIXELS = 64  # what is smaller is left of compression; the world's smallest things have hundreds


@dataclass(frozen=True, slots=True)
class SyntheticBackend:
    """The synthetic world's detector and tracker; safe for threads."""

    def detect(self, image: Image, phrases: Sequence[str]) -> list[list[Detection]]:
        """The things that fit each phrase, from top to bottom; a phrase that names nothing of the world finds nothing."""
        colours = map(colour_of, phrases)
        return [[Detection(box, 1.0) for box in boxes_of(image, colour)] if colour else [] for colour in colours]

    def start(self, width: int, height: int) -> "SyntheticSession":
        """A session for a clip with frames of this size."""
        return SyntheticSession(np.zeros((height, width, 3), np.uint8))


class SyntheticSession:
    """Follows things by their colours; of several things of one colour, each goes on at the place nearest to its last."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._colours: dict[int, Colour] = {}
        self._last: dict[int, Box] = {}

    def step(self, image: Image) -> dict[int, Box | None]:
        """Moves on to the next frame: where each object is now, None where it is out of sight."""
        self._image = image
        return self._find()

    def add(self, boxes: Mapping[int, Box]) -> dict[int, Box | None]:
        """Adds objects by their boxes on the current frame: an object is of the colour in the middle of its box.

        One without a colour of the world there is out of sight from then on.
        """
        for number, box in boxes.items():
            self._last[number] = box
            self._colours.pop(number, None)
            if colour := colour_at(self._image, box):
                self._colours[number] = colour
        found = self._find()
        return {number: found[number] for number in boxes}

    def _find(self) -> dict[int, Box | None]:
        """Where all objects are on the current frame."""
        found: dict[int, Box] = {}
        for colour in set(self._colours.values()):
            numbers = [number for number, own in self._colours.items() if own == colour]
            boxes = boxes_of(self._image, colour)
            pairs = nearest([self._last[number] for number in numbers], boxes)
            found |= {numbers[index]: boxes[place] for index, place in pairs.items()}
        self._last |= found
        return {number: found.get(number) for number in self._last}


def colour_of(phrase: str) -> Colour | None:
    """The colour of what a phrase names, whatever its case, articles and number; None for what is not in the world.

    >>> colour_of("The Dogs."), colour_of("unicorn")
    ((255, 128, 0), None)
    """
    name = " ".join(word for word in phrase.casefold().rstrip(". ").split() if word not in ARTICLES)
    return COLOUR_OF_NAME.get(name) or COLOUR_OF_NAME.get(name.removesuffix("s"))


def colour_at(image: Image, box: Box) -> Colour | None:
    """The world's colour in the middle of a box; None where there is none of them."""
    height, width = image.shape[:2]
    column, row = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
    if not (0 <= column < width and 0 <= row < height):
        return None
    pixel = image[row : row + 1, column : column + 1]
    return next((colour for colour in COLOUR_OF_NAME.values() if has_colour(pixel, colour).all()), None)


def boxes_of(image: Image, colour: Colour) -> list[Box]:
    """The boxes of the connected patches of a colour, tight, from top to bottom."""
    labels, _ = ndimage.label(has_colour(image, colour))
    sizes = np.bincount(labels.ravel())[1:]
    patches = zip(ndimage.find_objects(labels), sizes, strict=True)
    return [
        (float(columns.start), float(rows.start), float(columns.stop), float(rows.stop))
        for (rows, columns), size in patches
        if size >= FEWEST_PIXELS
    ]


def has_colour(image: Image, colour: Colour) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Which pixels are of a colour, shape (height, width)."""
    apart = image.astype(np.int32) - np.array(colour, np.int32)
    near: np.ndarray[tuple[int, int], np.dtype[np.bool_]] = (apart**2).sum(axis=-1) < REACH**2
    return near
