"""The figures of a set of scored questions: by task and overall, by group, with intervals and skill."""

from collections import Counter
from collections.abc import Hashable
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from .answers import TASKS
from .answers import ParsedAnswer
from .names import NameMatcher
from .scores import TABLE_SCORES
from .scores import Question
from .scores import QuestionScore
from .scores import aggregate
from .scores import has_score
from .skill import best_constant_spans
from .skill import constant_box_scores
from .skill import mean_box_scores
from .skill import skill

Figures = dict[str, dict[str, Any]]


class Summariser:
    """Summarises scores of one set of questions; what the skill needs is worked out once and serves every model.

    Args:
        questions: all that are scored: the constant box and name are taken from them.
        names: as in the scoring.
        bootstrap_samples: 0 for no intervals.
        seed: of the resampling.
    """

    def __init__(self, questions: Sequence[Question], names: NameMatcher, bootstrap_samples: int, seed: int) -> None:
        self.questions = questions
        self.bootstrap_samples = bootstrap_samples
        self.seed = seed
        self._constants = constant_box_scores(questions, names)
        self._floors_of = cache(self._uncached_floors)

    def by_task(self, scores: Sequence[QuestionScore], indices: Sequence[int] | None = None) -> dict[str, Figures]:
        """``{"overall" | task: {score: {value, low, high, count, undefined, floor, skill}}}``, values in 0..1.

        Args:
            scores: of all the questions, in their order.
            indices: the questions to look at; all by default. Tasks without a question are left out.
        """
        chosen = range(len(self.questions)) if indices is None else indices
        rows = {"overall": list(chosen)}
        for task in TASKS:
            rows[task] = [index for index in chosen if self.questions[index].task == task]
        return {name: self.figures(scores, own) for name, own in rows.items() if own}

    def figures(self, scores: Sequence[QuestionScore], indices: Sequence[int]) -> Figures:
        """``{score: {value, low, high, count, undefined, floor, skill}}`` of the questions at ``indices``.

        ``undefined`` counts the questions that ask for the score but for which it is not defined, and which the mean
        therefore leaves out: the released file has one whose boxes are all invisible. ``floor`` is the score of the best
        constant answer.
        """
        questions = [self.questions[index] for index in indices]
        floors = self._floors_of(tuple(indices))
        asked = Counter(name for question in questions for name in TABLE_SCORES if has_score(question.task, name))
        aggregates = aggregate([scores[index] for index in indices], self.bootstrap_samples, self.seed)
        return {
            name: {
                **asdict(own),
                "undefined": asked[name] - own.count,
                "floor": floors.get(name),
                "skill": skill(own.value, floors.get(name)),
            }
            for name, own in aggregates.items()
            if asked[name]
        }

    def _uncached_floors(self, indices: tuple[int, ...]) -> dict[str, float]:
        spans = best_constant_spans([self.questions[index] for index in indices])
        return spans | mean_box_scores([self._constants[index] for index in indices])


def indices_by_group(groups: Sequence[Hashable | Sequence[Hashable]]) -> dict[str, list[int]]:
    """The rows of each group, in the order of the groups' names; a row that names several counts in each of them."""
    found: dict[str, list[int]] = {}
    for index, own in enumerate(groups):
        for group in dict.fromkeys(own if isinstance(own, list | tuple | set | frozenset) else [own]):
            found.setdefault(str(group), []).append(index)
    return dict(sorted(found.items()))


def question_rows(
    questions: Sequence[Question], scores: Sequence[QuestionScore], parsed: Sequence[ParsedAnswer]
) -> list[dict[str, Any]]:
    """One row a question: its task, its scores, and the kinds of problems met in the text."""
    return [
        {"task": question.task, **asdict(score), "problems": sorted({problem.kind for problem in one.problems})}
        for question, score, one in zip(questions, scores, parsed, strict=True)
    ]
