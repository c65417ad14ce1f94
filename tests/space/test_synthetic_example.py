"""The built-in example: written in seconds without network or torch, again where it is half there, scored as expected."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from r_avst.dataset_builder.video import find_videos
from r_avst.dataset_builder.video import probe
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import is_visible
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.scores import score_questions
from r_avst.metrics.benchmark import BenchmarkQuestion
from r_avst.metrics.benchmark import load_questions
from r_avst.metrics.floors import jittered_gold
from r_avst.metrics.floors import whole_video
from r_avst.metrics.predictions import Predictions
from r_avst.metrics.predictions import read_predictions
from r_avst.space.synthetic_example import DELAY
from r_avst.space.synthetic_example import MOVE
from r_avst.space.synthetic_example import SEED
from r_avst.space.synthetic_example import VIDEOS
from r_avst.space.synthetic_example import Example
from r_avst.space.synthetic_example import write_example


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return write_example(tmp_path_factory.mktemp("example") / "example")


@pytest.fixture(scope="module")
def questions(example: Example) -> list[BenchmarkQuestion]:
    return load_questions(str(example.dataset), "test")


def predicted(example: Example, questions: list[BenchmarkQuestion], name: str) -> Predictions:
    (path,) = (path for path in example.predictions if path.stem == name)
    return read_predictions(path, questions)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_task_occurs_and_every_video_is_there(example: Example, questions: list[BenchmarkQuestion]) -> None:
    assert {own.question.task for own in questions} == set(TASKS)
    videos = find_videos(example.videos)
    assert len(videos) == VIDEOS
    assert {own.question_id.rsplit("-", 3)[0] for own in questions} <= videos.keys()
    for own in questions:
        found = probe(videos[own.question_id.rsplit("-", 3)[0]])
        assert own.frame_size == (found.width, found.height)
        assert own.question.duration == pytest.approx(found.duration, abs=0.1)


def test_the_other_stand_ins_are_those_of_the_floors(example: Example, questions: list[BenchmarkQuestion]) -> None:
    for name, floor in (("whole_video", whole_video), ("jittered_truth", jittered_gold)):
        found = predicted(example, questions, name)
        for own, answer in zip(questions, floor(questions, SEED), strict=True):
            said = found.by_id[own.question_id].answer
            assert said.span == (pytest.approx(answer.span, abs=0.06) if answer.span else None)
            assert [track.name for track in said.tracks] == [track.name for track in answer.tracks]
        assert not found.warnings


def test_the_shifted_truth_is_late_and_moved_as_stated(example: Example, questions: list[BenchmarkQuestion]) -> None:
    found = predicted(example, questions, "shifted_truth")
    moved = 0
    for own in questions:
        said, truth = found.by_id[own.question_id].answer, own.question.truth
        if truth.span and truth.span[1] + DELAY <= (own.question.duration or 0):
            assert said.span == pytest.approx((truth.span[0] + DELAY, truth.span[1] + DELAY))
        for track, true in zip(said.tracks, truth.tracks, strict=True):
            for row, before in zip(track.rows, true.rows, strict=False):
                assert row[0] == pytest.approx(before[0] + DELAY)
                assert is_visible(row) == is_visible(before)
                shift = row[1] - before[1], row[2] - before[2]
                moved += is_visible(row) and shift == pytest.approx(MOVE)
                assert (row[3] - row[1], row[4] - row[2]) == pytest.approx((before[3] - before[1], before[4] - before[2]))
    assert moved > 50


def test_all_stand_ins_score_above_nothing_and_below_everything(
    example: Example, questions: list[BenchmarkQuestion]
) -> None:
    for path in example.predictions:
        parsed = read_predictions(path, questions).for_questions(questions)
        scores = score_questions(parsed, [own.question for own in questions], NameMatcher(None))
        spans = [own.tiou for own in scores if own.tiou is not None]
        boxes = [own.viou for own in scores if own.viou is not None]
        assert 0 < sum(spans) / len(spans) < 1
        assert 0 < sum(boxes) / len(boxes) < 1
        assert all(own.format == 1 for own in scores)


def test_writing_it_again_changes_nothing(tmp_path: Path) -> None:
    first = write_example(tmp_path / "example")
    before = contents(tmp_path / "example")
    changed = {path: path.stat().st_mtime_ns for path in (tmp_path / "example").rglob("*")}
    assert write_example(tmp_path / "example") == first
    assert contents(tmp_path / "example") == before
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "example").rglob("*")} == changed


def test_what_is_missing_is_written_again(tmp_path: Path) -> None:
    example = write_example(tmp_path / "example")
    before = contents(tmp_path / "example")
    example.predictions[1].unlink()
    (example.dataset / "build_report.json").unlink()
    next(example.videos.iterdir()).unlink()
    (example.videos / "half.mp4.part").write_bytes(b"half")
    write_example(tmp_path / "example")
    after = contents(tmp_path / "example")
    for path in ("r-avst/build_report.json", *(name for name in before if name.endswith((".jsonl", ".mp4")))):
        assert after[path] == before[path], path


LIGHT = """
import json, sys
from pathlib import Path
from r_avst.space.synthetic_example import write_example
write_example(Path(sys.argv[1]))
print(json.dumps([name for name in ("torch", "transformers", "openai", "gradio") if name in sys.modules]))
"""


def test_nothing_heavy_is_needed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIGHT, str(tmp_path / "example")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout.splitlines()[-1]) == []
