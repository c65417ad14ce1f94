"""Bad columns are named with their row and a remedy."""

import numpy as np
import pytest

from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.inputs import column
from r_avst.metrics.avst_metrics.inputs import read_predictions
from r_avst.metrics.avst_metrics.inputs import read_questions
from r_avst.metrics.avst_metrics.inputs import task_of

TEMPORAL = "<answer><object>dog</object><when>[0, 2]</when></answer>"
SPATIAL = "<answer><object>dog</object><where>0: [1, 2, 3, 4]</where></answer>"


@pytest.mark.parametrize(
    ("references", "tasks", "durations", "message"),
    [
        (["no answer"], None, None, r"references\[0\] is no well-formed answer.*swapped"),
        ([TEMPORAL, ""], None, None, r"references\[1\]"),
        ([TEMPORAL, "<answer></answer>"], None, None, r"references\[1\].*nothing_found"),
        ([TEMPORAL], ["when"], None, r"tasks\[0\] is 'when'.*temporal, spatial, spatio_temporal"),
        ([TEMPORAL], [3], None, r"tasks\[0\] is 3"),
        ([TEMPORAL], [-1], None, r"tasks\[0\] is -1"),
        ([SPATIAL], ["temporal"], None, r"references\[0\] is no well-formed answer to a temporal question"),
        ([TEMPORAL], [], None, "tasks has 0 entries for 1 references"),
        ([TEMPORAL], None, [0.0], r"durations\[0\] is 0.0"),
        ([TEMPORAL], None, [float("nan")], r"durations\[0\] is nan"),
    ],
)
def test_bad_questions_are_named(references, tasks, durations, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_questions(references, tasks, durations)


def test_columns_may_be_numpy_arrays() -> None:
    (own,) = read_questions([SPATIAL], np.array([1]), np.array([3.0]))
    assert (own.task, own.duration) == ("spatial", 3.0)
    (found,) = read_predictions([SPATIAL], "norm1000", np.array([[2000, 500]]), None)
    assert found.answer.tracks[0].rows == ((0.0, 2.0, 1.0, 6.0, 2.0),)


def test_class_numbers_and_names_are_tasks() -> None:
    named = read_questions([TEMPORAL, SPATIAL], ["temporal", 1], [2.0, 3.0])
    assert [own.task for own in named] == ["temporal", "spatial"]
    assert [own.duration for own in named] == [2.0, 3.0]


@pytest.mark.parametrize(
    ("answer", "task"),
    [
        (TEMPORAL, "temporal"),
        (SPATIAL, "spatial"),
        ("<answer><object>dog</object><when>[0, 2]</when><where></where></answer>", "spatio_temporal"),
    ],
)
def test_the_task_is_read_off_the_tags(answer: str, task: str) -> None:
    assert task_of(parse_answer(answer)) == task


def test_predictions_are_converted_and_a_bad_size_names_its_row() -> None:
    (found,) = read_predictions([SPATIAL], "norm1000", [(2000, 500)], None)
    assert found.answer.tracks[0].rows == ((0.0, 2.0, 1.0, 6.0, 2.0),)
    with pytest.raises(ValueError, match=r"predictions\[1\].*frame_size"):
        read_predictions([SPATIAL, SPATIAL], "unit", [(2, 2), None], None)


def test_a_space_that_does_not_fit_is_warned_about() -> None:
    with pytest.warns(UserWarning, match="coordinate_space 'unit' right"):
        read_predictions([SPATIAL], "unit", [(640, 360)], None)


def test_a_column_is_as_long_as_the_references() -> None:
    assert column("x", None, 2) == [None, None]
    with pytest.raises(ValueError, match="x has 1 entries for 2"):
        column("x", [1], 2)
