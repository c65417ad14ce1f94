"""The data set from the annotations that the authors released."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import datasets

from .dataset_folder import REPORT
from .dataset_folder import BuildError
from .dataset_folder import check_replaceable
from .dataset_folder import counts_of
from .dataset_folder import describe_folder
from .dataset_folder import write_folder
from .frame_sizes import join_videos
from .records import Records
from .sources.release import CARD_TEXT
from .sources.release import ReleaseError
from .sources.release import read_release
from .sources.unav100 import read_unav
from .sources.unav100 import with_labels

# arXiv 2511.16901, section 3 and table 5: the test split as the paper counts it
PAPER_TEST_COUNTS = {"videos": 1066, "temporal": 663, "spatial": 664, "spatio_temporal": 306}


def build_release(annotations: str, unav: Path | None, videos: Path | None, out: Path) -> dict[str, Any]:
    """Builds the data set in ``out`` and returns the report that is also written there.

    Args:
        annotations: the released JSON, a path or a URL.
        unav: UnAV-100's annotations, for the labels of events.
        videos: a folder of videos, for their sizes and durations.
        out: the folder of the data set.

    Raises:
        BuildError: the annotations cannot be had, or ``out`` holds something that is no data set of this builder.
        ReleaseError, UnavError, VideoError: an input is not what it should be.
    """
    check_replaceable(out)
    path, records = _read_annotations(annotations)
    if unav is not None:
        records = with_labels(records, read_unav(existing_file(unav)))
    joined = None
    if videos is not None:
        records, joined = join_videos(records, videos)
    counts = counts_of(records)
    report = {
        "source": {"annotations": annotations if "://" in annotations else path.name, "sha256": _digest(path)},
        "paper": {key: {"paper": paper, "here": counts[key]} for key, paper in PAPER_TEST_COUNTS.items()},
        "videos": asdict(joined) if joined else None,
    }
    return write_folder(records, CARD_TEXT, report, out)


def describe_release(report: Mapping[str, Any], out: Path) -> str:
    """The report as lines for a terminal."""
    lines = describe_folder(report, out)
    if joined := report["videos"]:
        lines.append(f"  videos: {joined['joined']:,} joined, {len(joined['missing']):,} missing")
        for key in ("unreadable", "boxes_outside", "other_duration"):
            lines += [f"    {key} {video_id}: {reason}" for video_id, reason in joined[key].items()]
    return "\n".join([*lines, f"All of it, with places and handling: {out / REPORT}"])


def existing_file(path: Path) -> Path:
    """The path itself.

    Raises:
        BuildError: there is no file there.
    """
    if not path.is_file():
        raise BuildError(f"{path}: there is no such file")
    return path


def _read_annotations(annotations: str) -> tuple[Path, Records]:
    """The file, downloaded if it is a URL, and what is in it."""
    if "://" not in annotations:
        path = existing_file(Path(annotations))
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
