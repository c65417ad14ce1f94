"""Held-out scores of a model: on its own clips, with others in their place, with the sound or the pictures alone swapped."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from r_avst.metrics.avst_metrics.answers import ParsedAnswer

from ..answer_form import read_answer
from ..examples import Example
from ..examples import example_rows
from ..generation import greedy_answers
from .controls import score_matrix
from .preparing import LearnError
from .preparing import Prepared
from .preparing import prompts_of
from .preparing import truth_of
from .world import write_exchanged

BATCH = 32
SHIFTS = (1, 7, 13)  # by how many places sounds move among the held-out clips


def answers_to(prepared: Prepared, examples: Sequence[Example]) -> list[ParsedAnswer]:
    """What the model answers, token by token the likeliest; boxes in source pixels."""
    task = prepared.task
    prompts = example_rows(examples, task.form, task.media.audio)["prompt"]
    texts = greedy_answers(prepared.model, prepared.encoder, prompts, prepared.most_tokens, BATCH)
    return [
        read_answer(text, task.form, example.source_size, example.processed_size)
        for text, example in zip(texts, examples, strict=True)
    ]


def held_out_scores(prepared: Prepared) -> NDArray[np.float64]:
    """The score of the answer to each held-out clip (rows) against the truth of each (columns).

    Raises:
        LearnError: prompts differ, so an answer is no answer to another clip's question.
    """
    if len(set(prompts_of(prepared.task, prepared.held_out))) != 1:
        raise LearnError(f"the prompts of {prepared.task.world.name} differ: swapped clips cannot be read off its answers")
    return _scores(prepared, answers_to(prepared, prepared.held_out))


def exchanged_scores(prepared: Prepared) -> tuple[float, float]:
    """Mean scores with the sound of another clip, and with the pictures of another clip, each against the clip's own truth.

    A file with the pictures of one held-out clip and the sound of another serves both: its answer is held against the truth
    of the clip that is seen in it, whose sound was swapped, and of the clip that is heard in it, whose pictures were.
    """
    count = len(prepared.held_out)
    pairs = [(index, (index + shift) % count) for shift in SHIFTS for index in range(count) if shift % count]
    ids = [example.video_id for example in prepared.held_out]
    names = [(ids[seen], ids[heard]) for seen, heard in pairs]
    files = write_exchanged(prepared.task.world, prepared.folder / "exchanged", names)
    shown = [replace(prepared.held_out[seen], video=path) for (seen, _), path in zip(pairs, files, strict=True)]
    scores = _scores(prepared, answers_to(prepared, shown))
    seen, heard = np.array(pairs).T
    rows = np.arange(len(pairs))
    return float(scores[rows, seen].mean()), float(scores[rows, heard].mean())


def _scores(prepared: Prepared, answers: Sequence[ParsedAnswer]) -> NDArray[np.float64]:
    truths = [truth_of(example) for example in prepared.held_out]
    return score_matrix(answers, truths, prepared.task.world.task)
