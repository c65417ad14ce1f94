"""What is written as parquet is what the records say, and `load_dataset` finds all of it."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import ClassLabel
from datasets import List
from datasets import Value
from datasets import load_dataset
from huggingface_hub import DatasetCard

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.dataset_builder.builder import CONFIGS
from r_avst.dataset_builder.builder import EVENT_FEATURES
from r_avst.dataset_builder.builder import QUESTION_FEATURES
from r_avst.dataset_builder.builder import RAvst
from r_avst.dataset_builder.builder import write_dataset
from r_avst.dataset_builder.event_classes import UNAV_100
from r_avst.dataset_builder.records import CardText
from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import ObjectTrack
from r_avst.dataset_builder.records import Question
from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.sources.release import read_release
from r_avst.dataset_builder.sources.unav100 import read_unav
from r_avst.dataset_builder.sources.unav100 import with_labels
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import write_answer

TASK_NAMES = ["temporal", "spatial", "spatio_temporal"]
LOAD_ALL = """
import json
from datasets import load_dataset
found = {}
for streaming in (False, True):
    for config in ([], ["temporal"], ["spatial"], ["spatio_temporal"], ["events"]):
        splits = load_dataset("r-avst", *config, streaming=streaming)
        found[f"{(config or ['default'])[0]} {streaming}"] = {name: sum(1 for _ in rows) for name, rows in splits.items()}
print(json.dumps(found))
"""


CARD_TEXT = CardText("mit", "From somewhere.")


@pytest.fixture
def tiny(tiny_release: Path) -> Records:
    """The tiny release with labels, a frame size, a caption and an object of unknown audibility."""
    records = read_release(tiny_release)
    dog, cat, car = records.events
    ball = ObjectTrack("ball", None, ())
    dog = replace(dog, labels=("man speaking", "dog barking"), caption="A dog barks.", objects=(*dog.objects, ball))
    first, *others = records.questions
    return replace(
        records,
        videos=(replace(records.videos[0], width=640, height=360), records.videos[1]),
        events=(dog, cat, car),
        questions=(replace(first, event_labels=("dog barking", "cat meowing")), *others),
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Records], Path]:
    def to_folder(records: Records) -> Path:
        folder = tmp_path / "r-avst"
        folder.mkdir()
        write_dataset(records, folder, tmp_path / "cache", CARD_TEXT)
        return folder

    return to_folder


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(row))
    return plain


def expected_question(question: Question, records: Records) -> dict[str, Any]:
    (video,) = (own for own in records.videos if own.video_id == question.video_id)
    row = {key: value for key, value in asdict(question).items() if key != "event_id"}
    row["task"] = TASK_NAMES.index(question.task)
    row["event_labels"] = [UNAV_100.index(label) for label in question.event_labels]
    return as_json(row | {"duration": video.duration, "width": video.width, "height": video.height})


def expected_event(event: Event) -> dict[str, Any]:
    row = {key: value for key, value in asdict(event).items() if key not in ("number", "subjects")}
    return as_json(row | {"labels": [UNAV_100.index(label) for label in event.labels]})


def answer_of(row: dict[str, Any]) -> Answer:
    tracks = tuple(
        Track(own["name"], tuple((frame["time"], *one["box"]) for frame in own["frames"] for one in frame["instances"]))
        for own in row["objects"]
    )
    return Answer(tracks, tuple(row["when"]) if row["when"] else None)


# --- features ---------------------------------------------------------------------------------------------------------


def test_the_columns_are_those_of_the_design() -> None:
    assert list(QUESTION_FEATURES) == [
        "question_id", "video_id", "task", "event_labels", "question", "question_type", "answer",
        "query_span", "when", "duration", "width", "height", "objects",
    ]  # fmt: skip
    assert list(EVENT_FEATURES) == ["event_id", "video_id", "span", "labels", "caption", "objects"]


def test_classes_spans_and_boxes_have_their_types() -> None:
    span = List(Value("float64"), length=2)
    classes = List(ClassLabel(names=list(UNAV_100)))
    assert QUESTION_FEATURES["task"] == ClassLabel(names=TASK_NAMES)
    assert (QUESTION_FEATURES["event_labels"], EVENT_FEATURES["labels"]) == (classes, classes)
    assert (QUESTION_FEATURES["query_span"], QUESTION_FEATURES["when"], EVENT_FEATURES["span"]) == (span, span, span)
    instance = List({"box": List(Value("float64"), length=4), "visible": Value("bool")})
    frame = List({"time": Value("float64"), "instances": instance})
    tracks = List({"name": Value("string"), "audible": Value("bool"), "frames": frame})
    assert (QUESTION_FEATURES["objects"], EVENT_FEATURES["objects"]) == (tracks, tracks)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_features_come_back_from_parquet(tiny: Records, write: Callable[[Records], Path], config: str) -> None:
    loaded = load_dataset(str(write(tiny)), config, split="test")
    assert loaded.features == (EVENT_FEATURES if config == "events" else QUESTION_FEATURES)


# --- round trip -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASK_NAMES)
def test_questions_come_back_as_the_records_say_in_source_order(
    tiny: Records, write: Callable[[Records], Path], task: str
) -> None:
    rows = load_dataset(str(write(tiny)), task, split="test").to_list()
    expected = [expected_question(question, tiny) for question in tiny.questions if question.task == task]
    assert expected
    assert rows == expected


def test_events_come_back_as_the_records_say_in_source_order(tiny: Records, write: Callable[[Records], Path]) -> None:
    rows = load_dataset(str(write(tiny)), "events", split="test").to_list()
    assert rows == [expected_event(event) for event in tiny.events]
    assert [(row["caption"], row["labels"]) for row in rows] == [("A dog barks.", [0, 12]), (None, []), (None, [])]
    assert [own["audible"] for own in rows[0]["objects"]] == [True, True, False, None]


def test_unknown_spans_and_sizes_are_null(tiny: Records, write: Callable[[Records], Path]) -> None:
    rows = load_dataset(str(write(tiny)), split="test").to_list()
    assert {row["question_id"]: (row["query_span"], row["when"], row["width"], row["height"]) for row in rows} == {
        "tiny_dog-0-temporal-0": (None, [1.4, 6.0], 640, 360),
        "tiny_car-0-temporal-0": (None, [0.0, 44.4], None, None),
        "tiny_dog-0-spatial-0": ([1.4, 6.0], None, 640, 360),
        "tiny_dog-0-spatial-1": ([1.4, 6.0], None, 640, 360),
        "tiny_dog-1-spatio_temporal-0": (None, [7.0, 10.1], 640, 360),
    }


def test_boxes_come_back_in_frames_with_what_is_not_visible(tiny: Records, write: Callable[[Records], Path]) -> None:
    dog, ball = load_dataset(str(write(tiny)), "spatial", split="test")[0]["objects"]
    assert [(frame["time"], frame["instances"]) for frame in dog["frames"]] == [
        (1.4, [{"box": [10.0, 20.0, 60.0, 80.0], "visible": True}]),
        (2.4, [{"box": [12.0, 20.0, 62.0, 80.0], "visible": True}]),
        (3.4, [{"box": [0.0, 0.0, 0.0, 0.0], "visible": False}]),
        (5.4, [{"box": [14.0, 20.0, 64.0, 80.0], "visible": True}]),
    ]
    assert ball == {"name": "a red ball", "audible": True, "frames": []}


def test_the_builder_can_be_used_in_process(tiny: Records, tmp_path: Path) -> None:
    builder = RAvst(tiny, config_name="spatial", cache_dir=str(tmp_path))
    builder.download_and_prepare()
    assert builder.as_dataset(split="test")["question_id"][:] == ["tiny_dog-0-spatial-0", "tiny_dog-0-spatial-1"]


def test_other_records_in_one_cache_are_built_anew(tiny: Records, tmp_path: Path) -> None:
    fewer = replace(tiny, videos=tiny.videos[1:], events=tiny.events[2:], questions=tiny.questions[4:])
    ids = []
    for records in (tiny, fewer):
        builder = RAvst(records, config_name="temporal", cache_dir=str(tmp_path))
        builder.download_and_prepare()
        ids.append(builder.as_dataset(split="test")["question_id"][:])
    assert ids == [["tiny_dog-0-temporal-0", "tiny_car-0-temporal-0"], ["tiny_car-0-temporal-0"]]


# --- splits and card --------------------------------------------------------------------------------------------------


def in_train(records: Records, video_id: str) -> Records:
    moved = (replace(own, split="train") if own.video_id == video_id else own for own in records.videos)
    return replace(records, videos=tuple(moved))


def loaded_ids(folder: Path, config: str) -> dict[str, list[str]]:
    key = "event_id" if config == "events" else "question_id"
    return {name: rows[key][:] for name, rows in load_dataset(str(folder), config).items()}


def test_each_split_holds_the_rows_of_its_videos(tiny: Records, write: Callable[[Records], Path]) -> None:
    folder = write(in_train(tiny, "tiny_car"))
    assert loaded_ids(folder, "temporal") == {"train": ["tiny_car-0-temporal-0"], "test": ["tiny_dog-0-temporal-0"]}
    assert loaded_ids(folder, "events") == {"train": ["tiny_car-0"], "test": ["tiny_dog-0", "tiny_dog-1"]}
    assert {name: len(ids) for name, ids in loaded_ids(folder, "default").items()} == {"train": 1, "test": 4}


def test_a_split_without_rows_of_a_config_does_not_stop_it_from_loading(
    tiny: Records, write: Callable[[Records], Path]
) -> None:
    folder = write(in_train(tiny, "tiny_car"))
    assert loaded_ids(folder, "spatial")["test"] == ["tiny_dog-0-spatial-0", "tiny_dog-0-spatial-1"]


def test_an_unknown_split_is_named(tiny: Records, tmp_path: Path) -> None:
    odd = replace(tiny, videos=tuple(replace(video, split="dev") for video in tiny.videos))
    with pytest.raises(ValueError, match=r"unknown splits \['dev'\]; a video is in one of train, test"):
        write_dataset(odd, tmp_path, tmp_path / "cache", CARD_TEXT)


def test_the_numbers_of_rows_are_returned_and_stand_in_the_card(tiny: Records, tmp_path: Path) -> None:
    folder = tmp_path / "r-avst"
    folder.mkdir()
    counts = write_dataset(tiny, folder, tmp_path / "cache", CARD_TEXT)
    expected = {"temporal": 2, "spatial": 2, "spatio_temporal": 1, "events": 3}
    assert counts == {config: {"test": rows} for config, rows in expected.items()}
    card = DatasetCard.load(folder / "README.md")
    assert [line for line in card.text.splitlines() if "| test |" in line] == [
        f"| {config} | test | {rows} |" for config, rows in expected.items()
    ]


def test_the_card_names_every_parquet_file_and_the_default_config_those_of_the_three_tasks(
    tiny: Records, write: Callable[[Records], Path]
) -> None:
    folder = write(tiny)
    configs = DatasetCard.load(folder / "README.md").data.to_dict()["configs"]
    assert [own["config_name"] for own in configs] == ["default", *CONFIGS]
    assert [[own["split"] for own in config["data_files"]] for config in configs] == [["test"]] * 5
    files = {
        config["config_name"]: [
            str(path.relative_to(folder))
            for pattern in config["data_files"][0]["path"]
            for path in sorted(folder.glob(pattern))
        ]
        for config in configs
    }
    assert files["default"] == [path for task in TASK_NAMES for path in files[task]]
    everything = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.parquet"))
    assert sorted(path for config in CONFIGS for path in files[config]) == everything
    assert [len(files[config]) for config in CONFIGS] == [1, 1, 1, 1]


# --- load_dataset("r-avst") -------------------------------------------------------------------------------------------


def counted(rows: dict[str, int]) -> dict[str, dict[str, int]]:
    return {f"{config} {streaming}": {"test": count} for config, count in rows.items() for streaming in (False, True)}


def loaded_in(folder: Path) -> Any:
    ran = subprocess.run([sys.executable, "-c", LOAD_ALL], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_load_dataset_gives_every_config_of_the_tiny_release(tiny_release: Path, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    build_release(str(tiny_release), None, None, tmp_path / "scratch/r-avst")
    expected = {"default": 5, "temporal": 2, "spatial": 2, "spatio_temporal": 1, "events": 3}
    assert loaded_in(tmp_path / "scratch") == counted(expected)


def test_a_build_in_place_of_another_is_what_load_dataset_gives(tiny_release: Path, tmp_path: Path) -> None:
    out = tmp_path / "r-avst"
    build_release(str(tiny_release), None, None, out)
    assert load_dataset(str(out), split="test").num_rows == 5
    entries = json.loads(tiny_release.read_text(encoding="utf-8"))
    tiny_release.write_text(json.dumps(entries[1:]), encoding="utf-8")
    build_release(str(tiny_release), None, None, out)
    assert load_dataset(str(out), split="test")["question_id"][:] == ["tiny_car-0-temporal-0"]


# --- the released file ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(release_file: Path, unav_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    scratch = tmp_path_factory.mktemp("released")
    build_release(str(release_file), unav_file, None, scratch / "r-avst")
    return scratch


def test_load_dataset_gives_every_config_of_the_released_file(built: Path) -> None:
    expected = {"default": 1638, "temporal": 666, "spatial": 666, "spatio_temporal": 306, "events": 1107}
    assert loaded_in(built) == counted(expected)


def test_all_released_rows_come_back_as_the_records_say(built: Path, release_file: Path, unav_file: Path) -> None:
    records = with_labels(read_release(release_file), read_unav(unav_file))
    by_task = sorted(records.questions, key=lambda question: TASK_NAMES.index(question.task))
    rows = load_dataset(str(built / "r-avst"), split="test").to_list()
    assert [row["question_id"] for row in rows] == [question.question_id for question in by_task]
    videos = {video.video_id: video for video in records.videos}
    events = {event.event_id: event for event in records.events}
    for row, question in zip(rows, by_task, strict=True):
        own = Records((videos[question.video_id],), (events[question.event_id],), (question,))
        assert row == expected_question(question, own)
    loaded_events = load_dataset(str(built / "r-avst"), "events", split="test").to_list()
    assert loaded_events == [expected_event(event) for event in records.events]


def test_every_released_answer_can_be_written_again_from_its_row(built: Path) -> None:
    rows = load_dataset(str(built / "r-avst"), split="test")
    assert isinstance(rows, datasets.Dataset)
    written = [write_answer(answer_of(row), TASK_NAMES[row["task"]]) for row in rows.to_list()]
    assert len(written) == 1638
    assert written == rows["answer"][:]
