"""Scores predictions: `r-avst-score --dataset r-avst --split test --predictions preds.jsonl`."""

# Absolute imports, so that the file also runs by its path.
import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from r_avst.metrics.avst_metrics.answers import ParsedAnswer
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.scores import QuestionScore
from r_avst.metrics.avst_metrics.scores import score_questions
from r_avst.metrics.avst_metrics.summary import Summariser
from r_avst.metrics.avst_metrics.summary import indices_by_group
from r_avst.metrics.avst_metrics.summary import question_rows
from r_avst.metrics.avst_metrics.version import VERSION
from r_avst.metrics.avst_metrics.word_vectors import DEFAULT
from r_avst.metrics.avst_metrics.word_vectors import WordVectorsError
from r_avst.metrics.avst_metrics.word_vectors import load_word_vectors
from r_avst.metrics.benchmark import BREAKDOWNS
from r_avst.metrics.benchmark import BenchmarkError
from r_avst.metrics.benchmark import BenchmarkQuestion
from r_avst.metrics.benchmark import balanced_subset
from r_avst.metrics.benchmark import load_questions
from r_avst.metrics.floors import FLOORS
from r_avst.metrics.option_types import whole_number
from r_avst.metrics.predictions import MISSING
from r_avst.metrics.predictions import PredictionError
from r_avst.metrics.predictions import read_predictions
from r_avst.metrics.score_files import file_text
from r_avst.metrics.score_files import question_scores
from r_avst.metrics.tables import render_tables

DESCRIPTION = """\
Scores predictions on R-AVST and prints the paper's tables 2 and 3 for them, in percent with 95% bootstrap intervals.

Predictions are JSON lines, one a question:
  {"question_id": "...", "text": "<answer>...</answer>", "coordinate_space": "source"}
coordinate_space is the space of the predicted boxes: source (pixels of the video), model (pixels of the frame the model
was given: add "processed_size": [width, height]), norm1000 or unit. All but source need the video's size,
"frame_size": [width, height], in the line or in the data set (r-avst-build --videos). A question without a prediction
scores 0.
"""
EPILOG = """\
examples:
  r-avst-score --predictions model_a.jsonl model_b.jsonl --with-floors --with-paper
  r-avst-score --predictions model_a.jsonl --by coverage --word-vectors exact
  r-avst-score --predictions model_a.jsonl --balanced --seed 0 --json scores.json
"""


class OutputError(ValueError):
    """A file that cannot be written; the message says why."""


@dataclass(frozen=True, slots=True)
class ScoredModel:
    """A model's (or floor's) predictions of the scored questions, and their scores."""

    name: str
    parsed: list[ParsedAnswer]
    scores: list[QuestionScore]


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script `r-avst-score`."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.predictions and not options.with_floors:
        parser.error("nothing to score: give --predictions FILE, or --with-floors")
    if options.balanced and options.seed is None:
        parser.error("--balanced draws a subset: say --seed, so that it can be drawn again")
    try:
        _check_writable(options.json, options.per_question)
        result = score(options)
    except (BenchmarkError, OutputError, PredictionError, WordVectorsError) as error:
        print(f"r-avst-score: {error}", file=sys.stderr)
        return 2
    print(render_tables(result, with_paper=options.with_paper))
    if options.json:
        options.json.write_text(file_text(result), encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="r-avst-score",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dataset", default="r-avst", help="folder of r-avst-build, or user/name (default: %(default)s)")
    parser.add_argument("--split", default="test", help="default: %(default)s")
    parser.add_argument(
        "--predictions", type=Path, nargs="+", default=[], metavar="FILE", help="JSON lines; several files are several rows"
    )
    parser.add_argument("--with-floors", action="store_true", help="add rows of answers made without looking at a video")
    parser.add_argument("--with-paper", action="store_true", help="add the paper's rows, beside the released test split")
    parser.add_argument("--by", choices=BREAKDOWNS, help="break the tables down by this")
    parser.add_argument("--balanced", action="store_true", help="score a subset with as many questions of each task")
    parser.add_argument("--seed", type=whole_number, help="of the subset, the bootstrap and the random floors (default: 0)")
    parser.add_argument(
        "--word-vectors",
        default=DEFAULT,
        metavar="WHICH",
        help='%(default)s (the default, downloaded once), a .kv, .bin or .npz file, or "exact" for none',
    )
    parser.add_argument(
        "--bootstrap-samples", type=whole_number, default=1000, metavar="N", help="default: %(default)s; 0 for none"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here, for r-avst-leaderboard")
    parser.add_argument(
        "--per-question", type=Path, metavar="FILE", help="write the scores of each question here (JSON lines)"
    )
    return parser


def _check_writable(*paths: Path | None) -> None:
    """Before the scoring, not after it; what the scoring does not come to write is not left behind empty."""
    given = [path for path in paths if path is not None]
    if len({path.resolve() for path in given}) < len(given):
        raise OutputError(f"{given[0]}: two outputs cannot go to one file")
    for path in given:
        there = path.exists()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("a", encoding="utf-8").close()
            if not there:
                path.unlink()
        except OSError as error:
            raise OutputError(f"{path}: it cannot be written ({error.strerror})") from None


def score(options: argparse.Namespace) -> dict[str, Any]:
    """Scores what the options ask for.

    Returns:
        ``{"settings": ..., "models": {name: {"figures": {task: {score: {...}}}, "missing": n, "groups": {...}}},
        "questions": {...}}``, in 0..1; ``questions`` is that of `score_files.question_scores`.
    """
    seed = options.seed or 0
    split = load_questions(options.dataset, options.split)
    questions = balanced_subset(split, seed) if options.balanced else split
    names = NameMatcher(load_word_vectors(options.word_vectors))
    answers = _predicted_answers(options.predictions, split, questions)
    if options.with_floors:
        answers |= _floor_answers(questions, seed)
    models = [
        ScoredModel(name, parsed, score_questions(parsed, [own.question for own in questions], names))
        for name, parsed in tqdm(answers.items(), desc="scoring", unit="model", leave=False)
    ]
    if options.per_question:
        _write_question_rows(options.per_question, questions, models)
    summariser = Summariser([own.question for own in questions], names, options.bootstrap_samples, seed)
    settings = {
        key: getattr(options, key) for key in ("dataset", "split", "word_vectors", "bootstrap_samples", "balanced", "by")
    }
    return {
        "settings": {**settings, "seed": seed, "questions": len(questions), "version": VERSION},
        "models": {own.name: _figures(own, questions, summariser, options.by) for own in models},
        "questions": question_scores(questions, {own.name: own.scores for own in models}),
    }


def _predicted_answers(
    paths: Sequence[Path], split: Sequence[BenchmarkQuestion], questions: Sequence[BenchmarkQuestion]
) -> dict[str, list[ParsedAnswer]]:
    answers: dict[str, list[ParsedAnswer]] = {}
    for path in paths:
        if path.stem in answers or path.stem in FLOORS:
            raise PredictionError(f"{path}: another row is named {path.stem} too; rows are named by files, rename this one")
        predictions = read_predictions(path, split)
        for warning in predictions.warnings:
            print(f"r-avst-score: warning: {warning}", file=sys.stderr)
        answers[path.stem] = predictions.for_questions(questions)
    return answers


def _floor_answers(questions: Sequence[BenchmarkQuestion], seed: int) -> dict[str, list[ParsedAnswer]]:
    """The floors' answers as if parsed from a text, but with their numbers unrounded."""
    return {
        name: [
            replace(parse_answer(write_answer(answer, own.question.task)), answer=answer)
            for answer, own in zip(floor(questions, seed), questions, strict=True)
        ]
        for name, floor in FLOORS.items()
    }


def _figures(
    model: ScoredModel, questions: Sequence[BenchmarkQuestion], summariser: Summariser, by: str | None
) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "figures": summariser.by_task(model.scores),
        "missing": sum(parsed is MISSING for parsed in model.parsed),
    }
    if by is not None:
        groups = indices_by_group([BREAKDOWNS[by](own) for own in questions])
        figures["groups"] = {group: summariser.by_task(model.scores, indices) for group, indices in groups.items()}
    return figures


def _write_question_rows(path: Path, questions: Sequence[BenchmarkQuestion], models: Sequence[ScoredModel]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for model in models:
            rows = question_rows([own.question for own in questions], model.scores, model.parsed)
            for own, row in zip(questions, rows, strict=True):
                file.write(json.dumps({"model": model.name, "question_id": own.question_id, **row}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
