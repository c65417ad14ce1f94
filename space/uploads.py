"""What a video must be to be taken from anybody, and where it is kept for as long as its visitor stays.

A file's first bytes decide before FFmpeg sees it: a playlist or a script that is named ``.mp4`` would make FFmpeg open other
files. Then its header must keep the limits, then its packets; one frame is decoded at last.
"""

import secrets
import shutil
import threading
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
NAME_SHOWN: Final = 120  # letters
KEPT_SECONDS: Final = 3600  # after which an upload goes even if nobody said that its visitor is gone


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
    """What is behind a header that says nothing, or less than is there; packets are counted, not kept."""
    first = None
    for count, packet in enumerate(packets(path, container, stream), 1):
        _check_count(count, limits)
        if packet.pts is not None and packet.time_base:
            first = packet.pts if first is None else min(first, packet.pts)
            _check_duration(float((packet.pts - first) * packet.time_base), limits)


# --- where it is kept -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    """A session's video: its token in the page, what is known of it, the file as Gradio got it, and what ends its time."""

    token: str
    video: UploadedVideo
    received: Path
    timer: threading.Timer


class Uploads:
    """The video of each session, in a folder of its own, until another one comes, the session ends, or an hour has passed.

    Gradio keeps equal uploads of several sessions as one file: it goes with the last of them.

    Args:
        folder: of the files; it is made when the first one comes.
        limits: of what is taken.
        seconds: after which a video goes even if nobody said that its visitor is gone.
    """

    def __init__(self, folder: Path, limits: Limits, seconds: float = KEPT_SECONDS) -> None:
        self._folder, self._limits, self._seconds = folder, limits, seconds
        self._kept: dict[str, Kept] = {}
        self._lock = threading.Lock()

    def take(self, session: str, received: Path) -> Kept:
        """Checks a file that Gradio received, and keeps it as the only video of a session.

        Raises:
            UploadError: it is not taken; it is gone then, unless another session has the same.
        """
        self.drop(session)
        token = secrets.token_hex(16)
        folder = self._folder / token
        try:
            video = self._checked_copy(received, folder)
        except UploadError:
            shutil.rmtree(folder, ignore_errors=True)
            self._forget(received)
            raise
        timer = threading.Timer(self._seconds, self.drop, [session])
        timer.daemon = True
        with self._lock:
            kept = self._kept[session] = Kept(token, video, received, timer)
        timer.start()
        return kept

    def _checked_copy(self, received: Path, folder: Path) -> UploadedVideo:
        """The same file under a name without a trick: what one session drops stays with another."""
        _check_file(received, self._limits)
        folder.mkdir(parents=True)
        own = folder / f"video{received.suffix.lower()}"
        try:
            own.hardlink_to(received)
        except OSError:
            shutil.copyfile(received, own)
        found = check_upload(own, self._limits)
        return replace(found, name=shown_name(received))

    def of_session(self, session: str) -> Kept | None:
        """The video of a session."""
        with self._lock:
            return self._kept.get(session)

    def of_token(self, token: str) -> Kept | None:
        """The video that a page names by its token, which nobody else knows."""
        with self._lock:
            return next((kept for kept in self._kept.values() if kept.token == token), None)

    def drop(self, session: str) -> None:
        """Deletes what a session has, if anything."""
        with self._lock:
            kept = self._kept.pop(session, None)
        if kept is not None:
            kept.timer.cancel()
            shutil.rmtree(kept.video.path.parent, ignore_errors=True)
            self._forget(kept.received)

    def _forget(self, received: Path) -> None:
        with self._lock:
            if any(kept.received == received for kept in self._kept.values()):
                return
            try:
                received.unlink()
                received.parent.rmdir()  # Gradio makes a folder for each upload
            except OSError:  # it is gone already, or there is more in its folder
                return
