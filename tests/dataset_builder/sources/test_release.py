"""The released file is read whole; what is not in its form is named with its place."""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.dataset_builder.dataset_folder import REPORT
from r_avst.dataset_builder.oddities import find_oddities
from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.records import Video
from r_avst.dataset_builder.sources.release import ReleaseError
from r_avst.dataset_builder.sources.release import read_release

TASK_OF_KEY = {"AV Temporal Reasoning": "temporal", "AV Spatial Reasoning": "spatial", "AV ST Reasoning": "spatio_temporal"}
PUBLISHED_ODDITIES = {
    "invisible_rows": 2966,
    "empty_where": 145,
    "several_boxes_at_one_time": 263,
    "duplicate_rows": 365,
    "times_not_ascending": 27,
    "gaps_in_time": 85,
    "fractional_times": 378,
    "span_ends_after_video": 12,
    "asked_twice": 4,
    "repeated_event_numbers": 16,
    "no_frame_size": 1070,
    "no_event_label": 1107,
}
REMOVED = object()

# --- the released file ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def released(release_file: Path) -> Records:
    return read_release(release_file)


@pytest.fixture(scope="module")
def released_report(release_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("release") / "r-avst"
    build_release(str(release_file), None, None, out)
    report: dict[str, Any] = json.loads((out / REPORT).read_text(encoding="utf-8"))
    return report


def walk(path: Path) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Question id, task, and question with answer, straight from the file."""
    for entry in json.loads(path.read_text(encoding="utf-8")):
        for number, annotation in enumerate(entry["annotation"]):
            for key, task in TASK_OF_KEY.items():
                for ordinal, pair in enumerate(annotation.get(key, [])):
                    yield f"{entry['video_name']}-{number}-{task}-{ordinal}", task, pair


def test_the_released_file_has_its_published_size(released: Records) -> None:
    assert (len(released.videos), len(released.events), len(released.questions)) == (1070, 1107, 1638)
    assert Counter(question.task for question in released.questions) == {
        "temporal": 666,
        "spatial": 666,
        "spatio_temporal": 306,
    }
    instances = [
        one
        for question in released.questions
        for track in question.objects
        for frame in track.frames
        for one in frame.instances
    ]
    assert (len(instances), sum(not one.visible for one in instances)) == (30737, 2966)


def test_every_released_question_is_kept_word_for_word_in_order(released: Records, release_file: Path) -> None:
    found = [(own.question_id, own.task, own.question, own.answer) for own in released.questions]
    assert found == [(question_id, task, pair["Q"], pair["A"]) for question_id, task, pair in walk(release_file)]


def test_every_released_box_is_kept_in_order(released: Records, release_file: Path) -> None:
    number = r"[\d.]+"
    row_text = re.compile(rf"^({number}): \[({number}), ({number}), ({number}), ({number})\]$", re.MULTILINE)
    expected = [[tuple(map(float, row)) for row in row_text.findall(pair["A"])] for _, _, pair in walk(release_file)]
    assert expected == [
        [
            (frame.time, *one.box)
            for track in question.objects
            for frame in track.frames
            for one in frame.instances
        ]
        for question in released.questions
    ]  # fmt: skip


def test_released_videos_are_in_the_test_split_and_ids_are_unique(released: Records) -> None:
    assert {video.split for video in released.videos} == {"test"}
    assert len({video.video_id for video in released.videos}) == 1070
    assert len({event.event_id for event in released.events}) == 1107
    assert len({question.question_id for question in released.questions}) == 1638


def test_every_published_oddity_is_counted(released: Records) -> None:
    assert {oddity.kind: oddity.count for oddity in find_oddities(released)} == PUBLISHED_ODDITIES


def test_the_build_report_bears_the_published_counts(released_report: dict[str, Any], release_file: Path) -> None:
    assert {kind: own["count"] for kind, own in released_report["oddities"].items()} == PUBLISHED_ODDITIES
    assert released_report["source"]["sha256"] == hashlib.sha256(release_file.read_bytes()).hexdigest()
    assert {key: released_report["counts"][key] for key in ("videos", "events", "questions")} == {
        "videos": 1070,
        "events": 1107,
        "questions": 1638,
    }
    assert (released_report["counts"]["box_rows"], released_report["counts"]["invisible_box_rows"]) == (30737, 2966)


def test_the_build_report_tells_the_paper_s_counts_beside_ours(released_report: dict[str, Any]) -> None:
    assert released_report["paper"] == {
        "videos": {"paper": 1066, "here": 1070},
        "temporal": {"paper": 663, "here": 666},
        "spatial": {"paper": 664, "here": 666},
        "spatio_temporal": {"paper": 306, "here": 306},
    }


def test_the_build_report_names_a_place_for_every_oddity(released_report: dict[str, Any], released: Records) -> None:
    places = {question.question_id for question in released.questions}
    places |= {video.video_id for video in released.videos} | {event.event_id for event in released.events}
    for own in released_report["oddities"].values():
        assert own["where"]
        assert set(own["where"]) <= places


# --- a small file -----------------------------------------------------------------------------------------------------


def test_the_tiny_release_becomes_records(tiny_release: Path) -> None:
    records = read_release(tiny_release)
    assert records.videos == (Video("tiny_dog", "test", 10.0), Video("tiny_car", "test", 45.5))
    assert [(own.question_id, own.event_id, own.question_type, own.query_span, own.when) for own in records.questions] == [
        ("tiny_dog-0-temporal-0", "tiny_dog-0", "when", None, (1.4, 6.0)),
        ("tiny_dog-0-spatial-0", "tiny_dog-0", "where_sounding", (1.4, 6.0), None),
        ("tiny_dog-0-spatial-1", "tiny_dog-0", "where_silent", (1.4, 6.0), None),
        ("tiny_dog-1-spatio_temporal-0", "tiny_dog-1", "when_where", None, (7.0, 10.1)),
        ("tiny_car-0-temporal-0", "tiny_car-0", "when", None, (0.0, 44.4)),
    ]


def test_an_event_holds_every_object_once_with_its_boxes(tiny_release: Path) -> None:
    events = read_release(tiny_release).events
    assert [(event.event_id, event.span, event.number) for event in events] == [
        ("tiny_dog-0", (1.4, 6.0), 1),
        ("tiny_dog-1", (7.0, 10.1), 1),
        ("tiny_car-0", (0.0, 44.4), 1),
    ]
    assert [[(track.name, track.audible, len(track.frames)) for track in event.objects] for event in events] == [
        [("Dog", True, 4), ("a red ball", True, 0), ("Trees", False, 2)],
        [("A cat", True, 2)],
        [("Car", True, 0)],
    ]


# --- files that are not in the released form --------------------------------------------------------------------------

FIRST = (0, "annotation", 0)
TEMPORAL, SPATIAL, ST = "AV Temporal Reasoning", "AV Spatial Reasoning", "AV ST Reasoning"
IN_FIRST = r"entry 0 \(video tiny_dog\): annotation 0: "
IN_TEMPORAL = IN_FIRST + r"AV Temporal Reasoning, question 0: "
IN_SPATIAL = IN_FIRST + r"AV Spatial Reasoning, question 0: "
IN_ST = r"entry 0 \(video tiny_dog\): annotation 1: AV ST Reasoning, question 0: "
ENTRY = {"video_name": "tiny_dog", "duration": 3.0, "annotation": []}


def where_sounding(span: str) -> str:
    return f"What visible object(s) make sound between {span}, and where is/are they?"


def spatial_answer(row: str) -> str:
    return f"<answer>\n<object>Dog</object>\n<where>\n{row}\n</where>\n</answer>"


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        # the entry
        ((1,), None, r"entry 1 \(video None\): .*'video_name'"),
        ((1,), [], r"entry 1 \(video None\): .*'video_name'"),
        ((1,), ENTRY, r"entry 1 \(video tiny_dog\): this video stood in the file before"),
        ((0, "video_name"), REMOVED, r"entry 0 \(video None\): the key 'video_name' is missing"),
        ((0, "video_name"), " ", r"entry 0 .*: 'video_name' is empty"),
        ((0, "video_name"), 7, r"entry 0 \(video 7\): 'video_name' should be str, but is int"),
        ((0, "video_name"), "dog\ud800", r"entry 0 .*video_name"),
        ((1, "duration"), REMOVED, r"entry 1 \(video tiny_car\): the key 'duration' is missing"),
        ((1, "duration"), "45", r"entry 1 \(video tiny_car\): 'duration' should be float or int, but is str"),
        ((1, "duration"), True, r"entry 1 \(video tiny_car\): 'duration' should be float or int, but is bool"),
        ((1, "duration"), math.nan, r"entry 1 \(video tiny_car\): the duration is nan; it must be above 0 seconds"),
        ((1, "duration"), math.inf, r"entry 1 \(video tiny_car\): the duration is inf"),
        ((1, "duration"), 0, r"entry 1 \(video tiny_car\): the duration is 0; it"),
        ((1, "duration"), -3.5, r"entry 1 \(video tiny_car\): the duration is -3.5"),
        ((1, "duration"), 10**400, r"entry 1 \(video tiny_car\): .*duration"),
        ((1, "annotation"), REMOVED, r"entry 1 \(video tiny_car\): the key 'annotation' is missing"),
        ((1, "annotation"), {}, r"entry 1 \(video tiny_car\): 'annotation' should be list, but is dict"),
        # the annotation
        (FIRST, "text", IN_FIRST + "an object is expected, but it is a str"),
        ((*FIRST, "AV Counting"), [], IN_FIRST + r"unknown keys \['AV Counting'\]; known are event_num, AV Temporal"),
        ((*FIRST, "event_num"), REMOVED, IN_FIRST + "the key 'event_num' is missing"),
        ((*FIRST, "event_num"), "1", IN_FIRST + "'event_num' should be int, but is str"),
        ((*FIRST, TEMPORAL), "text", IN_FIRST + "'AV Temporal Reasoning' should be list, but is str"),
        ((1, "annotation", 0, TEMPORAL), [], r"entry 1 \(video tiny_car\): annotation 0: it holds no question"),
        # the question
        ((*FIRST, TEMPORAL, 0), None, IN_TEMPORAL + "the key 'Q' is missing"),
        ((*FIRST, TEMPORAL, 0, "Q"), REMOVED, IN_TEMPORAL + "the key 'Q' is missing"),
        ((*FIRST, TEMPORAL, 0, "A"), REMOVED, IN_TEMPORAL + "the key 'A' is missing"),
        ((*FIRST, TEMPORAL, 0, "A"), None, IN_TEMPORAL + "'A' should be str, but is NoneType"),
        ((*FIRST, TEMPORAL, 0, "Q"), "Who barks?", IN_TEMPORAL + "the question 'Who barks\\?' has none of the known forms"),
        ((*FIRST, TEMPORAL, 0, "Q"), where_sounding("1.4 and 6.0"), IN_TEMPORAL + ".*known forms of the temporal task"),
        (
            (0, "annotation", 1, ST, 0, "Q"),
            'When is the moment A cat makes sound and is visible, and where is the "dog"?',
            IN_ST + ".*known forms of the spatio_temporal task",
        ),
        ((*FIRST, SPATIAL, 0, "Q"), where_sounding("1.4.4 and 6.0"), IN_SPATIAL + r".*1\.4\.4"),
        ((*FIRST, SPATIAL, 0, "Q"), where_sounding(". and 6.0"), IN_SPATIAL),
        ((*FIRST, SPATIAL, 0, "Q"), where_sounding("one and 6.0"), IN_SPATIAL + ".*known forms of the spatial task"),
        ((*FIRST, SPATIAL, 0, "Q"), where_sounding("1.0 and 6.0"), IN_FIRST + "its questions are about several spans"),
        # the answer
        (
            (*FIRST, TEMPORAL, 0, "A"),
            "a dog, I think",
            IN_TEMPORAL + "the answer is not a well-formed temporal one.*nothing_found",
        ),
        (
            (*FIRST, TEMPORAL, 0, "A"),
            "<answer><object>Dog</object><when>[6.0, 1.4]</when></answer>",
            IN_TEMPORAL + ".*bad_span",
        ),
        (
            (*FIRST, TEMPORAL, 0, "A"),
            "<answer><object>Dog</object><when>[nan, 6.0]</when></answer>",
            IN_TEMPORAL + ".*bad_span",
        ),
        (
            (*FIRST, TEMPORAL, 0, "A"),
            "<answer><object>Dog</object><when>[1.4, 6.0]</answer>",
            IN_TEMPORAL + ".*unclosed_tag",
        ),
        ((*FIRST, TEMPORAL, 0, "A"), spatial_answer("1.4: [1, 2, 3, 4]"), IN_TEMPORAL + ".*well-formed temporal one"),
        ((*FIRST, SPATIAL, 0, "A"), spatial_answer("1.4: [1, 2, 3]"), IN_SPATIAL + ".*unreadable_row"),
        ((*FIRST, SPATIAL, 0, "A"), spatial_answer("1.4: [3, 2, 1, 4]"), IN_SPATIAL + ".*bad_row"),
        ((*FIRST, SPATIAL, 0, "A"), spatial_answer("1.4: [1, 2, inf, 4]"), IN_SPATIAL + ".*bad_row"),
        # two answers about one object
        (
            (*FIRST, SPATIAL, 1),
            {"Q": where_sounding("1.4 and 6.0"), "A": spatial_answer("1.4: [1.0, 2.0, 3.0, 4.0]")},
            IN_FIRST + "its questions place the object 'Dog' differently",
        ),
    ],
    ids=lambda own: "/".join(map(str, own)) if isinstance(own, tuple) else "",
)
def test_what_is_not_in_the_released_form_is_named_with_its_place(
    tiny_release: Path, keys: tuple[str | int, ...], value: Any, message: str
) -> None:
    entries = json.loads(tiny_release.read_text(encoding="utf-8"))
    holder = entries
    for key in keys[:-1]:
        holder = holder[key]
    if value is REMOVED:
        del holder[keys[-1]]
    else:
        holder[keys[-1]] = value
    tiny_release.write_text(json.dumps(entries), encoding="utf-8")
    with pytest.raises(ReleaseError, match=f"^{re.escape(str(tiny_release))}: {message}"):
        read_release(tiny_release)


def test_a_spatial_question_about_a_reversed_span_is_named(tiny_release: Path) -> None:
    text = tiny_release.read_text(encoding="utf-8").replace("between 1.4 and 6.0", "between 6.0 and 1.4")
    entries = json.loads(text)
    del entries[0]["annotation"][0][TEMPORAL]
    tiny_release.write_text(json.dumps(entries), encoding="utf-8")
    with pytest.raises(ReleaseError, match=f"{IN_FIRST}.*6.0"):
        read_release(tiny_release)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no JSON"),
        (b"\x00\xff\xfe\x80" * 9, "no JSON .*utf-8"),
        ('[{"video_name": "caf\u00e9"}]'.encode("latin-1"), "no JSON .*utf-8"),
        (b"<html>404</html>", "no JSON .*is it the file Annotations/xml_test_QA.json"),
        (b'[{"video_name": "tiny_dog", "dura', "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'[{"video_name": "tiny_dog", "annotation": [], "duration": ' + b"9" * 5000 + b"}]", "no JSON|duration"),
        (b"{}", "a list of videos is expected, but it holds a dict"),
        (b'"text"', "a list of videos is expected, but it holds a str"),
        (b"null", "a list of videos is expected, but it holds a NoneType"),
    ],
    ids=["empty", "bytes", "latin-1", "page", "cut", "deep", "long number", "dict", "str", "null"],
)
def test_a_file_that_is_no_json_list_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "release.json"
    path.write_bytes(content)
    with pytest.raises(ReleaseError, match=f"^{re.escape(str(path))}: .*({message})"):
        read_release(path)
