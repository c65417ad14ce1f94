"""The questions that raters see are those that were built."""

import json
from dataclasses import asdict
from dataclasses import replace
from pathlib import Path

import pytest
from review_data import FILM
from review_data import HOSTILE
from review_data import IDS
from review_data import square_track
from review_data import write_review_data

from r_avst.dataset_builder.review_questions import ReviewQuestion
from r_avst.dataset_builder.review_questions import load_review_questions
from r_avst.dataset_builder.review_questions import sample_questions
from r_avst.metrics.benchmark import BenchmarkError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("data")
    write_review_data(folder)
    return str(folder / "r-avst")


@pytest.fixture(scope="module")
def questions(dataset: str) -> list[ReviewQuestion]:
    return load_review_questions(dataset, "test")


def test_every_question_comes_with_all_that_is_shown(questions: list[ReviewQuestion]) -> None:
    assert [own.question_id for own in questions] == IDS
    first = asdict(questions[0]) | {"answer": ""}
    assert first == asdict(
        ReviewQuestion(
            IDS[0], FILM, f"When is {HOSTILE} seen?", "when", "", (1.0, 5.0), 6.0, 160, 120, (square_track(HOSTILE),)
        )
    )
    assert questions[0].answer.startswith(f"<answer>\n<object>{HOSTILE}</object>\n<when>[1.0, 5.0]</when>")
    assert (questions[1].width, questions[1].height, questions[1].objects[0].frames) == (None, None, ())
    assert [own.span for own in questions] == [(1.0, 5.0), (0.5, 2.5), (0.0, 6.0), (2.0, 4.0), (1.0, 9.0)]


def test_a_sample_keeps_the_order_and_depends_on_the_seed_alone(questions: list[ReviewQuestion]) -> None:
    many = [replace(own, question_id=f"{place:02}") for place, own in enumerate(questions * 20)]
    first, again, other = ([own.question_id for own in sample_questions(many, 30, seed)] for seed in (0, 0, 1))
    assert first == again != other
    assert len(set(first)) == 30
    assert first == sorted(first)
    assert sample_questions(questions, 99, 0) == questions


def test_what_cannot_be_loaded_is_named(dataset: str, tmp_path: Path, tiny_release: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"the split 'train' of .*r-avst' cannot be loaded .*Build it: r-avst-build"):
        load_review_questions(dataset, "train")
    with pytest.raises(BenchmarkError, match=r"'absent' cannot be loaded \(there is no such folder here\)"):
        load_review_questions("absent", "test")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "test.jsonl").write_text(json.dumps({"question_id": "q"}) + "\n", encoding="utf-8")
    with pytest.raises(BenchmarkError, match=r"lacks the columns \['answer', 'duration'.*is it a data set of r-avst-build"):
        load_review_questions(str(tmp_path / "other"), "test")
