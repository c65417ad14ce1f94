"""Cases worked out by hand, one rule each; every figure is derived in a comment."""

from dataclasses import asdict

import pytest

from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.scores import score_question

A = "[0, 0, 10, 10]"
HALF_A = "[0, 0, 10, 5]"  # half of A: IoU 50 / 100 = 1/2 with A
THIRD_A = "[5, 0, 15, 10]"  # A moved by half its width: IoU 50 / 150 = 1/3 with A
FAR = "[50, 50, 60, 60]"  # IoU 0 with A
HIDDEN = "[0, 0, 0, 0]"


def spatial(*objects: tuple[str, list[str]]) -> str:
    blocks = [f"<object>{name}</object>\n<where>\n" + "\n".join(rows) + "\n</where>" for name, rows in objects]
    return "<answer>\n" + "\n".join(blocks) + "\n</answer>"


def dog(*rows: str) -> str:
    return spatial(("dog", list(rows)))


def scores(prediction: str, truth: str, task: Task) -> dict[str, float | None]:
    return asdict(score_question(parse_answer(prediction), parse_answer(truth).answer, task, NameMatcher(None)))


CASES = {
    # Two true instances, one predicted: the best pair has IoU 1, over max(1, 2) = 2: 1/2 at the only time.
    # 1/2 >= 0.3 and >= 0.5. Nothing else is predicted, so the tube is the same; one object, so names don't matter.
    "several instances": (
        dog(f"0: {A}"),
        dog(f"0: {A}", f"0: {FAR}"),
        {"viou": 1 / 2, "ap_30": 1.0, "ap_50": 1.0, "viou_tube": 1 / 2, "viou_any": 1 / 2, "object_f1": 1.0},
    ),
    # Assignment, not order: predicted (FAR, THIRD_A) against true (A, FAR): THIRD_A-A 1/3 and FAR-FAR 1, over 2: 2/3.
    "instances in another order": (
        dog(f"0: {FAR}", f"0: {THIRD_A}"),
        dog(f"0: {A}", f"0: {FAR}"),
        {"viou": 2 / 3, "ap_30": 1.0, "ap_50": 1.0, "viou_tube": 2 / 3, "viou_any": 2 / 3},
    ),
    # Three predicted for one true: the best is A itself, IoU 1, over max(3, 1) = 3: 1/3. 1/3 >= 0.3 but < 0.5.
    "boxes too many": (
        dog(f"0: {A}", f"0: {FAR}", f"0: {THIRD_A}"),
        dog(f"0: {A}"),
        {"viou": 1 / 3, "ap_30": 1.0, "ap_50": 0.0, "viou_tube": 1 / 3, "viou_any": 1 / 3},
    ),
    # Exact duplicates count once on both sides: one predicted box, one true box, IoU 1/2.
    "duplicates": (
        dog(f"0: {HALF_A}", f"0: {HALF_A}", f"0: {HALF_A}"),
        dog(f"0: {A}", f"0: {A}"),
        {"viou": 1 / 2, "ap_30": 1.0, "ap_50": 1.0, "viou_tube": 1 / 2, "viou_any": 1 / 2},
    ),
    # Visible at 0 and 2, hidden at 1. Predicted at 0 (IoU 1) and 1 (ignored: its true time is not visible); nothing at 2: 0.
    # vIoU (1 + 0) / 2; AP one time of two; the tube has the two visible times and no extra one: 1/2.
    "invisible true rows": (
        dog(f"0: {A}", f"1: {FAR}"),
        dog(f"0: {A}", f"1: {HIDDEN}", f"2: {A}"),
        {"viou": 1 / 2, "ap_30": 1 / 2, "ap_50": 1 / 2, "viou_tube": 1 / 2, "viou_any": 1 / 2},
    ),
    # A predicted row of zeros says "not visible" and is no box: nothing is predicted at 0; IoU 1 at 1: 1/2.
    "invisible predicted rows": (
        dog(f"0: {HIDDEN}", f"1: {A}"),
        dog(f"0: {A}", f"1: {A}"),
        {"viou": 1 / 2, "ap_30": 1 / 2, "ap_50": 1 / 2, "viou_tube": 1 / 2, "viou_any": 1 / 2},
    ),
    # True at 0, 1 and 11: predicted at 5 falls into the gap and is ignored. Predicted at 12 (1 s behind the last true time)
    # and at -1 are extra: the tube has 3 true + 2 extra times. IoU 1, 1 and 1: vIoU 1, tube 3 / 5.
    "gaps and extra times": (
        dog(f"-1: {A}", f"0: {A}", f"1: {A}", f"5: {FAR}", f"11: {A}", f"12: {A}"),
        dog(f"0: {A}", f"1: {A}", f"11: {A}"),
        {"viou": 1.0, "ap_30": 1.0, "ap_50": 1.0, "viou_tube": 3 / 5, "viou_any": 1.0},
    ),
    # True grid 1.4, 2.4, 3.4. 1.0 -> 1.4 (0.4 away, IoU 1); 2.4 -> 2.4 exactly (IoU 1/2), which leaves 2.8 (0.4 from 2.4,
    # 0.6 from 3.4) over: an extra time; 3.4 has nothing: 0. vIoU (1 + 1/2 + 0) / 3 = 1/2; AP 2 of 3; tube 1.5 / (3 + 1).
    "times off the grid": (
        dog(f"1.0: {A}", f"2.8: {A}", f"2.4: {HALF_A}"),
        dog(f"1.4: {A}", f"2.4: {A}", f"3.4: {A}"),
        {"viou": 1 / 2, "ap_30": 2 / 3, "ap_50": 2 / 3, "viou_tube": 3 / 8, "viou_any": 1 / 2},
    ),
    # Exactly 0.5 s away matches, though 0.9 - 0.4 is 0.5000000000000001 for a computer; 0.6 s does not (and is extra,
    # being outside the true times 0.9 and 1.9). 0.4 -> 0.9 with IoU 1; 1.9 has nothing. Tube: 1 / (2 + 1).
    "half a second and no more": (
        dog(f"0.4: {A}", f"2.5: {A}"),
        dog(f"0.9: {A}", f"1.9: {A}"),
        {"viou": 1 / 2, "ap_30": 1 / 2, "ap_50": 1 / 2, "viou_tube": 1 / 3, "viou_any": 1 / 2},
    ),
    # Tiers. "CAT" is "cat" but for case; "the dogs" is "dog" when normalised (article, plural); "cow" matches nothing.
    # 2 of 3 true names; F1 = 2 * 2 / (3 + 3). "cat" IoU 1, "dog" IoU 1/2, "bird" unmatched 0: vIoU 1/2, AP 2 of 3 objects.
    # Names forgotten, time 0 has A, A and FAR on both sides, HALF_A for one A: (1 + 1/2 + 1) / 3 = 5/6.
    "name tiers": (
        spatial(("CAT", [f"0: {A}"]), ("the dogs", [f"0: {HALF_A}"]), ("cow", [f"0: {FAR}"])),
        spatial(("dog", [f"0: {A}"]), ("cat", [f"0: {A}"]), ("bird", [f"0: {FAR}"])),
        {"object_accuracy": 2 / 3, "object_f1": 2 / 3, "viou": 1 / 2, "ap_30": 2 / 3, "viou_tube": 1 / 2, "viou_any": 5 / 6},
    ),
    # An identical name is preferred to one that is equal when normalised, whatever the boxes: "dog" takes "dog".
    # IoU 0 for it, though "dogs" has the right box; F1 = 2 * 1 / (1 + 2).
    "names before boxes": (
        spatial(("dogs", [f"0: {A}"]), ("dog", [f"0: {FAR}"])),
        dog(f"0: {A}"),
        {"object_accuracy": 1.0, "object_f1": 2 / 3, "viou": 0.0, "viou_any": 1 / 2},
    ),
    # The whole name first: "large, round pot" is one true object and matches whole, counting once.
    "comma name that matches whole": (
        spatial(("Large, round pot", [f"0: {A}"])),
        spatial(("large, round pot", [f"0: {A}"])),
        {"object_accuracy": 1.0, "object_f1": 1.0, "viou": 1.0},
    ),
    # Not matched whole, "dog, cat, cow" is split: "dog" and "cat" match, both with its rows; three names predicted:
    # F1 = 2 * 2 / (2 + 3) = 4/5. Rows: A for dog (IoU 1) and for cat (IoU 0 with FAR): vIoU 1/2.
    # Names forgotten it is one predicted box, A, for two true ones: 1 / 2.
    "comma name that is split": (
        spatial(("dog, cat, cow", [f"0: {A}"])),
        spatial(("dog", [f"0: {A}"]), ("cat", [f"0: {FAR}"])),
        {"object_accuracy": 1.0, "object_f1": 4 / 5, "viou": 1 / 2, "viou_any": 1 / 2},
    ),
    # Two tracks of one name are one object with two instances: matched to A and FAR, IoU 1 each, over 2: 1.
    "tracks of one name": (
        spatial(("Dog", [f"0: {FAR}"]), ("dog", [f"0: {A}"])),
        dog(f"0: {A}", f"0: {FAR}"),
        {"object_accuracy": 1.0, "object_f1": 1.0, "viou": 1.0, "viou_any": 1.0},
    ),
    # A true object with no rows counts for names, not for boxes: accuracy 1 of 2, F1 = 2 * 1 / (2 + 1); vIoU of dog alone.
    "empty where": (
        dog(f"0: {A}"),
        spatial(("dog", [f"0: {A}"]), ("cat", [])),
        {"object_accuracy": 1 / 2, "object_f1": 2 / 3, "viou": 1.0, "viou_any": 1.0},
    ),
    # No true box is visible: the scores of boxes are not defined, those of names are.
    "nothing visible": (
        dog(f"0: {A}"),
        dog(f"0: {HIDDEN}", f"1: {HIDDEN}"),
        {"object_accuracy": 1.0, "object_f1": 1.0, "viou": None, "ap_30": None, "viou_tube": None, "viou_any": None},
    ),
    # A reversed box is no row: nothing is predicted at 0, and the text is not well formed.
    "reversed box": (dog("0: [10, 10, 0, 0]"), dog(f"0: {A}"), {"format": 0.0, "viou": 0.0, "object_f1": 1.0}),
    # Nothing at all scores 0, never None.
    "empty text": (
        "",
        dog(f"0: {A}"),
        {
            "format": 0.0,
            "object_accuracy": 0.0,
            "object_f1": 0.0,
            "viou": 0.0,
            "viou_tube": 0.0,
            "viou_any": 0.0,
            "tiou": None,
        },
    ),
}


@pytest.mark.parametrize(("prediction", "truth", "expected"), CASES.values(), ids=CASES.keys())
def test_spatial_cases(prediction: str, truth: str, expected: dict[str, float | None]) -> None:
    found = scores(prediction, truth, "spatial")
    assert {name: found[name] for name in expected} == {
        name: value if value is None else pytest.approx(value, abs=1e-12) for name, value in expected.items()
    }


TRUTH_WHEN = "<answer><object>dog</object><when>[2.0, 6.0]</when></answer>"


@pytest.mark.parametrize(
    ("when", "tiou", "well_formed"),
    [
        ("<when>[2.0, 6.0]</when>", 1.0, 1.0),
        # 4..6 is common: 2 s; together 2..8: 6 s
        ("<when>[4.0, 8.0]</when>", 2 / 6, 1.0),
        # inside: 1 s of 4 s
        ("<when>[3.0, 4.0]</when>", 1 / 4, 1.0),
        # the spans touch
        ("<when>[6.0, 9.0]</when>", 0.0, 1.0),
        # a reversed span is empty, never swapped
        ("<when>[6.0, 2.0]</when>", 0.0, 0.0),
        # a missing part
        ("", 0.0, 0.0),
        # the first valid span counts: 4 s of 8 s; a second one breaks the format
        ("<when>[2.0, 10.0]</when><when>[2.0, 6.0]</when>", 4 / 8, 0.0),
    ],
)
def test_temporal_cases(when: str, tiou: float, well_formed: float) -> None:
    found = scores(f"<answer><object>dog</object>{when}</answer>", TRUTH_WHEN, "temporal")
    assert found["tiou"] == pytest.approx(tiou, abs=1e-12)
    assert found["format"] == well_formed
    assert found["object_f1"] == 1.0
    assert found["viou"] is None


def test_a_spatio_temporal_question_has_all_scores() -> None:
    truth = f"<answer><object>dog</object><when>[0, 2]</when><where>0: {A}\n1: {A}</where></answer>"
    text = f"<answer><object>dog</object><when>[0, 1]</when><where>0: {A}</where></answer>"
    # 1 s of 2 s; IoU 1 at 0, nothing at 1
    expected = {
        "format": 1.0, "tiou": 0.5, "object_accuracy": 1.0, "object_f1": 1.0,
        "viou": 0.5, "ap_30": 0.5, "ap_50": 0.5, "viou_tube": 0.5, "viou_any": 0.5,
    }  # fmt: skip
    assert scores(text, truth, "spatio_temporal") == expected
