"""A small data set of both splits to count, with figures that can be told by looking at it."""

from dataclasses import replace
from pathlib import Path

from r_avst.dataset_builder.builder import write_dataset
from r_avst.dataset_builder.records import CardText
from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import ObjectTrack
from r_avst.dataset_builder.records import Question
from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.records import Video
from r_avst.metrics.avst_metrics.answers import Task

DOG = ObjectTrack("dog", True, ())
TREE = ObjectTrack("tree", False, ())
SHADOW = ObjectTrack("shadow", None, ())


def question(video: str, number: int, task: Task, kind: str) -> Question:
    span = (0.0, 2.0)
    when = None if task == "spatial" else span
    return Question(f"{video}-{number}", "e", video, task, "?", kind, "", None if when else span, when, ())


VIDEOS = (Video("long", "train", 61.0), Video("short", "train", 4.0), Video("tested", "test", 25.0))
EVENTS = (
    Event("long-0", "long", (0.0, 20.0), ("dog barking", "thunder"), None, (DOG, TREE, SHADOW)),
    Event("long-1", "long", (30.0, 40.0), ("dog barking",), None, (DOG,)),
    Event("short-0", "short", (1.0, 3.0), ("man speaking",), None, ()),
    Event("tested-0", "tested", (0.0, 2.5), (), None, (DOG, TREE)),
)
QUESTIONS = (
    question("long", 0, "temporal", "when"),
    question("long", 1, "spatial", "where_sounding"),
    question("long", 2, "spatial", "where_silent"),
    question("short", 0, "spatio_temporal", "when_where"),
    question("tested", 0, "temporal", "when"),
    question("tested", 1, "temporal", "when"),
)
COUNTED = Records(VIDEOS, EVENTS, QUESTIONS)
UNLABELLED = replace(COUNTED, events=tuple(replace(own, labels=()) for own in EVENTS))


def write_counted(folder: Path, records: Records = COUNTED) -> Path:
    """The data set ``r-avst`` in a folder."""
    (folder / "r-avst").mkdir(parents=True)
    write_dataset(records, folder / "r-avst", folder / "cache", CardText("mit", "Made up."))
    return folder / "r-avst"
