"""`r-avst-predict` as a user runs it: with a real server and a tiny model, killed and resumed, in shards and processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from openai_server import OpenAIServer
from openai_server import Step
from openai_server import fails
from openai_server import refuses
from openai_server import running_openai
from openai_server import says
from training_data import GOOD
from training_data import QUESTIONS
from training_data import SIZE
from training_data import TrainingData
from training_data import question
from training_data import truth_of
from training_data import write_dataset
from training_data import write_training_data

from r_avst.metrics.score import main as score_main
from r_avst.training.answer_form import AnswerForm
from r_avst.training.plans import prompt_digest
from r_avst.training.plans import weights_digest
from r_avst.training.predict import main
from r_avst.training.prediction_rows import failures_file
from r_avst.training.tiny_models import WRITERS

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "training" / "predict.py")
MEDIA = ["--fps", "2", "--max-frames", "8", "--min-pixels", "784", "--max-pixels", "3136"]
ASKED = [f"{name}-0-{task}-0" for task in QUESTIONS for name in GOOD]
UNASKED = [f"{name}-0-{task}-0" for task in QUESTIONS for name in ("clip_cut", "clip_gone")]
BOXES = """\
<answer>
<object>red square</object>
<when>[0.0, 2.0]</when>
<where>
0.0: [10, 10, 40, 40]
2.0: [10, 10, 40, 40]
</where>
</answer>"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return write_training_data(tmp_path_factory.mktemp("predict"))


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


def arguments(data: TrainingData, out: Path) -> list[str]:
    given = ["--dataset", str(data.dataset), "--split", "train", "--videos", str(data.videos), "--out", str(out)]
    return [*given, *MEDIA]


def served(data: TrainingData, out: Path, server: OpenAIServer, *more: str) -> list[str]:
    ask = ["--backend", "openai", "--model", "some-model", "--base-url", server.base_url, "--concurrency", "2"]
    return [*arguments(data, out), *ask, "--timeout", "20", *more]


def rows_of(out: Path) -> list[dict[str, Any]]:
    lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    return [json.loads(line) for line in lines]


def ids(out: Path) -> list[str]:
    return [row["question_id"] for row in rows_of(out)]


def scored(data: TrainingData, out: Path, folder: Path) -> dict[str, Any]:
    """What r-avst-score makes of a file."""
    written = folder / "scores.json"
    given = ["--dataset", str(data.dataset), "--split", "train", "--predictions", str(out)]
    assert score_main([*given, "--word-vectors", "exact", "--bootstrap-samples", "0", "--json", str(written)]) == 0
    (model,) = json.loads(written.read_text(encoding="utf-8"))["models"].values()
    found: dict[str, Any] = model
    return found


def answer(last: str) -> Step:
    return says(truth_of("temporal") if "<where>:" not in last else BOXES)


# --- a server ---------------------------------------------------------------------------------------------------------


def test_every_question_is_answered_once_through_all_that_may_go_wrong_and_the_file_is_scored(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    out = tmp_path / "preds.jsonl"
    script = [
        fails(429, retry_after="1"),
        fails(500),
        says("late", seconds=8),
        Step(drop=True),
        says(truth_of("temporal")[:30], finish_reason="length"),
        refuses("I would rather not."),
    ]
    with running_openai(*script, default=answer) as server:
        code = main(served(data, out, server, "--coordinate-space", "source", "--timeout", "3"))
        assert len(server.asked) == len(ASKED) + 4
    told = capsys.readouterr()
    assert code == 1, told.err
    assert ids(out) == ASKED
    assert Counter(row["finish"] for row in rows_of(out)) == {"stop": 10, "length": 1, "refused": 1}
    assert sorted(ids(failures_file(out))) == sorted(UNASKED)
    assert "boxes are asked for in the space 'source', as asked for" in told.out
    assert "3 questions skipped, no video: clip_gone" in told.out
    assert "3 questions skipped, unreadable video: clip_cut" in told.out
    assert "12 of 18 questions answered, 1 cut off, 1 refused" in told.out
    assert "6 questions have no answer" in told.out
    assert not [path for path in tmp_path.rglob("*") if b"sk-very-secret" in path.read_bytes()]
    found = scored(data, out, tmp_path)
    assert found["missing"] == 6
    assert "warning" not in capsys.readouterr().err.lower()


def test_a_row_is_what_was_asked_and_seen(data: TrainingData, tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    with running_openai(default=answer) as server:
        main(served(data, out, server, "--family", "qwen2.5-vl", "--limit", "4", "--max-new-tokens", "99", "--seed", "7"))
    row = rows_of(out)[0]
    assert row["frame_times"] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert (row["frame_size"], row["processed_size"], row["fps"]) == (list(SIZE), [56, 28], 2.0)
    settings = row["settings"]
    assert (settings["family"], settings["coordinate_space"], settings["backend"]) == ("qwen2.5-vl", "model", "openai")
    assert (settings["max_new_tokens"], settings["seed"], settings["send"]) == (99, 7, "frames")
    assert "127.0.0.1" not in out.read_text()


def test_boxes_asked_for_now_and_then_are_scored_every_second(data: TrainingData, tmp_path: Path) -> None:
    every, now_and_then = tmp_path / "every.jsonl", tmp_path / "now_and_then.jsonl"
    with running_openai(default=answer) as server:
        for out, seconds in ((every, "1"), (now_and_then, "2")):
            main(served(data, out, server, "--coordinate-space", "source", "--box-every", seconds))
    row = next(row for row in rows_of(now_and_then) if "spatio" in row["question_id"])
    assert row["raw_text"] == BOXES
    assert "1.0: [10.000, 10.000, 40.000, 40.000]" in row["text"]
    lower, higher = (
        scored(data, out, tmp_path)["figures"]["spatio_temporal"]["m_vIoU"]["value"] for out in (every, now_and_then)
    )
    # Of six questions four were asked; two of three boxes, and all three.
    assert (lower, higher) == (pytest.approx(4 / 6 * 2 / 3), pytest.approx(4 / 6))


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_and_asks_nothing_twice(data: TrainingData, tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    with running_openai(default=lambda last: Step(body=answer(last).body, seconds=0.4)) as server:
        command = [sys.executable, SCRIPT, *served(data, out, server)]
        killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while len(rows_of(out)) < 3 and time.monotonic() < until:
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        before = out.read_bytes()
        out.write_bytes(before + b'{"question_id": "clip_d-0-spat')
        kept, asked = ids_of(before), len(server.asked)
        assert 3 <= len(kept) < len(ASKED)
        again = subprocess.run(command, capture_output=True, text=True, check=False)
        assert again.returncode == 1, again.stderr
        assert len(server.asked) - asked == len(ASKED) - len(kept)
        assert f"{len(kept)} of 18 questions were answered before" in again.stdout
    assert ids(out) == ASKED
    assert set(ids_of(before)) < set(ASKED)
    scored(data, out, tmp_path)


def ids_of(content: bytes) -> list[str]:
    return [json.loads(line)["question_id"] for line in content.split(b"\n")[:-1]]


def test_a_finished_run_asks_nothing(data: TrainingData, tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    with running_openai(default=answer) as server:
        assert main(served(data, out, server)) == 1
        before, asked = out.read_bytes(), len(server.asked)
        assert main(served(data, out, server)) == 1
        assert len(server.asked) == asked
    assert out.read_bytes() == before
    assert sorted(ids(failures_file(out))) == sorted(UNASKED)


def test_other_settings_are_refused_by_name_before_anything_is_asked(
    data: TrainingData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "preds.jsonl"
    with running_openai(default=answer) as server:
        main(served(data, out, server, "--limit", "2"))
        before, asked = out.read_bytes(), len(server.asked)
        assert main(served(data, out, server, "--fps", "1", "--coordinate-space", "source")) == 2
        assert len(server.asked) == asked
    message = capsys.readouterr().err
    assert "fps was 2.0 and is 1.0" in message
    assert "coordinate_space was 'norm1000' and is 'source'" in message
    assert "prompt was" in message
    assert out.read_bytes() == before


def test_other_questions_under_the_same_name_are_refused(
    data: TrainingData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, out = tmp_path / "r-avst", tmp_path / "preds.jsonl"
    for told, code in (("When?", 0), ("When?", 0), ("When then?", 2)):
        (row,) = [question("clip_a", "temporal", truth_of("temporal"))]
        shutil.rmtree(dataset, ignore_errors=True)
        write_dataset(dataset, [replace(row, question=told)], {"clip_a": SIZE})
        with running_openai(default=answer) as server:
            assert main(served(TrainingData(dataset, data.videos), out, server)) == code
    assert "questions was" in capsys.readouterr().err


def test_a_part_of_the_questions_is_gone_on_with(data: TrainingData, tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    with running_openai(default=answer) as server:
        main(served(data, out, server, "--limit", "2"))
        assert main(served(data, out, server)) == 1
        assert len(server.asked) == len(ASKED)
    assert ids(out) == ASKED


def test_a_server_that_refuses_everything_fails_no_question(
    data: TrainingData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "preds.jsonl"
    with running_openai(default=lambda _: fails(400, "no such field")) as server:
        assert main(served(data, out, server)) == 2
    assert "no such field" in capsys.readouterr().err
    assert sorted(ids(failures_file(out))) == sorted(UNASKED)
    with running_openai(default=answer) as server:
        assert main(served(data, out, server)) == 1
    assert ids(out) == ASKED


def test_ctrl_c_ends_at_once_and_keeps_what_was_answered(data: TrainingData, tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    steps = [answer("")] * 3
    with running_openai(*steps, default=lambda _: says("late", seconds=60)) as server:
        command = [sys.executable, SCRIPT, *served(data, out, server, "--timeout", "90")]
        stopped = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 120
        while (len(rows_of(out)) < 3 or len(server.asked) < 5) and time.monotonic() < until:
            time.sleep(0.02)
        stopped.send_signal(signal.SIGINT)
        try:
            _, told = stopped.communicate(timeout=15)
        finally:
            stopped.kill()
    assert stopped.returncode == 130, told
    assert "the same command goes on from here" in told
    assert len(ids(out)) == 3


def test_what_failed_is_asked_again_only_when_that_is_asked_for(data: TrainingData, tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    with running_openai(default=lambda last: fails(400, "no boxes") if "<where>:" in last else answer(last)) as server:
        assert main(served(data, out, server)) == 1
    temporal = [name for name in ASKED if "-temporal-" in name]
    assert ids(out) == temporal
    reasons = {row["question_id"]: row["reason"] for row in rows_of(failures_file(out))}
    assert set(reasons) == {*ASKED, *UNASKED} - set(temporal)
    assert "no boxes" in reasons["clip_a-0-spatial-0"]
    with running_openai(default=answer) as server:
        assert main(served(data, out, server)) == 1
        assert server.asked == []
        assert main(served(data, out, server, "--retry-failed")) == 1
        assert len(server.asked) == 8
    assert ids(out) == ASKED
    assert sorted(ids(failures_file(out))) == sorted(UNASKED)


def test_a_video_that_was_got_since_is_asked_about(data: TrainingData, tmp_path: Path) -> None:
    out, videos = tmp_path / "preds.jsonl", tmp_path / "videos"
    videos.mkdir()
    (videos / "clip_a.mp4").symlink_to(data.videos / "clip_a.mp4")
    with running_openai(default=answer) as server:
        assert main(served(data, out, server, "--videos", str(videos))) == 1
        assert len(ids(out)) == 3
        (videos / "clip_b.mp4").symlink_to(data.videos / "clip_b.mp4")
        assert main(served(data, out, server, "--videos", str(videos))) == 1
        assert len(server.asked) == 6
    assert len(set(ids(out))) == len(ids(out)) == 6


def test_a_server_that_is_down_costs_no_question(
    data: TrainingData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "preds.jsonl"
    steps = [answer("")] * 4
    with running_openai(*steps, default=lambda _: fails(503)) as server:
        assert main(served(data, out, server, "--max-attempts", "1")) == 2
    assert "Is the server running?" in capsys.readouterr().err
    assert len(ids(out)) == 4
    with running_openai(default=answer) as server:
        assert main(served(data, out, server)) == 1
        assert len(server.asked) == 8
    assert ids(out) == ASKED


# --- shards -----------------------------------------------------------------------------------------------------------


def test_shards_together_are_the_whole(data: TrainingData, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, whole = tmp_path / "preds.jsonl", tmp_path / "whole.jsonl"
    with running_openai(default=answer) as server:
        main(served(data, whole, server))
        asked = len(server.asked)
        for number in (2, 1, 3):
            assert not out.exists()
            main(served(data, out, server, "--shard", f"{number}/3"))
        assert len(server.asked) == 2 * asked
    assert "questions are left to other processes or shards" in capsys.readouterr().out
    assert rows_of(out) == rows_of(whole)
    assert ids(failures_file(out)) == ids(failures_file(whole))
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {
        *("preds.jsonl", "preds.failures.jsonl", "whole.jsonl", "whole.failures.jsonl")
    }


# --- a model ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [*QUESTIONS.values(), *(truth_of(task) for task in QUESTIONS)]
    return WRITERS["vl"](tmp_path_factory.mktemp("tiny") / "vl", 0, texts)


def modelled(data: TrainingData, out: Path, tiny: Path, *more: str) -> list[str]:
    device = ["--device-map", "cpu", "--dtype", "float32"]
    return [*arguments(data, out), "--model", str(tiny), "--max-new-tokens", "8", "--batch-size", "3", *device, *more]


@pytest.fixture(scope="module")
def alone(data: TrainingData, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows of one process."""
    out = tmp_path_factory.mktemp("alone") / "preds.jsonl"
    assert main(modelled(data, out, tiny)) == 1
    return rows_of(out)


def test_a_model_of_transformers_answers_and_is_scored(
    data: TrainingData, alone: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert [row["question_id"] for row in alone] == ASKED
    assert {row["coordinate_space"] for row in alone} == {"model"}
    assert {row["settings"]["family"] for row in alone} == {"qwen2.5-vl"}
    assert {row["settings"]["dtype"] for row in alone} == {"float32"}
    assert all(row["completion_tokens"] <= 8 and row["prompt_tokens"] > 50 for row in alone)
    out = tmp_path / "preds.jsonl"
    out.write_text("".join(f"{json.dumps(row)}\n" for row in alone))
    assert scored(data, out, tmp_path)["missing"] == 6


def test_other_weights_under_the_same_name_are_refused(
    data: TrainingData, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = tmp_path / "model", tmp_path / "preds.jsonl"
    shutil.copytree(tiny, model)
    given = [*modelled(data, out, model), "--max-new-tokens", "2"]
    main([*given, "--limit", "1"])
    before = out.read_bytes()
    (weights,) = model.glob("*.safetensors")
    trained = weights.read_bytes()
    weights.write_bytes(trained[:-1] + bytes([trained[-1] ^ 1]))
    capsys.readouterr()
    assert main(given) == 2
    assert "weights was" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_the_digest_of_weights_covers_an_adapter_and_its_base_and_nothing_else(tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    config = {"base_model_name_or_path": str(base), "peft_type": "LORA"}
    files = {"base/model.safetensors": "a", "adapter/adapter_model.safetensors": "b"}
    for name, content in {**files, "adapter/adapter_config.json": json.dumps(config), "base/README.md": ""}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    found = [weights_digest(str(adapter), "main"), weights_digest(str(base), "main")]
    (base / "README.md").write_text("told")
    assert [weights_digest(str(adapter), "main"), weights_digest(str(base), "main")] == found
    for name in files:
        (tmp_path / name).write_text("other")
        found.append(weights_digest(str(adapter), "main"))
    assert len(set(found)) == 4


def test_the_digest_of_weights_of_the_hub_is_of_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r_avst.training.plans._base_of", lambda name, revision: (name, revision))
    cache = tmp_path / "models--user--model"
    unknown = weights_digest("user/model", "main")
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = []
    for commit in ("a" * 40, "b" * 40):
        for file, content in ((f"snapshots/{commit}/config.json", "{}"), ("refs/main", commit)):
            (cache / file).parent.mkdir(parents=True, exist_ok=True)
            (cache / file).write_text(content)
        found.append(weights_digest("user/model", "main"))
    assert len({unknown, *found}) == 3


def test_device_and_type_are_chosen_where_they_are_not_given(data: TrainingData, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    given = [*arguments(data, out), "--model", str(tiny), "--max-new-tokens", "2", "--limit", "2"]
    assert main(given) == 0
    assert rows_of(out)[0]["settings"]["dtype"] == ("bfloat16" if torch.cuda.is_available() else "float32")


@pytest.mark.parametrize(
    "launcher",
    [
        ["torch.distributed.run", "--nproc_per_node", "2"],
        pytest.param(
            [
                "accelerate.commands.launch",
                "--cpu",
                "--num_processes",
                "2",
                "--num_machines",
                "1",
                "--mixed_precision",
                "no",
            ],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["torchrun", "accelerate"],
)
def test_two_processes_answer_what_one_does(
    data: TrainingData, tiny: Path, alone: list[dict[str, Any]], launcher: Sequence[str], tmp_path: Path
) -> None:
    out = tmp_path / "preds.jsonl"
    first = rows_of_first_video(alone)
    out.write_text("".join(f"{json.dumps(row)}\n" for row in first))  # what a run of one process did before
    command = [sys.executable, "-m", *launcher, SCRIPT, *modelled(data, out, tiny)]
    ran = subprocess.run(
        command, env=os.environ | {"MASTER_PORT": "0"}, capture_output=True, text=True, check=False, timeout=300
    )
    assert 'Traceback (most recent call last):\n  File "' + SCRIPT not in ran.stderr, ran.stderr
    assert ids(out) == ASKED
    assert {row["question_id"]: row["text"] for row in rows_of(out)} == {row["question_id"]: row["text"] for row in alone}
    assert sorted(ids(failures_file(out))) == sorted(UNASKED)
    assert not list(tmp_path.glob("preds.part*"))


@pytest.mark.slow
def test_workers_of_ray_answer_what_one_process_does(
    data: TrainingData, tiny: Path, alone: list[dict[str, Any]], tmp_path: Path
) -> None:
    pytest.importorskip("ray.data")
    out = tmp_path / "preds.jsonl"
    more = ["--engine", "ray", "--ray-gpus", "0", "--ray-workers", "2", "--batch-size", "1"]
    command = [sys.executable, "-m", "r_avst.training.predict", *modelled(data, out, tiny, *more)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 1, ran.stderr
    assert ids(out) == ASKED
    assert {row["question_id"]: row["text"] for row in rows_of(out)} == {row["question_id"]: row["text"] for row in alone}


def rows_of_first_video(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["question_id"].startswith(GOOD[0])]


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--model", "none"], "there is no such checkpoint"),
        (["--model", "none", "--family", "generic"], "transformers cannot run it"),
        (["--audio", "on"], "do not hear"),
        (["--fps", "0"], "--fps, --max-frames"),
        (["--min-pixels", "9000"], "--fps, --max-frames"),
        (["--decimals", "2", "--coordinate-space", "norm1000"], "decimals is 2"),
        (["--videos", "."], "no question can be asked; is --videos . the right folder?"),
        (["--split", "test"], "the split 'test'"),
        (["--backend", "openai", "--send", "video", "--coordinate-space", "model"], "--send video: the server resizes"),
        (["--backend", "openai", "--engine", "ray"], "--engine ray is for --backend transformers"),
        (["--model", "none", "--family", "qwen3-vl"], "--model none: it cannot be loaded"),
        (["--backend", "openai", "--audio", "on"], "frames have no sound"),
        (["--backend", "openai", "--base-url", "nowhere"], "is no URL of a server"),
        (["--backend", "openai"], "set OPENAI_API_KEY"),
    ],
)
def test_a_bad_option_names_itself(
    data: TrainingData,
    tiny: Path,
    more: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert main(modelled(data, tmp_path / "preds.jsonl", tiny, *more)) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
    assert not (tmp_path / "preds.jsonl").exists()


def test_started_by_its_path_it_tells_an_error_in_a_line(data: TrainingData, tiny: Path, tmp_path: Path) -> None:
    command = [sys.executable, SCRIPT, *modelled(data, tmp_path / "preds.jsonl", tiny, "--family", "generic")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1), ran.stderr
    assert ran.stderr.startswith("r-avst-predict: --family generic: transformers cannot run it")


@pytest.mark.parametrize("more", [["--shard", "3/2"], ["--shard", "x"], ["--extra-body", "[1]"], ["--extra-body", "{"]])
def test_a_value_that_is_none_is_told_by_the_parser(
    data: TrainingData, tiny: Path, more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(modelled(data, tmp_path / "preds.jsonl", tiny, *more))
    assert f"argument {more[0]}" in capsys.readouterr().err


def test_a_video_of_another_size_than_was_annotated_is_not_asked_about(
    data: TrainingData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    questions = [question(name, "spatial", truth_of("spatial")) for name in ("clip_a", "clip_b")]
    dataset = write_dataset(tmp_path / "r-avst", questions, {"clip_a": (224, 168), "clip_b": SIZE})
    out = tmp_path / "preds.jsonl"
    own = TrainingData(dataset, data.videos)
    with running_openai(default=answer) as server:
        assert main(served(own, out, server)) == 1
    assert ids(out) == ["clip_b-0-spatial-0"]
    assert "annotated at another size: clip_a" in capsys.readouterr().out
    scored(own, out, tmp_path)


def test_the_prompt_is_part_of_the_settings() -> None:
    digests = {
        prompt_digest(form, audio)
        for form in (AnswerForm("model", 1, 1), AnswerForm("norm1000", 1, 0), AnswerForm("model", 2, 1))
        for audio in (False, True)
    }
    assert len(digests) == 6
