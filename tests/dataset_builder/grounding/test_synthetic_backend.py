"""Things are found and followed by their colours, exactly, in pictures that went through H.264."""

import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from r_avst.dataset_builder.grounding.backend import Backend
from r_avst.dataset_builder.grounding.backend import Detection
from r_avst.dataset_builder.grounding.backend import Image
from r_avst.dataset_builder.grounding.synthetic_backend import SyntheticBackend
from r_avst.dataset_builder.grounding.synthetic_backend import SyntheticSession
from r_avst.dataset_builder.grounding.synthetic_backend import colour_of
from r_avst.dataset_builder.grounding.tracking import TrackRules
from r_avst.dataset_builder.grounding.tracking import follow
from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import ObjectTrack
from r_avst.dataset_builder.sources.synthetic import make_world
from r_avst.dataset_builder.sources.synthetic_things import THINGS
from r_avst.dataset_builder.sources.synthetic_things import Colour
from r_avst.dataset_builder.video import read_frames
from r_avst.metrics.avst_metrics.overlap import Box
from r_avst.metrics.avst_metrics.overlap import frame_iou

DOG, CAR = (255, 128, 0), (0, 0, 255)
LEFT, RIGHT, LOW = (10.0, 20.0, 40.0, 50.0), (100.0, 20.0, 130.0, 50.0), (60.0, 120.0, 90.0, 150.0)
BACKEND: Backend = SyntheticBackend()


def picture(*things: tuple[Colour, Box]) -> Image:
    """A grey frame of 256 x 192 with full boxes of these colours."""
    image = np.full((192, 256, 3), 64, np.uint8)
    for colour, (x1, y1, x2, y2) in things:
        image[int(y1) : int(y2), int(x1) : int(x2)] = colour
    return image


def started(image: Image, boxes: dict[int, Box]) -> SyntheticSession:
    session = SyntheticBackend().start(256, 192)
    session.step(image)
    session.add(boxes)
    return session


# --- the world --------------------------------------------------------------------------------------------------------


def compare(track: ObjectTrack, boxes: list[list[Box]]) -> list[tuple[int, int, float]]:
    """At each time: how many are to be seen, how many were, and their IoU."""
    true = [[one.box for one in frame.instances if one.visible] for frame in track.frames]
    return [(len(own), len(found), frame_iou(found, own)) for own, found in zip(true, boxes, strict=True)]


def followed(event: Event, path: Path) -> list[tuple[int, int, float]]:
    tracks = [track for track in event.objects if track.frames]
    images = (frame.image for frame in read_frames(path, [frame.time for frame in tracks[0].frames], "pyav"))
    places = list(follow(BACKEND, images, [track.name for track in tracks], TrackRules(0.5, 10, 1)))
    return [
        found
        for index, track in enumerate(tracks)
        for found in compare(track, [list(own[index].values()) for own in places])
    ]


def test_twelve_videos_are_followed_as_the_truth_says(tmp_path: Path) -> None:
    truth = make_world(tmp_path, 12, 0)
    found = [one for row in truth for event in row.events for one in followed(event, tmp_path / "videos" / row.file)]
    ious = [iou for true, _, iou in found if true]
    assert len(ious) > 300
    assert sum(not true for true, _, _ in found) > 10
    assert [(true, seen) for true, seen, _ in found if true != seen] == []
    assert np.mean([iou == 1 for iou in ious]) > 0.95
    assert min(ious) > 0.97


# --- finding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phrase", ["dog", "Dog", "a dog", "The DOGS."])
def test_a_name_is_known_in_any_case_number_and_with_articles(phrase: str) -> None:
    assert BACKEND.detect(picture((DOG, LEFT), (CAR, RIGHT)), [phrase]) == [[Detection(LEFT, 1.0)]]


@pytest.mark.parametrize("phrase", ["", ".", "the", "s", "ball", "dog cat", "hot dog", "unicorn", "犬"])
def test_a_phrase_that_names_nothing_finds_nothing(phrase: str) -> None:
    assert BACKEND.detect(picture((DOG, LEFT)), [phrase]) == [[]]


def test_every_thing_is_known() -> None:
    assert {thing.name: colour_of(f"the {thing.name}s") for thing in THINGS} == {
        thing.name: thing.colour for thing in THINGS
    }


def test_phrases_are_answered_in_their_order_with_all_instances() -> None:
    image = picture((DOG, LEFT), (DOG, LOW), (CAR, RIGHT))
    found = BACKEND.detect(image, ["car", "cat", "dog"])
    assert found == [[Detection(RIGHT, 1.0)], [], [Detection(LEFT, 1.0), Detection(LOW, 1.0)]]
    assert BACKEND.detect(image, []) == []


def test_specks_are_no_things() -> None:
    assert BACKEND.detect(picture((DOG, (10, 10, 17, 17))), ["dog"]) == [[]]
    assert BACKEND.detect(picture((DOG, (10, 10, 18, 18))), ["dog"]) == [[Detection((10, 10, 18, 18), 1.0)]]


@pytest.mark.parametrize(("shift", "seen"), [(0, True), (25, True), (36, False)])
def test_a_colour_may_be_a_little_off(shift: int, seen: bool) -> None:
    image = picture(((255 - shift, 128 + shift, 0), LEFT))
    assert bool(BACKEND.detect(image, ["dog"])[0]) == seen


# --- following --------------------------------------------------------------------------------------------------------


def test_a_thing_is_followed_out_of_sight_and_back() -> None:
    session = started(picture((DOG, LEFT), (CAR, LOW)), {3: LEFT})
    assert session.step(picture((DOG, RIGHT), (CAR, LEFT))) == {3: RIGHT}
    assert session.step(picture((CAR, LEFT))) == {3: None}
    assert session.step(picture((DOG, LOW))) == {3: LOW}


def test_what_is_added_is_where_its_colour_is_now() -> None:
    session = SyntheticBackend().start(256, 192)
    assert session.step(picture((DOG, LEFT), (CAR, RIGHT))) == {}
    assert session.add({0: (14.0, 24.0, 38.0, 44.0)}) == {0: LEFT}
    assert session.add({1: RIGHT}) == {1: RIGHT}
    assert session.step(picture((DOG, LOW), (CAR, RIGHT))) == {0: LOW, 1: RIGHT}


def test_two_of_one_colour_stay_apart() -> None:
    session = started(picture((DOG, LEFT), (DOG, RIGHT)), {0: RIGHT, 1: LEFT})
    nearer, nearer_too = (60.0, 20.0, 90.0, 50.0), (20.0, 30.0, 50.0, 60.0)
    assert session.step(picture((DOG, nearer), (DOG, nearer_too))) == {0: nearer, 1: nearer_too}


def test_two_of_one_colour_that_change_places_step_by_step_keep_their_numbers() -> None:
    start, other = (20.0, 40.0, 50.0, 70.0), (90.0, 10.0, 120.0, 40.0)
    session = started(picture((DOG, start), (DOG, other)), {0: start, 1: other})
    below, above = (55.0, 60.0, 85.0, 90.0), (55.0, 0.0, 85.0, 30.0)
    nearly_right, nearly_left = (90.0, 45.0, 120.0, 75.0), (20.0, 5.0, 50.0, 35.0)
    for first, second in [(below, above), (nearly_right, nearly_left), (RIGHT, LEFT)]:
        assert session.step(picture((DOG, first), (DOG, second))) == {0: first, 1: second}


def test_of_two_of_one_colour_the_nearer_one_is_still_seen_when_the_other_hides() -> None:
    session = started(picture((DOG, LEFT), (DOG, RIGHT)), {0: LEFT, 1: RIGHT})
    moved = (90.0, 20.0, 120.0, 50.0)
    assert session.step(picture((DOG, moved))) == {0: None, 1: moved}
    assert session.step(picture((DOG, LEFT), (DOG, moved))) == {0: LEFT, 1: moved}


def test_a_known_number_can_be_added_again_elsewhere() -> None:
    session = started(picture((DOG, LEFT), (CAR, RIGHT)), {0: LEFT})
    assert session.add({0: RIGHT}) == {0: RIGHT}
    assert session.step(picture((DOG, LEFT), (CAR, LOW))) == {0: LOW}


@pytest.mark.parametrize(
    "box",
    [(150.0, 100.0, 180.0, 130.0), (-50.0, -50.0, -10.0, -10.0), (300.0, 10.0, 340.0, 40.0)],
    ids=["background", "above", "beside"],
)
def test_a_box_on_nothing_is_out_of_sight(box: Box) -> None:
    session = started(picture((DOG, LEFT)), {})
    assert session.add({0: box, 1: LEFT}) == {0: None, 1: LEFT}
    assert session.step(picture((DOG, LEFT))) == {0: None, 1: LEFT}


def test_nothing_is_on_a_clip_that_has_not_begun() -> None:
    assert SyntheticBackend().start(256, 192).add({0: LEFT}) == {0: None}


def test_memory_does_not_grow_with_the_frames() -> None:
    session = started(picture((DOG, LEFT)), {0: LEFT})
    frames = [picture((DOG, LEFT)), picture((DOG, RIGHT))]

    def held(steps: int) -> int:
        for step in range(steps):
            session.step(frames[step % 2].copy())
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    first = held(10)
    grown = held(200) - first
    tracemalloc.stop()
    assert grown < 20_000  # a frame has 147,456 bytes


def test_the_backend_can_be_sent_to_a_worker() -> None:
    assert pickle.loads(pickle.dumps(BACKEND)) == BACKEND
