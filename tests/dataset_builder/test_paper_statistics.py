"""The paper's figures agree with each other, as far as they can be held against each other."""

import pytest

from r_avst.dataset_builder import paper_statistics as paper

OURS = paper.TABLE_1[paper.OURS]


def test_the_splits_add_up_to_the_totals_that_the_paper_states() -> None:
    assert sum(paper.VIDEOS.values()) == OURS.videos
    assert {split: sum(own.values()) for split, own in paper.TABLE_5.items()} == {"train": 6_533, "test": 1_633}
    totals = {task: paper.TABLE_5["train"][task] + paper.TABLE_5["test"][task] for task in paper.TABLE_5["test"]}
    assert totals == {"temporal": 3_326, "spatial": 3_330, "spatio_temporal": 1_510}


def test_the_means_follow_from_the_totals() -> None:
    assert paper.TOTAL_LENGTH / OURS.videos == pytest.approx(OURS.mean_length, abs=0.005)
    assert paper.OBJECTS / OURS.videos == pytest.approx(OURS.objects_a_video, abs=0.05)


def test_there_are_the_fifteen_rows_of_table_1() -> None:
    assert len(paper.TABLE_1) == 15
    assert {own.modality for own in paper.TABLE_1.values()} == {"V", "VA"}
