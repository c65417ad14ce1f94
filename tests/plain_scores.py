"""A second implementation of the scores: plain, slow, and written from the definitions alone.

It shares no code with the package and goes other ways where there are any: lines instead of patterns, all pairs instead of
searches, the Hungarian method by hand, one number at a time. It reads well-formed answers only.
"""

import math
import re

TOLERANCE = 0.5 + 1e-6


def read(text):
    """(objects, span): objects as a list of (name, rows), rows as lists of five floats."""
    objects, span, in_where = [], None, False
    for line in text.split("\n"):
        if line.startswith("<object>"):
            objects.append((line[len("<object>") : -len("</object>")], []))
        elif line.startswith("<when>"):
            start, end = line[len("<when>[") : -len("]</when>")].split(", ")
            span = (float(start), float(end)) if float(start) < float(end) else None
        elif line == "<where>":
            in_where = True
        elif line == "</where>":
            in_where = False
        elif in_where:
            time, box = line.split(": ")
            row = [float(time), *(float(number) for number in box.strip("[]").split(", "))]
            if row[1:] == [0, 0, 0, 0] or (row[3] > row[1] and row[4] > row[2]):
                objects[-1][1].append(row)
    return objects, span


def score(prediction, truth, task, vectors=None):
    """All scores of one question as a dict; ``vectors`` maps words to lists of numbers, None for exact names."""
    (found, found_span), (true, true_span) = read(prediction), read(truth)
    found, true = merge(found), merge(true)
    pairs, named = match_names([name for name, _ in found], [name for name, _ in true], vectors)
    scores = {
        "tiou": None if task == "spatial" else interval_overlap(found_span, true_span),
        "object_accuracy": len(pairs) / len(true),
        "object_f1": 2 * len(pairs) / (len(true) + named),
        "viou": None,
        "ap_30": None,
        "ap_50": None,
        "viou_tube": None,
        "viou_any": None,
    }
    if task == "temporal":
        return scores
    overlaps = []
    for index, (_, rows) in enumerate(true):
        mine = found[pairs[index]][1] if index in pairs else []
        if visible(rows):
            overlaps.append(track(visible(mine), visible(rows), [row[0] for row in rows]))
    if overlaps:
        scores["viou"] = mean([sum(ious) / len(ious) for ious, _ in overlaps])
        scores["ap_30"] = mean([sum(iou >= 0.3 - 1e-9 for iou in ious) / len(ious) for ious, _ in overlaps])
        scores["ap_50"] = mean([sum(iou >= 0.5 - 1e-9 for iou in ious) / len(ious) for ious, _ in overlaps])
        scores["viou_tube"] = mean([sum(ious) / (len(ious) + extra) for ious, extra in overlaps])
        every_true = [row for _, rows in true for row in visible(rows)]
        every_found = [row for _, rows in found for row in visible(rows)]
        ious, _ = track(every_found, every_true, [row[0] for _, rows in true for row in rows])
        scores["viou_any"] = sum(ious) / len(ious)
    return scores


def mean(numbers):
    return sum(numbers) / len(numbers)


def interval_overlap(first, second):
    if first is None or second is None:
        return 0.0
    common = max(0.0, min(first[1], second[1]) - max(first[0], second[0]))
    return common / (first[1] - first[0] + second[1] - second[0] - common)


def merge(objects):
    names, merged = [], []
    for name, rows in objects:
        if name.casefold() in names:
            merged[names.index(name.casefold())][1].extend(rows)
        else:
            names.append(name.casefold())
            merged.append((name, list(rows)))
    return merged


def visible(rows):
    """Rows that show their object, each once."""
    once = []
    for row in rows:
        if row[1:] != [0, 0, 0, 0] and row not in once:
            once.append(row)
    return once


# --- boxes over time --------------------------------------------------------------------------------------------------


def track(found, true, annotated):
    """Frame IoU at each visible true time, and the number of predicted times beside them."""
    true_times = sorted({row[0] for row in true})
    kept = []
    for time in sorted({row[0] for row in found}):
        nearest = min(annotated, key=lambda other: (round(abs(other - time), 6), other))
        in_gap = min(annotated) < time < max(annotated) and abs(nearest - time) > TOLERANCE
        if nearest in true_times and not in_gap:
            kept.append(time)
    candidates = sorted(
        (round(abs(time - other), 6), other, time) for time in kept for other in true_times if abs(time - other) <= TOLERANCE
    )
    partner = {}
    for _, other, time in candidates:
        if other not in partner and time not in partner.values():
            partner[other] = time
    ious = []
    for time in true_times:
        boxes = [row[1:] for row in true if row[0] == time]
        mine = [row[1:] for row in found if time in partner and row[0] == partner[time]]
        ious.append(best_assignment(mine, boxes) / max(len(mine), len(boxes)))
    return ious, len(kept) - len(partner)


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def box_overlap(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (area(a) + area(b) - width * height)


def best_assignment(found, true):
    """The largest total IoU of a one-to-one assignment: the Hungarian method with potentials, O(n^3)."""
    size = max(len(found), len(true))
    cost = [[0.0] * size for _ in range(size)]
    for i, a in enumerate(found):
        for j, b in enumerate(true):
            cost[i][j] = -box_overlap(a, b)
    row_price, column_price = [0.0] * (size + 1), [0.0] * (size + 1)
    owner, way = [0] * (size + 1), [0] * (size + 1)
    for i in range(1, size + 1):
        owner[0], column = i, 0
        least, used = [math.inf] * (size + 1), [False] * (size + 1)
        while True:
            used[column] = True
            row, delta, following = owner[column], math.inf, 0
            for j in range(1, size + 1):
                if not used[j]:
                    reduced = cost[row - 1][j - 1] - row_price[row] - column_price[j]
                    if reduced < least[j]:
                        least[j], way[j] = reduced, column
                    if least[j] < delta:
                        delta, following = least[j], j
            for j in range(size + 1):
                if used[j]:
                    row_price[owner[j]] += delta
                    column_price[j] -= delta
                else:
                    least[j] -= delta
            column = following
            if owner[column] == 0:
                break
        while column:
            owner[column] = owner[way[column]]
            column = way[column]
    return sum(-cost[owner[j] - 1][j - 1] for j in range(1, size + 1))


# --- names ------------------------------------------------------------------------------------------------------------


def match_names(found, true, vectors):
    """{true index: predicted index}, and the number of predicted names."""
    pairs = {}
    whole = [(name.casefold(), name.casefold(), index) for index, name in enumerate(found)]
    tiers(whole, list(enumerate(true)), vectors, pairs)
    left = [(index, name) for index, name in enumerate(true) if index not in pairs]
    taken = set(pairs.values())
    parts = [
        (part.strip(), name, index)
        for name, _, index in whole
        if index not in taken
        for part in name.split(",")
        if part.strip()
    ]
    tiers(parts, left, vectors, pairs)
    named = 0
    for index in range(len(found)):
        split = index in pairs.values() and index not in taken
        named += sum(part[2] == index for part in parts) if split else 1
    return pairs, named


def tiers(found, true, vectors, pairs):
    free_true, free_found = list(true), list(found)
    for likeness in (same, same_words, lambda a, b: cosine(a, b, vectors)):
        ranked = []
        for true_index, true_name in free_true:
            for part in free_found:
                value = likeness(part[0], true_name.casefold()) if part[0].strip() else 0
                if value > 0:
                    ranked.append((-value, true_name.casefold(), part, true_index))
        for _, _, part, true_index in sorted(ranked):
            if true_index not in pairs and part in free_found:
                pairs[true_index] = part[2]
                free_found.remove(part)
        free_true = [(index, name) for index, name in free_true if index not in pairs]


def same(a, b):
    return a == b


def words_of(name):
    cleaned = "".join(letter if letter.isalnum() else "" if letter in "'’" else " " for letter in name)
    return [word for word in cleaned.split() if word not in ("a", "an", "the")]


def same_words(a, b):
    first, second = words_of(a), words_of(b)
    if not first or not second or first[:-1] != second[:-1]:
        return 0
    one, other = sorted((first[-1], second[-1]), key=len)
    endings = [one + "s"]
    if re.search("(s|x|z|ch|sh)$", one):
        endings = [one + "es"]
    elif re.search("[^aeiou]y$", one):
        endings = [one[:-1] + "ies"]
    elif one.endswith("o"):
        endings = [one + "s", one + "es"]
    return int(one == other or other in endings)


def cosine(a, b, vectors):
    if vectors is None:
        return 0
    first, second = mean_vector(a, vectors), mean_vector(b, vectors)
    if first is None or second is None:
        return 0
    dot = math.fsum(x * y for x, y in zip(first, second, strict=True))
    value = dot / math.sqrt(math.fsum(x * x for x in first)) / math.sqrt(math.fsum(y * y for y in second))
    return round(value, 9) if value >= 0.75 else 0


def mean_vector(name, vectors):
    found = []
    cleaned = "".join(letter if letter.isalnum() or letter in "-'’" else " " for letter in name.lower())
    cleaned = cleaned.replace("'", "").replace("’", "")
    for word in cleaned.split():
        joined = word.replace("-", "")
        for part in [joined] if joined in vectors else word.split("-"):
            if part in vectors and part not in ("a", "an", "the"):
                found.append(vectors[part])
    if not found:
        return None
    return [math.fsum(column) / len(found) for column in zip(*found, strict=True)]
