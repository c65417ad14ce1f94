"""The files of `r-avst-score --json`: how they are written, read, and held against each other.

Beside the figures a file has the scores of each question, so that models can be compared question by question::

    {"settings": {...},
     "models": {"model_a": {"figures": {"temporal": {"m_tIoU": {"value": 0.43, "low": ...}}}, "missing": 0}},
     "questions": {"truth": "9f86d0...", "ids": {"temporal": ["zLf-0-temporal-0", ...]},
                   "scores": {"model_a": {"temporal": {"m_tIoU": [0.51, 0, null, ...]}}}}}

``truth`` is a checksum of ids, true answers and durations. Files from before there was a key ``questions`` are read too.
"""

import hashlib
import json
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .avst_metrics.answers import TASKS
from .avst_metrics.answers import Task
from .avst_metrics.scores import TABLE_SCORES
from .avst_metrics.scores import QuestionScore
from .avst_metrics.scores import has_score
from .avst_metrics.scores import score_matrix
from .benchmark import BenchmarkQuestion
from .paper_tables import SCORES

DECIMALS = 6  # of the scores of a question
MEAN_ROUNDING = 1e-5
LEAST_SKILL = -1e9
MAX_NAME = 200  # characters
COMPARED = ("split", "questions", "balanced", "seed", "word_vectors", "version", "bootstrap_samples")
"""The settings in which files have to be alike. The data set's name is none of them: what counts are its questions."""

ReadScores = dict[Task, dict[str, NDArray[np.float64]]]


class ScoreFileError(ValueError):
    """A file that is none of `r-avst-score --json`; the message names file and place."""


class DifferentSettingsError(ScoreFileError):
    """Files that were not scored alike; the message names both and says in what they differ."""


# --- writing ----------------------------------------------------------------------------------------------------------


def question_scores(questions: Sequence[BenchmarkQuestion], models: Mapping[str, Sequence[QuestionScore]]) -> dict[str, Any]:
    """What stands under ``questions``: the ids by task, and each model's table scores in the same order.

    Args:
        questions: that were scored.
        models: the scores of each model, one a question, in the order of the questions.
    """
    rows = {task: [index for index, own in enumerate(questions) if own.question.task == task] for task in TASKS}
    return {
        "truth": _checksum(questions),
        "ids": {task: [questions[index].question_id for index in own] for task, own in rows.items() if own},
        "scores": {
            name: {task: _columns(task, [scores[index] for index in own]) for task, own in rows.items() if own}
            for name, scores in models.items()
        },
    }


def file_text(result: Mapping[str, Any]) -> str:
    """The result of a scoring as JSON: a figure a line, but all scores of questions in one."""
    figures = {key: value for key, value in result.items() if key != "questions"}
    lists = json.dumps(result["questions"], separators=(",", ":"))
    return f'{json.dumps(figures, indent=1)[:-2]},\n "questions": {lists}\n}}\n'


def _checksum(questions: Sequence[BenchmarkQuestion]) -> str:
    rows = [[own.question_id, own.question.task, own.answer, own.question.duration] for own in questions]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _columns(task: Task, scores: Sequence[QuestionScore]) -> dict[str, list[float | None]]:
    columns = zip(TABLE_SCORES, score_matrix(scores).T, strict=True)
    return {name: [_shortened(value) for value in own.tolist()] for name, own in columns if has_score(task, name)}


def _shortened(value: float) -> float | None:
    if np.isnan(value):
        return None
    rounded = round(value, DECIMALS)
    return int(rounded) if rounded.is_integer() else rounded


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Settings:
    """How a file was scored: the options of `r-avst-score`, the number of questions, and the metric's version."""

    dataset: str
    split: str
    questions: int
    balanced: bool
    seed: int
    word_vectors: str
    version: str
    bootstrap_samples: int


@dataclass(frozen=True, slots=True)
class Figure:
    """A score of a model: its mean in 0..1 with its interval, over ``count`` questions, and its skill."""

    value: float | None
    low: float | None
    high: float | None
    floor: float | None
    skill: float | None
    count: int
    undefined: int


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """A model or floor in a file. ``questions`` are its scores of each question, NaN where undefined; None in old files."""

    name: str
    path: Path
    missing: int
    figures: dict[Task, dict[str, Figure]]
    questions: ReadScores | None


@dataclass(frozen=True, slots=True)
class ScoreFile:
    """A file that was read. ``truth`` and ``ids`` are None and empty in old files."""

    path: Path
    settings: Settings
    truth: str | None
    ids: Mapping[Task, list[str]]
    rows: tuple[ScoredRow, ...]


def read_score_file(path: Path) -> ScoreFile:
    """Reads and checks what `r-avst-score --json` wrote.

    Raises:
        ScoreFileError: the file is absent, no JSON, of another form, has a figure outside its range, or the scores of its
            questions do not have the means that it states.
    """
    content = _json(path)
    try:
        settings, models = _settings(_mapping(content, "settings")), _mapping(content, "models")
        listed = _mapping(content, "questions") if "questions" in content else {}
        ids = _ids(listed)
        truth = _text(listed, "truth") if listed else None
        scores = _mapping(listed, "scores") if listed else None
        rows = tuple(_row(path, name, _mapping(models, name), ids, scores) for name in models)
    except ScoreFileError as error:
        raise ScoreFileError(f"{path}: {error}; write it anew with r-avst-score --json") from None
    return ScoreFile(path, settings, truth, ids, rows)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise ScoreFileError(f"{path}: it cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise ScoreFileError(f"{path}: it is no JSON ({error}); give files of r-avst-score --json") from None
    if not isinstance(content, dict):
        raise ScoreFileError(f"{path}: it holds a {type(content).__name__}; give files of r-avst-score --json")
    return content


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _mapping(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    own = found.get(key)
    if not isinstance(own, dict):
        raise ScoreFileError(f"{key[:MAX_NAME]!r} should be an object with keys, but is {_named(own)}")
    return own


def _settings(found: Mapping[str, Any]) -> Settings:
    if not isinstance(balanced := found.get("balanced"), bool):
        raise ScoreFileError(f"settings.balanced is {_named(balanced)}, neither true nor false")
    return Settings(
        dataset=_text(found, "dataset"),
        split=_text(found, "split"),
        questions=_count(found.get("questions"), "settings.questions"),
        balanced=balanced,
        seed=_count(found.get("seed"), "settings.seed"),
        word_vectors=_text(found, "word_vectors"),
        version=_text(found, "version"),
        bootstrap_samples=_count(found.get("bootstrap_samples"), "settings.bootstrap_samples"),
    )


def _text(found: Mapping[str, Any], key: str) -> str:
    own = found.get(key)
    if not isinstance(own, str):
        raise ScoreFileError(f"{key!r} should be a text, but is {_named(own)}")
    return own


def _named(found: Any) -> str:
    text = "missing" if found is None else repr(found)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _ids(listed: Mapping[str, Any]) -> dict[Task, list[str]]:
    found = _mapping(listed, "ids") if listed else {}
    for task, own in found.items():
        if task not in TASKS or not isinstance(own, list) or not all(isinstance(one, str) for one in own):
            raise ScoreFileError(f"questions.ids: {task[:MAX_NAME]!r} is no task with a list of question ids")
    return {task: found[task] for task in TASKS if task in found}


def _row(
    path: Path, name: str, found: Mapping[str, Any], ids: Mapping[Task, list[str]], scores: Mapping[str, Any] | None
) -> ScoredRow:
    if not name.strip() or len(name) > MAX_NAME:
        raise ScoreFileError(f"{name[:MAX_NAME]!r} is no name of a model: it takes 1 to {MAX_NAME} characters")
    by_task = _mapping(found, "figures")
    figures = {
        task: {score: _figure(_mapping(by_task, task), task, score) for score in SCORES[task]}
        for task in TASKS
        if task in by_task
    }
    read = None if scores is None else _read_scores(_mapping(scores, name), ids, figures)
    return ScoredRow(name, path, _count(found.get("missing"), "missing"), figures, read)


def _figure(by_score: Mapping[str, Any], task: Task, score: str) -> Figure:
    found, place = _mapping(by_score, score), f"{task}.{score}"
    return Figure(
        **{key: _number(found.get(key), f"{place}.{key}", 0.0) for key in ("value", "low", "high", "floor")},
        skill=_number(found.get("skill"), f"{place}.skill", LEAST_SKILL),
        count=_count(found.get("count"), f"{place}.count"),
        undefined=_count(found.get("undefined"), f"{place}.undefined"),
    )


def _number(found: Any, place: str, least: float) -> float | None:
    """A number of at most 1, with room for rounding, or None."""
    if found is None:
        return None
    if type(found) not in (int, float) or not least - MEAN_ROUNDING <= found <= 1 + MEAN_ROUNDING:
        raise ScoreFileError(f"{place} is {_named(found)}, no number from {least:g} to 1")
    return float(found)


def _count(found: Any, place: str) -> int:
    if type(found) is not int or found < 0:
        raise ScoreFileError(f"{place} is {_named(found)}, no whole number of 0 or more")
    return found


def _read_scores(
    found: Mapping[str, Any], ids: Mapping[Task, list[str]], figures: Mapping[Task, Mapping[str, Figure]]
) -> ReadScores:
    if list(figures) != list(ids):
        raise ScoreFileError(f"there are figures of {', '.join(figures)}, but questions of {', '.join(ids)}")
    return {
        task: {
            score: _values(_mapping(found, task).get(score), f"questions.{task}.{score}", len(ids[task]), figure)
            for score, figure in own.items()
        }
        for task, own in figures.items()
    }


def _values(found: Any, place: str, questions: int, figure: Figure) -> NDArray[np.float64]:
    """The scores of each question, checked against their mean."""
    if not isinstance(found, list) or len(found) != questions:
        raise ScoreFileError(f"{place} is no list of {questions} scores, one a question")
    numbers = [_number(own, place, 0.0) for own in found]
    values = np.array([np.nan if own is None else own for own in numbers])
    defined = values[~np.isnan(values)]
    mean = float(defined.mean()) if len(defined) else None
    if len(defined) != figure.count or abs((mean or 0.0) - (figure.value or 0.0)) > MEAN_ROUNDING:
        raise ScoreFileError(
            f"{place} has {len(defined)} scores with the mean {mean}, but the figure is {figure.value} over {figure.count}"
        )
    return values


# --- comparing --------------------------------------------------------------------------------------------------------


def check_comparable(files: Sequence[ScoreFile]) -> None:
    """Files of one table have to be scored alike, on the same questions.

    Raises:
        DifferentSettingsError: two of them were not; it names them and says in what they differ.
    """
    for first, other in combinations(files, 2):
        differing = [*_differing_settings(first, other), *_differing_questions(first, other)]
        if differing:
            raise DifferentSettingsError(
                f"{first.path} and {other.path} cannot stand in one table: {'; '.join(differing)}. "
                "Score one of them anew (r-avst-score) with the settings of the other"
            )


def _differing_settings(first: ScoreFile, other: ScoreFile) -> list[str]:
    by_name = () if first.truth and other.truth else ("dataset",)  # all that an old file tells of its questions
    pairs = ((key, getattr(first.settings, key), getattr(other.settings, key)) for key in (*by_name, *COMPARED))
    return [f"{key} is {_named(one)} in the first and {_named(two)} in the second" for key, one, two in pairs if one != two]


def _differing_questions(first: ScoreFile, other: ScoreFile) -> list[str]:
    if not first.truth or not other.truth or first.truth == other.truth:
        return []
    sets = [{one for own in file.ids.values() for one in own} for file in (first, other)]
    if alone := sorted(sets[0] ^ sets[1]):
        return [f"{len(alone):,} questions are in one of them only, such as {alone[0][:MAX_NAME]!r}"]
    return ["the questions bear the same ids but have other true answers, durations, or another order"]
