"""The classes are UnAV-100's, in the order of its label ids."""

import json
from pathlib import Path

import pytest

from r_avst.dataset_builder.event_classes import UNAV_100


def test_there_are_a_hundred_different_names() -> None:
    assert len(UNAV_100) == len(set(UNAV_100)) == 100


@pytest.mark.parametrize(
    ("label_id", "name"), [(0, "man speaking"), (12, "dog barking"), (36, "skateboarding"), (99, "hair dryer drying")]
)
def test_known_label_ids_have_their_names(label_id: int, name: str) -> None:
    assert UNAV_100[label_id] == name


def test_the_order_is_that_of_the_published_label_ids(unav_file: Path) -> None:
    database = json.loads(unav_file.read_text(encoding="utf-8"))["database"]
    published = {(one["label_id"], one["label"]) for video in database.values() for one in video["annotations"]}
    assert sorted(published) == list(enumerate(UNAV_100))
