"""Runs of training and what they write: a real `transformers.Trainer` on a tiny network, and log histories of TRL's form."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer
from transformers import TrainingArguments

from r_avst.training.run_report import RunFacts

BASE = "Qwen/Qwen2.5-VL-7B-Instruct"


@dataclass(frozen=True, slots=True)
class Skip:
    """A skipped question."""

    video_id: str
    kind: str


SKIPPED = (Skip("a", "no video"), Skip("a", "no video"), Skip("b", "unreadable video"))


def grpo_facts(**changes: Any) -> RunFacts:
    known: dict[str, Any] = {
        "method": "grpo",
        "base_model": BASE,
        "dataset": "/home/me/data/r-avst",
        "fingerprint": "0123456789abcdef",
        "examples": 5,
        "skipped": SKIPPED,
        "completion_limit": 1024,
        "gold_answers": 5,
        "gold_too_long": 2,
    }
    return RunFacts(**(known | changes))


def grpo_history(steps: int) -> list[dict[str, Any]]:
    """What TRL 1.16 logs of GRPO, a step at a time: the spatial reward is there at every third step, NaN in between."""
    return [
        {
            "loss": 1e-5 * step,
            "learning_rate": 1e-6,
            "reward": 0.01 * step,
            "reward_std": 0.3,
            "rewards/format/mean": 1 - 1 / step,
            "rewards/object/mean": None,
            "rewards/temporal/mean": 0.5 + 0.4 * math.sin(step),
            "rewards/spatial/mean": 0.001 * step if step % 3 == 0 else math.nan,
            "score/temporal/m_tIoU": 0.002 * step,
            "completions/mean_length": 212.5 + step,
            "completions/clipped_ratio": 0.125,
            "frac_reward_zero_std": 0.25,
            "clip_ratio/region_mean": 0.0,
            "entropy": 1.5,
            "epoch": step / steps,
            "step": step,
        }
        for step in range(1, steps + 1)
    ]


class Network(torch.nn.Module):
    """A line through points."""

    def __init__(self) -> None:
        super().__init__()
        self.line = torch.nn.Linear(2, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": ((self.line(x) - labels) ** 2).mean()}


class GRPOLike(Trainer):
    """A trainer that logs at each step what TRL's GRPO logs at the step of the same number."""

    def log(self, logs: dict[str, float], *arguments: Any, **options: Any) -> None:
        if "loss" in logs:
            logs |= {name: own for name, own in grpo_history(99)[self.state.global_step - 1].items() if name != "step"}
        super().log(logs, *arguments, **options)


def tiny_trainer(folder: Path, steps: int = 6, trainer: type[Trainer] = GRPOLike, **options: Any) -> Trainer:
    """A trainer of a line, on the CPU, that logs at each step and saves at every third."""
    torch.manual_seed(0)
    points = [{"x": torch.rand(2), "labels": torch.rand(1)} for _ in range(2 * steps)]
    known: dict[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 2,
        "num_train_epochs": 1,
        "logging_steps": 1,
        "save_steps": 3,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "seed": 7,
    }
    return trainer(model=Network(), args=TrainingArguments(**(known | options)), train_dataset=points)


def read_run(folder: Path) -> Any:
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))
