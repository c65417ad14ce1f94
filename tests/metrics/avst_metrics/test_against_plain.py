"""The scores against a second implementation that shares no code with them."""

import random
from dataclasses import asdict

import numpy as np
import plain_scores
import pytest
from perturb import perturbed
from perturb import random_answer

from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.scores import score_question
from r_avst.metrics.avst_metrics.word_vectors import load_word_vectors


def assert_agree(prediction: str, truth: str, task: Task, matcher: NameMatcher, vectors: dict | None) -> None:
    ours = asdict(score_question(parse_answer(prediction), parse_answer(truth).answer, task, matcher))
    plain = plain_scores.score(prediction, truth, task, vectors)
    for name, value in plain.items():
        expected = value if value is None else pytest.approx(value, abs=1e-9)
        assert ours[name] == expected, f"{name}\n--- prediction\n{prediction}\n--- truth\n{truth}"


@pytest.mark.parametrize("task", TASKS)
def test_agrees_on_random_answers(task: Task) -> None:
    rng = random.Random(f"random {task}")
    matcher = NameMatcher(None)
    for _ in range(400):
        truth = random_answer(rng, task)
        prediction = rng.choice([perturbed(truth, rng), random_answer(rng, task)])
        assert_agree(prediction, truth, task, matcher, None)


@pytest.mark.parametrize("with_vectors", [False, True], ids=["exact", "word vectors"])
def test_agrees_on_perturbed_real_answers(released_answers, vectors_file, with_vectors: bool) -> None:
    """2,500 perturbations: exact names and word vectors, 1,250 each."""
    rng = random.Random(f"real {with_vectors}")
    keyed = load_word_vectors(str(vectors_file) if with_vectors else "exact")
    vectors = keyed and {word: np.float64(keyed[word]).tolist() for word in keyed.index_to_key}
    matcher = NameMatcher(keyed)
    for text, task in rng.sample(released_answers, 1250):
        assert_agree(perturbed(text, rng), text, task, matcher, vectors)


def test_agrees_across_real_answers(released_answers, vectors_file) -> None:
    """Other questions' answers as predictions: other names, times and boxes."""
    rng = random.Random("across")
    keyed = load_word_vectors(str(vectors_file))
    vectors = {word: np.float64(keyed[word]).tolist() for word in keyed.index_to_key}
    matcher = NameMatcher(keyed)
    for text, task in rng.sample(released_answers, 500):
        other = rng.choice([candidate for candidate, own in released_answers if own == task])
        assert_agree(other, text, task, matcher, vectors)
