"""Digests of files: who is read when."""

import hashlib
import os
from pathlib import Path

import pytest
from scripted_stages import video_row
from scripted_stages import video_rows

from r_avst.dataset_builder.file_contents import CONTENTS
from r_avst.dataset_builder.file_contents import with_contents


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for row in video_rows(2):
        (folder / row.file).write_bytes(row.file.encode())
    return folder


def digests(videos: Path, work: Path) -> list[str]:
    return [row.content for row in with_contents(video_rows(2), videos, work)]


def test_a_digest_is_that_of_the_bytes(videos: Path, tmp_path: Path) -> None:
    assert digests(videos, tmp_path) == [hashlib.sha256(name).hexdigest()[:16] for name in (b"video00.mp4", b"video01.mp4")]


def test_a_replaced_file_is_another(videos: Path, tmp_path: Path) -> None:
    before = digests(videos, tmp_path)
    changed = (videos / "video00.mp4").stat().st_mtime_ns
    (videos / "video00.mp4").write_bytes(b"VIDEO00.MP4")  # as long as before
    os.utime(videos / "video00.mp4", ns=(changed + 1, changed + 1))
    after = digests(videos, tmp_path)
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_a_file_that_did_not_change_is_not_read_again(videos: Path, tmp_path: Path) -> None:
    before = digests(videos, tmp_path)
    lines = (tmp_path / CONTENTS).read_text()
    (tmp_path / CONTENTS).write_text(lines.replace(before[0], "0" * 16))
    assert digests(videos, tmp_path) == ["0" * 16, before[1]]


@pytest.mark.parametrize("damage", ["", "{}\n", '{"file": "video00.mp4", "si'])
def test_a_damaged_store_costs_no_more_than_reading_again(videos: Path, tmp_path: Path, damage: str) -> None:
    before = digests(videos, tmp_path)
    (tmp_path / CONTENTS).write_text(damage)
    assert digests(videos, tmp_path) == before
    assert digests(videos, tmp_path) == before


def test_a_file_that_cannot_be_read_has_none(videos: Path, tmp_path: Path) -> None:
    assert [row.content for row in with_contents([video_row("absent")], videos, tmp_path)] == [""]
