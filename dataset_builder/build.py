"""Builds the data set: `r-avst-build release --annotations FILE_OR_URL --out r-avst`."""

# Absolute imports, so that the file also runs by its path.
import argparse
import hashlib
import json
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import datasets
from tqdm import tqdm

from r_avst.dataset_builder.builder import CONFIGS
from r_avst.dataset_builder.builder import write_dataset
from r_avst.dataset_builder.frame_sizes import JoinReport
from r_avst.dataset_builder.frame_sizes import join_videos
from r_avst.dataset_builder.oddities import find_oddities
from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.sources.release import ANNOTATIONS_URL
from r_avst.dataset_builder.sources.release import CARD_TEXT
from r_avst.dataset_builder.sources.release import ReleaseError
from r_avst.dataset_builder.sources.release import read_release
from r_avst.dataset_builder.sources.unav100 import UnavError
from r_avst.dataset_builder.sources.unav100 import read_unav
from r_avst.dataset_builder.sources.unav100 import with_labels
from r_avst.dataset_builder.video import PyAVMissingError
from r_avst.dataset_builder.video import VideoError
from r_avst.metrics.avst_metrics.answers import TASKS

REPORT = "build_report.json"
# arXiv 2511.16901, section 3 and table 5: the test split as the paper counts it
PAPER_TEST_COUNTS = {"videos": 1066, "temporal": 663, "spatial": 664, "spatio_temporal": 306}


class BuildError(ValueError):
    """Something that stops a build; the message says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script `r-avst-build`."""
    options = _parser().parse_args(arguments)
    try:
        report = build_release(options.annotations, options.unav, options.videos, options.out)
    except (BuildError, PyAVMissingError, ReleaseError, UnavError, VideoError) as error:
        tqdm.write(f"r-avst-build: {error}", file=sys.stderr)  # a progress bar may still be open
        return 2
    print(describe(report, options.out))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="r-avst-build", description="Builds the R-AVST data set as parquet files that load_dataset() reads."
    )
    sources = parser.add_subparsers(required=True, metavar="SOURCE")
    release = sources.add_parser(
        "release",
        help="from the annotations that the authors released",
        description="Turns the released annotation file into the data set.",
        epilog='Then: load_dataset("r-avst"), load_dataset("r-avst", "spatial"), load_dataset("r-avst", "events").',
    )
    release.add_argument(
        "--annotations",
        default=ANNOTATIONS_URL,
        metavar="FILE_OR_URL",
        help="the released JSON; the default is the authors' file on GitHub, downloaded once and cached",
    )
    release.add_argument(
        "--unav", type=Path, metavar="FILE", help="UnAV-100's annotation JSON: labels every event with its classes"
    )
    release.add_argument(
        "--videos", type=Path, metavar="DIR", help="a folder of VIDEO_ID.mp4: fills width, height and duration"
    )
    release.add_argument("--out", type=Path, default=Path("r-avst"), metavar="DIR", help="default: %(default)s")
    return parser


def build_release(annotations: str, unav: Path | None, videos: Path | None, out: Path) -> dict[str, Any]:
    """Builds the data set in ``out`` and returns the report that is also written there.

    The folder is put in place when it is complete: a build that is killed before leaves what was there.

    Raises:
        BuildError: the annotations cannot be had, or ``out`` holds something that is no data set of this builder.
        ReleaseError, UnavError, VideoError: an input is not what it should be.
    """
    _check_replaceable(out)
    path, records = _read_annotations(annotations)
    if unav is not None:
        records = with_labels(records, read_unav(_existing_file(unav)))
    joined = None
    if videos is not None:
        records, joined = join_videos(records, videos)
    source = annotations if "://" in annotations else path.name
    report = {"source": {"annotations": source, "sha256": _digest(path)}, **_report(records, joined)}
    try:
        return _write(records, report, out.resolve())
    except OSError as error:
        raise BuildError(f"{out} cannot be written ({error})") from error


def _write(records: Records, report: dict[str, Any], out: Path) -> dict[str, Any]:
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        ready = Path(scratch) / "ready"
        ready.mkdir()
        report["rows"] = write_dataset(records, ready, Path(scratch) / "cache", CARD_TEXT)
        (ready / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        _put_in_place(ready, out, Path(scratch) / "before")
    return report


def describe(report: dict[str, Any], out: Path) -> str:
    """The report as lines for a terminal."""
    counts = report["counts"]
    lines = [
        f"{out}: {counts['videos']:,} videos, {counts['events']:,} events, {counts['questions']:,} questions "
        f"({counts['temporal']:,} temporal, {counts['spatial']:,} spatial, {counts['spatio_temporal']:,} spatio-temporal), "
        f"{counts['box_rows']:,} box rows of which {counts['invisible_box_rows']:,} are not visible",
        *(f"  {own['count']:>6,} {kind}: {own['unit']}" for kind, own in report["oddities"].items() if own["count"]),
    ]
    if joined := report["videos"]:
        lines.append(f"  videos: {joined['joined']:,} joined, {len(joined['missing']):,} missing")
        for key in ("unreadable", "boxes_outside", "other_duration"):
            lines += [f"    {key} {video_id}: {reason}" for video_id, reason in joined[key].items()]
    lines.append(f"All of it, with places and handling: {out / REPORT}")
    return "\n".join(lines)


def _report(records: Records, joined: JoinReport | None) -> dict[str, Any]:
    counts = _counts(records)
    oddities = ((oddity.kind, asdict(oddity)) for oddity in find_oddities(records))
    return {
        "counts": counts,
        "paper": {key: {"paper": paper, "here": counts[key]} for key, paper in PAPER_TEST_COUNTS.items()},
        "oddities": {kind: {key: value for key, value in own.items() if key != "kind"} for kind, own in oddities},
        "videos": asdict(joined) if joined else None,
    }


def _counts(records: Records) -> dict[str, int]:
    by_task = [question.task for question in records.questions]
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


def _read_annotations(annotations: str) -> tuple[Path, Records]:
    """The file, downloaded if it is a URL, and what is in it."""
    if "://" not in annotations:
        path = _existing_file(Path(annotations))
        return path, read_release(path)
    path = _downloaded(annotations)
    try:
        return path, read_release(path, annotations)
    except ReleaseError:
        path.unlink(missing_ok=True)  # a login page, say: the next run is to download again
        raise


def _downloaded(annotations: str) -> Path:
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it logs tracebacks of what is told below
    try:
        return Path(datasets.DownloadManager().download(annotations))
    except Exception as error:  # fsspec and aiohttp raise errors of their own
        raise BuildError(
            f"{annotations} cannot be downloaded ({error.__cause__ or error!r}). "
            "Download it where there is network and give the file: r-avst-build release --annotations FILE"
        ) from None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _existing_file(path: Path) -> Path:
    if not path.is_file():
        raise BuildError(f"{path}: there is no such file")
    return path


def _check_replaceable(out: Path) -> None:
    """Only what this builder wrote is replaced; whatever a user put beside it would be lost."""
    found = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if out.is_file() or (found and REPORT not in found):
        raise BuildError(f"{out} is there and is no data set of r-avst-build (no {REPORT}): give another --out or remove it")
    if others := sorted(found - {REPORT, "README.md", *CONFIGS}):
        raise BuildError(f"{out} holds {', '.join(others)} beside an earlier data set: give another --out or move them away")


def _put_in_place(ready: Path, out: Path, before: Path) -> None:
    if out.exists():
        out.rename(before)
    try:
        ready.rename(out)
    except OSError:
        if before.exists():
            before.rename(out)
        raise


if __name__ == "__main__":
    sys.exit(main())
