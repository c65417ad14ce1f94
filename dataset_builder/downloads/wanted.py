"""Which videos are wanted: the ids and durations in a data set, in UnAV-100's annotations or in a list."""

import json
import math
import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
GAP = "{video_id}"  # where an id goes in a path or an address


class WantedError(ValueError):
    """What is wanted cannot be told; the message names the data set or file, and says what to do."""


@dataclass(frozen=True, slots=True)
class WantedVideo:
    """A video to have. ``duration`` in seconds, None where nobody said. The id is as written: it may be no proper id."""

    video_id: str
    duration: float | None

    @property
    def has_proper_id(self) -> bool:
        """Whether the id may become part of a file name and of an address."""
        return VIDEO_ID.fullmatch(self.video_id) is not None


def wanted_of_dataset(dataset: str) -> list[WantedVideo]:
    """The videos of all configs and splits of a data set, each once, in the data set's order.

    Args:
        dataset: a folder that `r-avst-build` wrote, or a data set of that form on the Hub.

    Raises:
        WantedError: it cannot be loaded, or has no column ``video_id``.
    """
    import datasets
    from datasets.exceptions import DatasetsError

    try:
        if "/" not in dataset and not Path(dataset).is_dir():  # the cache would serve a folder that is gone
            raise FileNotFoundError("there is no such folder here")
        configs = datasets.get_dataset_config_names(dataset)
        loaded = [datasets.load_dataset(dataset, config) for config in configs]
    except (OSError, ValueError, DatasetsError, yaml.YAMLError) as error:
        raise WantedError(f"the data set {dataset!r} cannot be loaded ({error}). Build it: r-avst-build --help") from None
    splits = [split for config in loaded for split in config.values()]
    if not splits or any("video_id" not in split.column_names for split in splits):
        raise WantedError(f"{dataset!r} lacks the column 'video_id'; is it a data set of r-avst-build?")
    return _once(_wanted(row["video_id"], row.get("duration"), dataset) for split in splits for row in _rows(split))


def wanted_of_unav(path: Path) -> list[WantedVideo]:
    """The videos of UnAV-100's annotation file, in its order.

    Raises:
        WantedError: the file cannot be read, or is not in UnAV-100's form.
    """
    try:
        database = json.loads(path.read_text(encoding="utf-8-sig"))["database"]
        return _once(_wanted(video_id, video.get("duration"), str(path)) for video_id, video in database.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WantedError(f"{path}: not in UnAV-100's form ({error!r}); is it unav100_annotations.json?") from None


def wanted_of_list(path: Path) -> list[WantedVideo]:
    """The videos of a text file with one id a line; empty lines are skipped.

    Raises:
        WantedError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WantedError(f"{path}: it cannot be read ({error}); --ids takes a text file with one video id a line") from None
    return _once(WantedVideo(line.strip(), None) for line in lines if line.strip())


def _rows(split: Any) -> Iterator[Mapping[str, Any]]:
    yield from split.select_columns([name for name in ("video_id", "duration") if name in split.column_names])


def _wanted(video_id: Any, duration: Any, place: str) -> WantedVideo:
    if not isinstance(video_id, str):
        raise WantedError(f"{place}: a video_id is {video_id!r}; it has to be a text")
    known = isinstance(duration, int | float) and math.isfinite(duration) and duration > 0
    return WantedVideo(video_id, float(duration) if known else None)


def _once(videos: Iterable[WantedVideo]) -> list[WantedVideo]:
    """Each id at its first place, with the first duration that is known (events have none)."""
    found: dict[str, WantedVideo] = {}
    for video in videos:
        if video.video_id not in found or (found[video.video_id].duration is None and video.duration is not None):
            found[video.video_id] = video
    return list(found.values())
