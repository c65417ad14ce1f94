"""What a question to a model is, and what comes back: the same for every model and every way to reach one."""

from collections.abc import Generator
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from typing import Protocol

from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.coordinates import Space

Finish = Literal["stop", "length", "refused"]


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to a model.

    Attributes:
        question_id: as in the data set.
        task: of the question.
        question: its text.
        video: the file.
        source_size: width and height of the video in pixels as people see it.
        duration: seconds of picture.
    """

    question_id: str
    task: Task
    question: str
    video: Path
    source_size: Size
    duration: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, with all that is needed to score it again years later.

    Attributes:
        question_id: of the `Ask`.
        text: of the model, as it came.
        coordinate_space: in which it was asked to write boxes.
        frame_size: width and height of the video in pixels as people see it.
        processed_size: width and height that the space ``model`` refers to; None in every other space.
        fps: frames a second in fact; 0 where the server sampled the video itself and does not say.
        frame_times: seconds at which the frames were on screen; empty where the server sampled the video itself.
        prompt_tokens: with those of the media; None where a server does not say.
        completion_tokens: of the answer; None where a server does not say.
        finish: ``stop``: the model ended its answer; ``length``: it was cut off; ``refused``: it did not want to answer,
            ``text`` then says why.
    """

    question_id: str
    text: str
    coordinate_space: Space
    frame_size: Size
    processed_size: Size | None
    fps: float
    frame_times: tuple[float, ...]
    prompt_tokens: int | None
    completion_tokens: int | None
    finish: Finish


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question that could not be asked or answered, and why; it may be tried again."""

    question_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Partial:
    """What stands of an answer that is being written.

    Attributes:
        question_id: of the `Ask`.
        text: so far; all of it, not what is new.
        processed_size: as of the `Reply` that will follow.
    """

    question_id: str
    text: str
    processed_size: Size | None


class Backend(Protocol):
    """A way to reach a model."""

    def answers(self, asks: Sequence[Ask]) -> Iterator[Reply | Unanswered]:
        """Asks all of them; each comes back exactly once, in any order, as soon as it is known.

        Args:
            asks: questions of any videos.

        Raises:
            Exception: the model cannot be used at all; what was answered before stands.
        """
        ...


class StreamingBackend(Backend, Protocol):
    """A way to reach a model whose answers can be watched while it writes them."""

    def stream(self, ask: Ask) -> Generator[Partial | Reply | Unanswered, None, None]:
        """What stands of the answer every few tenths of a second, whether or not it grew, and at last the answer.

        The last item is the only `Reply` or `Unanswered`. Closing the iterator stops the model soon.

        Raises:
            Exception: the model cannot be used at all.
        """
        ...
