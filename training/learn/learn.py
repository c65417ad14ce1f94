"""Trains tiny random models on synthetic clips and checks that they learned to look and to listen.

    python -m r_avst.training.learn.learn --tasks temporal --seeds 0 --out learn

A tiny Qwen2.5-VL or Qwen2.5-Omni gets a short SFT on labels of which a share is wrong, then GRPO, with the same data set,
prompts, media, trainers, rewards and scores as any training here. Held-out scores before and after GRPO are printed beside
the best constant answer and beside answers to other clips; they stand in ``OUT/results.json``, and ``OUT/curves.png`` and
``.svg`` show the rewards. ``OUT/runs/TASK_SEED`` keeps each run's data set, clips and trained model. A run that stands there
under the same settings is not repeated. The exit code is 1 where a run misses what it must reach.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import transformers
from tqdm import tqdm

from r_avst.metrics.option_types import whole_number

from .curves import draw_curves
from .one_run import TRAINED
from .one_run import run
from .one_run import settings_of
from .results import Result
from .results import add_result
from .results import failures
from .results import find_result
from .results import read_results
from .results import table
from .tasks import TASKS


def main(arguments: Sequence[str] | None = None) -> int:
    """Does the runs that are asked for and not there yet, prints their figures, and says whether they suffice."""
    options = _parser().parse_args(arguments)
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    results = options.out / "results.json"
    asked = [(task, seed) for task in options.tasks for seed in options.seeds]
    runs: dict[str, list[Result]] = {}
    for task, seed in asked:
        runs.setdefault(task, []).append(_run_once(task, seed, options.shared_prompt, options.out, results))
    done = read_results(results)
    draw_curves(
        {task: done[task] for task in TASKS if task in done}, [options.out / "curves.png", options.out / "curves.svg"]
    )
    print(table(runs))
    missed = [line for task, own in runs.items() for result in own for line in failures(task, result)]
    for line in missed:
        print(f"MISSED  {line}", file=sys.stderr)
    print(f"{options.out} holds results.json and the reward curves, curves.png and curves.svg")
    return 1 if missed else 0


def _run_once(task: str, seed: int, shared: bool, out: Path, results: Path) -> Result:
    own, folder = replace(TASKS[task], shared_prompt=shared), out / "runs" / f"{task}_{seed}"
    settings = settings_of(own)
    found = find_result(read_results(results), task, seed, settings)
    if found is not None and (folder / TRAINED).is_dir():
        print(f"{task}, seed {seed}: it was run already, see {results}")
        return found
    print(f"{task}, seed {seed}:")
    shutil.rmtree(folder, ignore_errors=True)
    result = run(own, folder, seed, tqdm.write)
    add_result(results, task, result)
    return result


def _parser() -> argparse.ArgumentParser:
    summary = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m r_avst.training.learn.learn", description=summary)
    parser.add_argument("--tasks", nargs="+", choices=sorted(TASKS), default=sorted(TASKS), help="default: all of them")
    parser.add_argument("--seeds", nargs="+", type=whole_number, default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument(
        "--shared-prompt",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="GRPO encodes a prompt once for all its completions (default: it does)",
    )
    parser.add_argument("--out", type=Path, default=Path("learn"), help="folder of results and curves (default: learn)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
