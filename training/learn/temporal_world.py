"""When is the square seen? Clips of 8 s in which a square of some colour stands somewhere for 2 to 4 whole seconds."""

from itertools import combinations
from random import Random

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Track

from .drawing import COLOURS
from .drawing import LENGTHS
from .drawing import WholeSpan
from .drawing import draw_span
from .drawing import pictures_of_square
from .world import Scene
from .world import World

NAME = "square"
SECONDS, FPS = 8, 4
WIDTH = HEIGHT = 56
SQUARE = 40  # pixels of a side


def whole_spans(seconds: int) -> list[WholeSpan]:
    """All spans of whole seconds in a clip."""
    return list(combinations(range(seconds + 1), 2))


def true_spans(seconds: int) -> list[WholeSpan]:
    """Those that a scene can have, of 2 to 4 seconds."""
    return [span for span in whole_spans(seconds) if LENGTHS[0] <= span[1] - span[0] <= LENGTHS[1]]


def span_answer(name: str, span: WholeSpan) -> Answer:
    """The answer that names an object and a span."""
    return Answer((Track(name),), (float(span[0]), float(span[1])))


def draw_scene(rng: Random) -> Scene:
    """A clip without a sound track. Where the square stands is no part of the question, but whoever looks may see it."""
    start, end = draw_span(rng, SECONDS)
    x, y = rng.randrange(0, WIDTH - SQUARE + 1, 2), rng.randrange(0, HEIGHT - SQUARE + 1, 2)  # a colour covers 2 x 2 pixels
    shown, box = range(start * FPS, end * FPS), (x, y, x + SQUARE, y + SQUARE)
    pictures = pictures_of_square((WIDTH, HEIGHT), SECONDS * FPS, shown, box, rng.choice(COLOURS))
    span = float(start), float(end)
    rows = tuple((float(second), *box) for second in range(start, end))
    return Scene(pictures, None, span, Answer((Track(NAME, rows),), span))


TEMPORAL_WORLD = World(
    name="temporal",
    task="temporal",
    seconds=SECONDS,
    fps=FPS,
    size=(WIDTH, HEIGHT),
    scene=draw_scene,
    choices=tuple(span_answer(NAME, span) for span in true_spans(SECONDS)),
    constants=tuple(span_answer(NAME, span) for span in whole_spans(SECONDS)),
)
