"""`r-avst-sft` as a whole: a loss on the answer alone that falls, and a run that goes on."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_data import QUESTIONS
from training_data import truth_of
from training_data import write_training_data

from r_avst.training.sft import main
from r_avst.training.tiny_models import WRITERS

DATA = ["--dataset", "r-avst", "--videos", "videos"]
TEXTS = [*QUESTIONS.values(), *(truth_of(task) for task in QUESTIONS)]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_training_data(tmp_path)
    WRITERS["vl"](tmp_path / "tiny-vl", 0, TEXTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("R_AVST_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_sft_learns_the_true_answers(work: Path) -> None:
    arguments = ["--recipe", "tiny_sft", *DATA, "--max_steps", "30", "--learning_rate", "3e-3", "--save_strategy", "no"]
    assert main(arguments) == 0
    report = json.loads((work / "runs" / "tiny_sft" / "run.json").read_text(encoding="utf-8"))
    loss = report["figures"]["loss"]
    assert loss["last"] < loss["first"] / 2
    assert (report["method"], report["counts"]["examples"], report["counts"]["gold_answers"]) == ("sft", 12, None)


def test_a_run_in_two_parts_ends_with_the_same_weights(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--recipe", "tiny_sft", *DATA, "--lr_scheduler_type", "constant"]
    assert main([*arguments, "--max_steps", "4", "--output_dir", "runs/whole"]) == 0
    assert main([*arguments, "--max_steps", "2", "--output_dir", "runs/parts"]) == 0
    capsys.readouterr()
    assert main([*arguments, "--max_steps", "4", "--output_dir", "runs/parts"]) == 0
    assert "going on from runs/parts/checkpoint-2" in capsys.readouterr().out
    whole, parts = (load_file(work / "runs" / name / "model.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


def test_too_few_questions_for_a_step_are_told(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--recipe", "tiny_sft", *DATA, "--limit", "3", "--gradient_accumulation_steps", "2"]) == 2
    assert "3 questions are too few: the first step takes 4" in capsys.readouterr().err


def test_a_reward_is_no_option_of_sft(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--recipe", "tiny", *DATA]) == 2
    assert "there is no option" in capsys.readouterr().err
