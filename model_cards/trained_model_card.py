"""The card of a trained model, from what was measured of it: scores, recipe, data, commit, hardware."""

import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Final

import yaml
from huggingface_hub import EvalResult
from huggingface_hub import ModelCard
from huggingface_hub import ModelCardData

from r_avst.dataset_builder.dataset_folder import REPORT
from r_avst.dataset_builder.hub_names import HUB_NAME
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.scores import TABLE_SCORES
from r_avst.metrics.avst_metrics.scores import has_score
from r_avst.metrics.floors import FLOORS
from r_avst.metrics.paper_tables import paper_rows

from .dataset_card import COUNTS
from .measured import NOTHING_MEASURED
from .measured import CardError
from .measured import Measured
from .measured import as_percent
from .measured import read_measured
from .model_kinds import GRPO
from .model_kinds import KINDS
from .model_kinds import ModelKind
from .rendering import rendered
from .run_section import COLUMNS
from .run_section import CURVES
from .run_section import NOT_STATED
from .run_section import RUN_FILE
from .run_section import TrainingRun
from .run_section import read_run
from .safe_text import code
from .safe_text import fenced
from .safe_text import licence

TASK_TYPE = "video-text-to-text"
LOCAL_CHECKPOINT = "a local checkpoint"
MAX_RECIPE = 65_536  # characters
FIGURES: Final[Mapping[str, str]] = {
    "value": "share",
    "low": "share",
    "high": "share",
    "count": "count",
    "undefined": "count",
    "floor": "share",
    "skill": "skill",
}
"""What `r-avst-score` tells of a score, and in which form it stands on the card."""
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a trained model. What is None is printed as not measured, or not stated.

    Attributes:
        scores: the file of `r-avst-score --json`.
        row: the model's name in it; None where it has the predictions of one model only.
        recipe: a YAML mapping, shown as it is.
        run: the `run.json` of its training run; a picture of its curves is shown if it lies beside it.
        dataset: the folder of `r-avst-build` that it was trained on, for its counts.
        dataset_id: where the data that it was scored on are on the Hub, ``user/name``.
        base_model: what it goes back to, on the Hub, if that is not what the run, or without a run its kind, says.
        licence: of the weights, as the Hub names it. That of the base models is apache-2.0.
        commit: of the code, as Git names it.
        hardware: that it was trained on, if the run does not say so.
    """

    scores: Path | None = None
    row: str | None = None
    recipe: Path | None = None
    run: Path | None = None
    dataset: Path | None = None
    dataset_id: str | None = None
    base_model: str | None = None
    licence: str = "apache-2.0"
    commit: str | None = None
    hardware: str | None = None


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """A model's row in a score file, its name as the card gives it, and which figures of a score are shown."""

    file: Measured
    name: str
    label: str
    shown: Mapping[str, str]

    def key(self, task: Task, score: str, figure: str) -> tuple[str, ...]:
        """Where a figure stands in the file."""
        return "models", self.name, "figures", task, score, figure


NO_ROW: Final = ScoredRow(NOTHING_MEASURED, "", "the model", {"value": "share"})


def model_card(kind: str, facts: ModelFacts) -> str:
    """The whole README.md of a model.

    Args:
        kind: one of `KINDS`.
        facts: what is known of it.

    Raises:
        CardError: the kind is unknown, a file or an option is not of the form it should be, or Jinja2 is not installed.
    """
    if kind not in KINDS:
        raise CardError(f"{kind!r} is no kind of model; it is one of {', '.join(KINDS)}")
    own = KINDS[kind]
    row = _row(facts)
    run = read_run(facts.run)
    base_model = _base_model(own, facts, run)
    return rendered(
        ModelCard,
        _metadata(own, facts, row, run, base_model),
        "model.md",
        kind=own,
        method=run.method or GRPO,
        run=run,
        run_columns=tuple(COLUMNS),
        run_file=RUN_FILE,
        curves=CURVES,
        base_model=f"`{base_model}`" if base_model else LOCAL_CHECKPOINT,
        licence=facts.licence,
        row_name=row.label,
        tables={task: _table(task, row, own) for task in TASKS},
        columns=tuple(row.shown),
        settings=_settings(row),
        trained_on=read_measured(facts.dataset / REPORT) if facts.dataset else NOTHING_MEASURED,
        counts=COUNTS,
        commit=_commit(facts.commit),
        hardware=_hardware(facts, run),
        recipe=_recipe(facts.recipe) if facts.recipe else NOT_STATED,
    )


# --- scores -----------------------------------------------------------------------------------------------------------


def _row(facts: ModelFacts) -> ScoredRow:
    if facts.scores is None:
        if facts.row is not None:
            raise CardError(f"the row {facts.row!r} is one of a score file: give --scores FILE too")
        return NO_ROW
    scores = read_measured(facts.scores)
    models = [name for name in scores.names("models") if name not in FLOORS]
    chosen = [facts.row] if facts.row is not None else models
    if len(chosen) != 1 or chosen[0] not in models:
        raise CardError(
            f"{facts.scores} has the rows {sorted(models)} beside constant answers; "
            f"--row {facts.row or 'NAME'} is to be one of them"
        )
    return ScoredRow(scores, chosen[0], code(chosen[0], f"{facts.scores}: the row"), FIGURES)


def _table(task: Task, row: ScoredRow, kind: ModelKind) -> list[tuple[str, list[str], str]]:
    """For each score of a task its name, its figures, and the paper's figure."""
    paper = paper_rows(task)[kind.paper_row] if kind.paper_row else {}
    return [
        (
            score,
            [row.file.figure(form, *row.key(task, score, figure)) for figure, form in row.shown.items()],
            as_percent(paper[score]) if score in paper else "",
        )
        for score in _scores_of(task)
    ]


def _scores_of(task: Task) -> Sequence[str]:
    return [score for score in TABLE_SCORES if has_score(task, score)]


def _settings(row: ScoredRow) -> list[tuple[str, str]]:
    """How the scores were made, by their keys in the file: names as code, paths without their folders."""
    return [
        *(("settings." + key, _named(row.file, key)) for key in ("version", "dataset", "split", "word_vectors", "balanced")),
        *(
            ("settings." + key, row.file.figure("count", "settings", key))
            for key in ("questions", "bootstrap_samples", "seed")
        ),
        ("missing", row.file.figure("count", "models", row.name, "missing")),
    ]


def _named(scores: Measured, key: str) -> str:
    found = scores.at("settings", key)
    if isinstance(found, bool):
        return f"`{str(found).lower()}`"
    return code(Path(found).name, f"{scores.name}: settings.{key}") if isinstance(found, str) else NOT_STATED


# --- metadata ---------------------------------------------------------------------------------------------------------


def _metadata(kind: ModelKind, facts: ModelFacts, row: ScoredRow, run: TrainingRun, base_model: str | None) -> ModelCardData:
    dataset = _repo_id(facts.dataset_id, "the data set") if facts.dataset_id else None
    results = list(_results(row, dataset or "r-avst"))
    return ModelCardData(
        license=licence(facts.licence, "the licence"),
        language="en",
        library_name="peft" if run.adapter else "transformers",
        pipeline_tag=TASK_TYPE,
        base_model=base_model,
        datasets=[dataset] if dataset else None,
        tags=kind.tags_of_a_run(run.method or GRPO),
        model_name=kind.title_of_a_run(run.method or GRPO) if results else None,
        eval_results=results or None,
    )


def _results(row: ScoredRow, dataset: str) -> Iterator[EvalResult]:
    """The measured scores, as the file has them: in 0..1."""
    for task in TASKS:
        for score in _scores_of(task):
            value = row.file.at(*row.key(task, score, "value"))
            if isinstance(value, float | int):
                yield _result(row.file, dataset, task, score, value)


def _result(scores: Measured, dataset: str, task: Task, score: str, value: float) -> EvalResult:
    return EvalResult(
        task_type=TASK_TYPE,
        task_name=task,
        dataset_type=dataset,
        dataset_name="R-AVST",
        dataset_config=task,
        dataset_split=scores.text("settings", "split"),
        metric_type=score,
        metric_name=score,
        metric_value=value,
    )


def _base_model(kind: ModelKind, facts: ModelFacts, run: TrainingRun) -> str | None:
    """Its name on the Hub; None where the run began with a local checkpoint."""
    chosen = facts.base_model or (run.base_model if run.method else kind.base_model)
    return _repo_id(chosen, "the base model") if chosen else None


def _repo_id(text: str, what: str) -> str:
    if not HUB_NAME.fullmatch(text):
        raise CardError(f"{what} {text!r} has no name of the Hub; give user/name")
    return text


# --- what else is told ------------------------------------------------------------------------------------------------


def _commit(commit: str | None) -> str:
    if commit is None:
        return NOT_STATED
    if not _COMMIT.fullmatch(commit):
        raise CardError(f"the commit {commit!r} is no name of Git: give 7 to 40 hexadecimal digits (git rev-parse HEAD)")
    return f"`{commit}`"


def _hardware(facts: ModelFacts, run: TrainingRun) -> str:
    told = facts.hardware or run.file.text("hardware")
    return code(told, "the hardware") if told else NOT_STATED


def _recipe(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
        mapping: Any = yaml.safe_load(text) if len(text) <= MAX_RECIPE else None
    except OSError as error:
        raise CardError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise CardError(f"{path} is no YAML ({error}); mend it, or give another --recipe") from None
    if not isinstance(mapping, dict):
        raise CardError(f"{path} is no recipe: give a YAML mapping of at most {MAX_RECIPE:,} characters")
    return fenced(text, "yaml", str(path))
