"""What the YAML files in `lmms_eval_tasks` refer to: how lmms-eval asks the questions of R-AVST, and how it scores.

lmms-eval has no way to hand settings to a task, so they are environment variables::

    R_AVST_VIDEOS            folder of the videos (required)
    R_AVST_COORDINATE_SPACE  "source" or "norm1000", the space that boxes are asked for and read in (required)
    R_AVST_AUDIO             "yes" or "no", whether the model hears the video; the prompt says so (required)
    R_AVST_DATASET           folder of r-avst-build, or user/name on the Hub (default: r-avst)
    R_AVST_WORD_VECTORS      as --word-vectors of r-avst-score
    R_AVST_MISSING_VIDEOS    "error" (default) or "leave_out": what becomes of questions whose video is not in the folder
"""

import os
import warnings
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import datasets

from r_avst.dataset_builder.video import find_videos
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.coordinates import space_warning
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.scores import TABLE_SCORES
from r_avst.metrics.avst_metrics.scores import has_score
from r_avst.metrics.avst_metrics.scores import score_question
from r_avst.metrics.avst_metrics.word_vectors import DEFAULT
from r_avst.metrics.avst_metrics.word_vectors import load_word_vectors

from ..answer_form import AnswerForm
from ..answer_form import read_answer
from .asking import EvaluatorError
from .asking import form_in
from .asking import question_prompt
from .asking import source_size
from .asking import task_of
from .asking import video_of

ERROR, LEAVE_OUT = "error", "leave_out"
Doc = Mapping[str, Any]


class SettingError(EvaluatorError):
    """An environment variable that is missing or wrong."""


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What the environment says.

    Attributes:
        form: of the answers that are asked for.
        audio: whether the model hears the video.
        folder: of the videos.
        videos: the files in it by their names without ending.
        names: matches predicted with true names.
    """

    form: AnswerForm
    audio: bool
    folder: Path
    videos: Mapping[str, Path]
    names: NameMatcher


@cache
def settings() -> TaskSettings:
    """The settings, read and checked once. The first question asks for them, so a wrong one stops a run before it answers.

    Raises:
        SettingError: a variable is missing or wrong.
        CoordinateSpaceError: boxes cannot be asked for in the space.
        WordVectorsError: the word vectors cannot be had.
    """
    _choice("R_AVST_MISSING_VIDEOS", (ERROR, LEAVE_OUT), ERROR)
    folder = Path(_required("R_AVST_VIDEOS", "the folder of the videos")).expanduser()
    if not folder.is_dir():
        raise SettingError(f"R_AVST_VIDEOS is {str(folder)!r}, and there is no such folder")
    return TaskSettings(
        form=form_in(_required("R_AVST_COORDINATE_SPACE", "'source' or 'norm1000', the space boxes are asked for in")),
        audio=_choice("R_AVST_AUDIO", ("yes", "no")) == "yes",
        folder=folder,
        videos=find_videos(folder),
        names=NameMatcher(load_word_vectors(os.environ.get("R_AVST_WORD_VECTORS") or DEFAULT)),
    )


def _required(name: str, meaning: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingError(f"the environment variable {name} is not set; it is {meaning}")
    return value


def _choice(name: str, choices: Sequence[str], default: str | None = None) -> str:
    value = os.environ.get(name) or default
    if value is None or value not in choices:
        raise SettingError(f"the environment variable {name} is {value!r}; it must be one of {', '.join(choices)}")
    return value


def __getattr__(name: str) -> str:
    """``DATASET``, the data set's folder or name: a string that is read when a YAML file names it, not at the import."""
    if name != "DATASET":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    dataset = os.environ.get("R_AVST_DATASET") or "r-avst"
    if "/" not in dataset and not Path(dataset).is_dir():
        raise SettingError(f"R_AVST_DATASET is {dataset!r}, and there is no such folder here; build it with r-avst-build")
    return dataset


# --- questions --------------------------------------------------------------------------------------------------------


def asked(docs: datasets.Dataset) -> datasets.Dataset:
    """The questions that are asked: all, or those with a video where ``R_AVST_MISSING_VIDEOS`` is ``leave_out``."""
    # lmms-eval calls this again and again where it raises: what is wrong with the settings, the first question tells.
    folder = Path(os.environ.get("R_AVST_VIDEOS") or os.devnull).expanduser()
    if os.environ.get("R_AVST_MISSING_VIDEOS") != LEAVE_OUT or not folder.is_dir():
        return docs
    videos = find_videos(folder)
    kept = [index for index, name in enumerate(docs["video_id"]) if name in videos]
    if len(kept) < len(docs):
        warnings.warn(f"{len(docs) - len(kept)} of {len(docs)} questions are left out: no video in {folder}", stacklevel=2)
    return docs.select(kept) if kept else docs


def visuals(doc: Doc) -> list[str]:
    """The path of the video, for models that take a list of media; errors as in `asking.video_of`."""
    own = settings()
    return [str(video_of(doc, own.videos, own.folder))]


def text(doc: Doc) -> str:
    """The prompt; errors as in `settings`, `asking.video_of` and `asking.question_prompt`."""
    own = settings()
    return question_prompt(doc, video_of(doc, own.videos, own.folder), own.form, own.audio)


def messages(doc: Doc) -> list[dict[str, Any]]:
    """The conversation, for models that take one. Left to itself lmms-eval would take a .webm file for sound."""
    content = [{"type": "video", "url": visuals(doc)[0]}, {"type": "text", "text": text(doc)}]
    return [{"role": "user", "content": content}]


# --- scores -----------------------------------------------------------------------------------------------------------


def scored(doc: Doc, answers: Sequence[str]) -> dict[str, float]:
    """The table scores of a model's text, in 0..1; those that are not defined for the question are left out.

    Args:
        doc: a row of the data set.
        answers: the one text.
    """
    own, task = settings(), task_of(doc)
    size = source_size(doc, video_of(doc, own.videos, own.folder))
    if warning := space_warning([parse_answer(answers[0]).answer], own.form.space):
        warnings.warn(warning, stacklevel=2)
    answer = read_answer(answers[0], own.form, source_size=size, processed_size=size)
    score = score_question(answer, parse_answer(doc["answer"]).answer, task, own.names)
    values = ((name, read(score)) for name, read in TABLE_SCORES.items() if has_score(task, name))
    return {name: value for name, value in values if value is not None}


def mean(values: Sequence[float]) -> float:
    """The mean over the questions that have the score, added one after another as `scores.aggregate` does."""
    total = 0.0
    for value in values:  # sum() and numpy round otherwise: figures would differ in the last digit from r-avst-score's
        total += value
    return total / len(values)
