"""Measuring: medians of runs that take turns."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One line of the results; ``against`` says what was run beside it and what that took."""

    name: str
    value: float
    unit: str
    against: str
    ratio: float
    aim: str


def median_seconds(*functions: Callable[[], object], runs: int = 7) -> list[float]:
    """Median wall-clock seconds of each function over ``runs`` runs in turn, after one run of each to warm up."""
    seconds: list[list[float]] = [[] for _ in functions]
    for run in range(runs + 1):
        for function, own in zip(functions, seconds, strict=True):
            start = time.perf_counter()
            function()
            if run:
                own.append(time.perf_counter() - start)
    return [median(own) for own in seconds]
