"""A thing keeps its number whatever the detector misses; every case is a script of what is where on which frame."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_backend import ScriptedBackend
from scripted_backend import Thing
from scripted_backend import moving
from scripted_backend import numbered

from r_avst.dataset_builder.grounding.backend import Detection
from r_avst.dataset_builder.grounding.tracking import TrackRules
from r_avst.dataset_builder.grounding.tracking import assign
from r_avst.dataset_builder.grounding.tracking import distinct
from r_avst.dataset_builder.grounding.tracking import follow
from r_avst.dataset_builder.grounding.tracking import nearest
from r_avst.metrics.avst_metrics.overlap import Box

RULES = TrackRules(match_iou=0.5, most_instances=10, every=1)
FRAMES = range(8)
LEFT, RIGHT = (10.0, 50.0, 50.0, 90.0), (210.0, 50.0, 250.0, 90.0)


def followed(
    backend: ScriptedBackend, phrases: Sequence[str], rules: TrackRules = RULES, frames: int = len(FRAMES)
) -> list[list[dict[int, Box]]]:
    return list(follow(backend, map(numbered, range(frames)), phrases, rules))


def numbers(backend: ScriptedBackend, phrase: str = "dog", rules: TrackRules = RULES) -> list[list[int]]:
    """The numbers of the visible tracks of one phrase, frame by frame."""
    return [sorted(places[0]) for places in followed(backend, [phrase], rules)]


def test_a_thing_keeps_its_number_and_has_its_box() -> None:
    dog = moving("dog", LEFT, (6, 2), FRAMES)
    assert followed(ScriptedBackend([dog]), ["dog"]) == [[{0: dog.boxes[frame]}] for frame in FRAMES]


@pytest.mark.parametrize(
    "backend",
    [
        ScriptedBackend([moving("dog", LEFT, (6, 2), FRAMES)], missed=frozenset({(2, 0), (3, 0), (6, 0)})),
        ScriptedBackend([moving("dog", LEFT, (6, 2), FRAMES)], shifted={3: 5.0, 5: -5.0}),
        ScriptedBackend([moving("dog", LEFT, (6, 2), FRAMES)], shifted=dict.fromkeys(FRAMES, 5.0)),
        ScriptedBackend([moving("dog", LEFT, (40, 0), FRAMES)]),
    ],
    ids=["missed three times", "shifted by 5 px", "always shifted by 5 px", "moving by its own width"],
)
def test_the_number_is_kept_over(backend: ScriptedBackend) -> None:
    assert numbers(backend) == [[0]] * len(FRAMES)


def test_what_hides_and_returns_has_its_number_again() -> None:
    dog = moving("dog", LEFT, (6, 2), [0, 1, 2, 5, 6, 7])
    assert numbers(ScriptedBackend([dog])) == [[0]] * 3 + [[]] * 2 + [[0]] * 3


def test_what_returns_is_found_when_it_is_detected() -> None:
    dog = moving("dog", LEFT, (6, 2), [0, 1, 2, 5, 6, 7])
    assert numbers(ScriptedBackend([dog], missed=frozenset({(5, 0)}))) == [[0]] * 3 + [[]] * 3 + [[0]] * 2


def test_of_two_that_hid_each_returns_to_the_number_that_was_last_seen_near_it() -> None:
    in_sight = [0, 1, 4, 5]
    left, right = (moving("dog", box, (0, 0), in_sight) for box in (LEFT, RIGHT))
    for things in ([left, right], [right, left]):
        places = [own[0] for own in followed(ScriptedBackend(things), ["dog"])]
        assert places[2] == places[3] == {}
        assert places[0] == places[4] == places[5]


def test_a_new_thing_has_a_new_number_also_beside_an_old_one() -> None:
    first, second = moving("dog", LEFT, (0, 0), FRAMES), moving("dog", RIGHT, (0, 0), range(3, 8))
    assert numbers(ScriptedBackend([first, second])) == [[0]] * 3 + [[0, 1]] * 5


def test_things_of_one_name_that_cross_keep_their_numbers() -> None:
    there, back = (
        moving("dog", (10, 50, 50, 90), (40, 0), FRAMES[:7]),
        moving("dog", (250, 62, 290, 102), (-40, 0), FRAMES[:7]),
    )
    places = [own[0] for own in followed(ScriptedBackend([there, back]), ["dog"], frames=7)]
    assert places == [{0: there.boxes[frame], 1: back.boxes[frame]} for frame in FRAMES[:7]]


def test_a_detection_of_nothing_is_gone_on_the_next_frame_and_takes_no_number_from_the_others() -> None:
    dog = moving("dog", LEFT, (0, 0), FRAMES)
    backend = ScriptedBackend([dog], false={2: [("dog", RIGHT)]})
    assert numbers(backend) == [[0]] * 2 + [[0, 1]] + [[0]] * 5


def test_two_instances_of_a_name_have_two_numbers() -> None:
    things = [moving("dog", LEFT, (3, 0), FRAMES), moving("dog", RIGHT, (-3, 0), FRAMES)]
    assert numbers(ScriptedBackend(things)) == [[0, 1]] * len(FRAMES)


def test_phrases_do_not_share_numbers_even_for_one_thing() -> None:
    things = [moving(phrase, LEFT, (3, 0), FRAMES) for phrase in ("man", "person")]
    places = followed(ScriptedBackend(things), ["man", "person", "dog"])
    assert [[sorted(own) for own in frame] for frame in places] == [[[0], [1], []]] * len(FRAMES)


def test_equal_phrases_are_followed_each_for_itself() -> None:
    places = followed(ScriptedBackend([moving("dog", LEFT, (3, 0), FRAMES)]), ["dog", "dog"])
    assert [[sorted(own) for own in frame] for frame in places] == [[[0], [1]]] * len(FRAMES)


def test_where_nothing_is_detected_there_are_no_tracks() -> None:
    assert numbers(ScriptedBackend([])) == [[]] * len(FRAMES)


def test_a_thing_is_looked_for_on_the_first_frame_and_then_as_often_as_the_rules_say() -> None:
    things = [moving("dog", LEFT, (0, 0), FRAMES), moving("dog", RIGHT, (0, 0), range(1, 8))]
    every = TrackRules(0.5, 10, every=3)
    assert numbers(ScriptedBackend(things), rules=every) == [[0]] * 3 + [[0, 1]] * 5


def test_two_detections_of_one_thing_are_one_track() -> None:
    twice = {frame: [("dog", (12.0, 52.0, 50.0, 90.0))] for frame in FRAMES}
    backend = ScriptedBackend([moving("dog", LEFT, (0, 0), FRAMES)], false=twice)
    assert numbers(backend) == [[0]] * len(FRAMES)


def test_a_crowd_is_followed_up_to_the_bound() -> None:
    crowd = [moving("dog", (20.0 * n, 0, 20.0 * n + 10, 10), (0, 0), FRAMES) for n in range(12)]
    assert numbers(ScriptedBackend(crowd), rules=TrackRules(0.5, 4, 1)) == [[0, 1, 2, 3]] * len(FRAMES)
    late = [moving("dog", (20.0 * n, 0, 20.0 * n + 10, 10), (0, 0), range(n, 8)) for n in range(8)]
    assert numbers(ScriptedBackend(late), rules=TrackRules(0.5, 3, 1))[-1] == [0, 1, 2]


def test_a_clip_without_frames_has_no_tracks() -> None:
    assert list(follow(ScriptedBackend([]), [], ["dog"], RULES)) == []


def test_a_frame_of_another_size_is_named() -> None:
    images = [numbered(0), numbered(1), numbered(2, 64, 48)]
    with pytest.raises(ValueError, match=r"^frame 2 is 64 x 48, those before it 320 x 240$"):
        list(follow(ScriptedBackend([]), images, ["dog"], RULES))


# --- any script -------------------------------------------------------------------------------------------------------

PLACES = [(60.0 * n, 20.0 * n, 60.0 * n + 40, 20.0 * n + 40) for n in range(5)]


@st.composite
def scripts(draw: st.DrawFn) -> ScriptedBackend:
    """Up to five things that stand apart, come and go, and are missed at times."""
    in_sight = st.frozensets(st.sampled_from(FRAMES))
    things = [Thing("dog", dict.fromkeys(sorted(draw(in_sight)), box)) for box in PLACES[: draw(st.integers(0, 5))]]
    missed = draw(st.frozensets(st.tuples(st.sampled_from(FRAMES), st.integers(0, 4))))
    return ScriptedBackend(things, missed)


@given(scripts())
def test_there_are_never_more_numbers_than_things_in_sight_at_once(backend: ScriptedBackend) -> None:
    at_once = max((sum(frame in thing.boxes for thing in backend.things) for frame in FRAMES), default=0)
    assert len({number for own in numbers(backend) for number in own}) <= at_once


@given(scripts())
def test_what_is_in_sight_and_found_has_one_track_and_nothing_else_has(backend: ScriptedBackend) -> None:
    for frame, (places,) in zip(FRAMES, followed(backend, ["dog"]), strict=True):
        in_sight = [thing.boxes[frame] for thing in backend.things if frame in thing.boxes]
        found = [
            thing.boxes[frame]
            for n, thing in enumerate(backend.things)
            if frame in thing.boxes and (frame, n) not in backend.missed
        ]
        assert sorted(places.values()) == sorted(set(places.values()))
        assert set(found) <= set(places.values()) <= set(in_sight)


# --- the parts --------------------------------------------------------------------------------------------------------


def test_the_best_of_overlapping_detections_is_kept() -> None:
    detections = [Detection((0, 0, 10, 8), 0.5), Detection((0, 0, 10, 10), 0.9), Detection((0, 6, 10, 10), 0.7)]
    assert distinct(detections, 0.5) == [(0, 0, 10, 10), (0, 6, 10, 10)]
    assert distinct(detections, 0.3) == [(0, 0, 10, 10)]
    assert distinct([], 0.5) == []


@pytest.mark.parametrize(
    ("first", "second", "pairs"),
    [
        ([], [(0, 0, 1, 1)], {}),
        ([(0, 0, 1, 1)], [], {}),
        ([(0, 0, 10, 10)], [(0, 0, 10, 5)], {0: 0}),  # an IoU of exactly 0.5
        ([(0, 0, 10, 10)], [(0, 0, 10, 4.9)], {}),
        ([(0, 0, 10, 10), (0, 0, 10, 8)], [(0, 0, 10, 8)], {1: 0}),
        ([(0, 0, 10, 10), (0, 0, 10, 8)], [(0, 0, 10, 8), (0, 0, 10, 6)], {0: 1, 1: 0}),
    ],
)
def test_boxes_are_assigned_one_to_one(first: list[Box], second: list[Box], pairs: dict[int, int]) -> None:
    assert assign(first, second, 0.5) == pairs


def test_pairs_below_the_least_overlap_take_no_box_from_a_pair_above_it() -> None:
    # Unbounded, the largest total is 0 with 0 (0.45) and 1 with 1 (0.43), which leaves no pair at all.
    first, second = [(0, 0, 10, 10), (0, 0, 10, 22)], [(0, 0, 10, 22), (0, 12, 10, 22)]
    assert assign(first, second, 0.5) == {1: 0}


def test_the_sum_of_distances_is_the_least_of_all_pairings() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 100, (2, 3, 2))
    first, second = ([(x, y, x + 1, y + 1) for x, y in own] for own in corners)
    pairs = nearest(first, second)
    costs = {
        order: sum(float(np.linalg.norm(corners[0][i] - corners[1][j])) for i, j in enumerate(order))
        for order in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    }
    assert tuple(pairs[i] for i in range(3)) == min(costs, key=lambda order: costs[order])
