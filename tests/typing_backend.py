"""A model that types: it writes the true boxes of the film of `review_data` letter by letter, and may be stopped."""

import threading
import time
from collections.abc import Generator
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from review_data import HIDDEN
from review_data import SECONDS
from review_data import square_box

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.training.answer_form import AnswerForm
from r_avst.training.asking import Ask
from r_avst.training.asking import Partial
from r_avst.training.asking import Reply
from r_avst.training.asking import Unanswered
from r_avst.training.streaming import LEFT
from r_avst.training.streaming import watched

FORM = AnswerForm("source", 1, 1)
FALLS = "Fall over."
IS_ILL = "Say nothing."


def typed_answer(ask: Ask) -> str:
    """The film's square under the name of the question's last word, which tells whose answer it is."""
    rows = [(float(time), *square_box(time)) for time in range(SECONDS) if time != HIDDEN]
    name = ask.question.split()[-1].strip("?")
    return write_answer(Answer((Track(name, tuple(rows)),), (1.0, 5.0)), "spatio_temporal")


@dataclass
class TypingBackend:
    """``seconds`` for an answer, after ``reading`` of the video, which nothing interrupts.

    ``writing`` counts those under way, ``most`` the most there were at once.
    It falls over when it is asked to `FALLS`, and has no answer when asked to `IS_ILL`.
    """

    seconds: float
    reading: float = 0.0
    writing: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answers(self, asks: Sequence[Ask]) -> Iterator[Reply | Unanswered]:
        for ask in asks:
            yield from (item for item in self.stream(ask) if not isinstance(item, Partial))

    def stream(self, ask: Ask) -> Generator[Partial | Reply | Unanswered, None, None]:
        written: list[str] = []
        return watched(
            lambda unwanted: self._typed(ask, written, unwanted),
            lambda: Partial(ask.question_id, "".join(written), None),
        )

    def _typed(self, ask: Ask, written: list[str], unwanted: threading.Event) -> Reply | Unanswered:
        if ask.question == FALLS:
            raise RuntimeError(f"{ask.video}: the model fell over")
        if ask.question == IS_ILL:
            return Unanswered(ask.question_id, f"{ask.video}: the model is ill")
        time.sleep(self.reading)
        if unwanted.is_set():
            return Unanswered(ask.question_id, LEFT)
        with self.lock:
            self.writing += 1
            self.most = max(self.most, self.writing)
        text = typed_answer(ask)
        for letter in text:
            if unwanted.is_set():
                break
            written.append(letter)
            time.sleep(self.seconds / len(text))
        with self.lock:
            self.writing -= 1
        return Reply(ask.question_id, text, "source", ask.source_size, None, 2.0, (), 100, len(text), "stop")
