"""Stages and rows for tests of what runs them."""

import os
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import Video
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.stages.stage import StageError


def video_row(video_id: str, caption: str = "A dog barks.") -> VideoRow:
    event = Event(f"{video_id}-0", video_id, (1.0, 4.0), ("dog barking",), caption, ())
    return VideoRow(Video(video_id, "train", 10.0), f"{video_id}.mp4", (event,))


def video_rows(count: int) -> tuple[VideoRow, ...]:
    return tuple(video_row(f"video{number:02}") for number in range(count))


@dataclass(frozen=True, slots=True)
class UpperStage:
    """Writes captions in capitals; notes every video that it works on in a file; fails and stops where it is told to.

    A worker that meets ``kills`` dies of it, once: the file ``{log}.killed`` says that it has.
    """

    log: Path
    workers: int = 1
    bad: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()
    kills: tuple[str, ...] = ()
    suffix: str = "!"
    seconds: float = 0.0
    name: str = "upper"
    gpus: float = 0.0

    def settings(self) -> Mapping[str, Any]:
        return {"suffix": self.suffix}

    def open(self) -> Callable[[VideoRow], VideoRow]:
        return self.work

    def work(self, row: VideoRow) -> VideoRow:
        video_id = row.video.video_id
        with self.log.open("a") as log:
            log.write(f"{video_id}\n")
        time.sleep(self.seconds)
        if video_id in self.stops:
            raise StageError("the server is gone")
        if video_id in self.bad:
            raise ValueError(f"{video_id}: a bad video")
        if video_id in self.kills:
            self._die_once()
        return replace(row, events=tuple(replace(own, caption=f"{own.caption}{self.suffix}".upper()) for own in row.events))

    def report(self, rows: Sequence[VideoRow]) -> Mapping[str, Any]:
        return {"captions": len(rows)}

    def worked_on(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []

    def _die_once(self) -> None:
        killed = Path(f"{self.log}.killed")
        if not killed.exists():
            killed.touch()
            os._exit(9)
