"""Files of `r-avst-score --json` to rank: predictors of a known order on a small data set, scored by the command itself."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Row
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import is_visible
from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.metrics.benchmark import load_questions
from r_avst.metrics.score import main as score


def many_questions(folder: Path, videos: int = 40) -> Path:
    """A data set with a question of each task in each of its videos."""
    annotations = folder / "many.json"
    annotations.write_text(json.dumps([_video(index) for index in range(videos)]), encoding="utf-8")
    build_release(str(annotations), None, None, folder / "many")
    return folder / "many"


def _video(index: int) -> dict[str, Any]:
    start, length = index % 7, 5 + index % 11
    span = f"<when>[{start:.1f}, {start + length:.1f}]</when>\n"
    left = 10.0 * (index % 9)
    rows = [f"{start + second:.1f}: [{left}, 20.0, {left + 60}, {80.0 + index}]\n" for second in range(4)]
    boxes = f"<where>\n{''.join(rows)}</where>\n"
    when, where, both = (f"<answer>\n<object>Dog</object>\n{told}</answer>" for told in (span, boxes, span + boxes))
    between = f"between {start:.1f} and {start + length:.1f}"
    where_question = f"What visible object(s) make sound {between}, and where is/are they?"
    event = {
        "event_num": 1,
        "AV Temporal Reasoning": [{"Q": "When is the moment Dog makes sound and is visible?", "A": when}],
        "AV Spatial Reasoning": [{"Q": where_question, "A": where}],
        "AV ST Reasoning": [{"Q": 'When is the moment Dog makes sound and is visible, and where is the "Dog"?', "A": both}],
    }
    return {"video_name": f"video_{index:03}", "duration": 30.0, "annotation": [event]}


def perturbed_gold(dataset: Path, path: Path, share: float, seed: int) -> Path:
    """Predictions that are off by up to twice ``share`` of each span and box: the larger the share, the worse."""
    rng = random.Random(seed)
    return _written(
        path,
        (
            {
                "question_id": own.question_id,
                "text": write_answer(_off(own.question.truth, share * rng.uniform(0, 2)), own.question.task),
                "coordinate_space": "source",
            }
            for own in load_questions(str(dataset), "test")
        ),
    )


def _off(truth: Answer, share: float) -> Answer:
    tracks = tuple(Track(own.name, tuple(_moved(row, share) for row in own.rows)) for own in truth.tracks)
    if truth.span is None:
        return Answer(tracks)
    start, end = truth.span
    return Answer(tracks, (start + share * (end - start), end + share * (end - start)))


def _moved(row: Row, share: float) -> Row:
    shift = share * (row[3] - row[1]) if is_visible(row) else 0.0
    return row[0], row[1] + shift, row[2], row[3] + shift, row[4]


def _written(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def scored(dataset: Path, path: Path, predictions: Iterable[Path], *options: object) -> Path:
    """What `r-avst-score --json` writes of the predictions, with names matched exactly and 50 resamples."""
    given = [str(own) for own in predictions]
    defaults = ["--dataset", str(dataset), "--word-vectors", "exact", "--bootstrap-samples", "50", "--json", str(path)]
    assert score([*defaults, *(["--predictions", *given] if given else []), *map(str, options)]) == 0
    return path


def plain_values(scores_file: Path, model: str, task: Task, name: str) -> list[float | None]:
    """The scores of each question as they stand in a file."""
    values: list[float | None] = json.loads(scores_file.read_text(encoding="utf-8"))["questions"]["scores"][model][task][
        name
    ]
    return values
