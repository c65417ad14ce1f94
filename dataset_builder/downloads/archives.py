"""Videos inside zip and tar archives, read one by one; nothing is unpacked by the names that an archive gives."""

import gzip
import io
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from pathlib import PurePosixPath
from typing import IO
from typing import BinaryIO

from ..video import VIDEO_SUFFIXES
from .wanted import VIDEO_ID

MAX_BYTES = 2 << 30
CHUNK = 1 << 20
# RuntimeError is zipfile's, of a member that needs a password or is compressed in an unknown way; ValueError of odd numbers
ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
)
_ARCHIVE = re.compile(r".+\.(zip|tar|tgz|tar\.(gz|bz2|xz))", re.IGNORECASE)
_PART = re.compile(r"(?P<whole>.+\.(zip|tar|tgz|tar\.(gz|bz2|xz)))[._-]?(part)?[._-]?([0-9]{1,4}|[a-z]{2})", re.IGNORECASE)


class ArchiveError(Exception):
    """An archive, or a video in it, that cannot be read; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Member:
    """A video in an archive: its ending (".mp4") and how to open it."""

    suffix: str
    open: Callable[[], IO[bytes] | None]


class JoinedFiles(io.RawIOBase):
    """Several files read as one, the way ``cat`` would join them."""

    def __init__(self, files: Sequence[BinaryIO]) -> None:
        self._files = files
        self._ends = list(accumulate(file.seek(0, io.SEEK_END) for file in files))
        self._position = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Sets the position of the next read, in bytes; may lie behind the end.

        Raises:
            ValueError: it lies before the start.
        """
        position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._ends[-1]}[whence]
        if position < 0:
            raise ValueError(f"there is no position {position}")
        self._position = position
        return position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills the buffer from the file at the position, and from no other; 0 at the end."""
        index = bisect_right(self._ends, self._position)
        if index == len(self._files):
            return 0
        self._files[index].seek(self._position - (self._ends[index - 1] if index else 0))
        data = self._files[index].read(len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def archives_of(paths: Iterable[str]) -> dict[str, list[str]]:
    """The archives among the files of a repository: by name, the files that they consist of in order.

    >>> archives_of(["a.zip", "b.tar.part01", "b.tar.part00", "c.mp4"])
    {'a.zip': ['a.zip'], 'b.tar': ['b.tar.part00', 'b.tar.part01']}
    """
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        if _ARCHIVE.fullmatch(path):
            found.setdefault(path, []).append(path)
        elif part := _PART.fullmatch(path):
            found.setdefault(part["whole"], []).append(path)
    return found


def members_of(name: str, files: Sequence[BinaryIO]) -> dict[str, Member]:
    """The videos in an archive by id, in the archive's order; the first of several with one id.

    Args:
        name: of the archive; its ending says whether it is a zip or a tar.
        files: its parts in order; they stay open as long as the members are used.

    Raises:
        ArchiveError: it cannot be read.
    """
    whole = io.BufferedReader(JoinedFiles(files), CHUNK)
    listing = _in_zip if name.lower().endswith(".zip") else _in_tar
    found: dict[str, Member] = {}
    try:
        for path, opener in listing(whole):
            place = PurePosixPath(path)
            if place.suffix.lower() in VIDEO_SUFFIXES and VIDEO_ID.fullmatch(place.stem):
                found.setdefault(place.stem, Member(place.suffix.lower(), opener))
    except ARCHIVE_ERRORS as error:
        raise ArchiveError(f"{name}: it cannot be read as an archive ({error})") from None
    return found


def copy_member(member: Member, target: Path) -> None:
    """Writes a video to a file.

    Raises:
        ArchiveError: it is damaged, or larger than 2 GiB, whatever the archive says of its size.
    """
    try:
        with target.open("wb") as out, member.open() or io.BytesIO() as source:
            while data := source.read(CHUNK):
                if out.tell() + len(data) > MAX_BYTES:
                    raise ArchiveError(f"it is larger than {MAX_BYTES >> 20} MiB")
                out.write(data)
    except ARCHIVE_ERRORS as error:
        raise ArchiveError(f"it cannot be read from its archive ({error})") from None


def _in_zip(file: IO[bytes]) -> Iterator[tuple[str, Callable[[], IO[bytes] | None]]]:
    archive = zipfile.ZipFile(file)
    for info in archive.infolist():
        yield info.filename, partial(archive.open, info)


def _in_tar(file: IO[bytes]) -> Iterator[tuple[str, Callable[[], IO[bytes] | None]]]:
    archive = tarfile.open(fileobj=file, mode="r:*")  # noqa: SIM115  (its members are read later)
    for info in archive:
        if info.isfile():
            yield info.name, partial(archive.extractfile, info)
