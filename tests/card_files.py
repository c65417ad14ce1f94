"""Files that cards are rendered from, made by the project's own verbs from the small release."""

import json
from pathlib import Path
from typing import Any

from r_avst.dataset_builder.build import main as build
from r_avst.dataset_builder.built_dataset import load_built_dataset
from r_avst.dataset_builder.dataset_statistics import beside_paper
from r_avst.dataset_builder.dataset_statistics import statistics_of
from r_avst.metrics.score import main as score

SPAN = "<when>[1.4, 6.0]</when>\n"
BOXES = "<where>\n1.4: [10.0, 20.0, 60.0, 80.0]\n2.4: [0.0, 0.0, 0.0, 0.0]\n</where>\n"
WHEN, WHERE, BOTH = (f"<answer>\n<object>Dog</object>\n{told}</answer>" for told in (SPAN, BOXES, SPAN + BOXES))
SMALL_RELEASE = [
    {
        "video_name": "small_dog",
        "duration": 10.5,
        "annotation": [
            {
                "event_num": 1,
                "AV Temporal Reasoning": [{"Q": "When is the moment Dog makes sound and is visible?", "A": WHEN}],
                "AV Spatial Reasoning": [
                    {"Q": "What visible object(s) make sound between 1.4 and 6.0, and where is/are they?", "A": WHERE}
                ],
                "AV ST Reasoning": [
                    {"Q": 'When is the moment Dog makes sound and is visible, and where is the "Dog"?', "A": BOTH}
                ],
            }
        ],
    }
]


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def small_dataset(folder: Path) -> Path:
    """The data set of the small release."""
    annotations = written(folder / "small_release.json", SMALL_RELEASE)
    assert build(["release", "--annotations", str(annotations), "--out", str(folder / "r-avst")]) == 0
    return folder / "r-avst"


def small_run(folder: Path, **changes: Any) -> Path:
    """The `run.json` of a training run, with a few of its figures."""
    content: dict[str, Any] = {
        "method": "grpo",
        "finished": True,
        "base_model": "user/tiny",
        "hardware": "1 x H200",
        "versions": {"torch": "2.14.0"},
        "counts": {"examples": 5, "steps": 60, "gold_answers": None},
        "seconds": 12.25,
        "skipped": {"no video": 2},
        "figures": {
            "reward": {"first": 0.25, "last": 0.75, "averaged": 6, "logged": 60},
            "score/temporal/m_tIoU": {"first": 0.000123456, "last": 123456.7, "averaged": 1, "logged": 3},
        },
    }
    return written(folder / "run.json", content | changes)


def small_statistics(dataset: Path) -> Path:
    """Its statistics, as `r-avst-stats` writes them."""
    found = beside_paper(statistics_of(load_built_dataset(str(dataset))), "r-avst")
    return written(dataset.with_name("statistics.json"), found)


def small_scores(dataset: Path) -> Path:
    """The scores of a model ``avst_zero`` that answers one question, beside those of the floors."""
    predictions, scores = dataset.with_name("avst_zero.jsonl"), dataset.with_name("scores.json")
    text = "<answer><object>dog</object><when>[1.0, 5.0]</when></answer>"
    line = {"question_id": "small_dog-0-temporal-0", "text": text, "coordinate_space": "source"}
    predictions.write_text(json.dumps(line) + "\n", encoding="utf-8")
    options = ["--predictions", str(predictions), "--with-floors", "--word-vectors", "exact", "--bootstrap-samples", "20"]
    assert score(["--dataset", str(dataset), *options, "--json", str(scores)]) == 0
    return scores
