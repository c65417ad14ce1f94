"""The prompt names what its task and form want and nothing else, and its example is an answer of that task and form."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import is_well_formed
from r_avst.training.answer_form import AnswerForm
from r_avst.training.answer_form import full_frame
from r_avst.training.answer_form import read_answer
from r_avst.training.prompts import PromptError
from r_avst.training.prompts import prompt_messages
from r_avst.training.prompts import prompt_text

PROCESSED, SOURCE = (644, 364), (640, 360)
QUESTION = 'When is the moment Cars makes sound and is visible, and where is the "Cars"?'
FORMS = [
    AnswerForm("model", 1, 1),
    AnswerForm("model", 3, 0),
    AnswerForm("source", 1, 2),
    AnswerForm("norm1000", 1, 0),
    AnswerForm("norm1000", 5, 0),
]
CASES = [(task, form) for task in TASKS for form in FORMS]
LONGEST = 900  # characters: a prompt stands before every completion

SPATIO_TEMPORAL = """\
You are an expert in finding objects and events, seen and heard, in videos. The video comes with its sound: look and listen.
Question: When is the moment Cars makes sound and is visible, and where is the "Cars"?
Answer within <answer></answer>, with these tags and no other text:
<object>: the name of the object.
<when>: [start, end] in seconds, one decimal.
<where>: a line every second, `time: [x1, y1, x2, y2]`: seconds with one decimal, then left, top, right and bottom of the \
object in pixels of the frames as given, 644 wide and 364 high, one decimal. Several of a kind: a line each. Not visible: \
[0, 0, 0, 0].
Example:
<answer>
<object>brown dog</object>
<when>[3.2, 4.9]</when>
<where>
3.2: [77.3, 91.0, 264.0, 327.6]
4.2: [90.2, 91.0, 276.9, 327.6]
</where>
</answer>"""


def prompt(task: Task, form: AnswerForm, audio: bool = True) -> str:
    return prompt_text(QUESTION, task, form, PROCESSED, SOURCE, audio)


def example_of(text: str) -> str:
    return text.split("Example:\n")[1]


def test_the_whole_of_one_prompt() -> None:
    assert prompt("spatio_temporal", FORMS[0]) == SPATIO_TEMPORAL


@pytest.mark.parametrize(("task", "form"), CASES, ids=str)
def test_the_example_is_an_answer_of_the_task_in_the_form(task: Task, form: AnswerForm) -> None:
    parsed = read_answer(example_of(prompt(task, form)), form, SOURCE, PROCESSED)
    assert is_well_formed(parsed, task)
    assert len(parsed.answer.tracks) == (2 if task == "spatial" else 1)
    width, height = SOURCE
    for track in parsed.answer.tracks:
        assert [row[0] for row in sorted(track.rows)] == (
            [] if task == "temporal" else [pytest.approx(3.2 + second) for second in range(form.box_every + 1)]
        )
        for _, x1, y1, x2, y2 in track.rows:
            assert 0 < x1 < x2 < width
            assert 0 < y1 < y2 < height
            assert (x2 - x1) * (y2 - y1) > width * height / 20


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_examples_show_the_same_boxes_in_every_space(form: AnswerForm) -> None:
    width, height = full_frame(form, SOURCE, PROCESSED)
    line = example_of(prompt("spatial", form)).split("\n")[3]
    box = [float(number) for number in line.split(": ")[1].strip("[]").split(", ")]
    assert box == pytest.approx([0.12 * width, 0.25 * height, 0.41 * width, 0.9 * height], abs=0.5)


@pytest.mark.parametrize(("task", "form"), CASES, ids=str)
def test_only_the_tags_of_the_task_are_named(task: Task, form: AnswerForm) -> None:
    text = prompt(task, form)
    assert QUESTION in text
    assert ("<when>" in text) == (task != "spatial")
    assert ("<where>" in text) == (task != "temporal")
    assert len(text) <= LONGEST


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (AnswerForm("model", 1, 1), ["every second", "frames as given, 644 wide and 364 high", "one decimal"]),
        (AnswerForm("source", 2, 0), ["every 2 seconds", "pixels of the video, 640 wide and 360 high", "whole numbers"]),
        (AnswerForm("norm1000", 3, 0), ["every 3 seconds", "from 0 to 1000", "whole numbers"]),
        (AnswerForm("model", 1, 2), ["2 decimals"]),
    ],
    ids=str,
)
def test_space_range_step_and_decimals_are_said(form: AnswerForm, said: list[str]) -> None:
    where = next(line for line in prompt("spatial", form).split("\n") if line.startswith("<where>: "))
    assert [words for words in said if words not in where] == []


def test_a_prompt_without_boxes_names_no_space() -> None:
    assert len({prompt("temporal", AnswerForm(space, 1, 0)) for space in ("model", "source", "norm1000")}) == 1


def test_whether_there_is_sound_is_said() -> None:
    with_sound, without = (prompt("temporal", FORMS[0], audio) for audio in (True, False))
    assert "comes with its sound" in with_sound
    assert "comes without its sound" in without
    assert with_sound.split("\n")[1:] == without.split("\n")[1:]


@pytest.mark.parametrize("question", ["", " \n\t", "Where is <|video_pad|>?", "<|im_end|>"])
def test_a_question_that_cannot_be_asked_is_an_error(question: str) -> None:
    with pytest.raises(PromptError, match="question"):
        prompt_text(question, "temporal", FORMS[0], PROCESSED, SOURCE, False)


@given(st.text(), st.sampled_from(CASES))
def test_any_other_question_stands_on_one_line(question: str, case: tuple[Task, AnswerForm]) -> None:
    task, form = case
    if not question.split() or "<|" in question:
        return
    text = prompt_text(question, task, form, PROCESSED, SOURCE, False)
    assert text.split("\n")[1] == "Question: " + " ".join(question.split())
    assert text.split("\n")[2:] == prompt(task, form).split("\n")[2:]


def test_every_released_question_can_be_asked(release_file: Path) -> None:
    entries = json.loads(release_file.read_text(encoding="utf-8"))
    questions = [
        pair["Q"]
        for entry in entries
        for annotation in entry["annotation"]
        for pairs in annotation.values()
        if isinstance(pairs, list)
        for pair in pairs
        if isinstance(pair, dict) and "Q" in pair
    ]
    assert len(questions) == 1638
    for question in questions:
        assert question.strip() in prompt_text(question, "spatial", FORMS[0], PROCESSED, SOURCE, False)


def test_the_message_holds_the_video_before_the_text() -> None:
    (message,) = prompt_messages(Path("videos/a.mp4"), "Where?")
    assert message == {
        "role": "user",
        "content": [{"type": "video", "video": "videos/a.mp4"}, {"type": "text", "text": "Where?"}],
    }
