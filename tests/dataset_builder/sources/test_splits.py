"""A video stays in its split."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r_avst.dataset_builder.sources.splits import split_of

IDS = [f"video {number}" for number in range(20_000)]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_the_share_of_test_videos_is_about_the_one_asked_for(share: float) -> None:
    tests = sum(split_of(video_id, 0, share) == "test" for video_id in IDS)
    assert tests / len(IDS) == pytest.approx(share, abs=0.01)


@given(st.text(), st.integers())
def test_every_id_has_one_of_the_two_splits(video_id: str, seed: int) -> None:
    if not any("\ud800" <= letter <= "\udfff" for letter in video_id):
        assert split_of(video_id, seed) in ("train", "test")


def test_a_larger_share_only_adds_test_videos() -> None:
    few, more = ({own for own in IDS if split_of(own, 3, share) == "test"} for share in (0.1, 0.3))
    assert few < more


def test_another_seed_splits_otherwise() -> None:
    both = sum(split_of(own, 0) == split_of(own, 1) == "test" for own in IDS)
    assert both / len(IDS) == pytest.approx(0.2 * 0.2, abs=0.01)


def test_the_split_is_the_same_in_another_process() -> None:
    script = "from r_avst.dataset_builder.sources.splits import split_of; print([split_of(f'v{n}', 0) for n in range(50)])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str([split_of(f"v{n}", 0) for n in range(50)])


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), 20])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"must be in 0\.\.1"):
        split_of("v", 0, share)
