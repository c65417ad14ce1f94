"""A detector and a tracker that do as a script says: what is where on which frame, and where they fail."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

import numpy as np

from r_avst.dataset_builder.grounding.backend import Detection
from r_avst.dataset_builder.grounding.backend import Image
from r_avst.metrics.avst_metrics.overlap import Box

WIDTH, HEIGHT = 320, 240


def numbered(number: int, width: int = WIDTH, height: int = HEIGHT) -> Image:
    """A picture that says which frame it is, in a brightness that survives an encoder."""
    assert 0 <= number < 25
    return np.full((height, width, 3), 10 * number, np.uint8)


def number_of(image: Image) -> int:
    return round(float(image.mean()) / 10)


@dataclass(frozen=True)
class Thing:
    """Something of a name and its box on each frame on which it is in sight."""

    phrase: str
    boxes: Mapping[int, Box]


def moving(phrase: str, start: Box, by: tuple[float, float], frames: Sequence[int]) -> Thing:
    """A thing that moves by so many pixels a frame, in sight on ``frames``."""
    x, y = by
    x1, y1, x2, y2 = start
    return Thing(phrase, {n: (x1 + n * x, y1 + n * y, x2 + n * x, y2 + n * y) for n in frames})


@dataclass(frozen=True)
class ScriptedBackend:
    """Finds the things of a script.

    ``missed``: (frame, index of the thing) that the detector fails to find; ``shifted``: pixels by which it is off on a
    frame; ``false``: what it finds on a frame where nothing is. The tracker follows what it was given exactly, and loses it
    for good when it goes out of sight; what it was wrongly given is gone on the next frame.
    """

    things: Sequence[Thing]
    missed: frozenset[tuple[int, int]] = frozenset()
    shifted: Mapping[int, float] = field(default_factory=dict)
    false: Mapping[int, Sequence[tuple[str, Box]]] = field(default_factory=dict)

    def detect(self, image: Image, phrases: Sequence[str]) -> list[list[Detection]]:
        return [self._detect(number_of(image), phrase) for phrase in phrases]

    def _detect(self, frame: int, phrase: str) -> list[Detection]:
        off = self.shifted.get(frame, 0.0)
        seen = [
            thing.boxes[frame]
            for index, thing in enumerate(self.things)
            if thing.phrase == phrase and frame in thing.boxes and (frame, index) not in self.missed
        ]
        true = [Detection((x1 + off, y1 + off, x2 + off, y2 + off), 0.9) for x1, y1, x2, y2 in seen]
        return true + [Detection(box, 0.5) for name, box in self.false.get(frame, ()) if name == phrase]

    def start(self, width: int, height: int) -> "ScriptedSession":
        return ScriptedSession(self.things)


class ScriptedSession:
    """Follows things; a number that lost its thing stays without one."""

    def __init__(self, things: Sequence[Thing]) -> None:
        self.things = things
        self.followed: dict[int, Thing | None] = {}
        self.frame = -1

    def step(self, image: Image) -> dict[int, Box | None]:
        self.frame = number_of(image)
        for number, thing in self.followed.items():
            if thing and self.frame not in thing.boxes:
                self.followed[number] = None
        return {number: thing.boxes[self.frame] if thing else None for number, thing in self.followed.items()}

    def add(self, boxes: Mapping[int, Box]) -> dict[int, Box | None]:
        for number, box in boxes.items():
            self.followed[number] = self._thing_at(box)
        return {number: thing.boxes[self.frame] if (thing := self.followed[number]) else boxes[number] for number in boxes}

    def _thing_at(self, box: Box) -> Thing | None:
        """The thing whose corner is nearest, if it is within 20 pixels."""
        near = [
            (abs(own[0] - box[0]) + abs(own[1] - box[1]), n)
            for n, t in enumerate(self.things)
            if (own := t.boxes.get(self.frame))
        ]
        distance, index = min(near, default=(np.inf, -1))
        return self.things[index] if distance <= 20 else None
