"""`r-avst-sft`, then `r-avst-grpo` from its output, on real clips with tiny models, as a user runs them."""

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from datasets import Dataset
from safetensors.torch import load_file
from training_data import GOOD
from training_data import QUESTIONS
from training_data import run_script
from training_data import truth_of
from training_data import write_training_data
from transformers import AutoProcessor
from transformers import AutoTokenizer
from transformers import Qwen2_5_VLForConditionalGeneration
from trl import ModelConfig

from r_avst.training.answer_form import AnswerForm
from r_avst.training.clips import ClipCache
from r_avst.training.clips import MediaSettings
from r_avst.training.examples import NoExamplesError
from r_avst.training.examples import load_examples
from r_avst.training.examples import rows_digest
from r_avst.training.grpo import describe_lengths
from r_avst.training.grpo import main
from r_avst.training.grpo import train
from r_avst.training.media import MediaEncoder
from r_avst.training.options import OptionError
from r_avst.training.options import RunOptions
from r_avst.training.policy import Checkpoint
from r_avst.training.run_setup import Prepared
from r_avst.training.run_setup import answer_tokens
from r_avst.training.run_setup import begin
from r_avst.training.run_setup import check_count
from r_avst.training.run_setup import check_cycle
from r_avst.training.run_setup import check_lengths
from r_avst.training.run_setup import check_ranks_agree
from r_avst.training.run_setup import finish
from r_avst.training.run_setup import is_whole
from r_avst.training.run_setup import load
from r_avst.training.run_setup import resume_point
from r_avst.training.run_setup import shown_settings
from r_avst.training.run_setup import write_begun
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
    assert report["shared_prompt"] == "on"
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
        (["--dtype", "bfloat16"], "all weights would be trained in bfloat16"),
        (["--limit", "1"], "1 questions are too few: the first step takes 2"),
        (["--max_frames", "300", "--fps", "100", "--max_completion_length", "8150"], "give a lower --max_pixels or"),
        (["--trust_remote_code", "true"], "--trust_remote_code True would be ignored"),
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
    write_begun(tmp_path, before, {})
    assert resume_point(Training(tmp_path), RunOptions(), before | {"max_steps": 8, "videos": "/data/two"})
    with pytest.raises(OptionError, match=r"beta was 0\.5 and is '\(default\)'. Give another --output_dir, or --start_over"):
        resume_point(Training(tmp_path), RunOptions(), {"max_steps": 4})


def test_settings_are_compared_with_their_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder / "model").mkdir(parents=True)
    write_checkpoint(tmp_path, 9)
    write_begun(tmp_path, {"model_name_or_path": str(tmp_path / "one" / "model")}, {})
    monkeypatch.chdir(tmp_path / "one")
    assert resume_point(Training(tmp_path), RunOptions(), {"model_name_or_path": "model"})
    with pytest.raises(OptionError, match=r"model_name_or_path was .*/one/model' and is '.*/two/model'"):
        resume_point(Training(tmp_path), RunOptions(), {"model_name_or_path": str(tmp_path / "two" / "model")})


def test_a_run_of_other_processes_is_not_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_checkpoint(tmp_path, 5, processes=4)
    for processes in (1, 2, 8):
        with pytest.raises(
            OptionError, match=rf"checkpoint-5 has the random states of 4 processes, and this run has {processes}"
        ):
            resume_point(Training(tmp_path, processes=processes), RunOptions(), {})
        with pytest.raises(OptionError, match="--num_processes 4"):
            resume_point(Training(tmp_path, str(path), processes), RunOptions(), {})
    torn = write_checkpoint(tmp_path, 6, processes=3)  # one of four was killed before it wrote
    assert resume_point(Training(tmp_path, processes=4), RunOptions(), {}) == str(path)
    shutil.rmtree(torn)
    (path / "trainer_state.json").unlink()
    assert resume_point(Training(tmp_path, processes=4), RunOptions(), {}) is None
    assert "none of the 1 checkpoints in" in capsys.readouterr().out


@pytest.mark.parametrize(("step", "iterations", "fits"), [(3, 2, False), (4, 2, True), (3, 1, True)])
def test_a_run_goes_on_at_the_end_of_a_cycle_alone(tmp_path: Path, step: int, iterations: int, fits: bool) -> None:
    training = SimpleNamespace(num_iterations=iterations, steps_per_generation=2, gradient_accumulation_steps=2)
    point = str(write_checkpoint(tmp_path, step))
    check_cycle(None, training)
    if fits:
        check_cycle(point, training)
        return
    with pytest.raises(OptionError, match="was written after 3 steps, inside a generation cycle of 2 steps"):
        check_cycle(point, training)


def prepared_in(work: Path, family: str = "vl") -> Prepared:
    """The good questions, for a tiny model."""
    hears = family == "omni"
    settings = MediaSettings(fps=1.0, max_frames=8, min_pixels=784, max_pixels=3136, audio=hears, decoder="pyav")
    cache = ClipCache(work / "other-cache", 10_000_000)
    examples, skipped = load_examples(str(work / "r-avst"), "train", work / "videos", settings, cache)
    model_type = "qwen2_5_omni_thinker" if hears else "qwen2_5_vl"
    checkpoint = Checkpoint(str(work / f"tiny-{family}"), "main", model_type, None)
    return Prepared(checkpoint, settings, AnswerForm("source", 1, 1), cache, examples, skipped)


def test_a_run_with_other_questions_is_not_gone_on_with(work: Path, tmp_path: Path) -> None:
    training, prepared = Training(tmp_path), prepared_in(work)
    point = str(write_checkpoint(tmp_path, 1))
    begin(prepared, training, {}, None)
    begin(prepared, training, {}, point)
    moved = replace(prepared, examples=[replace(own, video=tmp_path / own.video.name) for own in prepared.examples])
    begin(moved, training, {}, point)
    fewer = replace(prepared, examples=prepared.examples[1:])
    with pytest.raises(
        OptionError, match="run on 12 questions, this one has 11; what differs is questions, question_id, prompt"
    ):
        begin(fewer, training, {}, point)
    other = replace(prepared, form=AnswerForm("source", 1, 0))
    with pytest.raises(OptionError, match=r"what differs is prompt, completion\. "):
        begin(other, training, {}, point)


def test_processes_that_found_other_questions_are_named(work: Path) -> None:
    prepared = prepared_in(work)
    all_rows, fewer = (rows_digest(own.rows) for own in (prepared, replace(prepared, examples=prepared.examples[1:])))
    check_ranks_agree([all_rows, all_rows])
    with pytest.raises(OptionError, match="11 in process 1, 12 in process 0; what differs is questions, question_id"):
        check_ranks_agree([all_rows, fewer])


@pytest.mark.slow
def test_two_processes_with_other_questions_both_stop(work: Path) -> None:
    code = "import sys; from r_avst.training.grpo import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["--recipe", "tiny", *DATA, "--output_dir", "runs/two", "--report_to", "none"]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true"}
    common |= {"R_AVST_CACHE": str(work / "cache"), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments, "--limit", str(16 - rank)],  # 12 and 11 of them have good videos
            cwd=work,
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    told = [own.communicate(timeout=240)[1] for own in processes]
    assert [own.returncode for own in processes] == [2, 2], told
    assert all("11 in process 1, 12 in process 0; what differs is questions" in own for own in told)


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return int(own.getsockname()[1])


@pytest.mark.parametrize("family", ["vl", "omni"])
def test_the_longest_prompt_is_told_and_has_to_fit(work: Path, family: str, capsys: pytest.CaptureFixture[str]) -> None:
    prepared = prepared_in(work, family)
    encoder = MediaEncoder(AutoProcessor.from_pretrained(prepared.checkpoint.name), prepared.settings, prepared.cache)
    oracle = max(encoder.encode(row)["input_ids"].shape[1] for row in prepared.rows["prompt"])
    text_config = SimpleNamespace(max_position_embeddings=oracle + 103)
    policy = SimpleNamespace(config=SimpleNamespace(get_text_config=lambda: text_config))
    check_lengths(prepared, encoder, policy, 100, Training(work))
    told = int(capsys.readouterr().out.split("has about ")[1].split()[0])
    assert 0 <= told - oracle <= (2 if family == "omni" else 0)
    with pytest.raises(
        OptionError, match=rf"the longest prompt has about {told} tokens .* with 104 of an answer that is more"
    ):
        check_lengths(prepared, encoder, policy, 104, Training(work))


def test_too_few_questions_are_refused() -> None:
    check_count(4, 4)
    with pytest.raises(NoExamplesError, match="3 questions are too few: the first step takes 4"):
        check_count(3, 4)


def test_a_model_that_took_no_step_is_not_uploaded() -> None:
    state = SimpleNamespace(global_step=0)
    with pytest.raises(OptionError, match="no step was taken, so nothing is uploaded"):
        finish(SimpleNamespace(args=SimpleNamespace(push_to_hub=True), state=state))


@pytest.mark.parametrize(("beta", "given"), [(0.1, {"revision": "v1"}), (0.0, None)])
def test_the_reference_is_of_the_policys_revision(work: Path, tmp_path: Path, beta: float, given: Any) -> None:
    prepared = prepared_in(work)
    prepared = replace(prepared, checkpoint=replace(prepared.checkpoint, revision="v1"))
    spread = {"deepspeed_plugin": None, "fsdp_plugin_args": None}
    training = SimpleNamespace(beta=beta, output_dir=str(tmp_path), model_init_kwargs=None, **spread)
    load(prepared, ModelConfig(dtype="float32"), training)
    assert training.model_init_kwargs == given


def test_a_checkpoint_of_16_bits_is_refused_after_loading(work: Path, tmp_path: Path) -> None:
    prepared = prepared_in(work)
    Qwen2_5_VLForConditionalGeneration.from_pretrained(prepared.checkpoint.name).bfloat16().save_pretrained(
        tmp_path / "half"
    )
    AutoProcessor.from_pretrained(prepared.checkpoint.name).save_pretrained(tmp_path / "half")
    prepared = replace(prepared, checkpoint=replace(prepared.checkpoint, name=str(tmp_path / "half")))
    training = SimpleNamespace(output_dir=str(tmp_path), deepspeed_plugin=None, fsdp_plugin_args=None, learning_rate=1e-6)
    with pytest.raises(OptionError, match="all weights would be trained in bfloat16"):
        load(prepared, ModelConfig(dtype="auto"), training)


def test_settings_are_shown_without_folders() -> None:
    shown = shown_settings({"videos": "/home/me/videos", "model_name_or_path": "Qwen/Qwen2.5-VL-7B-Instruct", "beta": 1})
    assert shown == {"videos": "videos", "model_name_or_path": "Qwen/Qwen2.5-VL-7B-Instruct", "beta": 1}


def test_every_path_of_this_machine_is_cut_to_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "own.kv").touch()
    given = {
        "word_vectors": "secret/own.kv",
        "deepspeed": "/home/me/zero3.json",
        "hub_cache": "~/me/hub",
        "fsdp_config": {"file": "/home/me/fsdp.json", "version": 2},
        "report_to": ["wandb", "/home/me/log"],
        "coordinate_space": "model",
        "run_name": "",
    }
    assert shown_settings(given) == given | {
        "word_vectors": "own.kv",
        "deepspeed": "zero3.json",
        "hub_cache": "hub",
        "fsdp_config": {"file": "fsdp.json", "version": 2},
        "report_to": ["wandb", "log"],
    }


def test_rows_of_a_data_set_have_a_fingerprint_that_follows_them() -> None:
    one, same, other = (Dataset.from_list([{"a": value}])._fingerprint for value in (1, 1, 2))
    assert one == same != other


def test_shorter_forms_are_offered_only_where_answers_are_too_long(work: Path) -> None:
    prepared = prepared_in(work)
    examples, form = prepared.examples, prepared.form
    tokenizer = AutoTokenizer.from_pretrained(work / "tiny-vl")
    counts = answer_tokens(tokenizer, examples, form)
    oracle = len(tokenizer.encode(truth_of("spatial") + tokenizer.eos_token, add_special_tokens=False))
    assert counts[-1] == max(counts) > counts[0]
    assert counts[[own.task for own in examples].index("spatial")] == oracle
    assert len(describe_lengths(prepared, tokenizer, counts, max(counts))) == 1
    assert len(describe_lengths(prepared, tokenizer, counts, max(counts) - 1)) == 3
