"""An answer that is written in a thread while somebody watches, who may lose interest."""

import threading
from collections.abc import Callable
from collections.abc import Generator
from concurrent.futures import Future
from concurrent.futures import wait
from typing import Final
from typing import TypeVar

from .asking import Partial
from .asking import Reply
from .asking import Unanswered

T = TypeVar("T")
BEAT: Final = 0.3  # seconds between two looks at what stands
LEFT: Final = "nobody waits for its answer any more"


def watched(
    work: Callable[[threading.Event], Reply | Unanswered], so_far: Callable[[], Partial]
) -> Generator[Partial | Reply | Unanswered, None, None]:
    """What stands of an answer every `BEAT` seconds, whether or not it grew, and at last the answer.

    Args:
        work: writes the answer, in a thread of its own, and ends soon when the event is set: it is when the iterator is
            closed. Closing does not wait for that.
        so_far: what stands; an empty text while the video is still read, so that whoever watches can leave then, too.

    Raises:
        Exception: of ``work``.
    """
    unwanted = threading.Event()
    answer = in_background(lambda: work(unwanted))
    try:
        while not wait([answer], BEAT).done:
            yield so_far()
        yield answer.result()
    finally:
        unwanted.set()


def in_background(call: Callable[[], T]) -> "Future[T]":
    """In a thread that does not keep the process from ending, as those of an executor would."""
    future: Future[T] = Future()
    threading.Thread(target=_settle, args=(future, call), daemon=True).start()
    return future


def _settle(future: "Future[T]", call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # whoever waits for it must hear of it
        future.set_exception(error)
