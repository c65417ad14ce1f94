"""The file of a run: its figures are the trainer's, it survives a kill, and nothing of this machine stands in it."""

import json
import math
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from peft import LoraConfig
from peft import get_peft_model
from run_files import BASE
from run_files import GRPOLike
from run_files import Network
from run_files import grpo_facts
from run_files import grpo_history
from run_files import read_run
from run_files import tiny_trainer
from transformers import Trainer

from r_avst.training.run_report import RunReport
from r_avst.training.run_report import RunReporter
from r_avst.training.run_report import RunReportError
from r_avst.training.run_report import device_name
from r_avst.training.run_report import figures_of
from r_avst.training.run_report import history_of
from r_avst.training.run_report import hub_name
from r_avst.training.run_report import last_name
from r_avst.training.run_report import put_bytes
from r_avst.training.run_report import report_of
from r_avst.training.run_report import write_report


def finished(folder: Path, **options: Any) -> Trainer:
    trainer = tiny_trainer(folder, **options)
    trainer.add_callback(RunReporter(grpo_facts()))
    trainer.train()
    return trainer


# --- a real run -------------------------------------------------------------------------------------------------------


def test_a_finished_run_is_told_whole(tmp_path: Path) -> None:
    trainer = finished(tmp_path)
    run = read_run(tmp_path)
    assert run["finished"] is True
    assert (run["method"], run["base_model"], run["adapter"]) == ("grpo", BASE, None)
    assert run["counts"] == {
        "examples": 5,
        "skipped_questions": 3,
        "skipped_videos": 2,
        "completion_limit": 1024,
        "gold_answers": 5,
        "gold_too_long": 2,
        "steps": 6,
        "planned_steps": 6,
        "logged_steps": 6,
        "processes": 1,
        "seed": 7,
    }
    assert run["skipped"] == {"no video": 2, "unreadable video": 1}
    assert run["versions"]["torch"] == torch.__version__.split("+")[0] or run["versions"]["torch"] == torch.__version__
    assert run["versions"]["trl"] == metadata.version("trl")
    assert set(run["versions"]) >= {"torch", "transformers", "peft", "r-avst"}
    assert run["hardware"].startswith("1 x CPU (")
    assert 0 < run["seconds"] < 60
    assert [own["step"] for own in run["history"]] == [1, 2, 3, 4, 5, 6]
    assert run["history"][-1]["reward"] == trainer.state.log_history[5]["reward"] == 0.06
    assert "grad_norm" in run["history"][0]  # the trainer's own, not only ours


def test_the_file_is_the_report_of_the_trainer(tmp_path: Path) -> None:
    trainer = finished(tmp_path)
    report = report_of(trainer, grpo_facts())
    assert isinstance(report, RunReport)
    assert json.loads(json.dumps(report.content())) == read_run(tmp_path)
    other = write_report(replace(report, seed=8), tmp_path / "new folder")
    assert other == tmp_path / "new folder/run.json"
    assert read_run(tmp_path / "new folder")["counts"]["seed"] == 8


class Killed(RuntimeError):
    """Stands for a kill."""


class Dies(GRPOLike):
    def training_step(self, *arguments: Any, **options: Any) -> Any:
        if self.state.global_step == 4:
            raise Killed
        return super().training_step(*arguments, **options)


def test_a_run_that_died_is_told_up_to_its_last_save_and_its_time_goes_on(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path, trainer=Dies)
    trainer.add_callback(RunReporter(grpo_facts()))
    with pytest.raises(Killed):
        trainer.train()
    first = read_run(tmp_path)
    assert (first["finished"], first["counts"]["steps"], first["counts"]["planned_steps"]) == (False, 3, 6)
    assert [own["step"] for own in first["history"]] == [1, 2, 3]
    # As if the first part had taken an hour: the checkpoint knows it.
    state_file = tmp_path / "checkpoint-3/trainer_state.json"
    state = json.loads(state_file.read_text(encoding="utf-8"))
    state["log_history"][-1]["run_seconds"] += 3600
    state_file.write_text(json.dumps(state), encoding="utf-8")
    resumed = tiny_trainer(tmp_path)
    resumed.add_callback(RunReporter(grpo_facts()))
    resumed.train(resume_from_checkpoint=True)
    last = read_run(tmp_path)
    assert last["finished"] is True
    assert [own["step"] for own in last["history"]] == [1, 2, 3, 4, 5, 6]
    assert 3600 < last["seconds"] < 3660


def test_an_adapter_is_named(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path)
    trainer.model = get_peft_model(Network(), LoraConfig(target_modules=["line"]))  # type: ignore[arg-type]
    assert report_of(trainer, grpo_facts()).adapter == "LORA"
    assert report_of(trainer, grpo_facts()).content()["adapter"] == "LORA"


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path)
    trainer.state.is_world_process_zero = False
    RunReporter(grpo_facts()).on_save(trainer.args, trainer.state, trainer.control)
    assert not (tmp_path / "run.json").exists()


# --- figures ----------------------------------------------------------------------------------------------------------


def test_the_ends_are_means_over_the_tenths_of_the_steps_that_have_a_figure() -> None:
    figures = figures_of(history_of(grpo_history(60)))
    rewards = [0.01 * step for step in range(1, 61)]
    assert figures["reward"].first == pytest.approx(fmean(rewards[:6]), abs=1e-15)
    assert figures["reward"].last == pytest.approx(fmean(rewards[-6:]), abs=1e-15)
    assert (figures["reward"].averaged, figures["reward"].logged) == (6, 60)
    spatial = figures["rewards/spatial/mean"]  # every third step: 20 values, of which a tenth are 2
    assert (spatial.averaged, spatial.logged) == (2, 20)
    assert (spatial.first, spatial.last) == pytest.approx((0.0045, 0.0585), abs=1e-15)


def test_a_figure_without_any_value_has_no_ends() -> None:
    own = figures_of(history_of(grpo_history(3)))["rewards/object/mean"]
    assert (own.first, own.last, own.averaged, own.logged) == (None, None, 0, 0)
    assert "kl" not in figures_of(history_of(grpo_history(3)))


@pytest.mark.parametrize(("steps", "averaged"), [(1, 1), (9, 1), (10, 1), (19, 1), (20, 2), (2184, 218)])
def test_at_least_one_step_is_averaged(steps: int, averaged: int) -> None:
    assert figures_of([{"step": step, "loss": 1.0} for step in range(steps)])["loss"].averaged == averaged


def test_evaluations_and_the_summary_are_no_steps() -> None:
    logs = [{"step": 1, "loss": 2.0}, {"step": 1, "eval_loss": 1.0}, {"step": 1, "train_runtime": 3.0, "train_loss": 2.0}]
    assert history_of(logs) == [{"step": 1, "loss": 2.0}]


def test_what_is_not_finite_is_null_in_the_file(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path)
    trainer.state.log_history = [{"step": 1, "loss": math.inf, "kl": math.nan, "note": "text"}]
    write_report(report_of(trainer, grpo_facts()), tmp_path)
    assert read_run(tmp_path)["history"] == [{"step": 1, "loss": None, "kl": None}]


# --- what is not told -------------------------------------------------------------------------------------------------


def test_nothing_of_this_machine_s_folders_is_in_the_file(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path)
    write_report(report_of(trainer, grpo_facts(base_model=str(tmp_path / "tiny"))), tmp_path)
    text = (tmp_path / "run.json").read_text(encoding="utf-8")
    assert "/home" not in text
    assert str(tmp_path) not in text
    assert read_run(tmp_path)["base_model"] is None
    assert read_run(tmp_path)["dataset"] == "r-avst"


def test_a_folder_that_looks_like_a_name_of_the_hub_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert hub_name("tiny/vl") == "tiny/vl"
    (tmp_path / "tiny/vl").mkdir(parents=True)
    assert hub_name("tiny/vl") is None
    assert last_name("tiny/vl") == "vl"
    assert last_name(".") == tmp_path.name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "ppo"}, "the method is 'ppo'; it must be one of grpo, sft"),
        ({"gold_answers": None}, "give both or neither"),
        ({"gold_too_long": None}, "give both or neither"),
        ({"gold_too_long": 6}, "6 of 5 gold answers cannot be too long"),
        ({"gold_too_long": -1}, "-1 of 5"),
    ],
)
def test_facts_that_cannot_be_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RunReportError, match=said):
        grpo_facts(**changes)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_has_its_own_name() -> None:
    assert device_name(torch.device("cuda")) == torch.cuda.get_device_name()


def test_a_cpu_is_told_with_its_threads() -> None:
    assert device_name(torch.device("cpu")).endswith(f"threads: {torch.get_num_threads()})")


def test_bytes_are_put_whole(tmp_path: Path) -> None:
    put_bytes(tmp_path / "a/b.png", b"one")
    put_bytes(tmp_path / "a/b.png", b"two")
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "a").iterdir()] == [("b.png", b"two")]
