"""Videos that visitors take away, or that their browser cannot play as they are: written one after another in a thread."""

import hashlib
import threading
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from r_avst.dataset_builder.video import PyAVMissingError
from r_avst.dataset_builder.video import VideoError

from .burnt_boxes import boxes_at
from .burnt_boxes import draw_boxes
from .encoding import EncodingError
from .encoding import Picture
from .encoding import Progress
from .encoding import write_mp4
from .scenes import Scene

ANNOTATED: Final = "annotated"
PLAYABLE: Final = "playable"
DIGITS: Final = 32  # of the name of a job: nobody guesses another's
Write = Callable[[Path, Progress], None]


class _StoppedError(Exception):
    """The page is being closed."""


NAMED: Final = (EncodingError, PyAVMissingError, VideoError, _StoppedError)


def write_annotated(
    video: Path, scene: Scene, layers: Collection[str], objects: Collection[int], out: Path, progress: Progress
) -> None:
    """Writes a video with its boxes burnt in, as MP4 that browsers play.

    Args:
        video: the file.
        scene: the question that the boxes are of.
        layers: names of the layers that are drawn.
        objects: places, among the scene's, of the objects that are drawn.
        out: the new file; it is there when it is complete.
        progress: is told the share that is written, 0..1.

    Raises:
        VideoError, EncodingError, PyAVMissingError: as `write_mp4`.
    """

    def annotated(time: float, picture: Picture) -> Picture:
        height, width, _ = picture.shape
        return draw_boxes(picture, boxes_at(scene, layers, objects, time, (width, height)))

    write_mp4(video, annotated, out, progress)


def write_playable(video: Path, out: Path, progress: Progress) -> None:
    """Writes a video as it is, as MP4 that browsers play; arguments and errors as of `write_annotated`."""
    write_mp4(video, lambda _, picture: picture, out, progress)


# --- jobs -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Job:
    """What is told of a job: its name, the share that is done, and in the end its file or what went wrong, for visitors."""

    job: str
    done: float
    file: Path | None
    error: str | None


@dataclass(slots=True)
class _Running:
    """A job and the video it is about; ``done`` is the share that its thread has told of."""

    video: Path
    future: "Future[Path]"
    done: float = 0.0

    def failed(self) -> bool:
        return self.future.done() and (self.future.cancelled() or self.future.exception() is not None)


class Exports:
    """Jobs and their files, a job for each distinct request: asking again tells how far it is.

    Requests may come from any thread, and raise nothing: what goes wrong is told in the job, once. Who asks again after that
    begins anew. What a process that was killed left in the folder is removed.
    """

    def __init__(self, folder: Path, workers: int = 1, kept: int = 20, waiting: int = 20) -> None:
        """Begins without jobs.

        Args:
            folder: for the files.
            workers: jobs at once.
            kept: finished jobs that stay; the oldest go with their files.
            waiting: jobs that are taken on, at most, before others are finished.
        """
        self._folder, self._kept, self._waiting = folder, kept, waiting
        self._jobs: dict[str, _Running] = {}  # finished ones in the order in which they were
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="export")
        folder.mkdir(parents=True, exist_ok=True)
        for left in [*folder.glob("*.mp4"), *folder.glob(".*.mp4.part")]:
            if left.name.lstrip(".").startswith((f"{ANNOTATED}-", f"{PLAYABLE}-")):
                left.unlink()

    def annotated(self, video: Path, scene: Scene, layers: Iterable[str], objects: Iterable[int]) -> Job:
        """Asks for a video with boxes (see `write_annotated`)."""
        shown, drawn = frozenset(layers), frozenset(objects)
        return self._asked(
            ANNOTATED, video, (scene, sorted(shown), sorted(drawn)), partial(write_annotated, video, scene, shown, drawn)
        )

    def playable(self, video: Path) -> Job:
        """Asks for a copy that browsers play (see `write_playable`)."""
        return self._asked(PLAYABLE, video, (), partial(write_playable, video))

    def close(self) -> None:
        """Ends all jobs; what is half written is removed, what is complete stays."""
        self._closed.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _asked(self, kind: str, video: Path, about: tuple[object, ...], write: Write) -> Job:
        try:
            stat = video.stat()
        except OSError as error:
            return Job("", 0.0, None, f"{video.name}: it cannot be read ({error.strerror})")
        mark = repr((kind, str(video.absolute()), stat.st_mtime_ns, stat.st_size, *about))
        name = f"{kind}-{hashlib.sha256(mark.encode()).hexdigest()[:DIGITS]}"
        with self._lock:
            if name not in self._jobs:
                if reason := self._reason_against():
                    return Job(name, 0.0, None, reason)
                self._jobs[name] = _Running(video, self._threads.submit(self._run, name, write))
            return self._told(name)

    def _reason_against(self) -> str | None:
        """Why no job is taken on, None if one is."""
        if self._closed.is_set():
            return "the page is being closed; try again when it is back"
        if (unfinished := sum(not own.future.done() for own in self._jobs.values())) >= self._waiting:
            return f"{unfinished} videos are being written for others; try again in some minutes"
        return None

    def _run(self, name: str, write: Write) -> Path:
        out = self._folder / f"{name}.mp4"
        write(out, partial(self._progress, name))
        self._make_room(name)
        return out

    def _progress(self, name: str, done: float) -> None:
        if self._closed.is_set():
            raise _StoppedError("it was stopped: the page is being closed")
        with self._lock:
            self._jobs[name].done = done

    def _make_room(self, name: str) -> None:
        """Puts a job behind those that were finished before, and removes the oldest of them with their files."""
        with self._lock:
            self._jobs[name] = self._jobs.pop(name)
            done = [other for other, own in self._jobs.items() if other == name or (own.future.done() and not own.failed())]
            for other in done[: -self._kept]:
                del self._jobs[other]
                (self._folder / f"{other}.mp4").unlink(missing_ok=True)

    def _told(self, name: str) -> Job:
        running = self._jobs[name]
        if not running.future.done():
            return Job(name, running.done, None, None)
        if not running.failed():
            return Job(name, 1.0, running.future.result(), None)
        del self._jobs[name]
        return Job(name, running.done, None, self._reason(running))

    def _reason(self, running: _Running) -> str:
        """Why a job failed, in words for visitors, who are not told where files lie."""
        error = None if running.future.cancelled() else running.future.exception()
        if error is None:
            return "it was stopped before it began: the page is being closed"
        said = f"{error}" if isinstance(error, NAMED) else f"{type(error).__name__}: {error}"
        return said.replace(str(running.video), running.video.name).replace(f"{self._folder}/", "")
