"""A folder of downloaded videos: what is in it, what did not come and why. A file is in place only when it was checked."""

import json
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..line_files import append_line
from ..line_files import cut_torn_line
from ..line_files import put_text
from ..line_files import whole_lines
from ..video import VideoError
from ..video import find_videos
from ..video import probe
from .wanted import WantedVideo

REPORT = "report.json"
FAILURES = "failures.jsonl"
PARTIAL = ".partial"
UNCHECKED = ".unchecked"  # no video id holds a dot, so no such file counts as a video that is there


class Status(StrEnum):
    """What is known of a wanted video."""

    AVAILABLE = "available"
    OTHER_DURATION = "other_duration"  # there, but longer or shorter than the annotations say
    MISSING = "missing"
    REMOVED = "removed"
    PRIVATE = "private"
    AGE_RESTRICTED = "age_restricted"
    REGION_LOCKED = "region_locked"
    COPYRIGHT = "copyright"
    FAILED = "failed"
    UNREADABLE = "unreadable"  # a file is there, and it is no video
    UNREACHABLE = "unreachable"  # no answer, or "too many requests": says nothing about the video
    INVALID_ID = "invalid_id"


# What a source said about a video itself, so that asking again is of little use.
DEFINITE = frozenset(
    {Status.REMOVED, Status.PRIVATE, Status.AGE_RESTRICTED, Status.REGION_LOCKED, Status.COPYRIGHT, Status.FAILED}
)
IN_PLACE = frozenset({Status.AVAILABLE, Status.OTHER_DURATION})


class VideoFolderError(ValueError):
    """A folder that cannot be used; the message names the file and says what to do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one wanted video. Durations in seconds, ``width`` and ``height`` in pixels; None where unknown."""

    video_id: str
    status: Status
    reason: str | None = None
    wanted_duration: float | None = None
    duration: float | None = None
    width: int | None = None
    height: int | None = None


class VideoFolder:
    """The files of a folder by video id, and the failures that earlier runs noted there.

    Args:
        path: of the folder; a manual copy of a video may lie in it or below it, as ``VIDEO_ID.mp4``.
        tolerance: seconds by which a file may differ from the annotated duration.
    """

    def __init__(self, path: Path, tolerance: float) -> None:
        self.path = path
        self.partial = path / PARTIAL
        self._tolerance = tolerance
        self._files = find_videos(path) if path.is_dir() else {}

    def check(self, video: WantedVideo) -> Outcome:
        """Looks at what is there of a video."""
        if not video.has_proper_id:
            reason = "an id has 1 to 64 letters, digits, - and _; others become no file name and no address"
            return Outcome(video.video_id, Status.INVALID_ID, reason, video.duration)
        if video.video_id not in self._files:
            return Outcome(video.video_id, Status.MISSING, "not in the folder", video.duration)
        file = self._files[video.video_id]
        try:
            return self._measured(video, file)
        except VideoError as error:
            reason = f"{error}; delete the file to have it downloaded"
            return Outcome(video.video_id, Status.UNREADABLE, reason, video.duration)

    def put_in_place(self, video: WantedVideo, unchecked: Path) -> Outcome:
        """Takes a downloaded file in under its name if it is a video; else deletes it."""
        try:
            outcome = self._measured(video, unchecked)
        except VideoError as error:
            unchecked.unlink(missing_ok=True)
            return Outcome(video.video_id, Status.FAILED, f"what came is no video: {error}", video.duration)
        place = self.path / f"{video.video_id}{unchecked.suffix}"
        unchecked.replace(place)
        self._files[video.video_id] = place
        return outcome

    def failures(self, source: str) -> dict[str, Outcome]:
        """What a source said in earlier runs of the videos that it did not give, the last word on each.

        Raises:
            VideoFolderError: a line of the file is not what this class writes.
        """
        return {row["video_id"]: _failure(row) for row in self._noted() if row["source"] == source}

    def note_failure(self, source: str, outcome: Outcome) -> None:
        """Remembers a definite failure for later runs."""
        row = {"source": source, "video_id": outcome.video_id, "status": outcome.status, "reason": outcome.reason}
        append_line(self.path / FAILURES, json.dumps(row))

    def forget_failures(self, source: str, videos: Iterable[WantedVideo]) -> None:
        """Lets these videos be tried again."""
        ids = {video.video_id for video in videos}
        kept = [row for row in self._noted() if row["source"] != source or row["video_id"] not in ids]
        put_text(self.path / FAILURES, "".join(json.dumps(row) + "\n" for row in kept))

    def write_report(self, report: dict[str, Any]) -> None:
        """Writes the report, whole or not at all."""
        put_text(self.path / REPORT, json.dumps(report, indent=1) + "\n")

    def _measured(self, video: WantedVideo, file: Path) -> Outcome:
        info = probe(file)
        wanted = video.duration
        if wanted is None or abs(info.duration - wanted) <= self._tolerance:
            status, reason = Status.AVAILABLE, None
        else:
            status, reason = Status.OTHER_DURATION, f"annotations {wanted:.2f} s, file {info.duration:.2f} s"
        return Outcome(video.video_id, status, reason, wanted, info.duration, info.width, info.height)

    def _noted(self) -> Iterator[dict[str, Any]]:
        path = self.path / FAILURES
        cut_torn_line(path)
        for number, line in enumerate(whole_lines(path), 1):
            try:
                row = json.loads(line)
                _failure(row), row["source"]
            except (ValueError, KeyError, TypeError) as error:
                raise VideoFolderError(f"{path}, line {number}: no failure noted by a run ({error!r}); delete it") from None
            yield row


def report_of(outcomes: Sequence[Outcome], source: str, details: dict[str, Any]) -> dict[str, Any]:
    """The report as JSON: where from, how many of each status, and every video in order."""
    counts = {str(status): sum(own.status is status for own in outcomes) for status in Status}
    videos = [{name: getattr(own, name) for name in Outcome.__slots__ if getattr(own, name) is not None} for own in outcomes]
    return {
        "source": source,
        **details,
        "counts": {name: count for name, count in counts.items() if count},
        "videos": videos,
    }


def _failure(row: Any) -> Outcome:
    return Outcome(row["video_id"], Status(row["status"]), f"{row['reason']} (in an earlier run)")
