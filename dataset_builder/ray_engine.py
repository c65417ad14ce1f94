"""The engine that spreads videos over a Ray cluster: an actor a worker holds the models, and does a video at a time.

Ray starts a killed worker again and gives its video to another; results come as they are ready. The videos and the models
must be where every worker finds them, under the same paths.
"""

import logging
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .pipeline import Task
from .pipeline import attempt
from .stages.stage import StageError
from .stages.stage import VideoStage
from .work_folder import Outcome
from .work_folder import outcome_from_text
from .work_folder import outcome_text
from .work_folder import row_from_text
from .work_folder import row_text


@dataclass(frozen=True, slots=True)
class OnRay:
    """Runs a stage on a Ray cluster: ``address`` of it, or None for one on this machine; ``workers`` actors at most."""

    address: str | None
    workers: int

    def __call__(self, stage: VideoStage, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """The outcomes as they come, in any order.

        Raises:
            StageError: Ray is not installed, the cluster cannot be reached, or the stage cannot go on.
        """
        data = self.connected(stage.gpus)
        rows = [{"input": made_from, "row": row_text(row)} for made_from, row in tasks]
        done = data.from_items(rows, override_num_blocks=len(rows)).map(
            Worker,
            fn_constructor_args=(stage,),
            concurrency=(1, min(self.workers, len(rows))),
            num_gpus=stage.gpus or None,
        )
        for answer in done.iter_rows():
            if answer["stop"]:
                raise StageError(answer["stop"])
            yield outcome_from_text(answer["outcome"])

    def connected(self, gpus: float) -> Any:
        """`ray.data`, connected to the cluster.

        Raises:
            StageError: Ray is not installed, the cluster cannot be used, or has fewer than ``gpus`` GPUs.
        """
        try:
            import ray
            import ray.data
        except ImportError:
            raise StageError("--engine ray needs Ray: pip install 'r-avst[ray]'") from None
        try:
            ray.init(address=self.address, ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise StageError(f"the Ray cluster at {self.address or 'this machine'} cannot be used ({error})") from None
        there: float = ray.cluster_resources().get("GPU", 0.0)  # type: ignore[no-untyped-call]
        if there < gpus:  # Ray would wait for one, for ever
            raise StageError(
                f"a worker is to hold {gpus:g} GPUs and the Ray cluster has {there:g}: give --ray-gpus 0, or add some"
            )
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False  # the run has one of its own
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        return ray.data


class Worker:
    """An actor: opens the stage once, then works on one video after the other."""

    def __init__(self, stage: VideoStage) -> None:
        self._stop = ""
        try:
            self._work = stage.open()
        except StageError as error:  # an actor that dies would be started again and again
            self._stop = str(error)

    def __call__(self, task: dict[str, str]) -> dict[str, str]:
        """The outcome as text; "stop" says why the stage cannot go on, if it cannot."""
        if self._stop:
            return {"outcome": "", "stop": self._stop}
        try:
            outcome = attempt(self._work, (task["input"], row_from_text(task["row"])))
        except StageError as error:
            return {"outcome": "", "stop": str(error)}
        return {"outcome": outcome_text(outcome), "stop": ""}
