"""A data set with many questions on few real clips, answers to them, and what `r-avst-score` makes of the answers."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
from perturb import perturbed
from perturb import random_answer
from sounding_clips import write_sounding_clip

from r_avst.dataset_builder.dataset_folder import write_folder
from r_avst.dataset_builder.records import CardText
from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import Question
from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.records import Video
from r_avst.metrics import score
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.training.answer_form import AnswerForm
from r_avst.training.answer_form import form_text
from r_avst.training.answer_form import scaled_answer

SIZE = (160, 120)
CLIPS = {"seen": "seen.mp4", "deeper": "below/deeper.mp4", "web": "web.mkv"}
EACH = 70  # questions of a task: enough for sums to round differently in another order
UNSEEN = "<where>\n0.0: [0, 0, 0, 0]\n1.0: [0, 0, 0, 0]\n</where>\n"
NEVER_SEEN: dict[Task, str] = {
    "temporal": "<answer>\n<object>dog</object>\n<when>[0.0, 2.0]</when>\n</answer>",
    "spatial": f"<answer>\n<object>dog</object>\n{UNSEEN}</answer>",
    "spatio_temporal": f"<answer>\n<object>dog</object>\n<when>[0.0, 2.0]</when>\n{UNSEEN}</answer>",
}
"""The first answer of each task: no score of boxes is defined for it."""
TYPES = {"temporal": "when", "spatial": "where_sounding", "spatio_temporal": "when_where"}


@dataclass(frozen=True, slots=True)
class EvaluatorData:
    """Folders of the data set and of its clips; the true answers by question id."""

    dataset: Path
    videos: Path
    truths: dict[str, str]

    def rows(self, task: Task) -> datasets.Dataset:
        return datasets.load_dataset(str(self.dataset), task, split="test")


def write_evaluator_data(folder: Path, size: tuple[int, int] | None) -> EvaluatorData:
    """``size`` is what the data set says of the videos; None: it does not know."""
    for place in CLIPS.values():
        path = folder / "videos" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sounding_clip(path, seconds=2.0, size=SIZE)
    rng = random.Random(7)
    questions = [_question(rng, task, number) for task in TASKS for number in range(EACH)]
    width, height = size or (None, None)
    videos = tuple(Video(name, "test", 2.0, width, height) for name in CLIPS)
    events = tuple(Event(f"{name}-0", name, (0.0, 2.0), (), None, ()) for name in CLIPS)
    card = CardText("cc-by-4.0", "Made up.")
    write_folder(Records(videos, events, tuple(questions)), card, {"source": "made up"}, folder / "r-avst")
    return EvaluatorData(folder / "r-avst", folder / "videos", {own.question_id: own.answer for own in questions})


def _question(rng: random.Random, task: Task, number: int) -> Question:
    name = list(CLIPS)[number % len(CLIPS)]
    answer = random_answer(rng, task) if number else NEVER_SEEN[task]
    return Question(
        question_id=f"{name}-0-{task}-{number}",
        event_id=f"{name}-0",
        video_id=name,
        task=task,
        question=f"What is asked of {name} under number {number}?",
        question_type=TYPES[task],
        answer=answer,
        query_span=(0.0, 2.0) if task == "spatial" else None,
        when=parse_answer(answer).answer.span,
        objects=(),
    )


def noisy_answers(data: EvaluatorData, form: AnswerForm, seed: int) -> dict[str, str]:
    """Answers in a form with the mistakes of models; a few are no answers at all."""
    rng = random.Random(seed)
    return {name: _noisy(name, truth, form, rng) for name, truth in data.truths.items()}


def _noisy(question_id: str, truth: str, form: AnswerForm, rng: random.Random) -> str:
    if rng.random() < 0.1:
        return rng.choice(["", "I cannot see it.", "<answer><object>dog</object>\n\n<when>[1, 2", "nan"])
    answer = parse_answer(perturbed(truth, rng)).answer
    answer = replace(answer, span=answer.span or (0.0, 1.0))
    task = next(task for task in ("spatio_temporal", "temporal", "spatial") if f"-{task}-" in question_id)
    return form_text(scaled_answer(answer, form, SIZE, SIZE), task, form)


def official_scores(data: EvaluatorData, answers: Mapping[str, str], space: str, folder: Path) -> dict[str, dict[str, Any]]:
    """`r-avst-score`'s figures by task; a score that no question has is left out."""
    lines = [
        {"question_id": name, "text": text, "coordinate_space": space, "frame_size": SIZE} for name, text in answers.items()
    ]
    predictions, figures = folder / "model.jsonl", folder / "figures.json"
    predictions.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    arguments = [f"--dataset={data.dataset}", f"--predictions={predictions}", f"--json={figures}", "--bootstrap-samples=0"]
    assert score.main([*arguments, "--word-vectors=exact"]) == 0
    by_task = json.loads(figures.read_text(encoding="utf-8"))["models"]["model"]["figures"]
    return {task: {name: own["value"] for name, own in by_task[task].items() if own["value"] is not None} for task in TASKS}
