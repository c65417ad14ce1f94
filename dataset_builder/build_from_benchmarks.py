"""Two other benchmarks of the paper (arXiv 2511.16901, table 6) in the form of R-AVST: AVE and AVSBench V1."""

import hashlib
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .build_from_release import describe_release
from .build_from_release import existing_file
from .dataset_folder import check_replaceable
from .dataset_folder import write_folder
from .frame_sizes import JoinReport
from .frame_sizes import join_videos
from .records import Records
from .records import Video
from .sources import ave
from .sources import avsbench
from .sources import card_texts
from .sources.avsbench import MaskRules
from .sources.benchmark_records import ASSUMED_DURATION
from .sources.benchmark_records import Note
from .sources.benchmark_records import told_of

# AVE: its ECCV paper and the 402 that its repository tests on; AVSBench: its ECCV paper
PUBLISHED_AVE = {"lines": 4143, "test lines": 402}
PUBLISHED_AVSBENCH = {"s4": 4932, "s4 test": 740, "ms3": 424}


def build_ave(annotations: Path, splits: Path | None, videos: Path | None, out: Path) -> dict[str, Any]:
    """Builds temporal questions from AVE in ``out`` and returns the report that is also written there.

    Args:
        annotations: ``Annotations.txt``.
        splits: the folder of the split files, by default that of the annotations.
        videos: a folder of ``VIDEO_ID.mp4``, for their sizes and durations.
        out: the folder of the data set.

    Raises:
        BuildError: there is no such file, or ``out`` holds something that is no data set of this builder.
        AveError, VideoError: an input is not what it should be.
    """
    check_replaceable(out)
    records, notes, told = ave.read_ave(existing_file(annotations), splits or annotations.parent)
    records, joined = _joined(records, videos)
    here = {"lines": told["lines"][annotations.name], "test lines": told["lines"].get("testSet.txt")}
    report = {
        "source": {"kind": "ave", "sha256": hashlib.sha256(annotations.read_bytes()).hexdigest(), **told},
        "published": _beside(PUBLISHED_AVE, here),
        "notes": told_of((*notes, *_assumed(records.videos, joined)), ave.HANDLING),
        "videos": asdict(joined) if joined else None,
    }
    return write_folder(records, card_texts.AVE, report, out)


def build_avsbench(root: Path, subsets: Sequence[str], videos: Path | None, rules: MaskRules, out: Path) -> dict[str, Any]:
    """Builds spatial questions from AVSBench V1 in ``out`` and returns the report that is also written there.

    Args:
        root: the folder of ``Single-source`` and ``Multi-sources``.
        subsets: ``s4``, ``ms3``.
        videos: a folder of ``NAME.mp4``, for their sizes and durations; boxes are scaled to their frames.
        rules: how masks become objects.
        out: the folder of the data set.

    Raises:
        BuildError: ``out`` holds something that is no data set of this builder.
        AvsBenchError, MaskError, VideoError: an input is not what it should be.
        PillowMissingError: Pillow is not installed.
    """
    check_replaceable(out)
    clips, repeated = avsbench.read_clips(root, subsets)
    listed, joined = _joined(Records(tuple(clip.video for clip in clips), (), ()), videos)
    sizes = {video.video_id: video for video in listed.videos}
    records, notes = avsbench.read_avsbench(clips, sizes, rules)
    here = {name: sum(own.subset == name for own in clips) for name in subsets}
    here |= {f"{name} test": sum(own.subset == name and own.split == "test" for own in clips) for name in subsets}
    report = {
        "source": {"kind": "avsbench", "subsets": list(subsets), "rules": asdict(rules)},
        "published": _beside(PUBLISHED_AVSBENCH, here),
        "notes": told_of((*repeated, *notes, *_assumed(records.videos, joined)), avsbench.HANDLING),
        "videos": asdict(joined) if joined else None,
    }
    return write_folder(records, card_texts.AVSBENCH, report, out)


def describe_benchmark(report: Mapping[str, Any], out: Path) -> str:
    """The report as lines for a terminal."""
    return "\n".join([*_notes(report), describe_release(report, out)])


def _notes(report: Mapping[str, Any]) -> Iterator[str]:
    counts = (f"{key} {own['here']:,} (published: {own['published']:,})" for key, own in report["published"].items())
    yield f"read: {', '.join(counts)}"
    yield from (f"  {own['count']:>6,} {kind}: {own['handling']}" for kind, own in report["notes"].items() if own["count"])


def _joined(records: Records, videos: Path | None) -> tuple[Records, JoinReport | None]:
    return (records, None) if videos is None else join_videos(records, videos)


def _assumed(videos: Sequence[Video], joined: JoinReport | None) -> Iterator[Note]:
    """A note for each video whose duration is no file's."""
    lost = None if joined is None else {*joined.missing, *joined.unreadable}
    return (Note(ASSUMED_DURATION, own.video_id) for own in videos if lost is None or own.video_id in lost)


def _beside(published: Mapping[str, int], here: Mapping[str, int | None]) -> dict[str, dict[str, int]]:
    """The counts that there are beside the published ones."""
    return {
        key: {"published": published[key], "here": own} for key, own in here.items() if key in published and own is not None
    }
