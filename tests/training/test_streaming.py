"""An answer that is watched: what stands comes at every beat, its end comes once, and who closes it stops it."""

import threading
import time

import pytest

from r_avst.training.asking import Partial
from r_avst.training.asking import Reply
from r_avst.training.asking import Unanswered
from r_avst.training.streaming import BEAT
from r_avst.training.streaming import watched

PARTIAL = Partial("q", "half", None)
REPLY = Reply("q", "all", "source", (4, 3), None, 2.0, (), None, None, "stop")


def test_what_stands_comes_at_every_beat_and_the_answer_last() -> None:
    def work(_: threading.Event) -> Reply | Unanswered:
        time.sleep(BEAT * 2.5)
        return REPLY

    assert list(watched(work, lambda: PARTIAL)) == [PARTIAL, PARTIAL, REPLY]


def test_an_answer_that_is_there_at_once_is_not_waited_for() -> None:
    begun = time.monotonic()
    assert list(watched(lambda _: REPLY, lambda: PARTIAL)) == [REPLY]
    assert time.monotonic() - begun < BEAT


def test_who_closes_it_does_not_wait_and_the_work_is_told() -> None:
    told = threading.Event()

    def work(unwanted: threading.Event) -> Reply | Unanswered:
        assert unwanted.wait(10)
        time.sleep(0.5)
        told.set()
        return REPLY

    items = watched(work, lambda: PARTIAL)
    next(items)
    begun = time.monotonic()
    items.close()
    assert time.monotonic() - begun < 0.2
    assert told.wait(5)


def test_what_goes_wrong_in_the_work_is_raised_where_it_is_watched() -> None:
    def work(_: threading.Event) -> Reply | Unanswered:
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        list(watched(work, lambda: PARTIAL))
