"""The filter keeps what the paper's rules keep, and tells what each of them removed."""

import json
from collections import Counter
from dataclasses import replace
from itertools import combinations
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import Video
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.sources.unav100 import read_unav_rows
from r_avst.dataset_builder.stages.filter import FilterStage
from r_avst.dataset_builder.stages.filter import describe
from r_avst.dataset_builder.stages.filter import distinct_events
from r_avst.dataset_builder.stages.filter import duration_group
from r_avst.dataset_builder.stages.filter import event_ratio
from r_avst.dataset_builder.stages.filter import merge_overlapping
from r_avst.dataset_builder.stages.stage import StageError

Spec = tuple[float, float, tuple[str, ...], str | None]  # start, end, labels, caption
OFF = FilterStage(
    duration_edges=None,
    min_duration=None,
    min_event=None,
    merge_overlapping=False,
    max_events=None,
    min_ratio=None,
    balance=False,
)
DOG, CAT = ("dog barking",), ("cat meowing",)


def row(*specs: Spec, duration: float = 30.0, video_id: str = "v", split: str = "test") -> VideoRow:
    events = (
        Event(f"{video_id}-{index}", video_id, (start, end), labels, caption, ())
        for index, (start, end, labels, caption) in enumerate(specs)
    )
    return VideoRow(Video(video_id, split, duration), f"{video_id}.mp4", tuple(events))


def distinct(count: int, video_id: str, split: str = "test") -> VideoRow:
    return row(*((float(own), own + 9.0, (), None) for own in range(count)), video_id=video_id, split=split)


def removed(stage: FilterStage, *rows: VideoRow) -> dict[str, list[str]]:
    _, report = stage.run(rows)
    return {rule["rule"]: rule["removed"] for rule in report["rules"] if rule["removed"]}


# --- UnAV-100 ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unav_test(unav_file: Path) -> list[VideoRow]:
    return [own for own in read_unav_rows(unav_file, None, None)[0] if own.video.split == "test"]


def test_the_rules_keep_2072_and_then_2049_of_the_2167_test_videos(unav_test: list[VideoRow]) -> None:
    kept, report = FilterStage(balance=False).run(unav_test)
    assert report["videos"] == 2167
    assert [(rule["rule"], len(rule["removed"]), rule["left"]) for rule in report["rules"]] == [
        ("durations", 0, 2167),
        ("short_clip", 0, 2167),
        ("no_event", 0, 2167),
        ("max_events", 95, 2072),
        ("min_ratio", 23, 2049),
    ]
    assert len(kept) == 2049
    assert (report["events_merged"], report["events_too_short"]) == (0, 0)


def test_the_kept_test_videos_are_those_that_a_plain_recount_keeps(unav_test: list[VideoRow], unav_file: Path) -> None:
    expected = set()
    for video_id, entry in json.loads(unav_file.read_text(encoding="utf-8"))["database"].items():
        labels = {one["label"] for one in entry["annotations"]}
        edges = sorted({edge for one in entry["annotations"] for edge in one["segment"]})
        covered = sum(
            end - start
            for start, end in pairwise(edges)
            if any(one["segment"][0] <= start and end <= one["segment"][1] for one in entry["annotations"])
        )
        if entry["subset"] == "test" and len(labels) <= 3 and covered / entry["duration"] >= 0.08:
            expected.add(video_id)
    kept, _ = FilterStage(balance=False).run(unav_test)
    assert {own.video.video_id for own in kept} == expected


def test_the_balanced_test_videos_have_one_two_and_three_events_205_times_each(unav_test: list[VideoRow]) -> None:
    kept, report = FilterStage().run(unav_test)
    assert Counter(map(distinct_events, kept)) == {1: 205, 2: 205, 3: 205}
    assert sum(cell["videos"] for cell in report["kept"]) == 615
    assert {cell["duration"] for cell in report["kept"]} == {"0-20", "20-40", "40-60"}
    assert [own.video.video_id for own in kept] == [own.video.video_id for own in unav_test if own in kept]


def test_other_seeds_draw_others(unav_test: list[VideoRow]) -> None:
    first, second, again = (set(FilterStage(seed=seed).run(unav_test)[0]) for seed in (0, 1, 0))
    assert first == again
    assert len(first & second) < 500


def test_nothing_of_unav_100_is_too_short_and_two_of_its_events_become_one(unav_file: Path) -> None:
    _, report = FilterStage().run(read_unav_rows(unav_file, None, None)[0])
    assert (report["videos"], report["events"]) == (10790, 30059)
    assert (report["events_merged"], report["events_too_short"]) == (1, 0)
    assert [rule["left"] for rule in report["rules"]] == [10790, 10790, 10790, 10326, 10217, 2964]


# --- each rule --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "rule"),
    [
        (row((0, 9, DOG, None)), None),
        (row((0, 9, DOG, None), duration=60.06), None),
        (row((0, 9, DOG, None), duration=60.2), "durations"),
        (row((0, 9, DOG, None), duration=600), "durations"),
        (row((0, 4, DOG, None), duration=5), None),
        (row((0, 4, DOG, None), duration=4.9), "short_clip"),
        (row(), "no_event"),
        (row((3, 3.1, DOG, None)), "no_event"),
        (row((3, 3, DOG, None)), "no_event"),
        (row((0, 9, DOG, None), (1, 2, CAT, None), (2, 3, (), None)), None),
        (row((0, 9, DOG, None), (1, 2, CAT, None), (2, 3, (), None), (3, 4, (), None)), "max_events"),
        (row(*((own, own + 1, DOG, None) for own in range(0, 20, 2))), None),
        (row((0, 9, ("dog barking", "cat meowing"), None), (1, 2, ("man speaking", "engine knocking"), None)), "max_events"),
        (row((0, 2.4, DOG, None)), None),
        (row((0, 2.3, DOG, None)), "min_ratio"),
        (row((0, 2, DOG, None), (1, 2.3, CAT, None)), "min_ratio"),
        (row((29, 90, DOG, None)), "min_ratio"),
    ],
)
def test_a_video_is_removed_by_the_rule_that_it_breaks(own: VideoRow, rule: str | None) -> None:
    assert removed(FilterStage(), own) == ({rule: ["v"]} if rule else {})
    kept, _ = OFF.run([own])
    assert kept == ((own,) if own.events else ())


@pytest.mark.parametrize(
    ("duration", "group"), [(0, 0), (19.99, 0), (20, 1), (40, 2), (60, 2), (60.1, 2), (60.2, None), (-1, None)]
)
def test_a_group_holds_its_lower_end_and_the_last_also_its_upper(duration: float, group: int | None) -> None:
    assert duration_group(duration, (0, 20, 40, 60)) == group


@pytest.mark.parametrize("edges", [(), (60,), (0, 20, 20), (40, 20), (0, float("nan"))])
def test_edges_that_make_no_groups_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(StageError, match=r"the duration edges are .*0 20 40 60"):
        FilterStage(duration_edges=edges)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([(0, 5, DOG, "a"), (4, 9, DOG, "b")], [("v-0", (0, 9), "a b")]),
        ([(4, 9, DOG, "b"), (0, 5, DOG, "a")], [("v-0", (0, 9), "a b")]),
        ([(0, 5, DOG, "a"), (4, 9, DOG, "a")], [("v-0", (0, 9), "a")]),
        ([(0, 5, DOG, None), (4, 9, DOG, None)], [("v-0", (0, 9), None)]),
        ([(0, 9, DOG, "a"), (2, 3, DOG, None), (8, 12, DOG, "c")], [("v-0", (0, 12), "a c")]),
        ([(0, 5, DOG, "a"), (5, 9, DOG, "b")], [("v-0", (0, 5), "a"), ("v-1", (5, 9), "b")]),
        ([(0, 5, DOG, "a"), (4, 9, CAT, "b")], [("v-0", (0, 5), "a"), ("v-1", (4, 9), "b")]),
        ([(0, 5, (), "a"), (4, 9, (), "b")], [("v-0", (0, 5), "a"), ("v-1", (4, 9), "b")]),
        ([(6, 9, DOG, "c"), (0, 5, CAT, "a"), (7, 11, DOG, "d")], [("v-0", (6, 11), "c d"), ("v-1", (0, 5), "a")]),
    ],
)
def test_overlapping_events_of_one_label_become_one(before: list[Spec], after: list[Any]) -> None:
    merged = merge_overlapping(row(*before)).events
    assert [(own.event_id, own.span, own.caption) for own in merged] == after


# --- random videos ----------------------------------------------------------------------------------------------------

spans = st.tuples(st.integers(0, 30), st.integers(1, 10)).map(lambda own: (float(own[0]), float(own[0] + own[1])))
specs = st.lists(st.tuples(spans, st.sampled_from([DOG, CAT, ()])).map(lambda own: (*own[0], own[1], None)), max_size=8)


def seconds_of(own: VideoRow, labels: tuple[str, ...]) -> set[int]:
    spans_of_label = (event.span for event in own.events if event.labels == labels)
    return {second for start, end in spans_of_label for second in range(int(start), int(end))}


@given(specs)
def test_what_overlaps_is_together_afterwards_and_nothing_else(own: list[Spec]) -> None:
    before = row(*own)
    after = merge_overlapping(before)
    for labels in (DOG, CAT):
        assert seconds_of(after, labels) == seconds_of(before, labels)
        same = [e.span for e in after.events if e.labels == labels]
        assert all(a[1] <= b[0] or b[1] <= a[0] for a, b in combinations(same, 2))
    assert [e for e in after.events if not e.labels] == [e for e in before.events if not e.labels]
    assert {e.event_id for e in after.events} <= {e.event_id for e in before.events}
    assert merge_overlapping(after) == after


@given(specs, st.integers(5, 60))
def test_the_ratio_is_the_share_of_covered_seconds(own: list[Spec], duration: int) -> None:
    covered = sum(any(start <= second < end for start, end, *_ in own) for second in range(duration))
    assert event_ratio(row(*own, duration=duration)) == pytest.approx(covered / duration)


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["train", "test"])), max_size=40), st.integers(0, 3))
def test_each_split_keeps_as_many_videos_of_each_number_of_events(own: list[tuple[int, str]], seed: int) -> None:
    rows = [distinct(count, f"v{index}", split) for index, (count, split) in enumerate(own)]
    kept, _ = replace(OFF, balance=True, seed=seed).run(rows)
    for split in ("train", "test"):
        had = Counter(count for count, where in own if where == split)
        has = Counter(distinct_events(one) for one in kept if one.video.split == split)
        assert has == dict.fromkeys(had, min(had.values(), default=0))


@given(st.lists(st.integers(1, 3), min_size=1, max_size=30), st.integers(1, 3))
def test_a_video_that_is_added_changes_at_most_one_draw_of_each_number(counts: list[int], added: int) -> None:
    rows = [distinct(count, f"v{index}") for index, count in enumerate(counts)]
    stage = replace(OFF, balance=True)
    if added not in counts:
        rows.append(distinct(added, "first"))
    before, after = stage.run(rows)[0], stage.run([*rows, distinct(added, "added")])[0]
    gone = Counter(distinct_events(own) for own in set(before) - set(after))
    assert gone in ({}, {added: 1})


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_table_tells_what_each_rule_removed_also_from_the_stored_report() -> None:
    rows = [distinct(4, "four"), distinct(1, "one"), row((0, 1, DOG, None), video_id="little"), row(video_id="none")]
    _, report = FilterStage(min_event=None).run(rows)
    text = describe(json.loads(json.dumps(report)))
    assert text == describe(report)
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line.startswith("│")]
    assert cells == [
        ["rule", "setting", "removed", "left"],
        ["", "", "", "4"],
        ["durations", "0, 20, 40, 60", "0", "4"],
        ["short_clip", "5", "0", "4"],
        ["no_event", "off", "1", "3"],
        ["max_events", "3", "1", "2"],
        ["min_ratio", "0.08", "1", "1"],
        ["balance", "0", "0", "1"],
        ["split", "seconds", "1 event"],
        ["test", "20-40", "1"],
    ]


def test_a_set_of_which_nothing_is_left_has_a_table_too() -> None:
    kept, report = FilterStage().run([row()])
    assert kept == ()
    assert "no_event" in describe(report)
    assert FilterStage().run([])[0] == ()


def test_without_groups_the_table_counts_all_durations_together() -> None:
    _, report = OFF.run([distinct(1, "a"), replace(distinct(1, "b"), video=Video("b", "test", 900.0))])
    assert report["kept"] == [{"split": "test", "duration": "0-inf", "events": 1, "videos": 2}]
