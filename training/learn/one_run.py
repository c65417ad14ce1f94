"""One task with one seed, from nothing to figures."""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from typing import Final

from .controls import best_constant
from .controls import mean_of_others
from .controls import mean_of_own
from .measuring import exchanged_scores
from .measuring import held_out_scores
from .preparing import Prepared
from .preparing import prepare
from .preparing import truth_of
from .results import Result
from .tasks import LearnTask
from .teaching import fine_tune
from .teaching import reinforce

Tell = Callable[[str], None]
TRAINED: Final = "trained"
KEPT: Final = (TRAINED, "r-avst", "videos")
"""What a run leaves in its folder: the trained model with its processor, the data set, the clips."""


def run(task: LearnTask, folder: Path, seed: int, tell: Tell) -> Result:
    """Makes clips and model, trains, and measures before and after GRPO.

    Args:
        task: what is learned.
        folder: for clips, data set and model; what is left in it of an earlier run is used again or replaced. It ends with
            what `KEPT` names.
        seed: of everything that is drawn.
        tell: is given a line after each step.
    """
    begun = time.monotonic()

    def told(line: str) -> None:
        tell(f"{time.monotonic() - begun:5.0f} s  {line}")

    prepared = prepare(task, folder, seed)
    constant = _constant(prepared)
    told(f"{task.clips} + {task.held_out} clips and a model are there; the best constant answer scores {constant:.3f}")
    steps = [fine_tune(prepared, phase, seed) for phase in task.phases]
    before = mean_of_own(held_out_scores(prepared))
    told(f"after {' + '.join(map(str, steps))} steps of SFT the held-out score is {before:.3f}")
    rewards = reinforce(prepared, seed)
    scores = held_out_scores(prepared)
    after = mean_of_own(scores)
    told(f"after {len(rewards)} steps of GRPO it is {after:.3f}")
    sound, pictures = exchanged_scores(prepared) if task.media.audio else (mean_of_others(scores), None)
    told(f"with another clip's {'sound' if task.media.audio else 'video'} it is {sound:.3f}")
    seconds = round(time.monotonic() - begun, 1)
    _keep(prepared)
    return Result(seed, before, after, constant, sound, pictures, steps, seconds, rewards, settings_of(task))


def settings_of(task: LearnTask) -> dict[str, Any]:
    """What a result depends on beside the seed, as JSON has it."""
    world = task.world
    facts = {"name": world.name, "task": world.task, "seconds": world.seconds, "fps": world.fps, "size": list(world.size)}
    own = {name: getattr(task, name) for name in task.__dataclass_fields__}
    plain = {name: asdict(value) if hasattr(value, "__dataclass_fields__") else value for name, value in own.items()}
    return plain | {"world": facts, "phases": [asdict(phase) for phase in task.phases]}


def _keep(prepared: Prepared) -> None:
    """Removes what only the run itself needed and saves the trained model, which comes last: it says that all is there."""
    for path in prepared.folder.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    part = prepared.folder / f"{TRAINED}.part"
    prepared.model.save_pretrained(part)
    prepared.encoder.processor.save_pretrained(part)
    part.rename(prepared.folder / TRAINED)


def _constant(prepared: Prepared) -> float:
    truths = [truth_of(example) for example in prepared.held_out]
    return best_constant(truths, prepared.task.world.constants, prepared.task.world.task)[1]
