"""The lmms-eval task asks what the project asks and scores as `r-avst-score` does, alone and in lmms-eval's own runner."""

import importlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from evaluator_data import CLIPS
from evaluator_data import SIZE
from evaluator_data import EvaluatorData
from evaluator_data import noisy_answers
from evaluator_data import official_scores
from evaluator_data import write_evaluator_data

from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.scores import TABLE_SCORES
from r_avst.metrics.avst_metrics.scores import has_score
from r_avst.metrics.avst_metrics.word_vectors import WordVectorsError
from r_avst.training.answer_form import AnswerForm
from r_avst.training.evaluators import lmms_task
from r_avst.training.evaluators.asking import CoordinateSpaceError
from r_avst.training.evaluators.asking import MissingVideoError
from r_avst.training.evaluators.asking import OtherSizeError
from r_avst.training.evaluators.lmms_task import SettingError
from r_avst.training.prompts import prompt_text

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "training/evaluators/lmms_eval_tasks"
PYTHON = os.environ.get("R_AVST_LMMS_EVAL_PYTHON")
FORMS = {"source": AnswerForm("source", 1, 1), "norm1000": AnswerForm("norm1000", 1, 0)}
# The fields of TaskConfig and GroupConfig in lmms-eval 0.7.3 (lmms_eval/api/task.py, group.py); others are an error there.
# fmt: off
TASK_KEYS = {
    "task", "task_alias", "tag", "group", "group_alias", "dataset_path", "dataset_name", "dataset_kwargs",
    "training_split", "validation_split", "test_split", "fewshot_split", "full_docs", "process_results_use_image",
    "process_docs", "doc_to_visual", "doc_to_text", "doc_to_target", "doc_to_choice", "doc_to_messages",
    "process_results", "use_prompt", "description", "target_delimiter", "fewshot_delimiter", "fewshot_config",
    "num_fewshot", "metric_list", "output_type", "generation_kwargs", "repeats", "filter_list", "should_decontaminate",
    "doc_to_decontamination_query", "cluster_key", "score_key", "metadata", "lmms_eval_specific_kwargs",
    "model_specific_generation_kwargs", "model_specific_target_kwargs", "reasoning_tags", "auto_strip_thinking",
}
# fmt: on
GROUP_KEYS = {"group", "group_alias", "task", "aggregate_metric_list", "metadata"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> EvaluatorData:
    return write_evaluator_data(tmp_path_factory.mktemp("evaluators"), SIZE)


@pytest.fixture(autouse=True)
def environment(data: EvaluatorData, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name, value in settings_of(data, "source").items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("R_AVST_MISSING_VIDEOS", raising=False)
    lmms_task.settings.cache_clear()
    yield monkeypatch
    lmms_task.settings.cache_clear()


def settings_of(data: EvaluatorData, space: str) -> dict[str, str]:
    return {
        "R_AVST_DATASET": str(data.dataset),
        "R_AVST_VIDEOS": str(data.videos),
        "R_AVST_COORDINATE_SPACE": space,
        "R_AVST_AUDIO": "no",
        "R_AVST_WORD_VECTORS": "exact",
    }


# --- scores -----------------------------------------------------------------------------------------------------------


def means(data: EvaluatorData, answers: dict[str, str], task: Task) -> dict[str, float]:
    """As lmms-eval makes them: a list of values for each name that questions have, in their order."""
    values: dict[str, list[float]] = {}
    for doc in data.rows(task):
        for name, value in lmms_task.scored(doc, [answers[doc["question_id"]]]).items():
            values.setdefault(name, []).append(value)
    return {name: lmms_task.mean(own) for name, own in values.items()}


@pytest.mark.parametrize("space", FORMS)
@pytest.mark.filterwarnings("ignore:.*predicted boxes")
def test_the_means_are_those_of_r_avst_score_to_the_last_digit(
    data: EvaluatorData, space: str, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("R_AVST_COORDINATE_SPACE", space)
    answers = noisy_answers(data, FORMS[space], seed=1)
    official = official_scores(data, answers, space, tmp_path)
    assert 0.1 < official["spatial"]["m_vIoU"] < 0.9
    assert {task: means(data, answers, task) for task in TASKS} == official


def test_scores_that_are_not_defined_are_left_out(data: EvaluatorData) -> None:
    doc = data.rows("spatial")[0]
    assert lmms_task.scored(doc, [doc["answer"]]) == {"format_rate": 1.0, "object_accuracy": 1.0, "object_f1": 1.0}


def test_boxes_that_do_not_fit_the_space_are_told(data: EvaluatorData, environment: pytest.MonkeyPatch) -> None:
    text = "<answer><object>dog</object><where>\n0.0: [0.1, 0.1, 0.5, 0.5]\n</where></answer>"
    with pytest.warns(UserWarning, match="1 of 1 predicted boxes have no coordinate above 1"):
        lmms_task.scored(data.rows("spatial")[0], [text])


# --- questions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("space", "audio"), [("source", "no"), ("norm1000", "yes")])
def test_the_text_is_the_projects_own_prompt(
    data: EvaluatorData, task: Task, space: str, audio: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("R_AVST_COORDINATE_SPACE", space)
    environment.setenv("R_AVST_AUDIO", audio)
    for doc in data.rows(task).select(range(3)):
        video = str(data.videos / CLIPS[doc["video_id"]])
        prompt = prompt_text(doc["question"], task, FORMS[space], SIZE, SIZE, audio == "yes")
        assert lmms_task.text(doc) == prompt
        assert lmms_task.visuals(doc) == [video]
        assert lmms_task.messages(doc)[0]["content"] == [{"type": "video", "url": video}, {"type": "text", "text": prompt}]


def test_without_a_size_in_the_data_set_the_files_is_taken(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    data = write_evaluator_data(tmp_path, None)
    environment.setenv("R_AVST_VIDEOS", str(data.videos))
    doc = data.rows("spatial")[0]
    assert doc["width"] is None
    assert "160 wide and 120 high" in lmms_task.text(doc)


def test_a_file_of_another_size_than_the_annotated_one_stops_the_run(data: EvaluatorData) -> None:
    doc = data.rows("spatial")[0] | {"width": 320, "height": 240}
    with pytest.raises(OtherSizeError, match=r"seen.mp4: it has 160 x 120 pixels, but its boxes are for 320 x 240"):
        lmms_task.text(doc)


def test_a_missing_video_stops_the_run_or_is_left_out(
    data: EvaluatorData, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "seen.mp4").symlink_to(data.videos / "seen.mp4")
    environment.setenv("R_AVST_VIDEOS", str(tmp_path))
    docs = data.rows("temporal")
    assert len(lmms_task.asked(docs)) == len(docs)
    with pytest.raises(MissingVideoError, match=r"holds no deeper .*r-avst-videos"):
        [lmms_task.text(doc) for doc in docs]
    environment.setenv("R_AVST_MISSING_VIDEOS", "leave_out")
    with pytest.warns(UserWarning, match="46 of 70 questions are left out"):
        kept = lmms_task.asked(docs)
    assert set(kept["video_id"]) == {"seen"}


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("R_AVST_VIDEOS", None, SettingError, "R_AVST_VIDEOS is not set"),
        ("R_AVST_VIDEOS", "/nowhere", SettingError, "no such folder"),
        ("R_AVST_COORDINATE_SPACE", None, SettingError, "R_AVST_COORDINATE_SPACE is not set"),
        ("R_AVST_COORDINATE_SPACE", "model", CoordinateSpaceError, "'model' needs the size of the frames"),
        ("R_AVST_COORDINATE_SPACE", "unit", CoordinateSpaceError, "it must be 'source'"),
        ("R_AVST_AUDIO", None, SettingError, "R_AVST_AUDIO is None; it must be one of yes, no"),
        ("R_AVST_AUDIO", "true", SettingError, "must be one of yes, no"),
        ("R_AVST_MISSING_VIDEOS", "skip", SettingError, "must be one of error, leave_out"),
        ("R_AVST_WORD_VECTORS", "/nowhere.kv", WordVectorsError, "no word vectors"),
    ],
)
def test_the_first_question_tells_what_is_wrong_with_the_settings(
    data: EvaluatorData,
    environment: pytest.MonkeyPatch,
    name: str,
    value: str | None,
    error: type[Exception],
    message: str,
) -> None:
    if value is None:
        environment.delenv(name)
    else:
        environment.setenv(name, value)
    docs = data.rows("temporal")
    assert len(lmms_task.asked(docs)) == len(docs)
    with pytest.raises(error, match=message):
        lmms_task.text(docs[0])


def test_the_data_set_is_read_from_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("R_AVST_DATASET", "user/r-avst")
    assert lmms_task.DATASET == "user/r-avst"
    environment.setenv("R_AVST_DATASET", "nowhere")
    with pytest.raises(SettingError, match="R_AVST_DATASET is 'nowhere'"):
        lmms_task.__getattr__("DATASET")


# --- the files --------------------------------------------------------------------------------------------------------


class TaskLoader(yaml.SafeLoader):
    """Reads ``!function a.b.c`` as lmms-eval 0.7.3 does: what module a.b calls c."""


def named(loader: TaskLoader, node: yaml.ScalarNode) -> Any:
    module, _, name = str(loader.construct_scalar(node)).rpartition(".")
    return getattr(importlib.import_module(module), name)


TaskLoader.add_constructor("!function", named)


def config_in(name: str) -> dict[str, Any]:
    config = yaml.load((FOLDER / name).read_text(encoding="utf-8"), TaskLoader)
    template = config.pop("include", None)
    return config_in(template) | config if template else config


@pytest.mark.parametrize("task", TASKS)
def test_a_tasks_file_fits_the_schema_of_lmms_eval(data: EvaluatorData, task: Task) -> None:
    config = config_in(f"r_avst_{task}.yaml")
    assert set(config) <= TASK_KEYS
    assert (config["task"], config["dataset_name"], config["dataset_path"]) == (f"r_avst_{task}", task, str(data.dataset))
    assert config["output_type"] == "generate_until"
    assert (config["test_split"], config["doc_to_target"]) == ("test", "answer")
    assert config["doc_to_text"] is lmms_task.text
    assert config["doc_to_messages"] is lmms_task.messages
    assert config["generation_kwargs"]["until"] == []


@pytest.mark.parametrize("task", TASKS)
def test_a_tasks_file_names_the_scores_of_the_task(task: Task) -> None:
    metrics = config_in(f"r_avst_{task}.yaml")["metric_list"]
    assert [own["metric"] for own in metrics] == [name for name in TABLE_SCORES if has_score(task, name)]
    assert all(set(own) == {"metric", "aggregation", "higher_is_better"} for own in metrics)
    assert all(own["aggregation"] is lmms_task.mean and own["higher_is_better"] is True for own in metrics)


def test_the_groups_file_names_every_task() -> None:
    config = config_in("r_avst.yaml")
    assert set(config) <= GROUP_KEYS
    assert (config["group"], config["task"]) == ("r_avst", [f"r_avst_{task}" for task in TASKS])
    files = {path.name for path in FOLDER.iterdir()}
    assert files == {"r_avst.yaml", "_r_avst_template_yaml", *(f"r_avst_{task}.yaml" for task in TASKS)}


# --- lmms-eval itself -------------------------------------------------------------------------------------------------


def run_lmms_eval(
    folder: Path, settings: dict[str, str], answers: dict[str, str], model: str, tasks: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Runs the group with a model of these answers; what it printed, and its results (empty where it failed)."""
    given = folder / "answers.json"
    given.write_text(json.dumps(answers), encoding="utf-8")
    house = folder / "path" / "r_avst"
    house.mkdir(parents=True)
    for floor in ("metrics", "dataset_builder", "model_cards", "training"):
        (house / floor).symlink_to(ROOT / floor)
    options = ["--model", model, "--model_args", f"answers={given}", "--include_path", FOLDER, "--tasks", tasks]
    options += ["--output_path", folder / "out", "--log_samples"]
    assert PYTHON
    ran = subprocess.run(
        [PYTHON, ROOT / "tests/lmms_runner.py", *options],
        env=os.environ | settings | {"PYTHONPATH": str(house.parent), "CUDA_VISIBLE_DEVICES": ""},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    found = [json.loads(path.read_text(encoding="utf-8")) for path in (folder / "out").glob("*_results.json")]
    return ran, found[0]["results"] if found else {}


def asked_in(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "answers.json.asked.jsonl").read_text(encoding="utf-8").splitlines()]


needs_lmms_eval = pytest.mark.skipif(
    PYTHON is None, reason="needs R_AVST_LMMS_EVAL_PYTHON, a Python of an environment with lmms-eval (it wants another av)"
)


@needs_lmms_eval
@pytest.mark.parametrize(("model", "space"), [("reader", "source"), ("chat_reader", "norm1000")])
def test_its_runner_gives_the_figures_of_r_avst_score(
    data: EvaluatorData, model: str, space: str, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers = noisy_answers(data, FORMS[space], seed=2)
    ran, results = run_lmms_eval(tmp_path, settings_of(data, space), answers, model, "r_avst")
    assert results, ran.stdout + ran.stderr
    found = {
        task: {name: results[f"r_avst_{task}"][f"{name},none"] for name in TABLE_SCORES if has_score(task, name)}
        for task in TASKS
    }
    assert found == official_scores(data, answers, space, tmp_path)
    environment.setenv("R_AVST_COORDINATE_SPACE", space)
    docs = {doc["question_id"]: doc for task in TASKS for doc in data.rows(task)}
    given = asked_in(tmp_path)
    assert sorted(own["question_id"] for own in given) == sorted(docs)
    for own in given:
        doc = docs[own["question_id"]]
        if model == "reader":
            assert (own["text"], own["media"]) == (lmms_task.text(doc), lmms_task.visuals(doc))
        else:
            assert own["messages"] == lmms_task.messages(doc)
        assert own["options"]["max_new_tokens"] == 4096


@needs_lmms_eval
def test_its_runner_finds_the_truth_perfect(data: EvaluatorData, tmp_path: Path) -> None:
    ran, results = run_lmms_eval(
        tmp_path, settings_of(data, "source"), data.truths, "reader", "r_avst_temporal,r_avst_spatial"
    )
    assert results, ran.stdout + ran.stderr
    assert results["r_avst_temporal"]["m_tIoU,none"] == results["r_avst_spatial"]["m_vIoU,none"] == 1.0


@needs_lmms_eval
def test_its_runner_stops_at_a_space_that_cannot_be_asked_for(data: EvaluatorData, tmp_path: Path) -> None:
    ran, results = run_lmms_eval(tmp_path, settings_of(data, "model"), data.truths, "reader", "r_avst")
    assert not results
    assert "Error during evaluation: the coordinate space is 'model'" in ran.stdout
    assert not (tmp_path / "answers.json.asked.jsonl").exists()
