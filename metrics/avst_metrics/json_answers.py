"""Answers that a model wrote as JSON instead of tags.

Two shapes are common; both are read, also mixed, one value a line, nested in other lists and objects, and cut short::

    [{"label": "dog", "t": 0.0, "bbox_2d": [10, 20, 50, 80]}, {"label": "dog", "t": 1.0, "bbox_2d": [12, 20, 52, 80]}]
    [{"object": "dog", "when": [0.0, 2.0], "where": [{"t": 0.0, "box": [10, 20, 50, 80]}]}]

``where`` may also be ``{"0.0": [10, 20, 50, 80]}``, and a box a list of boxes.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

NAME_KEYS = ("object", "label", "name")
TIME_KEYS = ("t", "time", "timestamp")
BOX_KEYS = ("bbox_2d", "box", "bbox", "boxes")
SPAN_KEYS = ("when", "span")
MAX_DEPTH = 32
FAILURES = 2  # times the length of the text: what may be read in vain, so that the reader stays linear
MIN_FAILURE = 32
COUNTED_PER_READ = 16  # an error counts all lines before it, so many times faster than JSON is read
CUT_TAIL = 64  # a value whose error is this near to the end of the text was cut short

_DECODER = json.JSONDecoder(parse_int=float)  # an int of more than 4,300 digits would raise
# An unterminated string runs to the end of the text: trying it again from every later quote would be quadratic.
_BRACKET_OR_STRING = re.compile(r'"(?:[^"\\]|\\.?)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
_OPENING = re.compile(r"[\[{]")


class Found(NamedTuple):
    """One thing found in the JSON. Numbers are as written and unchecked.

    ``name`` alone mentions an object; with ``row`` (time in seconds and box, five floats) it places it; ``span`` is
    a start and an end in seconds; ``unplaced`` is a box without a time.
    """

    name: str | None = None
    row: tuple[float, float, float, float, float] | None = None
    span: tuple[float, ...] | None = None
    unplaced: tuple[float, ...] | None = None


def read_json(text: str) -> list[Found]:
    """Everything found in the JSON values of ``text``, in the order written; empty where there are none.

    A value that is cut short counts up to its last complete list or object. Linear in the length of the text.
    """
    found: list[Found] = []
    position, budget, repaired = 0, FAILURES * len(text), False
    while budget > 0 and (opening := _OPENING.search(text, position)):
        start = opening.start()
        try:
            value, position = _DECODER.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError) as error:
            end = getattr(error, "pos", len(text))
            budget -= max(MIN_FAILURE, end - start + end // COUNTED_PER_READ)
            value, position = None, start + 1
            if not repaired and _is_cut_short(error, text):
                repaired = True
                value, position = _repaired_value(text, start)
        if value:
            found.extend(_walk(value, None, MAX_DEPTH))
    return found


def _is_cut_short(error: json.JSONDecodeError | RecursionError, text: str) -> bool:
    if isinstance(error, RecursionError):
        return False
    return error.pos > len(text) - CUT_TAIL or error.msg.startswith("Unterminated string")


def _repaired_value(text: str, start: int) -> tuple[Any, int]:
    """The value at ``start`` up to its last complete bracket, with what is open there closed, and where to go on."""
    closers: list[str] = []
    end, missing = start, ""
    for match in _BRACKET_OR_STRING.finditer(text, start):
        token = match.group()
        if token == "[" or token == "{":
            closers.append("]" if token == "[" else "}")
        elif token == "]" or token == "}":
            if closers.pop() != token:
                break
            end, missing = match.end(), "".join(reversed(closers))
        if not closers or len(closers) > MAX_DEPTH:
            break
    try:
        return _DECODER.decode(text[start:end] + missing), end
    except json.JSONDecodeError:
        return None, start + 1


def _walk(value: Any, name: str | None, depth: int) -> Iterator[Found]:
    if isinstance(value, dict):
        own_name = next((value[key].strip() for key in NAME_KEYS if isinstance(value.get(key), str)), None)
        if own_name:
            name = own_name
            yield Found(name)
        yield from _numbers_of(value, name)
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in children if depth else ():
        yield from _walk(item, name, depth - 1)


def _numbers_of(value: dict[str, Any], name: str | None) -> Iterator[Found]:
    """The span and the rows that ``value`` itself holds, not those of its children."""
    span = next((_floats(value[key], 2) for key in SPAN_KEYS if key in value), None)
    if span:
        yield Found(name, span=span)
    time = next((_floats([value[key]], 1) for key in TIME_KEYS if key in value), None)
    for box in (box for key in BOX_KEYS if key in value for box in _boxes(value[key])):
        yield _placed(name, time, box)
    for key, item in value.items():  # {"0.0": [10, 20, 50, 80], "1.0": [...]}
        boxes = _boxes(item)
        for box in boxes if boxes and _floats([key], 1) else ():
            yield _placed(name, _floats([key], 1), box)


def _placed(name: str | None, time: tuple[float, ...] | None, box: tuple[float, ...]) -> Found:
    return Found(name, row=(time[0], box[0], box[1], box[2], box[3])) if time else Found(name, unplaced=box)


def _boxes(value: Any) -> list[tuple[float, ...]]:
    """One box, or a list of them."""
    one = _floats(value, 4)
    if one:
        return [one]
    return [box for item in value if (box := _floats(item, 4))] if isinstance(value, list) else []


def _floats(value: Any, count: int) -> tuple[float, ...] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    try:
        return tuple(float(number) for number in value)
    except (TypeError, ValueError, OverflowError):
        return None
