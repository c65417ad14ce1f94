"""A caption names the subjects of its event, all of them and nothing else, in words that vary."""

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r_avst.dataset_builder.records import Subject
from r_avst.dataset_builder.sources.synthetic_captions import caption
from r_avst.dataset_builder.sources.synthetic_plan import Scene
from r_avst.dataset_builder.sources.synthetic_plan import plan_video
from r_avst.dataset_builder.sources.synthetic_things import SILENT
from r_avst.dataset_builder.sources.synthetic_things import SOUNDING
from r_avst.dataset_builder.sources.synthetic_things import THINGS
from r_avst.dataset_builder.sources.synthetic_things import SoundingThing
from r_avst.dataset_builder.sources.synthetic_things import Thing

DOG, BIRD, FROG = SOUNDING[:3]
BALL, TREE = SILENT[:2]


def scenes(videos: int, seed: int) -> list[Scene]:
    return [scene for index in range(videos) for scene in plan_video(index, seed).scenes]


def named(text: str) -> list[str]:
    """The world's names in a text, in its order."""
    names = "|".join(thing.name for thing in THINGS)
    return re.findall(rf"\b(?:a|an unseen|two) ({names})s?\b", text.lower())


@given(st.integers(0, 10_000), st.integers())
def test_a_caption_names_the_subjects_in_their_order(index: int, seed: int) -> None:
    for scene in plan_video(index, seed).scenes:
        assert named(scene.caption) == [subject.name for subject in scene.subjects]


def test_equal_captions_have_equal_subjects() -> None:
    found: dict[str, tuple[Subject, ...]] = {}
    for seed in range(3):
        for scene in scenes(1000, seed):
            assert found.setdefault(scene.caption, scene.subjects) == scene.subjects
    assert len(found) > 4000


def test_wording_varies() -> None:
    names = "|".join(thing.name for thing in THINGS)
    words = "|".join(word for thing in SOUNDING for word in (thing.doing, thing.verb, thing.verbs))
    forms = {re.sub(rf"\b({words})\b", "does", re.sub(names, "thing", scene.caption)) for scene in scenes(200, 0)}
    assert len(forms) > 100


@pytest.mark.parametrize(
    ("seen", "unseen", "scenery", "pattern"),
    [
        ((DOG,), (), (), r"\ba dog\b.* bark"),
        ((DOG, DOG), (), (), r"\btwo dogs\b.* bark(ing)?\b"),
        ((DOG, BIRD), (), (), r"\ba dog\b.* bark.* a bird chirp"),
        ((DOG,), (FROG,), (), r"\ba dog\b.* bark.* (a frog .*croaking|an unseen frog croaks)"),
        ((DOG,), (), (BALL, TREE), r"\ba dog\b.* bark.* a red ball and a tree\b"),
    ],
    ids=["one", "two of a name", "two", "one unseen", "two silent"],
)
def test_each_cast_is_told(
    seen: tuple[SoundingThing, ...], unseen: tuple[SoundingThing, ...], scenery: tuple[Thing, ...], pattern: str
) -> None:
    for seed in range(50):
        text = caption(Random(seed), seen, unseen, scenery)
        assert re.search(pattern, text, re.IGNORECASE), text
        assert re.fullmatch(r"[A-Z].*[a-z]\.", text), text


def test_what_is_unseen_is_said_to_be() -> None:
    for seed in range(50):
        text = caption(Random(seed), (DOG,), (FROG,), ())
        assert re.search("off screen|out of view|not seen|unseen", text), text
