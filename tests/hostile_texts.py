"""A megabyte each of text that is meant to hang a parser. Run as a script it prints the seconds that each takes."""

import json
import time

from r_avst.metrics.avst_metrics.answers import parse_answer

MEGABYTE = 1_000_000
HOSTILE = {
    "open objects": "<object>" * 100_000,
    "nested tags": "<answer><object><where>" * 40_000,
    "nested parts": "<object><when><where>" * 45_000,
    "open brackets": "[" * MEGABYTE,
    "open brackets in a part": "<where>" + "[" * MEGABYTE,
    "empty lists": "[]" * (MEGABYTE // 2),
    "prose brackets, then lists": "[x" * 6 + "[]" * (MEGABYTE // 2),
    "open objects in JSON": '{"a":' * 200_000,
    "JSON lines": '{"t": 1}\n' * 110_000,
    "JSON that fails at its end": "[" * 31 + "[[]]," * 200_000 + "x" * 80,
    "objects that fail at their end": "[" * 31 + '{"a":{}},' * 100_000 + "x" * 80,
    "openings in many parts": ("<where>" + "{" * 31) * 26_000,
    "deep openings in many parts": ("<where>{" + "[" * 100) * 9_259,
    "false starts": "[x" * 6 + "[]" * (MEGABYTE // 2) + "]",
    "boxes by time": '{"0": [1, 2, 3, 4], ' * 50_000,
    "deep JSON": "[" * 900 + "]" * 900,
    "escapes": '{"' + '\\"' * (MEGABYTE // 2),
    "quotes": "[" + '"' * MEGABYTE,
    "digits": "<where>" + "1" * MEGABYTE,
    "digits in a span": "<when>" + "1" * MEGABYTE,
    "digits and spaces": "<where>" + ("1" + " " * 999) * 1000,
    "spaces": "<when>" + " " * MEGABYTE,
    "rows that break off": "<where>" + "1: [1, 1, 1, " * 75_000,
    "rows of nan": "<where>" + "nan: [1, 2, 3, 4]\n" * 55_000,
    "wheres": "<where>1: [1,2,3,4]</where>" * 37_000,
    "angle brackets": "< " * (MEGABYTE // 2),
    "thinking": "<think></think>" * 66_000,
}


def seconds(text: str) -> float:
    """Processor seconds of parsing ``text``, the better of two runs."""
    runs = []
    for _ in range(2):
        start = time.process_time()
        parse_answer(text)
        runs.append(time.process_time() - start)
    return min(runs)


if __name__ == "__main__":
    print(json.dumps({name: seconds(text) for name, text in HOSTILE.items()}))
