"""The videos of a data set that may be shared, in a repository of their own: the Hub cannot mix parquet and videos."""

import csv
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import DatasetCard
from huggingface_hub import DatasetCardData

from ..dataset_builder.video import find_videos
from .artefacts import CARD
from .artefacts import PublishError

LICENCES = "licences.csv"
COLUMNS = ("video_id", "licence", "attribution")
# Licences, by their identifiers on the Hub, that let anybody pass a work on unchanged.
SHAREABLE = re.compile(r"cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-\d\.\d|pddl|apache-2\.0|mit")
NEEDS_NO_NAME = frozenset({"cc0-1.0", "pddl"})
SUFFIX = "-videos"


@dataclass(frozen=True, slots=True)
class Licence:
    """What lets a video be shared. ``attribution``: whom to name, and where it came from."""

    licence: str
    attribution: str


@dataclass(frozen=True, slots=True)
class SharedVideo:
    """A video that goes out: its split, its id, its file, and its licence."""

    split: str
    video_id: str
    file: Path
    licence: Licence


def read_licences(folder: Path) -> dict[str, Licence]:
    """The licences of videos by id, from ``licences.csv`` in their folder: ``video_id,licence,attribution``.

    Raises:
        PublishError: the file is not there or a line is wrong; the message names it.
    """
    path = folder / LICENCES
    if not path.is_file():
        raise PublishError(
            f"{path}: there is no such file. Videos go out only if you say that they may: write one line a video, "
            f"below the line {','.join(COLUMNS)}"
        )
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise PublishError(f"{path}: its first line is {reader.fieldnames}; it should be {','.join(COLUMNS)}")
        found: dict[str, Licence] = {}
        for row in reader:
            place = f"{path}, line {reader.line_num}"
            if row["video_id"] in found:
                raise PublishError(f"{place}: {row['video_id']} has a line already; leave one of them")
            found[row["video_id"]] = _licence(row, place)
    return found


def _licence(row: Mapping[str | None, str | None], place: str) -> Licence:
    if None in row:
        raise PublishError(f"{place}: it has more than {len(COLUMNS)} fields; put quotes around a text with commas")
    licence, attribution = (row["licence"] or "").strip(), (row["attribution"] or "").strip()
    if not SHAREABLE.fullmatch(licence):
        raise PublishError(
            f"{place}: {licence!r} is no licence that lets a video be passed on; known are cc0-1.0, cc-by-4.0 and its kin, "
            "pddl, apache-2.0 and mit. Remove the line to leave the video out"
        )
    if not attribution and licence not in NEEDS_NO_NAME:
        raise PublishError(f"{place}: {licence} asks to name the author; fill in attribution")
    return Licence(licence, attribution)


def splits_of(dataset: Path) -> dict[str, str]:
    """The split of each video of a data set that `r-avst-build` wrote.

    Raises:
        PublishError: a file is damaged.
    """
    found: dict[str, str] = {}
    for path in sorted(dataset.glob("*/r-avst-*.parquet")):
        try:
            ids = pq.read_table(path, columns=["video_id"]).column("video_id").to_pylist()
        except (pa.ArrowException, KeyError) as error:
            raise PublishError(f"{path}: it cannot be read ({error}); build the data set again") from None
        found |= dict.fromkeys(ids, path.name.split("-")[2])  # r-avst-SPLIT-...
    return found


def shared_videos(folder: Path, dataset: Path) -> tuple[list[SharedVideo], dict[str, str]]:
    """The videos of a data set in ``folder`` whose licence lets them be shared.

    Returns:
        The videos in the order of their splits and ids, and by file name why others are left out.

    Raises:
        PublishError: there is no ``licences.csv``, it is wrong, or no video is left.
    """
    licences, splits = read_licences(folder), splits_of(dataset)
    shared: list[SharedVideo] = []
    left_out: dict[str, str] = {}
    found = find_videos(folder)
    for video_id, file in found.items():
        if video_id not in licences:
            left_out[file.name] = f"{LICENCES} does not say that it may be shared"
        elif video_id not in splits:
            left_out[file.name] = "no video of the data set"
        else:
            shared.append(SharedVideo(splits[video_id], video_id, file, licences[video_id]))
    left_out |= dict.fromkeys(licences.keys() - found.keys(), f"{LICENCES} names it, and there is no video of this id")
    if not shared:
        raise PublishError(f"{folder}: no video in it is both in the data set and in {LICENCES}; nothing to share")
    return sorted(shared, key=lambda video: (video.split, video.video_id)), left_out


def video_folder(videos: list[SharedVideo], dataset_id: str, scratch: Path) -> dict[str, Path]:
    """The places of a repository that `load_dataset` reads as a video folder.

    The tables and the card are written to ``scratch``, which is made.

    `metadata.parquet`, not `.jsonl`: it keeps the types of its columns.
    """
    scratch.mkdir()
    places = {f"{video.split}/{_file_name(video)}": video.file for video in videos}
    for split in dict.fromkeys(video.split for video in videos):
        own = [video for video in videos if video.split == split]
        table = pa.table(
            {
                "file_name": [_file_name(video) for video in own],
                "video_id": [video.video_id for video in own],
                "licence": [video.licence.licence for video in own],
                "attribution": [video.licence.attribution for video in own],
            }
        )
        places[f"{split}/metadata.parquet"] = scratch / f"{split}.parquet"
        pq.write_table(table, scratch / f"{split}.parquet")
    (scratch / CARD).write_text(videos_card(videos, dataset_id), encoding="utf-8")
    return places | {CARD: scratch / CARD}


def _file_name(video: SharedVideo) -> str:
    return f"{video.video_id}{video.file.suffix.lower()}"


def videos_card(videos: list[SharedVideo], dataset_id: str) -> str:
    """The card of the videos: their splits, and how many are under which licence."""
    licences = Counter(video.licence.licence for video in videos)
    splits = dict.fromkeys(video.split for video in videos)
    data = DatasetCardData(
        license=next(iter(licences)) if len(licences) == 1 else "other",
        pretty_name="R-AVST, videos that may be shared",
        task_categories=["video-text-to-text"],
        tags=["video"],
        configs=[{"config_name": "default", "data_files": [{"split": split, "path": f"{split}/*"} for split in splits]}],
    )
    rows = "\n".join(f"| {licence} | {count} |" for licence, count in sorted(licences.items()))
    card = DatasetCard(
        f"---\n{data}\n---\n\n# Videos of {dataset_id}\n\n"
        f"Those videos of [{dataset_id}](https://huggingface.co/datasets/{dataset_id}) whose licence lets them be passed "
        "on. Each row gives the licence and whom to name. Questions and boxes are there, joined by `video_id`.\n\n"
        f"| licence | videos |\n| --- | --- |\n{rows}\n"
    )
    return str(card)
