"""The four rewards of AVST-Zero: format, object, temporal, spatial (arXiv 2511.16901, eq. 2-7).

Each is a score of `r_avst.metrics` in 0..1 times its weight for the question's task, as a function in TRL's signature::

    rewards = Rewards(AnswerForm("model", 1, 1), RewardWeights(), NameMatcher(vectors), "tiou")
    VideoGRPOTrainer(..., reward_funcs=rewards.functions())

TRL adds them up (eq. 7). What the truth is compared with stands in source pixels whatever the model writes in, so a frame
size is a column of the data set beside the truth.
"""

import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields
from functools import lru_cache
from typing import Any
from typing import Final
from typing import Literal
from typing import get_args

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import ParsedAnswer
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.coordinates import checked_size
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.overlap import interval_iou
from r_avst.metrics.avst_metrics.scores import score_question

from .answer_form import AnswerForm
from .answer_form import answer_text
from .answer_form import read_answer

Component = Literal["format", "object", "temporal", "spatial"]
COMPONENTS: Final[tuple[Component, ...]] = get_args(Component)
TemporalForm = Literal["tiou", "skill"]
TEMPORAL_FORMS: Final[tuple[TemporalForm, ...]] = get_args(TemporalForm)
WHOLE_VIDEO: Final = 0.95  # above this tIoU of the whole video, an event is the whole video and skill says nothing
REMEMBERED: Final = 4_096  # completions, and truths: the four functions ask for the same ones in turn
RewardFunction = Callable[..., list[float | None]]


class RewardError(ValueError):
    """Settings or columns that no reward follows from; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class RewardWeights:
    """How much each component counts, by task (paper, eq. 7: lambda). 0 switches a component off: it is logged, not paid.

    The name of a temporal or spatio-temporal answer stands in its question, so it is not paid by default.

    Raises:
        RewardError: a weight is negative or not finite.
    """

    format: float = 1.0
    object_of_temporal: float = 0.0
    object_of_spatial: float = 0.5
    object_of_spatio_temporal: float = 0.0
    temporal_of_temporal: float = 1.0
    temporal_of_spatio_temporal: float = 0.5
    spatial_of_spatial: float = 0.5
    spatial_of_spatio_temporal: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            weight = getattr(self, field.name)
            if not 0 <= weight < math.inf:
                raise RewardError(f"the reward weight {field.name} is {weight}; it must be a number from 0")

    def weight(self, component: Component, task: Task) -> float:
        """The weight of a component for a task; 0 where the task has no such component."""
        own: float = self.format if component == "format" else getattr(self, f"{component}_of_{task}", 0.0)
        return own


@dataclass(frozen=True, slots=True)
class ComponentScores:
    """What a completion scores before weights, each in 0..1; None where the question has no such score."""

    format: float
    object: float
    temporal: float | None
    spatial: float | None


class Rewards:
    """Scores completions once and hands the parts to TRL as four functions.

    Args:
        form: how the prompt asked for the answer.
        weights: of the components, by task.
        names: matches predicted with true names.
        temporal_form: ``"tiou"`` (paper, eq. 4) or ``"skill"``, which pays what is above the answer "the whole video".

    Raises:
        RewardError: ``temporal_form`` is neither.
    """

    def __init__(self, form: AnswerForm, weights: RewardWeights, names: NameMatcher, temporal_form: TemporalForm) -> None:
        if temporal_form not in TEMPORAL_FORMS:
            raise RewardError(f"the temporal form of the reward is {temporal_form!r}; it must be one of {TEMPORAL_FORMS}")
        self.form = form
        self.weights = weights
        self.names = names
        self.temporal_form = temporal_form
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._scores)
        self._truth = lru_cache(maxsize=REMEMBERED)(_true_answer)

    def functions(self) -> list[RewardFunction]:
        """The rewards of `COMPONENTS`, each named after its component.

        Each takes the completions and the columns ``task``, ``truth`` (the true answer's text, source pixels),
        ``source_size`` and ``processed_size`` (width, height) and ``duration`` (seconds), lists of one length, and returns
        weighted scores; None where the task has no such component, its weight is 0 or the score is not defined. Means
        before weights are logged as ``score/{task}/{component}``.
        """
        return [self._function(component) for component in COMPONENTS]

    def scores(
        self,
        text: str,
        task: Task,
        truth: str,
        source_size: Sequence[int],
        processed_size: Sequence[int],
        duration: float,
    ) -> ComponentScores:
        """What a completion scores before weights.

        Args:
            text: the completion, any text.
            task: of the question.
            truth: the true answer's text, boxes in source pixels.
            source_size: width and height of the video.
            processed_size: width and height of the frames that the model was given.
            duration: of the video in seconds; used in the ``skill`` form.

        Raises:
            RewardError: the truth cannot be read, or the duration that ``skill`` needs is not above 0.
            ValueError: a size is not two whole numbers above 0.
        """
        sizes = checked_size(source_size, "source_size"), checked_size(processed_size, "processed_size")
        return self._remembered(text, task, truth, *sizes, duration)

    def _scores(
        self, text: str, task: Task, truth: str, source_size: Size, processed_size: Size, duration: float
    ) -> ComponentScores:
        prediction = read_answer(text, self.form, source_size, processed_size)
        true = self._truth(truth)
        scores = component_scores(prediction, true, task, self.names)
        if self.temporal_form == "tiou" or scores.temporal is None:
            return scores
        return ComponentScores(scores.format, scores.object, temporal_skill(scores.temporal, true, duration), scores.spatial)

    def _function(self, component: Component) -> RewardFunction:
        def reward(*columns: Any, **named: Any) -> list[float | None]:
            return self._reward(component, *columns, **named)

        reward.__name__ = component  # TRL's name for it in charts
        return reward

    def _reward(
        self,
        component: Component,
        completions: Sequence[object],
        task: Sequence[Task],
        truth: Sequence[str],
        source_size: Sequence[Sequence[int]],
        processed_size: Sequence[Sequence[int]],
        duration: Sequence[float],
        log_metric: Callable[[str, float], None] | None = None,
        **_columns: Any,
    ) -> list[float | None]:
        texts = [completion_text(completion) for completion in completions]
        rows = zip(texts, task, truth, source_size, processed_size, duration, strict=True)
        values: list[float | None] = [getattr(self.scores(*row), component) for row in rows]
        if log_metric is not None:
            for name, mean in _means_by_task(task, values).items():
                log_metric(f"score/{name}/{component}", mean)
        weights = [self.weights.weight(component, one) for one in task]
        return [
            value * weight if value is not None and weight else None for value, weight in zip(values, weights, strict=True)
        ]


def component_scores(prediction: ParsedAnswer, truth: Answer, task: Task, names: NameMatcher) -> ComponentScores:
    """The four components of a prediction, boxes in source pixels: the format, `object_f1`, tIoU and vIoU of a score."""
    score = score_question(prediction, truth, task, names)
    return ComponentScores(score.format, score.object_f1, score.tiou, score.viou)


def temporal_skill(tiou: float, truth: Answer, duration: float) -> float:
    """How far a tIoU is above the answer "the whole video": (tIoU - w) / (1 - w) in 0..1, w that answer's tIoU.

    Many released events are as long as their video, so a policy can live on long spans. Where w > 0.95 the event is the
    whole video, and the tIoU itself comes back.

    Raises:
        RewardError: ``duration`` is not a number of seconds above 0.

    >>> temporal_skill(0.75, Answer((), (0.0, 5.0)), 10.0)
    0.5
    """
    if not 0 < duration < math.inf:
        raise RewardError(f"the temporal form 'skill' needs the video's duration in seconds; it is {duration}")
    whole = interval_iou((0.0, duration), truth.span)
    return tiou if whole > WHOLE_VIDEO else max(0.0, (tiou - whole) / (1 - whole))


def completion_text(completion: object) -> str:
    """The text of a completion as TRL hands it over: a string, or messages ``[{"role", "content"}]``.

    Raises:
        RewardError: it is neither.
    """
    if isinstance(completion, str):
        return completion
    if isinstance(completion, Sequence) and all(isinstance(message, Mapping) for message in completion):
        contents = [message.get("content") for message in completion]
        if all(isinstance(content, str) for content in contents):
            return "\n".join(contents)
    raise RewardError(f"a completion is {completion!r:.80}; it must be a text or messages with a text as their content")


def _true_answer(text: str) -> Answer:
    parsed = parse_answer(text)
    if parsed.problems:
        raise RewardError(f"the true answer {text[:80]!r} has problems: {parsed.problems[0]}; no reward follows from it")
    return parsed.answer


def _means_by_task(tasks: Sequence[Task], values: Sequence[float | None]) -> dict[Task, float]:
    by_task: dict[Task, list[float]] = {}
    for task, value in zip(tasks, values, strict=True):
        if value is not None:
            by_task.setdefault(task, []).append(value)
    return {task: sum(own) / len(own) for task, own in by_task.items()}


# --- what a form leaves -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the true answers themselves score in a form: mean, minimum, and how many have the score."""

    mean: float
    minimum: float
    count: int


def form_ceiling(
    answers: Iterable[Answer], tasks: Iterable[Task], form: AnswerForm, sizes: Iterable[tuple[Size, Size]]
) -> dict[Component, Ceiling]:
    """The highest reward that rounding and left-out lines leave: true answers written in ``form``, read back and scored.

    Args:
        answers: the true answers, boxes in source pixels.
        tasks: of each.
        form: to write them in.
        sizes: of each the width and height of the video and of the frames that the model is given.

    Returns:
        A `Ceiling` of every component that some answer has.
    """
    names = NameMatcher(None)
    found: dict[Component, list[float]] = {}
    for answer, task, size in zip(answers, tasks, sizes, strict=True):
        written = read_answer(answer_text(answer, task, form, *size), form, *size)
        scores = component_scores(written, answer, task, names)
        for component in COMPONENTS:
            value = getattr(scores, component)
            if value is not None:
                found.setdefault(component, []).append(value)
    return {component: Ceiling(sum(own) / len(own), min(own), len(own)) for component, own in found.items()}
