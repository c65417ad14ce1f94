"""A small data set to rate, with hostile texts, and a film for browsers in which a square moves with its boxes."""

from pathlib import Path

import av
import numpy as np

from r_avst.dataset_builder.builder import write_dataset
from r_avst.dataset_builder.ratings import read_all
from r_avst.dataset_builder.records import CardText
from r_avst.dataset_builder.records import Frame
from r_avst.dataset_builder.records import Instance
from r_avst.dataset_builder.records import ObjectTrack
from r_avst.dataset_builder.records import Question
from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.records import Video
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import write_answer

WIDTH, HEIGHT, FPS, SECONDS = 160, 120, 10, 6
HIDDEN = 3  # the second in which the square is out of sight
FILM = "film #1 50%"  # a name that must be quoted in a URL
MISSING = "<b>absent</b>"
HOSTILE = "<img src=x onerror=\"window.pwned=1\"> ${window.pwned=2} {{constructor.constructor('window.pwned=3')()}}"
IDS = ["film-0-temporal-0", "absent-0-temporal-0", "film-0-spatial-0", "film-0-spatial-1", "film-0-spatio_temporal-0"]


def square_box(second: int) -> tuple[float, float, float, float]:
    """Where the square is from a second to the next."""
    return (10.0 + 20 * second, 30.0, 40.0 + 20 * second, 70.0)


def write_film(path: Path) -> None:
    """H.264 that browsers play: a red square on blue jumps 20 pixels every second, and is hidden in one."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "12", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(SECONDS * FPS):
            picture = np.full((HEIGHT, WIDTH, 3), (0, 0, 160), np.uint8)
            x1, y1, x2, y2 = (int(edge) for edge in square_box(index // FPS))
            if index // FPS != HIDDEN:
                picture[y1:y2, x1:x2] = (230, 20, 20)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def square_track(name: str) -> ObjectTrack:
    frames = [
        Frame(float(second), (Instance(square_box(second), True),) if second != HIDDEN else (Instance((0, 0, 0, 0), False),))
        for second in range(SECONDS)
    ]
    return ObjectTrack(name, True, tuple(frames))


def question(place: int, video: str, task: Task, text: str, tracks: tuple[ObjectTrack, ...], span: Span) -> Question:
    rows = [tuple((frame.time, *one.box) for frame in own.frames for one in frame.instances) for own in tracks]
    shown = [Track(own.name, row if task != "temporal" else ()) for own, row in zip(tracks, rows, strict=True)]
    answer = write_answer(Answer(tuple(shown), None if task == "spatial" else span), task)
    kinds: dict[Task, str] = {"temporal": "when", "spatial": "where_sounding", "spatio_temporal": "when_where"}
    spatial = task == "spatial"
    query, when = (span, None) if spatial else (None, span)
    return Question(IDS[place], "e", video, task, text, kinds[task], answer, query, when, tracks)


def write_review_data(folder: Path) -> None:
    """``r-avst`` and ``videos`` in a folder: five questions on two videos, one of which is missing."""
    (folder / "r-avst").mkdir(parents=True)
    (folder / "videos").mkdir()
    write_film(folder / "videos" / f"{FILM}.mp4")
    red = square_track("red square")
    questions = (
        question(0, FILM, "temporal", f"When is {HOSTILE} seen?", (square_track(HOSTILE),), (1.0, 5.0)),
        question(1, MISSING, "temporal", "When does the dog bark?", (ObjectTrack("dog", True, ()),), (0.5, 2.5)),
        question(
            2, FILM, "spatial", "What sounds, and where?", (red, ObjectTrack(HOSTILE, False, red.frames[4:])), (0.0, 6.0)
        ),
        question(3, FILM, "spatial", "What else sounds?", (red,), (2.0, 4.0)),
        question(4, FILM, "spatio_temporal", "When and where?", (red,), (1.0, 9.0)),
    )
    videos = (Video(FILM, "test", float(SECONDS), WIDTH, HEIGHT), Video(MISSING, "test", 4.0))
    write_dataset(Records(videos, (), questions), folder / "r-avst", folder / "cache", CardText("mit", "Made up."))


def last_scores(ratings: Path) -> dict[str, dict[str, int]]:
    """Question id -> rater -> last score."""
    found: dict[str, dict[str, int]] = {}
    for own in read_all(ratings):
        found.setdefault(own.question_id, {})[own.rater] = own.score
    return found
