"""A small r-avst data set with real clips, and what runs the training scripts on it as a user would."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sounding_clips import write_sounding_clip

from r_avst.dataset_builder.dataset_folder import write_folder
from r_avst.dataset_builder.records import CardText
from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import Question
from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.records import Video
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import write_answer

ROOT = Path(__file__).parents[1]
SIZE = (112, 84)
SECONDS = 3.0
GOOD = ("clip_a", "clip_b", "clip_c", "clip_d")
QUESTIONS: dict[Task, str] = {
    "temporal": "When is the moment red square makes sound and is visible?",
    "spatial": "What visible object(s) make sound between 0.0 and 2.0, and where is/are they?",
    "spatio_temporal": 'When is the moment red square makes sound and is visible, and where is the "red square"?',
}
TYPES = {"temporal": "when", "spatial": "where_sounding", "spatio_temporal": "when_where"}


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Folders of the data set and of its clips."""

    dataset: Path
    videos: Path


def truth_of(task: Task, span: Span = (0.0, 2.0), right: float = 40.0) -> str:
    rows = tuple((time, 10.0, 10.0, right, 40.0) for time in (0.0, 1.0, 2.0))
    return write_answer(Answer((Track("red square", rows if task != "temporal" else ()),), span), task)


def question(video_id: str, task: Task, answer: str, when: Span | None = None) -> Question:
    return Question(
        question_id=f"{video_id}-0-{task}-0",
        event_id=f"{video_id}-0",
        video_id=video_id,
        task=task,
        question=QUESTIONS[task],
        question_type=TYPES[task],
        answer=answer,
        query_span=(0.0, 2.0) if task == "spatial" else None,
        when=None if task == "spatial" else when or (0.0, 2.0),
        objects=(),
    )


def write_dataset(folder: Path, questions: Sequence[Question], sizes: dict[str, tuple[int, int]] | None = None) -> Path:
    """A built data set of these questions, all in the split ``train``; ``sizes`` of some videos are known."""
    names = list(dict.fromkeys(own.video_id for own in questions))
    videos = tuple(Video(name, "train", SECONDS, *(sizes or {}).get(name, (None, None))) for name in names)
    events = tuple(Event(f"{name}-0", name, (0.0, 2.0), (), None, ()) for name in names)
    write_folder(Records(videos, events, tuple(questions)), CardText("cc-by-4.0", "Made up."), {"source": "made up"}, folder)
    return folder


def write_training_data(folder: Path) -> TrainingData:
    """Four good clips with a question of each task, one clip that is cut off, and one that is not there."""
    videos = folder / "videos"
    videos.mkdir()
    for number, name in enumerate(GOOD):
        write_sounding_clip(videos / f"{name}.mp4", SECONDS, tone=300.0 * (number + 1), size=SIZE)
    cut = write_sounding_clip(videos / "clip_cut.mp4", SECONDS, size=SIZE)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    names = (*GOOD, "clip_cut", "clip_gone")
    questions = [question(name, task, truth_of(task)) for name in names for task in QUESTIONS]
    return TrainingData(write_dataset(folder / "r-avst", questions), videos)


def run_script(script: str, arguments: Sequence[str], folder: Path, timeout: int = 300) -> subprocess.CompletedProcess[str]:
    """Runs a console script in ``folder``, on the CPU with one thread."""
    return subprocess.run(
        [str(Path(sys.executable).parent / script), *arguments],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "R_AVST_CACHE": str(folder / "cache"), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
