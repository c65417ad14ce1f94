"""The world's things can be told apart by what is seen and heard of them."""

from itertools import combinations
from itertools import product
from math import dist

import pytest

from r_avst.dataset_builder.event_classes import UNAV_100
from r_avst.dataset_builder.sources.synthetic_things import SILENT
from r_avst.dataset_builder.sources.synthetic_things import SOUNDING
from r_avst.dataset_builder.sources.synthetic_things import THINGS


def test_there_are_several_of_both_kinds() -> None:
    assert (len(SOUNDING), len(SILENT)) == (10, 8)


def test_names_labels_and_pitches_are_not_shared() -> None:
    assert len({thing.name for thing in THINGS}) == len(THINGS)
    assert len({thing.label for thing in SOUNDING}) == len(SOUNDING)
    assert min(abs(one.pitch - other.pitch) for one, other in combinations(SOUNDING, 2)) >= 140


def test_no_name_is_part_of_another() -> None:
    assert not [(one.name, other.name) for one, other in product(THINGS, THINGS) if one != other and one.name in other.name]


def test_labels_are_classes_of_unav() -> None:
    assert {thing.label for thing in SOUNDING} <= set(UNAV_100)


def test_colours_are_far_apart() -> None:
    assert min(dist(one.colour, other.colour) for one, other in combinations(THINGS, 2)) >= 127


@pytest.mark.parametrize("grey", [64, 192])
def test_colours_are_far_from_every_background(grey: int) -> None:
    backgrounds = product((grey - 4, grey + 4), repeat=3)
    assert min(dist(thing.colour, own) for own in backgrounds for thing in THINGS) >= 100
