"""Rows become frames and can be had back."""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r_avst.dataset_builder.records import Frame
from r_avst.dataset_builder.records import Instance
from r_avst.dataset_builder.records import Video
from r_avst.dataset_builder.records import frames_of
from r_avst.metrics.avst_metrics.answers import Row

A = (1.0, 2.0, 3.0, 4.0)
B = (5.0, 6.0, 7.0, 8.0)
ZERO = (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("rows", "frames"),
    [
        ([], ()),
        ([(1.4, *A)], (Frame(1.4, (Instance(A, True),)),)),
        ([(1.4, *ZERO)], (Frame(1.4, (Instance(ZERO, False),)),)),
        ([(1.0, *A), (1.0, *B)], (Frame(1.0, (Instance(A, True), Instance(B, True))),)),
        ([(1.0, *A), (1.0, *A)], (Frame(1.0, (Instance(A, True), Instance(A, True))),)),
        ([(1.0, *A), (1.0, *ZERO)], (Frame(1.0, (Instance(A, True), Instance(ZERO, False))),)),
        ([(2.0, *A), (1.0, *B)], (Frame(2.0, (Instance(A, True),)), Frame(1.0, (Instance(B, True),)))),
    ],
)
def test_adjacent_rows_of_one_time_share_a_frame(rows: list[Row], frames: tuple[Frame, ...]) -> None:
    assert frames_of(rows) == frames


def test_a_time_that_comes_back_later_gets_a_frame_of_its_own() -> None:
    frames = frames_of([(1.0, *A), (2.0, *A), (1.0, *B)])
    assert [frame.time for frame in frames] == [1.0, 2.0, 1.0]


few_numbers = st.sampled_from([0.0, 1.0, 1.4, 2.0])


@given(st.lists(st.tuples(few_numbers, few_numbers, few_numbers, few_numbers, few_numbers)))
def test_the_rows_can_be_had_back_in_their_order(rows: list[Row]) -> None:
    frames = frames_of(rows)
    assert [(frame.time, *one.box) for frame in frames for one in frame.instances] == rows
    assert [one.visible for frame in frames for one in frame.instances] == [any(row[1:]) for row in rows]


def test_the_frame_size_of_a_video_is_unknown_until_told_and_records_are_frozen() -> None:
    video = Video("tiny_dog", "test", 10.0)
    assert (video.width, video.height) == (None, None)
    with pytest.raises(FrozenInstanceError):
        video.width = 640  # type: ignore[misc]
