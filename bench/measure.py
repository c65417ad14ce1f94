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


def median_seconds(
    *functions: Callable[[], object], runs: int = 7, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Median seconds of each function over ``runs`` runs in turn, after one run of each to warm up; by the wall clock."""
    seconds: list[list[float]] = [[] for _ in functions]
    for run in range(runs + 1):
        for function, own in zip(functions, seconds, strict=True):
            start = clock()
            function()
            if run:
                own.append(clock() - start)
    return [median(own) for own in seconds]
