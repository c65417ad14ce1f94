"""The table in VLMEvalKit's style holds the project's prompts, and what comes back from it scores as `r-avst-score` does."""

from collections.abc import Callable
from pathlib import Path

import pandas
import pytest
from evaluator_data import CLIPS
from evaluator_data import SIZE
from evaluator_data import EvaluatorData
from evaluator_data import noisy_answers
from evaluator_data import write_evaluator_data

from r_avst.metrics import score
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.training.answer_form import AnswerForm
from r_avst.training.evaluators.vlmevalkit import PREDICTION_COLUMNS
from r_avst.training.evaluators.vlmevalkit import PredictionTableError
from r_avst.training.evaluators.vlmevalkit import main
from r_avst.training.evaluators.vlmevalkit import predictions_in
from r_avst.training.prompts import prompt_text

FORM = AnswerForm("norm1000", 1, 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> EvaluatorData:
    return write_evaluator_data(tmp_path_factory.mktemp("evaluators"), None)


def export(data: EvaluatorData, out: Path, *more: str, videos: Path | None = None, space: str = "norm1000") -> int:
    given = [f"--dataset={data.dataset}", f"--videos={videos or data.videos}", f"--coordinate-space={space}"]
    return main([*given, f"--out={out}", *more])


@pytest.fixture(scope="module")
def table(data: EvaluatorData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tables") / "r_avst.tsv"
    assert export(data, out, "--audio=yes") == 0
    return out


def write_tsv(rows: pandas.DataFrame, path: Path) -> None:
    rows.to_csv(path, sep="\t", index=False)


def write_xlsx(rows: pandas.DataFrame, path: Path) -> None:
    pytest.importorskip("openpyxl")
    rows.to_excel(path, index=False)


def test_a_line_is_a_question_with_its_video(data: EvaluatorData, table: Path) -> None:
    rows = pandas.read_csv(table, sep="\t")  # as VLMEvalKit reads it
    assert list(rows["index"]) == list(range(len(data.truths)))
    docs = {doc["question_id"]: doc for task in TASKS for doc in data.rows(task)}
    assert set(rows["question_id"]) == set(docs)
    for row in rows.to_dict("records"):
        doc = docs[row["question_id"]]
        place = CLIPS[doc["video_id"]]
        assert row["question"] == prompt_text(doc["question"], row["task"], FORM, SIZE, SIZE, audio=True)
        assert row["answer"] == doc["answer"]
        assert (row["video_path"], row["video"]) == (place, place.rpartition(".")[0])
        assert (data.videos / row["video_path"]).is_file()
        assert (row["coordinate_space"], row["width"], row["height"]) == ("norm1000", *SIZE)


@pytest.mark.parametrize(("name", "write"), [("model.tsv", write_tsv), ("model.xlsx", write_xlsx)])
def test_predictions_score_as_with_r_avst_score(
    data: EvaluatorData,
    table: Path,
    name: str,
    write: Callable[[pandas.DataFrame, Path], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = noisy_answers(data, FORM, seed=3)
    assert {"", "nan"} <= set(answers.values())
    rows = pandas.read_csv(table, sep="\t")
    rows["prediction"] = [answers[name] for name in rows["question_id"]]
    write(rows, tmp_path / name)
    assert {own["question_id"]: own["text"] for own in predictions_in(tmp_path / name)} == answers
    capsys.readouterr()
    assert main([f"--dataset={data.dataset}", f"--score={tmp_path / name}", "--word-vectors=exact"]) == 0
    printed = capsys.readouterr().out
    lines = tmp_path / f"{name}.jsonl"
    assert score.main([f"--dataset={data.dataset}", f"--predictions={lines}", "--word-vectors=exact"]) == 0
    assert printed == capsys.readouterr().out
    assert "no prediction" not in printed


def test_questions_without_a_video_stop_it_or_are_left_out(
    data: EvaluatorData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, out = tmp_path / "videos", tmp_path / "r_avst.tsv"
    videos.mkdir()
    (videos / "seen.mp4").symlink_to(data.videos / "seen.mp4")
    assert export(data, out, "--audio=no", videos=videos) == 2
    assert "holds no deeper" in capsys.readouterr().err
    assert not out.exists()
    assert export(data, out, "--audio=no", "--missing-videos=leave_out", videos=videos) == 0
    assert "72 questions; 138 left out" in capsys.readouterr().out
    assert set(pandas.read_csv(out, sep="\t")["video"]) == {"seen"}


def test_the_space_model_is_refused(data: EvaluatorData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(data, tmp_path / "r_avst.tsv", "--audio=no", space="model") == 2
    assert "'model' needs the size of the frames" in capsys.readouterr().err


def test_sound_and_space_have_no_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([f"--out={tmp_path / 'r_avst.tsv'}", f"--videos={tmp_path}"])
    assert "--out needs --coordinate-space, --audio" in capsys.readouterr().err


@pytest.mark.parametrize("lacking", PREDICTION_COLUMNS)
def test_a_table_without_a_column_is_refused(table: Path, lacking: str, tmp_path: Path) -> None:
    rows = pandas.read_csv(table, sep="\t").assign(prediction="x").drop(columns=lacking)
    write_tsv(rows, tmp_path / "model.tsv")
    with pytest.raises(PredictionTableError, match=f"lacks the columns \\['{lacking}'\\]"):
        predictions_in(tmp_path / "model.tsv")


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe", b'a\tb\n"'])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.tsv").write_bytes(content)
    with pytest.raises(PredictionTableError, match=r"model\.tsv"):
        predictions_in(tmp_path / "model.tsv")


def test_a_size_that_is_no_number_is_refused(table: Path, tmp_path: Path) -> None:
    write_tsv(pandas.read_csv(table, sep="\t", dtype=str).assign(prediction="x", width="wide"), tmp_path / "model.tsv")
    with pytest.raises(PredictionTableError, match="'wide' x '120'"):
        predictions_in(tmp_path / "model.tsv")
