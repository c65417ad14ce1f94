"""The reward curves of runs as a picture: does the reward rise, and where do held-out scores lie?"""

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl

from .results import Result

mpl.use("Agg")
from matplotlib import pyplot as plt

WINDOW = 5  # steps that a point of a curve is the mean of
COLOURS = ("#4c86b8", "#d9822b", "#5a9e6f", "#a56eb5")
GREY = "#808890"  # readable on a light and on a dark page


def smoothed(values: Sequence[float]) -> list[float]:
    """The mean of each value and up to four before it.

    >>> smoothed([1.0, 3.0])
    [1.0, 2.0]
    """
    return [fmean(values[max(0, end - WINDOW) : end]) for end in range(1, len(values) + 1)]


def draw_curves(results: Mapping[str, Sequence[Result]], paths: Sequence[Path]) -> None:
    """Draws a panel a task into each of ``paths``; their endings say in which form."""
    columns = min(2, len(results))
    rows = -(-len(results) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(5.2 * columns, 3.4 * rows), squeeze=False, sharey=True)
    try:
        for panel, (task, runs) in zip(axes.flat, results.items(), strict=False):
            _panel(panel, task, runs)
        for panel in axes.flat[len(results) :]:
            panel.set_visible(False)
        figure.tight_layout()
        for path in paths:
            figure.savefig(path, transparent=True, metadata={"Date": None} if path.suffix == ".svg" else None)
    finally:
        plt.close(figure)


def _panel(panel: Any, task: str, runs: Sequence[Result]) -> None:
    for own, colour in zip(runs, COLOURS * len(runs), strict=False):
        steps = len(own.rewards)
        panel.plot(range(1, steps + 1), smoothed(own.rewards), color=colour, label=f"seed {own.seed}")
        panel.plot([0, steps], [own.before, own.after], linestyle="none", marker="o", color=colour)
    panel.axhline(fmean(own.constant for own in runs), color=GREY, linestyle="--", label="best constant")
    panel.set_title(task, color=GREY)
    panel.set_ylim(0, 1)
    panel.set_xlabel("step of GRPO", color=GREY)
    panel.set_ylabel("mean reward; dots: held out", color=GREY)
    panel.tick_params(colors=GREY)
    for spine in panel.spines.values():
        spine.set_color(GREY)
    panel.legend(loc="lower right", framealpha=0, labelcolor=GREY, fontsize="small")
