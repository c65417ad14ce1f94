"""What an evaluator of others asks of its models: the project's own prompt, for a video that is the annotated one.

Such an evaluator hands a model the file and the text. How the model resizes the frames it does not say, so boxes can be
asked for in two spaces only: pixels of the video, and thousandths of its width and height.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from typing import Final

from r_avst.dataset_builder.video import VIDEO_SUFFIXES
from r_avst.dataset_builder.video import probe
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.coordinates import Size

from ..answer_form import AnswerForm
from ..prompts import prompt_text

ASKED_COLUMNS: Final = ("question_id", "video_id", "task", "question", "answer", "width", "height")
FORMS: Final = {"source": AnswerForm("source", 1, 1), "norm1000": AnswerForm("norm1000", 1, 0)}
"""The released form, a line of boxes a second, in each space that an evaluator can ask for."""


class EvaluatorError(ValueError):
    """A setting, a file or a data set that no evaluator can use; the message says what to do."""


class CoordinateSpaceError(EvaluatorError):
    """A space that boxes cannot be asked for in here."""


class MissingVideoError(EvaluatorError):
    """A question whose video is not in the folder."""


class OtherSizeError(EvaluatorError):
    """A file of another size than the one that was annotated."""


def form_in(space: str) -> AnswerForm:
    """The form of the answers in a space.

    Raises:
        CoordinateSpaceError: it is none of `FORMS`; ``model`` above all.
    """
    if space in FORMS:
        return FORMS[space]
    needs = "; 'model' needs the size of the frames that the model is given, and the evaluator does not tell it"
    reason = needs if space == "model" else ""
    raise CoordinateSpaceError(
        f"the coordinate space is {space!r}; it must be 'source' (pixels of the video) or 'norm1000' (0 to 1000){reason}"
    )


def task_of(row: Mapping[str, Any]) -> Task:
    """The task of a row of the data set."""
    return TASKS[int(row["task"])]


def video_of(row: Mapping[str, Any], videos: Mapping[str, Path], folder: Path) -> Path:
    """The file of a row's video.

    Raises:
        MissingVideoError: there is none.
    """
    video = videos.get(row["video_id"])
    if video is None:
        raise MissingVideoError(
            f"{folder} holds no {row['video_id']} with one of the endings {', '.join(VIDEO_SUFFIXES)}: get it with "
            "r-avst-videos, or say that questions without a video are left out"
        )
    return video


def source_size(row: Mapping[str, Any], video: Path) -> Size:
    """Width and height of a row's video, read from the file.

    Raises:
        OtherSizeError: the data set has another size for it: its boxes would lie elsewhere in this file.
        VideoError: the file cannot be read.
    """
    size, annotated = _probed_size(video), (row["width"], row["height"])
    if all(annotated) and annotated != size:
        raise OtherSizeError(
            f"{video}: it has {size[0]} x {size[1]} pixels, but its boxes are for {annotated[0]} x {annotated[1]}: get the "
            "file that was annotated (r-avst-videos)"
        )
    return size


def question_prompt(row: Mapping[str, Any], video: Path, form: AnswerForm, audio: bool) -> str:
    """The text that the model is given behind the video; errors as in `source_size` and `prompts.prompt_text`."""
    size = source_size(row, video)
    # No form here is in pixels of the processed frames, so their size is not looked at.
    return prompt_text(row["question"], task_of(row), form, processed_size=size, source_size=size, audio=audio)


@cache
def _probed_size(video: Path) -> Size:
    found = probe(video)
    return found.width, found.height
