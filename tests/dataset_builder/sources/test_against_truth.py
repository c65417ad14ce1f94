"""Figures of boxes against the truth: cases worked by hand."""

from dataclasses import replace

import pytest
from scripted_stages import video_row

from r_avst.dataset_builder.records import Frame
from r_avst.dataset_builder.records import Instance
from r_avst.dataset_builder.records import ObjectTrack
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.sources.against_truth import describe
from r_avst.dataset_builder.sources.against_truth import measure

HIDDEN = Instance((0.0, 0.0, 0.0, 0.0), visible=False)
LEFT = Instance((0.0, 0.0, 10.0, 10.0), visible=True)
HALF = Instance((0.0, 0.0, 10.0, 5.0), visible=True)


def row(*instances: Instance, name: str = "dog", video_id: str = "v") -> VideoRow:
    track = ObjectTrack(name, True, tuple(Frame(1.0 + second, (own,)) for second, own in enumerate(instances)))
    plain = video_row(video_id)
    return replace(plain, events=tuple(replace(event, objects=(track,)) for event in plain.events))


@pytest.mark.parametrize(
    ("found", "true", "figures"),
    [
        ([row(LEFT, LEFT)], [row(LEFT, LEFT)], (2, 1.0, 1.0, 1.0)),
        ([row(HALF, LEFT)], [row(LEFT, LEFT)], (2, 0.75, 1.0, 1.0)),
        ([row(LEFT, LEFT)], [row(LEFT, HIDDEN)], (2, 1.0, 0.5, 1.0)),
        ([row(LEFT, HIDDEN)], [row(LEFT, LEFT)], (2, 0.5, 1.0, 0.5)),
        ([row(HIDDEN)], [row(HIDDEN)], (1, None, None, None)),
        ([row(LEFT, name="cat")], [row(LEFT)], (1, 0.0, None, 0.0)),
        ([row(LEFT)], [row(LEFT, LEFT)], (2, 0.5, 1.0, 0.5)),
        ([row(LEFT)], [row(LEFT), row(LEFT, video_id="failed")], (1, 1.0, 1.0, 1.0)),
    ],
)
def test_figures_are_those_worked_by_hand(
    found: list[VideoRow], true: list[VideoRow], figures: tuple[int, float | None, float | None, float | None]
) -> None:
    assert tuple(measure(found, true).values()) == figures


def test_what_cannot_be_said_is_a_dash() -> None:
    said = describe(measure([row(HIDDEN)], [row(HIDDEN)]))
    assert said == "Against the truth, at 1 times of objects: mean IoU -; visible: precision -, recall -"
