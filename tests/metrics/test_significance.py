"""The paired bootstrap against SciPy, its rate of false discoveries, and Holm's correction against its definition."""

import doctest
from dataclasses import astuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from r_avst.metrics import significance
from r_avst.metrics.avst_metrics.scores import bootstrap_intervals
from r_avst.metrics.significance import MIN_QUESTIONS
from r_avst.metrics.significance import Difference
from r_avst.metrics.significance import holm
from r_avst.metrics.significance import least_resamples
from r_avst.metrics.significance import paired_bootstrap


def two_models(questions: int, ahead: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of two models that find the same questions hard; the first is ``ahead`` of the second on average."""
    rng = np.random.default_rng(seed)
    hard = rng.random(questions)
    return hard + ahead + rng.normal(0, 0.1, questions), hard + rng.normal(0, 0.1, questions)


def difference(first: NDArray[np.float64], second: NDArray[np.float64], resamples: int = 20_000) -> Difference:
    return paired_bootstrap((first - second)[:, None], resamples, seed=0)[0]


# --- against SciPy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("questions", "ahead"), [(40, 0.0), (40, 0.03), (300, 0.01), (300, -0.02)])
def test_the_interval_is_that_of_scipy_s_paired_bootstrap(questions: int, ahead: float) -> None:
    first, second = two_models(questions, ahead, seed=questions)
    found = difference(first, second)
    oracle = stats.bootstrap(
        (first, second),
        lambda one, two, axis: one.mean(axis=axis) - two.mean(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    )
    width = found.high - found.low
    assert found.value == pytest.approx(first.mean() - second.mean(), abs=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval), abs=0.03 * width)


@pytest.mark.parametrize(("ahead", "seed"), [(0.0, 1), (0.0, 2), (0.02, 3), (0.03, 4), (0.1, 5)])
def test_the_p_value_is_near_that_of_a_permutation_test(ahead: float, seed: int) -> None:
    """Another test of the same null, that swaps the two models question by question."""
    first, second = two_models(100, ahead, seed)
    oracle = stats.permutation_test(
        (first, second),
        lambda one, two, axis: one.mean(axis=axis) - two.mean(axis=axis),
        permutation_type="samples",
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    )
    assert difference(first, second).p_value == pytest.approx(oracle.pvalue, abs=0.02)


def test_the_interval_is_that_of_the_tables_intervals() -> None:
    first, second = two_models(200, 0.01, seed=0)
    found = difference(first, second)
    low, high = bootstrap_intervals((first - second)[:, None], 20_000, seed=5)
    assert (found.low, found.high) == pytest.approx((low[0], high[0]), abs=0.03 * (found.high - found.low))


def test_pairing_finds_what_two_separate_intervals_hide() -> None:
    first, second = two_models(200, 0.04, seed=0)
    separate = [stats.norm.interval(0.95, own.mean(), stats.sem(own)) for own in (first, second)]
    assert separate[0][0] < separate[1][1]  # they overlap
    assert difference(first, second).significant


# --- calibration ------------------------------------------------------------------------------------------------------


def test_without_a_difference_one_in_twenty_is_found_alone_and_one_in_twenty_among_all_corrected() -> None:
    """500 tables of five comparisons of models that are equal: a comparison errs in 5 of 100, and any of the five too."""
    rng = np.random.default_rng(8)
    alone, corrected, uncorrected = 0, 0, 0
    for seed in range(500):
        scores = rng.random((80, 1)) + rng.normal(0, 0.2, (80, 6))
        found = paired_bootstrap(scores[:, :-1] - scores[:, 1:], 400, seed)
        alone += found[0].p_value < 0.05
        uncorrected += any(own.p_value < 0.05 for own in found)
        corrected += any(own.significant for own in found)
    assert 0.02 <= alone / 500 <= 0.085
    assert 0.01 <= corrected / 500 <= 0.085
    assert uncorrected / 500 > 0.12


def test_scores_that_are_0_for_most_questions_are_not_found_too_often() -> None:
    """As m_vIoU is: one question in twelve has any overlap."""
    rng = np.random.default_rng(9)
    found = 0
    for seed in range(500):
        scores = np.where(rng.random((300, 2)) < 1 / 12, rng.random((300, 2)), 0.0)
        found += paired_bootstrap(scores[:, :1] - scores[:, 1:], 400, seed)[0].significant
    assert 0.015 <= found / 500 <= 0.085


def test_a_true_difference_is_found() -> None:
    found = [difference(*two_models(300, 0.04, seed), resamples=400).significant for seed in range(100)]
    assert sum(found) >= 95


# --- edges ------------------------------------------------------------------------------------------------------------


def test_equal_models_do_not_differ() -> None:
    first, _ = two_models(50, 0.0, seed=0)
    assert difference(first, first) == Difference(0.0, 0.0, 0.0, 1.0, 1.0)


def test_differences_that_cancel_out_are_0_but_for_rounding() -> None:
    column = np.array([0.1, 0.2, -0.3] * 20)[:, None]
    assert paired_bootstrap(column, 2000, 0)[0].p_value > 0.9


@pytest.mark.parametrize("better", [1.0, -1.0])
def test_the_smallest_p_value_is_that_of_the_number_of_resamples(better: float) -> None:
    column = np.full((MIN_QUESTIONS, 1), 0.1 * better)
    found = paired_bootstrap(column, 99, 0)[0]
    assert found.p_value == pytest.approx(2 / 100)
    assert (found.low, found.high) == pytest.approx((0.1 * better, 0.1 * better))


@pytest.mark.parametrize("comparisons", [1, 2, 7, 20])
def test_the_fewest_resamples_are_enough_and_one_less_is_not(comparisons: int) -> None:
    columns = np.full((MIN_QUESTIONS, comparisons), 0.1)
    least = least_resamples(comparisons)
    assert all(own.significant for own in paired_bootstrap(columns, least, 0))
    assert comparisons * 2 / (1 + least - 1) >= 0.05 - 1e-12
    with pytest.raises(ValueError, match=f"{least - 1} resamples; {comparisons} comparisons take {least} or more"):
        paired_bootstrap(columns, least - 1, 0)


def test_the_seed_decides_and_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = np.random.default_rng(0).normal(0.01, 0.1, (60, 3))
    first, again, other = (paired_bootstrap(columns, 1000, seed) for seed in (1, 1, 2))
    assert first == again != other
    monkeypatch.setattr(significance, "MAX_BLOCK", 60 * 7)
    in_blocks = paired_bootstrap(columns, 1000, 1)
    # sums are rounded in the order that suits a processor and the size of a block
    assert [astuple(own) for own in in_blocks] == [pytest.approx(astuple(own), rel=1e-12) for own in first]


def test_nothing_to_compare_is_no_error() -> None:
    assert paired_bootstrap(np.empty((100, 0)), 1000, 0) == []


@pytest.mark.parametrize("column", [np.ones(MIN_QUESTIONS - 1), np.array([np.nan] + [1.0] * MIN_QUESTIONS)])
def test_too_few_questions_and_undefined_scores_are_refused(column: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="a test takes 30 or more, each with a score of both models"):
        paired_bootstrap(column[:, None], 1000, 0)


# --- Holm -------------------------------------------------------------------------------------------------------------


def rejected(p_values: list[float], level: float) -> list[bool]:
    """Holm's procedure as he wrote it: step down from the smallest, stop at the first that is too large."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    found = [False] * len(p_values)
    for step, index in enumerate(order):
        if p_values[index] > level / (len(p_values) - step):
            break
        found[index] = True
    return found


def test_holm_rejects_what_the_stepwise_procedure_rejects_at_every_level() -> None:
    rng = np.random.default_rng(3)
    for size in (1, 2, 3, 8):
        for _ in range(20):
            p_values = (rng.random(size) ** 3).tolist()
            for level in np.linspace(0.0013, 0.9917, 97):
                assert [own <= level for own in holm(p_values)] == rejected(p_values, level)


def test_holm_corrects_ties_alike_and_stays_below_1() -> None:
    assert holm([0.02, 0.02, 0.9]) == pytest.approx([0.06, 0.06, 0.9])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_examples_hold() -> None:
    found = doctest.testmod(significance)
    assert (found.attempted, found.failed) == (2, 0)
