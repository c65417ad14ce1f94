"""What an answer is: the record, its one writer and its one parser.

An answer in the unified format of R-AVST (arXiv 2511.16901), here a spatio-temporal one::

    <answer>
    <object>trombone</object>
    <when>[0.0, 44.4]</when>
    <where>
    0.0: [272.0, 208.0, 393.0, 359.0]
    1.0: [271.0, 209.0, 394.0, 359.0]
    </where>
    </answer>

A temporal answer has no ``<where>``, a spatial one has no ``<when>`` and an ``<object>`` with its ``<where>`` for every
object. Model text is untrusted: `parse_answer` takes any string, never raises and runs in linear time.
"""

import math
import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from operator import lt
from typing import Literal
from typing import NamedTuple
from typing import get_args

from .json_answers import read_json

Task = Literal["temporal", "spatial", "spatio_temporal"]
TASKS: tuple[Task, ...] = get_args(Task)

Row = tuple[float, float, float, float, float]
Span = tuple[float, float]

MAX_PROBLEMS = 100  # of tags left open and of empty names, each: a hostile text has any number of them
NOT_VISIBLE = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Track:
    """An object: its name, whole, and its rows ``(time s, x1, y1, x2, y2)`` in the order written.

    Times may repeat (several instances under one name) and need not ascend. A row of four zeros after the time means
    "tracked, not visible".
    """

    name: str
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its objects and at most one time span ``(start, end)`` in seconds."""

    tracks: tuple[Track, ...] = ()
    span: Span | None = None


class Problem(NamedTuple):
    """Something in a text that is not as it should be: a stable ``kind`` and what was found."""

    kind: str
    found: str


class TagCounts(NamedTuple):
    """How many of each tag opened in a text."""

    answer: int = 0
    object: int = 0
    when: int = 0
    where: int = 0


NO_TAGS = TagCounts()


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """What `parse_answer` made of a text: the answer, every problem met, and the tags seen."""

    answer: Answer
    problems: tuple[Problem, ...] = ()
    tags: TagCounts = NO_TAGS


def is_visible(row: Row) -> bool:
    """Whether a row shows its object: all-zero boxes mean "tracked, not visible"."""
    return row[1:] != NOT_VISIBLE


def is_well_formed(parsed: ParsedAnswer, task: Task) -> bool:
    """Whether all tags of ``task`` are there and well formed: the format reward of the paper (1 or 0).

    That is: no problem, one ``<answer>``, at least one ``<object>``; one ``<when>`` unless the task is spatial; a
    ``<where>`` for every ``<object>`` unless the task is temporal; and no tags of another task.

    >>> is_well_formed(parse_answer("<answer><object>dog</object><when>[0, 2]</when></answer>"), "temporal")
    True
    """
    tags = parsed.tags
    whens = 0 if task == "spatial" else 1
    wheres = 0 if task == "temporal" else tags.object
    return not parsed.problems and tags.object > 0 and tags == TagCounts(1, tags.object, whens, wheres)


# --- writer -----------------------------------------------------------------------------------------------------------


def write_answer(answer: Answer, task: Task, decimals: int = 1) -> str:
    """The text of ``answer`` in the unified format; with one decimal it reproduces the released texts exactly.

    Args:
        answer: what to write.
        task: decides which tags are written.
        decimals: of the coordinates, 0 or more. Times have one always.

    Raises:
        ValueError: the answer lacks an object or the span that ``task`` needs, or a name holds a tag.
    """
    if not answer.tracks:
        raise ValueError(f"a {task} answer needs at least one object, but the answer has none")
    if task != "spatial" and answer.span is None:
        raise ValueError(f"a {task} answer needs a span, but the answer has none")
    line = "{:.1f}: [" + ", ".join([f"{{:.{decimals}f}}"] * 4) + "]"
    lines = ["<answer>"]
    for index, track in enumerate(answer.tracks):
        if _TAG.search(track.name):
            raise ValueError(f"the name {track.name[:60]!r} holds a tag of the answer format: rename the object")
        lines.append(f"<object>{track.name}</object>")
        if task != "spatial" and answer.span is not None and index == 0:
            lines.append("<when>[{:.1f}, {:.1f}]</when>".format(*answer.span))
        if task != "temporal":
            lines += ["<where>", *(line.format(*row) for row in track.rows)]
            lines.append("</where>")
    return "\n".join([*lines, "</answer>"])


# --- parser -----------------------------------------------------------------------------------------------------------
#
# What it reads in practice: the format above; `<think>...</think>` or prose before it; a code fence around it; tags in any
# order and case, unclosed, or cut off in mid-row; rows such as `3 : (10,20, 50, 80)`; JSON instead of the tags or inside
# `<where>` (json_answers.py). Patterns are possessive (`*+`): they cannot backtrack, so hostile text costs linear time.

_TAG = re.compile(r"<\s*+(/?+)\s*+(answer|object|when|where)\s*+>", re.IGNORECASE)
_END_OF_THINKING = re.compile(r"<\s*+/\s*+think\s*+>", re.IGNORECASE)
_CUT_TAG = re.compile(r"<[^<>]{0,9}\Z")
_NUMBER = r"([-+]?+(?:\d++(?:\.\d*+)?+|\.\d++|nan|inf(?:inity)?+)(?:e[-+]?\d++)?+)"
_COMMA = r"\s*+,\s*+"
# The look-behind lets a row start only where a number starts: else a million digits would be read a million times, and
# "01:30" would be 30 seconds.
_ROW = re.compile(
    rf"(?<![\w.:+-]){_NUMBER}\s*+s?+\s*+:\s*+[\[(]\s*+{_NUMBER}{_COMMA}{_NUMBER}{_COMMA}{_NUMBER}{_COMMA}{_NUMBER}\s*+[\])]",
    re.IGNORECASE,
)
_SPAN = re.compile(rf"[\s\[(]*+{_NUMBER}\s*+s?+\s*+(?:,|-|–|to\b)\s*+{_NUMBER}\s*+s?+\s*+([\])]?+)[\s\])]*+", re.IGNORECASE)


class _Part(NamedTuple):
    """The text of one ``<object>``, ``<when>`` or ``<where>``.

    ``inside``: it opens within an ``<answer>``. ``closed`` is False where its end tag is missing.
    """

    tag: str
    text: str
    inside: bool
    closed: bool


def parse_answer(text: str) -> ParsedAnswer:
    """Reads any text as an answer; total and linear.

    Numbers are kept as written: `coordinates.to_source` converts them. Of several spans the first valid one counts. A
    reversed or zero-length span is no span. A box of NaN, infinity, zero area or reversed corners is no row, an all-zero
    one is ("not visible"). Each of these is named in ``problems``.

    >>> parse_answer("<think>hm</think><answer><object>dog</object><when>[1, 2.5]</when></answer>").answer
    Answer(tracks=(Track(name='dog', rows=()),), span=(1.0, 2.5))
    """
    body = _after_thinking(text)
    problems: list[Problem] = []
    parts, tags = _split(body, problems)
    answer = Answer(_tracks(parts, problems), _span(parts, problems)) if parts else _answer_from_json(body, problems)
    return ParsedAnswer(answer, tuple(problems), tags)


def _problem(kind: str, found: str) -> Problem:
    return Problem(kind, found if len(found) <= 60 else found[:57] + "...")


def _after_thinking(text: str) -> str:
    """What stands behind the last ``</think>``; the whole text where nothing does."""
    ends = [tag.end() for tag in _END_OF_THINKING.finditer(text)]
    behind = text[ends[-1] :] if ends else ""
    return text if not behind or behind.isspace() else behind


def _split(body: str, problems: list[Problem]) -> tuple[list[_Part], TagCounts]:
    """Cuts the text at its tags. A tag that opens before the last one closed closes it."""
    parts: list[_Part] = []
    opened = dict.fromkeys(TagCounts._fields, 0)
    closed_answers = 0
    tag, inside = "", False
    # split() gives text, "/" or "", tag name, text, ... in one pass
    text, *pieces = _TAG.split(body)
    for slash, name, following in zip(pieces[::3], map(str.lower, pieces[1::3]), pieces[2::3], strict=True):
        if tag:
            parts.append(_Part(tag, text, inside, bool(slash) and name == tag))
        elif inside and text and not text.isspace():
            problems.append(_problem("stray_text", text))
        if not slash:
            opened[name] += 1
        elif name == "answer":
            closed_answers += 1
        elif name != tag:
            problems.append(_problem("unopened_tag", f"</{name}>"))
        tag = "" if slash or name == "answer" else name
        inside = opened["answer"] > closed_answers
        text = following
    if tag:
        parts.append(_Part(tag, _CUT_TAG.sub("", text), inside, closed=False))
    unclosed = [part for part in parts if not part.closed]
    problems += [_problem("unclosed_tag", f"<{part.tag}>{part.text}") for part in unclosed[:MAX_PROBLEMS]]
    if not opened["answer"] == closed_answers == 1:
        problems.append(_problem("answer_tag", f"{opened['answer']} <answer> and {closed_answers} </answer>"))
    if opened["answer"] and not all(part.inside for part in parts):
        parts = _parts_inside(parts, problems)
    return parts, TagCounts(**opened)


def _parts_inside(parts: list[_Part], problems: list[Problem]) -> list[_Part]:
    """The parts within an ``<answer>``, or all of them if none is: prose around it may speak of tags."""
    outside = next(part for part in parts if not part.inside)
    problems.append(_problem("outside_answer", f"<{outside.tag}>{outside.text}"))
    return [part for part in parts if part.inside] or parts


def _span(parts: Sequence[_Part], problems: list[Problem]) -> Span | None:
    spans = [span for part in parts if part.tag == "when" for span in _read_span(part, problems)]
    problems += [_problem("repeated_span", str(span)) for span in spans[1:]]
    return spans[0] if spans else None


def _read_span(part: _Part, problems: list[Problem]) -> Iterator[Span]:
    match = _SPAN.fullmatch(part.text)
    if match and (part.closed or match[3]):  # a number that is cut off is another number
        yield from _checked_span(float(match[1]), float(match[2]), problems)
    else:
        problems.append(_problem("unreadable_span", part.text))


def _checked_span(start: float, end: float, problems: list[Problem]) -> Iterator[Span]:
    if -math.inf < start < end < math.inf:
        yield start, end
    else:
        problems.append(_problem("bad_span", f"[{start}, {end}]"))


def _tracks(parts: Sequence[_Part], problems: list[Problem]) -> tuple[Track, ...]:
    names = [part.text.strip() for part in parts if part.tag == "object"]
    rows: list[list[Row]] = [[] for _ in names]
    unnamed: list[Row] = []
    for part, owner in _owners(parts):
        (unnamed if owner is None else rows[owner]).extend(_read_rows(part.text, problems))
    tracks = [Track(name, tuple(own)) for name, own in zip(names, rows, strict=True) if name or own]
    problems += [_problem("empty_name", "<object></object>")] * min(names.count(""), MAX_PROBLEMS)
    if unnamed:
        problems.append(_problem("where_without_object", f"{len(unnamed)} rows"))
        tracks.append(Track("", tuple(unnamed)))
    return tuple(tracks)


def _owners(parts: Sequence[_Part]) -> Iterator[tuple[_Part, int | None]]:
    """Every ``<where>`` with the index of its object, or None where there is no object.

    As many of the one as of the other: in order. Else a ``<where>`` belongs to the object before it, or, where the first
    one stands before all objects, to the object behind it.
    """
    order = [part.tag for part in parts if part.tag != "when"]
    wheres, objects = order.count("where"), order.count("object")
    where_first = order[:1] == ["where"]
    seen_wheres = seen_objects = 0
    for part in parts:
        if part.tag == "where":
            owner = seen_wheres if wheres == objects else seen_objects - (not where_first)
            yield part, owner if owner < objects else None
        seen_wheres += part.tag == "where"
        seen_objects += part.tag == "object"


def _read_rows(text: str, problems: list[Problem]) -> list[Row]:
    if "{" in text:
        found = read_json(text)
        problems.append(_problem("json", text))
        return _valid_rows([thing.row for thing in found if thing.row], problems)
    # split() returns what lies between rows and the five numbers of each row, in turn, in one pass
    pieces = _ROW.split(text)
    stray = "".join(pieces[::6]).strip(" \t\r\n,;")
    if stray:
        problems.append(_problem("unreadable_row", stray))
    del pieces[::6]
    numbers = list(map(float, pieces))
    one = iter(numbers)
    rows = list(zip(one, one, one, one, one, strict=True))
    # the usual case at once: all boxes have an area, and all numbers are finite, else their sum is not
    if (
        all(map(lt, numbers[1::5], numbers[3::5]))
        and all(map(lt, numbers[2::5], numbers[4::5]))
        and math.isfinite(sum(numbers))
    ):
        return rows
    return _valid_rows(rows, problems)


def _valid_rows(rows: Iterable[Row], problems: list[Problem]) -> list[Row]:
    valid: list[Row] = []
    inf = math.inf
    for row in rows:
        time, x1, y1, x2, y2 = row
        if -inf < time < inf and ((-inf < x1 < x2 < inf and -inf < y1 < y2 < inf) or x1 == y1 == x2 == y2 == 0):
            valid.append(row)
        else:
            problems.append(_problem("bad_row", f"{time}: [{x1}, {y1}, {x2}, {y2}]"))
    return valid


def _answer_from_json(body: str, problems: list[Problem]) -> Answer:
    found = read_json(body)
    if not found:
        problems.append(_problem("nothing_found", body.strip()))
        return Answer()
    problems.append(_problem("json", body.strip()))
    rows: dict[str, list[Row]] = {}
    for thing in found:
        if thing.name or thing.row:
            rows.setdefault(thing.name or "", []).extend(_valid_rows([thing.row] if thing.row else [], problems))
        if thing.unplaced:
            problems.append(_problem("box_without_time", str(thing.unplaced)))
    spans = [span for thing in found if thing.span for span in _checked_span(thing.span[0], thing.span[1], problems)]
    problems += [_problem("repeated_span", str(span)) for span in spans[1:]]
    return Answer(tuple(Track(name, tuple(own)) for name, own in rows.items()), spans[0] if spans else None)
