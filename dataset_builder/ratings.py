"""Ratings of questions by people and models: a file of JSON lines, and how far the raters agree.

A line of the file::

    {"question_id": "v1-0-temporal-0", "shown": "5f2c9a0be1d34787", "rater": "alice", "score": 3, "comment": "",
     "rated_at": "2026-11-21T12:00:00+00:00"}

``shown`` tells what was rated: when a data set is built anew, an id may come to mean another question, and the ratings of
the old one say nothing of it.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import fields
from datetime import UTC
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any
from typing import BinaryIO

import numpy as np
from filelock import FileLock

LEVELS = (1, 2, 3, 4)  # poor, fair, good, excellent (arXiv 2511.16901, quality control)
MAX_RATER = 100  # characters
MAX_COMMENT = 10_000

Rated = tuple[str, str]  # a question's id, and the digest of what was shown of it
Scores = Mapping[str, int]  # 1 to 4, by rater

_DIGEST = re.compile("[0-9a-f]{16}")


class RatingError(ValueError):
    """A rating, or a file of them, that is not what it should be; the message says where."""


class UndefinedKappaError(ValueError):
    """There is no kappa for these scores; the message says why."""


@dataclass(frozen=True, slots=True)
class Rating:
    """One score of one question by one rater.

    ``shown`` is the digest of what was rated (`digest_shown`), ``score`` 4 excellent, 3 good, 2 fair or 1 poor, ``rated_at``
    the time in ISO 8601.

    Raises:
        RatingError: a field is of another type or out of its range.
    """

    question_id: str
    shown: str
    rater: str
    score: int
    comment: str
    rated_at: str

    def __post_init__(self) -> None:
        if not isinstance(self.question_id, str) or not self.question_id:
            raise RatingError(f"the question id is {_short(self.question_id)}, not a text")
        if not isinstance(self.shown, str) or not _DIGEST.fullmatch(self.shown):
            raise RatingError(f"shown is {_short(self.shown)}, not the 16 hex digits that tell what was rated")
        if type(self.score) is not int or self.score not in LEVELS:
            raise RatingError(f"the score is {_short(self.score)}, not one of 1, 2, 3, 4")
        if not isinstance(self.comment, str) or len(self.comment) > MAX_COMMENT:
            raise RatingError(f"the comment is not a text of at most {MAX_COMMENT:,} characters")
        if not isinstance(self.rated_at, str):
            raise RatingError(f"rated_at is {_short(self.rated_at)}, not a text")
        check_rater(self.rater)


def check_rater(name: Any) -> str:
    """The name, if a rater can be called so: it is shown in terminals and must tell raters apart.

    Raises:
        RatingError: it cannot.
    """
    if not isinstance(name, str) or not name.strip() or name != name.strip() or not name.isprintable():
        raise RatingError(f"{_short(name)} is no name of a rater: give letters that can be printed, without outer spaces")
    if len(name) > MAX_RATER:
        raise RatingError(f"{_short(name)} is too long for the name of a rater: at most {MAX_RATER} characters")
    return name


def rating_now(question_id: str, shown: str, rater: str, score: int, comment: str) -> Rating:
    """A rating made at this moment."""
    return Rating(question_id, shown, rater, score, comment, datetime.now(UTC).isoformat(timespec="seconds"))


def digest_shown(question: str, answer: str) -> str:
    """What tells the texts of a question and its answer from others: 16 hex digits.

    >>> digest_shown("When does the dog bark?", "<answer>...</answer>")
    '4a8f3a113a9ef561'
    """
    return hashlib.sha256(f"{question}\n{answer}".encode()).hexdigest()[:16]


# --- the file ---------------------------------------------------------------------------------------------------------


def read_all(path: Path) -> list[Rating]:
    """Every rating of a file in its order. A last line that a kill cut off is left out.

    Raises:
        RatingError: the file cannot be read, or a line of it is no rating.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RatingError(f"{path}: the ratings cannot be read ({error.strerror})") from None
    lines = content[: _end_of_whole_lines(content)].split(b"\n")
    return [_read_line(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line]


def read_ratings(path: Path) -> dict[Rated, dict[str, int]]:
    """The last score of every rater for all that was rated: (question id, shown) -> rater -> score, 1 to 4.

    Raises:
        RatingError: the file cannot be read, or a line of it is no rating.
    """
    scores: dict[Rated, dict[str, int]] = {}
    for rating in read_all(path):
        scores.setdefault((rating.question_id, rating.shown), {})[rating.rater] = rating.score
    return scores


def append_rating(path: Path, rating: Rating) -> None:
    """Stores a rating: when this returns, it is on the disk. Several processes may append to one file.

    What a kill cut off at the end of the file is removed first.

    Raises:
        RatingError: the file cannot be written.
    """
    line = json.dumps(asdict(rating)).encode() + b"\n"
    try:
        with FileLock(f"{path}.lock"), path.open("a+b") as file:
            _mend_end(file)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RatingError(f"{path}: the rating cannot be stored ({error.strerror})") from None


def _mend_end(file: BinaryIO) -> None:
    """Leaves the file with whole lines only, so that the next one starts on a line of its own."""
    if not file.seek(0, os.SEEK_END):
        return
    file.seek(-1, os.SEEK_END)
    if file.read() == b"\n":
        return
    file.seek(0)
    content = file.read()
    end = _end_of_whole_lines(content)
    file.truncate(end)
    if end == len(content):  # whole, but without its line end: an editor left it so
        file.write(b"\n")


def _end_of_whole_lines(content: bytes) -> int:
    """Where the whole lines end: a last line without a line end that is no JSON either was cut off."""
    start = content.rfind(b"\n") + 1
    try:
        json.loads(content[start:])
    except (ValueError, RecursionError):
        return start
    return len(content)


def _read_line(line: bytes, place: str) -> Rating:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RatingError(f"{place}: this is no JSON ({error}). Mend or remove the line") from None
    names = {field.name for field in fields(Rating)}
    if not isinstance(found, dict) or set(found) != names:
        raise RatingError(f"{place}: a rating is an object of {', '.join(sorted(names))}; found {_short(found)}")
    try:
        return Rating(**found)
    except RatingError as error:
        raise RatingError(f"{place}: {error}") from None


def _short(found: Any) -> str:
    return repr(found)[:80]


# --- agreement --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RaterSummary:
    """What one rater gave: how many questions are rated, the mean, and how many got each score from 1 to 4."""

    rater: str
    rated: int
    mean: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two raters agree on the questions that both rated. ``kappa`` is None where ``undefined`` says why."""

    raters: tuple[str, str]
    questions: int
    kappa: float | None
    undefined: str | None


def summarise_raters(scores: Mapping[Rated, Scores]) -> list[RaterSummary]:
    """A summary of every rater, by name; ``scores`` as `read_ratings` returns them."""
    return [_summary(rater, [own[rater] for own in scores.values() if rater in own]) for rater in _raters(scores)]


def agreements(scores: Mapping[Rated, Scores]) -> list[Agreement]:
    """The agreement of every pair of raters, by name; ``scores`` as `read_ratings` returns them."""
    return [_agreement(pair, scores) for pair in combinations(_raters(scores), 2)]


def weighted_kappa(first: Sequence[int], second: Sequence[int], levels: Sequence[int] = LEVELS) -> float:
    r"""Quadratic weighted kappa of two raters' scores of the same questions (Cohen, 1968).

    With K levels, the observed shares ``O[i, j]`` of questions to which the first rater gave level i and the second
    level j, the shares ``E[i, j]`` that chance would give (the product of the two raters' own shares), and the weights
    ``w[i, j] = (i - j)^2 / (K - 1)^2`` over the levels' ranks::

        kappa = 1 - sum(w * O) / sum(w * E)

    1 is full agreement, 0 what chance gives. Two raters of R-AVST reached 0.71 on a subset (arXiv 2511.16901, quality
    control).

    Args:
        first: the scores of one rater, shape (N,).
        second: those of the other, in the same order, shape (N,).
        levels: all scores that there are, ascending.

    Raises:
        UndefinedKappaError: there is no question, or both gave one and the same score to all.
        ValueError: the lengths differ, or a score is none of the levels.

    >>> round(weighted_kappa([1, 2, 3, 4, 4], [1, 2, 3, 4, 3]), 4)
    0.918
    """
    if len(first) != len(second):
        raise ValueError(f"two raters need as many scores each; here are {len(first)} and {len(second)}")
    if unknown := ({*first} | {*second}) - {*levels}:
        raise ValueError(f"the scores {sorted(unknown)} are none of the levels {list(levels)}")
    if not len(first):
        raise UndefinedKappaError("they rated no question in common")
    if len({*first, *second}) == 1:
        raise UndefinedKappaError(f"both gave {first[0]} to every question")
    rank = {level: index for index, level in enumerate(levels)}
    observed = np.zeros((len(levels), len(levels)))
    np.add.at(observed, ([rank[one] for one in first], [rank[one] for one in second]), 1 / len(first))
    ranks = np.arange(len(levels))
    weights = (ranks[:, None] - ranks) ** 2  # (K - 1)^2 cancels
    by_chance = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    return 1 - float((weights * observed).sum() / (weights * by_chance).sum())


def _raters(scores: Mapping[Rated, Scores]) -> list[str]:
    return sorted({rater for own in scores.values() for rater in own})


def _summary(rater: str, given: Sequence[int]) -> RaterSummary:
    return RaterSummary(rater, len(given), float(np.mean(given)), tuple(given.count(level) for level in LEVELS))


def _agreement(pair: tuple[str, str], scores: Mapping[Rated, Scores]) -> Agreement:
    both = [(own[pair[0]], own[pair[1]]) for own in scores.values() if pair[0] in own and pair[1] in own]
    first, second = [one for one, _ in both], [other for _, other in both]
    try:
        return Agreement(pair, len(both), weighted_kappa(first, second), None)
    except UndefinedKappaError as error:
        return Agreement(pair, len(both), None, str(error))
