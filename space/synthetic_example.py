"""Something to look at without a download: clips of the synthetic world, their questions, and stand-ins for models.

The stand-ins are no models and are named for what they do: `whole_video` is the constant answer of
`r_avst.metrics.floors`, `jittered_truth` its true answers moved by about a tenth, and `shifted_truth` is the truth, late by
`DELAY` seconds and moved by `MOVE` pixels.
"""

import json
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Final

from r_avst.dataset_builder.dataset_folder import REPORT
from r_avst.dataset_builder.dataset_folder import write_folder
from r_avst.dataset_builder.line_files import put_text
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.records import records_of
from r_avst.dataset_builder.sources import card_texts
from r_avst.dataset_builder.sources.splits import TEST
from r_avst.dataset_builder.sources.synthetic import VIDEO_FOLDER
from r_avst.dataset_builder.sources.synthetic import make_world
from r_avst.dataset_builder.stages.quality import QualityStage
from r_avst.dataset_builder.stages.questions import QuestionStage
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Row
from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.answers import is_visible
from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.benchmark import BenchmarkQuestion
from r_avst.metrics.benchmark import load_questions
from r_avst.metrics.floors import jittered_gold
from r_avst.metrics.floors import whole_video

VIDEOS: Final = 6
SEED: Final = 0
DELAY: Final = 1.0  # seconds
MOVE: Final = (6.0, 4.0)  # pixels to the right and down


@dataclass(frozen=True, slots=True)
class Example:
    """The folder of the data set, the folder of its videos, and a prediction file for each stand-in."""

    dataset: Path
    videos: Path
    predictions: tuple[Path, ...]


def write_example(folder: Path) -> Example:
    """Writes the example, in seconds; what is there already and complete stays, what a kill left half written does not.

    Raises:
        PyAVMissingError: PyAV is not installed.
        BuildError: the folder cannot be written.
    """
    example = Example(
        folder / "r-avst", folder / VIDEO_FOLDER, tuple(folder / "predictions" / f"{name}.jsonl" for name in STAND_INS)
    )
    truth = make_world(folder, VIDEOS, SEED)
    if not (example.dataset / REPORT).is_file():
        _write_dataset(truth, example.dataset)
    if not all(path.is_file() for path in example.predictions):
        questions = load_questions(str(example.dataset), TEST)
        for path, answers in zip(example.predictions, STAND_INS.values(), strict=True):
            put_text(path, "".join(_lines(questions, answers(questions, SEED))))
    return example


def _write_dataset(truth: Sequence[VideoRow], out: Path) -> None:
    """Questions as `r-avst-build synthetic` asks them, with the exact boxes; all are for testing."""
    rows = tuple(replace(row, video=replace(row.video, split=TEST)) for row in truth)
    asked, report = QuestionStage(balance_tasks=False, seed=SEED).run(rows)
    good, checks = QualityStage().run(asked)
    told = {
        "source": {"kind": "synthetic", "videos": VIDEOS, "seed": SEED},
        "stages": {"questions": report, "quality": checks},
    }
    write_folder(records_of(good), card_texts.SYNTHETIC, told, out)


def _lines(questions: Sequence[BenchmarkQuestion], answers: Sequence[Answer]) -> Iterator[str]:
    """A line a question, as `r-avst-predict` writes them."""
    for own, answer in zip(questions, answers, strict=True):
        text = write_answer(answer, own.question.task)
        yield json.dumps({"question_id": own.question_id, "text": text, "coordinate_space": "source"}) + "\n"


# --- the truth, late and moved ----------------------------------------------------------------------------------------


def shifted_truth(questions: Sequence[BenchmarkQuestion], seed: int) -> list[Answer]:
    """The true answers `DELAY` seconds late and moved by `MOVE` pixels, cut off at the video's edges. No use of the seed."""
    return [_shifted(own) for own in questions]


def _shifted(own: BenchmarkQuestion) -> Answer:
    truth, duration = own.question.truth, own.question.duration or 0.0
    tracks = (
        replace(track, rows=tuple(_moved(row, own.frame_size) for row in track.rows if row[0] + DELAY < duration))
        for track in truth.tracks
    )
    return Answer(tuple(tracks), _late(truth.span, duration) if truth.span else None)


def _late(span: Span, duration: float) -> Span:
    """A span that ends with the video stays as long as it can be."""
    return min(span[0] + DELAY, span[1]), min(span[1] + DELAY, duration)


def _moved(row: Row, frame: Size | None) -> Row:
    time, x1, y1, x2, y2 = row
    if not is_visible(row) or frame is None:
        return time + DELAY, x1, y1, x2, y2
    right, down = min(MOVE[0], frame[0] - x2), min(MOVE[1], frame[1] - y2)
    return time + DELAY, x1 + right, y1 + down, x2 + right, y2 + down


STAND_INS: Final[dict[str, Callable[[Sequence[BenchmarkQuestion], int], list[Answer]]]] = {
    "whole_video": whole_video,
    "jittered_truth": jittered_gold,
    "shifted_truth": shifted_truth,
}
