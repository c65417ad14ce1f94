"""The videos that are wanted: of a data set, of UnAV-100's annotations, of a list."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from r_avst.dataset_builder.builder import write_dataset
from r_avst.dataset_builder.downloads.wanted import WantedError
from r_avst.dataset_builder.downloads.wanted import WantedVideo
from r_avst.dataset_builder.downloads.wanted import wanted_of_dataset
from r_avst.dataset_builder.downloads.wanted import wanted_of_list
from r_avst.dataset_builder.downloads.wanted import wanted_of_unav
from r_avst.dataset_builder.records import CardText
from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.records import Video
from r_avst.dataset_builder.sources.release import read_release


def write(records: Records, folder: Path) -> str:
    folder.mkdir()
    write_dataset(records, folder, folder.parent / "cache", CardText("mit", ""))
    return str(folder)


def test_a_data_set_wants_each_video_once_with_its_duration(tiny_release: Path, tmp_path: Path) -> None:
    records = read_release(tiny_release)
    train = Video("only_in_train", "train", 7.5)
    event = Event("e", "only_in_train", (0.0, 1.0), (), None, ())  # a video without a question stands in `events` alone
    both = Records((*records.videos, train), (*records.events, event), records.questions)
    assert wanted_of_dataset(write(both, tmp_path / "r-avst")) == [
        WantedVideo("tiny_dog", 10.0),
        WantedVideo("tiny_car", 45.5),
        WantedVideo("only_in_train", None),
    ]


@pytest.mark.parametrize("name", ["absent", "nobody/absent"])
def test_a_data_set_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(WantedError, match=f"'{name}' cannot be loaded .*r-avst-build"):
        wanted_of_dataset(name)


def test_a_data_set_of_another_form_is_named(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(WantedError, match="lacks the column 'video_id'"):
        wanted_of_dataset(str(tmp_path / "other"))


def test_all_videos_of_unav_are_wanted_in_the_file_s_order(unav_file: Path) -> None:
    videos = wanted_of_unav(unav_file)
    assert len(videos) == 10_790
    assert videos[0] == WantedVideo("72f67ednp7w", 47.68)
    assert all(video.has_proper_id and video.duration is not None for video in videos)


@pytest.mark.parametrize("content", ["", "[]", '{"database": []}', '{"database": {"a": 1}}', "[" * 100_000])
def test_a_file_that_is_not_unav_s_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "unav.json"
    path.write_text(content)
    with pytest.raises(WantedError, match=f"^{re.escape(str(path))}: not in UnAV-100's form"):
        wanted_of_unav(path)
    with pytest.raises(WantedError, match=r"absent\.json"):
        wanted_of_unav(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("duration", "known"), [(3, 3.0), (2.5, 2.5), (0, None), (-1, None), ("3", None), (None, None), (1e999, None)]
)
def test_a_duration_that_is_none_is_unknown(tmp_path: Path, duration: Any, known: float | None) -> None:
    path = tmp_path / "unav.json"
    path.write_text(json.dumps({"database": {"a": {"duration": duration}}}))
    assert wanted_of_unav(path) == [WantedVideo("a", known)]


def test_a_list_has_one_id_a_line(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("﻿b\r\n\n  a \nb\n../../etc/passwd\n", encoding="utf-8")
    assert [video.video_id for video in wanted_of_list(path)] == ["b", "a", "../../etc/passwd"]
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WantedError, match="one video id a line"):
        wanted_of_list(path)


@pytest.mark.parametrize(
    ("video_id", "proper"),
    [
        ("72f67ednp7w", True),
        ("-Rjmgv0O_p0", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("", False),
        ("a.b", False),
        ("..", False),
        ("../x", False),
        ("a/b", False),
        ("a\\b", False),
        ("a b", False),
        ("a\n", False),
        ("a&list=x", False),
        ("%2e", False),
        ("é", False),
        ("\x00", False),
    ],
)
def test_only_plain_ids_become_names_and_addresses(video_id: str, proper: bool) -> None:
    assert WantedVideo(video_id, None).has_proper_id is proper
