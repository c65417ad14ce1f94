"""The folder of a data set: written beside the place where it will stand, and put there whole."""

import json
import shutil
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import filelock
from datasets import are_progress_bars_disabled
from datasets import disable_progress_bars
from datasets import enable_progress_bars

from r_avst.metrics.avst_metrics.answers import TASKS

from .builder import CONFIGS
from .builder import write_dataset
from .oddities import find_oddities
from .records import CardText
from .records import Records

REPORT = "build_report.json"


class BuildError(ValueError):
    """Something that stops a build; the message says what to do."""


def check_replaceable(out: Path) -> None:
    """Only what this builder wrote is replaced; whatever a user put beside it would be lost.

    Raises:
        BuildError: ``out`` holds something that is no data set of this builder.
    """
    found = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if out.is_file() or (found and REPORT not in found):
        raise BuildError(f"{out} is there and is no data set of r-avst-build (no {REPORT}): give another --out or remove it")
    if others := sorted(found - {REPORT, "README.md", *CONFIGS}):
        raise BuildError(f"{out} holds {', '.join(others)} beside an earlier data set: give another --out or move them away")


def write_folder(records: Records, text: CardText, report: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Writes the data set and, in ``build_report.json``, what is told of it: ``report``, its counts and its oddities.

    The folder is put in place when it is complete: a build that is killed before leaves what was there.

    Returns:
        What stands in ``build_report.json``.

    Raises:
        BuildError: ``out`` cannot be written.
    """
    told = {**report, "counts": counts_of(records), "oddities": _oddities(records)}
    try:
        return _write(records, text, told, out.resolve())
    except OSError as error:
        raise BuildError(f"{out} cannot be written ({error})") from error


def describe_folder(report: Mapping[str, Any], out: Path) -> list[str]:
    """What was written, as lines for a terminal."""
    counts = report["counts"]
    return [
        f"{out}: {counts['videos']:,} videos, {counts['events']:,} events, {counts['questions']:,} questions "
        f"({counts['temporal']:,} temporal, {counts['spatial']:,} spatial, {counts['spatio_temporal']:,} spatio-temporal), "
        f"{counts['box_rows']:,} box rows of which {counts['invisible_box_rows']:,} are not visible",
        *(f"  {own['count']:>6,} {kind}: {own['unit']}" for kind, own in report["oddities"].items() if own["count"]),
    ]


def _write(records: Records, text: CardText, report: dict[str, Any], out: Path) -> dict[str, Any]:
    with _scratch_beside(out) as scratch:
        ready = scratch / "ready"
        ready.mkdir()
        with _quiet_datasets():
            report["rows"] = write_dataset(records, ready, scratch / "cache", text)
        (ready / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        _put_in_place(ready, out, scratch / "before")
    return report


@contextmanager
def _scratch_beside(out: Path) -> Iterator[Path]:
    """An empty folder on the same disk; what a killed build left in it is removed."""
    scratch = out.with_name(f".{out.name}.building")
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(scratch / "lock", timeout=0):
            for path in (path for path in scratch.iterdir() if path.is_dir()):
                shutil.rmtree(path)
            try:
                yield scratch
            finally:
                shutil.rmtree(scratch)
    except filelock.Timeout:
        raise BuildError(f"{out}: another build is writing it; wait for it, or give another --out") from None


@contextmanager
def _quiet_datasets() -> Iterator[None]:
    """Without a progress bar for each config and split: they last milliseconds."""
    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()


def _put_in_place(ready: Path, out: Path, before: Path) -> None:
    if out.exists():
        out.rename(before)
    try:
        ready.rename(out)
    except OSError:
        if before.exists():
            before.rename(out)
        raise


def _oddities(records: Records) -> dict[str, dict[str, Any]]:
    found = ((oddity.kind, asdict(oddity)) for oddity in find_oddities(records))
    return {kind: {key: value for key, value in own.items() if key != "kind"} for kind, own in found}


def counts_of(records: Records) -> dict[str, int]:
    """How many videos, events, objects, questions of each task, and boxes there are."""
    by_task: Sequence[str] = [question.task for question in records.questions]
    instances = [
        one
        for question in records.questions
        for track in question.objects
        for frame in track.frames
        for one in frame.instances
    ]
    return {
        "videos": len(records.videos),
        "events": len(records.events),
        "objects": sum(len(event.objects) for event in records.events),
        "questions": len(records.questions),
        **{task: by_task.count(task) for task in TASKS},
        "box_rows": len(instances),
        "invisible_box_rows": sum(not one.visible for one in instances),
    }
