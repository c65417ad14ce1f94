"""Plans of the synthetic world's clips: who is where, when, and heard.

Times are whole frames, of which a second has ten. Places are whole cells of 2 x 2 pixels: so none shares its colour with a
neighbour when H.264 halves the resolution of colour.

Every thing moves in a lane of its own, so none is ever hidden by another. A thing sounds with a tone of its own while it is
seen; some are heard without being seen, and silent ones come and go through the whole clip.
"""

import math
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from random import Random

from ..records import Subject
from .splits import split_of
from .synthetic_captions import caption
from .synthetic_things import SILENT
from .synthetic_things import SOUNDING
from .synthetic_things import Colour
from .synthetic_things import SoundingThing
from .synthetic_things import Thing

# Part of every video's id, to be raised with any change to plans or rendering: a clip that an earlier version left in a work
# folder is then not taken for one of this world, whose truth is another.
WORLD = 1
FPS = 10
CELL = 2  # pixels
COLUMNS, ROWS = 128, 96  # cells of a frame
LANES = 4
LANE_HEIGHT = ROWS // LANES
SIZES = (12, 20)  # cells, of width and of height
DURATIONS = ((80, 199), (200, 399), (400, 599))  # frames, of the filter's groups: 0-20, 20-40 and 40-60 s
MOST_EVENTS = 3
SHORTEST_EVENT = 15  # frames
BRIEF_SHARE = 0.05  # of clips, whose events are all of the shortest: some of them cover too little for the filter
REPEAT_SHARE = 0.1  # of events after the first, with a thing that has led before
HIDE_SHARE = 0.5  # of the sounding things in an event that has room for it
HIDDEN = (10, 30)  # frames out of sight
CASTS = (50, 15, 15, 20)  # weights: a thing alone, two of its name, with another one, with one that is only heard

FrameSpan = tuple[int, int]  # first frame, and the one after the last
Cell = tuple[int, int]  # column, row


@dataclass(frozen=True, slots=True)
class Actor:
    """A thing as it is drawn: ``width`` by ``height`` cells, between two places, to and fro once in ``period`` frames.

    The places are of its upper left cell, and the same one for a thing that stands. It is drawn in the ``spans`` alone.
    """

    thing: Thing
    width: int
    height: int
    places: tuple[Cell, Cell]
    period: int
    spans: tuple[FrameSpan, ...]

    def drawn(self, frame: int) -> bool:
        """Whether it is on a frame."""
        return any(first <= frame < end for first, end in self.spans)

    def place(self, frame: int) -> Cell:
        """Where its upper left cell is on a frame."""
        part = (1 - math.cos(2 * math.pi * frame / self.period)) / 2
        (column, row), (other_column, other_row) = self.places
        return round(column + part * (other_column - column)), round(row + part * (other_row - row))


@dataclass(frozen=True, slots=True)
class Scene:
    """An event: when it is, who is seen and heard in it (one, two, or one twice), and who is only heard."""

    span: FrameSpan
    seen: tuple[SoundingThing, ...]
    unseen: tuple[SoundingThing, ...]
    scenery: tuple[Thing, ...]
    caption: str

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What the caption names, in its order."""
        return (
            *(Subject(thing.name, visible=True, audible=True) for thing in dict.fromkeys(self.seen)),
            *(Subject(thing.name, visible=False, audible=True) for thing in self.unseen),
            *(Subject(thing.name, visible=True, audible=False) for thing in self.scenery),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a clip shows and lets hear, in ``frames`` frames."""

    video_id: str
    split: str
    frames: int
    background: Colour
    actors: tuple[Actor, ...]
    scenes: tuple[Scene, ...]


def plan_video(index: int, seed: int) -> Plan:
    """The clip of this number, 0, 1, ...; durations take turns by group, and so do one, two and three events."""
    video_id = f"world{WORLD}_{seed}_{index:05d}"
    rng = Random(video_id)
    frames = rng.randint(*DURATIONS[index % len(DURATIONS)])
    spans = _event_spans(rng, frames, 1 + index // len(DURATIONS) % MOST_EVENTS)
    lanes = rng.sample(range(LANES), LANES)
    scenery = _scenery(rng, frames, lanes[2:])
    scenes = _scenes(rng, spans, scenery)
    sounding = (
        _sounding(rng, scene, thing, lane) for scene in scenes for thing, lane in zip(scene.seen, lanes, strict=False)
    )
    return Plan(video_id, split_of(video_id, seed), frames, _background(rng), (*scenery, *sounding), scenes)


def grid(span: FrameSpan) -> range:
    """The frames of an event's truth, one a second."""
    return range(*span, FPS)


def _event_spans(rng: Random, frames: int, number: int) -> list[FrameSpan]:
    """One span in each of so many equal parts of the clip."""
    room = frames // number
    longest = SHORTEST_EVENT if rng.random() < BRIEF_SHARE else room - 1
    spans = []
    for part in range(number):
        length = rng.randint(min(max(SHORTEST_EVENT, room // 4), longest), longest)
        first = part * room + rng.randint(0, room - length)
        spans.append((first, first + length))
    return spans


def _scenery(rng: Random, frames: int, lanes: Sequence[int]) -> tuple[Actor, ...]:
    """Up to two silent things; about half of them come late, and half leave early."""
    things = rng.sample(SILENT, rng.randint(0, len(lanes)))
    actors = []
    for thing, lane in zip(things, lanes, strict=False):
        first = rng.choice((0, rng.randrange(frames // 2)))
        end = rng.choice((frames, rng.randint(frames // 2 + FPS, frames)))
        actor = _actor(rng, thing, lane, ((first, end),))
        actors.append(rng.choice((actor, _standing(actor))))
    return tuple(actors)


def _scenes(rng: Random, spans: Iterable[FrameSpan], scenery: Sequence[Actor]) -> tuple[Scene, ...]:
    scenes: list[Scene] = []
    for span in spans:
        led = [scene.seen[0] for scene in scenes]
        again = led and rng.random() < REPEAT_SHARE
        lead = rng.choice(led if again else [thing for thing in SOUNDING if thing not in led])
        scenes.append(_scene(rng, span, lead, scenery))
    return tuple(scenes)


def _scene(rng: Random, span: FrameSpan, lead: SoundingThing, scenery: Sequence[Actor]) -> Scene:
    """An event of a thing, perhaps with others; silent things belong to it if they are in its truth."""
    other = rng.choice([thing for thing in SOUNDING if thing != lead])
    casts: tuple[tuple[tuple[SoundingThing, ...], tuple[SoundingThing, ...]], ...] = (
        ((lead,), ()),
        ((lead, lead), ()),
        ((lead, other), ()),
        ((lead,), (other,)),
    )
    ((seen, unseen),) = rng.choices(casts, CASTS)
    present = tuple(actor.thing for actor in scenery if any(map(actor.drawn, grid(span))))
    return Scene(span, seen, unseen, present, caption(rng, seen, unseen, present))


def _sounding(rng: Random, scene: Scene, thing: SoundingThing, lane: int) -> Actor:
    """A thing on screen in its event, but perhaps for some seconds in between."""
    first, end = scene.span
    spans: tuple[FrameSpan, ...] = ((first, end),)
    hidden = rng.randint(*HIDDEN)
    spare = end - first - hidden - 2 * FPS  # a second of sight before and after it
    if spare >= 0 and rng.random() < HIDE_SHARE:
        gone = first + FPS + rng.randint(0, spare)
        spans = ((first, gone), (gone + hidden, end))
    return _actor(rng, thing, lane, spans)


def _actor(rng: Random, thing: Thing, lane: int, spans: tuple[FrameSpan, ...]) -> Actor:
    """A thing that moves between two places of its lane."""
    width, height = rng.randint(*SIZES), rng.randint(*SIZES)
    top = lane * LANE_HEIGHT + 1
    places = [(rng.randint(0, COLUMNS - width), rng.randint(top, top + LANE_HEIGHT - 2 - height)) for _ in range(2)]
    return Actor(thing, width, height, (places[0], places[1]), rng.randint(25 * FPS, 60 * FPS), spans)


def _standing(actor: Actor) -> Actor:
    return replace(actor, places=(actor.places[0], actor.places[0]))


def _background(rng: Random) -> Colour:
    """A grey, dark or light, with a tinge."""
    grey = rng.choice((64, 192))
    return grey + rng.randint(-4, 4), grey + rng.randint(-4, 4), grey + rng.randint(-4, 4)
