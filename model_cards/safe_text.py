"""Text from files and command lines, made fit for a card: nothing in it is read as Markdown or HTML."""

import re
from typing import Any

from .measured import CardError

MAX_NAME = 200  # characters
_UNFIT = frozenset("`|")
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.\-]{0,60}")


def code(text: str, what: str) -> str:
    """A name as a code span.

    Raises:
        CardError: it is empty or too long, or holds a line break, an unprintable character, a backtick or a bar.
    """
    if not text.strip() or len(text) > MAX_NAME or not text.isprintable() or _UNFIT & set(text):
        raise CardError(
            f"{what} {text[:MAX_NAME]!r} cannot stand on a card: "
            f"give 1 to {MAX_NAME} printable characters, none of them a backtick or a bar"
        )
    return f"`{text.strip()}`"


def licence(text: Any, what: str) -> str:
    """A licence's identifier on the Hub, such as ``mit``.

    Raises:
        CardError: it is none.
    """
    if not isinstance(text, str) or not _LICENCE.fullmatch(text):
        raise CardError(f"{what} is {text!r}, no identifier of the Hub such as mit or cc-by-4.0")
    return text


def fenced(text: str, language: str, what: str) -> str:
    """A text as a block of code; its fence is longer than any run of backticks in it.

    Raises:
        CardError: it holds an unprintable character.
    """
    lines = text.replace("\r\n", "\n").strip("\n")
    if unfit := next((char for char in lines if not char.isprintable() and char not in "\n\t"), None):
        raise CardError(f"{what} holds {unfit!r}, which cannot stand on a card; take it out")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", lines)), default=0))
    return f"{fence}{language}\n{lines}\n{fence}"
