"""The best constant against trying every constant one by one, and skill at its fixed points."""

import random

import pytest
from perturb import random_answer

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.overlap import interval_iou
from r_avst.metrics.avst_metrics.scores import Question
from r_avst.metrics.avst_metrics.skill import best_constant_spans
from r_avst.metrics.avst_metrics.skill import commonest_name
from r_avst.metrics.avst_metrics.skill import constant_box_scores
from r_avst.metrics.avst_metrics.skill import mean_box_scores
from r_avst.metrics.avst_metrics.skill import median_box
from r_avst.metrics.avst_metrics.skill import skill
from r_avst.metrics.avst_metrics.summary import Summariser
from r_avst.metrics.avst_metrics.summary import indices_by_group


def question(start: float, end: float, duration: float | None) -> Question:
    return Question(Answer((Track("dog"),), (start, end)), "temporal", duration)


@pytest.mark.parametrize(
    ("score", "floor", "expected"),
    [
        (0.5, 0.5, 0.0),
        (1.0, 0.5, 1.0),
        (0.75, 0.5, 0.5),
        (0.25, 0.5, -0.5),
        (1.0, 1.0, None),
        (None, 0.5, None),
        (0.5, None, None),
    ],
)
def test_skill(score: float | None, floor: float | None, expected: float | None) -> None:
    assert skill(score, floor) == expected


def test_the_best_constant_span_is_the_best_of_all_on_the_grid() -> None:
    rng = random.Random(0)
    questions = []
    for _ in range(12):
        duration = rng.uniform(5, 60)
        start = rng.uniform(0, duration * 0.9)
        questions.append(question(start, rng.uniform(start + 0.1, duration), duration))
    best = dict.fromkeys(["m_tIoU", "R1@0.3", "R1@0.5", "R1@0.7"], 0.0)
    for first in range(51):
        for last in range(first + 1, 51):
            ious = []
            for own in questions:
                span = (first * 0.02 * own.duration, last * 0.02 * own.duration)
                ious.append(interval_iou(span, own.truth.span))
            best["m_tIoU"] = max(best["m_tIoU"], sum(ious) / 12)
            for threshold in (0.3, 0.5, 0.7):
                share = sum(iou >= threshold for iou in ious) / 12
                best[f"R1@{threshold}"] = max(best[f"R1@{threshold}"], share)
    assert best_constant_spans(questions) == pytest.approx(best, abs=1e-12)


def test_the_whole_video_is_the_best_constant_for_events_that_fill_it() -> None:
    floors = best_constant_spans([question(0, 10, 10), question(0, 39, 40)])
    assert floors["m_tIoU"] == pytest.approx((1 + 39 / 40) / 2)


def test_without_durations_or_spans_there_is_no_floor() -> None:
    assert best_constant_spans([question(0, 1, 2), question(0, 1, None)]) == {}
    assert best_constant_spans([Question(Answer((Track("dog"),)), "spatial", 9.0)]) == {}


def test_the_median_box_and_the_commonest_name() -> None:
    rows = [(0.0, 0.0, 0.0, 10.0, 10.0), (1.0, 2.0, 4.0, 20.0, 30.0), (2.0, 4.0, 4.0, 90.0, 50.0), (3.0, 0.0, 0.0, 0.0, 0.0)]
    truths = [Answer((Track("Dog", tuple(rows)), Track("cat"))), Answer((Track("dog"), Track("Ant")))]
    assert median_box(truths) == (2.0, 4.0, 20.0, 30.0)
    assert commonest_name(truths) == "dog"
    assert (median_box([]), commonest_name([])) == (None, "")


def test_the_constant_box_is_scored_at_every_true_time() -> None:
    def spatial(name: str, *boxes: tuple[float, ...]) -> Question:
        return Question(Answer((Track(name, tuple((float(t), *box) for t, box in enumerate(boxes))),)), "spatial")

    # median box 0 0 10 10, commonest name "dog": IoU 1 and 1/2 for the first, 1 for the second, no name for the third
    whole, half = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 5.0)
    questions = [spatial("dog", whole, half), spatial("dog", whole), spatial("cat", whole, whole)]
    floors = mean_box_scores(constant_box_scores(questions, NameMatcher(None)))
    assert floors["m_vIoU"] == pytest.approx((3 / 4 + 1 + 0) / 3)
    assert floors["vIoU_any"] == pytest.approx((3 / 4 + 1 + 1) / 3)


def test_figures_of_tasks_without_a_score_do_not_list_it() -> None:
    rng = random.Random(1)
    questions = [Question(parse_answer(random_answer(rng, task)).answer, task, 60.0) for task in ("temporal", "spatial") * 5]
    names = NameMatcher(None)
    scores = constant_box_scores(questions, names)
    figures = Summariser(questions, names, 100, 0).by_task(scores)
    assert set(figures) == {"overall", "temporal", "spatial"}
    assert set(figures["temporal"]) == {
        "format_rate",
        "m_tIoU",
        "R1@0.3",
        "R1@0.5",
        "R1@0.7",
        "object_accuracy",
        "object_f1",
    }
    assert "m_tIoU" not in figures["spatial"]
    assert figures["overall"]["m_tIoU"]["count"] == 5
    assert figures["overall"]["format_rate"]["count"] == 10
    assert figures["spatial"]["m_vIoU"]["skill"] == pytest.approx(0.0)  # the constant is its own floor


def test_groups_hold_the_rows_that_name_them() -> None:
    assert indices_by_group(["b", ["a", "b"], (), 3]) == {"3": [3], "a": [1], "b": [0, 1]}
