"""Questions are written and read by one set of templates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r_avst.dataset_builder.question_forms import PATTERNS
from r_avst.dataset_builder.question_forms import TEMPLATES
from r_avst.dataset_builder.question_forms import TYPES_OF_TASK
from r_avst.dataset_builder.question_forms import ask_about_object
from r_avst.dataset_builder.question_forms import ask_about_span
from r_avst.dataset_builder.records import QUESTION_TYPES
from r_avst.metrics.avst_metrics.answers import TASKS


def test_every_question_type_has_a_template_and_a_task() -> None:
    assert set(TEMPLATES) == set(PATTERNS) == set(QUESTION_TYPES)
    assert tuple(TYPES_OF_TASK) == TASKS
    assert sorted(own for types in TYPES_OF_TASK.values() for own in types) == sorted(QUESTION_TYPES)


def test_the_questions_are_the_release_s_word_for_word() -> None:
    assert ask_about_object("when", "a Dog") == "When is the moment a Dog makes sound and is visible?"
    assert (
        ask_about_object("when_where", "a Dog")
        == 'When is the moment a Dog makes sound and is visible, and where is the "a Dog"?'
    )
    span = (1.38, 6.0)
    assert ask_about_span("where_sounding", span) == (
        "What visible object(s) make sound between 1.4 and 6.0, and where is/are they?"
    )
    assert ask_about_span("where_silent", span) == (
        "What silent object(s) can be seen between 1.4 and 6.0, and where is/are they?"
    )


@given(st.sampled_from(["when", "when_where"]), st.from_regex(r"[^\n\r]+", fullmatch=True))
def test_any_name_on_one_line_is_read_back(question_type: str, name: str) -> None:
    found = PATTERNS[question_type].fullmatch(ask_about_object(question_type, name))
    assert found is not None
    assert found["name"] == name


@given(st.sampled_from(["where_sounding", "where_silent"]), st.floats(0, 1e5), st.floats(0, 1e5))
def test_any_span_is_read_back_to_a_tenth(question_type: str, start: float, end: float) -> None:
    found = PATTERNS[question_type].fullmatch(ask_about_span(question_type, (start, end)))
    assert found is not None
    assert (float(found["start"]), float(found["end"])) == (round(start, 1), round(end, 1))


@pytest.mark.parametrize("name", ["a dog\nand a cat", ""])
def test_a_name_that_is_no_line_is_not_read(name: str) -> None:
    assert PATTERNS["when"].fullmatch(ask_about_object("when", name)) is None


def test_two_names_in_one_question_are_not_read() -> None:
    text = 'When is the moment a dog makes sound and is visible, and where is the "a cat"?'
    assert PATTERNS["when_where"].fullmatch(text) is None
