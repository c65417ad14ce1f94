"""Boxes of segmentation masks that come as PNG files."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.overlap import Box

PRESSED = (224, 224)  # AVSBench presses frames of any shape into this size, so a mask of it is of the whole picture
MAX_PIXELS = 1 << 26
TENTH_TOLERANCE = 1e-6  # of a tenth of a pixel: what the arithmetic leaves behind
_NEIGHBOURS = np.ones((3, 3), dtype=np.int8)


class MaskError(ValueError):
    """A mask that cannot be used; the message names the file."""


class PillowMissingError(RuntimeError):
    """Pillow, which reads PNG files, is not installed."""


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask: ``pixels`` of shape (height, width), true where something is, and how many values those pixels have."""

    pixels: NDArray[np.bool_]
    values: int

    @property
    def size(self) -> Size:
        """Width and height."""
        height, width = self.pixels.shape
        return width, height


@dataclass(frozen=True, slots=True)
class MaskParts:
    """The boxes of a mask's connected parts, in pixels of the mask, and how many ``small`` parts were left out."""

    boxes: tuple[Box, ...]
    small: int


def read_mask(path: Path) -> Mask:
    """Reads a mask. The background is black or, in a file with a palette, of index 0; every other pixel belongs to it.

    Raises:
        MaskError: the file is no PNG that can be read, or has more than 67 million pixels.
        PillowMissingError: Pillow is not installed.
    """
    colours = _colours(path)
    pixels = colours != 0
    return Mask(pixels, len(np.unique(colours[pixels])))


def _colours(path: Path) -> NDArray[np.int64]:
    """A number for each pixel's colour, of shape (height, width); 0 is the background."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise PillowMissingError("reading masks needs Pillow: pip install pillow, or pip install 'r-avst[boxes]'") from None
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise MaskError(f"{path}: {image.width} x {image.height} pixels are no mask of a video's frame")
            one_number = len(image.getbands()) == 1  # of a palette, the index
            found = np.asarray(image if one_number else image.convert("RGB"), dtype=np.int64)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, MaskError):
            raise
        raise MaskError(f"{path}: no PNG that can be read ({error}); copy the file anew") from None
    return found if one_number else found @ np.array([1 << 16, 1 << 8, 1])


def parts_of(pixels: NDArray[np.bool_], min_area: float) -> MaskParts:
    """The box of each connected part, pixels that touch at a corner being connected.

    A box ends after its last pixel, as the builder's other boxes of masks do: one pixel has the area 1.

    Args:
        pixels: of shape (height, width).
        min_area: parts that fill a smaller share of the frame are left out, but for the largest of a mask.

    >>> parts_of(np.array([[1, 1, 0, 0], [1, 1, 0, 1]], dtype=bool), 0.25)
    MaskParts(boxes=((0.0, 0.0, 2.0, 2.0),), small=1)
    """
    labels, number = ndimage.label(pixels, structure=_NEIGHBOURS)
    areas = np.bincount(labels.ravel(), minlength=number + 1)[1:]
    least = min(min_area * pixels.size, areas.max(initial=0))
    kept = [place for place, area in zip(ndimage.find_objects(labels), areas, strict=True) if area >= least]
    boxes = tuple((float(x.start), float(y.start), float(x.stop), float(y.stop)) for y, x in kept)
    return MaskParts(boxes, number - len(kept))


def around(boxes: tuple[Box, ...]) -> tuple[Box, ...]:
    """The one box around all boxes; none around none.

    >>> around(((0, 0, 2, 2), (3, 1, 4, 2)))
    ((0, 0, 4, 2),)
    """
    if not boxes:
        return ()
    left, top, right, bottom = zip(*boxes, strict=True)
    return ((min(left), min(top), max(right), max(bottom)),)


def check_shape(path: Path, mask: Size, frame: Size) -> None:
    """A mask is of the whole frame: of its shape to a pixel of the mask, or pressed into AVSBench's 224 x 224.

    Raises:
        MaskError: it is neither.
    """
    (width, height), (frame_width, frame_height) = mask, frame
    off = abs(width * frame_height - height * frame_width)
    if mask != PRESSED and off > max(frame_width, frame_height):
        raise MaskError(
            f"{path}: the mask is {width} x {height}, the video's frames are {frame_width} x {frame_height}, another shape: "
            "is this the video that was annotated?"
        )


def to_frame(box: Box, mask: Size, frame: Size) -> Box:
    """A box in pixels of a mask as one in pixels of a frame, widened to whole tenths so that it keeps an area.

    >>> to_frame((112.0, 0.0, 224.0, 1.0), (224, 224), (640, 360))
    (320.0, 0.0, 640.0, 1.7)
    """
    x_scale, y_scale = frame[0] / mask[0], frame[1] / mask[1]
    x1, y1, x2, y2 = box
    return _below(x1 * x_scale), _below(y1 * y_scale), _above(x2 * x_scale), _above(y2 * y_scale)


def _below(number: float) -> float:
    return math.floor(number * 10 + TENTH_TOLERANCE) / 10


def _above(number: float) -> float:
    return math.ceil(number * 10 - TENTH_TOLERANCE) / 10
