"""The questions of a run spread over a Ray cluster: an actor a worker holds the model, and answers some videos' at a time.

Ray starts a killed worker again and gives its questions to another. The videos, the model and this package must be where
every worker finds them, under the same paths.
"""

import pickle
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from itertools import groupby

from r_avst.dataset_builder.ray_engine import OnRay
from r_avst.dataset_builder.stages.stage import StageError

from .asking import Ask
from .asking import Backend
from .asking import Reply
from .asking import Unanswered


class RayError(RuntimeError):
    """A cluster that cannot be used, or a worker without a model; the message says what to do. What was answered stands."""


class RayBackend:
    """A backend a worker.

    Args:
        open_backend: is pickled to the workers; each calls it once.
        engine: where, and how many workers at most.
        gpus: that a worker holds.
        together: questions at least, of whole videos, that a worker is given at a time: the batches of its model.
    """

    def __init__(self, open_backend: Callable[[], Backend], engine: OnRay, gpus: float, together: int) -> None:
        self._open, self._engine, self._gpus, self._together = open_backend, engine, gpus, together

    def answers(self, asks: Sequence[Ask]) -> Iterator[Reply | Unanswered]:
        """Asks all of them; each comes back once, those that a worker was given together at the same moment.

        Raises:
            RayError: Ray is not installed, the cluster cannot be used, or a worker has no model.
        """
        portions = share_out(asks, self._together)
        try:
            data = self._engine.connected(self._gpus)
        except StageError as error:
            raise RayError(str(error)) from None
        rows = [{"asks": pickle.dumps(portion)} for portion in portions]
        done = data.from_items(rows, override_num_blocks=len(rows)).map(
            AskingWorker,
            fn_constructor_args=(self._open,),
            concurrency=(1, min(self._engine.workers, len(rows))),
            num_gpus=self._gpus or None,
        )
        for row in done.iter_rows():
            if row["stop"]:
                raise RayError(row["stop"])
            yield from pickle.loads(row["results"])


class AskingWorker:
    """An actor: opens its backend once, then answers one portion after the other."""

    def __init__(self, open_backend: Callable[[], Backend]) -> None:
        self._stop = ""
        try:
            self._backend = open_backend()
        except Exception as error:  # an actor that dies would be started again and again
            self._stop = f"a worker has no model: {type(error).__name__}: {error}"

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes | str]:
        """The results of a portion; "stop" says why there are none, if there are none."""
        if self._stop:
            return {"results": b"", "stop": self._stop}
        return {"results": pickle.dumps(list(self._backend.answers(pickle.loads(row["asks"])))), "stop": ""}


def share_out(asks: Sequence[Ask], together: int) -> list[list[Ask]]:
    """Portions of at least so many questions, the last one apart; the questions of a video stay together."""
    portions: list[list[Ask]] = []
    for _, group in groupby(sorted(asks, key=lambda ask: str(ask.video)), key=lambda ask: ask.video):
        if portions and len(portions[-1]) < together:
            portions[-1].extend(group)
        else:
            portions.append(list(group))
    return portions
