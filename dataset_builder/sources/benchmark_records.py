"""What the importers of other benchmarks share: notes of what is odd in their files, and labels by identical names."""

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..event_classes import UNAV_100
from .splits import TEST
from .splits import TRAIN

SPLIT_OF_SUBSET = {"train": TRAIN, "val": TRAIN, "test": TEST}
ASSUMED_DURATION = "assumed_duration"


@dataclass(frozen=True, slots=True)
class Note:
    """Something odd in a source's files: its ``kind``, and ``where``, a file and line or a video id."""

    kind: str
    where: str


def told_of(notes: Iterable[Note], handling: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The notes by their kind, for a report: how many, how they are handled, and where; kinds without one too.

    >>> told_of([Note("no_span", "line 2")], {"no_span": "left out"})
    {'no_span': {'count': 1, 'handling': 'left out', 'where': ['line 2']}}
    """
    where: dict[str, list[str]] = {kind: [] for kind in handling}
    for note in notes:
        where[note.kind].append(note.where)
    return {kind: {"count": len(own), "handling": handling[kind], "where": own} for kind, own in where.items()}


def labels_named(name: str) -> tuple[str, ...]:
    """UnAV-100's class of just this name, whatever its case; none where there is none: nothing is guessed.

    >>> labels_named("Helicopter"), labels_named("Church bell")
    (('helicopter',), ())
    """
    return (name.casefold(),) if name.casefold() in UNAV_100 else ()
