"""The files of `r-avst-predict`: a line a question, on the disk before the next one comes; a run goes on where it stopped.

A line is what `r-avst-score` reads, and all that is needed to score it again years later::

    {"question_id": "...", "text": "<answer>...</answer>", "coordinate_space": "model", "processed_size": [644, 364],
     "frame_size": [640, 360], "raw_text": "...", "fps": 2.0, "frame_times": [0.0, 0.5], "prompt_tokens": 812,
     "completion_tokens": 64, "finish": "stop", "settings": {"model": "...", "fps": 2.0, ...}}    (in one line)

``raw_text`` is the model's, as it came; ``text`` is what is scored: the same, or with the seconds between two lines of boxes
filled where a line was asked for less often than every second.

A process of several, or a shard, writes a part of its own beside the file that was named; the last one joins them::

    preds.jsonl  preds.part-1-of-2.jsonl  preds.part-2-of-2.jsonl
    preds.failures.jsonl  preds.part-1-of-2.failures.jsonl         questions that could not be asked or answered, and why
"""

import json
import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from typing import Final

from filelock import FileLock
from filelock import Timeout

from r_avst.dataset_builder.line_files import append_line
from r_avst.dataset_builder.line_files import cut_torn_line
from r_avst.dataset_builder.line_files import put_text
from r_avst.dataset_builder.line_files import whole_lines
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import is_well_formed
from r_avst.metrics.avst_metrics.answers import write_answer

from .answer_form import AnswerForm
from .answer_form import read_answer
from .asking import Reply
from .asking import Unanswered

Settings = Mapping[str, Any]
Row = dict[str, Any]

FILLED_DECIMALS: Final = 3  # of boxes between two lines: in thousandths of the frame, whole numbers would move them
LOCK_WAIT: Final = 1.0  # seconds: who joins looks for a moment whether a file is being written
ABSENT: Final = "(not there)"
_PART = re.compile(r"\.part-(\d+)-of-(\d+)")


class PredictionFileError(ValueError):
    """A file that cannot be gone on with; the message says which line, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The questions of every ``count``-th video, from the ``index``-th on; ``index`` counts from 1.

    Raises:
        ValueError: ``index`` is not in 1..``count``.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise ValueError(f"shard {self.index}/{self.count}: the first number must be from 1 to the second")

    def takes(self, number: int) -> bool:
        """Whether a video is its own; ``number`` counts them from 0."""
        return number % self.count == self.index - 1

    def split(self, index: int, count: int) -> "Shard":
        """Its ``index``-th part (from 1) of ``count``.

        >>> Shard(2, 3).split(2, 2)
        Shard(index=5, count=6)
        """
        return Shard(self.index + (index - 1) * self.count, self.count * count)


WHOLE: Final = Shard(1, 1)


# --- a line -----------------------------------------------------------------------------------------------------------


def prediction_row(reply: Reply, task: Task, form: AnswerForm, settings: Settings) -> Row:
    """A reply as a line of the file."""
    row: Row = {
        "question_id": reply.question_id,
        "text": scored_text(reply.text, task, form),
        "coordinate_space": reply.coordinate_space,
    }
    if reply.processed_size is not None:
        row["processed_size"] = list(reply.processed_size)
    return row | {
        "frame_size": list(reply.frame_size),
        "raw_text": reply.text,
        "fps": reply.fps,
        "frame_times": list(reply.frame_times),
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "finish": reply.finish,
        "settings": dict(settings),
    }


def scored_text(text: str, task: Task, form: AnswerForm) -> str:
    """What is scored of a model's text: the text itself, or with the seconds between two lines of boxes filled.

    Boxes stay in the space in which they were written. A text that is not well formed stays so.
    """
    if form.box_every == 1 or task == "temporal":
        return text
    as_written = AnswerForm("source", form.box_every, 0)
    parsed = read_answer(text, as_written, (1, 1), (1, 1))
    if not any(track.rows for track in parsed.answer.tracks):
        return text
    written = write_answer(parsed.answer, task if parsed.answer.span else "spatial", FILLED_DECIMALS)
    return written if is_well_formed(parsed, task) else written.removesuffix("</answer>")


# --- files ------------------------------------------------------------------------------------------------------------


def part_file(out: Path, shard: Shard) -> Path:
    """Where a shard is written: into ``out`` itself if there is one only, else into a part beside it."""
    return out if shard == WHOLE else out.with_name(f"{out.stem}.part-{shard.index}-of-{shard.count}{out.suffix}")


def failures_file(path: Path) -> Path:
    """Where the failures of a file of rows are."""
    return path.with_name(f"{path.stem}.failures{path.suffix}")


def written_files(out: Path) -> list[Path]:
    """``out`` and the parts beside it, so far as they are there."""
    return _there(out, out)


def _failure_files(out: Path) -> list[Path]:
    """Of ``out`` and its parts, be there a part with rows or not."""
    return _there(out, failures_file(out))


def _there(out: Path, whole: Path) -> list[Path]:
    """``whole``, which is ``out`` or stands beside it, and its parts."""
    ending = whole.name.removeprefix(out.stem)
    parts = (
        path
        for path in sorted(out.parent.glob(f"{_escaped(out.stem)}.part-*{_escaped(ending)}"))
        if _PART.fullmatch(path.name.removeprefix(out.stem).removesuffix(ending))
    )
    return [path for path in (whole, *parts) if path.is_file()]


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


@dataclass(frozen=True, slots=True)
class Done:
    """What earlier runs came to, by question id: rows, and the failures of questions that have none.

    ``asked`` are those of ``failed`` that went to the model or its decoder; the others failed before, for want of a video.
    """

    rows: Mapping[str, Row]
    failed: Mapping[str, str]
    asked: frozenset[str]

    def has(self, question_id: str) -> bool:
        """Whether a question came to something, be it a failure."""
        return question_id in self.rows or question_id in self.failed


def read_done(out: Path, settings: Settings) -> Done:
    """Reads ``out`` and the parts beside it; half a line at an end is no line.

    Failures of other settings are no failures of these.

    Raises:
        PredictionFileError: a line is no prediction, or was made with other settings; or the folder cannot be written to.
    """
    with _joining(out):
        return _read_done(out, settings)


def _read_done(out: Path, settings: Settings) -> Done:
    rows: dict[str, Row] = {}
    failures: dict[str, Row] = {}
    now = _plain(settings)
    for path in written_files(out):
        for number, row in _read_lines(path, ("question_id", "text", "settings")):
            _check_settings(f"{path}:{number}", row["settings"], now)
            rows.setdefault(row["question_id"], row)
    for path in _failure_files(out):
        for _, row in _read_lines(path, ("question_id", "reason", "asked", "settings")):
            if row["settings"] == now and row["question_id"] not in rows:
                failures[row["question_id"]] = row
    asked = frozenset(name for name, row in failures.items() if row["asked"])
    return Done(rows, {name: str(row["reason"]) for name, row in failures.items()}, asked)


def _read_lines(path: Path, keys: Sequence[str]) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(whole_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise PredictionFileError(
                f"{path}:{number}: no JSON ({error}): remove the line, or give another --out"
            ) from None
        if not isinstance(row, dict) or not all(key in row for key in keys) or not isinstance(row["question_id"], str):
            raise PredictionFileError(
                f"{path}:{number}: no line of r-avst-predict, which has {', '.join(keys)}: give another --out"
            )
        yield number, row


def _check_settings(place: str, before: Any, now: Row) -> None:
    if before == now:
        return
    known = before if isinstance(before, dict) else {}
    changes = [
        f"{name} was {known.get(name, ABSENT)!r} and is {now.get(name, ABSENT)!r}"
        for name in dict.fromkeys([*now, *known])
        if known.get(name, ABSENT) != now.get(name, ABSENT)
    ]
    raise PredictionFileError(
        f"{place}: it was written with other settings: {'; '.join(changes)}. Give another --out, or the settings of before"
    )


def _plain(settings: Settings) -> Row:
    """As JSON gives them back."""
    plain: Row = json.loads(json.dumps(dict(settings)))
    return plain


class PredictionWriter:
    """Writes the rows and failures of one process, as they come. Another process cannot write the same file meanwhile."""

    def __init__(self, path: Path, form: AnswerForm, settings: Settings, tasks: Mapping[str, Task]) -> None:
        """Opens nothing yet.

        Args:
            path: of the rows.
            form: of the answers.
            settings: that the rows are made with.
            tasks: of the questions, by id.
        """
        self._path, self._form, self._settings, self._tasks = path, form, settings, tasks
        self._lock = FileLock(_lock_of(path), timeout=LOCK_WAIT)

    def __enter__(self) -> "PredictionWriter":
        """Cuts what a kill left at the ends.

        Raises:
            PredictionFileError: another process writes it, or it cannot be written to.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            for path in (self._path, failures_file(self._path)):
                cut_torn_line(path)
        except Timeout:
            raise PredictionFileError(f"{self._path}: another process is writing it: wait for it, or end it") from None
        except OSError as error:
            raise PredictionFileError(f"{self._path}: it cannot be written to ({error})") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()

    def write(self, result: Reply | Unanswered) -> None:
        """Appends what came of a question; it is on the disk when this returns."""
        if isinstance(result, Unanswered):
            self._fail(result, asked=True)
            return
        row = prediction_row(result, self._tasks[result.question_id], self._form, self._settings)
        append_line(self._path, _line(row))

    def skip(self, question_id: str, reason: str) -> None:
        """Appends why a question was not even asked: every run looks at it again."""
        self._fail(Unanswered(question_id, reason), asked=False)

    def _fail(self, failure: Unanswered, asked: bool) -> None:
        append_line(failures_file(self._path), _failure_line(failure, asked, self._settings))


def _failure_line(failure: Unanswered, asked: bool, settings: Settings) -> str:
    row = {"question_id": failure.question_id, "reason": failure.reason, "asked": asked, "settings": dict(settings)}
    return _line(row)


def _line(row: Row) -> str:
    # A lone surrogate of a model's text is no UTF-8; as an escape it is.
    return json.dumps(row)


def _lock_of(path: Path) -> str:
    return str(path.with_name(f".{path.name}.lock"))


# --- joining ----------------------------------------------------------------------------------------------------------


def join_parts(out: Path, order: Sequence[str], settings: Settings) -> Done:
    """Puts all rows into ``out``, in the order of the data set, if every question came to something; parts are removed.

    Nothing is joined while a process writes; it does it itself when it ends. Of several that end at once one does it. A kill
    in the middle loses nothing: ``out`` is put in place whole, and a row that stands in it and in a part counts once.

    Args:
        out: the file that was named.
        order: the ids of all questions.
        settings: of the rows.

    Returns:
        What there is, joined or not.

    Raises:
        PredictionFileError: a line is no prediction, or was made with other settings.
    """
    with _joining(out):
        done = _read_done(out, settings)
        if all(map(done.has, order)) and not any(map(_is_held, _locks(out))):
            _join(out, done, order, settings)
        return done


@contextmanager
def _joining(out: Path) -> Iterator[None]:
    """Who reads all files, or joins them, does it alone: else files would go away under a reader."""
    if not out.parent.is_dir():
        yield
        return
    lock = FileLock(str(out.with_name(f".{out.name}.join.lock")))
    try:
        lock.acquire()
    except OSError as error:
        raise PredictionFileError(f"{out}: it cannot be written to ({error})") from None
    try:
        yield
    finally:
        lock.release()


def _locks(out: Path) -> list[Path]:
    """The locks of those that write ``out`` and its parts, or wrote them and were killed."""
    parts = out.parent.glob(f".{_escaped(out.stem)}.part-*{_escaped(out.suffix)}.lock")
    return [path for path in (Path(_lock_of(out)), *parts) if path.exists()]


def _is_held(path: Path) -> bool:
    try:
        with FileLock(str(path), timeout=0):
            return False
    except Timeout:
        return True


def _join(out: Path, done: Done, order: Sequence[str], settings: Settings) -> None:
    place = {name: number for number, name in enumerate(order)}
    names = sorted([*done.rows, *done.failed], key=lambda name: place.get(name, len(place)))
    put_text(out, _text(_line(done.rows[name]) for name in names if name in done.rows))
    failures = (
        _failure_line(Unanswered(name, done.failed[name]), name in done.asked, settings)
        for name in names
        if name in done.failed
    )
    put_text(failures_file(out), _text(failures))
    for path in [*written_files(out), *_failure_files(out)]:
        if path not in (out, failures_file(out)) or not path.stat().st_size:
            path.unlink()


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
