"""Digests of the files that rows were made from: a video that is replaced is another video."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter
from pydantic import ValidationError
from tqdm import tqdm

from .line_files import append_line
from .line_files import cut_torn_line
from .line_files import whole_lines
from .records import VideoRow

CONTENTS = "contents.jsonl"


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it was when it was read: its size in bytes, when it was changed, and the digest of its bytes."""

    file: str
    size: int
    changed_ns: int
    digest: str


_CONTENT: TypeAdapter[Content] = TypeAdapter(Content)


def with_contents(rows: Iterable[VideoRow], videos: Path, work: Path) -> tuple[VideoRow, ...]:
    """The rows with the digests of their files; a file is read again only if its size or time have changed.

    A file that cannot be read gets an empty digest: the stage that opens it says why.
    """
    path = work / CONTENTS
    path.parent.mkdir(parents=True, exist_ok=True)
    cut_torn_line(path)
    known = {content.file: content for line in whole_lines(path) for content in _known(line)}
    filled = []
    for row in tqdm(list(rows), desc="reading files", unit="video", leave=False):
        content = _content(videos / row.file, known.get(row.file), row.file)
        if content is not None and content != known.get(row.file):
            append_line(path, _CONTENT.dump_json(content).decode())
        filled.append(replace(row, content=content.digest if content else ""))
    return tuple(filled)


def _known(line: bytes) -> Iterable[Content]:
    """What a line says; a damaged one costs no more than reading its file again."""
    try:
        return (_CONTENT.validate_json(line),)
    except ValidationError:
        return ()


def _content(path: Path, known: Content | None, file: str) -> Content | None:
    try:
        stat = path.stat()
        if known is not None and (known.size, known.changed_ns) == (stat.st_size, stat.st_mtime_ns):
            return known
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()[:16]
    except OSError:
        return None
    return Content(file, stat.st_size, stat.st_mtime_ns, digest)
