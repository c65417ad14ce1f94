"""Each kind of oddity is found where it is, and not where it is not."""

from dataclasses import replace
from pathlib import Path

import pytest

from r_avst.dataset_builder.oddities import CHECKS
from r_avst.dataset_builder.oddities import find_oddities
from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import ObjectTrack
from r_avst.dataset_builder.records import Question
from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.records import Video
from r_avst.dataset_builder.records import frames_of
from r_avst.dataset_builder.sources.release import read_release
from r_avst.metrics.avst_metrics.answers import Row
from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.answers import Task

BOX = (1.0, 2.0, 3.0, 4.0)
OTHER = (1.0, 2.0, 3.0, 5.0)
ZERO = (0.0, 0.0, 0.0, 0.0)
PLAIN: list[Row] = [(0.0, *BOX), (1.0, *BOX)]


def question(tracks: list[list[Row]], question_id: str = "v-0-spatial-0", task: Task = "spatial") -> Question:
    objects = tuple(ObjectTrack(f"object {index}", True, frames_of(rows)) for index, rows in enumerate(tracks))
    span = (0.0, 5.0)
    query_span, when = (span, None) if task == "spatial" else (None, span)
    return Question(question_id, "v-0", "v", task, f"Q {question_id}", "", "", query_span, when, objects)


def records(*questions: Question) -> Records:
    event = Event("v-0", "v", (0.0, 5.0), ("dog barking",), None, (), 1)
    return Records((Video("v", "test", 10.0, 640, 360),), (event,), questions)


def counts(found: Records) -> dict[str, int]:
    return {oddity.kind: oddity.count for oddity in find_oddities(found) if oddity.count}


def test_every_kind_is_reported_also_where_there_is_none() -> None:
    found = find_oddities(records(question([PLAIN])))
    assert [oddity.kind for oddity in found] == list(CHECKS)
    assert {oddity.count for oddity in found} == {0}
    assert all(oddity.unit and oddity.handling and oddity.where == () for oddity in found)


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        ([PLAIN, PLAIN], {}),
        ([[(0.0, *ZERO), (1.0, *BOX)]], {"invisible_rows": 1}),
        ([[(0.0, *ZERO), (1.0, *ZERO)], [(0.0, *ZERO)]], {"invisible_rows": 3}),
        ([[], PLAIN, []], {"empty_where": 2}),
        ([[(0.0, *BOX), (0.0, *OTHER)]], {"several_boxes_at_one_time": 1}),
        ([[(0.0, *BOX), (0.0, *OTHER), (1.0, *BOX), (1.0, *OTHER)]], {"several_boxes_at_one_time": 1}),
        ([[(0.0, *BOX)], [(0.0, *OTHER)]], {}),
        ([[(0.0, *BOX)] * 3], {"several_boxes_at_one_time": 1, "duplicate_rows": 2}),
        ([[(0.0, *ZERO)] * 2], {"several_boxes_at_one_time": 1, "invisible_rows": 2}),
        ([[(1.0, *BOX), (0.0, *BOX)]], {"times_not_ascending": 1}),
        (
            [[(0.0, *BOX), (1.0, *BOX), (0.0, *OTHER)]],
            {"times_not_ascending": 1, "several_boxes_at_one_time": 1},
        ),
        ([[(0.0, *BOX), (2.0, *BOX), (9.0, *BOX)]], {"gaps_in_time": 1}),
        ([[(9.0, *BOX), (0.0, *BOX)]], {"times_not_ascending": 1, "gaps_in_time": 1}),
        ([[(1.4, *BOX), (2.4, *BOX)], PLAIN], {"fractional_times": 1}),
        ([[(1.4, *BOX), (2.5, *BOX)]], {"fractional_times": 1, "gaps_in_time": 1}),
    ],
)
def test_oddities_of_rows_are_counted(tracks: list[list[Row]], expected: dict[str, int]) -> None:
    assert counts(records(question(tracks))) == expected


def test_an_object_of_a_temporal_question_needs_no_rows() -> None:
    assert counts(records(question([[]], task="temporal"))) == {}
    assert counts(records(question([[]], task="spatio_temporal"))) == {"empty_where": 1}


@pytest.mark.parametrize(
    ("task", "span", "expected"),
    [
        ("temporal", (0.0, 10.0), {}),
        ("temporal", (0.0, 10.05), {"span_ends_after_video": 1}),
        ("spatial", (0.0, 10.05), {"span_ends_after_video": 1}),
    ],
)
def test_a_span_that_ends_after_the_video_is_counted(task: Task, span: Span, expected: dict[str, int]) -> None:
    asked = question([PLAIN], task=task)
    changed = replace(asked, query_span=span) if task == "spatial" else replace(asked, when=span)
    assert counts(records(changed)) == expected


def test_a_question_asked_again_is_counted_but_not_the_same_text_of_another_video() -> None:
    first = question([PLAIN])
    again = replace(first, question_id="v-1-spatial-0")
    elsewhere = replace(first, question_id="w-0-spatial-0", video_id="w")
    own = records(first, again, elsewhere)
    own = replace(own, videos=(*own.videos, replace(own.videos[0], video_id="w")))
    (found,) = [oddity for oddity in find_oddities(own) if oddity.count]
    assert (found.kind, found.count, found.where) == ("asked_twice", 1, ("v-1-spatial-0",))


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((1, 2), {}),
        ((1, 1), {"repeated_event_numbers": 1}),
        ((1, 1, 1, 2, 2), {"repeated_event_numbers": 1}),
        ((None, None), {}),
    ],
)
def test_videos_with_repeated_event_numbers_are_counted_once(
    numbers: tuple[int | None, ...], expected: dict[str, int]
) -> None:
    own = records(question([PLAIN]))
    events = tuple(replace(own.events[0], event_id=f"v-{index}", number=number) for index, number in enumerate(numbers))
    assert counts(replace(own, events=events)) == expected


def test_a_missing_frame_size_and_missing_labels_are_counted() -> None:
    own = records(question([PLAIN]))
    bare = replace(own, videos=(Video("v", "test", 10.0),), events=(replace(own.events[0], labels=()),))
    found = {oddity.kind: oddity.where for oddity in find_oddities(bare) if oddity.count}
    assert found == {"no_frame_size": ("v",), "no_event_label": ("v-0",)}


def test_a_place_is_named_once_however_often_it_occurs_there() -> None:
    own = records(question([[(0.0, *ZERO), (1.0, *ZERO)]]), question([[(0.0, *ZERO)]], "v-0-spatial-1"))
    (found,) = [oddity for oddity in find_oddities(own) if oddity.count]
    assert (found.kind, found.count, found.where) == ("invisible_rows", 3, ("v-0-spatial-0", "v-0-spatial-1"))


def test_the_oddities_of_the_tiny_release_are_found_in_their_places(tiny_release: Path) -> None:
    spatial = "tiny_dog-0-spatial"
    assert {oddity.kind: (oddity.count, oddity.where) for oddity in find_oddities(read_release(tiny_release))} == {
        "invisible_rows": (1, (f"{spatial}-0",)),
        "empty_where": (1, (f"{spatial}-0",)),
        "several_boxes_at_one_time": (1, (f"{spatial}-1",)),
        "duplicate_rows": (1, (f"{spatial}-1",)),
        "times_not_ascending": (0, ()),
        "gaps_in_time": (1, (f"{spatial}-0",)),
        "fractional_times": (2, (f"{spatial}-0", f"{spatial}-1")),
        "span_ends_after_video": (1, ("tiny_dog-1-spatio_temporal-0",)),
        "asked_twice": (0, ()),
        "repeated_event_numbers": (1, ("tiny_dog",)),
        "no_frame_size": (2, ("tiny_dog", "tiny_car")),
        "no_event_label": (3, ("tiny_dog-0", "tiny_dog-1", "tiny_car-0")),
    }
