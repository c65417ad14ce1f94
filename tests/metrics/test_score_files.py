"""The files of `r-avst-score --json`: what they hold of each question, what is read of them, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from score_runs import many_questions
from score_runs import perturbed_gold
from score_runs import plain_values
from score_runs import scored

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.scores import TABLE_SCORES
from r_avst.metrics.avst_metrics.scores import has_score
from r_avst.metrics.benchmark import load_questions
from r_avst.metrics.floors import FLOORS
from r_avst.metrics.paper_tables import SCORES
from r_avst.metrics.score_files import DifferentSettingsError
from r_avst.metrics.score_files import ScoreFileError
from r_avst.metrics.score_files import check_comparable
from r_avst.metrics.score_files import read_score_file

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return many_questions(tmp_path_factory.mktemp("score-files"), videos=6)


@pytest.fixture(scope="module")
def whole_file(dataset: Path) -> Path:
    near = perturbed_gold(dataset, dataset.with_name("near.jsonl"), 0.1, seed=1)
    options = ("--with-floors", "--per-question", dataset.with_name("rows.jsonl"))
    return scored(dataset, dataset.with_name("near.json"), [near], *options)


@pytest.fixture
def changed(whole_file: Path, tmp_path: Path) -> Callable[[Change], Path]:
    """Writes the file with a change to its content under another name."""

    def write(change: Change) -> Path:
        content = json.loads(whole_file.read_text(encoding="utf-8"))
        change(content)
        path = tmp_path / "changed.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


# --- what they hold ---------------------------------------------------------------------------------------------------


def test_a_file_has_each_score_of_each_question_in_the_order_of_the_ids(dataset: Path, whole_file: Path) -> None:
    content = json.loads(whole_file.read_text(encoding="utf-8"))
    questions = load_questions(str(dataset), "test")
    rows = [json.loads(line) for line in dataset.with_name("rows.jsonl").read_text(encoding="utf-8").splitlines()]
    tious = {row["question_id"]: row["tiou"] for row in rows if row["model"] == "near"}
    assert list(content) == ["settings", "models", "questions"]
    assert list(content["questions"]["scores"]) == ["near", *FLOORS]
    for task in TASKS:
        ids = content["questions"]["ids"][task]
        assert ids == [own.question_id for own in questions if own.question.task == task]
        assert list(content["questions"]["scores"]["near"][task]) == [own for own in TABLE_SCORES if has_score(task, own)]
        if task != "spatial":
            assert plain_values(whole_file, "near", task, "m_tIoU") == pytest.approx([tious[own] for own in ids], abs=1e-6)


def test_the_means_of_the_questions_are_the_figures(whole_file: Path) -> None:
    for row in read_score_file(whole_file).rows:
        assert row.questions is not None
        for task in TASKS:
            assert list(row.questions[task]) == list(SCORES[task])
            for name, values in row.questions[task].items():
                assert np.nanmean(values) == pytest.approx(row.figures[task][name].value, abs=1e-6)


def test_figures_stand_a_line_each_and_scores_of_questions_in_one(whole_file: Path) -> None:
    lines = whole_file.read_text(encoding="utf-8").splitlines()
    assert '     "m_tIoU": {' in lines
    assert [line for line in lines if "truth" in line] == [lines[-2]]


def test_a_released_file_of_a_model_is_small_and_its_undefined_score_is_null(
    release_file: Path, unav_file: Path, tmp_path: Path
) -> None:
    build_release(str(release_file), unav_file, None, tmp_path / "r-avst")
    near = perturbed_gold(tmp_path / "r-avst", tmp_path / "near.jsonl", 0.1, seed=1)
    path = scored(tmp_path / "r-avst", tmp_path / "near.json", [near])
    assert path.stat().st_size < 300_000
    assert plain_values(path, "near", "spatial", "m_vIoU").count(None) == 1
    row = read_score_file(path).rows[0]
    assert row.questions is not None
    assert np.isnan(row.questions["spatial"]["m_vIoU"]).sum() == row.figures["spatial"]["m_vIoU"].undefined == 1


def test_a_file_without_scores_of_questions_is_read(changed: Callable[[Change], Path], whole_file: Path) -> None:
    old = read_score_file(changed(lambda content: content.pop("questions")))
    new = read_score_file(whole_file)
    assert old.truth is None
    assert [row.questions for row in old.rows] == [None] * 5
    assert [row.figures for row in old.rows] == [row.figures for row in new.rows]


# --- what is refused --------------------------------------------------------------------------------------------------


def figure(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["models"]["near"]["figures"]["temporal"]["m_tIoU"]
    return found


def scores_of(content: dict[str, Any]) -> list[Any]:
    found: list[Any] = content["questions"]["scores"]["near"]["temporal"]["m_tIoU"]
    return found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda own: own.pop("models"), "'models' should be an object with keys, but is missing"),
        (lambda own: own.update(settings=[]), r"'settings' should be an object with keys, but is \[\]"),
        (lambda own: own["settings"].pop("version"), "'version' should be a text, but is missing"),
        (lambda own: own["settings"].update(seed="0"), "settings.seed is '0', no whole number of 0 or more"),
        (lambda own: own["settings"].update(balanced=1), "settings.balanced is 1, neither true nor false"),
        (lambda own: own["models"].update({" ": {}}), "' ' is no name of a model"),
        (lambda own: own["models"].update({"x" * 300: {}}), "is no name of a model: it takes 1 to 200 characters"),
        (lambda own: own["models"]["near"].update(missing=-1), "missing is -1, no whole number"),
        (lambda own: own["models"]["near"]["figures"].pop("spatial"), "figures of temporal, spatio_temporal, but questions"),
        (lambda own: figure(own).update(value=1.5), "temporal.m_tIoU.value is 1.5, no number from 0 to 1"),
        (lambda own: figure(own).update(low="<b>"), "temporal.m_tIoU.low is '<b>', no number from 0 to 1"),
        (lambda own: figure(own).update(value=True), "temporal.m_tIoU.value is True, no number from 0 to 1"),
        (lambda own: figure(own).update(skill=2), "temporal.m_tIoU.skill is 2, no number from -1e\\+09 to 1"),
        (lambda own: figure(own).update(count=1.0), "temporal.m_tIoU.count is 1.0, no whole number"),
        (
            lambda own: figure(own).update(value=figure(own)["value"] - 0.01),
            r"m_tIoU has 6 scores with the mean 0\.\d+, but",
        ),
        (
            lambda own: figure(own).update(count=5),
            r"m_tIoU has 6 scores with the mean 0\.\d+, but the figure is 0\.\d+ over 5",
        ),
        (lambda own: scores_of(own).pop(), "temporal.m_tIoU is no list of 6 scores, one a question"),
        (lambda own: scores_of(own).__setitem__(0, "1"), "temporal.m_tIoU is '1', no number from 0 to 1"),
        (lambda own: scores_of(own).__setitem__(0, None), r"m_tIoU has 5 scores with the mean"),
        (lambda own: own["questions"]["scores"].pop("near"), "'near' should be an object with keys, but is missing"),
        (
            lambda own: own["questions"]["ids"].update({"\x1b[31m": []}),
            r"questions.ids: '\\x1b\[31m' is no task with a list",
        ),
        (lambda own: own["questions"].update(truth=None), "'truth' should be a text, but is missing"),
    ],
)
def test_a_file_that_says_what_it_cannot_is_refused_by_file_and_place(
    changed: Callable[[Change], Path], change: Change, message: str
) -> None:
    with pytest.raises(ScoreFileError, match=message) as caught:
        read_score_file(changed(change))
    assert "changed.json: " in str(caught.value)
    assert str(caught.value).endswith("; write it anew with r-avst-score --json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ('{"settings": NaN}', "NaN is no number"),
        ("[]", "it holds a list"),
        ("\xff", "it is no JSON"),
    ],
)
def test_what_is_no_object_of_json_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ScoreFileError, match=message):
        read_score_file(path)
    with pytest.raises(ScoreFileError, match=r"absent.json: it cannot be read \(No such file"):
        read_score_file(tmp_path / "absent.json")


# --- what may stand in one table --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("split", "train", "split is 'test' in the first and 'train' in the second"),
        ("version", "0.9.0", "version is '1.0.0' in the first and '0.9.0' in the second"),
        ("word_vectors", "x.npz", "word_vectors is 'exact' in the first and 'x.npz' in the second"),
        ("balanced", True, "balanced is False in the first and True in the second"),
        ("seed", 1, "seed is 0 in the first and 1 in the second"),
        ("bootstrap_samples", 1000, "bootstrap_samples is 50 in the first and 1000 in the second"),
        ("questions", 17, "questions is 18 in the first and 17 in the second"),
    ],
)
def test_files_that_were_scored_differently_are_not_compared(
    changed: Callable[[Change], Path], whole_file: Path, key: str, value: object, message: str
) -> None:
    other = changed(lambda content: content["settings"].update({key: value}))
    with pytest.raises(DifferentSettingsError) as caught:
        check_comparable([read_score_file(whole_file), read_score_file(whole_file), read_score_file(other)])
    assert f"{whole_file} and {other} cannot stand in one table: {message}. Score one of them anew" in str(caught.value)


def test_every_setting_that_differs_is_named(changed: Callable[[Change], Path], whole_file: Path) -> None:
    other = changed(lambda content: content["settings"].update(seed=3, split="train"))
    with pytest.raises(DifferentSettingsError, match=r"split is .*; seed is 0 in the first and 3 in the second\. Score"):
        check_comparable([read_score_file(whole_file), read_score_file(other)])


def test_other_questions_are_found_though_all_settings_are_alike(dataset: Path, whole_file: Path, tmp_path: Path) -> None:
    other = many_questions(tmp_path, videos=7)
    near = perturbed_gold(other, tmp_path / "far.jsonl", 0.1, seed=1)
    bigger = scored(other, tmp_path / "far.json", [near])
    content = json.loads(bigger.read_text(encoding="utf-8"))
    content["settings"]["questions"] = 18
    bigger.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DifferentSettingsError, match="3 questions are in one of them only, such as 'video_006-0-spatial-0'"):
        check_comparable([read_score_file(whole_file), read_score_file(bigger)])


def test_other_true_answers_under_the_same_ids_are_found(dataset: Path, whole_file: Path, tmp_path: Path) -> None:
    text = dataset.with_name("many.json").read_text(encoding="utf-8").replace("80.0]", "79.0]")
    (tmp_path / "many.json").write_text(text, encoding="utf-8")
    build_release(str(tmp_path / "many.json"), None, None, tmp_path / "many")
    other = scored(tmp_path / "many", tmp_path / "floors.json", [], "--with-floors")
    with pytest.raises(
        DifferentSettingsError, match="the same ids but have other true answers, durations, or another order"
    ):
        check_comparable([read_score_file(whole_file), read_score_file(other)])


def test_the_name_of_the_data_set_counts_only_where_the_questions_are_unknown(
    changed: Callable[[Change], Path], whole_file: Path
) -> None:
    first = read_score_file(whole_file)
    check_comparable([first, read_score_file(changed(lambda content: content["settings"].update(dataset="elsewhere")))])
    old = changed(lambda content: (content["settings"].update(dataset="elsewhere"), content.pop("questions")))
    with pytest.raises(DifferentSettingsError, match=r"dataset is .* in the first and 'elsewhere' in the second"):
        check_comparable([first, read_score_file(old)])
    check_comparable([first, read_score_file(changed(lambda content: content.pop("questions")))])
