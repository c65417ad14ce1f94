"""Where is the square? Clips of 1 s in which a rectangle covers 2 to 4 by 2 to 4 cells of a grid of 8 x 8.

A cell is 14 pixels of the clip and 7 of the frame that the model is given, so boxes have to be converted both ways.
"""

from itertools import combinations
from itertools import product
from random import Random

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Track

from .drawing import COLOURS
from .drawing import PixelBox
from .drawing import pictures_of_square
from .world import Scene
from .world import World

NAME = "square"
SECONDS, FPS = 1, 4
CELLS, CELL = 8, 14
SIDES = (2, 4)  # cells


def box_answer(box: PixelBox) -> Answer:
    """The answer that shows the square at ``box``, in pixels of the clip, at the one second there is."""
    x1, y1, x2, y2 = map(float, box)
    return Answer((Track(NAME, ((0.0, x1, y1, x2, y2),)),))


def grid_boxes() -> list[PixelBox]:
    """All boxes on the grid, in pixels of the clip; the true ones are those with sides of 2 to 4 cells."""
    edges = list(combinations(range(0, CELLS * CELL + 1, CELL), 2))
    return [(x1, y1, x2, y2) for (x1, x2), (y1, y2) in product(edges, edges)]


def can_be_true(box: PixelBox) -> bool:
    """Whether both sides are of 2 to 4 cells."""
    x1, y1, x2, y2 = box
    return all(SIDES[0] * CELL <= side <= SIDES[1] * CELL for side in (x2 - x1, y2 - y1))


def draw_scene(rng: Random) -> Scene:
    """A clip without a sound track."""
    width, height = rng.randint(*SIDES), rng.randint(*SIDES)
    x, y = rng.randint(0, CELLS - width), rng.randint(0, CELLS - height)
    box = (x * CELL, y * CELL, (x + width) * CELL, (y + height) * CELL)
    pictures = pictures_of_square(
        (CELLS * CELL, CELLS * CELL), SECONDS * FPS, range(SECONDS * FPS), box, rng.choice(COLOURS)
    )
    return Scene(pictures, None, (0.0, float(SECONDS)), box_answer(box))


BOXES_WORLD = World(
    name="boxes",
    task="spatial",
    seconds=SECONDS,
    fps=FPS,
    size=(CELLS * CELL, CELLS * CELL),
    scene=draw_scene,
    choices=tuple(box_answer(box) for box in filter(can_be_true, grid_boxes())),
    constants=tuple(map(box_answer, grid_boxes())),
)
