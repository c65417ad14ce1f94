"""Benchmarks of the parser, the scores and the data set."""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import hostile_texts
import numpy as np
import plain_scores
from measure import Row
from measure import median_seconds
from perturb import perturbed
from perturb import random_answer

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.dataset_builder.sources.release import TASK_KEYS
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.scores import QuestionScore
from r_avst.metrics.avst_metrics.scores import bootstrap_intervals
from r_avst.metrics.avst_metrics.scores import score_matrix
from r_avst.metrics.avst_metrics.scores import score_question

DATA = Path(os.environ.get("R_AVST_DATA") or Path(__file__).parents[2] / "shared" / "data")
RELEASE = DATA / "r_avst" / "xml_test_QA.json"
ROW = re.compile(r"(\d+\.\d+): \[(\d+\.\d+), (\d+\.\d+), (\d+\.\d+), (\d+\.\d+)\]")


@cache
def answers() -> list[tuple[str, str, Task]]:
    """(prediction, truth, task): the truths, each with a random perturbation of itself as the prediction."""
    rng = random.Random(0)
    return [(perturbed(text, rng), text, task) for text, task in truths()]


@cache
def truths() -> list[tuple[str, Task]]:
    """The released answers, or as many random ones of the same form."""
    if not RELEASE.is_file():
        rng = random.Random(1)
        return [(random_answer(rng, task), task) for task in TASKS for _ in range(546)]
    entries = json.loads(RELEASE.read_text(encoding="utf-8"))
    annotations = [annotation for entry in entries for annotation in entry["annotation"]]
    return [(pair["A"], task) for own in annotations for key, task in TASK_KEYS.items() for pair in own.get(key, [])]


def described() -> str:
    return f"{len(truths()):,} {'released' if RELEASE.is_file() else 'random'} answers"


def scored_by_us(pairs: list[tuple[str, str, Task]]) -> list[QuestionScore]:
    names = NameMatcher(None)
    return [score_question(parse_answer(text), parse_answer(truth).answer, task, names) for text, truth, task in pairs]


def _scoring(name: str, pairs: list[tuple[str, str, Task]], which: str) -> Row:
    ours, plain = median_seconds(
        lambda: scored_by_us(pairs), lambda: [plain_scores.score(text, truth, task) for text, truth, task in pairs]
    )
    against = f"plain second implementation, {described()} {which}: {plain:.3f} s"
    return Row(name, ours, "s", against, plain / ours, "5 times faster or better")


def score_all() -> Row:
    """Each answer and itself as its prediction parsed and scored, names by their letters, no bootstrap."""
    return _scoring("score_all", [(truth, truth, task) for _, truth, task in answers()], "as predictions")


def score_all_perturbed() -> Row:
    """The same with wrong times, boxes and names."""
    return _scoring("score_all_perturbed", answers(), "perturbed as predictions")


def parse() -> Row:
    """Every truth parsed."""
    texts = [truth for _, truth, _ in answers()]
    ours, bare = median_seconds(
        lambda: [parse_answer(text) for text in texts], lambda: [ROW.findall(text) for text in texts], runs=15
    )
    against = f"re.findall of the box rows, {described()}: {bare:.4f} s"
    return Row("parse_answer", ours, "s", against, ours / bare, "at most 4 times as long")


def hostile_text() -> Row:
    """A megabyte each of the texts that are meant to hang the parser, the slowest of them."""
    done = subprocess.run([sys.executable, hostile_texts.__file__], capture_output=True, text=True, check=True)
    slowest, (eighth, whole) = max(json.loads(done.stdout).items(), key=lambda own: own[1][1])
    against = f"an eighth of that megabyte ({slowest}), no garbage collections: {eighth:.3f} s"
    return Row("hostile_text", whole, "s", against, whole / eighth, "about 8 times as long")


def bootstrap() -> Row:
    """1,000 resamples of the questions, all scores."""
    matrix = score_matrix(scored_by_us(answers()))

    def one_by_one() -> None:
        rng = np.random.default_rng(0)
        means = [np.nanmean(matrix[rng.integers(0, len(matrix), len(matrix))], axis=0) for _ in range(1000)]
        np.quantile(means, [0.025, 0.975], axis=0)

    ours, plain = median_seconds(lambda: bootstrap_intervals(matrix, 1000, 0), one_by_one, runs=5)
    against = f"resampling one at a time with np.nanmean, {matrix.shape[0]:,} x {matrix.shape[1]} scores: {plain:.3f} s"
    return Row("bootstrap", ours, "s", against, plain / ours, "faster")


def load_dataset() -> Row:
    """load_dataset of the built folder, all rows as Python objects, in a fresh process with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        build_release(str(release_file(Path(folder))), None, None, Path(folder) / "r-avst")
        code = (
            "import time, datasets; start = time.perf_counter(); "
            "list(datasets.load_dataset('r-avst', split='test')); print(time.perf_counter() - start)"
        )
        seconds = []
        for run in range(3):
            environment = {**os.environ, "HF_HOME": f"{folder}/home{run}", "HF_HUB_OFFLINE": "1"}
            done = subprocess.run(
                [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
            )
            seconds.append(float(done.stdout))
        (plain,) = median_seconds(lambda: json.loads(release_file(Path(folder)).read_text(encoding="utf-8")))
    ours = sorted(seconds)[1]
    return Row(
        "load_dataset", ours, "s", f"json.loads of the released form, no schema: {plain:.3f} s", ours / plain, "told, no aim"
    )


def peak_memory() -> Row:
    """Peak resident memory of a process that scores all answers, beside its peak before: all imported, answers held."""
    code = (
        "import metrics_bench as bench\nfrom peak_memory import peak_memory as peak\n"
        "from r_avst.metrics.avst_metrics.scores import aggregate\n"
        "pairs = [(truth, truth, task) for truth, task in bench.truths()]\n"
        "bench.scored_by_us(pairs[:1]); before = peak(); scores = bench.scored_by_us(pairs)\n"
        "aggregate(scores, 1000, 0); print(before, peak())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[:2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    against = f"the same process before it scores and resamples {described()}: {before:.0f} MB"
    return Row("peak_memory", after, "MB", against, after / before, "at most 1.5 times")


def release_file(folder: Path) -> Path:
    """The released file, or one of the same form with random answers."""
    if RELEASE.is_file():
        return RELEASE
    path = folder / "release.json"
    forms = {
        "temporal": "When is the moment X makes sound and is visible?",
        "spatial": "What silent object(s) can be seen between 0.0 and 9.0, and where is/are they?",
        "spatio_temporal": 'When is the moment X makes sound and is visible, and where is the "X"?',
    }
    keys = {task: key for key, task in TASK_KEYS.items()}
    entries = [
        {
            "video_name": f"video{number}",
            "duration": 60.0,
            "annotation": [{"event_num": 1, keys[task]: [{"Q": forms[task], "A": truth}]}],
        }
        for number, (_, truth, task) in enumerate(answers())
    ]
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


BENCHMARKS = [score_all, score_all_perturbed, parse, hostile_text, bootstrap, load_dataset, peak_memory]
