"""`accelerate launch training/grpo.py --push_to_hub` against the Hub of the tests, and what others load from there."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from local_hub import Hub
from local_hub import client_environment
from local_hub import running_local_hub
from training_data import QUESTIONS
from training_data import truth_of
from training_data import write_training_data

from r_avst.training.tiny_models import WRITERS

SCRIPT = Path(__file__).parents[2] / "training" / "grpo.py"
LOAD = """
import json
import sys
from huggingface_hub import HfApi, hf_hub_download
from transformers import AutoProcessor, {model_class}

model, loading = {model_class}.from_pretrained("user/tiny", output_loading_info=True)
processor = AutoProcessor.from_pretrained("user/tiny")
found = {{
    "missing": sorted(loading["missing_keys"]),
    "tokens": len(processor.tokenizer),
    "vocabulary": model.config.get_text_config().vocab_size,
    "files": HfApi().list_repo_files("user/tiny"),
    "card": open(hf_hub_download("user/tiny", "README.md"), encoding="utf-8").read(),
    "run": json.load(open(hf_hub_download("user/tiny", "run.json"), encoding="utf-8")),
}}
print(json.dumps(found))
"""
CLASSES = {"vl": "Qwen2_5_VLForConditionalGeneration", "omni": "Qwen2_5OmniThinkerForConditionalGeneration"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_local_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


def ran(command: list[str], folder: Path, hub: Hub) -> str:
    environment = client_environment(hub.url, folder / "home") | {"R_AVST_CACHE": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("family", ["vl", pytest.param("omni", marks=pytest.mark.slow)])
def test_a_run_ends_with_a_repository_that_loads_and_a_card_of_its_figures(hub: Hub, tmp_path: Path, family: str) -> None:
    write_training_data(tmp_path)
    WRITERS[family](tmp_path / f"tiny-{family}", 0, [*QUESTIONS.values(), *(truth_of(task) for task in QUESTIONS)])
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1", "--num_machines", "1", "--cpu"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", str(SCRIPT)]
    own = ["--recipe", "tiny", "--dataset", "r-avst", "--videos", "videos", "--model_name_or_path", f"tiny-{family}"]
    told = ran([*launch, *own, "--report_to", "none", "--push_to_hub", "--hub_model_id", "user/tiny"], tmp_path, hub)
    assert "it was uploaded to user/tiny" in told
    reader = [sys.executable, "-c", LOAD.format(model_class=CLASSES[family])]
    loaded = json.loads(ran(reader, tmp_path, hub).splitlines()[-1])
    assert loaded["missing"] == []
    assert loaded["tokens"] == loaded["vocabulary"]
    assert {"README.md", "run.json", "recipe.yaml", "model.safetensors", "training_curves.png"} <= set(loaded["files"])
    assert not [name for name in loaded["files"] if name.startswith(("_", "checkpoint-"))]
    check_card(loaded["card"], loaded["run"])


def check_card(card: str, run: dict[str, Any]) -> None:
    """The figures of the run that just ended stand on its card."""
    assert f"| `counts.examples` | {run['counts']['examples']} |" in card
    assert f"| `seconds` | {run['seconds']:.4g} |" in card
    for name in ("reward", "completions/mean_length", "entropy", "kl"):
        own = run["figures"][name]
        assert f"| `figures.{name}` | {own['first']:.4g} | {own['last']:.4g} |" in card
    assert run["figures"]["entropy"]["first"] > 1
