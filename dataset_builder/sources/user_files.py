"""What sources of a user's own files share: JSON lines with the number of the line in every error, and checked fields."""

import json
import re
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r_avst.metrics.avst_metrics.answers import Span

MAX_SECONDS = 86_400
MAX_ID_BYTES = 150  # 255 is the usual limit of a file name, and questions add to the id
_UNSAFE = re.compile(r"[\\/:*?\"<>|]|^[. ]|[. ]$")


class LineError(ValueError):
    """A line that is not as it should be; the message names the file and the line."""


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number and the object of every line that is not blank, from 1.

    Raises:
        LineError: the file cannot be read, or a line is no JSON object.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise LineError(f"{path}: it cannot be read ({error}); a file of JSON lines in UTF-8 is expected") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, _object(line, f"{path}, line {number}")


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LineError(f"{place}: no JSON ({error})") from None
    if not isinstance(found, dict):
        raise LineError(f"{place}: an object is expected, but it is a {type(found).__name__}")
    return found


def text_of(entry: Mapping[str, Any], key: str) -> str:
    """A text that is there and not blank, without the space around it.

    Raises:
        ValueError: it is missing, blank, no text, or holds half a character.
    """
    found = entry.get(key)
    if not isinstance(found, str) or not found.strip():
        raise ValueError(f"{key!r} should be a text, but is {found!r:.60}")
    if any("\ud800" <= letter <= "\udfff" for letter in found):
        raise ValueError(f"{key!r} holds half a character (a lone surrogate), which no file can store: {found!r:.60}")
    return found.strip()


def span_of(entry: Mapping[str, Any]) -> Span:
    """The ``span`` [start, end] in seconds.

    Raises:
        ValueError: it is no two numbers with 0 <= start < end <= 86,400.
    """
    found = entry.get("span")
    if not isinstance(found, list) or len(found) != 2 or any(type(edge) not in (int, float) for edge in found):
        raise ValueError(f"'span' should be [start, end] in seconds, but is {found!r:.60}")
    start, end = found
    if not 0 <= start < end <= MAX_SECONDS:
        raise ValueError(f"'span' is {found!r:.60}; it should start at 0 or later and end after that, within a day")
    return float(start), float(end)


def checked_id(video_id: str) -> str:
    r"""The id of a video, which is part of file names and of question ids.

    Raises:
        ValueError: it is empty, too long, or holds what a file name cannot bear on every system.
    """
    if not video_id or _UNSAFE.search(video_id) or not video_id.isprintable():
        raise ValueError(f"{video_id!r:.60} cannot be the name of a file on every system; rename the video")
    if len(video_id.encode()) > MAX_ID_BYTES:
        raise ValueError(f"the id {video_id!r:.60} is longer than {MAX_ID_BYTES} bytes; rename the video")
    return video_id
