"""A user's own videos and events become rows; what is wrong is named with its line, what is missing is reported."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from written_videos import write_sound
from written_videos import write_video

from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import Video
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.sources.folder import read_folder
from r_avst.dataset_builder.sources.splits import split_of
from r_avst.dataset_builder.sources.user_files import LineError
from r_avst.dataset_builder.video import VideoError

GOOD = {"video": "dog.mp4", "span": [0.5, 3.0], "caption": "A dog barks."}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "videos"
    (path / "garden").mkdir(parents=True)
    write_video(path / "dog.mp4", 64, 48, 4)
    write_video(path / "garden" / "cat.mp4", 32, 16, 3)
    return path


def written(folder: Path, *lines: Any) -> Path:
    path = folder.parent / "events.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def test_a_name_that_means_several_files_is_refused(tmp_path: Path) -> None:
    for name in ("one.mkv", "one.mp4"):
        write_video(tmp_path / name, 32, 16, 2)
    events = tmp_path / "events.jsonl"
    events.write_text('{"video": "one", "span": [0, 1], "caption": "A cat."}\n')
    with pytest.raises(LineError, match=r"line 1: 'video' is 'one', and there are one\.mkv, one\.mp4: give the path"):
        read_folder(tmp_path, events, seed=0)


def test_an_event_past_the_end_is_left_out_and_named_and_its_video_goes_on(tmp_path: Path) -> None:
    write_video(tmp_path / "one.mp4", 32, 16, 3)
    events = tmp_path / "events.jsonl"
    spans = ([0, 1], [1, 3.4], [2, 9])
    events.write_text("".join(json.dumps({"video": "one", "span": own, "caption": "A cat."}) + "\n" for own in spans))
    (row,), report = read_folder(tmp_path, events, seed=0)
    assert [event.event_id for event in row.events] == ["one-0", "one-1"]
    assert report["events_outside"] == {"one-2": "it goes from 2.0 to 9.0 s, the file to 3.00 s"}


def test_videos_and_events_become_rows(folder: Path) -> None:
    cat = {"video": "garden/cat.mp4", "span": [1, 2], "caption": "A cat.", "labels": ["cat meowing"], "split": "test"}
    again = {"video": "dog", "span": [3.0, 4.0], "caption": " It barks again. ", "split": "train"}
    rows, report = read_folder(folder, written(folder, GOOD, cat, again), seed=0)
    assert rows == (
        VideoRow(
            Video("dog", "train", 4.0, 64, 48),
            "dog.mp4",
            (
                Event("dog-0", "dog", (0.5, 3.0), (), "A dog barks.", ()),
                Event("dog-1", "dog", (3.0, 4.0), (), "It barks again.", ()),
            ),
        ),
        VideoRow(
            Video("cat", "test", 3.0, 32, 16),
            "garden/cat.mp4",
            (Event("cat-0", "cat", (1.0, 2.0), ("cat meowing",), "A cat.", ()),),
        ),
    )
    assert report == {"videos": 2, "unreadable": {}, "events_outside": {}, "without_events": []}


def test_bad_and_absent_videos_are_reported_with_their_reason_and_the_others_go_on(folder: Path) -> None:
    write_sound(folder / "sound.mp4", 1)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "noise.mkv").write_bytes(b"\x00\xff" * 500)
    names = ["sound.mp4", "empty", "noise", "absent.mp4", "nowhere", "dog"]
    rows, report = read_folder(folder, written(folder, *({**GOOD, "video": name} for name in names)), seed=0)
    assert [row.video.video_id for row in rows] == ["dog"]
    assert set(report["unreadable"]) == {"sound", "empty", "noise", "absent", "nowhere"}
    assert "there is no picture in it" in report["unreadable"]["sound"]
    assert "absent.mp4" in report["unreadable"]["absent"]
    assert report["without_events"] == ["garden/cat.mp4"]
    json.dumps(report)


@pytest.mark.parametrize("seed", range(4))
def test_a_video_without_a_split_gets_one_by_its_id_and_the_seed(folder: Path, seed: int) -> None:
    rows, _ = read_folder(folder, written(folder, GOOD, {**GOOD, "video": "cat"}), seed, test_share=0.5)
    assert [row.video.split for row in rows] == [split_of("dog", seed, 0.5), split_of("cat", seed, 0.5)]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"video": None}, "'video' should be a text"),
        ({"video": "../dog.mp4"}, "'video' is '../dog.mp4'; it should be a path inside the folder"),
        ({"video": "garden/../../dog.mp4"}, "'video' is .*inside the folder"),
        ({"video": "/etc/dog.mp4"}, "'video' is .*inside the folder"),
        ({"video": "..\\dog.mp4"}, "'video' is .*inside the folder"),
        ({"video": ".."}, "'video' is .*inside the folder"),
        ({"video": "a\0.mp4"}, "'video' is .*inside the folder"),
        ({"video": "a:b.mp4"}, "'a:b' cannot be the name of a file on every system"),
        ({"span": [3.0, 0.5]}, "'span' is"),
        ({"span": "0.5-3.0"}, "'span' should be"),
        ({"caption": ""}, "'caption' should be a text"),
        ({"labels": "dog barking"}, "'labels' should be a list of texts"),
        ({"labels": [7]}, "'labels' should be a list of texts"),
        ({"labels": ["dog purring"]}, "the label 'dog purring' is none of UnAV-100's classes"),
        ({"split": "validation"}, "'split' is 'validation'; it should be train or test"),
        ({"split": ["test"]}, "'split' is"),
    ],
)
def test_a_bad_line_is_named_with_its_number(folder: Path, changes: dict[str, Any], problem: str) -> None:
    path = written(folder, GOOD, {**GOOD, **changes})
    with pytest.raises(LineError, match=f"^{re.escape(str(path))}, line 2: {problem}"):
        read_folder(folder, path, seed=0)


def test_a_video_in_two_splits_is_named_with_both_lines(folder: Path) -> None:
    path = written(folder, {**GOOD, "split": "train"}, GOOD, {**GOOD, "split": "test"})
    with pytest.raises(LineError, match=r"line 3: dog is in test, but in train at .*line 1"):
        read_folder(folder, path, seed=0)


def test_two_files_of_one_name_are_refused(folder: Path) -> None:
    write_video(folder / "garden" / "dog.mp4", 64, 48, 1)
    path = written(folder, GOOD, {**GOOD, "video": "garden/dog.mp4"})
    with pytest.raises(LineError, match=r"line 2: garden/dog\.mp4 and dog\.mp4 .*line 1\) bear one name"):
        read_folder(folder, path, seed=0)


def test_labels_stand_once_each_in_the_order_of_their_ids(folder: Path) -> None:
    line = {**GOOD, "labels": ["cat meowing", "dog barking", "cat meowing", "man speaking"]}
    rows, _ = read_folder(folder, written(folder, line), seed=0)
    assert rows[0].events[0].labels == ("man speaking", "dog barking", "cat meowing")


def test_a_folder_that_is_not_there_is_named(folder: Path) -> None:
    absent = folder / "absent"
    with pytest.raises(VideoError, match=f"^{re.escape(str(absent))}: there is no such folder"):
        read_folder(absent, written(folder, GOOD), seed=0)
