"""The command `r-avst-score`: what it prints and writes, and how it refuses."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.scores import BOX_SCORES
from r_avst.metrics.avst_metrics.scores import SPAN_SCORES
from r_avst.metrics.avst_metrics.version import VERSION
from r_avst.metrics.benchmark import BREAKDOWNS
from r_avst.metrics.benchmark import BenchmarkQuestion
from r_avst.metrics.benchmark import load_questions
from r_avst.metrics.floors import FLOORS
from r_avst.metrics.paper_tables import MODELS
from r_avst.metrics.score import main
from r_avst.metrics.tables import RELEASED

FRAME = (1280, 720)
PROCESSED = (644, 364)
TITLES = ("Temporal (paper, table 3)", "Spatial (paper, table 2)", "Spatio-temporal (paper, table 2)")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tiny(tiny_release: Path, tmp_path: Path) -> Path:
    out = tmp_path / "built" / tmp_path.name
    build_release(str(tiny_release), None, None, out)
    return out


@pytest.fixture(scope="module")
def real(release_file: Path, unav_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("score-real")
    build_release(str(release_file), unav_file, None, out)
    return out


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command with names matched exactly and few resamples; gives exit code, stdout and stderr."""

    def command(dataset: Path | str, *options: object) -> tuple[int, str, str]:
        capsys.readouterr()
        defaults = ["--word-vectors", "exact", "--bootstrap-samples", "20"]
        code = main(["--dataset", str(dataset), *defaults, *map(str, options)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


def written(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def gold_rows(dataset: Path) -> list[dict[str, Any]]:
    return [
        {"question_id": own.question_id, "text": own.answer, "coordinate_space": "source"}
        for own in load_questions(str(dataset), "test")
    ]


def values(result: dict[str, Any], model: str, task: Task | str) -> dict[str, float | None]:
    return {name: own["value"] for name, own in result["models"][model]["figures"][task].items()}


def rows_of(text: str, title: str) -> list[list[str]]:
    """The lines of the table under a title as cells, header included."""
    lines = text[text.index(title) :].splitlines()[1:]
    end = next(index for index, line in enumerate(lines) if line.startswith("└"))
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines[:end] if line.startswith("│")]


# --- tables -----------------------------------------------------------------------------------------------------------


def test_it_prints_the_three_tables_in_the_paper_s_column_order(run: Run, tiny: Path, tmp_path: Path) -> None:
    code, out, _ = run(tiny, "--predictions", written(tmp_path / "mine.jsonl", gold_rows(tiny)))
    assert code == 0
    assert [rows_of(out, title)[0][1:] for title in TITLES] == [
        ["m_tIoU", "R1@0.3", "R1@0.5", "R1@0.7", "skill"],
        ["object_accuracy", "m_vIoU", "AP@0.3", "AP@0.5", "skill"],
        ["m_tIoU", "R1@0.3", "R1@0.5", "R1@0.7", "m_vIoU", "AP@0.3", "AP@0.5", "skill", "skill"],
    ]
    assert [out.index(title) for title in TITLES] == sorted(out.index(title) for title in TITLES)
    assert [rows_of(out, title)[2] for title in TITLES] == [
        ["mine", *["100.00"] * 5],
        ["mine", *["100.00"] * 5],
        ["mine", *["100.00"] * 9],
    ]
    assert "have no prediction" not in out


def test_with_floors_and_paper_their_rows_follow_those_of_the_files(
    run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for task, count in Counter(own.question.task for own in load_questions(str(tiny), "test")).items():
        monkeypatch.setitem(RELEASED, task, count)
    files = [written(tmp_path / f"{name}.jsonl", gold_rows(tiny)) for name in ("model_b", "model_a")]
    code, out, _ = run(tiny, "--predictions", *files, "--with-floors", "--with-paper")
    assert code == 0
    for title in TITLES:
        names = [line[0] for line in rows_of(out, title)[2:] if line[0]]
        assert names == ["model_b", "model_a", *FLOORS, *(f"{name} (paper)" for name in MODELS)]


def test_floors_alone_are_scored_without_predictions(run: Run, tiny: Path) -> None:
    code, out, _ = run(tiny, "--with-floors")
    assert code == 0
    assert rows_of(out, TITLES[0])[2] == ["gold", *["100.00"] * 5]
    whole = next(line for line in rows_of(out, TITLES[0]) if line[0] == "whole video")
    assert whole[1:5] == ["71.79", "100.00", "50.00", "50.00"]  # of 4.6 / 10 and 44.4 / 45.5


@pytest.mark.parametrize("by", BREAKDOWNS)
def test_each_breakdown_sorts_every_question_into_a_group(run: Run, tiny: Path, tmp_path: Path, by: str) -> None:
    code, out, _ = run(tiny, "--with-floors", "--by", by, "--json", tmp_path / "scores.json")
    assert code == 0
    assert all(f"{title} by {by}" in out for title in TITLES)
    groups = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))["models"]["gold"]["groups"]
    assert {group: own["overall"]["format_rate"]["count"] for group, own in groups.items()} == {
        "question_type": {"when": 2, "when_where": 1, "where_silent": 1, "where_sounding": 1},
        "event_label": {"(unknown)": 5},
        "length": {"0-20 s": 4, "40-60 s": 1},
        "coverage": {"25-50%": 4, "75-100%": 1},
    }[by]
    lines = rows_of(out, f"{TITLES[0]} by {by}")
    assert lines[0][:3] == [by, "", "questions"]
    assert {line[1] for line in lines[2:] if line[0]} == set(FLOORS)


def test_a_balanced_subset_is_drawn_by_its_seed(run: Run, tiny: Path, tmp_path: Path) -> None:
    drawn = []
    for seed in (0, *range(12)):
        code, out, _ = run(tiny, "--with-floors", "--balanced", "--seed", seed, "--per-question", tmp_path / "rows.jsonl")
        assert code == 0
        assert "3 questions, a subset with as many of each task. Names matched by their letters alone (exact).\n" in out
        rows = map(json.loads, (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines())
        drawn.append(tuple(row["question_id"] for row in rows if row["model"] == "gold"))
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 2 * 2 * 1  # one of two temporal, of two spatial and of one spatio-temporal question


def test_predictions_outside_a_balanced_subset_are_neither_errors_nor_missing(run: Run, tiny: Path, tmp_path: Path) -> None:
    code, out, _ = run(tiny, "--predictions", written(tmp_path / "a.jsonl", gold_rows(tiny)), "--balanced", "--seed", 1)
    assert code == 0
    assert "have no prediction" not in out
    assert [rows_of(out, title)[2][1] for title in TITLES] == ["100.00"] * 3


# --- predictions ------------------------------------------------------------------------------------------------------


def test_missing_predictions_score_zero_and_are_counted(run: Run, tiny: Path, tmp_path: Path) -> None:
    first = written(tmp_path / "one.jsonl", gold_rows(tiny)[:1])
    none = written(tmp_path / "none.jsonl", [])
    code, out, _ = run(tiny, "--predictions", first, none, "--json", tmp_path / "scores.json")
    result = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert code == 0
    assert {name: own["missing"] for name, own in result["models"].items()} == {"one": 4, "none": 5}
    assert set(values(result, "one", "temporal").values()) == {0.5}
    assert {value for task in TASKS for value in values(result, "none", task).values()} == {0.0}
    assert [own["count"] for own in result["models"]["none"]["figures"]["temporal"].values()] == [2] * 7
    assert "one: 4 of 5 questions have no prediction; each scores 0." in out
    assert "none: 5 of 5 questions have no prediction; each scores 0." in out


def test_a_text_that_does_not_parse_scores_zero_and_is_not_missing(run: Run, tiny: Path, tmp_path: Path) -> None:
    rows = [row | {"text": "I can't see the video."} for row in gold_rows(tiny)]
    code, out, _ = run(tiny, "--predictions", written(tmp_path / "a.jsonl", rows), "--json", tmp_path / "scores.json")
    result = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert (code, result["models"]["a"]["missing"]) == (0, 0)
    assert set(values(result, "a", "overall").values()) == {0.0}
    assert "have no prediction" not in out


def test_boxes_that_do_not_fit_their_space_are_warned_about_on_stderr(run: Run, tiny: Path, tmp_path: Path) -> None:
    rows = [row | {"coordinate_space": "unit", "frame_size": FRAME} for row in gold_rows(tiny)]
    code, out, err = run(tiny, "--predictions", written(tmp_path / "a.jsonl", rows))
    assert code == 0
    assert f"r-avst-score: warning: {tmp_path / 'a.jsonl'}: 9 of 9 predicted boxes" in err
    assert "warning" not in out


def number(value: float) -> str:
    return repr(float(value))


def text_in(answer: Answer, task: Task, x_scale: float, y_scale: float) -> str:
    """The answer as a model writes it that answers in another space, with all digits."""
    lines = ["<answer>"]
    for index, track in enumerate(answer.tracks):
        lines.append(f"<object>{track.name}</object>")
        if answer.span and not index:
            lines.append(f"<when>[{number(answer.span[0])}, {number(answer.span[1])}]</when>")
        if task != "temporal":
            boxes = [(row[0], row[1] * x_scale, row[2] * y_scale, row[3] * x_scale, row[4] * y_scale) for row in track.rows]
            rows = (f"{number(time)}: [{', '.join(map(number, box))}]" for time, *box in boxes)
            lines += ["<where>", *rows, "</where>"]
    return "\n".join([*lines, "</answer>"])


SPACES: dict[str, tuple[tuple[float, float], dict[str, Any]]] = {
    "norm1000": ((1000, 1000), {"frame_size": FRAME}),
    "unit": ((1, 1), {"frame_size": FRAME}),
    "model": (PROCESSED, {"frame_size": FRAME, "processed_size": PROCESSED}),
}


def gold_in(space: str, questions: list[BenchmarkQuestion]) -> list[dict[str, Any]]:
    (width, height), sizes = SPACES[space]
    scales = width / FRAME[0], height / FRAME[1]
    return [
        {
            "question_id": own.question_id,
            "text": text_in(own.question.truth, own.question.task, *scales),
            "coordinate_space": space,
            **sizes,
        }
        for own in questions
    ]


def assert_gold_in_every_space_is_perfect(run: Run, dataset: Path, tmp_path: Path) -> None:
    questions = load_questions(str(dataset), "test")
    files = [written(tmp_path / f"{space}.jsonl", gold_in(space, questions)) for space in SPACES]
    code, _, err = run(dataset, "--predictions", *files, "--json", tmp_path / "scores.json", "--bootstrap-samples", 0)
    result = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert code == 0
    assert "warning" not in err
    for space in SPACES:
        overall = values(result, space, "overall")
        assert {overall[name] for name in ("format_rate", "object_f1", *SPAN_SCORES)} == {1.0}
        assert all(1 - 1e-9 <= (overall[name] or 0.0) <= 1 + 1e-9 for name in BOX_SCORES)


def test_gold_in_every_space_is_perfect(run: Run, tiny: Path, tmp_path: Path) -> None:
    assert_gold_in_every_space_is_perfect(run, tiny, tmp_path)


def test_the_released_gold_in_every_space_is_perfect(run: Run, real: Path, tmp_path: Path) -> None:
    assert_gold_in_every_space_is_perfect(run, real, tmp_path)


def test_a_file_named_like_a_floor_is_not_replaced_by_it_in_silence(run: Run, tiny: Path, tmp_path: Path) -> None:
    code, out, err = run(tiny, "--predictions", written(tmp_path / "gold.jsonl", []), "--with-floors")
    assert (code == 2 and "gold" in err) or "5 of 5 questions have no prediction" in out


# --- files ------------------------------------------------------------------------------------------------------------


def test_the_json_holds_every_figure_and_the_settings(run: Run, tiny: Path, tmp_path: Path) -> None:
    mine = written(tmp_path / "mine.jsonl", gold_rows(tiny))
    code, _, _ = run(tiny, "--predictions", mine, "--seed", 3, "--by", "length", "--json", tmp_path / "scores.json")
    result = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert code == 0
    assert result["settings"] == {
        "dataset": str(tiny),
        "split": "test",
        "word_vectors": "exact",
        "version": VERSION,
        "bootstrap_samples": 20,
        "balanced": False,
        "by": "length",
        "seed": 3,
        "questions": 5,
    }
    own = result["models"]["mine"]
    assert (list(result["models"]), list(own), own["missing"]) == (["mine"], ["figures", "missing", "groups"], 0)
    assert list(own["figures"]) == ["overall", *TASKS]
    perfect = {"value": 1.0, "low": 1.0, "high": 1.0, "count": 2, "undefined": 0}
    assert {name: own["figures"]["temporal"]["m_tIoU"][name] for name in perfect} == perfect
    assert own["figures"]["temporal"]["m_tIoU"]["skill"] == 1.0
    assert list(own["groups"]) == ["0-20 s", "40-60 s"]
    assert own["groups"]["40-60 s"]["temporal"]["m_tIoU"]["count"] == 1


def test_the_figures_are_repeatable_and_the_seed_moves_the_intervals(run: Run, tiny: Path, tmp_path: Path) -> None:
    read = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(tiny, "--with-floors", "--seed", seed, "--json", tmp_path / f"{name}.json")
        read.append(json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))["models"])
    assert read[0] == read[1]
    assert read[0]["whole video"] != read[2]["whole video"]
    assert read[0]["gold +- 10%"] != read[2]["gold +- 10%"]


def test_per_question_writes_a_row_for_every_model_and_question(run: Run, tiny: Path, tmp_path: Path) -> None:
    rows = gold_rows(tiny)
    rows[2] |= {"text": "<object>Dog</object>"}
    path = tmp_path / "questions.jsonl"
    code, _, _ = run(
        tiny, "--predictions", written(tmp_path / "mine.jsonl", rows[:4]), "--with-floors", "--per-question", path
    )
    written_rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert code == 0
    assert [(row["model"], row["question_id"]) for row in written_rows] == [
        (model, row["question_id"]) for model in ("mine", *FLOORS) for row in rows
    ]
    assert written_rows[0] == {
        "model": "mine",
        "question_id": "tiny_dog-0-temporal-0",
        "task": "temporal",
        **dict.fromkeys(["format", "tiou", "object_accuracy", "object_f1"], 1.0),
        **dict.fromkeys(["viou", "ap_30", "ap_50", "viou_tube", "viou_any"]),
        "problems": [],
    }
    assert written_rows[2] == {
        "model": "mine",
        "question_id": "tiny_dog-0-spatial-0",
        "task": "spatial",
        "tiou": None,
        "object_accuracy": 0.5,
        "object_f1": pytest.approx(2 / 3),
        **dict.fromkeys(["format", "viou", "ap_30", "ap_50", "viou_tube", "viou_any"], 0.0),
        "problems": ["answer_tag"],
    }
    assert written_rows[4]["problems"] == ["missing"]
    assert written_rows[4]["tiou"] == 0.0


def test_word_vectors_from_a_file_match_what_letters_cannot(
    run: Run, tiny: Path, tmp_path: Path, vectors_file: Path
) -> None:
    rows = [row | {"text": row["text"].replace("<object>Car<", "<object>vehicle<")} for row in gold_rows(tiny)]
    mine = written(tmp_path / "mine.jsonl", rows)
    found = {}
    for vectors in ("exact", str(vectors_file)):
        run(tiny, "--predictions", mine, "--word-vectors", vectors, "--json", tmp_path / "scores.json")
        result = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
        found[vectors] = values(result, "mine", "temporal")["object_f1"]
    assert found == {"exact": 0.5, str(vectors_file): 1.0}


# --- the released file ------------------------------------------------------------------------------------------------


def test_the_released_file_is_scored_with_floors_paper_and_event_classes(run: Run, real: Path) -> None:
    code, out, _ = run(real, "--with-floors", "--with-paper", "--by", "event_label")
    assert code == 0
    assert f"{real}, test: 1,638 questions" in out
    rows = {line[0]: line[1:5] for line in rows_of(out, TITLES[0])[2:] if line[0]}
    assert rows["gold"] == ["100.00"] * 4
    assert rows["whole video"] == ["58.30", "65.77", "55.26", "46.10"]
    assert rows["AVST-Zero 7B (paper)"] == ["47.96", "71.13", "51.43", "23.91"]
    assert "Spatial (paper, table 2): 666 questions; 1 without a visible true box left out of the scores of boxes" in out
    by_class = rows_of(out, f"{TITLES[0]} by event_label")
    assert "playing trombone" in {line[0] for line in by_class}


def test_the_released_file_balances_to_918_questions(run: Run, real: Path) -> None:
    code, out, _ = run(real, "--with-floors", "--balanced", "--seed", 0)
    assert code == 0
    assert "test: 918 questions, a subset with as many of each task" in out
    assert all(f"{title}: 306 questions" in out for title in TITLES)


# --- what it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing to score: give --predictions FILE, or --with-floors"),
        (["--with-floors", "--balanced"], "--balanced draws a subset: say --seed"),
        (["--with-floors", "--by", "colour"], "argument --by: invalid choice: 'colour'"),
        (["--with-floors", "--seed", "one"], "argument --seed: 'one' is no whole number of 0 or more"),
        (["--with-floors", "--seed", "-1"], "--seed"),
        (["--with-floors", "--bootstrap-samples", "-1"], "--bootstrap-samples"),
        (["--predictions"], "argument --predictions: expected at least one argument"),
    ],
)
def test_options_that_make_no_sense_exit_with_2_and_say_why(
    run: Run, tiny: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(tiny, *options)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--with-floors", "--split", "train"], "the split 'train' of '{dataset}' cannot be loaded"),
        (["--predictions", "{folder}/absent.jsonl"], "{folder}/absent.jsonl: it cannot be read"),
        (["--predictions", "{folder}/bad.jsonl"], "{folder}/bad.jsonl:2: no JSON"),
        (["--predictions", "{folder}/unknown.jsonl"], "{folder}/unknown.jsonl:1: the question id 'other' is not in this"),
        (["--predictions", "{folder}/a/x.jsonl", "{folder}/b/x.jsonl"], "{folder}/b/x.jsonl: another row is named x too"),
        (["--with-floors", "--word-vectors", "{folder}/absent.kv"], "there are no word vectors at {folder}/absent.kv"),
        (["--with-floors", "--json", "{folder}/bad.jsonl/scores.json"], "{folder}/bad.jsonl/scores.json: it cannot be"),
        (
            ["--with-floors", "--per-question", "{folder}/bad.jsonl/rows.jsonl"],
            "{folder}/bad.jsonl/rows.jsonl: it cannot be",
        ),
    ],
)
def test_errors_exit_with_2_and_one_message_on_stderr(
    run: Run, tiny: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    good = gold_rows(tiny)[0]
    (tmp_path / "bad.jsonl").write_text(f"{json.dumps(good)}\n{{\n", encoding="utf-8")
    written(tmp_path / "unknown.jsonl", [good | {"question_id": "other"}])
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        written(tmp_path / folder / "x.jsonl", [good])
    code, out, err = run(tiny, *(option.format(folder=tmp_path) for option in options))
    assert (code, out) == (2, "")
    assert f"r-avst-score: {message.format(folder=tmp_path, dataset=tiny)}" in err


def test_the_folders_of_what_is_written_are_made(run: Run, tiny: Path, tmp_path: Path) -> None:
    outputs = tmp_path / "new" / "scores.json", tmp_path / "rows" / "a" / "rows.jsonl"
    code, _, err = run(tiny, "--with-floors", "--json", outputs[0], "--per-question", outputs[1])
    assert code == 0, err
    assert all(path.stat().st_size for path in outputs)


def test_a_scoring_that_fails_leaves_no_empty_file_and_what_was_there(run: Run, tiny: Path, tmp_path: Path) -> None:
    before = written(tmp_path / "before.jsonl", [{"kept": True}])
    outputs = ["--json", tmp_path / "new" / "scores.json", "--per-question", before]
    assert run(tiny, "--predictions", tmp_path / "absent.jsonl", *outputs)[0] == 2
    assert not (tmp_path / "new" / "scores.json").exists()
    assert json.loads(before.read_text(encoding="utf-8")) == {"kept": True}


def test_an_absent_data_set_is_refused_with_the_command_that_builds_it(run: Run, tmp_path: Path) -> None:
    code, out, err = run(tmp_path / "absent", "--with-floors")
    assert (code, out) == (2, "")
    assert f"Build it: r-avst-build release --out {tmp_path / 'absent'}" in err


def test_the_console_script_runs_from_any_folder(tiny: Path, tmp_path: Path) -> None:
    script, rest = str(Path(sys.executable).parent / "r-avst-score"), ["--word-vectors", "exact", "--with-floors"]
    good, bad = (
        subprocess.run([script, "--dataset", name, *rest], cwd=tiny.parent, capture_output=True, text=True, timeout=60)
        for name in (tiny.name, f"not-{tiny.name}")
    )
    assert (good.returncode, rows_of(good.stdout, TITLES[0])[2]) == (0, ["gold", *["100.00"] * 5])
    assert (bad.returncode, bad.stdout) == (2, "")
    assert f"r-avst-score: the split 'test' of 'not-{tiny.name}' cannot be loaded" in bad.stderr
    assert "Traceback" not in bad.stderr
