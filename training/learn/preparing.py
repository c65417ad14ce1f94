"""What a run starts from: clips and their data set on disk, examples read back, and a tiny model that knows the words."""

import re
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import parse_answer

from ..answer_form import answer_text
from ..clips import ClipCache
from ..examples import Example
from ..examples import example_rows
from ..examples import load_examples
from ..media import MediaEncoder
from ..policy import load_policy
from ..tiny_models import write_tiny_omni
from ..tiny_models import write_tiny_vl
from .tasks import LearnTask
from .world import write_world

CACHE_BYTES = 500_000_000
SPARE_TOKENS = 2  # of a completion, beyond the longest answer
WRITERS = {"vl": write_tiny_vl, "omni": write_tiny_omni}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)")


class LearnError(RuntimeError):
    """A run that cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model with random weights and what it will see.

    ``most_tokens`` is the length of the longest answer that a clip can have, and a little more.
    """

    task: LearnTask
    folder: Path
    model: Any
    encoder: MediaEncoder
    training: tuple[Example, ...]
    held_out: tuple[Example, ...]
    most_tokens: int


def prepare(task: LearnTask, folder: Path, seed: int) -> Prepared:
    """Writes clips, data set and model into ``folder`` and reads them back as training does."""
    write_world(task.world, folder, {"train": task.clips, "test": task.held_out}, seed)
    cache = ClipCache(folder / "cache", CACHE_BYTES)
    training, held_out = (_examples(task, folder, split, cache) for split in ("train", "test"))
    prompts, answers = prompts_of(task, training[:1]), answers_of(task, training[0])
    WRITERS[task.family](folder / "model", seed, [*prompts, *answers], task.size, phrases([*prompts, *answers]))
    model, processor = load_policy(str(folder / "model"), dtype="float32", folder=folder)
    most = max(len(processor.tokenizer(answer)["input_ids"]) for answer in answers) + SPARE_TOKENS
    return Prepared(task, folder, model, MediaEncoder(processor, task.media, cache), training, held_out, most)


def _examples(task: LearnTask, folder: Path, split: str, cache: ClipCache) -> tuple[Example, ...]:
    found, skipped = load_examples(str(folder / "r-avst"), split, folder / "videos", task.media, cache)
    if skipped:
        raise LearnError(f"{len(skipped)} clips of {folder} cannot be used, the first: {skipped[0]}; remove the folder")
    return tuple(found)


def prompts_of(task: LearnTask, examples: Sequence[Example]) -> list[str]:
    """The text of each prompt."""
    rows = example_rows(examples, task.form, task.media.audio)
    return [block["text"] for prompt in rows["prompt"] for block in prompt[0]["content"] if block.get("text")]


def answers_of(task: LearnTask, example: Example) -> list[str]:
    """Every answer that a clip of the world can have, as the model should write it."""
    sizes = example.source_size, example.processed_size
    return [answer_text(choice, task.world.task, task.form, *sizes) for choice in task.world.choices]


def truth_of(example: Example) -> Answer:
    """The true answer, boxes in source pixels."""
    return parse_answer(example.truth).answer


def phrases(texts: Iterable[str]) -> list[str]:
    """What stands between the numbers of texts, each once: as tokens they make prompts and answers short.

    >>> phrases(["from 1.0 to 2.0", "from 3 on"])
    ['from ', ' to ', ' on']
    """
    pieces = (piece for text in texts for piece in _NUMBER.split(text)[::2])
    return [piece for piece in dict.fromkeys(pieces) if piece]
