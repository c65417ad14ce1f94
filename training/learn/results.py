"""The figures of runs in one JSON file, what they must reach, and the table that shows them.

``{task: [{"seed": 0, "before": ..., "after": ..., "constant": ..., "swapped": ..., ...}]}``; scores are means over held-out
clips, in 0..1.
"""

import json
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import fields
from pathlib import Path
from typing import Any

import filelock
from tabulate import tabulate

from r_avst.dataset_builder.line_files import put_text

RISE = 0.05  # by GRPO
ABOVE_CONSTANT = 0.25
SWAPPED_MARGIN = 0.05  # above the constant, at most


class ResultsError(ValueError):
    """A file that holds no results; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run gave. Scores are of greedy answers to held-out clips.

    Attributes:
        seed: of clips, weights and training.
        before: after SFT, before GRPO.
        after: after GRPO.
        constant: of the best constant answer, fitted on the held-out clips themselves.
        swapped: with what decides taken from another clip: the whole clip, or, where sound decides, the sound alone.
        video_swapped: with the pictures alone of another clip; None where there is no sound.
        sft_steps: of each phase.
        seconds: of the whole run, clips and model included.
        rewards: mean score of the completions at each step of GRPO, as its rewards saw it.
        settings: of the task; a run under other settings is another run.
    """

    seed: int
    before: float
    after: float
    constant: float
    swapped: float
    video_swapped: float | None
    sft_steps: list[int]
    seconds: float
    rewards: list[float]
    settings: dict[str, Any]

    @property
    def sft_gain(self) -> float:
        """What SFT gave: above the best constant."""
        return self.before - self.constant

    @property
    def grpo_gain(self) -> float:
        """What GRPO added."""
        return self.after - self.before


Results = dict[str, list[Result]]


# --- the file ---------------------------------------------------------------------------------------------------------


def read_results(path: Path) -> Results:
    """The runs of each task; none where there is no file.

    Raises:
        ResultsError: the file holds something else.
    """
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        names = [field.name for field in fields(Result)]
        return {task: [Result(**{name: run[name] for name in names}) for run in runs] for task, runs in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ResultsError(f"{path} holds no results of these runs ({error!r}): remove it") from None


def add_result(path: Path, task: str, result: Result) -> None:
    """Puts a run into the file, in place of one of the same seed; several processes may do so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.with_name(f".{path.name}.lock")):
        results = read_results(path)
        others = [own for own in results.get(task, []) if own.seed != result.seed]
        results[task] = sorted([*others, result], key=lambda own: own.seed)
        shares = {"sft_gain", "grpo_gain"}
        told = {
            name: [asdict(own) | {share: getattr(own, share) for share in sorted(shares)} for own in runs]
            for name, runs in sorted(results.items())
        }
        put_text(path, json.dumps(told, indent=1) + "\n")


def find_result(results: Results, task: str, seed: int, settings: Mapping[str, Any]) -> Result | None:
    """The run of this seed under these settings, if it was done."""
    return next((own for own in results.get(task, []) if own.seed == seed and own.settings == settings), None)


# --- acceptance -------------------------------------------------------------------------------------------------------


def failures(task: str, result: Result) -> list[str]:
    """What a run must reach and does not, a line each; none where all is well."""
    return [
        f"{task}, seed {result.seed}: {what}: {value:.3f}, {relation} {limit:.3f} wanted"
        for what, value, relation, limit, holds in _limits(task, result)
        if not holds
    ]


def _limits(task: str, own: Result) -> list[tuple[str, float, str, float, bool]]:
    if task == "wrong":
        return [("after GRPO on wrong rewards", own.after, "at most", own.before, own.after <= own.before)]
    least, most = own.constant + ABOVE_CONSTANT, own.constant + SWAPPED_MARGIN
    risen = own.before + RISE
    return [
        ("after GRPO, against the best constant", own.after, "at least", least, own.after >= least),
        ("after GRPO, against before", own.after, "at least", risen, own.after >= risen),
        ("swapped", own.swapped, "at most", most, own.swapped <= most),
    ]


# --- the table --------------------------------------------------------------------------------------------------------

HEADS = ("task", "seed", "best constant", "after SFT", "after GRPO", "swapped", "SFT gave", "GRPO added", "steps", "seconds")


def table(results: Mapping[str, Sequence[Result]]) -> str:
    """All runs as a table in Markdown; what swaps the pictures alone stands in brackets."""
    rows = [_cells(task, own) for task, runs in results.items() for own in runs]
    return tabulate(rows, HEADS, tablefmt="github", disable_numparse=True)


def _cells(task: str, own: Result) -> list[str]:
    pictures = "" if own.video_swapped is None else f" (pictures {own.video_swapped:.2f})"
    return [
        task,
        str(own.seed),
        f"{own.constant:.2f}",
        f"{own.before:.2f}",
        f"{own.after:.2f}",
        f"{own.swapped:.2f}{pictures}",
        f"{own.sft_gain:+.2f}",
        f"{own.grpo_gain:+.2f}",
        f"{'+'.join(map(str, own.sft_steps))}, {len(own.rewards)}",
        f"{own.seconds:.0f}",
    ]
