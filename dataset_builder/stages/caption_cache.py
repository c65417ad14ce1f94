"""What a model answered about captions, kept in a file: no answer is paid twice, whenever a run is killed.

A line an answer, also those that could not be used::

    {"key": "9f2c...", "model": "gpt-4o-mini", "caption": "A dog barks.",
     "reply": {"text": "{...}", "refusal": null, "tokens_in": 512, "tokens_out": 24}}

``key`` is a digest of all that was asked. A refusal counts as an answer; to ask again, remove its line.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from pydantic import TypeAdapter
from pydantic import ValidationError

from ..chat_client import Reply
from ..line_files import append_line
from ..line_files import cut_torn_line
from ..line_files import whole_lines
from .stage import StageError


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply, the digest of what it answers, and for people the model and the caption."""

    key: str
    model: str
    caption: str
    reply: Reply


_ANSWERED: TypeAdapter[Answered] = TypeAdapter(Answered)


def read_answers(path: Path) -> tuple[Answered, ...]:
    """All answers in the file, oldest first; none if there is no file.

    Raises:
        StageError: a line is damaged. Half a line at the end is no damage: a kill may leave one.
    """
    return tuple(_answered(line, f"{path}, line {number}") for number, line in enumerate(whole_lines(path), start=1))


def _answered(line: bytes, place: str) -> Answered:
    try:
        return _ANSWERED.validate_json(line)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise StageError(f"{place} is damaged ({problem}): remove the line; its caption is then asked again") from None


class CaptionCache:
    """The file and what is in it; safe for the threads of one run."""

    def __init__(self, path: Path) -> None:
        """Reads the file, and cuts half a line off its end.

        Raises:
            StageError: a line is damaged.
        """
        self._path = path
        self._replies: defaultdict[str, list[Reply]] = defaultdict(list)
        for answered in read_answers(path):
            self._replies[answered.key].append(answered.reply)
        self._guard = Lock()
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)
        path.parent.mkdir(parents=True, exist_ok=True)
        cut_torn_line(path)

    @contextmanager
    def only(self, key: str) -> Iterator[None]:
        """Keeps other threads from asking the same until this one has its answer."""
        with self._guard:
            lock = self._locks[key]
        with lock:
            yield

    def replies(self, key: str) -> tuple[Reply, ...]:
        """All replies under a key, oldest first."""
        with self._guard:
            return tuple(self._replies.get(key, ()))

    def add(self, answered: Answered) -> None:
        """Keeps an answer: it is on the disk when this returns."""
        with self._guard:
            self._replies[answered.key].append(answered.reply)
            append_line(self._path, _ANSWERED.dump_json(answered).decode())
