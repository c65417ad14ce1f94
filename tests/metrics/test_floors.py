"""Answers made without looking at a video: worked out by hand on tiny data, held to known figures on the released file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import ParsedAnswer
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import is_visible
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.scores import BOX_SCORES
from r_avst.metrics.avst_metrics.scores import SPAN_SCORES
from r_avst.metrics.avst_metrics.scores import TABLE_SCORES
from r_avst.metrics.avst_metrics.scores import Question
from r_avst.metrics.avst_metrics.scores import score_questions
from r_avst.metrics.avst_metrics.summary import Summariser
from r_avst.metrics.avst_metrics.word_vectors import load_word_vectors
from r_avst.metrics.benchmark import BenchmarkQuestion
from r_avst.metrics.benchmark import load_questions
from r_avst.metrics.floors import FLOORS
from r_avst.metrics.floors import LEGEND
from r_avst.metrics.floors import MAX_JITTER
from r_avst.metrics.floors import Floor
from r_avst.metrics.floors import gold
from r_avst.metrics.floors import jittered_gold
from r_avst.metrics.floors import random_span
from r_avst.metrics.floors import whole_video

Figures = dict[str, dict[str, dict[str, Any]]]
MEDIAN_BOX = (40.0, 20.0, 100.0, 90.0)  # of the nine visible boxes of the tiny release
EXACT = NameMatcher(None)


@pytest.fixture
def tiny(tiny_release: Path, tmp_path: Path) -> list[BenchmarkQuestion]:
    build_release(str(tiny_release), None, None, tmp_path / tmp_path.name)
    return load_questions(str(tmp_path / tmp_path.name), "test")


@pytest.fixture(scope="module")
def real(release_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[BenchmarkQuestion]:
    folder = tmp_path_factory.mktemp("floors-real")
    build_release(str(release_file), None, None, folder)
    return load_questions(str(folder), "test")


def figures_of(answers: Sequence[Answer], questions: Sequence[BenchmarkQuestion], names: NameMatcher = EXACT) -> Figures:
    own = [question.question for question in questions]
    scores = score_questions([ParsedAnswer(answer) for answer in answers], own, names)
    return Summariser(own, names, bootstrap_samples=0, seed=0).by_task(scores)


@pytest.fixture(scope="module")
def real_figures(real: list[BenchmarkQuestion]) -> dict[str, Figures]:
    return {name: figures_of(floor(real, 0), real) for name, floor in FLOORS.items()}


def percent(figures: dict[str, dict[str, Any]], names: Sequence[str]) -> list[float]:
    return [round(figures[name]["value"] * 100, 2) for name in names]


# --- every floor ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("floor", FLOORS.values(), ids=FLOORS)
def test_a_floor_gives_one_writable_answer_a_question(floor: Floor, tiny: list[BenchmarkQuestion]) -> None:
    answers = floor(tiny, 0)
    assert len(answers) == len(tiny)
    for answer, own in zip(answers, tiny, strict=True):
        assert parse_answer(write_answer(answer, own.question.task)).answer.tracks[0].name == answer.tracks[0].name


@pytest.mark.parametrize("floor", FLOORS.values(), ids=FLOORS)
def test_a_floor_is_repeatable(floor: Floor, tiny: list[BenchmarkQuestion]) -> None:
    assert floor(tiny, 7) == floor(tiny, 7)


@pytest.mark.parametrize(
    ("floor", "seeded"), [(gold, False), (whole_video, False), (jittered_gold, True), (random_span, True)]
)
def test_only_the_random_floors_depend_on_the_seed(floor: Floor, seeded: bool, tiny: list[BenchmarkQuestion]) -> None:
    assert (floor(tiny, 0) != floor(tiny, 1)) == seeded


def test_every_floor_but_gold_is_explained() -> None:
    assert [line.split(":")[0] for line in LEGEND.splitlines()] == [name for name in FLOORS if name != "gold"]


@pytest.mark.parametrize("floor", [whole_video, random_span])
def test_a_question_without_a_video_length_is_named(floor: Floor, tiny: list[BenchmarkQuestion]) -> None:
    unknown = replace(tiny[1], question=replace(tiny[1].question, duration=None))
    with pytest.raises(ValueError, match="tiny_car-0-temporal-0 has no video duration"):
        floor([tiny[0], unknown], 0)


@pytest.mark.parametrize("floor", FLOORS.values(), ids=FLOORS)
def test_no_questions_have_no_answers(floor: Floor) -> None:
    assert floor([], 0) == []


# --- tiny data, by hand -----------------------------------------------------------------------------------------------


def test_gold_is_the_truth(tiny: list[BenchmarkQuestion]) -> None:
    assert [write_answer(answer, own.question.task) for answer, own in zip(gold(tiny, 0), tiny, strict=True)] == [
        own.answer for own in tiny
    ]


def test_the_whole_video_is_the_whole_span_with_the_median_box_at_every_second(tiny: list[BenchmarkQuestion]) -> None:
    dog, car, sounding, silent, cat = whole_video(tiny, 0)
    assert [answer.span for answer in (dog, car, sounding, silent, cat)] == [(0, 10), (0, 45.5), None, None, (0, 10)]
    assert [answer.tracks[0].name for answer in (dog, car, sounding, silent, cat)] == [
        "Dog",
        "Car",
        "a red ball",  # of the names that occur once in spatial answers the first in the alphabet
        "a red ball",
        "A cat",
    ]
    assert dog.tracks[0].rows == car.tracks[0].rows == ()
    assert [row[0] for row in sounding.tracks[0].rows] == pytest.approx([1.4, 2.4, 3.4, 4.4, 5.4])
    assert [row[0] for row in cat.tracks[0].rows] == list(range(10))
    assert {row[1:] for answer in (sounding, silent, cat) for row in answer.tracks[0].rows} == {MEDIAN_BOX}


def test_the_whole_video_has_the_figures_worked_out_by_hand(tiny: list[BenchmarkQuestion]) -> None:
    figures = figures_of(whole_video(tiny, 0), tiny)
    assert figures["temporal"]["m_tIoU"]["value"] == pytest.approx((4.6 / 10 + 44.4 / 45.5) / 2)
    assert figures["temporal"]["R1@0.5"]["value"] == 0.5
    assert figures["spatial"]["object_accuracy"]["value"] == 0.25  # the ball is one of two things, and no tree
    assert figures["spatial"]["m_vIoU"]["value"] == 0.0
    assert figures["spatio_temporal"]["m_tIoU"]["value"] == pytest.approx(3 / 10.1)
    cat = [((90 - 40) * (90 - 30), 3600), ((100 - 40) * (90 - 30), 3600)]  # intersections with [30 or 40, 30, ...]
    expected = sum(overlap / (area + 60 * 70 - overlap) for overlap, area in cat) / 2
    assert figures["spatio_temporal"]["m_vIoU"]["value"] == pytest.approx(expected)


def test_a_random_span_is_of_median_length_inside_the_video(tiny: list[BenchmarkQuestion]) -> None:
    for seed in range(20):
        for answer, own in zip(random_span(tiny, seed), tiny, strict=True):
            if own.question.task == "spatial":
                assert answer.span is None
                continue
            assert answer.span is not None
            start, end = answer.span
            assert end - start == pytest.approx(4.6)  # of 4.6, 44.4 and 3.1
            assert own.question.duration is not None
            assert 0 <= start < end <= own.question.duration
            assert all(start <= row[0] < end for row in answer.tracks[0].rows)


def test_a_random_span_is_no_longer_than_a_short_video() -> None:
    truth = parse_answer("<answer><object>dog</object><when>[0.0, 30.0]</when></answer>").answer
    long, short = (
        BenchmarkQuestion("q", Question(truth, "temporal", duration), "", "when", (), None, None) for duration in (40.0, 5.0)
    )
    assert random_span([long, short], 0)[1].span == (0.0, 5.0)


def test_jitter_moves_every_side_of_every_visible_box_by_less_than_half(tiny: list[BenchmarkQuestion]) -> None:
    moved = 0
    for answer, own in zip(jittered_gold(tiny, 0), tiny, strict=True):
        truth = own.question.truth
        assert [track.name for track in answer.tracks] == [track.name for track in truth.tracks]
        for track, true_track in zip(answer.tracks, truth.tracks, strict=True):
            for row, true in zip(track.rows, true_track.rows, strict=True):
                assert row[0] == true[0]
                assert is_visible(row) == is_visible(true)
                sides = np.array([true[3] - true[1], true[4] - true[2]] * 2)
                shifts = np.abs(np.array(row[1:]) - np.array(true[1:]))
                assert (shifts <= MAX_JITTER * sides + 1e-9).all()
                moved += np.count_nonzero(shifts)
    assert moved == 9 * 4


def test_jittered_spans_stay_spans(tiny: list[BenchmarkQuestion]) -> None:
    for seed in range(50):
        spans = [answer.span for answer in jittered_gold(tiny, seed)]
        assert [span is None for span in spans] == [own.question.truth.span is None for own in tiny]
        assert all(span[0] < span[1] for span in spans if span)


def test_on_tiny_data_jitter_lies_below_gold(tiny: list[BenchmarkQuestion]) -> None:
    perfect, jittered = figures_of(gold(tiny, 0), tiny), figures_of(jittered_gold(tiny, 0), tiny)
    for task, name in (("temporal", "m_tIoU"), ("spatial", "m_vIoU"), ("spatio_temporal", "m_vIoU")):
        assert 0 < jittered[task][name]["value"] < perfect[task][name]["value"] == 1.0
        assert jittered[task]["object_f1"]["value"] == 1.0


# --- the released file ------------------------------------------------------------------------------------------------


def test_the_whole_video_reaches_the_known_figures(real_figures: dict[str, Figures]) -> None:
    own = real_figures["whole video"]
    assert percent(own["temporal"], SPAN_SCORES) == [58.30, 65.77, 55.26, 46.10]
    assert percent(own["spatio_temporal"], SPAN_SCORES) == [53.63, 61.11, 50.33, 41.18]


def test_gold_is_exactly_one_in_every_defined_score(real: list[BenchmarkQuestion], vectors_file: Path) -> None:
    texts = [write_answer(answer, own.question.task) for answer, own in zip(gold(real, 0), real, strict=True)]
    assert texts == [own.answer for own in real]
    parsed = [parse_answer(text) for text in texts]
    for names in (EXACT, NameMatcher(load_word_vectors(str(vectors_file)))):
        scores = score_questions(parsed, [own.question for own in real], names)
        defined = [value for one in scores for read in TABLE_SCORES.values() if (value := read(one)) is not None]
        # of 12 scores a temporal question has 7, a spatial one 8; one has no visible box
        assert len(defined) == 666 * 7 + 666 * 8 + 306 * 12 - 5
        assert set(defined) == {1.0}


def test_the_skill_of_the_whole_video_is_that_of_the_best_constant(real_figures: dict[str, Figures]) -> None:
    own = real_figures["whole video"]
    for task, name in (("temporal", "m_tIoU"), ("spatio_temporal", "m_tIoU"), ("spatial", "m_vIoU")):
        assert own[task][name]["skill"] == pytest.approx(0, abs=1e-9)
    for task, names in (("temporal", SPAN_SCORES), ("spatio_temporal", SPAN_SCORES + BOX_SCORES), ("spatial", BOX_SCORES)):
        assert all(own[task][name]["skill"] <= 1e-9 for name in names)


@pytest.mark.parametrize(
    ("task", "name"),
    [("temporal", "m_tIoU"), ("spatial", "m_vIoU"), ("spatio_temporal", "m_tIoU"), ("spatio_temporal", "m_vIoU")],
)
def test_jitter_lies_between_the_whole_video_and_gold(real_figures: dict[str, Figures], task: Task, name: str) -> None:
    constant, jittered, perfect = (real_figures[floor][task][name] for floor in ("whole video", "gold +- 10%", "gold"))
    assert constant["value"] < jittered["value"] < perfect["value"] == 1.0
    assert 0 < jittered["skill"] < perfect["skill"] == 1.0
    assert constant["floor"] == jittered["floor"] == perfect["floor"]


def test_a_random_span_is_worse_than_the_whole_video(real_figures: dict[str, Figures]) -> None:
    for task in ("temporal", "spatio_temporal"):
        assert real_figures["random span"][task]["m_tIoU"]["value"] < real_figures["whole video"][task]["m_tIoU"]["value"]
        assert real_figures["random span"][task]["m_tIoU"]["skill"] < 0


@pytest.mark.parametrize("task", TASKS)
def test_names_that_the_question_gives_away_are_always_right(real_figures: dict[str, Figures], task: Task) -> None:
    accuracy = real_figures["whole video"][task]["object_accuracy"]["value"]
    assert accuracy < 0.1 if task == "spatial" else accuracy == 1.0


@pytest.mark.parametrize("floor", FLOORS.values(), ids=FLOORS)
def test_on_the_released_file_a_floor_is_repeatable(floor: Floor, real: list[BenchmarkQuestion]) -> None:
    assert floor(real, 3) == floor(real, 3)
