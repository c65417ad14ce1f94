"""`r-avst-sft`, then `r-avst-grpo` from its output, on real clips with tiny models, as a user runs them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from datasets import Dataset
from safetensors.torch import load_file
from training_data import GOOD
from training_data import QUESTIONS
from training_data import TrainingData
from training_data import run_script
from training_data import truth_of
from training_data import write_training_data
from transformers import Qwen2_5_VLForConditionalGeneration

from r_avst.training.grpo import describe_lengths
from r_avst.training.grpo import main
from r_avst.training.grpo import train
from r_avst.training.options import OptionError
from r_avst.training.options import RunOptions
from r_avst.training.run_setup import is_whole
from r_avst.training.run_setup import resume_point
from r_avst.training.run_setup import shown_settings
from r_avst.training.run_setup import write_recipe
from r_avst.training.tiny_models import WRITERS

TEXTS = [*QUESTIONS.values(), *(truth_of(task) for task in QUESTIONS)]
LORA = r"model\.language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to work in, with a data set, its clips and both tiny models."""
    folder = tmp_path_factory.mktemp("grpo")
    write_training_data(folder)
    for family in ("vl", "omni"):
        WRITERS[family](folder / f"tiny-{family}", 0, TEXTS)
    return folder


@pytest.fixture(scope="module")
def warm_start(work: Path) -> Any:
    return run_script("r-avst-sft", ["--recipe", "tiny_sft", *DATA], work)


@pytest.fixture(scope="module")
def trained(work: Path, warm_start: Any) -> Any:
    assert warm_start.returncode == 0, warm_start.stderr
    own = ["--model_name_or_path", "runs/tiny_sft", "--report_to", "none", "--learning_rate", "1e-3"]
    return run_script("r-avst-grpo", ["--recipe", "tiny", *DATA, *own], work)


DATA = ["--dataset", "r-avst", "--videos", "videos"]


def test_grpo_goes_on_from_what_sft_made(work: Path, trained: Any) -> None:
    assert trained.returncode == 0, trained.stderr
    out = work / "runs" / "tiny"
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(out)
    assert model.config.model_type == "qwen2_5_vl"
    assert json.loads((out / "checkpoint-2" / "trainer_state.json").read_text())["global_step"] == 2
    assert "the model is in runs/tiny" in trained.stdout


def test_what_is_skipped_is_told_and_written(work: Path, trained: Any) -> None:
    assert f"{len(GOOD) * 3} questions on 4 videos to learn from, 6 skipped (runs/tiny/skipped.jsonl)" in trained.stdout
    assert "3 questions skipped, unreadable video: clip_cut" in trained.stdout
    assert "3 questions skipped, no video: clip_gone" in trained.stdout
    text = (work / "runs" / "tiny" / "skipped.jsonl").read_text(encoding="utf-8")
    assert {json.loads(line)["video_id"] for line in text.splitlines()} == {"clip_cut", "clip_gone"}
    assert str(work) not in text


def test_answers_beyond_the_limit_and_the_ceiling_of_the_form_are_told(trained: Any) -> None:
    assert "8 of 12 true answers are longer than the completion limit of 24 tokens (longest" in trained.stdout
    assert "--box_every 2 would leave 8" in trained.stdout
    assert "the true answers, written in this form and read back, score: format 1.0000" in trained.stdout


def test_a_second_run_decodes_no_video_that_the_first_read(warm_start: Any, trained: Any) -> None:
    assert "reading videos: 100%" in warm_start.stderr
    assert "5/5" in warm_start.stderr
    assert "1/1" in trained.stderr.split("reading videos")[-1]  # the one that cannot be read is tried again
    assert "5/5" not in trained.stderr


def test_report_recipe_and_card_are_those_of_the_run(work: Path, trained: Any) -> None:
    out = work / "runs" / "tiny"
    report = json.loads((out / "run.json").read_text(encoding="utf-8"))
    counts = report["counts"]
    assert (report["method"], counts["steps"], counts["examples"], counts["gold_answers"]) == ("grpo", 2, 12, 12)
    assert (counts["gold_too_long"], counts["completion_limit"], counts["skipped_questions"]) == (8, 24, 6)
    assert report["fingerprint"]
    settings = yaml.safe_load((out / "recipe.yaml").read_text(encoding="utf-8"))
    assert (settings["learning_rate"], settings["coordinate_space"], settings["beta"]) == (1e-3, "model", 0.001)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "coordinate_space: model" in card
    for name in ("run.json", "recipe.yaml", "README.md"):
        assert str(work) not in (out / name).read_text(encoding="utf-8")


def test_a_run_that_is_started_again_goes_on(
    work: Path, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained.returncode == 0, trained.stderr
    out = tmp_path / "again"
    shutil.copytree(work / "runs" / "tiny", out)
    (out / "checkpoint-2" / "trainer_state.json").write_text("{", encoding="utf-8")  # as a kill leaves it
    monkeypatch.chdir(work)
    arguments = ["--recipe", "tiny", *DATA, "--model_name_or_path", "runs/tiny_sft", "--output_dir", str(out)]
    with pytest.raises(OptionError, match=r"other settings: learning_rate was 0\.001 and is 0\.0001"):
        train(arguments)
    assert main([*arguments, "--report_to", "none", "--learning_rate", "1e-3"]) == 0
    assert f"going on from {out / 'checkpoint-1'}" in capsys.readouterr().out
    history = json.loads((out / "run.json").read_text(encoding="utf-8"))["history"]
    assert [step["step"] for step in history] == [1, 2]
    ours, first = (load_file(own / "model.safetensors") for own in (out, work / "runs" / "tiny"))
    assert all(torch.equal(value, first[name]) for name, value in ours.items())


def test_an_adapter_of_sft_on_an_omni_is_the_start_of_grpo(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from r_avst.training.sft import main as sft_main

    monkeypatch.chdir(work)
    monkeypatch.setenv("R_AVST_CACHE", str(work / "cache"))
    adapter = ["--use_peft", "--lora_r", "4", "--lora_target_modules", LORA, "--output_dir", "runs/adapter"]
    given = ["--recipe", "tiny_sft", *DATA, "--model_name_or_path", "tiny-omni", "--max_steps", "1"]
    assert sft_main([*given, *adapter]) == 0
    assert (work / "runs" / "adapter" / "adapter_config.json").exists()
    given = ["--recipe", "tiny", *DATA, "--model_name_or_path", "runs/adapter", "--audio", "on", "--max_steps", "1"]
    assert main([*given, "--output_dir", "runs/omni"]) == 0
    assert json.loads((work / "runs" / "omni" / "config.json").read_text())["model_type"] == "qwen2_5_omni_thinker"
    assert (work / "runs" / "omni" / "_start" / "merged" / "config.json").exists()
    push = ["--use_peft", "--push_to_hub", "--output_dir", "runs/none"]
    assert main([*given, *push]) == 2
    assert "would upload an adapter whose base nobody else has" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--audio", "on"], "--audio on: this model is a Qwen2.5-VL, which cannot hear"),
        (["--model_name_or_path", "none"], "there is no checkpoint at 'none'"),
        (["--load_in_4bit"], "add --use_peft"),
        (["--word_vectors", "none.npz"], "there are no word vectors at none.npz"),
        (["--dataset", "none"], "the split 'train' of 'none' cannot be loaded"),
        (["--split", "test"], "the split 'test'"),
        (["--videos", "r-avst"], "no question of 'r-avst' is left to learn from"),
        (["--start_over", "--resume_from_checkpoint", "auto"], "--start_over and --resume_from_checkpoint auto contradict"),
        (["--resume_from_checkpoint", "runs/none/checkpoint-3"], "there is no whole checkpoint"),
        (["--num_iterations", "2", "--save_steps", "3"], "--save_steps 3 would write checkpoints in the middle"),
        (["--use_vllm", "true"], "vLLM"),
    ],
)
def test_a_bad_option_names_itself(
    work: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(work)
    monkeypatch.setenv("R_AVST_CACHE", str(work / "cache"))
    assert main(["--recipe", "tiny", *DATA, "--output_dir", "runs/bad", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.splitlines()[-1].startswith("r-avst-grpo: ") or "r-avst-grpo: " in told
    assert message in told


# --- going on ---------------------------------------------------------------------------------------------------------


class Training:
    """As much of the arguments of a trainer as going on needs."""

    def __init__(self, folder: Path, named: str | None = None, processes: int = 1) -> None:
        self.output_dir, self.resume_from_checkpoint = str(folder), named
        self.world_size, self.process_index = processes, 0


def write_checkpoint(folder: Path, step: int, processes: int = 1) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step}), encoding="utf-8")
    for name in ["rng_state.pth"] if processes == 1 else [f"rng_state_{index}.pth" for index in range(processes)]:
        (path / name).touch()
    return path


def test_the_newest_whole_checkpoint_is_gone_on_from(tmp_path: Path) -> None:
    nine, ten = write_checkpoint(tmp_path, 9), write_checkpoint(tmp_path, 10)
    assert resume_point(Training(tmp_path), RunOptions(), {}) == str(ten)
    (ten / "rng_state.pth").unlink()
    assert resume_point(Training(tmp_path, "auto"), RunOptions(), {}) == str(nine)
    (nine / "trainer_state.json").unlink()
    assert resume_point(Training(tmp_path), RunOptions(), {}) is None


def test_a_checkpoint_of_other_processes_or_steps_is_not_whole(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, 5, processes=2)
    assert (is_whole(path, 2), is_whole(path, 1), is_whole(path, 4)) == (True, False, False)
    assert not is_whole(path.rename(tmp_path / "checkpoint-6"), 2)


def test_starting_over_leaves_no_checkpoint_to_go_on_from_later(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 9)
    assert resume_point(Training(tmp_path), RunOptions(start_over=True), {}) is None
    assert not list(tmp_path.glob("checkpoint-*"))


def test_a_run_with_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 9)
    before = {"beta": 0.5, "max_steps": 4, "videos": "/data/one"}
    write_recipe(before, tmp_path)
    assert resume_point(Training(tmp_path), RunOptions(), before | {"max_steps": 8, "videos": "/data/two"})
    with pytest.raises(OptionError, match=r"beta was 0\.5 and is '\(default\)'. Give another --output_dir, or --start_over"):
        resume_point(Training(tmp_path), RunOptions(), {"max_steps": 4})


def test_settings_are_shown_without_folders() -> None:
    shown = shown_settings({"videos": "/home/me/videos", "model_name_or_path": "Qwen/Qwen2.5-VL-7B-Instruct", "beta": 1})
    assert shown == {"videos": "videos", "model_name_or_path": "Qwen/Qwen2.5-VL-7B-Instruct", "beta": 1}


def test_rows_of_a_data_set_have_a_fingerprint_that_follows_them() -> None:
    one, same, other = (Dataset.from_list([{"a": value}])._fingerprint for value in (1, 1, 2))
    assert one == same != other


def test_shorter_forms_are_offered_only_where_answers_are_too_long(work: Path) -> None:
    from transformers import AutoTokenizer

    from r_avst.training.clips import ClipCache
    from r_avst.training.clips import MediaSettings
    from r_avst.training.examples import load_examples
    from r_avst.training.options import MediaOptions
    from r_avst.training.policy import Checkpoint
    from r_avst.training.run_setup import Prepared
    from r_avst.training.run_setup import answer_tokens

    settings = MediaSettings(fps=1.0, max_frames=8, min_pixels=784, max_pixels=3136, audio=False, decoder="pyav")
    cache = ClipCache(work / "other-cache", 10_000_000)
    data = TrainingData(work / "r-avst", work / "videos")
    examples, skipped = load_examples(str(data.dataset), "train", data.videos, settings, cache)
    form = MediaOptions(coordinate_space="source").form
    prepared = Prepared(Checkpoint("x", "main", "qwen2_5_vl", None), settings, form, cache, examples, skipped)
    tokenizer = AutoTokenizer.from_pretrained(work / "tiny-vl")
    counts = answer_tokens(tokenizer, examples, form)
    oracle = len(tokenizer.encode(truth_of("spatial") + tokenizer.eos_token, add_special_tokens=False))
    assert counts[-1] == max(counts) > counts[0]
    assert counts[[own.task for own in examples].index("spatial")] == oracle
    assert len(describe_lengths(prepared, tokenizer, counts, max(counts))) == 1
    assert len(describe_lengths(prepared, tokenizer, counts, max(counts) - 1)) == 3
