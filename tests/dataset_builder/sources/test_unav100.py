"""Every event is labelled by the UnAV-100 segments on its span."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest

from r_avst.dataset_builder.build import build_release
from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.sources.unav100 import Segment
from r_avst.dataset_builder.sources.unav100 import UnavError
from r_avst.dataset_builder.sources.unav100 import read_unav
from r_avst.dataset_builder.sources.unav100 import with_labels
from r_avst.metrics.avst_metrics.answers import Span

GOOD = {"segment": [1.38, 6.04], "label": "dog barking", "label_id": 12}
TOLERANCE = 0.06 + 1e-6


def database(*annotations: Any) -> dict[str, Any]:
    return {"version": "1", "database": {"tiny_dog": {"duration": 10.0, "subset": "test", "annotations": list(annotations)}}}


def written(folder: Path, content: Any) -> Path:
    path = folder / "unav.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


# --- a small file -----------------------------------------------------------------------------------------------------


def test_segments_are_read_by_video(tmp_path: Path) -> None:
    other = {"segment": [7, 9], "label": "cat meowing", "label_id": 22}
    assert read_unav(written(tmp_path, database(GOOD, other))) == {
        "tiny_dog": (Segment((1.38, 6.04), "dog barking"), Segment((7.0, 9.0), "cat meowing"))
    }


def labels(span: Span, *segments: Segment) -> tuple[str, ...]:
    records = Records((), (Event("tiny_dog-0", "tiny_dog", span, (), None, ()),), ())
    return with_labels(records, {"tiny_dog": segments}).events[0].labels


@pytest.mark.parametrize(
    ("segment", "same"),
    [
        ((1.4, 6.0), True),
        ((1.341, 6.059), True),
        ((1.459, 5.941), True),
        ((1.339, 6.0), False),
        ((1.461, 6.0), False),
        ((1.4, 5.939), False),
        ((1.4, 6.061), False),
        ((0.0, 10.0), False),
    ],
)
def test_a_segment_labels_an_event_within_the_tolerance_at_both_ends(segment: Span, same: bool) -> None:
    assert labels((1.4, 6.0), Segment(segment, "dog barking")) == (("dog barking",) if same else ())


def test_labels_stand_once_each_in_the_order_of_their_ids() -> None:
    segments = [Segment((1.4, 6.0), name) for name in ("cat meowing", "dog barking", "cat meowing", "man speaking")]
    assert labels((1.4, 6.0), *segments) == ("man speaking", "dog barking", "cat meowing")


def test_a_video_without_segments_has_no_labels() -> None:
    records = Records((), (Event("tiny_dog-0", "tiny_dog", (1.4, 6.0), (), None, ()),), ())
    assert with_labels(records, {"tiny_car": (Segment((1.4, 6.0), "dog barking"),)}) == records


def test_labels_reach_the_questions_of_the_built_data_set(tiny_release: Path, tmp_path: Path) -> None:
    out = tmp_path / "r-avst"
    build_release(str(tiny_release), written(tmp_path, database(GOOD)), None, out)
    questions = datasets.load_dataset(str(out), split="test")
    assert dict(zip(questions["question_id"], questions["event_labels"], strict=True)) == {
        "tiny_dog-0-temporal-0": [12],
        "tiny_car-0-temporal-0": [],
        "tiny_dog-0-spatial-0": [12],
        "tiny_dog-0-spatial-1": [12],
        "tiny_dog-1-spatio_temporal-0": [],
    }
    assert datasets.load_dataset(str(out), "events", split="test")["labels"][:] == [[12], [], []]


# --- files that are not in the published form -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe\x80", "no JSON .*utf-8"),
        (b"<html>404</html>", "no JSON .*is it unav100_annotations.json"),
        (b"[" * 100_000, "no JSON"),
        ([], "not in UnAV-100's form"),
        ({}, "not in UnAV-100's form .*database.*is it unav100_annotations.json"),
        ({"database": []}, "not in UnAV-100's form"),
        ({"database": {"tiny_dog": None}}, "not in UnAV-100's form"),
        ({"database": {"tiny_dog": {}}}, "not in UnAV-100's form .*annotations"),
    ],
    ids=["empty", "bytes", "page", "deep", "list", "no database", "database a list", "video null", "no annotations"],
)
def test_a_file_that_is_not_unav_100_s_is_named(tmp_path: Path, content: Any, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(UnavError, match=f"^{re.escape(str(path))}: {message}"):
        read_unav(path)


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"label": "dog purring"}, "'dog purring' is none of the 100 event classes"),
        ({"label": None}, "None is none of the 100 event classes"),
        ({"segment": None}, "NoneType"),
        ({"segment": [1.0]}, "values"),
        ({"segment": [1.0, 2.0, 3.0]}, "values"),
        ({"segment": ["a", "b"]}, "'a'"),
        ({"segment": [1.0, float("nan")]}, "nan"),
        ({"segment": [1.0, 10**400]}, "too large"),
    ],
)
def test_a_bad_segment_is_named_with_its_file_and_video(tmp_path: Path, changes: dict[str, Any], fragment: str) -> None:
    path = written(tmp_path, database(GOOD, {**GOOD, **changes}))
    with pytest.raises(UnavError) as caught:
        read_unav(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert fragment in str(caught.value)
    assert "tiny_dog" in str(caught.value)


# --- the published files ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(release_file: Path, unav_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("labelled") / "r-avst"
    build_release(str(release_file), unav_file, None, out)
    return out


def expected_label_ids(release_file: Path, unav_file: Path) -> Iterator[tuple[str, list[int]]]:
    """Question id and label ids, straight from the two published files."""
    published = json.loads(unav_file.read_text(encoding="utf-8"))["database"]
    tasks = {"AV Temporal Reasoning": "temporal", "AV Spatial Reasoning": "spatial", "AV ST Reasoning": "spatio_temporal"}
    for entry in json.loads(release_file.read_text(encoding="utf-8")):
        segments = published[entry["video_name"]]["annotations"]
        for number, annotation in enumerate(entry["annotation"]):
            for key, task in tasks.items():
                for ordinal, pair in enumerate(annotation.get(key, [])):
                    asked = re.search(r"between ([\d.]+) and ([\d.]+), ", pair["Q"]) if task == "spatial" else None
                    found = asked or re.search(r"<when>\[([\d.]+), ([\d.]+)\]</when>", pair["A"])
                    assert found
                    start, end = float(found[1]), float(found[2])
                    same = [
                        one["label_id"]
                        for one in segments
                        if abs(one["segment"][0] - start) <= TOLERANCE and abs(one["segment"][1] - end) <= TOLERANCE
                    ]
                    yield f"{entry['video_name']}-{number}-{task}-{ordinal}", sorted(set(same))


def test_the_labels_of_all_1638_questions_are_those_of_the_segments(
    built: Path, release_file: Path, unav_file: Path
) -> None:
    questions = datasets.load_dataset(str(built), split="test")
    found = dict(zip(questions["question_id"], questions["event_labels"], strict=True))
    assert len(found) == 1638
    assert found == dict(expected_label_ids(release_file, unav_file))


def test_39_questions_have_two_or_three_labels_and_the_others_one(built: Path) -> None:
    questions = datasets.load_dataset(str(built), split="test")
    assert Counter(len(own) for own in questions["event_labels"]) == {1: 1599, 2: 35, 3: 4}


def test_every_released_event_has_a_label(built: Path) -> None:
    events = datasets.load_dataset(str(built), "events", split="test")
    assert len(events) == 1107
    assert all(events["labels"])
    report = json.loads((built / "build_report.json").read_text(encoding="utf-8"))
    assert report["oddities"]["no_event_label"]["count"] == 0


def test_every_published_video_and_segment_is_read(unav_file: Path) -> None:
    segments = read_unav(unav_file)
    assert (len(segments), sum(map(len, segments.values()))) == (10790, 30059)
