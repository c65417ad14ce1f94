"""Benchmarks of the rewards: what the four functions cost a completion, and what rounding leaves of the true answers."""

from itertools import count
from typing import Any

from measure import Row
from measure import median_seconds
from metrics_bench import answers
from metrics_bench import described
from metrics_bench import scored_by_us
from metrics_bench import truths

from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.training.answer_form import AnswerForm
from r_avst.training.rewards import Rewards
from r_avst.training.rewards import RewardWeights
from r_avst.training.rewards import form_ceiling

SIZES: tuple[Size, Size] = ((640, 360), (644, 364))  # assumed: the released annotations name no frame size
BATCH = 24  # completions: the paper's 4 devices with 6 generations each


def _columns() -> list[dict[str, Any]]:
    """The arguments of the reward functions, a batch of completions each."""
    rows = answers()
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    return [
        {
            "completions": [[{"role": "assistant", "content": text}] for text, _, _ in batch],
            "task": [task for _, _, task in batch],
            "truth": [truth for _, truth, _ in batch],
            "source_size": [list(SIZES[0])] * len(batch),
            "processed_size": [list(SIZES[1])] * len(batch),
            "duration": [60.0] * len(batch),
        }
        for batch in batches
    ]


def rewards() -> Row:
    """All four functions over perturbed gold completions; each run starts with nothing remembered."""
    batches, logged = _columns(), count()

    def all_four() -> None:
        functions = Rewards(AnswerForm("model", 1, 1), RewardWeights(), NameMatcher(None), "skill").functions()
        for columns in batches:
            for function in functions:
                function(log_metric=lambda name, value: next(logged), **columns)

    ours, once = median_seconds(all_four, lambda: scored_by_us(answers()))
    completions = len(answers())
    each, each_once = 1000 * ours / completions, 1000 * once / completions
    against = f"parsing and scoring once, {described()} perturbed as completions: {each_once:.3f} ms"
    return Row("rewards", each, "ms a completion", against, ours / once, "under 1 ms")


def norm1000_ceiling() -> Row:
    """The spatial reward of the true answers written in whole thousandths of the frame and read back."""
    true, tasks = [parse_answer(text).answer for text, _ in truths()], [task for _, task in truths()]
    forms = [AnswerForm("norm1000", 1, 0), AnswerForm("source", 1, 1)]
    ours, released = (form_ceiling(true, tasks, form, [SIZES] * len(true))["spatial"] for form in forms)
    frame = "{} x {}".format(*SIZES[0])
    against = (
        f"pixels of the video with one decimal, {described()}, frames of {frame}: {released.mean:.4f}; "
        f"lowest in thousandths: {ours.minimum:.4f}"
    )
    return Row("norm1000_ceiling", ours.mean, "vIoU", against, ours.mean / released.mean, "told, no aim")


BENCHMARKS = [rewards, norm1000_ceiling]
