"""Portions of questions for workers, and a worker without a model."""

from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path

import pytest

from r_avst.dataset_builder.ray_engine import OnRay
from r_avst.training.asking import Ask
from r_avst.training.asking import Backend
from r_avst.training.asking import Reply
from r_avst.training.asking import Unanswered
from r_avst.training.ray_backend import RayBackend
from r_avst.training.ray_backend import RayError
from r_avst.training.ray_backend import share_out


class Refusing:
    """A backend that answers nothing."""

    def answers(self, asks: Sequence[Ask]) -> Iterator[Reply | Unanswered]:
        for own in asks:
            yield Unanswered(own.question_id, "no")


def no_model() -> Backend:
    raise ValueError("the weights are gone")


def ask(number: int, video: str) -> Ask:
    return Ask(f"q{number}", "temporal", "When is it?", Path(video), (112, 84), 2.0)


ASKS = [ask(number, "abcd"[number % 4]) for number in range(10)]


@pytest.mark.parametrize(("together", "portions"), [(1, 4), (3, 3), (4, 2), (6, 2), (100, 1)])
def test_portions_hold_everything_once_and_keep_videos_together(together: int, portions: int) -> None:
    found = share_out(ASKS, together)
    assert len(found) == portions
    assert sorted(own.question_id for portion in found for own in portion) == sorted(own.question_id for own in ASKS)
    assert all(len(portion) >= together for portion in found[:-1])
    videos = [{own.video for own in portion} for portion in found]
    assert sum(map(len, videos)) == 4


@pytest.fixture
def engine() -> Iterator[OnRay]:
    ray = pytest.importorskip("ray")
    yield OnRay(None, 1)
    ray.shutdown()


def test_every_question_comes_back_once_and_a_worker_without_a_model_stops_the_run(engine: OnRay) -> None:
    results = list(RayBackend(Refusing, engine, 0, 1).answers(ASKS))
    assert sorted(own.question_id for own in results) == sorted(own.question_id for own in ASKS)
    with pytest.raises(RayError, match="a worker has no model: ValueError: the weights are gone"):
        list(RayBackend(no_model, engine, 0, 1).answers(ASKS))
    with pytest.raises(RayError, match="give --ray-gpus 0"):
        list(RayBackend(no_model, engine, 1000, 1).answers(ASKS))
