"""The training run on a model's card: which figures of its `run.json`, and the drawn curves beside it."""

import hashlib
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .measured import NOTHING_MEASURED
from .measured import CardError
from .measured import Measured
from .measured import read_measured
from .safe_text import code

RUN_FILE: Final = "run.json"
CURVES: Final = "training_curves.png"
NOT_STATED: Final = "not stated"
COMPONENTS: Final = tuple(f"rewards/{name}/mean" for name in ("format", "object", "temporal", "spatial"))
"""The parts of the reward, weighted, as TRL names them."""
OWN_SCORES: Final = "score/"
"""How the names of unweighted scores begin, ``score/{task}/{name}``."""
TEXTS: Final = ("method", "finished", "base_model", "dataset", "fingerprint", "adapter", "hardware")
COUNTS: Final = (
    "examples",
    "skipped_questions",
    "skipped_videos",
    "completion_limit",
    "gold_answers",
    "gold_too_long",
    "steps",
    "planned_steps",
    "logged_steps",
    "processes",
    "seed",
)
COLUMNS: Final[Mapping[str, str]] = {"first": "figure", "last": "figure", "averaged": "count", "logged": "count"}
"""What stands under a figure's name in the file, and in which form it stands on the card."""


@dataclass(frozen=True, slots=True)
class RunMethod:
    """What a card says of a method of training, and which figures of such a run it shows."""

    about: str
    figures: tuple[str, ...]


METHODS: Final[Mapping[str, RunMethod]] = {
    "grpo": RunMethod(
        "Trained with GRPO (TRL): several answers to each question, rewarded by rules. The rewards below are weighted.",
        (
            "reward",
            "reward_std",
            *COMPONENTS,
            "completions/mean_length",
            "completions/clipped_ratio",
            "frac_reward_zero_std",
            "clip_ratio/region_mean",
            "kl",
            "entropy",
            "loss",
        ),
    ),
    "sft": RunMethod(
        "Fine-tuned on the true answers (SFT, TRL), the loss on the answer only. No reward was given.",
        ("loss", "mean_token_accuracy", "entropy"),
    ),
}


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """The run that a card tells of.

    Attributes:
        file: its `run.json`.
        method: of `METHODS`; None where no run was given.
        adapter: the type of the adapter it trained, None if it trained all weights.
        base_model: that it says it started from; None for a local checkpoint.
        curves: whether the curves drawn from this very file lie beside it.
    """

    file: Measured
    method: str | None
    adapter: str | None
    base_model: str | None
    curves: bool

    @property
    def about(self) -> str:
        """A sentence on the method."""
        return METHODS[self.method].about if self.method else ""

    def texts(self) -> list[tuple[str, str]]:
        """What is not a number, by its key in the file: as code, or not stated."""
        keys = [*((name,) for name in TEXTS), *(("versions", name) for name in self.file.names("versions"))]
        return [(self._name(*key), self._text(*key)) for key in keys]

    def _text(self, *key: str) -> str:
        found = self.file.at(*key)
        if isinstance(found, bool):
            return f"`{str(found).lower()}`"
        return code(found, f"{self.file.name}: {'.'.join(key)}") if isinstance(found, str) else NOT_STATED

    def counts(self) -> list[tuple[str, str]]:
        """The counts, those of what was skipped by kind of reason, and the seconds, by their key in the file."""
        keys = [*(("counts", name) for name in COUNTS), *(("skipped", kind) for kind in self.file.names("skipped"))]
        counts = [(self._name(*key), self.file.figure("count", *key)) for key in keys]
        return [*counts, ("`seconds`", self.file.figure("figure", "seconds"))]

    def _name(self, *key: str) -> str:
        return code(".".join(key), f"{self.file.name}: the name")

    def figures(self) -> list[tuple[str, list[str]]]:
        """The key of each figure that is shown, and what stands under it by `COLUMNS`."""
        return [
            (
                self._name("figures", name),
                [self.file.figure(form, "figures", name, column) for column, form in COLUMNS.items()],
            )
            for name in self._shown()
        ]

    def _shown(self) -> Sequence[str]:
        scores = sorted(name for name in self.file.names("figures") if name.startswith(OWN_SCORES))
        return [*(METHODS[self.method].figures if self.method else ()), *scores]


NO_RUN: Final = TrainingRun(NOTHING_MEASURED, None, None, None, False)


def read_run(path: Path | None) -> TrainingRun:
    """The run of a `run.json`; `NO_RUN` without one.

    Raises:
        CardError: it cannot be read, or names no method that there is.
    """
    if path is None:
        return NO_RUN
    file = read_measured(path)
    method = file.text("method")
    if method not in METHODS:
        raise CardError(
            f"{path}: method is {file.at('method')!r:.60}, none of {', '.join(METHODS)}; give the {RUN_FILE} of a run"
        )
    return TrainingRun(file, method, file.text("adapter"), file.text("base_model"), curves_of(path))


def checksum_of(run: Path) -> str:
    """The SHA-256 of a `run.json`, which its curves carry."""
    return hashlib.sha256(run.read_bytes()).hexdigest()


def curves_of(run: Path) -> bool:
    """Whether the curves beside a `run.json` were drawn from it as it is now: those of an earlier save are not shown."""
    try:
        return checksum_of(run).encode() in run.with_name(CURVES).read_bytes()
    except OSError:
        return False
