"""Constants and swaps against plain loops."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import ParsedAnswer
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.training.learn.boxes_world import BOXES_WORLD
from r_avst.training.learn.controls import ControlError
from r_avst.training.learn.controls import best_constant
from r_avst.training.learn.controls import mean_of_others
from r_avst.training.learn.controls import mean_of_own
from r_avst.training.learn.controls import score_matrix
from r_avst.training.learn.controls import score_of
from r_avst.training.learn.temporal_world import TEMPORAL_WORLD
from r_avst.training.learn.world import World


def truths_of(world: World, count: int) -> list[Answer]:
    return [world.scene(Random(number)).answer for number in range(count)]


def span_iou(first: Sequence[float], second: Sequence[float]) -> float:
    shared = max(0.0, min(first[1], second[1]) - max(first[0], second[0]))
    return shared / (first[1] - first[0] + second[1] - second[0] - shared)


def box_iou(first: Sequence[float], second: Sequence[float]) -> float:
    cells = [
        {(x, y) for x in range(int(one[0]), int(one[2])) for y in range(int(one[1]), int(one[3]))} for one in (first, second)
    ]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1])


def test_the_best_span_is_that_of_a_search_through_all_tenths_of_a_second() -> None:
    truths = truths_of(TEMPORAL_WORLD, 40)
    spans = [truth.span for truth in truths if truth.span]
    tenths = [(a / 10, b / 10) for a in range(80) for b in range(a + 1, 81)]
    expected = max(np.mean([span_iou(one, span) for span in spans]) for one in tenths)
    answer, found = best_constant(truths, TEMPORAL_WORLD.constants, "temporal")
    assert found == pytest.approx(expected, abs=1e-12)
    assert answer.span is not None
    assert found == pytest.approx(np.mean([span_iou(answer.span, span) for span in spans]), abs=1e-12)


def test_the_best_box_is_that_of_a_search_in_cells() -> None:
    truths = truths_of(BOXES_WORLD, 12)
    boxes = [[value / 14 for value in truth.tracks[0].rows[0][1:]] for truth in truths]
    grid = [(a, b, c, d) for a in range(8) for b in range(8) for c in range(a + 1, 9) for d in range(b + 1, 9)]
    expected = max(np.mean([box_iou(one, box) for box in boxes]) for one in grid)
    assert best_constant(truths, BOXES_WORLD.constants, "spatial")[1] == pytest.approx(expected, abs=1e-12)


def test_own_and_other_clips_are_told_apart() -> None:
    truths = truths_of(TEMPORAL_WORLD, 7)
    answers = [ParsedAnswer(truth) for truth in truths]
    matrix = score_matrix(answers, truths, "temporal")
    assert mean_of_own(matrix) == 1.0
    spans = [truth.span for truth in truths if truth.span]
    pairs = [span_iou(spans[i], spans[j]) for i in range(7) for j in range(7) if i != j]
    assert mean_of_others(matrix) == pytest.approx(np.mean(pairs))


def test_a_constant_answer_is_no_worse_for_other_clips() -> None:
    truths = truths_of(TEMPORAL_WORLD, 20)
    answer, value = best_constant(truths, TEMPORAL_WORLD.constants, "temporal")
    matrix = score_matrix([ParsedAnswer(answer)] * 20, truths, "temporal")
    assert mean_of_others(matrix) == pytest.approx(value)


def test_what_cannot_be_read_scores_nothing() -> None:
    truth = TEMPORAL_WORLD.choices[0]
    assert score_of(parse_answer("no idea"), truth, "temporal") == 0.0


def test_a_control_that_is_not_defined_is_an_error() -> None:
    truth = TEMPORAL_WORLD.choices[0]
    with pytest.raises(ControlError, match="no score of its own"):
        score_of(ParsedAnswer(truth), Answer((Track("square"),)), "temporal")
    with pytest.raises(ControlError, match="0 candidates on 1 truths"):
        best_constant([truth], [], "temporal")
    with pytest.raises(ControlError, match="needs two"):
        mean_of_others(np.ones((1, 1)))
