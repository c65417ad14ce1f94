"""The truth of each world against what its files show and let hear, decoded by PyAV alone."""

from collections.abc import Iterable
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import av
import numpy as np
import pytest
from datasets import load_dataset
from numpy.typing import NDArray

from r_avst.dataset_builder.question_forms import PATTERNS
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.training.learn.boxes_world import BOXES_WORLD
from r_avst.training.learn.drawing import write_clip
from r_avst.training.learn.sound_world import SOUND_WORLD
from r_avst.training.learn.temporal_world import TEMPORAL_WORLD
from r_avst.training.learn.world import World
from r_avst.training.learn.world import write_exchanged
from r_avst.training.learn.world import write_world

WORLDS = (TEMPORAL_WORLD, BOXES_WORLD, SOUND_WORLD)
CLIPS = 6


def pictures_of(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def sound_of(path: Path) -> NDArray[np.float32]:
    with av.open(str(path)) as file:
        return np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)[0]


def lit(pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the square is: (frames, height, width)."""
    found: NDArray[np.bool_] = pictures.max(axis=3) > 120
    return found


def whole_seconds(flags: NDArray[np.bool_], rate: int) -> tuple[float, float]:
    """The one run of what is true, in seconds."""
    (on,) = np.flatnonzero(np.diff(flags.astype(int), prepend=0) == 1)
    (off,) = np.flatnonzero(np.diff(flags.astype(int), append=0) == -1)
    return on / rate, (off + 1) / rate


def written(world: World, folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    write_world(world, folder, {"train": CLIPS, "test": 2}, seed=5)
    rows = load_dataset(str(folder / "r-avst"), split="train")
    return [(folder / "videos" / f"{row['video_id']}.mp4", row) for row in rows]


def test_the_square_is_seen_in_the_true_span(tmp_path: Path) -> None:
    spans = set()
    for path, row in written(TEMPORAL_WORLD, tmp_path):
        shown = lit(pictures_of(path)).any(axis=(1, 2))
        true = parse_answer(row["answer"]).answer.span
        assert whole_seconds(shown, TEMPORAL_WORLD.fps) == true
        assert row["when"] == list(true or ())
        spans.add(true)
    assert len(spans) > 1


def test_the_square_is_at_the_true_box(tmp_path: Path) -> None:
    for path, row in written(BOXES_WORLD, tmp_path):
        (track,) = parse_answer(row["answer"]).answer.tracks
        (true,) = track.rows
        for picture in lit(pictures_of(path)):
            ys, xs = np.nonzero(picture)
            assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == true[1:]
        assert true[0] == 0.0


def test_the_sound_is_heard_in_the_true_span_and_the_square_has_times_of_its_own(tmp_path: Path) -> None:
    same = []
    for path, row in written(SOUND_WORLD, tmp_path):
        true = parse_answer(row["answer"]).answer.span
        loud = sound_of(path)[: SOUND_WORLD.seconds * 16_000].reshape(-1, 1_600).std(axis=1) > 0.05  # tenths of a second
        start, end = whole_seconds(loud, 10)
        assert true is not None
        assert abs(start - true[0]) <= 0.1
        assert abs(end - true[1]) <= 0.1
        shown = whole_seconds(lit(pictures_of(path)).any(axis=(1, 2)), SOUND_WORLD.fps)
        same.append(shown == true)
    assert not all(same)


def test_what_is_seen_says_nothing_of_what_is_heard() -> None:
    spans = []
    for number in range(400):
        scene = SOUND_WORLD.scene(Random(number))
        spans.append((whole_seconds(lit(scene.pictures).any(axis=(1, 2)), SOUND_WORLD.fps)[0], scene.span[0]))
    seen, heard = np.array(spans).T
    assert abs(np.corrcoef(seen, heard)[0, 1]) < 0.15


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_a_question_is_one_of_the_builders_forms(world: World, tmp_path: Path) -> None:
    for _, row in written(world, tmp_path):
        assert PATTERNS[row["question_type"]].fullmatch(row["question"])
        assert (row["width"], row["height"]) == world.size
        assert row["duration"] == world.seconds


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_every_scene_has_one_of_the_choices_and_constants_hold_them_all(world: World) -> None:
    def asked(answers: Iterable[Answer]) -> set[str]:
        return {write_answer(answer, world.task) for answer in answers}

    drawn = asked(world.scene(Random(number)).answer for number in range(300))
    assert drawn <= asked(world.choices) <= asked(world.constants)
    assert len(drawn) > len(world.choices) / 3


def test_a_temporal_clip_says_where_the_square_is_too(tmp_path: Path) -> None:
    for path, row in written(TEMPORAL_WORLD, tmp_path):
        shown = lit(pictures_of(path))
        frames = row["objects"][0]["frames"]
        assert [frame["time"] for frame in frames] == [float(second) for second in range(*map(int, row["when"]))]
        for frame in frames:
            (x1, y1, x2, y2) = map(int, frame["instances"][0]["box"])
            ys, xs = np.nonzero(shown[round(frame["time"] * TEMPORAL_WORLD.fps)])
            assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == (x1, y1, x2, y2)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_a_clip_follows_from_its_name_and_is_not_written_twice(world: World, tmp_path: Path) -> None:
    (first, *_), (again, *_) = (written(world, tmp_path / name) for name in ("a", "b"))
    assert first[0].read_bytes() == again[0].read_bytes()
    before = first[0].stat().st_mtime_ns
    written(world, tmp_path / "a")
    assert first[0].stat().st_mtime_ns == before


def test_another_seed_gives_other_clips(tmp_path: Path) -> None:
    ids = {TEMPORAL_WORLD.video_id(split, seed, 0) for split, seed in product(("train", "test"), (0, 1))}
    assert len(ids) == 4
    assert len({str(TEMPORAL_WORLD.scene_of(one).pictures.tobytes()) for one in ids}) > 1


def test_exchanged_clips_show_one_and_let_hear_the_other(tmp_path: Path) -> None:
    seen, heard = (SOUND_WORLD.video_id("test", 3, index) for index in (0, 1))
    (path,) = write_exchanged(SOUND_WORLD, tmp_path, [(seen, heard)])
    assert np.array_equal(lit(pictures_of(path)), lit(SOUND_WORLD.scene_of(seen).pictures))
    loud = sound_of(path)[: SOUND_WORLD.seconds * 16_000].reshape(-1, 16_000).std(axis=1) > 0.08
    assert whole_seconds(loud, 1) == SOUND_WORLD.scene_of(heard).span
    assert SOUND_WORLD.scene_of(heard).span != SOUND_WORLD.scene_of(seen).span


def test_a_clip_that_could_not_be_finished_does_not_bear_its_name(tmp_path: Path) -> None:
    odd = np.zeros((2, 15, 15, 3), np.uint8)  # yuv420p needs even sides
    with pytest.raises(Exception):  # noqa: B017, PT011  (FFmpeg's error, whatever it is)
        write_clip(tmp_path / "odd.mp4", odd, 4, None)
    assert not (tmp_path / "odd.mp4").exists()
