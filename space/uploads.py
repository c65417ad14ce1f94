"""What a video must be to be taken from anybody, and where it is kept for as long as its visitor stays.

A file's first bytes decide before FFmpeg sees it: a playlist or a script that is named ``.mp4`` would make FFmpeg open other
files. Then its header must keep the limits, then its packets; one frame is decoded at last.
"""

import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Final

from r_avst.dataset_builder.video import VideoError
from r_avst.dataset_builder.video import opened
from r_avst.dataset_builder.video import packets
from r_avst.dataset_builder.video import picture_duration
from r_avst.dataset_builder.video import read_frames
from r_avst.metrics.avst_metrics.coordinates import Size

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import InputContainer

SUFFIXES: Final = (".mp4", ".mov", ".m4v", ".webm", ".mkv")
MEGABYTE: Final = 1_000_000  # bytes
MATROSKA: Final = b"\x1a\x45\xdf\xa3"
ISO_BOXES: Final = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
"""With which MP4 and QuickTime files begin, behind four bytes of length."""
FASTEST: Final = 240  # frames a second; the packets of a file of nothing but headers would take gigabytes
SHORTEST: Final = 500  # packets a second of all that is no picture: Opus has up to 400, and each is looked at several times
NAME_SHOWN: Final = 120  # letters


class UploadError(ValueError):
    """A file that is not taken; the message says what is wrong with it and what is taken, and holds no path."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The longest, largest and widest video that is taken: seconds, megabytes, pixels of the longer side."""

    seconds: int = 120
    megabytes: int = 100
    side: int = 1920

    def __str__(self) -> str:
        """As people are told."""
        kinds = ", ".join(SUFFIXES)
        return f"up to {self.seconds:,} s, {self.megabytes:,} MB and {self.side:,} pixels on the longer side; {kinds}"


@dataclass(frozen=True, slots=True)
class Room:
    """What is kept of all visitors at a time: videos, their megabytes, and each for so many seconds at most.

    What is ``refused`` stays for some seconds too, for its browser may be reading it to show it. A visitor may come under
    any number of names, and need not say that he goes.
    """

    videos: int = 50
    megabytes: int = 2000
    seconds: float = 3600
    refused: float = 3


@dataclass(frozen=True, slots=True)
class UploadedVideo:
    """A video that was taken.

    Attributes:
        path: the file.
        name: under which it was uploaded.
        size: width and height of its frames in pixels as people see them.
        duration: seconds of picture.
        has_sound: whether there is a sound track.
    """

    path: Path
    name: str
    size: Size
    duration: float
    has_sound: bool


# --- what is taken ----------------------------------------------------------------------------------------------------


def check_upload(path: Path, limits: Limits) -> UploadedVideo:
    """What is to be known of an uploaded video.

    Raises:
        UploadError: it is no video that is taken.
    """
    _check_file(path, limits)
    try:
        with opened(path) as (container, stream):
            _check_header(container, stream, limits)
            has_sound = bool(container.streams.audio)
            _check_packets(path, container, stream, limits)
        duration = picture_duration(path)
        height, width = next(iter(read_frames(path, [0.0], "pyav"))).image.shape[:2]
    except VideoError as error:
        reason = str(error).replace(str(path), "").removeprefix(": ")
        raise UploadError(f"This video cannot be used: {reason}. Taken are videos {limits}.") from None
    _check_duration(duration, limits)
    return UploadedVideo(path, shown_name(path), (width, height), duration, has_sound)


def shown_name(path: Path) -> str:
    """The name of a file as it is shown: without a folder, and not too long."""
    return path.name if len(path.name) <= NAME_SHOWN else f"{path.name[: NAME_SHOWN - 1]}…"


def _check_file(path: Path, limits: Limits) -> None:
    """What its name, its length and its first bytes tell."""
    if path.suffix.lower() not in SUFFIXES:
        raise UploadError(f"{shown_name(path)}: files with this ending are not taken. Taken are videos {limits}.")
    try:
        length = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise UploadError(f"The upload cannot be read ({error.strerror}): upload it again.") from None
    if not length:
        raise UploadError("The file is empty: upload it again.")
    if length > limits.megabytes * MEGABYTE:
        raise UploadError(f"The file has {length / MEGABYTE:,.1f} MB. Taken are videos {limits}.")
    if not start.startswith(MATROSKA) and start[4:8] not in ISO_BOXES:
        raise UploadError(
            f"By its content, the file is no MP4, QuickTime, WebM or Matroska video. Taken are videos {limits}."
        )


def _check_header(container: "InputContainer", stream: "VideoStream", limits: Limits) -> None:
    longer = max(stream.width, stream.height)
    if longer > limits.side:
        raise UploadError(f"Its frames have {stream.width} x {stream.height} pixels. Taken are videos {limits}.")
    own = stream.duration * stream.time_base if stream.duration and stream.time_base else 0
    _check_duration(max(float(own), (container.duration or 0) / 1e6), limits)
    _check_count(stream.frames, limits)


def _check_duration(seconds: float, limits: Limits) -> None:
    if seconds > limits.seconds + 0.5:  # a recording that was stopped at the limit ends a little later
        raise UploadError(f"The video lasts {seconds:,.1f} s. Taken are videos {limits}.")


def _check_count(frames: int, limits: Limits) -> None:
    if frames > limits.seconds * FASTEST:
        raise UploadError(f"The video has more than {limits.seconds * FASTEST:,} frames. Taken are videos {limits}.")


def _check_packets(path: Path, container: "InputContainer", stream: "VideoStream", limits: Limits) -> None:
    """What is behind a header that says nothing, or less than is there; packets are counted, not kept.

    Those of all streams: the sound is read as well, and silence may be written up to its last packet.
    """
    frames = others = 0
    earliest = latest = None
    for packet in packets(path, container):
        frames += packet.stream_index == stream.index
        others += packet.stream_index != stream.index
        _check_count(frames, limits)
        _check_others(others, limits)
        if packet.pts is not None and packet.time_base:
            seconds = float(packet.pts * packet.time_base)
            earliest = seconds if earliest is None else min(earliest, seconds)
            latest = seconds if latest is None else max(latest, seconds)
            _check_duration(latest - earliest, limits)


def _check_others(count: int, limits: Limits) -> None:
    most = limits.seconds * SHORTEST
    if count > most:
        raise UploadError(f"The video's sound is in more than {most:,} pieces: convert it to MP4 with AAC sound.")


# --- where it is kept -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Kept:
    """A session's video.

    Attributes:
        session: whose it is.
        token: its name in the page.
        video: what is known of it.
        received: the file as Gradio got it.
        length: bytes of it.
        since: when it came, on the monotonic clock.
    """

    session: str
    token: str
    video: UploadedVideo
    received: Path
    length: int
    since: float


class Uploads:
    """The video of each session, in a folder of its own, until another one comes, the session ends, or its time is over.

    Gradio keeps equal uploads, of one session or of several, as one file: it goes with the last of them.

    Args:
        folder: of the files; it is made when the first one comes.
        limits: of what is taken.
        on_drop: is told of a video that is not kept any more, when its file is gone; by any thread.
        room: for all that is kept.
    """

    def __init__(
        self, folder: Path, limits: Limits, on_drop: Callable[[Kept], None] | None = None, room: Room | None = None
    ) -> None:
        self._folder, self._limits, self._on_drop, self._room = folder, limits, on_drop, room or Room()
        self._kept: dict[str, Kept] = {}
        self._refused: dict[Path, float] = {}  # and when they go
        self._arriving: Counter[Path] = Counter()
        self._lock = threading.Lock()
        self._came = threading.Condition(self._lock)
        self._sweeping = False

    def take(self, session: str, received: Path) -> Kept:
        """Checks a file that Gradio received, and keeps it as the only video of a session.

        Raises:
            UploadError: it is not taken, or there is no room; it is gone soon then, unless another session has the same.
        """
        with self._lock:
            self._refused.pop(received, None)
            self._arriving[received] += 1
        try:
            before = self.of_session(session)
            if before is not None:
                self.drop(before)
            self._sweep()
            return self._taken(session, received)
        finally:
            with self._lock:
                self._arriving -= Counter([received])
            self._forget(received)  # if nobody keeps it: another may have taken its place already

    def _taken(self, session: str, received: Path) -> Kept:
        token = secrets.token_hex(16)
        folder = self._folder / token
        try:
            video = self._checked_copy(received, folder)
            kept = Kept(session, token, video, received, video.path.stat().st_size, time.monotonic())
            self._put(kept)
        except UploadError:
            shutil.rmtree(folder, ignore_errors=True)
            self._refuse(received)
            raise
        return kept

    def _checked_copy(self, received: Path, folder: Path) -> UploadedVideo:
        """The same file under a name without a trick: what one session drops stays with another."""
        _check_file(received, self._limits)
        self._check_room(received.stat().st_size)
        folder.mkdir(parents=True)
        own = folder / f"video{received.suffix.lower()}"
        try:
            own.hardlink_to(received)
        except OSError:
            shutil.copyfile(received, own)
        found = check_upload(own, self._limits)
        return replace(found, name=shown_name(received))

    def _put(self, kept: Kept) -> None:
        """Keeps it instead of what the session may have sent while this one was checked."""
        with self._lock:
            self._check_room(kept.length)
            replaced = self._kept.pop(kept.session, None)
            self._kept[kept.session] = kept
            self._see_to_sweeping()
        if replaced is not None:
            self._delete(replaced)

    def _refuse(self, received: Path) -> None:
        """Lets a file go, but not at once: the browser that sent it may be reading it to show it."""
        with self._lock:
            self._refused[received] = time.monotonic() + self._room.refused
            self._see_to_sweeping()

    def _check_room(self, length: int) -> None:
        others = list(self._kept.values())
        held = length + sum(own.length for own in others)
        if len(others) >= self._room.videos or held > self._room.megabytes * MEGABYTE:
            raise UploadError("There are too many visitors with videos now: upload yours again in some minutes.")

    def of_session(self, session: str) -> Kept | None:
        """The video of a session."""
        with self._lock:
            return self._kept.get(session)

    def of_token(self, token: str) -> Kept | None:
        """The video that a page names by its token, which nobody else knows."""
        with self._lock:
            return next((kept for kept in self._kept.values() if kept.token == token), None)

    def drop(self, kept: Kept) -> None:
        """Deletes a video, if it is still kept; one that its session sent since stays."""
        with self._lock:
            if self._kept.get(kept.session) is not kept:
                return
            del self._kept[kept.session]
        self._delete(kept)

    def _delete(self, kept: Kept) -> None:
        shutil.rmtree(kept.video.path.parent, ignore_errors=True)
        self._forget(kept.received)
        if self._on_drop is not None:
            self._on_drop(kept)

    def _forget(self, received: Path) -> None:
        """Deletes what Gradio received, unless it is kept, is being checked, or was refused just now."""
        with self._lock:
            kept = any(kept.received == received for kept in self._kept.values())
            if kept or self._arriving[received] or received in self._refused:
                return
            try:
                received.unlink()
                received.parent.rmdir()  # Gradio makes a folder for each upload
            except OSError:  # it is gone already, or there is more in its folder
                return

    # --- when nobody says that a visitor is gone ----------------------------------------------------------------------

    def _sweep(self) -> None:
        """Deletes what was kept for its time."""
        now = time.monotonic()
        with self._lock:
            old = [kept for kept in self._kept.values() if self._end(kept) <= now]
            refused = [path for path, end in self._refused.items() if end <= now]
            for path in refused:
                del self._refused[path]
        for kept in old:
            self.drop(kept)
        for path in refused:
            self._forget(path)

    def _end(self, kept: Kept) -> float:
        """When the time of a video is over, on the monotonic clock."""
        return kept.since + self._room.seconds

    def _see_to_sweeping(self) -> None:
        """One thread for all files, as long as there are any; the lock is held."""
        if not self._sweeping:
            self._sweeping = True
            threading.Thread(target=self._keep_sweeping, daemon=True).start()
        self._came.notify()

    def _keep_sweeping(self) -> None:
        while self._wait_for_an_end():
            self._sweep()

    def _wait_for_an_end(self) -> bool:
        """Waits for the next end, or until something else comes; False: there is nothing that has one."""
        with self._came:
            end = min((*map(self._end, self._kept.values()), *self._refused.values()), default=None)
            self._sweeping = end is not None
            if end is not None:
                self._came.wait(max(0.0, end - time.monotonic()))
            return end is not None
