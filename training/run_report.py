"""What happened in a training run, as `run.json` in its output folder: figures of each logged step, counts, versions.

The figures are those of the trainer's own log history, under the names that TRL gives them: ``reward``,
``rewards/temporal/mean``, ``completions/clipped_ratio`` (the share that was truncated), ``frac_reward_zero_std`` (the share
of groups without an advantage), ``loss`` and so on. The section on the run on a model's card is rendered from this file.

The first and the last figure of a name are the means over the first and the last tenth of the logged steps that have it, at
least one step: a single step of GRPO says little.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from typing import Final
from typing import Literal
from typing import Protocol
from typing import get_args

import torch
from peft import PeftModel
from peft import PeftType
from transformers import TrainerCallback

from r_avst.dataset_builder.hub_names import HUB_NAME
from r_avst.dataset_builder.line_files import put_text
from r_avst.model_cards.run_section import RUN_FILE

Method = Literal["grpo", "sft"]
METHODS: tuple[Method, ...] = get_args(Method)
PACKAGES: Final = ("torch", "transformers", "trl", "peft", "accelerate", "r-avst")
END: Final = 10  # the first and the last figure are means over one logged step in so many
SECONDS: Final = "run_seconds"
_NO_FIGURES: Final = frozenset(("step", "epoch", "total_flos", SECONDS))


class RunReportError(ValueError):
    """Facts of a run that cannot be right; the message says which."""


class SkippedQuestion(Protocol):
    """A question that was left out before training, as `r_avst.training.examples` gives them."""

    @property
    def video_id(self) -> str:
        """Of its video."""

    @property
    def kind(self) -> str:
        """The kind of reason, such as "no video"."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a trainer does not know of its run.

    Attributes:
        method: one of `METHODS`.
        base_model: as it was given: a name of the Hub, or a folder. Of a folder nothing is written down.
        dataset: as it was given; of a folder only its last name is written down.
        fingerprint: of the rows that were trained on, as `datasets` gives it; None if there is none.
        examples: how many there are to train on.
        skipped: what was left out before training; the file has how many for each kind of reason.
        completion_limit: the most tokens that a completion may have; None for SFT.
        gold_answers: how many of the true answers were counted with the model's tokenizer; None if none were.
        gold_too_long: how many of these are longer than the limit; None if none were counted.
        shared_prompt: whether the completions of a prompt shared it, ``on`` or ``off`` and perhaps why; None for SFT.

    Raises:
        RunReportError: an unknown method, or counts that contradict each other.
    """

    method: Method
    base_model: str
    dataset: str
    fingerprint: str | None
    examples: int
    skipped: Sequence[SkippedQuestion]
    completion_limit: int | None
    gold_answers: int | None
    gold_too_long: int | None
    shared_prompt: str | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise RunReportError(f"the method is {self.method!r}; it must be one of {', '.join(METHODS)}")
        if (self.gold_answers is None) != (self.gold_too_long is None):
            raise RunReportError("gold_answers and gold_too_long are counted together: give both or neither")
        if not 0 <= (self.gold_too_long or 0) <= (self.gold_answers or 0):
            raise RunReportError(f"{self.gold_too_long} of {self.gold_answers} gold answers cannot be too long")


@dataclass(frozen=True, slots=True)
class Ends:
    """The ends of a figure over a run: means over ``averaged`` steps each of the ``logged`` ones that have it; or None."""

    first: float | None
    last: float | None
    averaged: int
    logged: int


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run so far.

    Attributes:
        facts: what the trainer does not know.
        steps: optimizer steps done.
        planned_steps: those that the run is to have.
        seconds: of training, all parts of a resumed run together; None before the first logged step.
        processes: that train together.
        device: as torch names it.
        adapter: its type as PEFT names it, such as LORA; None if all weights are trained.
        seed: of the trainer.
        versions: of `PACKAGES` by name, without those that are not installed.
        history: a mapping a logged step: ``step`` and the figures, None where there is none.
    """

    facts: RunFacts
    steps: int
    planned_steps: int
    seconds: float | None
    processes: int
    device: str
    adapter: str | None
    seed: int
    versions: Mapping[str, str]
    history: Sequence[Mapping[str, float | None]]

    def content(self) -> dict[str, Any]:
        """What stands in the file."""
        return {
            "method": self.facts.method,
            "finished": self.steps >= self.planned_steps > 0,
            "base_model": hub_name(self.facts.base_model),
            "adapter": self.adapter,
            "dataset": last_name(self.facts.dataset),
            "fingerprint": self.facts.fingerprint,
            "shared_prompt": self.facts.shared_prompt,
            "hardware": f"{self.processes} x {self.device}",
            "versions": dict(self.versions),
            "counts": self._counts(),
            "seconds": self.seconds,
            "figures": {name: _mapping(own) for name, own in figures_of(self.history).items()},
            "skipped": dict(Counter(own.kind for own in self.facts.skipped).most_common()),
            "history": [dict(own) for own in self.history],
        }

    def _counts(self) -> dict[str, int | None]:
        return {
            "examples": self.facts.examples,
            "skipped_questions": len(self.facts.skipped),
            "skipped_videos": len({own.video_id for own in self.facts.skipped}),
            "completion_limit": self.facts.completion_limit,
            "gold_answers": self.facts.gold_answers,
            "gold_too_long": self.facts.gold_too_long,
            "steps": self.steps,
            "planned_steps": self.planned_steps,
            "logged_steps": len(self.history),
            "processes": self.processes,
            "seed": self.seed,
        }


def report_of(trainer: Any, facts: RunFacts) -> RunReport:
    """The report of a `transformers.Trainer`, running or finished."""
    return _report(trainer.args, trainer.state, trainer.model, facts)


def write_report(report: RunReport, folder: Path) -> Path:
    """Writes `run.json` into a folder, whole or not at all, and returns its path."""
    path = folder / RUN_FILE
    put_text(path, json.dumps(report.content(), indent=1, allow_nan=False) + "\n")
    return path


def put_bytes(path: Path, content: bytes) -> None:
    """Puts a file in place whole: a kill leaves the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_bytes(content)
    scratch.replace(path)


class RunReporter(TrainerCallback):
    """Rewrites `run.json` in the trainer's output folder at each save and at the end, from the main process.

    The seconds so far are noted in the log history, which is part of each checkpoint: so a resumed run goes on counting.
    """

    def __init__(self, facts: RunFacts) -> None:
        self.facts = facts
        self._began = 0.0
        self._before = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Takes up the time of the parts of the run before this one."""
        self._began = time.monotonic()
        self._before = _seconds(state.log_history) or 0.0

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Notes the time beside what was logged; trackers do not get it."""
        if state.log_history:
            state.log_history[-1][SECONDS] = round(self._before + time.monotonic() - self._began, 3)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Writes the report."""
        if state.is_world_process_zero:
            write_report(_report(args, state, kwargs.get("model"), self.facts), Path(args.output_dir))

    on_train_end = on_save


# --- figures ----------------------------------------------------------------------------------------------------------


def is_training_log(logs: Mapping[str, Any]) -> bool:
    """Whether this was logged of training steps; not that of an evaluation, nor the summary at the end."""
    return "train_runtime" not in logs and not any(name.startswith("eval_") for name in logs)


def history_of(log_history: Sequence[Mapping[str, Any]]) -> list[dict[str, float | None]]:
    """The figures of each logged training step, None for what is not finite or was not there (TRL's None).

    >>> history_of([{"step": 1, "epoch": 0.5, "loss": 2.0, "kl": float("nan")}, {"step": 1, "eval_loss": 1.0}])
    [{'step': 1, 'loss': 2.0, 'kl': None}]
    """
    return [{"step": logs["step"], **dict(_figures(logs))} for logs in log_history if is_training_log(logs)]


def _figures(logs: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    for name, value in logs.items():
        if name in _NO_FIGURES or not (value is None or isinstance(value, int | float)):
            continue
        yield name, None if value is None or not math.isfinite(value) else float(value)


def figures_of(history: Sequence[Mapping[str, float | None]]) -> dict[str, Ends]:
    """The ends of each figure by its name, in the order in which they first came.

    >>> figures_of([{"step": 1, "reward": 0.25}, {"step": 2, "reward": None}, {"step": 3, "reward": 0.75}])["reward"]
    Ends(first=0.25, last=0.75, averaged=1, logged=2)
    """
    names = dict.fromkeys(name for own in history for name in own if name != "step")
    return {name: ends([value for own in history if (value := own.get(name)) is not None]) for name in names}


def ends(values: Sequence[float]) -> Ends:
    """The means over the first and the last tenth of the values, at least one of each; None where there are no values."""
    if not values:
        return Ends(None, None, 0, 0)
    number = max(1, len(values) // END)
    return Ends(math.fsum(values[:number]) / number, math.fsum(values[-number:]) / number, number, len(values))


def _mapping(own: Ends) -> dict[str, float | int | None]:
    return {"first": own.first, "last": own.last, "averaged": own.averaged, "logged": own.logged}


def _seconds(log_history: Sequence[Mapping[str, Any]]) -> float | None:
    return next((own[SECONDS] for own in reversed(log_history) if SECONDS in own), None)


# --- what is told of the machine, and what is not ---------------------------------------------------------------------


def hub_name(name: str) -> str | None:
    """A model's name on the Hub; None for a folder, which is nothing to others and may tell of this machine."""
    return name if HUB_NAME.fullmatch(name) and not Path(name).exists() else None


def last_name(name: str) -> str:
    """A name of the Hub as it is, a folder without those that it lies in.

    >>> last_name("user/r-avst"), last_name("/home/me/data/r-avst")
    ('user/r-avst', 'r-avst')
    """
    return hub_name(name) or Path(name).resolve().name


def device_name(device: torch.device) -> str:
    """What torch says of a device: the name of a GPU; of a CPU its vector instructions and the threads in use."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"CPU ({torch.backends.cpu.get_cpu_capability()}, threads: {torch.get_num_threads()})"
    return device.type


def versions() -> dict[str, str]:
    """The versions of `PACKAGES` that are installed."""
    return dict(_versions())


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, metadata.version(package)
        except metadata.PackageNotFoundError:
            continue


def _adapter(model: Any) -> str | None:
    if not isinstance(model, PeftModel):
        return None
    return PeftType(model.peft_config[model.active_adapter].peft_type).value


def _report(args: Any, state: Any, model: Any, facts: RunFacts) -> RunReport:
    return RunReport(
        facts=facts,
        steps=state.global_step,
        planned_steps=state.max_steps,
        seconds=_seconds(state.log_history),
        processes=args.world_size,
        device=device_name(args.device),
        adapter=_adapter(model),
        seed=args.seed,
        versions=versions(),
        history=history_of(state.log_history),
    )
