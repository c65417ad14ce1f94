"""Benchmarks, each side by side with what it is held against in one run: `make bench`.

Prints a table and writes bench/results.json: {name: {value, unit, against, ratio, aim}}. `value` and what stands under
`against` are medians of runs that take turns, so that a busy machine slows both alike; `ratio` is as `aim` words it.
Benchmarks of scores run on the released annotations where R_AVST_DATA has them, else on random answers of the same form, and
say so; those of videos write theirs, and those of the tracker use tiny models with random weights.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests")]

import metrics_bench
import predict_bench
import rewards_bench
import shared_prompt_bench
import space_bench
import tracker_bench
import video_bench
from measure import Row
from tabulate import tabulate

RESULTS = Path(__file__).parent / "results.json"
BENCHMARKS = [
    *metrics_bench.BENCHMARKS,
    *video_bench.BENCHMARKS,
    *tracker_bench.BENCHMARKS,
    *rewards_bench.BENCHMARKS,
    *shared_prompt_bench.BENCHMARKS,
    *predict_bench.BENCHMARKS,
    *space_bench.BENCHMARKS,
]


def main(names: Sequence[str]) -> int:
    """Runs the benchmarks whose names are given, all by default, and merges their rows into the results."""
    chosen = [benchmark for benchmark in BENCHMARKS if not names or benchmark.__name__ in names]
    if not chosen:
        known = ", ".join(benchmark.__name__ for benchmark in BENCHMARKS)
        print(f"no benchmark of that name; there are: {known}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for benchmark in chosen:
        print(f"{benchmark.__name__} ...", file=sys.stderr)
        rows.append(benchmark())
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results |= {row.name: {key: value for key, value in asdict(row).items() if key != "name"} for row in rows}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    table = [[row.name, f"{row.value:.4g} {row.unit}", row.against, f"{row.ratio:.2f}", row.aim] for row in rows]
    print(tabulate(table, ["", "measured", "against", "ratio", "aim"], tablefmt="simple_outline", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
