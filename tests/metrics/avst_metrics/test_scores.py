"""Gold scores 1, order changes nothing, exploits do not pay, and tables are means with honest intervals."""

import random
from dataclasses import asdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from perturb import perturbed
from perturb import random_answer
from plain_scores import track as plain_track
from plain_scores import visible as plain_visible

from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.scores import TABLE_SCORES
from r_avst.metrics.avst_metrics.scores import QuestionScore
from r_avst.metrics.avst_metrics.scores import aggregate
from r_avst.metrics.avst_metrics.scores import bootstrap_intervals
from r_avst.metrics.avst_metrics.scores import frame_iou_curve
from r_avst.metrics.avst_metrics.scores import score_question
from r_avst.metrics.avst_metrics.word_vectors import load_word_vectors

EXACT = NameMatcher(None)
ZERO = QuestionScore(*[0.0] * 9)


def score(text: str, truth: Answer, task: Task, names: NameMatcher = EXACT) -> QuestionScore:
    return score_question(parse_answer(text), truth, task, names)


def defined(scores: QuestionScore) -> set[float]:
    return {value for value in asdict(scores).values() if value is not None}


@pytest.fixture(params=["own", "released"])
def answers(request: pytest.FixtureRequest) -> list[tuple[str, Task]]:
    if request.param == "released":
        return request.getfixturevalue("released_answers")
    rng = random.Random(2)
    return [(random_answer(rng, task), task) for task in TASKS for _ in range(100)]


# --- gold -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_vectors", [False, True], ids=["exact", "word vectors"])
def test_every_answer_scores_exactly_one_against_itself_also_reversed(answers, with_vectors, request) -> None:
    source = str(request.getfixturevalue("vectors_file")) if with_vectors else "exact"
    names = NameMatcher(load_word_vectors(source))
    for text, task in answers:
        truth = parse_answer(text).answer
        reversed_text = write_answer(replace(truth, tracks=truth.tracks[::-1]), task)
        assert defined(score(text, truth, task, names)) == {1.0}
        assert defined(score(reversed_text, truth, task, names)) == {1.0}


def test_one_released_question_has_no_visible_box(released_answers) -> None:
    scores = [score(text, parse_answer(text).answer, task) for text, task in released_answers if task != "temporal"]
    assert sum(one.viou is None for one in scores) == 1


def test_the_order_of_objects_changes_no_score(answers) -> None:
    rng = random.Random(3)
    for text, task in answers:
        truth = parse_answer(text).answer
        parsed = parse_answer(perturbed(text, rng))
        tracks = list(parsed.answer.tracks)
        rng.shuffle(tracks)
        shuffled = replace(parsed, answer=replace(parsed.answer, tracks=tuple(tracks)))
        other_truth = replace(truth, tracks=truth.tracks[::-1])
        once = score_question(parsed, truth, task, EXACT)
        assert asdict(score_question(shuffled, other_truth, task, EXACT)) == pytest.approx(asdict(once), abs=1e-12)


@given(st.integers(0, 10**9), st.sampled_from(TASKS))
def test_every_score_lies_between_0_and_1(seed: int, task: Task) -> None:
    rng = random.Random(seed)
    truth = random_answer(rng, task)
    found = score(perturbed(rng.choice([truth, random_answer(rng, task)]), rng), parse_answer(truth).answer, task)
    assert all(0 <= value <= 1 for value in defined(found))


# --- exploits ---------------------------------------------------------------------------------------------------------

SPATIAL_TRUTH = """\
<answer>
<object>dog</object>
<where>
0.0: [100.0, 100.0, 200.0, 200.0]
1.0: [110.0, 100.0, 210.0, 200.0]
2.0: [120.0, 100.0, 220.0, 200.0]
</where>
<object>red ball</object>
<where>
0.0: [300.0, 100.0, 350.0, 150.0]
1.0: [300.0, 110.0, 350.0, 160.0]
</where>
</answer>"""
SPATIO_TEMPORAL_TRUTH = """\
<answer>
<object>dog</object>
<when>[4.0, 7.0]</when>
<where>
4.0: [100.0, 100.0, 200.0, 200.0]
5.0: [110.0, 100.0, 210.0, 200.0]
6.0: [120.0, 100.0, 220.0, 200.0]
</where>
</answer>"""
GRID = [f"{x}.0, {y}.0, {x + 100}.0, {y + 100}.0" for x in range(0, 600, 50) for y in range(0, 300, 50)]


def rewards(text: str, truth: str, task: Task) -> QuestionScore:
    return score(text, parse_answer(truth).answer, task)


def lowers(worse: str, truth: str, task: Task, *names: str) -> None:
    """The named scores fall below gold's 1, and no score rises above it."""
    found = rewards(worse, truth, task)
    for name in names:
        assert getattr(found, name) < 1, name
    assert max(defined(found)) <= 1


def test_stacking_boxes_over_the_frame_scores_less_than_one_honest_miss() -> None:
    rows = "\n".join(f"{time}.0: [{box}]" for time in range(3) for box in GRID)
    stacked = rewards(f"<answer>\n<object>dog</object>\n<where>\n{rows}\n</where>\n</answer>", SPATIAL_TRUTH, "spatial")
    near = SPATIAL_TRUTH.replace("[100.0, 100.0, 200.0", "[150.0, 100.0, 250.0")
    assert stacked.viou is not None
    assert stacked.viou < 0.02
    assert stacked.ap_30 == stacked.ap_50 == 0
    assert rewards(near, SPATIAL_TRUTH, "spatial").viou > 20 * stacked.viou


def test_listing_extra_names_lowers_f1() -> None:
    extra = "".join(f"<object>{name}</object>\n<where>\n</where>\n" for name in ("cat", "cow", "man", "tree"))
    found = rewards(SPATIAL_TRUTH.replace("</answer>", extra + "</answer>"), SPATIAL_TRUTH, "spatial")
    assert (found.object_accuracy, found.object_f1) == (1.0, 4 / 8)
    commas = rewards(SPATIAL_TRUTH.replace(">dog<", ">dog, cat, cow, man, tree<"), SPATIAL_TRUTH, "spatial")
    assert (commas.object_accuracy, commas.object_f1) == (1.0, 4 / 8)


def test_many_copies_of_a_track_do_not_pay() -> None:
    block = SPATIO_TEMPORAL_TRUTH.split("\n")[1:-1]
    copies = "\n".join(["<answer>", *block, *[line for line in block if "<when>" not in line] * 20, "</answer>"])
    assert defined(rewards(copies, SPATIO_TEMPORAL_TRUTH, "spatio_temporal")) == {1.0}  # merged: no gain, no loss
    renamed = copies.replace("<object>dog</object>", "<object>dog</object>", 1)
    for number in range(20):
        renamed = renamed.replace("<object>dog</object>\n<where>", f"<object>dog {number}</object>\n<where>", 1)
    lowers(renamed, SPATIO_TEMPORAL_TRUTH, "spatio_temporal", "object_f1", "viou_any")


def test_one_timestamp_only_scores_its_share_of_the_times() -> None:
    one_time = "\n".join(line for line in SPATIO_TEMPORAL_TRUTH.split("\n") if not line.startswith(("5", "6")))
    found = rewards(one_time, SPATIO_TEMPORAL_TRUTH, "spatio_temporal")
    assert found.viou == found.viou_tube == found.ap_50 == pytest.approx(1 / 3)


def test_a_wrong_box_or_name_at_an_annotated_time_lowers_the_score() -> None:
    box = SPATIO_TEMPORAL_TRUTH.replace("5.0: [110.0, 100.0, 210.0", "5.0: [400.0, 100.0, 500.0")
    lowers(box, SPATIO_TEMPORAL_TRUTH, "spatio_temporal", "viou", "viou_tube", "viou_any", "ap_30", "ap_50")
    added = SPATIO_TEMPORAL_TRUTH.replace("5.0:", "5.0: [400.0, 100.0, 500.0, 200.0]\n5.0:")
    lowers(added, SPATIO_TEMPORAL_TRUTH, "spatio_temporal", "viou", "viou_tube", "viou_any")
    lowers(SPATIAL_TRUTH.replace("dog", "cow"), SPATIAL_TRUTH, "spatial", "viou", "object_f1", "object_accuracy")


def test_a_wrong_time_never_raises_and_costs_in_the_tube() -> None:
    late = SPATIO_TEMPORAL_TRUTH.replace("</where>", "9.0: [120.0, 100.0, 220.0, 200.0]\n</where>")
    found = rewards(late, SPATIO_TEMPORAL_TRUTH, "spatio_temporal")
    assert (found.viou, found.viou_tube) == (1.0, 3 / 4)


@pytest.mark.parametrize("when", ["[7.0, 4.0]", "[nan, 7.0]", "[4.0, inf]", "[4.0, 4.0]", "[]", "[4.0]", "", "[1e999, 7.0]"])
def test_a_span_that_is_none_scores_0(when: str) -> None:
    found = rewards(SPATIO_TEMPORAL_TRUTH.replace("[4.0, 7.0]", when), SPATIO_TEMPORAL_TRUTH, "spatio_temporal")
    assert (found.tiou, found.format) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("when", "tiou"), [("[0.0, 60.0]", 3 / 60), ("[-1e308, 1e308]", 0.0), ("[-50.0, 10.0]", 3 / 60), ("[0.0, 1e308]", 0.0)]
)
def test_a_longer_span_scores_less(when: str, tiou: float) -> None:
    found = rewards(SPATIO_TEMPORAL_TRUTH.replace("[4.0, 7.0]", when), SPATIO_TEMPORAL_TRUTH, "spatio_temporal")
    assert found.tiou == pytest.approx(tiou, abs=1e-12)


@pytest.mark.parametrize(
    "box",
    [
        "nan, 0.0, 10.0, 10.0",
        "-inf, 0.0, inf, 10.0",
        "200.0, 200.0, 100.0, 100.0",
        "-1e308, -1e308, 1e308, 1e308",
        "0, 0, 1e308, 1e308",
    ],
)
def test_boxes_of_nan_infinity_and_the_largest_floats_score_0(box: str) -> None:
    rows = "\n".join(f"{time}.0: [{box}]" for time in (4, 5, 6))
    text = f"<answer>\n<object>dog</object>\n<when>[4.0, 7.0]</when>\n<where>\n{rows}\n</where>\n</answer>"
    found = rewards(text, SPATIO_TEMPORAL_TRUTH, "spatio_temporal")
    assert (found.viou, found.viou_tube, found.viou_any, found.ap_30) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "text", ["", " ", "<answer></answer>", "<answer><object></object></answer>", "dog", "\x00", "🐕" * 1000]
)
@pytest.mark.parametrize("task", TASKS)
def test_texts_that_say_nothing_score_0(text: str, task: Task) -> None:
    truth = SPATIAL_TRUTH if task == "spatial" else SPATIO_TEMPORAL_TRUTH
    assert defined(rewards(text, truth, task)) == {0.0}


# --- tables -----------------------------------------------------------------------------------------------------------


# --- over time --------------------------------------------------------------------------------------------------------


def test_the_curve_of_one_object_has_viou_for_its_mean() -> None:
    rng, compared = random.Random(5), 0
    for _ in range(200):
        text = random_answer(rng, "spatio_temporal")
        truth, prediction = parse_answer(text).answer, parse_answer(perturbed(text, rng))
        values = [iou for _, iou in frame_iou_curve(prediction.answer, truth, EXACT) if iou is not None]
        viou = score_question(prediction, truth, "spatio_temporal", EXACT).viou
        assert (viou is None) == (not values)
        compared += viou is not None
        assert viou is None or viou == pytest.approx(sum(values) / len(values))
    assert compared > 100


def test_the_curve_is_the_mean_over_the_objects_that_are_visible_then() -> None:
    rng = random.Random(6)
    for _ in range(100):
        text = random_answer(rng, "spatial")
        truth, found = parse_answer(text).answer, parse_answer(perturbed(text, rng)).answer
        at: dict[float, list[float]] = {row[0]: [] for own in truth.tracks for row in own.rows}
        predicted = {own.name.casefold(): own.rows for own in found.tracks}
        if len(predicted) < len(found.tracks) or len({own.name.casefold() for own in truth.tracks}) < len(truth.tracks):
            continue  # merging is the scores' own affair
        names = EXACT.match([own.name for own in found.tracks], [own.name for own in truth.tracks]).pairs
        for index, own in enumerate(truth.tracks):
            mine = [list(row) for true, place in names if true == index for row in found.tracks[place].rows]
            seen = plain_visible([list(row) for row in own.rows])
            if seen:
                ious, _ = plain_track(plain_visible(mine), seen, [row[0] for row in own.rows])
                for time, iou in zip(sorted({row[0] for row in seen}), ious, strict=True):
                    at[time].append(iou)
        expected = [(time, sum(ious) / len(ious) if ious else None) for time, ious in sorted(at.items())]
        curve = frame_iou_curve(found, truth, EXACT)
        assert [time for time, _ in curve] == [time for time, _ in expected]
        for (_, iou), (_, plain) in zip(curve, expected, strict=True):
            assert iou == (None if plain is None else pytest.approx(plain))


def test_a_perfect_answer_has_a_curve_of_ones_on_the_released_file(released_answers) -> None:
    for text, task in released_answers:
        if task != "temporal":
            truth = parse_answer(text).answer
            assert {iou for _, iou in frame_iou_curve(truth, truth, EXACT)} <= {1.0, None}


def test_aggregates_are_means_over_the_questions_that_have_the_score() -> None:
    scores = [
        replace(ZERO, format=1.0, tiou=0.7, viou=None, viou_tube=None),
        replace(ZERO, format=0.0, tiou=0.2, viou=0.5, viou_tube=0.25),
        replace(ZERO, format=1.0, tiou=0.3, viou=0.1, viou_tube=0.05),
    ]
    table = aggregate(scores, bootstrap_samples=0, seed=0)
    assert list(table) == list(TABLE_SCORES)
    assert table["format_rate"].value == pytest.approx(2 / 3)
    assert table["m_tIoU"].value == pytest.approx(0.4)
    assert [table[name].value for name in ("R1@0.3", "R1@0.5", "R1@0.7")] == pytest.approx([2 / 3, 1 / 3, 1 / 3])
    assert (table["m_vIoU"].value, table["m_vIoU"].count) == (pytest.approx(0.3), 2)
    assert (table["m_vIoU"].low, table["m_vIoU"].high) == (None, None)


@pytest.mark.parametrize("tiou", [0.3, 0.1 + 0.2, 0.3 - 1e-12])
def test_a_threshold_that_is_reached_but_for_rounding_counts(tiou: float) -> None:
    assert aggregate([replace(ZERO, tiou=tiou)], 0, 0)["R1@0.3"].value == 1.0
    assert aggregate([replace(ZERO, tiou=0.3 - 1e-6)], 0, 0)["R1@0.3"].value == 0.0


def test_nothing_to_average_is_none() -> None:
    table = aggregate([], bootstrap_samples=100, seed=0)
    assert all((own.value, own.low, own.high, own.count) == (None, None, None, 0) for own in table.values())
    assert aggregate([replace(ZERO, viou=None)], 100, 0)["m_vIoU"].low is None


def test_the_interval_is_that_of_a_plain_bootstrap() -> None:
    """Against a loop that draws questions one by one: the same distribution, other draws."""
    rng = np.random.default_rng(0)
    matrix = np.stack([rng.random(200), rng.random(200) < 0.1, np.where(rng.random(200) < 0.3, np.nan, rng.random(200))], 1)
    low, high = bootstrap_intervals(matrix, 4000, seed=1)
    draws = [matrix[rng.integers(0, 200, 200)] for _ in range(4000)]
    plain = np.quantile([np.nanmean(draw, axis=0) for draw in draws], [0.025, 0.975], axis=0)
    assert np.abs(np.stack([low, high]) - plain).max() < 1.1 / 200  # a share of 200 questions moves in steps of 1 / 200


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for seed in range(300):
        low, high = bootstrap_intervals(rng.random((80, 1)), 400, seed)
        covered += low[0] <= 0.5 <= high[0]
    assert 0.90 <= covered / 300 <= 0.98


def test_a_negative_number_of_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="bootstrap_samples is -1"):
        aggregate([ZERO], bootstrap_samples=-1, seed=0)


def test_the_seed_decides_the_interval() -> None:
    matrix = np.random.default_rng(0).random((50, 1))
    assert bootstrap_intervals(matrix, 500, 1)[0] == bootstrap_intervals(matrix, 500, 1)[0]
    assert bootstrap_intervals(matrix, 500, 1)[0] != bootstrap_intervals(matrix, 500, 2)[0]
