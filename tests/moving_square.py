"""Pictures of a red square that moves over grey, as many as wanted and never held at once."""

from collections.abc import Iterator

import numpy as np

from r_avst.dataset_builder.grounding.backend import Image


def frames(number: int, width: int, height: int) -> Iterator[Image]:
    """The square is a third of the height and goes 3 pixels a frame, out on the right and in again on the left."""
    side = height // 3
    picture = np.full((height, width, 3), 90, np.uint8)
    picture[side : 2 * side, :side] = (220, 30, 30)
    for frame in range(number):
        yield np.roll(picture, 3 * frame, axis=1)
