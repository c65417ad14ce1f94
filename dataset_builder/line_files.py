"""Files of lines that grow while a run lasts, and that a kill may leave with half a line at their end."""

import os
from pathlib import Path


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a file without what a kill cut off; none if there is no file."""
    return path.read_bytes().split(b"\n")[:-1] if path.is_file() else []


def cut_torn_line(path: Path) -> None:
    """Removes half a line from the end of a file, so that no new one is glued to it."""
    if path.is_file():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)


def append_line(path: Path, line: str) -> None:
    """Appends a line; it is on the disk when this returns."""
    with path.open("ab") as file:
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def put_text(path: Path, text: str) -> None:
    """Puts a file in place whole: a kill leaves the one before.

    A link stays, and what it points to is replaced. What is no regular file, as a device or a pipe, is written straight to.
    """
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.part")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(target)
