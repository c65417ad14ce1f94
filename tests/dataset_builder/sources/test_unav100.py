"""Every event is labelled by the UnAV-100 segments on its span."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from written_videos import write_sound
from written_videos import write_video

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.records import Video
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.sources.unav100 import Segment
from r_avst.dataset_builder.sources.unav100 import UnavError
from r_avst.dataset_builder.sources.unav100 import read_unav
from r_avst.dataset_builder.sources.unav100 import read_unav_rows
from r_avst.dataset_builder.sources.unav100 import with_labels
from r_avst.dataset_builder.sources.user_files import LineError
from r_avst.dataset_builder.video import VideoError
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


# --- rows for the pipeline --------------------------------------------------------------------------------------------

CAT = {"segment": [7, 9], "label": "cat meowing", "label_id": 22}
TWO_ON_ONE_SPAN = {"segment": [1.38, 6.04], "label": "man speaking", "label_id": 0}


def captions(folder: Path, *lines: Any) -> Path:
    path = folder / "captions.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def caption(start: float, end: float, text: str = "A dog barks.", video_id: str = "tiny_dog") -> dict[str, Any]:
    return {"video_id": video_id, "span": [start, end], "caption": text}


def event(index: int, span: Span, label: str, text: str | None = None) -> Event:
    return Event(f"tiny_dog-{index}", "tiny_dog", span, (label,), text, ())


@pytest.mark.parametrize(("subset", "split"), [("train", "train"), ("validation", "train"), ("test", "test")])
def test_a_video_becomes_a_row_with_an_event_a_segment(tmp_path: Path, subset: str, split: str) -> None:
    content = database(GOOD, CAT)
    content["database"]["tiny_dog"]["subset"] = subset
    rows, report = read_unav_rows(written(tmp_path, content), None, None)
    events = (event(0, (1.38, 6.04), "dog barking"), event(1, (7.0, 9.0), "cat meowing"))
    assert rows == (VideoRow(Video("tiny_dog", split, 10.0), "tiny_dog.mp4", events),)
    assert report == {"videos": 1}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("duration", None, "the duration is None"),
        ("duration", "10", "the duration is '10'"),
        ("duration", True, "the duration is True"),
        ("duration", 0, "the duration is 0; it must be above 0"),
        ("duration", float("nan"), "the duration is nan"),
        ("duration", 10**400, "the duration is 1000"),
        ("subset", None, "the subset is None; known are train, validation, test"),
        ("subset", ["test"], "the subset is"),
        ("subset", "dev", "the subset is 'dev'"),
    ],
)
def test_a_bad_video_is_named(tmp_path: Path, key: str, value: Any, message: str) -> None:
    content = database(GOOD)
    content["database"]["tiny_dog"][key] = value
    path = written(tmp_path, content)
    with pytest.raises(UnavError, match=f"^{re.escape(str(path))}: video tiny_dog: {message}"):
        read_unav_rows(path, None, None)


def test_an_id_that_is_no_name_of_a_file_is_refused(tmp_path: Path) -> None:
    content = {"database": {"../dog": database(GOOD)["database"]["tiny_dog"]}}
    with pytest.raises(UnavError, match=r"video \.\./dog: .*rename the video"):
        read_unav_rows(written(tmp_path, content), None, None)


def test_only_videos_that_can_be_opened_and_are_of_the_right_length_are_kept(tmp_path: Path) -> None:
    entry = database(GOOD)["database"]["tiny_dog"]
    path = written(tmp_path, {"database": dict.fromkeys(("dog", "short", "sound", "gone"), entry)})
    folder = tmp_path / "videos" / "deeper"
    folder.mkdir(parents=True)
    write_video(folder / "dog.mp4", 64, 48, 10)
    write_video(folder / "short.mkv", 64, 48, 3)
    write_sound(folder / "sound.mp4", 1)
    rows, report = read_unav_rows(path, tmp_path / "videos", None)
    assert [(row.video, row.file) for row in rows] == [(Video("dog", "test", 10.0, 64, 48), "deeper/dog.mp4")]
    assert (report["videos"], report["missing"]) == (1, ["gone"])
    assert "there is no picture in it" in report["unreadable"]["sound"]
    assert report["other_duration"] == {"short": "annotations 10.00 s, file 3.00 s"}
    json.dumps(report)


def test_the_caption_of_a_video_without_a_file_is_no_stray_line(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    lines = captions(tmp_path, caption(7, 9))
    rows, report = read_unav_rows(written(tmp_path, database(GOOD, CAT)), tmp_path / "videos", lines)
    assert rows == ()
    assert (report["missing"], report["unmatched"], report["uncaptioned"]) == (["tiny_dog"], [], [])


def test_a_folder_of_videos_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="there is no such folder"):
        read_unav_rows(written(tmp_path, database(GOOD)), tmp_path / "absent", None)


@pytest.mark.parametrize(
    ("lines", "texts", "unmatched", "duplicate"),
    [
        ([], [None, None, None], 0, 0),
        ([caption(7.059, 8.941, "A cat.")], [None, "A cat.", None], 0, 0),
        ([caption(7.061, 9.0, "A cat.")], [None, None, None], 1, 0),
        ([caption(7, 9, "A cat.", "other")], [None, None, None], 1, 0),
        ([caption(7, 9, "A cat."), caption(7, 9.05, "Another.")], [None, "A cat.", None], 0, 1),
        ([caption(1.4, 6.0, "A dog."), caption(1.4, 6.0, "A man.")], ["A dog.", None, "A man."], 0, 0),
        ([caption(1.4, 6.0)] * 3, ["A dog barks.", None, "A dog barks."], 0, 1),
    ],
)
def test_a_caption_belongs_to_the_segment_on_its_span(
    tmp_path: Path, lines: list[Any], texts: list[str | None], unmatched: int, duplicate: int
) -> None:
    path = written(tmp_path, database(GOOD, CAT, TWO_ON_ONE_SPAN))
    rows, report = read_unav_rows(path, None, captions(tmp_path, *lines))
    assert [own.caption for own in rows[0].events] == texts
    assert (len(report["unmatched"]), len(report["duplicate"])) == (unmatched, duplicate)
    assert report["uncaptioned"] == [f"tiny_dog-{index}" for index, text in enumerate(texts) if text is None]


def test_the_nearest_of_two_segments_gets_the_caption_and_a_problem_names_its_line(tmp_path: Path) -> None:
    near = {"segment": [7.05, 9.0], "label": "dog barking", "label_id": 12}
    path = written(tmp_path, database(CAT, near))
    lines = captions(tmp_path, caption(7.05, 9, "The dog."), caption(3, 4))
    rows, report = read_unav_rows(path, None, lines)
    assert [own.caption for own in rows[0].events] == [None, "The dog."]
    assert report["unmatched"] == ["line 2: tiny_dog [3.0, 4.0]"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"span": [1, 2], "caption": "A dog."}, "'video_id'"),
        (caption(2, 1), "'span'"),
        (caption(1, 2, ""), "'caption'"),
        ("text", "an object is expected"),
    ],
)
def test_a_bad_line_of_captions_is_named_with_its_number(tmp_path: Path, line: Any, problem: str) -> None:
    lines = captions(tmp_path, caption(7, 9), line)
    with pytest.raises(LineError, match=f"^{re.escape(str(lines))}, line 2: {problem}"):
        read_unav_rows(written(tmp_path, database(CAT)), None, lines)


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


def test_every_published_video_becomes_a_row_of_its_split(unav_file: Path) -> None:
    rows, report = read_unav_rows(unav_file, None, None)
    assert Counter(row.video.split for row in rows) == {"train": 6489 + 2134, "test": 2167}
    assert sum(len(row.events) for row in rows) == 30059
    assert report == {"videos": 10790}
