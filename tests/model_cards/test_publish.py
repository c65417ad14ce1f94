"""`r-avst-publish` and the real clients against a Hub on loopback. They read its address at import: a process each."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from local_hub import OTHER_TOKEN
from local_hub import READ_TOKEN
from local_hub import TOKEN
from local_hub import Fault
from local_hub import Hub
from local_hub import Kind
from local_hub import client_environment
from local_hub import running_local_hub

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.metrics import avst_metrics

MODEL = "user/tiny"
SHARDS = ("a.safetensors", "b.safetensors", "c.safetensors")
METRIC_PAGE = Path(avst_metrics.__file__).with_name("README.md")
CARD = "---\nlicense: mit\n---\n\n# Tiny\n"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with running_local_hub(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Looks like a checkpoint of three shards; its bytes are no weights."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "README.md").write_text(CARD)
    (folder / "config.json").write_text("{}")
    write_shards(folder, seed=0)
    return folder


def write_shards(folder: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    for name in SHARDS:
        (folder / name).write_bytes(random.bytes(200_000))


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "r_avst.model_cards.publish", *map(str, arguments)]


def publish(
    hub: Hub, tmp_path: Path, *arguments: str | Path, token: str | None = TOKEN, url: str = ""
) -> subprocess.CompletedProcess[str]:
    environment = client_environment(url or hub.url, tmp_path / "home", token)
    return subprocess.run(
        command(*arguments), env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )


def publish_model(hub: Hub, tmp_path: Path, *more: str, token: str | None = TOKEN) -> subprocess.CompletedProcess[str]:
    own = ("--repo-id", MODEL, "--folder", tmp_path / "checkpoint", "--check", "files")
    return publish(hub, tmp_path, "model", *own, *more, token=token)


def in_fresh_process(hub: Hub, home: Path, script: str) -> dict[str, object]:
    """What a script prints as JSON, run by a user without a token whose cache is empty."""
    home.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env=client_environment(hub.url, home, token=None),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    printed: dict[str, object] = json.loads(ran.stdout.splitlines()[-1])
    return printed


def on_hub(hub: Hub, kind: Kind, name: str) -> dict[str, bytes]:
    """What readers of a repository find, without what the Hub puts there itself."""
    tree = hub.repos[kind, name].head.tree
    return {path: hub.content(kind, name, path) for path in tree if path != ".gitattributes"}


def in_folder(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def uploads(hub: Hub) -> int:
    return sum(line.startswith("PUT /lfs/") for line in hub.requests)


# --- all four, loaded by the unmodified clients -----------------------------------------------------------------------


def test_a_published_data_set_loads_by_config_whole_and_streamed(hub: Hub, tmp_path: Path, tiny_release: Path) -> None:
    build_release(str(tiny_release), None, None, tmp_path / "r-avst")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "figure_3.svg").write_text("<svg/>")
    done = publish(hub, tmp_path, "dataset", "--repo-id", "user/r-avst", "--figures", "figures")
    assert done.returncode == 0, done.stderr
    assert "loaded back spatial/test: rows 2, columns 13" in done.stdout
    script = """
import json
from datasets import load_dataset
rows = load_dataset("user/r-avst", "spatial", split="test")
streamed = load_dataset("user/r-avst", "spatial", split="test", streaming=True)
everything = load_dataset("user/r-avst", split="test")
print(json.dumps({"rows": rows.to_list(), "streamed": list(streamed), "questions": everything.num_rows}))
"""
    (parquet,) = (tmp_path / "r-avst" / "spatial").iterdir()
    expected = pq.read_table(parquet).to_pylist()
    assert in_fresh_process(hub, tmp_path / "reader", script) == {"rows": expected, "streamed": expected, "questions": 5}
    published = on_hub(hub, Kind.DATASETS, "user/r-avst")
    assert published == in_folder(tmp_path / "r-avst") | {"figures/figure_3.svg": b"<svg/>"}


# What loads everything back itself takes three more processes of seconds each.
FILES = ["--check", "files"]
LOAD = pytest.param([], marks=pytest.mark.slow)


@pytest.mark.parametrize("options", [[*FILES, "--card", METRIC_PAGE], LOAD])
def test_a_published_metric_is_loaded_and_scores(hub: Hub, tmp_path: Path, options: list[str | Path]) -> None:
    done = publish(hub, tmp_path, "metric", "--repo-id", "user/avst_metrics", *options)
    assert done.returncode == 0, done.stderr
    assert ("loaded back avst_metrics: scores 12, sha256" in done.stdout) == (not options)
    script = """
import evaluate, json
metric = evaluate.load("user/avst_metrics")
text = "<answer>\\n<object>dog</object>\\n<when>[1.0, 4.0]</when>\\n</answer>"
options = {"coordinate_space": "source", "word_vectors": "exact", "bootstrap_samples": 0}
scores = metric.compute(predictions=[text.replace("4.0", "2.5")], references=[text], **options)
print(json.dumps({"tIoU": scores["temporal"]["m_tIoU"]["value"]}))
"""
    assert in_fresh_process(hub, tmp_path / "reader", script) == {"tIoU": 0.5}
    published = on_hub(hub, Kind.SPACES, "user/avst_metrics")
    assert {"README.md", "app.py", "avst_metrics.py", "requirements.txt"} < published.keys()
    assert all(path.endswith((".py", ".md", ".txt")) for path in published)


@pytest.mark.parametrize("options", [FILES, LOAD])
def test_a_published_model_is_the_one_that_from_pretrained_gives(hub: Hub, tmp_path: Path, options: list[str]) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
    )
    model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(tmp_path / "tiny")
    (tmp_path / "tiny" / "optimizer.pt").write_bytes(b"state")
    (tmp_path / "card.md").write_text(CARD)
    done = publish(hub, tmp_path, "model", "--repo-id", MODEL, "--folder", "tiny", "--card", "card.md", *options)
    assert done.returncode == 0, done.stderr
    assert "left out: optimizer.pt (not among the files that a model publishes)" in done.stdout
    script = """
import json
import torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained("user/tiny")
print(json.dumps({"dtype": str(model.dtype), "logits": model(torch.tensor([[1, 2, 3]])).logits[0, -1].tolist()}))
"""
    with torch.no_grad():
        logits = model.eval()(torch.tensor([[1, 2, 3]])).logits[0, -1].tolist()
    assert in_fresh_process(hub, tmp_path / "reader", script) == {"dtype": "torch.bfloat16", "logits": logits}
    parameters = sum(tensor.numel() for tensor in model.state_dict().values())
    told = f"loaded back weights: class LlamaForCausalLM, parameters {parameters}, sha256"
    assert (told in done.stdout) == (not options)
    assert "optimizer.pt" not in on_hub(hub, Kind.MODELS, MODEL)


def test_a_published_space_has_the_files_of_its_folder(hub: Hub, tmp_path: Path) -> None:
    space = tmp_path / "space"
    (space / "examples").mkdir(parents=True)
    (space / "README.md").write_text("---\ntitle: Demo\nsdk: gradio\nlicense: mit\n---\n")
    (space / "app.py").write_text("import gradio\n")
    (space / "examples" / "one.json").write_text("{}")
    expected = in_folder(space)
    (space / ".env").write_text("SECRET=1")
    (space / "notes.docx").write_text("of mine")
    done = publish(hub, tmp_path, "space", "--repo-id", "user/demo", "--folder", "space")
    assert done.returncode == 0, done.stderr
    assert on_hub(hub, Kind.SPACES, "user/demo") == expected
    assert re.findall(r"left out: (\S+)", done.stdout) == [".env", "notes.docx"]
    assert "loaded back app.py: bytes 14" in done.stdout


def test_the_demo_is_published_and_again_without_a_change(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "tiny.jsonl").write_text('{"question_id": "a"}\n')
    shown = ("--dataset", "user/r-avst", "--videos", "user/r-avst-videos", "--predictions", "tiny.jsonl")
    done = publish(hub, tmp_path, "space", "--repo-id", "user/demo", *shown, "--arguments=--max-seconds 30 --fps 1")
    assert done.returncode == 0, done.stderr
    assert "left out" not in done.stdout
    assert "loaded back app.py: bytes" in done.stdout
    first = on_hub(hub, Kind.SPACES, "user/demo")
    assert first["app.py"] == first["r_avst/space/app.py"]
    assert first["examples/tiny.jsonl"] == (tmp_path / "tiny.jsonl").read_bytes()
    settings = {"arguments": [*shown[:-1], "examples/tiny.jsonl", "--max-seconds", "30", "--fps", "1"]}
    assert json.loads(first["space.json"]) == settings
    same = (*shown, "--arguments", "--max-seconds '30' --fps 1")
    again = publish(hub, tmp_path, "space", "--repo-id", "user/demo", *same, *FILES)
    assert "0 files new or changed (0 bytes)" in again.stdout
    assert len(hub.repos[Kind.SPACES, "user/demo"].commits) == 2
    hub.repos[Kind.SPACES, "user/demo"].head.tree["r_avst/space/old.py"] = hub.put(b"gone from the project")
    done = publish(hub, tmp_path, "space", "--repo-id", "user/demo", *FILES)
    assert re.search(r"1 files new or changed .*, 2 deleted", done.stdout)
    assert json.loads(hub.content(Kind.SPACES, "user/demo", "space.json")) == {"arguments": ["--synthetic"]}
    assert not on_hub(hub, Kind.SPACES, "user/demo").keys() & {"r_avst/space/old.py", "examples/tiny.jsonl"}


def test_options_of_the_demo_and_a_folder_of_ones_own_exclude_each_other(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "space").mkdir()
    for option in ("--model=user/model", "--arguments=--fps 1"):
        done = publish(hub, tmp_path, "space", "--repo-id", "user/demo", "--folder", "space", option)
        assert done.returncode == 2
        assert "are of the demo: leave --folder out, or them" in done.stderr
    done = publish(hub, tmp_path, "space", "--repo-id", "user/demo", "--arguments=--fps '1")
    assert done.returncode == 2
    assert "is not written as for a shell (No closing quotation)" in done.stderr
    assert hub.requests == []


def test_a_dry_run_of_the_demo_lists_its_files(hub: Hub, tmp_path: Path) -> None:
    done = publish(hub, tmp_path, "space", "--repo-id", "user/demo", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert re.search(r"upload +[\d,]+  r_avst/space/page/player.js$", done.stdout, re.MULTILINE)
    assert "nothing was sent" in done.stdout


def test_what_loads_otherwise_from_the_hub_is_reported(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "README.md").write_text("---\ntitle: Demo\nsdk: gradio\nlicense: mit\n---\n")
    (tmp_path / "space" / "app.py").write_text("import gradio\n")
    hub.altered["app.py"] = b"import others\n"
    done = publish(hub, tmp_path, "space", "--repo-id", "user/demo", "--folder", "space")
    assert done.returncode == 2
    assert "user/demo: what loads from the Hub is not what is here: app.py: here {'bytes': 14" in done.stderr


def test_a_page_that_is_replaced_is_told(hub: Hub, tmp_path: Path, checkpoint: Path) -> None:
    assert "the page on the Hub is replaced" not in publish_model(hub, tmp_path).stdout
    (checkpoint / "README.md").write_text(CARD + "Another.\n")
    for options in (["--dry-run"], []):
        done = publish_model(hub, tmp_path, *options)
        assert f"the page on the Hub is replaced by {checkpoint / 'README.md'}; --card FILE" in done.stdout


def test_videos_that_may_be_shared_go_to_a_repository_of_their_own(
    hub: Hub, tmp_path: Path, tiny_release: Path, clips_folder: Path
) -> None:
    build_release(str(tiny_release), None, None, tmp_path / "r-avst")
    (tmp_path / "videos").mkdir()
    for video_id in ("tiny_dog", "tiny_car", "stranger"):
        shutil.copy(clips_folder / "b.mp4", tmp_path / "videos" / f"{video_id}.mp4")
    licences = "video_id,licence,attribution\ntiny_dog,cc-by-4.0,A. Author\nstranger,cc0-1.0,\n"
    (tmp_path / "videos" / "licences.csv").write_text(licences)
    done = publish(hub, tmp_path, "dataset", "--repo-id", "user/r-avst", "--with-videos", "videos")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"left out: (\S+)", done.stdout) == ["stranger.mp4", "tiny_car.mp4"]
    script = """
import json
from datasets import Video, load_dataset
rows = load_dataset("user/r-avst-videos", split="test").cast_column("video", Video(decode=False))
told = [{key: value for key, value in row.items() if key != "video"} for row in rows]
print(json.dumps({"rows": told, "sizes": [len(open(row["video"]["path"], "rb").read()) for row in rows]}))
"""
    row = {"video_id": "tiny_dog", "licence": "cc-by-4.0", "attribution": "A. Author"}
    size = (clips_folder / "b.mp4").stat().st_size
    assert in_fresh_process(hub, tmp_path / "reader", script) == {"rows": [row], "sizes": [size]}


# --- again, and what changed ------------------------------------------------------------------------------------------


def test_only_what_changed_is_sent_and_nothing_makes_no_commit(hub: Hub, tmp_path: Path, checkpoint: Path) -> None:
    publish_model(hub, tmp_path)
    repo = hub.repos[Kind.MODELS, MODEL]
    hub.requests.clear()
    assert publish_model(hub, tmp_path).returncode == 0
    assert (uploads(hub), len(repo.commits)) == (0, 2)
    assert not [line for line in hub.requests if "/commit/" in line or "/preupload/" in line]
    (checkpoint / "b.safetensors").write_bytes(b"other weights")
    done = publish_model(hub, tmp_path)
    assert "1 files new or changed (13 bytes), 4 unchanged, 0 deleted" in done.stdout
    assert (uploads(hub), len(repo.commits)) == (1, 3)
    assert on_hub(hub, Kind.MODELS, MODEL) == in_folder(checkpoint)


def test_files_that_are_gone_here_are_deleted_there_but_not_those_of_others(
    hub: Hub, tmp_path: Path, checkpoint: Path
) -> None:
    publish_model(hub, tmp_path)
    repo = hub.repos[Kind.MODELS, MODEL]
    repo.add("by hand", repo.head.tree | {"notes.txt": hub.put(b"of the owner")})
    (checkpoint / "b.safetensors").unlink()
    assert publish_model(hub, tmp_path).returncode == 0
    assert on_hub(hub, Kind.MODELS, MODEL) == in_folder(checkpoint) | {"notes.txt": b"of the owner"}
    assert len(repo.commits) == 4


@pytest.mark.parametrize("token", [TOKEN, None])
def test_a_dry_run_lists_files_and_sizes_and_only_reads(
    hub: Hub, tmp_path: Path, checkpoint: Path, token: str | None
) -> None:
    publish_model(hub, tmp_path)
    (checkpoint / "a.safetensors").unlink()
    (checkpoint / "b.safetensors").write_bytes(b"other weights")
    hub.requests.clear()
    done = publish_model(hub, tmp_path, "--dry-run", token=token)
    assert done.returncode == 0, done.stderr
    listed = re.findall(r"^  (upload|keep|delete) +([\d,]*) +(\S+)$", done.stdout, re.MULTILINE)
    assert listed == [
        ("upload", "13", "b.safetensors"),
        ("keep", "29", "README.md"),
        ("keep", "200,000", "c.safetensors"),
        ("keep", "2", "config.json"),
        ("delete", "", "a.safetensors"),
    ]
    assert {line.split()[0] for line in hub.requests} == {"GET"}
    assert len(hub.repos[Kind.MODELS, MODEL].commits) == 2


def test_a_dry_run_needs_no_hub(hub: Hub, tmp_path: Path, checkpoint: Path) -> None:
    own = ("model", "--repo-id", MODEL, "--folder", checkpoint, "--dry-run")
    done = publish(hub, tmp_path, *own, url=f"http://127.0.0.1:{unused_port()}")
    assert done.returncode == 0
    assert_not_compared(done)


def test_a_dry_run_with_a_wrong_token_does_not_guess(hub: Hub, tmp_path: Path, checkpoint: Path) -> None:
    assert_not_compared(publish_model(hub, tmp_path, "--dry-run", token="hf_unknown"))


def assert_not_compared(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0
    assert "publish         200,000  a.safetensors" in done.stdout
    assert "what would change is not known" in done.stdout
    assert "would be made" not in done.stdout
    assert " deleted" not in done.stdout
    assert "not compared with the Hub" in done.stderr


def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


# --- what is refused before anything is sent --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "repo_id", "said"),
    [
        (None, MODEL, "there is no token for the Hub: run hf auth login"),
        ("hf_unknown", MODEL, "the Hub does not know this token (401)"),
        (READ_TOKEN, MODEL, "the token of user only reads"),
        ("hf_\u00e9", MODEL, "does HF_TOKEN have a letter that no token has?"),
        (OTHER_TOKEN, MODEL, "the token has no right to write to 'user' (403)"),
        (TOKEN, "someone/tiny", "the token has no right to write to 'someone' (403)"),
    ],
)
def test_a_token_that_does_not_do_is_said_to(
    hub: Hub, tmp_path: Path, checkpoint: Path, token: str | None, repo_id: str, said: str
) -> None:
    own = ("model", "--repo-id", repo_id, "--folder", checkpoint, "--check", "files")
    done = publish(hub, tmp_path, *own, token=token)
    assert (done.returncode, hub.repos, uploads(hub)) == (2, {}, 0)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_is_taken_by_another_kind_is_refused(hub: Hub, tmp_path: Path, checkpoint: Path) -> None:
    hub.create(Kind.DATASETS, MODEL)
    done = publish_model(hub, tmp_path)
    assert (done.returncode, list(hub.repos)) == (2, [(Kind.DATASETS, MODEL)])
    assert "user/tiny is there as a dataset, and would become a model; give another --repo-id" in done.stderr


def test_a_hub_that_cannot_be_reached_is_named(hub: Hub, tmp_path: Path, checkpoint: Path) -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    done = publish(hub, tmp_path, "model", "--repo-id", MODEL, "--folder", checkpoint, url=url)
    assert done.returncode == 2
    assert f"the Hub at {url} cannot be reached" in done.stderr


def test_a_card_that_the_hub_rejects_is_known_before_a_repository_is_made(
    hub: Hub, tmp_path: Path, checkpoint: Path
) -> None:
    (checkpoint / "README.md").write_text("---\nlicense: [a, b]\n---\n")
    done = publish_model(hub, tmp_path)
    assert (done.returncode, hub.repos) == (2, {})
    assert "the Hub rejects the card of user/tiny" in done.stderr
    assert '\\"license\\" must be a string' in done.stderr


def test_private_makes_a_private_repository_and_never_keeps_a_public_one(hub: Hub, tmp_path: Path, checkpoint: Path) -> None:
    assert publish_model(hub, tmp_path, "--private").returncode == 0
    assert hub.repos[Kind.MODELS, MODEL].private
    hub.repos[Kind.MODELS, MODEL].private = False
    done = publish_model(hub, tmp_path, "--private")
    assert done.returncode == 2
    assert "user/tiny is there and public; --private does not change that" in done.stderr


# --- broken in the middle ---------------------------------------------------------------------------------------------


@pytest.fixture
def second_version(hub: Hub, tmp_path: Path, checkpoint: Path) -> dict[str, bytes]:
    """The first version is on the Hub and the second, with other weights, in the folder; gives the first."""
    assert publish_model(hub, tmp_path).returncode == 0
    first = on_hub(hub, Kind.MODELS, MODEL)
    assert first == in_folder(checkpoint)
    write_shards(checkpoint, seed=1)
    hub.stored.clear()
    hub.requests.clear()
    return first


@pytest.mark.parametrize(
    ("pattern", "status", "said"),
    [
        ("PUT /lfs/", 401, "the Hub does not know this token (401)"),
        ("PUT /lfs/", 403, "the token has no right to write to 'user' (403)"),
        ("PUT /lfs/", 429, "the Hub is asked too much (429). Wait some minutes"),
        ("PUT /lfs/", 500, "the Hub has a fault of its own (500). Try later"),
        ("POST .*/commit/", 401, "the Hub does not know this token (401)"),
        ("POST .*/commit/", 403, "the token has no right to write to 'user' (403)"),
        ("POST .*/commit/", 429, "the Hub is asked too much (429). Wait some minutes"),
        ("POST .*/commit/", 500, "the Hub has a fault of its own (500). Try later"),
    ],
)
def test_an_error_in_mid_upload_leaves_the_old_version_and_the_next_run_goes_on(
    hub: Hub, tmp_path: Path, checkpoint: Path, second_version: dict[str, bytes], pattern: str, status: int, said: str
) -> None:
    let_through = 1 if pattern.startswith("PUT") else 0
    hub.faults.append(Fault(pattern, status, times=99, after=let_through))
    done = publish_model(hub, tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert on_hub(hub, Kind.MODELS, MODEL) == second_version
    kept = len(hub.stored)
    assert kept >= let_through
    hub.faults.clear()
    assert publish_model(hub, tmp_path).returncode == 0
    assert len(hub.stored) == len(set(hub.stored)) == len(SHARDS)
    assert on_hub(hub, Kind.MODELS, MODEL) == in_folder(checkpoint)
    assert len(hub.repos[Kind.MODELS, MODEL].commits) == 3


@pytest.mark.parametrize("status", [429, 500])
def test_a_passing_error_is_waited_for(
    hub: Hub, tmp_path: Path, checkpoint: Path, second_version: dict[str, bytes], status: int
) -> None:
    hub.faults.append(Fault("PUT /lfs/", status, times=1))
    assert publish_model(hub, tmp_path).returncode == 0
    assert on_hub(hub, Kind.MODELS, MODEL) == in_folder(checkpoint) != second_version


def test_a_kill_in_mid_upload_leaves_the_old_version_and_the_next_run_goes_on(
    hub: Hub, tmp_path: Path, checkpoint: Path, second_version: dict[str, bytes]
) -> None:
    hub.hold = 1
    line = command("model", "--repo-id", MODEL, "--folder", checkpoint, "--check", "files")
    with subprocess.Popen(line, env=client_environment(hub.url, tmp_path / "home"), stderr=subprocess.DEVNULL) as running:
        assert hub.reached.wait(60)
        assert on_hub(hub, Kind.MODELS, MODEL) == second_version  # what readers see while it runs
        os.kill(running.pid, signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
    hub.hold = None
    hub.released.set()
    assert len(hub.stored) == 1
    assert on_hub(hub, Kind.MODELS, MODEL) == second_version
    assert publish_model(hub, tmp_path).returncode == 0
    assert len(hub.stored) == len(set(hub.stored)) == len(SHARDS)
    assert on_hub(hub, Kind.MODELS, MODEL) == in_folder(checkpoint)
    assert len(hub.repos[Kind.MODELS, MODEL].commits) == 3


def test_a_stop_from_the_keyboard_says_how_to_go_on(hub: Hub, tmp_path: Path, checkpoint: Path) -> None:
    hub.hold = 1
    line = command("model", "--repo-id", MODEL, "--folder", checkpoint, "--check", "files")
    environment = client_environment(hub.url, tmp_path / "home")
    with subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True) as running:
        assert hub.reached.wait(60)
        os.kill(running.pid, signal.SIGINT)
        time.sleep(0.5)  # the client waits for the files that are on their way
        hub.hold = None
        hub.released.set()
        said = running.communicate(timeout=60)[1]
    assert (running.returncode, on_hub(hub, Kind.MODELS, MODEL)) == (130, {})
    assert "stopped; Readers of the Hub never find half a version; the same command goes on" in said
    assert "Traceback" not in said


def test_a_first_publication_that_is_killed_shows_no_file(hub: Hub, tmp_path: Path, checkpoint: Path) -> None:
    hub.hold = 1
    line = command("model", "--repo-id", MODEL, "--folder", checkpoint, "--check", "files")
    with subprocess.Popen(line, env=client_environment(hub.url, tmp_path / "home"), stderr=subprocess.DEVNULL) as running:
        assert hub.reached.wait(60)
        os.kill(running.pid, signal.SIGKILL)
    assert on_hub(hub, Kind.MODELS, MODEL) == {}


def test_a_commit_that_somebody_made_meanwhile_is_not_overwritten(
    hub: Hub, tmp_path: Path, checkpoint: Path, second_version: dict[str, bytes]
) -> None:
    hub.hold = 0
    line = command("model", "--repo-id", MODEL, "--folder", checkpoint, "--check", "files")
    environment = client_environment(hub.url, tmp_path / "home")
    with subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True) as running:
        assert hub.reached.wait(60)
        repo = hub.repos[Kind.MODELS, MODEL]
        repo.add("by somebody", repo.head.tree | {"config.json": hub.put(b'{"by": "somebody"}')})
        hub.hold = None
        hub.released.set()
        said = running.communicate()[1]
    assert running.returncode == 2
    assert "someone else has changed user/tiny meanwhile (412). Nothing was overwritten" in said
    assert on_hub(hub, Kind.MODELS, MODEL) == second_version | {"config.json": b'{"by": "somebody"}'}
