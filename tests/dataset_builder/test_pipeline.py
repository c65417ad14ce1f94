"""What runs the stages: what is done stays done, what fails is listed, and a kill costs nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_stages import UpperStage
from scripted_stages import video_row
from scripted_stages import video_rows

from r_avst.dataset_builder.pipeline import StageResult
from r_avst.dataset_builder.pipeline import attempt
from r_avst.dataset_builder.pipeline import only_run
from r_avst.dataset_builder.pipeline import run_here
from r_avst.dataset_builder.pipeline import run_video_stage
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.stages.stage import StageError
from r_avst.dataset_builder.work_folder import OUTCOMES

ROOT = Path(__file__).parents[2]
RUN_IN_A_PROCESS = """
import sys
from pathlib import Path
from scripted_stages import UpperStage, video_rows
from r_avst.dataset_builder.pipeline import only_run, run_here, run_video_stage
work = Path(sys.argv[1])
stage = UpperStage(work / "log", workers=int(sys.argv[2]), bad=("video03",), seconds=0.004)
with only_run(work):
    run_video_stage(stage, video_rows(40), work, run_here, retry_failed=False)
"""


def run(stage: UpperStage, rows: tuple[VideoRow, ...], work: Path, retry_failed: bool = False) -> StageResult:
    return run_video_stage(stage, rows, work, run_here, retry_failed)


def files(folder: Path) -> dict[str, bytes]:
    """All files; of the outcomes the order in which they came does not count."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    return {name: b"".join(sorted(own.splitlines())) if name == OUTCOMES else own for name, own in found.items()}


@pytest.mark.parametrize("workers", [1, 4])
def test_rows_come_in_the_order_of_the_input(tmp_path: Path, workers: int) -> None:
    result = run(UpperStage(tmp_path / "log", workers=workers), video_rows(20), tmp_path)
    assert [row.video.video_id for row in result.rows] == [f"video{number:02}" for number in range(20)]
    assert {row.events[0].caption for row in result.rows} == {"A DOG BARKS.!"}
    assert result.report == {"videos": 20, "failed": 0, "captions": 20}


def test_the_files_are_keyed_by_video(tmp_path: Path) -> None:
    run(UpperStage(tmp_path / "log", bad=("video01",)), video_rows(3), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "upper/rows.jsonl").read_text().splitlines()]
    assert [line["video_id"] for line in lines] == ["video00", "video02"]
    failures = [json.loads(line) for line in (tmp_path / "upper/failures.jsonl").read_text().splitlines()]
    assert [(line["video_id"], line["reason"]) for line in failures] == [("video01", "video01: a bad video")]
    assert set(files(tmp_path / "upper")) == {"outcomes.jsonl", "rows.jsonl", "failures.jsonl", "report.json"}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_bad_video_does_not_stop_the_others(tmp_path: Path, workers: int) -> None:
    result = run(UpperStage(tmp_path / "log", workers=workers, bad=("video01", "video04")), video_rows(6), tmp_path)
    assert [failure.video_id for failure in result.failures] == ["video01", "video04"]
    assert len(result.rows) == 4


def test_an_unexpected_error_is_a_failure_with_its_kind(tmp_path: Path) -> None:
    broken = replace(video_row("odd"), events=(None,))  # type: ignore[arg-type]
    outcome = attempt(UpperStage(tmp_path / "log").open(), ("input", broken))
    assert "AttributeError: " in getattr(outcome, "reason", "")


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    stage = UpperStage(tmp_path / "log", bad=("video01",))
    first = run(stage, video_rows(4), tmp_path)
    before = files(tmp_path / "upper")
    assert run(stage, video_rows(4), tmp_path) == first
    assert files(tmp_path / "upper") == before
    assert len(stage.worked_on()) == 4


def test_more_videos_cost_only_themselves(tmp_path: Path) -> None:
    stage = UpperStage(tmp_path / "log")
    run(stage, video_rows(3), tmp_path)
    assert len(run(stage, video_rows(5), tmp_path).rows) == 5
    assert len(stage.worked_on()) == 5


def test_other_settings_make_all_rows_anew(tmp_path: Path) -> None:
    run(UpperStage(tmp_path / "log"), video_rows(3), tmp_path)
    stage = UpperStage(tmp_path / "log", suffix="?")
    assert {row.events[0].caption for row in run(stage, video_rows(3), tmp_path).rows} == {"A DOG BARKS.?"}
    assert len(stage.worked_on()) == 6


def test_settings_that_are_changed_back_cost_nothing(tmp_path: Path) -> None:
    first = run(UpperStage(tmp_path / "log"), video_rows(3), tmp_path)
    run(UpperStage(tmp_path / "log", suffix="?"), video_rows(3), tmp_path)
    stage = UpperStage(tmp_path / "log")
    assert run(stage, video_rows(3), tmp_path) == first
    assert len(stage.worked_on()) == 6


def test_a_video_that_was_left_out_for_a_while_costs_nothing(tmp_path: Path) -> None:
    stage = UpperStage(tmp_path / "log")
    first = run(stage, video_rows(3), tmp_path)
    run(stage, video_rows(1), tmp_path)
    assert run(stage, video_rows(3), tmp_path) == first
    assert len(stage.worked_on()) == 3


def test_a_user_who_stops_a_run_does_not_wait_for_what_hangs(tmp_path: Path) -> None:
    stage = UpperStage(tmp_path / "log", workers=2, seconds=8)
    outcomes = run_here(stage, [("input", row) for row in video_rows(1)])
    start = time.monotonic()
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        next(outcomes)
    assert time.monotonic() - start < 5


def test_another_input_makes_its_row_anew(tmp_path: Path) -> None:
    stage = UpperStage(tmp_path / "log")
    run(stage, video_rows(3), tmp_path)
    rows = (*video_rows(2), video_row("video02", caption="A cat."))
    assert run(stage, rows, tmp_path).rows[2].events[0].caption == "A CAT.!"
    assert stage.worked_on()[3:] == ["video02"]


def test_failed_videos_are_tried_again_when_asked(tmp_path: Path) -> None:
    run(UpperStage(tmp_path / "log", bad=("video01", "video02")), video_rows(3), tmp_path)
    mended = UpperStage(tmp_path / "log", bad=("video02",))
    assert len(run(mended, video_rows(3), tmp_path).failures) == 2
    assert mended.worked_on() == ["video00", "video01", "video02"]
    again = run(mended, video_rows(3), tmp_path, retry_failed=True)
    assert [failure.video_id for failure in again.failures] == ["video02"]
    assert mended.worked_on()[3:] == ["video01", "video02"]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stage_that_cannot_go_on_keeps_what_is_done(tmp_path: Path, workers: int) -> None:
    with pytest.raises(StageError, match="the server is gone"):
        run(UpperStage(tmp_path / "log", workers=workers, stops=("video05",), seconds=0.01), video_rows(9), tmp_path)
    done = {json.loads(line)["video_id"] for line in (tmp_path / "upper" / OUTCOMES).read_text().splitlines()}
    assert done
    (tmp_path / "log").unlink()
    stage = UpperStage(tmp_path / "log", workers=workers)
    assert len(run(stage, video_rows(9), tmp_path).rows) == 9
    assert set(stage.worked_on()) == {row.video.video_id for row in video_rows(9)} - done


def test_a_journal_cut_in_mid_line_loses_that_line_alone(tmp_path: Path) -> None:
    with pytest.raises(StageError):
        run(UpperStage(tmp_path / "log", stops=("video05",)), video_rows(9), tmp_path)
    journal = tmp_path / "upper" / OUTCOMES
    journal.write_bytes(journal.read_bytes()[:-20])
    (tmp_path / "log").unlink()
    stage = UpperStage(tmp_path / "log")
    run(stage, video_rows(9), tmp_path)
    assert stage.worked_on() == ["video04", "video05", "video06", "video07", "video08"]


def test_a_damaged_file_is_named_with_its_line(tmp_path: Path) -> None:
    run(UpperStage(tmp_path / "log"), video_rows(3), tmp_path)
    store = tmp_path / "upper/outcomes.jsonl"
    lines = store.read_text().splitlines()
    store.write_text("\n".join([lines[0], "{}", lines[2], ""]))
    with pytest.raises(StageError, match=r"upper/outcomes\.jsonl, line 2 is damaged .*: remove the file"):
        run(UpperStage(tmp_path / "log"), video_rows(3), tmp_path)


def test_two_rows_of_one_video_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="video00 stands in two rows"):
        run(UpperStage(tmp_path / "log"), video_rows(1) * 2, tmp_path)


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from r_avst.dataset_builder.pipeline import only_run\n"
    script += "with only_run(Path(sys.argv[1])): pass"
    command = [sys.executable, "-c", script, str(tmp_path)]
    with only_run(tmp_path):
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"StageError: {tmp_path}: another run is at work in it" in second.stderr
    assert subprocess.run(command, check=False).returncode == 0


def killed_after(work: Path, workers: int, seconds: float) -> bool:
    """Runs the stage in a process and kills it; whether it was still at work."""
    path = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_IN_A_PROCESS, str(work), str(workers)],
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
    )
    start = time.monotonic()
    while process.poll() is None and not (work / "log").exists() and time.monotonic() - start < 30:
        time.sleep(0.005)  # the clock starts with the first video, not with Python
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_run_killed_again_and_again_ends_with_the_same_bytes(tmp_path: Path, workers: int) -> None:
    whole, chopped = tmp_path / "whole", tmp_path / "chopped"
    assert not killed_after(whole, workers, seconds=60)
    draw = random.Random(workers)
    kills = 0
    for _ in range(10):
        (chopped / "log").unlink(missing_ok=True)
        kills += killed_after(chopped, workers, draw.uniform(0.0, 0.06))
    (chopped / "log").unlink(missing_ok=True)
    killed_after(chopped, workers, seconds=60)
    assert kills > 2
    assert files(chopped / "upper") == files(whole / "upper")
