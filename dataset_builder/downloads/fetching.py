"""Fetches wanted videos one after the other: goes on over failures, and stops when nobody answers."""

import random
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from .video_folder import DEFINITE
from .video_folder import Outcome
from .video_folder import Status
from .video_folder import VideoFolder
from .wanted import WantedVideo

UNANSWERED_LIMIT = 3  # videos in a row, before a run ends: more requests would not help, and would not be polite


class FetchError(RuntimeError):
    """A source does not give one video. ``status`` says what is known of it, the message is the source's own."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class SourceError(RuntimeError):
    """A source that cannot be used, or not now; the message says what to do."""


class VideoSource(Protocol):
    """Where videos come from."""

    @property
    def name(self) -> str:
        """Of the source, the same in every run: failures are remembered by it."""

    def details(self) -> Mapping[str, str]:
        """What else the report says of it."""

    def in_order(self, wanted: Sequence[WantedVideo]) -> list[WantedVideo]:
        """The videos in the order in which the source gives them best."""

    def fetch(self, video_id: str, folder: Path) -> Path:
        """Fetches a video to ``folder`` as ``VIDEO_ID.unchecked.*`` and goes on where an earlier call was broken off.

        Raises:
            FetchError: this video cannot be had.
            SourceError: no video can be had.
        """


@dataclass(frozen=True, slots=True)
class Pace:
    """How politely to ask: seconds between videos (give or take a half, at random), and how often to try one again.

    Before a video is tried again the pause is doubled each time.
    """

    pause: float
    retries: int


def fetch_videos(wanted: Sequence[WantedVideo], source: VideoSource, folder: VideoFolder, pace: Pace) -> Iterator[Outcome]:
    """Fetches videos one by one and notes definite failures; yields an outcome each.

    Raises:
        SourceError: the source cannot be used, or three videos in a row had no answer.
    """
    folder.partial.mkdir(parents=True, exist_ok=True)
    unanswered = 0
    for number, video in enumerate(source.in_order(wanted)):
        if number:
            time.sleep(pace.pause * random.uniform(0.5, 1.5))
        outcome = _fetch_patiently(video, source, folder, pace)
        if outcome.status in DEFINITE:
            folder.note_failure(source.name, outcome)
        unanswered = unanswered + 1 if outcome.status is Status.UNREACHABLE else 0
        yield outcome
        if unanswered == UNANSWERED_LIMIT:
            raise SourceError(
                f"{source.name}: {unanswered} videos in a row could not be fetched, the last because: {outcome.reason}. "
                "What came is kept; run the same command again later, it goes on where it stopped"
            )


def _fetch_patiently(video: WantedVideo, source: VideoSource, folder: VideoFolder, pace: Pace) -> Outcome:
    outcome = _fetch_once(video, source, folder)
    for attempt in range(1, pace.retries + 1):
        if outcome.status is not Status.UNREACHABLE:
            break
        time.sleep(pace.pause * 2**attempt)
        outcome = _fetch_once(video, source, folder)
    return replace(outcome, wanted_duration=video.duration)


def _fetch_once(video: WantedVideo, source: VideoSource, folder: VideoFolder) -> Outcome:
    try:
        unchecked = source.fetch(video.video_id, folder.partial)
    except FetchError as error:
        return Outcome(video.video_id, error.status, str(error))
    return folder.put_in_place(video, unchecked)
