"""Texts of any length that are meant to hang a parser. Run as a script it prints what each takes at two lengths."""

import gc
import json
import time

from r_avst.metrics.avst_metrics.answers import parse_answer

MEGABYTE = 1_000_000
EIGHTH = MEGABYTE // 8

# name: (head, what is repeated, tail)
HOSTILE = {
    "open objects": ("", "<object>", ""),
    "nested tags": ("", "<answer><object><where>", ""),
    "nested parts": ("", "<object><when><where>", ""),
    "open brackets": ("", "[", ""),
    "open brackets in a part": ("<where>", "[", ""),
    "empty lists": ("", "[]", ""),
    "prose brackets, then lists": ("[x" * 6, "[]", ""),
    "open objects in JSON": ("", '{"a":', ""),
    "JSON lines": ("", '{"t": 1}\n', ""),
    "JSON that fails at its end": ("[" * 31, "[[]],", "x" * 80),
    "objects that fail at their end": ("[" * 31, '{"a":{}},', "x" * 80),
    "openings in many parts": ("", "<where>" + "{" * 31, ""),
    "deep openings in many parts": ("", "<where>{" + "[" * 100, ""),
    "false starts": ("[x" * 6, "[]", "]"),
    "boxes by time": ("", '{"0": [1, 2, 3, 4], ', ""),
    "deep JSON": ("", "[" * 900 + "]" * 900, ""),
    "escapes": ('{"', '\\"', ""),
    "quotes": ("[", '"', ""),
    "digits": ("<where>", "1", ""),
    "digits in a span": ("<when>", "1", ""),
    "digits and spaces": ("<where>", "1" + " " * 999, ""),
    "spaces": ("<when>", " ", ""),
    "rows that break off": ("<where>", "1: [1, 1, 1, ", ""),
    "rows of nan": ("<where>", "nan: [1, 2, 3, 4]\n", ""),
    "wheres": ("", "<where>1: [1,2,3,4]</where>", ""),
    "angle brackets": ("", "< ", ""),
    "thinking": ("", "<think></think>", ""),
}


def hostile(name: str, characters: int) -> str:
    """The text called ``name``, at most ``characters`` long."""
    head, repeated, tail = HOSTILE[name]
    return head + repeated * ((characters - len(head) - len(tail)) // len(repeated)) + tail


def seconds(text: str, runs: int) -> float:
    """Processor seconds of parsing ``text``, the best of ``runs``."""
    taken = []
    for _ in range(runs):
        start = time.process_time()
        parse_answer(text)
        taken.append(time.process_time() - start)
    return min(taken)


if __name__ == "__main__":
    gc.disable()  # collections come in leaps
    print(json.dumps({name: (seconds(hostile(name, EIGHTH), 3), seconds(hostile(name, MEGABYTE), 1)) for name in HOSTILE}))
