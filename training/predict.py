"""Asks a model the questions of a benchmark: `r-avst-predict --model ID --dataset r-avst --videos DIR --out preds.jsonl`."""

# Absolute imports, so that the file also runs by its path; heavy ones in the functions, so that --help does not wait.
import argparse
import json
import sys
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import Final

from tqdm import tqdm

from r_avst.dataset_builder.video import VideoError
from r_avst.dataset_builder.video import find_videos
from r_avst.dataset_builder.video import picture_duration
from r_avst.dataset_builder.video import probe
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.benchmark import load_rows
from r_avst.training.asking import Ask
from r_avst.training.asking import Unanswered
from r_avst.training.examples import NO_VIDEO
from r_avst.training.examples import OTHER_SIZE
from r_avst.training.examples import UNREADABLE
from r_avst.training.examples import Skipped
from r_avst.training.examples import describe_skipped
from r_avst.training.options import exit_code
from r_avst.training.plans import Pace
from r_avst.training.plans import Plan
from r_avst.training.plans import Process
from r_avst.training.plans import RayWorkers
from r_avst.training.plans import digest
from r_avst.training.plans import make_plan
from r_avst.training.plans import open_backend
from r_avst.training.predict_options import PROGRAM
from r_avst.training.predict_options import NothingToAskError
from r_avst.training.predict_options import make_parser
from r_avst.training.prediction_rows import Done
from r_avst.training.prediction_rows import PredictionWriter
from r_avst.training.prediction_rows import Shard
from r_avst.training.prediction_rows import failures_file
from r_avst.training.prediction_rows import join_parts
from r_avst.training.prediction_rows import part_file
from r_avst.training.prediction_rows import read_done

ASKED_COLUMNS: Final = ("question_id", "video_id", "task", "question")
COLUMNS: Final = (*ASKED_COLUMNS, "width", "height")
INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script `r-avst-predict`.

    Returns:
        0 where every question was answered, 1 where one was not (of several processes each ends with 0), 2 where nothing
        could be done.
    """
    left: list[int] = []

    def run(given: Sequence[str]) -> None:
        left.append(predict(make_parser().parse_args(given)))

    try:
        code = exit_code(PROGRAM, run, sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        tqdm.write(f"{PROGRAM}: stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return code or int(any(left))


# --- the run ----------------------------------------------------------------------------------------------------------


def predict(options: argparse.Namespace) -> int:
    """The whole run: what is to be asked, asking it, joining what several processes wrote.

    Returns:
        How many questions have no answer; 0 in one of several processes.

    Raises:
        ValueError: of this package's own classes, for everything that a user can set right.
        ServerError: the server cannot be used.
    """
    process = Process.here()
    own_shard = options.shard.split(process.rank + 1, process.count)
    plan = make_plan(options, _pace(options))
    every = load_rows(options.dataset, options.split, COLUMNS)
    plan = replace(plan, settings={**plan.settings, **_asked_settings(options, every)})
    rows = list(every.select(range(min(options.limit, len(every)))) if options.limit else every)
    mine = _of_shard(rows, own_shard)
    waiting = _waiting(plan, process, mine, len(rows))
    tasks = {row["question_id"]: TASKS[row["task"]] for row in rows}
    with PredictionWriter(part_file(options.out, own_shard), plan.form, plan.settings, tasks) as writer:
        _ask(plan, process, writer, waiting, len(mine))
    done = join_parts(options.out, list(tasks), plan.settings)
    if process.rank == 0 or all(map(done.has, tasks)):
        _tell(_described_end(options, done, tasks))
    # A launcher ends all other processes when one does not end with 0.
    return sum(row["question_id"] not in done.rows for row in mine) if process.count == 1 else 0


def _pace(options: argparse.Namespace) -> Pace:
    own = options
    ray = RayWorkers(own.ray_address, own.ray_workers, own.ray_gpus) if own.engine == "ray" else None
    return Pace(own.batch_size, own.readers, own.concurrency, ray, own.videos, own.video_url)


# --- questions --------------------------------------------------------------------------------------------------------


def _asked_settings(options: argparse.Namespace, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What a run asks, as its rows tell it beside the settings of its answers."""
    return {"dataset": options.dataset, "split": options.split, "questions": questions_digest(rows)}


def questions_digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """Changes with what is asked of which video; not with sizes, which a data set may learn from its videos later."""
    asked = [[row[name] for name in ASKED_COLUMNS] for row in rows]
    return digest(json.dumps(asked))


def _of_shard(rows: Sequence[Mapping[str, Any]], own: Shard) -> list[Mapping[str, Any]]:
    """The rows of a shard's videos: those of one video stay together, so that it is decoded by one process."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(row["video_id"] for row in rows))}
    return [row for row in rows if own.takes(numbers[row["video_id"]])]


def _waiting(plan: Plan, process: Process, rows: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """The rows that are to be asked now. What earlier runs wrote is not kept in memory: it grows with the questions."""
    retry = plan.options.retry_failed
    done = read_done(plan.options.out, plan.settings)
    if process.rank == 0:
        _tell(_described_plan(plan, done, count))
    return [row for row in rows if row["question_id"] not in done.rows and (retry or row["question_id"] not in done.asked)]


def make_asks(rows: Sequence[Mapping[str, Any]], videos: Path, bar: bool) -> tuple[list[Ask], list[Skipped]]:
    """Questions with what is to be known of their videos, and those that cannot be asked.

    Args:
        rows: of the data set.
        videos: the folder of the files.
        bar: shows the progress.
    """
    files = find_videos(videos)
    facts: dict[str, _Video | str] = {}
    names = list(dict.fromkeys(row["video_id"] for row in rows))
    for name in tqdm(names, desc="looking at videos", unit="video", disable=not bar):
        facts[name] = _look_at(files[name]) if name in files else f"{NO_VIDEO}: {name} is not in {videos}"
    made = [_ask_of(row, facts[row["video_id"]]) for row in rows]
    return [own for own in made if isinstance(own, Ask)], [own for own in made if isinstance(own, Skipped)]


@dataclass(frozen=True, slots=True)
class _Video:
    path: Path
    size: Size
    duration: float


def _look_at(path: Path) -> "_Video | str":
    try:
        info = probe(path)
        return _Video(path, (info.width, info.height), picture_duration(path))
    except VideoError as error:
        return f"{UNREADABLE}: {error}"


def _ask_of(row: Mapping[str, Any], video: "_Video | str") -> Ask | Skipped:
    if isinstance(video, str):
        return Skipped(row["question_id"], row["video_id"], video)
    annotated = (row["width"], row["height"])
    if all(annotated) and annotated != video.size:
        found = f"boxes are for {annotated[0]} x {annotated[1]} pixels, the file has {video.size[0]} x {video.size[1]}"
        return Skipped(row["question_id"], row["video_id"], f"{OTHER_SIZE}: {found}")
    task: Task = TASKS[row["task"]]
    return Ask(row["question_id"], task, row["question"], video.path, video.size, video.duration)


# --- asking -----------------------------------------------------------------------------------------------------------


def _ask(plan: Plan, process: Process, writer: PredictionWriter, rows: Sequence[Mapping[str, Any]], total: int) -> None:
    """Asks the questions of ``rows``, ``total`` with those that were answered before, and writes what comes."""
    asks, skipped = make_asks(rows, plan.options.videos, process.rank == 0)
    for own in skipped:
        writer.skip(own.question_id, own.reason)
    if process.rank == 0:
        _tell(describe_skipped(skipped))
    if rows and len(skipped) == total and process.count == 1:
        raise NothingToAskError(f"no question can be asked; is --videos {plan.options.videos} the right folder?")
    if not asks:
        return
    results = open_backend(plan, process).answers(asks)
    failed = 0
    with tqdm(desc="asking", total=total, initial=total - len(asks), unit="question", disable=process.rank != 0) as bar:
        for result in results:
            writer.write(result)
            failed += isinstance(result, Unanswered)
            bar.update()
            if failed:
                bar.set_postfix(failed=failed)


# --- telling ----------------------------------------------------------------------------------------------------------


def _tell(lines: Iterable[str]) -> None:
    """At once: what is printed by a launcher's children is held back otherwise."""
    for line in lines:
        print(line, flush=True)


def _described_plan(plan: Plan, done: Done, count: int) -> Iterator[str]:
    why = "as asked for" if plan.options.coordinate_space else f"that of {plan.family.name}: {plan.family.evidence}"
    yield f"boxes are asked for in the space {plan.form.space!r}, {why}"
    if done.rows:
        yield f"{plan.options.out}: {len(done.rows):,} of {count:,} questions were answered before"
    if done.asked and not plan.options.retry_failed:
        yield f"{len(done.asked):,} questions failed before and are not asked again; --retry-failed asks them"


def _described_end(options: argparse.Namespace, done: Done, tasks: Mapping[str, Task]) -> Iterator[str]:
    rows = [done.rows[name] for name in tasks if name in done.rows]
    cut, refused = (sum(row["finish"] == finish for row in rows) for finish in ("length", "refused"))
    yield f"{options.out}: {len(rows):,} of {len(tasks):,} questions answered, {cut:,} cut off, {refused:,} refused"
    if failed := sum(name in done.failed for name in tasks):
        yield f"{failed:,} questions have no answer, {failures_file(options.out)} says why; --retry-failed asks them again"
    if left := sum(not done.has(name) for name in tasks):
        yield f"{left:,} questions are left to other processes or shards; the last one that ends joins the parts"


if __name__ == "__main__":
    sys.exit(main())
