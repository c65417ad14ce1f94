"""The truth is what the pictures show, pixel by pixel, and a world is the same however it came to be."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.records import records_of
from r_avst.dataset_builder.sources.synthetic import make_world
from r_avst.dataset_builder.sources.synthetic import source_rows
from r_avst.dataset_builder.sources.synthetic import truth_row
from r_avst.dataset_builder.sources.synthetic_plan import plan_video
from r_avst.dataset_builder.sources.synthetic_render import pictures
from r_avst.dataset_builder.sources.synthetic_things import THINGS
from r_avst.metrics.avst_metrics.overlap import Box

COLOURS = {thing.name: thing.colour for thing in THINGS}
MAKE = "import sys; from pathlib import Path; from r_avst.dataset_builder.sources.synthetic import make_world; "


@cache
def many() -> tuple[VideoRow, ...]:
    return tuple(truth_row(plan_video(index, 0)) for index in range(300))


def events(rows: tuple[VideoRow, ...]) -> list[Event]:
    return [event for row in rows for event in row.events]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "videos").iterdir()}


def pixel_boxes(picture: NDArray[np.uint8], name: str) -> list[Box]:
    """Where a thing's exact colour is, patch by patch."""
    labels, count = ndimage.label((picture == COLOURS[name]).all(axis=-1), structure=np.ones((3, 3)))
    found = []
    for number in range(1, count + 1):
        rows, columns = np.nonzero(labels == number)
        found.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    return sorted((float(a), float(b), float(c), float(d)) for a, b, c, d in found)


# --- truth ------------------------------------------------------------------------------------------------------------


@settings(max_examples=8)
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_the_boxes_are_those_of_the_pixels_on_screen(index: int, seed: int) -> None:
    plan = plan_video(index, seed)
    row, drawn = truth_row(plan), list(pictures(plan))
    for event in row.events:
        for frame in (frame for track in event.objects for frame in track.frames):
            assert all(one.visible == (one.box != (0, 0, 0, 0)) for one in frame.instances)
        for track in (track for track in event.objects if track.frames):
            for frame in track.frames:
                boxes = sorted(one.box for one in frame.instances if one.visible)
                assert boxes == pixel_boxes(drawn[int(frame.time * 10 + 1e-6)], track.name)


@given(st.integers(0, 10_000), st.integers())
def test_every_visible_subject_has_a_frame_each_second_of_its_event(index: int, seed: int) -> None:
    for event in truth_row(plan_video(index, seed)).events:
        start, end = event.span
        grid = [time for k in range(60) if (time := round(start + k, 3)) < end]
        assert (round(start, 1), round(end, 1)) == event.span
        assert [track.name for track in event.objects] == [subject.name for subject in event.subjects]
        for track, subject in zip(event.objects, event.subjects, strict=True):
            assert track.audible == subject.audible
            assert [frame.time for frame in track.frames] == (grid if subject.visible else [])
            assert not subject.visible or any(one.visible for frame in track.frames for one in frame.instances)


def test_many_clips_have_objects_out_of_sight_and_some_two_of_a_name() -> None:
    hidden, two = 0, 0
    for row in many():
        frames = [frame for event in row.events for track in event.objects for frame in track.frames]
        hidden += any(not frame.instances[0].visible for frame in frames)
        two += any(len(frame.instances) == 2 for frame in frames)
    assert hidden / len(many()) > 0.4
    assert two / len(many()) > 0.1


def test_truth_has_unique_ids_one_label_an_event_and_both_splits() -> None:
    records = records_of(many())
    assert len({video.video_id for video in records.videos}) == len(records.videos)
    assert len({event.event_id for event in records.events}) == len(records.events)
    assert {len(event.labels) for event in records.events} == {1}
    assert {video.split for video in records.videos} == {"train", "test"}
    assert {(video.width, video.height) for video in records.videos} == {(256, 192)}


def test_the_source_is_the_truth_without_what_is_to_be_found() -> None:
    source = source_rows(many())
    assert {(row.video.width, row.video.height) for row in source} == {(None, None)}
    assert not any(event.subjects or event.objects for event in events(source))
    filled = tuple(
        replace(
            row,
            video=true.video,
            events=tuple(
                replace(event, subjects=own.subjects, objects=own.objects)
                for event, own in zip(row.events, true.events, strict=True)
            ),
        )
        for row, true in zip(source, many(), strict=True)
    )
    assert filled == many()


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("world")
    make_world(path, 4, 7)
    return path


def test_a_world_is_its_truth_and_a_file_a_row(world: Path) -> None:
    truth = make_world(world, 4, 7)
    assert truth == tuple(truth_row(plan_video(index, 7)) for index in range(4))
    assert sorted(content(world)) == [row.file for row in truth]


def test_fewer_clips_in_another_folder_are_the_same_clips(world: Path, tmp_path: Path) -> None:
    make_world(tmp_path, 2, 7)
    made = content(tmp_path)
    assert len(made) == 2
    assert made.items() <= content(world).items()


def test_a_finished_world_is_not_written_again(world: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (world / "videos").iterdir()}
    make_world(world, 4, 7)
    assert {path: path.stat().st_mtime_ns for path in (world / "videos").iterdir()} == before


@pytest.mark.parametrize("files", [1, 2])
def test_a_run_that_is_killed_goes_on_to_the_same_bytes(world: Path, tmp_path: Path, files: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", MAKE + "make_world(Path(sys.argv[1]), 4, 7)", str(tmp_path)])
    deadline = time.monotonic() + 60
    while not ((tmp_path / "videos").is_dir() and len(list((tmp_path / "videos").iterdir())) >= files):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert len(list((tmp_path / "videos").glob("*.mp4"))) < 4
    make_world(tmp_path, 4, 7)
    assert content(tmp_path) == content(world)
