"""An answer that is watched: what stands comes at every beat, its end comes once, and who closes it stops it."""

import threading
import time

import pytest

from r_avst.training.asking import Partial
from r_avst.training.asking import Reply
from r_avst.training.asking import Unanswered
from r_avst.training.streaming import watched

PARTIAL = Partial("q", "half", None)
REPLY = Reply("q", "all", "source", (4, 3), None, 2.0, (), None, None, "stop")


def test_what_stands_comes_at_every_beat_and_the_answer_last() -> None:
    looked = threading.Semaphore(0)

    def work(_: threading.Event) -> Reply | Unanswered:
        for _look in range(2):
            assert looked.acquire(timeout=10)
        return REPLY

    def standing() -> Partial:
        looked.release()
        return PARTIAL

    assert list(watched(work, standing)) == [PARTIAL, PARTIAL, REPLY]


def test_an_answer_that_is_there_at_once_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r_avst.training.streaming.BEAT", 60)
    begun = time.monotonic()
    assert list(watched(lambda _: REPLY, lambda: PARTIAL)) == [REPLY]
    assert time.monotonic() - begun < 30


def test_who_closes_it_does_not_wait_and_the_work_is_told() -> None:
    closed, ended = threading.Event(), threading.Event()

    def work(unwanted: threading.Event) -> Reply | Unanswered:
        assert unwanted.wait(10)
        assert closed.wait(10)
        ended.set()
        return REPLY

    items = watched(work, lambda: PARTIAL)
    next(items)
    items.close()
    assert not ended.is_set()
    closed.set()
    assert ended.wait(5)


def test_what_goes_wrong_in_the_work_is_raised_where_it_is_watched() -> None:
    def work(_: threading.Event) -> Reply | Unanswered:
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        list(watched(work, lambda: PARTIAL))
