"""When does it sound? Clips of 8 s with a tone of 2 to 4 whole seconds, and a square that has nothing to do with it.

The square is on screen for 2 to 4 seconds as well, drawn by itself: whoever answers by what is seen answers wrong.
"""

from random import Random

from .drawing import COLOURS
from .drawing import draw_span
from .drawing import pictures_of_square
from .drawing import tone
from .temporal_world import span_answer
from .temporal_world import true_spans
from .temporal_world import whole_spans
from .world import Scene
from .world import World

NAME = "tone"
SECONDS, FPS = 8, 4
WIDTH = HEIGHT = 56
SQUARE = 24  # pixels of a side


def draw_scene(rng: Random) -> Scene:
    """A clip whose sound alone tells the answer."""
    start, end = span = draw_span(rng, SECONDS)
    first, last = draw_span(rng, SECONDS)
    x, y = rng.randrange(0, WIDTH - SQUARE + 1, 2), rng.randrange(0, HEIGHT - SQUARE + 1, 2)  # a colour covers 2 x 2 pixels
    shown, box = range(first * FPS, last * FPS), (x, y, x + SQUARE, y + SQUARE)
    pictures = pictures_of_square((WIDTH, HEIGHT), SECONDS * FPS, shown, box, rng.choice(COLOURS))
    return Scene(pictures, tone(rng, span, SECONDS), (float(start), float(end)), span_answer(NAME, span))


SOUND_WORLD = World(
    name="sound",
    task="temporal",
    seconds=SECONDS,
    fps=FPS,
    size=(WIDTH, HEIGHT),
    scene=draw_scene,
    choices=tuple(span_answer(NAME, span) for span in true_spans(SECONDS)),
    constants=tuple(span_answer(NAME, span) for span in whole_spans(SECONDS)),
)
