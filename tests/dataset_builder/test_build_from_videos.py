"""The whole pipeline on the synthetic world: what it finds against the truth, and what a kill leaves."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import datasets
import pytest

from r_avst.dataset_builder.build import main
from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import Frame
from r_avst.dataset_builder.records import Question
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.stages.questions import QuestionStage
from r_avst.dataset_builder.work_folder import read_rows
from r_avst.dataset_builder.work_folder import row_from_text
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.overlap import Box
from r_avst.metrics.avst_metrics.overlap import frame_iou
from r_avst.metrics.avst_metrics.scores import score_question

STAGES = ("filter", "captions", "boxes", "questions", "quality")
FOUND = 0.9  # IoU


def contents(folder: Path) -> dict[str, bytes]:
    """All files, but when those of videos were written; answers and outcomes are kept in the order in which they came."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    del files["build/contents.jsonl"]
    unordered = ("answers.jsonl", "outcomes.jsonl")
    return {name: b"".join(sorted(own.splitlines())) if name.endswith(unordered) else own for name, own in files.items()}


def build(work: Path, out: Path, *more: str) -> int:
    return main(["synthetic", "--work", str(work), "--out", str(out), *more])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The work folder and the data set of 24 clips, all of which go on."""
    folder = tmp_path_factory.mktemp("synthetic")
    assert build(folder / "build", folder / "r-avst", "--videos", "24", "--seed", "0", "--no-balance") == 0
    return folder / "build", folder / "r-avst"


@pytest.fixture(scope="module")
def truth(built: tuple[Path, Path]) -> dict[str, VideoRow]:
    lines = [json.loads(line) for line in (built[0] / "truth.jsonl").read_text().splitlines()]
    return {line["video_id"]: row_from_text(json.dumps(line["row"])) for line in lines}


def rows(work: Path, stage: str) -> tuple[VideoRow, ...]:
    return read_rows(work / stage / "rows.jsonl")


def pairs(found: tuple[VideoRow, ...], truth: dict[str, VideoRow]) -> Iterator[tuple[Event, Event]]:
    """The events of the rows with the true ones."""
    for row in found:
        true = {event.event_id: event for event in truth[row.video.video_id].events}
        yield from ((event, true[event.event_id]) for event in row.events)


def frames(found: tuple[VideoRow, ...], truth: dict[str, VideoRow]) -> Iterator[tuple[Frame, Frame]]:
    for event, true in pairs(found, truth):
        assert [own.name for own in event.objects] == [own.name for own in true.objects]
        for own, other in zip(event.objects, true.objects, strict=True):
            yield from zip(own.frames, other.frames, strict=True)


def seen(frame: Frame) -> list[Box]:
    return [one.box for one in frame.instances if one.visible]


# --- the work folder --------------------------------------------------------------------------------------------------


def test_each_stage_has_a_folder_of_rows_keyed_by_video(built: tuple[Path, Path]) -> None:
    for stage in STAGES:
        lines = [json.loads(line) for line in (built[0] / stage / "rows.jsonl").read_text().splitlines()]
        assert len(lines) > 18
        assert all(line["video_id"] == line["row"]["video"]["video_id"] for line in lines)
        assert (built[0] / stage / "failures.jsonl").read_text() == ""


def test_the_truth_has_a_row_a_video(truth: dict[str, VideoRow]) -> None:
    assert len(truth) == 24
    assert all(event.objects for row in truth.values() for event in row.events)


def test_the_filter_tells_what_each_rule_removed(built: tuple[Path, Path]) -> None:
    report = json.loads((built[0] / "filter/report.json").read_text())
    removed = sum(len(rule["removed"]) for rule in report["rules"])
    assert report["videos"] == 24
    assert len(rows(built[0], "filter")) == 24 - removed


# --- against the truth ------------------------------------------------------------------------------------------------


def test_captions_give_the_true_subjects(built: tuple[Path, Path], truth: dict[str, VideoRow]) -> None:
    assert all(event.subjects == true.subjects for event, true in pairs(rows(built[0], "captions"), truth))


def test_boxes_have_a_mean_iou_of_nine_tenths_or_more(built: tuple[Path, Path], truth: dict[str, VideoRow]) -> None:
    scores = [frame_iou(seen(own), seen(true)) for own, true in frames(rows(built[0], "boxes"), truth) if seen(true)]
    assert len(scores) > 500
    assert sum(scores) / len(scores) >= 0.9


def test_the_build_says_how_right_it_is(built: tuple[Path, Path], truth: dict[str, VideoRow]) -> None:
    told = json.loads((built[0] / "against_truth.json").read_text())
    found = list(frames(rows(built[0], "boxes"), truth))
    scores = [frame_iou(seen(own), seen(true)) for own, true in found if seen(true)]
    assert told["times"] == len(found)
    assert told["mean_iou"] == pytest.approx(sum(scores) / len(scores))


def test_who_is_visible_is_right_nineteen_times_in_twenty(built: tuple[Path, Path], truth: dict[str, VideoRow]) -> None:
    found = [(bool(seen(own)), bool(seen(true))) for own, true in frames(rows(built[0], "boxes"), truth)]
    both = found.count((True, True))
    assert found.count((False, False)) > 50  # some do hide
    assert both / (both + found.count((True, False))) >= 0.95
    assert both / (both + found.count((False, True))) >= 0.95


def test_what_hides_and_returns_is_found_again(built: tuple[Path, Path], truth: dict[str, VideoRow]) -> None:
    returned = right = 0
    for event, true in pairs(rows(built[0], "boxes"), truth):
        for own, other in zip(event.objects, true.objects, strict=True):
            shown = [bool(seen(frame)) for frame in other.frames]
            gone = shown.index(False, shown.index(True)) if True in shown and False in shown[shown.index(True) :] else None
            if gone is not None and True in shown[gone:]:
                returned += 1
                right += shown == [bool(seen(frame)) for frame in own.frames]
    assert returned >= 5
    assert right / returned >= 0.9


def test_spans_are_within_a_tenth_of_a_second(built: tuple[Path, Path], truth: dict[str, VideoRow]) -> None:
    true = {event.event_id: event.span for row in truth.values() for event in row.events}
    questions = [question for row in rows(built[0], "quality") for question in row.questions]
    assert len(questions) > 40
    for question in questions:
        assert question.span is not None
        assert question.span == pytest.approx(true[question.event_id], abs=0.1)


def true_questions(truth: dict[str, VideoRow]) -> dict[str, Question]:
    """What is asked about the truth: every question that can be, by its id."""
    asked, _ = QuestionStage(balance_tasks=False, max_per_event=None).run(tuple(truth.values()))
    return {question.question_id: question for row in asked for question in row.questions}


def test_an_answer_scores_one_wherever_the_detector_was_right(built: tuple[Path, Path], truth: dict[str, VideoRow]) -> None:
    true = true_questions(truth)
    questions = [question for row in rows(built[0], "quality") for question in row.questions]
    right = [own for own in questions if own.objects == true[own.question_id].objects]
    assert len(right) >= 0.8 * len(questions)
    assert {question.task for question in right} == {"temporal", "spatial", "spatio_temporal"}
    for question in right:
        answer = parse_answer(true[question.question_id].answer).answer
        score = asdict(score_question(parse_answer(question.answer), answer, question.task, NameMatcher(None)))
        assert {own for own in score.values() if own is not None} == {1.0}, question.question_id


# --- the data set -----------------------------------------------------------------------------------------------------


def test_the_data_set_loads(built: tuple[Path, Path], tmp_path: Path) -> None:
    loaded = datasets.load_dataset(str(built[1]), cache_dir=str(tmp_path))
    assert set(loaded) == {"train", "test"}
    videos = [set(loaded[split]["video_id"]) for split in loaded]
    assert not videos[0] & videos[1]
    assert {row["width"] for row in loaded["train"]} == {256}


def test_tasks_are_about_even(built: tuple[Path, Path]) -> None:
    report = json.loads((built[1] / "build_report.json").read_text())["stages"]["questions"]
    for tasks in report["tasks"].values():
        assert len(set(tasks.values())) == 1


# --- runs -------------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(built: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert build(tmp_path / name / "build", tmp_path / name / "r-avst", "--videos", "3", "--no-balance") == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def killed_after(command: list[str], seconds: float) -> bool:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


@pytest.mark.slow
def test_a_build_killed_at_many_moments_ends_with_the_same_bytes(tmp_path: Path) -> None:
    def command(name: str) -> list[str]:
        script = "import sys; from r_avst.dataset_builder.build import main; sys.exit(main(sys.argv[1:]))"
        own = ["--work", str(tmp_path / name / "build"), "--out", str(tmp_path / name / "r-avst")]
        return [sys.executable, "-c", script, "synthetic", "--videos", "4", "--no-balance", *own]

    start = time.monotonic()
    assert not killed_after(command("whole"), 300)
    whole = time.monotonic() - start
    draw, kills = random.Random(0), 0
    while kills < 20:
        if not killed_after(command("chopped"), draw.uniform(0.2, 1.0) * whole):
            forget_one_stage(tmp_path / "chopped/build", draw)
            continue
        kills += 1
    assert not killed_after(command("chopped"), 300)
    assert contents(tmp_path / "chopped") == contents(tmp_path / "whole")


def forget_one_stage(work: Path, draw: random.Random) -> None:
    """A run that came to its end is set back, so that there is something left to kill."""
    for path in islice(sorted((work / "videos").iterdir()), 2):
        path.unlink()
    for stage in ("captions", "boxes"):
        if draw.random() < 0.7:
            shutil.rmtree(work / stage)
