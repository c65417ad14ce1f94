"""What a model is told: the one prompt of training, prediction and the demo.

In the spirit of the paper's appendix (arXiv 2511.16901): a role, the tags, what stands in them, no other text, an example.
Unlike there, only the tags of the question's own task are named, and the text says in which space and range the boxes are
wanted and whether there is sound. A prompt stands before every completion, so it is short.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import Final

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Row
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.coordinates import to_source

from .answer_form import AnswerForm
from .answer_form import form_text
from .answer_form import full_frame

SPECIAL_TOKEN: Final = "<|"  # how the special tokens of Qwen's tokenizers start: one in a question would stand for a medium
ROLE: Final = "You are an expert in finding objects and events, seen and heard, in videos."
WITH_SOUND: Final = "The video comes with its sound: look and listen."
WITHOUT_SOUND: Final = "The video comes without its sound: judge by what you see."
OBJECT_LINES: Final[dict[Task, str]] = {
    "temporal": "<object>: the name of the object.",
    "spatial": "<object>: the name of an object. Write <object> and <where> for each object.",
    "spatio_temporal": "<object>: the name of the object.",
}
WHEN_LINE: Final = "<when>: [start, end] in seconds, one decimal."
SPACE_NAMES: Final = {
    "model": "in pixels of the frames as given, {width} wide and {height} high",
    "norm1000": "from 0 to 1000, the whole width and height of the frame",
    "source": "in pixels of the video, {width} wide and {height} high",
}
# Shares of the frame, (x1, y1, x2, y2), at the first and the second line of the example.
EXAMPLE_BOXES: Final = (
    ((0.12, 0.25, 0.41, 0.9), (0.14, 0.25, 0.43, 0.9)),
    ((0.55, 0.4, 0.8, 0.75), (0.55, 0.42, 0.8, 0.77)),
)
EXAMPLE_NAMES: Final = ("brown dog", "violin")
EXAMPLE_START: Final = 3.2  # seconds
EXAMPLE_REST: Final = 0.7  # seconds of the example's span behind its last line: an end is seldom on the grid of the lines


class PromptError(ValueError):
    """A question that cannot be asked; the message says why."""


def prompt_text(question: str, task: Task, form: AnswerForm, processed_size: Size, source_size: Size, audio: bool) -> str:
    """The text that stands behind the video.

    Args:
        question: as the data set has it.
        task: decides which tags the text names.
        form: of the answer asked for.
        processed_size: width and height of the frames that the model is given.
        source_size: width and height of the video.
        audio: whether the model is given the sound.

    Raises:
        PromptError: the question is blank or holds a special token of the model.
        ValueError: a size is not two whole numbers above 0.
    """
    lines = [
        f"{ROLE} {WITH_SOUND if audio else WITHOUT_SOUND}",
        f"Question: {_checked_question(question)}",
        "Answer within <answer></answer>, with these tags and no other text:",
        OBJECT_LINES[task],
    ]
    if task != "spatial":
        lines.append(WHEN_LINE)
    frame = full_frame(form, source_size, processed_size)
    if task != "temporal":
        lines.append(_where_line(form, frame))
    return "\n".join([*lines, "Example:", form_text(_example(task, form, frame), task, form)])


def prompt_messages(video: Path, text: str) -> list[dict[str, Any]]:
    """The conversation that a chat template turns into model input: one message with the video and the text behind it."""
    return [
        {"role": "user", "content": [{"type": "video", "video": str(video)}, {"type": "text", "text": text}]},
    ]


def _checked_question(question: str) -> str:
    words = " ".join(question.split())
    if not words:
        raise PromptError("the question is blank: there is nothing to ask")
    if SPECIAL_TOKEN in words:
        raise PromptError(f"the question {words[:80]!r} holds {SPECIAL_TOKEN!r}, the start of a special token: rewrite it")
    return words


def _where_line(form: AnswerForm, frame: Size) -> str:
    often = "every second" if form.box_every == 1 else f"every {form.box_every} seconds"
    space = SPACE_NAMES[form.space].format(width=frame[0], height=frame[1])
    numbers = {0: "whole numbers", 1: "one decimal"}.get(form.decimals, f"{form.decimals} decimals")
    return (
        f"<where>: a line {often}, `time: [x1, y1, x2, y2]`: seconds with one decimal, then left, top, right and bottom of "
        f"the object {space}, {numbers}. Several of a kind: a line each. Not visible: [0, 0, 0, 0]."
    )


def _example(task: Task, form: AnswerForm, frame: Size) -> Answer:
    """An answer of the task with its boxes in the form's space: two objects where the task has several."""
    names = EXAMPLE_NAMES[: 2 if task == "spatial" else 1]
    tracks = tuple(Track(name, _example_rows(boxes, form)) for name, boxes in zip(names, EXAMPLE_BOXES, strict=False))
    span = (EXAMPLE_START, EXAMPLE_START + form.box_every + EXAMPLE_REST)
    return to_source(Answer(tracks, span), "unit", frame)


def _example_rows(boxes: Sequence[tuple[float, float, float, float]], form: AnswerForm) -> tuple[Row, ...]:
    return tuple((EXAMPLE_START + line * form.box_every, *box) for line, box in enumerate(boxes))
