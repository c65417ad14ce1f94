"""Answers to test with: random ones, and random perturbations of given ones, the kinds of mistakes that models make."""

import random

NAMES = ["man", "A man", "the woman", "Dogs", "dog", "red car", "cars", "large, round pot", "guitar", "1. people", "boxes"]


def random_answer(rng: random.Random, task: str) -> str:
    """An answer of the unified format with several instances, gaps, invisible rows, duplicates and odd times."""
    names = rng.sample(NAMES, rng.randint(1, 4) if task == "spatial" else 1)
    start = rng.choice([0.0, 0.4, 3.0, 7.5])
    span = f"<when>[{start:.1f}, {start + rng.randint(1, 30):.1f}]</when>"
    lines = ["<answer>"]
    for name in names:
        lines.append(f"<object>{name}</object>")
        if task != "spatial":
            lines.append(span)
        if task != "temporal":
            lines += ["<where>", *_random_rows(rng, start), "</where>"]
    return "\n".join([*lines, "</answer>"])


def perturbed(text: str, rng: random.Random) -> str:
    """``text`` with two to six random changes; still well formed."""
    lines = text.split("\n")
    for _ in range(rng.randint(2, 6)):
        lines = rng.choice(CHANGES)(lines, rng)
    return "\n".join(lines)


def _random_rows(rng: random.Random, start: float) -> list[str]:
    rows = []
    for second in range(rng.randint(0, 8)):
        if rng.random() < 0.15:
            continue
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            rows.append(_row(start + second, [0, 0, 0, 0] if rng.random() < 0.1 else _box(rng)))
            if rng.random() < 0.1:
                rows.append(rows[-1])
    if rng.random() < 0.2:
        rng.shuffle(rows)
    return rows


def _box(rng: random.Random) -> list[float]:
    x, y = rng.uniform(0, 80), rng.uniform(0, 80)
    return [x, y, x + rng.uniform(1, 60), y + rng.uniform(1, 60)]


def _row(time: float, box: list[float]) -> str:
    return f"{time:.1f}: [{box[0]:.1f}, {box[1]:.1f}, {box[2]:.1f}, {box[3]:.1f}]"


def _is_row(line: str) -> bool:
    return line[:1].isdigit() or line.startswith("-")


def _numbers(line: str) -> tuple[float, list[float]]:
    time, box = line.split(": ")
    return float(time), [float(number) for number in box.strip("[]").split(", ")]


def _shift_times(lines: list[str], rng: random.Random) -> list[str]:
    shift = rng.choice([0.1, 0.3, 0.4, 0.5, -0.5, 0.6, 1.0, -1.0, 2.5])
    return [_row(_numbers(line)[0] + shift, _numbers(line)[1]) if _is_row(line) else line for line in lines]


def _jitter_times(lines: list[str], rng: random.Random) -> list[str]:
    moved = {line: rng.choice([0, 0.1, -0.3, 0.5, -0.5, 0.7]) for line in lines if _is_row(line)}
    return [_row(_numbers(line)[0] + moved[line], _numbers(line)[1]) if line in moved else line for line in lines]


def _jitter_boxes(lines: list[str], rng: random.Random) -> list[str]:
    size = rng.choice([1, 10, 60])
    jittered = []
    for line in lines:
        if _is_row(line):
            time, box = _numbers(line)
            line = _row(time, [max(0.0, number + rng.uniform(-size, size)) for number in box])
        jittered.append(line)
    return jittered


def _drop_rows(lines: list[str], rng: random.Random) -> list[str]:
    return [line for line in lines if not _is_row(line) or rng.random() < 0.7]


def _repeat_rows(lines: list[str], rng: random.Random) -> list[str]:
    return [copy for line in lines for copy in [line] * (2 if _is_row(line) and rng.random() < 0.3 else 1)]


def _extra_rows(lines: list[str], rng: random.Random) -> list[str]:
    more = []
    for line in lines:
        more.append(line)
        if _is_row(line) and rng.random() < 0.3:
            more.append(_row(_numbers(line)[0] + rng.choice([0, 0, 0.5, 1, 4, 11]), _box(rng)))
    return more


def _hide_rows(lines: list[str], rng: random.Random) -> list[str]:
    return [_row(_numbers(line)[0], [0, 0, 0, 0]) if _is_row(line) and rng.random() < 0.2 else line for line in lines]


def _move_span(lines: list[str], rng: random.Random) -> list[str]:
    moved = []
    for line in lines:
        if line.startswith("<when>"):
            start, end = (float(number) for number in line[len("<when>[") : -len("]</when>")].split(", "))
            line = f"<when>[{start + rng.uniform(-5, 5):.1f}, {end + rng.uniform(-5, 5):.1f}]</when>"
        moved.append(line)
    return moved


def _rename(lines: list[str], rng: random.Random) -> list[str]:
    changes = [
        str.upper,
        lambda name: f"the {name}",
        lambda name: f"{name}s",
        lambda name: name.rstrip("s"),
        lambda name: f"{name}, {rng.choice(NAMES)}",
        lambda name: rng.choice(NAMES),
        lambda name: name.replace(" ", "-"),
        lambda name: f"{name}!",
        lambda name: name.split(" ")[-1],
    ]
    change = rng.choice(changes)
    renamed = []
    for line in lines:
        if line.startswith("<object>") and rng.random() < 0.7:
            line = f"<object>{change(line[len('<object>') : -len('</object>')])}</object>"
        renamed.append(line)
    return renamed


def _objects(lines: list[str]) -> list[list[str]]:
    blocks: list[list[str]] = []
    for line in lines[1:-1]:
        if line.startswith("<object>"):
            blocks.append([])
        blocks[-1].append(line)
    return blocks


def _shuffle_objects(lines: list[str], rng: random.Random) -> list[str]:
    blocks = _objects(lines)
    rng.shuffle(blocks)
    return [lines[0], *(line for block in blocks for line in block), lines[-1]]


def _drop_object(lines: list[str], rng: random.Random) -> list[str]:
    blocks = _objects(lines)
    if len(blocks) > 1:
        blocks.pop(rng.randrange(len(blocks)))
    return [lines[0], *(line for block in blocks for line in block), lines[-1]]


def _copy_object(lines: list[str], rng: random.Random) -> list[str]:
    copied = [line for line in rng.choice(_objects(lines)) if not line.startswith("<when>")]
    name = copied[0][len("<object>") : -len("</object>")]
    copied[0] = f"<object>{rng.choice([name, name.upper(), f'a {name}', rng.choice(NAMES)])}</object>"
    return [*lines[:-1], *copied, lines[-1]]


CHANGES = [
    _shift_times,
    _jitter_times,
    _jitter_boxes,
    _drop_rows,
    _repeat_rows,
    _extra_rows,
    _hide_rows,
    _move_span,
    _rename,
    _rename,
    _shuffle_objects,
    _drop_object,
    _copy_object,
]
