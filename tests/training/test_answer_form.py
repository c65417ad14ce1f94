"""Answers written in a form and read back: the released texts, other spaces, fewer lines, and any text."""

import doctest

import pytest
from hostile_texts import MEGABYTE
from hostile_texts import hostile
from hypothesis import given
from hypothesis import strategies as st

from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Row
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import is_well_formed
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.training import answer_form
from r_avst.training.answer_form import AnswerForm
from r_avst.training.answer_form import AnswerFormError
from r_avst.training.answer_form import answer_text
from r_avst.training.answer_form import full_frame
from r_avst.training.answer_form import read_answer
from r_avst.training.answer_form import scaled_answer

SOURCE, PROCESSED = (640, 360), (320, 720)
RELEASED = AnswerForm("source", 1, 1)
THOUSANDTHS = AnswerForm("norm1000", 1, 0)


def spatial(*rows: Row) -> Answer:
    return Answer((Track("dog", rows),))


def still(*times: float) -> Answer:
    """A dog that stands still at these times."""
    return spatial(*((time, 10.0, 20.0, 50.0, 80.0) for time in times))


def times_of(answer: Answer) -> list[float]:
    return sorted(row[0] for row in answer.tracks[0].rows)


def written_times(answer: Answer, every: int) -> list[float]:
    return times_of(parse_answer(answer_text(answer, "spatial", AnswerForm("source", every, 1), SOURCE, PROCESSED)).answer)


def read_rows(text: str, every: int) -> list[Row]:
    wrapped = f"<answer><object>dog</object><where>{text}</where></answer>"
    return sorted(read_answer(wrapped, AnswerForm("source", every, 1), SOURCE, PROCESSED).answer.tracks[0].rows)


# --- the form itself --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "every", "decimals", "message"),
    [
        ("unit", 1, 3, "'unit'"),
        ("pixels", 1, 1, "'pixels'"),
        ("source", 0, 1, "box_every is 0"),
        ("source", -2, 1, "box_every is -2"),
        ("model", 1, -1, "decimals is -1"),
        ("model", 1, 7, "decimals is 7"),
        ("norm1000", 1, 1, "from 0 to 0"),
    ],
)
def test_a_setting_out_of_range_is_named(space: str, every: int, decimals: int, message: str) -> None:
    with pytest.raises(AnswerFormError, match=message):
        AnswerForm(space, every, decimals)  # type: ignore[arg-type]


def test_the_whole_frame_is_as_large_as_the_space() -> None:
    forms = [AnswerForm("source", 1, 1), AnswerForm("model", 1, 1), THOUSANDTHS]
    assert [full_frame(form, SOURCE, PROCESSED) for form in forms] == [(640, 360), (320, 720), (1000, 1000)]


@pytest.mark.parametrize("form", [AnswerForm("model", 1, 1), RELEASED], ids=str)
def test_a_size_of_nothing_is_an_error(form: AnswerForm) -> None:
    with pytest.raises(ValueError, match="two whole numbers above 0"):
        answer_text(still(0.0), "spatial", form, (0, 360), (0, 360))


# --- writing ----------------------------------------------------------------------------------------------------------


def test_the_released_texts_come_back_byte_for_byte(released_answers: list[tuple[str, Task]]) -> None:
    assert len(released_answers) == 1638
    for text, task in released_answers:
        assert answer_text(parse_answer(text).answer, task, RELEASED, SOURCE, PROCESSED) == text


@pytest.mark.parametrize(
    ("form", "line"),
    [
        (RELEASED, "1.4: [64.0, 36.0, 320.0, 359.5]"),
        (AnswerForm("source", 1, 0), "1.4: [64, 36, 320, 360]"),
        (AnswerForm("source", 1, 2), "1.4: [64.00, 36.00, 320.00, 359.50]"),
        (AnswerForm("model", 1, 1), "1.4: [32.0, 72.0, 160.0, 719.0]"),
        (THOUSANDTHS, "1.4: [100, 100, 500, 999]"),
    ],
    ids=str,
)
def test_boxes_are_written_in_the_space_of_the_form(form: AnswerForm, line: str) -> None:
    text = answer_text(spatial((1.4, 64.0, 36.0, 320.0, 359.5)), "spatial", form, SOURCE, PROCESSED)
    assert text.split("\n")[3] == line


def test_the_span_is_of_no_space() -> None:
    answer = Answer((Track("dog"),), (1.4, 44.4))
    assert "<when>[1.4, 44.4]</when>" in answer_text(answer, "temporal", THOUSANDTHS, SOURCE, PROCESSED)


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ((0.0, 100.0, 100.0, 100.2, 200.0), "0.0: [156, 278, 157, 556]"),
        ((0.0, 0.0, 0.0, 0.1, 0.1), "0.0: [0, 0, 1, 1]"),
        ((0.0, 0.0, 0.0, 0.0, 0.0), "0.0: [0, 0, 0, 0]"),
    ],
)
def test_a_visible_box_keeps_an_area_and_an_invisible_one_stays(row: Row, line: str) -> None:
    text = answer_text(spatial(row), "spatial", THOUSANDTHS, SOURCE, PROCESSED)
    assert text.split("\n")[3] == line
    assert parse_answer(text).problems == ()


@pytest.mark.parametrize(
    ("times", "every", "kept"),
    [
        ([0, 1, 2, 3, 4], 1, [0, 1, 2, 3, 4]),
        ([0, 1, 2, 3, 4], 2, [0, 2, 4]),
        ([0, 1, 2, 3, 4, 5], 2, [0, 2, 4, 5]),
        ([1.4, 2.4, 3.4, 4.4, 5.4], 3, [1.4, 4.4, 5.4]),
        ([0, 1, 2, 3, 9, 10, 11, 12], 2, [0, 2, 3, 9, 11, 12]),
        ([0, 1, 2, 3], 60, [0, 3]),
        ([7], 3, [7]),
        ([], 3, []),
        ([3, 1, 0, 2, 4], 2, [0, 2, 4]),
    ],
)
def test_lines_that_stand(times: list[float], every: int, kept: list[float]) -> None:
    assert written_times(still(*times), every) == kept


def test_instances_of_a_time_stand_or_go_together_in_their_order() -> None:
    rows = [(time, left, 0.0, left + 9.0, 9.0) for time in (0.0, 1.0, 2.0) for left in (50.0, 10.0)]
    text = answer_text(spatial(*rows), "spatial", AnswerForm("source", 2, 1), SOURCE, PROCESSED)
    assert parse_answer(text).answer.tracks[0].rows == tuple(row for row in rows if row[0] != 1.0)


def test_going_out_of_sight_is_written_whatever_the_step() -> None:
    seen, hidden = (10.0, 20.0, 50.0, 80.0), (0.0, 0.0, 0.0, 0.0)
    rows = [(float(time), *(hidden if time in (3, 4, 5) else seen)) for time in range(9)]
    assert written_times(spatial(*rows), 30) == [0, 2, 3, 5, 6, 8]


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [RELEASED, AnswerForm("model", 1, 3), AnswerForm("model", 2, 3)], ids=str)
def test_what_is_written_reads_as_the_truth(form: AnswerForm) -> None:
    answer = spatial(*((float(time), 10.0 + 7 * time, 20.0, 50.0 + 7 * time, 80.0) for time in range(7)))
    text = answer_text(answer, "spatial", form, SOURCE, PROCESSED)
    found = read_answer(text, form, SOURCE, PROCESSED)
    assert found.problems == ()
    for row, true in zip(sorted(found.answer.tracks[0].rows), answer.tracks[0].rows, strict=True):
        assert row == pytest.approx(true, abs=1e-3)


def test_seconds_between_lines_lie_on_the_straight_way() -> None:
    rows = read_rows("0.0: [0, 0, 10, 10]\n3.0: [30, 60, 40, 100]", 3)
    expected = [(0, 0, 0, 10, 10), (1, 10, 20, 20, 40), (2, 20, 40, 30, 70), (3, 30, 60, 40, 100)]
    assert [pytest.approx(row) for row in expected] == rows


def test_a_filled_time_is_one_that_a_grid_has() -> None:
    times = [row[0] for row in read_rows("1.1: [0, 0, 10, 10]\n4.1: [0, 0, 10, 10]", 3)]
    assert times == [1.1, 2.1, 3.1, 4.1]


@pytest.mark.parametrize(
    ("end", "every", "times"),
    [
        ("1.0", 2, [0.0, 1.0]),
        ("1.4", 2, [0.0, 1.4]),
        ("1.5", 2, [0.0, 1.0, 1.5]),
        ("2.5", 2, [0.0, 1.0, 2.0, 2.5]),
        ("2.6", 2, [0.0, 2.6]),
        ("3.0", 1, [0.0, 3.0]),
        ("9.0", 3, [0.0, 9.0]),
    ],
)
def test_only_near_lines_are_joined(end: str, every: int, times: list[float]) -> None:
    assert [row[0] for row in read_rows(f"0.0: [0, 0, 10, 10]\n{end}: [0, 0, 10, 10]", every)] == times


def test_as_many_instances_are_paired_in_order() -> None:
    rows = read_rows("0.0: [0, 0, 10, 10]\n0.0: [50, 0, 60, 10]\n2.0: [4, 0, 14, 10]\n2.0: [56, 0, 66, 10]", 2)
    assert [row for row in rows if row[0] == 1.0] == [(1.0, 2, 0, 12, 10), (1.0, 53, 0, 63, 10)]


@pytest.mark.parametrize("last", ["2.0: [4, 0, 14, 10]\n2.0: [56, 0, 66, 10]", "2.0: [0, 0, 0, 0]"])
def test_where_instances_do_not_pair_the_earlier_stay(last: str) -> None:
    assert [row for row in read_rows(f"0.0: [8, 8, 10, 10]\n{last}", 2) if row[0] == 1.0] == [(1.0, 8, 8, 10, 10)]


def test_out_of_sight_lasts_until_the_next_line() -> None:
    assert read_rows("0.0: [0, 0, 0, 0]\n2.0: [4, 0, 14, 10]", 2)[1] == (1.0, 0, 0, 0, 0)


def test_problems_and_tags_of_the_text_stay() -> None:
    text = "<answer><object>dog</object><where>0: [1, 2, 3, 4]\n2: [5, 5, 5, 5]</where></answer>"
    found, plain = read_answer(text, AnswerForm("norm1000", 2, 0), SOURCE, PROCESSED), parse_answer(text)
    assert plain.problems
    assert (found.problems, found.tags) == (plain.problems, plain.tags)


# --- any text ---------------------------------------------------------------------------------------------------------

forms = st.one_of(
    st.builds(AnswerForm, st.sampled_from(["model", "source"]), st.integers(1, 30), st.integers(0, 3)),
    st.builds(AnswerForm, st.just("norm1000"), st.integers(1, 30), st.just(0)),
)
numbers = st.one_of(
    st.integers(-5, 1500).map(str),
    st.floats(0, 60).map("{:.1f}".format),
    st.sampled_from(["1e308", "-1e308", "1e-320", "9007199254740993", "nan", "inf", "01:30"]),
)
rows = st.tuples(numbers, numbers, numbers, numbers, numbers).map(lambda row: "{}: [{}, {}, {}, {}]\n".format(*row))
tags = st.sampled_from(
    ["<answer>", "</answer>", "<object>", "</object>", "<when>", "</when>", "<where>", "</where>", "dog", "[0, 2]", "{"]
)
texts = st.one_of(st.text(), st.lists(st.one_of(tags, rows, rows, st.text(max_size=5)), max_size=40).map("".join))


@given(texts, forms)
def test_no_text_raises(text: str, form: AnswerForm) -> None:
    found, plain = read_answer(text, form, SOURCE, PROCESSED), parse_answer(text)
    assert found.problems == plain.problems
    for track, written in zip(found.answer.tracks, plain.answer.tracks, strict=True):
        assert track.name == written.name
        assert len(written.rows) <= len(track.rows) <= max(1, form.box_every) * len(written.rows)


@pytest.mark.parametrize("text", ["rows that break off", "wheres", "digits", "nested parts", "boxes by time"])
def test_a_megabyte_of_hostile_text_is_read(text: str) -> None:
    assert read_answer(hostile(text, MEGABYTE), AnswerForm("norm1000", 3, 0), SOURCE, PROCESSED).problems


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Spatio-temporal answers on a grid: instances, gaps, times out of sight, boxes of any size in the frame."""
    start = draw(st.sampled_from([0.0, 0.4, 1.1, 7.5]))
    boxes = st.tuples(st.floats(0, 600), st.floats(0, 300), st.floats(0.01, 40), st.floats(0.01, 60))
    rows: list[Row] = []
    for second in sorted(draw(st.sets(st.integers(0, 15)))):
        time = round(start + second, 1)
        if draw(st.booleans()):
            rows.append((time, 0.0, 0.0, 0.0, 0.0))
        else:
            rows += [(time, x, y, x + w, y + h) for x, y, w, h in draw(st.lists(boxes, min_size=1, max_size=2))]
    return Answer((Track("dog", tuple(rows)),), (start, start + 20.0))


@given(answers(), forms)
def test_every_answer_is_written_well_formed_and_covers_its_times(answer: Answer, form: AnswerForm) -> None:
    for task in TASKS:
        text = answer_text(answer, task, form, SOURCE, PROCESSED)
        assert is_well_formed(parse_answer(text), task)
    found = read_answer(answer_text(answer, "spatio_temporal", form, SOURCE, PROCESSED), form, SOURCE, PROCESSED)
    seen = {row[0] for row in answer.tracks[0].rows if any(row[1:])}
    assert seen <= {row[0] for row in found.answer.tracks[0].rows if any(row[1:])}


@given(answers(), st.sampled_from(["model", "source"]))
def test_without_thinning_boxes_are_off_by_rounding_alone(answer: Answer, space: str) -> None:
    form = AnswerForm(space, 1, 6)  # type: ignore[arg-type]
    text = answer_text(answer, "spatial", form, SOURCE, PROCESSED)
    found = read_answer(text, form, SOURCE, PROCESSED).answer.tracks[0].rows
    for row, true in zip(found, answer.tracks[0].rows, strict=True):
        assert row == pytest.approx(true, abs=4e-6)


@given(answers())
def test_scaling_is_by_one_factor_a_side(answer: Answer) -> None:
    scaled = scaled_answer(answer, AnswerForm("model", 1, 1), SOURCE, PROCESSED)
    for row, true in zip(scaled.tracks[0].rows, answer.tracks[0].rows, strict=True):
        time, x1, y1, x2, y2 = true
        assert row == pytest.approx((time, x1 * 0.5, y1 * 2, x2 * 0.5, y2 * 2))


def test_the_examples_in_docstrings_hold() -> None:
    found = doctest.testmod(answer_form)
    assert (found.attempted > 0, found.failed) == (True, 0)
