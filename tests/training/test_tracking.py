"""What a trainer sees: lines and pictures of real runs, read back from where the trackers keep them."""

import importlib
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from run_files import tiny_trainer
from transformers import ProgressCallback
from transformers import Trainer
from written_videos import number_in
from written_videos import write_numbered

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.training.answer_form import AnswerForm
from r_avst.training.answer_form import answer_text
from r_avst.training.answer_pictures import MARGIN
from r_avst.training.answer_pictures import PREDICTED_COLOUR
from r_avst.training.answer_pictures import ROW_HEIGHT
from r_avst.training.answer_pictures import TRUE_COLOUR
from r_avst.training.answer_pictures import FrameSizeError
from r_avst.training.prompts import prompt_messages
from r_avst.training.tracking import AnswerPictures
from r_avst.training.tracking import LatestCompletions
from r_avst.training.tracking import RunProgress
from r_avst.training.tracking import Sample
from r_avst.training.tracking import completion_text
from r_avst.training.tracking import draw_sample
from r_avst.training.tracking import progress_line
from r_avst.training.tracking import senders_of
from r_avst.training.tracking import spread
from r_avst.training.tracking import use_run_progress
from r_avst.training.tracking import video_of

SOURCE, PROCESSED, SECONDS = (320, 180), (308, 168), 20.0
FORM = AnswerForm("norm1000", 1, 0)
TRUTH = Answer((Track("dog", ((7.0, 32.0, 90.0, 160.0, 171.0),)),), (5.0, 9.0))
WRITTEN = answer_text(TRUTH, "spatio_temporal", FORM, SOURCE, PROCESSED)
WIDTH, HEIGHT, TOP = 360, 202, MARGIN + 2 * ROW_HEIGHT  # of the frame in the picture


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 numbered pictures, ten a second."""
    return write_numbered(tmp_path_factory.mktemp("videos") / "numbered.mp4")


def columns(video: Path, count: int, **changes: Any) -> dict[str, Any]:
    """What TRL hands over for two completions of each question, and more that the observer has no use for."""
    known: dict[str, Any] = {
        "prompts": [prompt_messages(video, "When?")] * count,
        "completions": [[{"role": "assistant", "content": WRITTEN}]] * count,
        "question_id": [f"q{index // 2}" for index in range(count)],
        "task": ["spatio_temporal"] * count,
        "truth": [write_answer(TRUTH, "spatio_temporal")] * count,
        "source_size": [list(SOURCE)] * count,
        "processed_size": [list(PROCESSED)] * count,
        "duration": [SECONDS] * count,
    }
    return known | changes


def observed(video: Path, count: int = 4) -> LatestCompletions:
    latest = LatestCompletions()
    latest.observe(**columns(video, count))
    return latest


def with_pictures(trainer: Trainer, video: Path, every: int = 2, count: int = 2) -> Trainer:
    trainer.add_callback(AnswerPictures(observed(video), FORM, every, count, "pyav", senders_of(trainer)))
    return trainer


def frame_of(picture: Image.Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(picture)[TOP : TOP + HEIGHT, MARGIN : MARGIN + WIDTH]


def has_both_boxes(picture: Image.Image) -> bool:
    pixels = frame_of(picture)
    return all(bool((pixels == np.array(own)).all(axis=2).any()) for own in (TRUE_COLOUR, PREDICTED_COLOUR))


# --- the latest completions -------------------------------------------------------------------------------------------


def test_the_latest_batch_is_kept(video: Path) -> None:
    latest = observed(video)
    assert [sample.question_id for sample in latest.samples] == ["q0", "q0", "q1", "q1"]
    assert latest.samples[0] == Sample(
        "q0", video, WRITTEN, write_answer(TRUTH, "spatio_temporal"), SOURCE, PROCESSED, SECONDS
    )
    latest.observe(**columns(video, 2, completions=["one", "two"]))
    assert [sample.completion for sample in latest.samples] == ["one", "two"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"completions": ["one"]}, "shorter|longer"),
        ({"source_size": [[320, 180], [320, 0]]}, "source_size is .* two whole numbers"),
        ({"prompts": [[{"role": "user", "content": "no video"}]] * 2}, "a prompt has no video"),
    ],
)
def test_columns_of_another_form_are_refused(video: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LatestCompletions().observe(**columns(video, 2, **changes))


def test_a_video_is_found_beside_the_nones_that_arrow_fills_in() -> None:
    content = [{"type": "text", "text": "x", "video": None}, {"type": "video", "text": None, "video": "/a/b.mp4"}]
    assert video_of([{"role": "system", "content": "s"}, {"role": "user", "content": content}]) == Path("/a/b.mp4")


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ("plain", "plain"),
        ([{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}], "ab"),
        ([{"role": "assistant", "content": [{"type": "text", "text": "c"}, {"type": "x", "text": None}]}], "c"),
        ([], ""),
    ],
)
def test_completions_of_every_form_are_read(completion: Any, text: str) -> None:
    assert completion_text(completion) == text


@pytest.mark.parametrize(
    ("count", "chosen"), [(1, [0]), (2, [0, 2]), (3, [0, 2, 4]), (4, [0, 2, 4, 1]), (9, [0, 2, 4, 1, 3, 5])]
)
def test_as_many_questions_as_possible_are_shown(video: Path, count: int, chosen: Sequence[int]) -> None:
    samples = observed(video, 6).samples
    found = spread([*samples], count)
    assert [sample.question_id for sample in found] == [samples[index].question_id for index in chosen]
    assert len(found) == len(chosen)


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_the_picture_shows_the_frame_of_its_time_and_boxes_in_source_pixels(video: Path) -> None:
    sample = observed(video).samples[0]
    frame = frame_of(draw_sample(sample, FORM, "pyav"))
    assert number_in(frame) == 70  # 7.0 s, ten pictures a second
    green = (frame == np.array(TRUE_COLOUR)).all(axis=2)
    orange = (frame == np.array(PREDICTED_COLOUR)).all(axis=2)
    scale = 360 / 320
    assert (green | orange)[round(90 * scale), round(34 * scale) : round(158 * scale)].all()
    # norm1000 came back to source pixels: the predicted box covers the true one but for rounding
    assert orange[round(170 * scale) : round(171 * scale), round(34 * scale) : round(158 * scale)].any()


def test_an_answer_is_drawn_on_the_last_frame_where_the_truth_leaves_the_video(video: Path) -> None:
    late = Answer((Track("dog", ((20.0, 1.0, 100.0, 50.0, 150.0),)),), (19.0, 25.0))
    shown = draw_sample(
        Sample("q", video, "", write_answer(late, "spatio_temporal"), SOURCE, PROCESSED, SECONDS), FORM, "pyav"
    )
    assert number_in(frame_of(shown)) == 199


def test_a_sample_of_another_size_than_its_video_is_refused(video: Path) -> None:
    with pytest.raises(FrameSizeError, match=r"need \(360, 640, 3\)"):
        draw_sample(Sample("q", video, "", "", (640, 360), PROCESSED, SECONDS), FORM, "pyav")


def test_pictures_are_written_at_every_so_many_logged_steps(tmp_path: Path, video: Path) -> None:
    with_pictures(tiny_trainer(tmp_path), video).train()
    written = sorted((tmp_path / "_answers").iterdir())
    assert [path.name for path in written] == [f"step_0000{step}_{index}.png" for step in (1, 3, 5) for index in (0, 1)]
    for path in written:
        with Image.open(path) as picture:
            assert has_both_boxes(picture)


def test_a_video_that_is_gone_costs_its_picture_and_not_the_run(
    tmp_path: Path, video: Path, caplog: pytest.LogCaptureFixture
) -> None:
    latest = observed(video)
    lost = latest.samples[0].__class__("lost", tmp_path / "gone.mp4", WRITTEN, "", SOURCE, PROCESSED, SECONDS)
    latest.samples = (lost, latest.samples[0])
    trainer = tiny_trainer(tmp_path, steps=1)
    trainer.add_callback(AnswerPictures(latest, FORM, 1, 2, "pyav", []))
    trainer.train()
    assert trainer.state.global_step == 1
    assert [path.name for path in (tmp_path / "_answers").iterdir()] == ["step_00001_0.png"]
    assert "no picture of the answer to lost: " in caplog.text


def test_nothing_is_drawn_before_there_is_anything_and_by_other_processes(tmp_path: Path, video: Path) -> None:
    trainer = tiny_trainer(tmp_path, steps=1)
    trainer.add_callback(AnswerPictures(LatestCompletions(), FORM, 1, 2, "pyav", [lambda *_: pytest.fail("sent")]))
    trainer.train()
    trainer.state.is_world_process_zero = False
    own = AnswerPictures(observed(video), FORM, 1, 2, "pyav", [])
    own.on_log(trainer.args, trainer.state, trainer.control, logs={"loss": 1.0})
    assert not (tmp_path / "_answers").exists()


@pytest.mark.parametrize(("every", "count"), [(0, 1), (1, 0)])
def test_numbers_below_one_are_refused(every: int, count: int) -> None:
    with pytest.raises(ValueError, match="both must be whole numbers from 1"):
        AnswerPictures(LatestCompletions(), FORM, every, count, "pyav", [])


# --- trackers ---------------------------------------------------------------------------------------------------------


def test_tensorboard_gets_the_pictures(tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "reads TensorBoard's files: pip install 'r-avst[track]'"
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason=reason)
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    with_pictures(tiny_trainer(tmp_path / "out", report_to=["tensorboard"]), video).train()
    events = accumulator.EventAccumulator(str(tmp_path / "events"), size_guidance={"images": 0})
    events.Reload()
    assert sorted(events.Tags()["images"]) == ["answers/0", "answers/1"]
    found = events.Images("answers/1")
    assert [own.step for own in found] == [1, 3, 5]
    sent = Image.open(io.BytesIO(found[-1].encoded_image_string))
    with Image.open(tmp_path / "out/_answers/step_00005_1.png") as written:
        assert (np.asarray(sent) == np.asarray(written)).all()
    assert len(events.Scalars("train/reward")) == 6


TRACKIO = """
import sys
from pathlib import Path
import test_tracking
from run_files import tiny_trainer
video, out = map(Path, sys.argv[1:])
test_tracking.with_pictures(tiny_trainer(out, report_to=["trackio"], project="tiny", run_name="one"), video).train()
"""


@pytest.mark.slow
def test_trackio_gets_the_pictures(tmp_path: Path, video: Path) -> None:
    pytest.importorskip("trackio", reason="sends to trackio: pip install 'r-avst[track]'")
    here = Path(__file__)
    environment = os.environ | {
        "TRACKIO_DIR": str(tmp_path / "trackio"),  # read once, when trackio is imported: so in a process of its own
        "PYTHONPATH": f"{here.parent}{os.pathsep}{here.parents[1]}",
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-c", TRACKIO, str(video), str(tmp_path / "out")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    stored = sorted((tmp_path / "trackio").rglob("*.png"))
    written = sorted((tmp_path / "out/_answers").glob("*.png"))
    assert len(stored) == len(written) == 6
    assert {Image.open(path).convert("RGB").tobytes() for path in stored} == {
        Image.open(path).convert("RGB").tobytes() for path in written
    }
    (database,) = (tmp_path / "trackio").glob("tiny*.db")
    with sqlite3.connect(database) as connection:
        rows = [json.loads(row[0]) for row in connection.execute("select metrics from metrics")]
    assert [row["train/global_step"] for row in rows if "answers/0" in row] == [1, 3, 5]
    assert sum("train/reward" in row for row in rows) == 6


class Wandb:
    """What stands for wandb, which is not among the project's packages: it takes what its `log` is given."""

    run: Any = object()

    def __init__(self) -> None:
        self.logged: list[dict[str, Any]] = []

    def log(self, metrics: dict[str, Any]) -> None:
        self.logged.append(metrics)

    @staticmethod
    def Image(picture: Image.Image) -> tuple[str, Image.Image]:
        return "image", picture


def test_wandb_gets_the_pictures(tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)  # type: ignore[arg-type]
    tracking = importlib.import_module("r_avst.training.tracking")
    monkeypatch.setattr(tracking, "find_spec", lambda name: name == "wandb")
    trainer = tiny_trainer(tmp_path, steps=1)
    trainer.args.report_to = ["wandb", "trackio"]  # after the trainer was made, so that it does not look for them itself
    with_pictures(trainer, video).train()
    (logged,) = wandb.logged
    assert logged["train/global_step"] == 1
    assert [kind for kind, _ in logged["answers"]] == ["image", "image"]
    assert has_both_boxes(logged["answers"][0][1])


def test_trackers_that_are_not_named_get_nothing(tmp_path: Path) -> None:
    assert senders_of(tiny_trainer(tmp_path)) == []


# --- progress ---------------------------------------------------------------------------------------------------------


def lines_of(trainer: Trainer, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str]:
    use_run_progress(trainer)
    trainer.train()
    out, err = capsys.readouterr()
    return out.splitlines(), err


def test_every_logged_step_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, err = lines_of(tiny_trainer(tmp_path), capsys)
    assert len(lines) == 7
    assert re.fullmatch(
        r"step 3/6 \| reward 0\.03 \(format 0\.6667, object -, temporal 0\.5564, spatial 0\.003\) \| loss 3e-05 "
        r"\| length 215\.5 \| truncated 12% \| zero-advantage 25% \| [\d.e-]+ s/step",
        lines[2],
    )
    assert lines[-1].startswith("after step 6: train_runtime ")
    assert not any(line.startswith("{") for line in lines)
    assert "step 3/6" not in err


def test_the_bar_is_shown_unless_it_is_disabled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, hidden = lines_of(tiny_trainer(tmp_path / "a"), capsys)
    lines, shown = lines_of(tiny_trainer(tmp_path / "b", disable_tqdm=False), capsys)
    assert "6/6" in shown
    assert "6/6" not in hidden
    assert len([line for line in lines if line.startswith("step ")]) == 6


def test_one_callback_prints(tmp_path: Path) -> None:
    for disabled in (False, True):
        trainer = tiny_trainer(tmp_path, disable_tqdm=disabled)
        use_run_progress(trainer)
        printing = [own for own in trainer.callback_handler.callbacks if "Pr" in type(own).__name__]
        assert [type(own) for own in printing] == [RunProgress]
        assert isinstance(printing[0], ProgressCallback)


def test_other_processes_print_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = tiny_trainer(tmp_path)
    trainer.state.is_world_process_zero = False
    progress = RunProgress()
    for event in (progress.on_train_begin, progress.on_step_end, progress.on_train_end):
        event(trainer.args, trainer.state, trainer.control)
    progress.on_log(trainer.args, trainer.state, trainer.control, logs={"loss": 1.0})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("logs", "line"),
    [
        ({"loss": 0.123456, "mean_token_accuracy": 0.75}, "step 1/2 | loss 0.1235 | accuracy 0.75"),
        ({"reward": None}, "step 1/2 | reward -"),
        ({"completions/clipped_ratio": None, "kl": 1e-5}, "step 1/2 | kl 1e-05 | truncated -"),
        ({}, "step 1/2"),
    ],
)
def test_what_was_not_logged_is_left_out(logs: dict[str, Any], line: str) -> None:
    assert progress_line(logs, 1, 2, None) == line
