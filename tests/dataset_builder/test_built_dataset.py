"""A built data set is read back; what is none, or is broken, is named."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow.parquet
import pytest
from counted_data import COUNTED
from counted_data import EVENTS
from counted_data import QUESTIONS
from counted_data import VIDEOS
from counted_data import write_counted

from r_avst.dataset_builder.built_dataset import BuiltDatasetError
from r_avst.dataset_builder.built_dataset import BuiltQuestion
from r_avst.dataset_builder.built_dataset import BuiltVideo
from r_avst.dataset_builder.built_dataset import label_events
from r_avst.dataset_builder.built_dataset import load_built_dataset
from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.sources.release import read_release
from r_avst.dataset_builder.sources.unav100 import Segment


def test_videos_events_and_questions_come_back(tmp_path: Path) -> None:
    found = load_built_dataset(str(write_counted(tmp_path)))
    assert sorted(found.videos, key=lambda own: own.video_id) == [
        BuiltVideo(own.video_id, own.split, own.duration) for own in VIDEOS
    ]
    assert set(found.events) == set(EVENTS)
    split_of = {own.video_id: own.split for own in VIDEOS}
    asked = [BuiltQuestion(own.video_id, split_of[own.video_id], own.task, own.question_type) for own in QUESTIONS]
    assert sorted(found.questions, key=repr) == sorted(asked, key=repr)


def test_boxes_are_left_out_and_the_objects_stay(tmp_path: Path, tiny_release: Path) -> None:
    records = read_release(tiny_release)
    found = load_built_dataset(str(write_counted(tmp_path, records)))
    assert found.events == tuple(
        replace(own, number=None, objects=tuple(replace(track, frames=()) for track in own.objects))
        for own in records.events
    )


def test_a_video_without_a_question_has_no_duration(tmp_path: Path) -> None:
    found = load_built_dataset(str(write_counted(tmp_path, replace(COUNTED, questions=QUESTIONS[:3]))))
    assert {own.video_id: own.duration for own in found.videos} == {"long": 61.0, "short": None, "tested": None}
    assert {own.video_id: own.split for own in found.videos} == {"long": "train", "short": "train", "tested": "test"}


def test_only_events_without_a_class_are_labelled(tmp_path: Path) -> None:
    found = load_built_dataset(str(write_counted(tmp_path)))
    segments = {
        "tested": (Segment((0.0, 2.45), "raining"), Segment((0.0, 9.0), "thunder")),
        "long": (Segment((0.0, 20.0), "raining"),),
    }
    labels = {own.event_id: own.labels for own in label_events(found, segments).events}
    assert labels == {own.event_id: own.labels for own in EVENTS} | {"tested-0": ("raining",)}


# --- what is none -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["absent", "absent/", "a/b/c", "../absent"])
def test_a_folder_that_is_not_there_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BuiltDatasetError, match=f"^{name}: there is no such folder. Build it: r-avst-build release"):
        load_built_dataset(name)


def test_a_folder_that_is_gone_is_not_served_from_the_cache(tmp_path: Path) -> None:
    folder = write_counted(tmp_path)
    load_built_dataset(str(folder))
    shutil.rmtree(folder)
    with pytest.raises(BuiltDatasetError, match="there is no such folder"):
        load_built_dataset(str(folder))


def test_a_data_set_that_the_hub_does_not_give_is_named() -> None:
    with pytest.raises(BuiltDatasetError, match=r"^user/absent cannot be loaded .*give a folder that r-avst-build wrote"):
        load_built_dataset("user/absent")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "cannot be loaded .*data files"),
        ({"README.md": "hello"}, "cannot be loaded .*data files"),
        ({"README.md": "---\nconfigs: [\n---\n", "x.csv": "a\n1\n"}, "cannot be loaded"),
        ({"x.csv": "a,b\n1,2\n"}, "has no config 'events', only default"),
    ],
)
def test_a_folder_of_other_things_is_refused(files: dict[str, str], message: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(BuiltDatasetError, match=message):
        load_built_dataset(str(tmp_path))


def test_an_events_config_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text(json.dumps({"event_id": "a", "video_id": "b", "labels": ["dog"]}) + "\n")
    (tmp_path / "README.md").write_text("---\nconfigs:\n- config_name: events\n  data_files: events.jsonl\n---\n")
    with pytest.raises(BuiltDatasetError, match=r"config events: no columns \['span', 'labels', 'objects'\] of the form"):
        load_built_dataset(str(tmp_path))


def renamed(folder: Path, config: str, split: str) -> Path:
    """A file of a data set under a new name: by its own, the cache would give what the builder wrote."""
    path = next(path for path in (folder / config).iterdir() if split in path.name)
    new = path.rename(path.with_name(f"{uuid4().hex}.parquet"))
    card = folder / "README.md"
    card.write_text(card.read_text().replace(path.name, new.name))
    return new


def test_a_truncated_file_is_told_with_its_config(tmp_path: Path) -> None:
    folder = write_counted(tmp_path)
    path = renamed(folder, "spatial", "train")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BuiltDatasetError, match=r"r-avst, config spatial cannot be loaded"):
        load_built_dataset(str(folder))


def changed(event: int = 0, question: int = 0, **fields: Any) -> Records:
    """The small data set with other fields in an event, or in a question if the events have no such field."""
    if all(hasattr(EVENTS[0], name) for name in fields):
        events = [replace(own, **fields) if index == event else own for index, own in enumerate(EVENTS)]
        return replace(COUNTED, events=tuple(events))
    questions = [replace(own, **fields) if index == question else own for index, own in enumerate(QUESTIONS)]
    return replace(COUNTED, questions=tuple(questions))


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (changed(span=(3.0, 1.0)), r"the event 'long-0' spans \[3.0, 1.0\]"),
        (changed(span=(0.0, float("inf"))), r"the event 'long-0' spans \[0.0, inf\]"),
        (changed(span=(float("nan"), 1.0)), r"the event 'long-0' spans \[nan, 1.0\]"),
        (changed(question_type="why"), "the temporal question 'long-0' is of the type 'why'"),
        (replace(COUNTED, videos=(replace(VIDEOS[0], duration=0.0), *VIDEOS[1:])), "'long-0' has a video of 0.0 seconds"),
        (replace(COUNTED, videos=(replace(VIDEOS[0], duration=1e9), *VIDEOS[1:])), "'long-0' has a video of 1000000000.0 s"),
    ],
)
def test_a_row_that_cannot_be_is_named(records: Records, message: str, tmp_path: Path) -> None:
    with pytest.raises(BuiltDatasetError, match=f"r-avst': .*{message}.*; is it a data set of r-avst-build"):
        load_built_dataset(str(write_counted(tmp_path, records)))


def without_spans(column: list[Any]) -> list[Any]:
    return [None] * len(column)


def with_class_100(column: list[Any]) -> list[Any]:
    return [[100] for _ in column]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("span", without_spans, "config events: a row has a null"),
        ("labels", with_class_100, r"'long-0' has the labels \[100\], of 100 classes"),
    ],
)
def test_a_file_that_was_tampered_with_is_refused(
    name: str, change: Callable[[list[Any]], list[Any]], message: str, tmp_path: Path
) -> None:
    folder = write_counted(tmp_path)
    path = renamed(folder, "events", "train")
    table = pyarrow.parquet.read_table(path)
    place = table.column_names.index(name)
    column = pyarrow.array(change(table[name].to_pylist()), table.schema.field(name).type)
    pyarrow.parquet.write_table(table.set_column(place, table.schema.field(name), column), path)
    with pytest.raises(BuiltDatasetError, match=message):
        load_built_dataset(str(folder))


def test_a_video_in_both_splits_is_told(tmp_path: Path) -> None:
    folder = write_counted(tmp_path)
    shutil.copy(renamed(folder, "events", "train"), renamed(folder, "events", "test"))
    with pytest.raises(BuiltDatasetError, match="the video 'long' is in the splits train and test"):
        load_built_dataset(str(folder))


def test_a_data_set_without_an_event_is_told(tmp_path: Path) -> None:
    folder = write_counted(tmp_path)
    for split in ("train", "test"):
        path = renamed(folder, "events", split)
        pyarrow.parquet.write_table(pyarrow.parquet.read_table(path).slice(0, 0), path)
    with pytest.raises(BuiltDatasetError, match="config events cannot be loaded"):
        load_built_dataset(str(folder))
