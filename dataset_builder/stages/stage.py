"""What a stage is: a step from rows to rows, with settings that say when its rows have to be made anew."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol

from ..records import VideoRow

Report = Mapping[str, Any]


class StageError(RuntimeError):
    """Something that no video is to blame for and that stops a stage; the message says what to do. Rows done are kept."""


class VideoStage(Protocol):
    """A stage that works on one video at a time, possibly for long.

    A stage is a frozen dataclass of options: it is pickled to the workers, and each of them opens it once.
    """

    @property
    def name(self) -> str:
        """Of its folder in the work folder."""

    @property
    def workers(self) -> int:
        """How many videos are worked on at once on this machine; what `open` returns must then be safe for threads."""

    @property
    def gpus(self) -> float:
        """GPUs that a worker holds on a Ray cluster."""

    def settings(self) -> Mapping[str, Any]:
        """What the rows depend on beside the row before, as JSON: rows made with other settings are made anew."""

    def open(self) -> Callable[[VideoRow], VideoRow]:
        """Loads what the work needs (models, clients) and returns the work.

        What the work raises is a failure of its video, and the run goes on; a `StageError` ends the run.

        Raises:
            StageError: what the work needs cannot be had.
        """

    def report(self, rows: Sequence[VideoRow]) -> Report:
        """What to tell of a finished stage, as JSON; ``rows`` are all that it made."""


class SetStage(Protocol):
    """A stage that looks at all videos together; quick, and made anew in every run."""

    @property
    def name(self) -> str:
        """Of its folder in the work folder."""

    def run(self, rows: Sequence[VideoRow]) -> tuple[tuple[VideoRow, ...], Report]:
        """The rows that go on, and what to tell of it, as JSON."""
