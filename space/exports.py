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
    """The page is being closed, or the video is gone."""


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
    """A job and the video it is about; ``done`` is the share that its thread has told of.

    ``finished`` in whatever way, and known to be; ``forgotten`` while it runs: nobody is to have its file.
    """

    video: Path
    future: "Future[Path]"
    done: float = 0.0
    finished: bool = False
    forgotten: bool = False

    def failed(self) -> bool:
        return self.finished and (self.future.cancelled() or self.future.exception() is not None)


class Exports:
    """Jobs and their files, a job for each distinct request: asking again tells how far it is.

    Requests may come from any thread, and raise nothing: what goes wrong is told in the job, once. Who asks again after that
    begins anew. What a process that was killed left in the folder is removed.

    One visitor who asks for ever other layers and objects can take all places: what bounds that is ``waiting``. Others are
    told to try again, and their turn comes as soon as one of these is written.
    """

    def __init__(self, folder: Path, workers: int = 1, kept: int = 20, waiting: int = 20) -> None:
        """Begins without jobs.

        Args:
            folder: for the files.
            workers: jobs at once.
            kept: jobs that stay of those with a file, the oldest go with it; and as many of those that failed.
            waiting: jobs that are taken on, at most, before others are finished.
        """
        self._folder, self._kept, self._waiting = folder, kept, waiting
        self._jobs: dict[str, _Running] = {}  # finished ones in the order in which they were
        self._lock = threading.RLock()  # a job may finish, and say so, in the thread that begins or cancels it
        self._closed = threading.Event()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="export")
        folder.mkdir(parents=True, exist_ok=True)
        for left in [*folder.glob("*.mp4"), *folder.glob(".*.mp4.part")]:
            if left.name.lstrip(".").startswith((f"{ANNOTATED}-", f"{PLAYABLE}-")):
                left.unlink()

    def annotated(self, video: Path, scene: Scene, layers: Iterable[str], objects: Iterable[int]) -> Job:
        """Asks for a video with boxes (see `write_annotated`); what the scene does not have makes no other request."""
        shown = frozenset(layer.name for layer in scene.layers).intersection(layers)
        drawn = frozenset(range(len(scene.objects))).intersection(objects)
        return self._asked(
            ANNOTATED, video, (scene, sorted(shown), sorted(drawn)), partial(write_annotated, video, scene, shown, drawn)
        )

    def playable(self, video: Path) -> Job:
        """Asks for a copy that browsers play (see `write_playable`)."""
        return self._asked(PLAYABLE, video, (), partial(write_playable, video))

    def close(self) -> None:
        """Ends all jobs; what is half written is removed, what is complete stays."""
        with self._lock:
            self._closed.set()
            for own in list(self._jobs.values()):
                own.future.cancel()
        self._threads.shutdown(wait=True)

    def forget(self, video: Path) -> None:
        """Removes all that was made of a video; what waits or is half written ends. A video that no job knows is let be.

        Call it when the video itself is gone: who asks before that has it made anew.
        """
        with self._lock:
            for name, own in list(self._jobs.items()):
                if own.video.absolute() != video.absolute():
                    continue
                own.forgotten = True
                if own.finished:
                    self._remove(name)
                else:
                    own.future.cancel()

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
                self._jobs[name].future.add_done_callback(lambda _: self._finished(name))
            return self._told(name)

    def _reason_against(self) -> str | None:
        """Why no job is taken on, None if one is."""
        if self._closed.is_set():
            return "the page is being closed; try again when it is back"
        if (unfinished := sum(not own.finished for own in self._jobs.values())) >= self._waiting:
            return f"{unfinished} videos are being written for others; try again in some minutes"
        return None

    def _run(self, name: str, write: Write) -> Path:
        out = self._folder / f"{name}.mp4"
        write(out, partial(self._progress, name))
        return out

    def _progress(self, name: str, done: float) -> None:
        if self._closed.is_set():
            raise _StoppedError("it was stopped: the page is being closed")
        with self._lock:
            if self._jobs[name].forgotten:
                raise _StoppedError("it was stopped: the video is gone")
            self._jobs[name].done = done

    def _finished(self, name: str) -> None:
        """Puts a job behind those that were finished before, and removes the oldest that ended as it did."""
        with self._lock:
            self._jobs[name] = own = self._jobs.pop(name)
            own.finished = True
            alike = [other for other, one in self._jobs.items() if one.finished and one.failed() == own.failed()]
            for gone in [name] if own.forgotten else alike[: -self._kept]:
                self._remove(gone)

    def _remove(self, name: str) -> None:
        """Forgets a finished job, and its file."""
        del self._jobs[name]
        (self._folder / f"{name}.mp4").unlink(missing_ok=True)

    def _told(self, name: str) -> Job:
        running = self._jobs[name]
        if not running.finished:
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
