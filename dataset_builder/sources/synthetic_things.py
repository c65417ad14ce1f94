"""The things of the synthetic world: how each is called, looks and sounds.

The parts of all colours are 0, 128 or 255, and no colour is grey. So two of them are at least 127 apart, and a grey of about
64 or 192 is at least 100 from each of them: what is within 50 of a colour is that thing and nothing else.
"""

from dataclasses import dataclass
from typing import Literal

Colour = tuple[int, int, int]  # red, green, blue: 0..255
Shape = Literal["square", "circle", "diamond", "triangle", "cross"]


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing that can be seen: its name in the singular, which takes "a" and a plural in "s"."""

    name: str
    colour: Colour
    shape: Shape


@dataclass(frozen=True, slots=True)
class SoundingThing(Thing):
    """A thing that can be heard too: its UnAV-100 class, the pitch of its tone in Hz, and words for what it does.

    ``verb`` follows one thing, ``verbs`` several, ``doing`` is its present participle.
    """

    label: str
    pitch: int
    verb: str
    verbs: str
    doing: str


SOUNDING = (
    SoundingThing("dog", (255, 128, 0), "square", "dog barking", 300, "barks", "bark", "barking"),
    SoundingThing("bird", (255, 255, 0), "diamond", "bird chirping", 3000, "chirps", "chirp", "chirping"),
    SoundingThing("frog", (0, 255, 0), "circle", "frog croaking", 460, "croaks", "croak", "croaking"),
    SoundingThing("trombone", (0, 255, 255), "triangle", "playing trombone", 620, "plays", "play", "playing"),
    SoundingThing("violin", (0, 128, 255), "diamond", "playing violin", 1900, "plays", "play", "playing"),
    SoundingThing("car", (0, 0, 255), "square", "vehicle honking", 780, "honks", "honk", "honking"),
    SoundingThing("train", (128, 0, 255), "square", "train horning", 940, "toots", "toot", "tooting"),
    SoundingThing("telephone", (255, 0, 255), "circle", "telephone bell ringing", 2300, "rings", "ring", "ringing"),
    SoundingThing("cat", (255, 0, 128), "triangle", "cat meowing", 1200, "meows", "meow", "meowing"),
    SoundingThing("lion", (128, 255, 0), "cross", "lions roaring", 1500, "roars", "roar", "roaring"),
)
SILENT = (
    Thing("red ball", (255, 0, 0), "circle"),
    Thing("tree", (0, 128, 0), "triangle"),
    Thing("chair", (128, 0, 0), "cross"),
    Thing("bench", (0, 0, 128), "square"),
    Thing("lamp", (255, 255, 128), "triangle"),
    Thing("bucket", (128, 255, 255), "square"),
    Thing("bicycle", (128, 128, 255), "cross"),
    Thing("kite", (255, 128, 255), "diamond"),
)
THINGS: tuple[Thing, ...] = (*SOUNDING, *SILENT)
