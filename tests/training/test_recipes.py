"""The recipes: the paper's values, what TRL and accelerate make of them, and which weights an adapter reaches."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.commands.launch import _validate_launch_command
from accelerate.commands.launch import launch_command_parser
from peft import LoraConfig
from peft import get_peft_model
from tiny_training import tiny_model
from transformers import TrainingArguments
from transformers.quantizers.quantizers_utils import should_convert_module
from trl import GRPOConfig
from trl import ModelConfig
from trl import SFTConfig

from r_avst.training.options import DataOptions
from r_avst.training.options import MediaOptions
from r_avst.training.options import Parsed
from r_avst.training.options import PictureOptions
from r_avst.training.options import RewardOptions
from r_avst.training.options import RunOptions
from r_avst.training.options import StepOptions
from r_avst.training.options import check_save_steps
from r_avst.training.options import packaged_recipes
from r_avst.training.options import parse_options
from r_avst.training.options import read_recipe
from r_avst.training.policy import UNQUANTIZED
from r_avst.training.rewards import RewardWeights

GRPO_GROUPS = (DataOptions, MediaOptions, RewardOptions, PictureOptions, StepOptions, RunOptions, ModelConfig, GRPOConfig)
SFT_GROUPS = (DataOptions, MediaOptions, RunOptions, ModelConfig, SFTConfig)
RECIPES = packaged_recipes()
SFT = sorted(name for name in RECIPES if "sft" in name)
GRPO = sorted(set(RECIPES) - set(SFT))
REAL = sorted(name for name in RECIPES if not name.startswith("tiny"))
LORA = sorted(name for name in RECIPES if "lora" in name)
ACCELERATE = RECIPES["avst_zero"].parent / "accelerate"
DEVICES = {"one_gpu": (1, 1), "ddp": (4, 1), "fsdp2": (4, 1), "deepspeed_zero3_offload": (4, 1), "two_nodes": (8, 2)}


def parsed(name: str, folder: Path, *arguments: str) -> Parsed:
    groups = SFT_GROUPS if name in SFT else GRPO_GROUPS
    return parse_options("r-avst", "d", "e", groups, ["--recipe", name, "--videos", str(folder), "--use_cpu", *arguments])


def options_of(name: str, folder: Path) -> dict[str, Any]:
    groups = parsed(name, folder).groups
    return {key: getattr(own, key) for own in groups for key in own.__dataclass_fields__ if hasattr(own, key)}


def test_there_is_a_recipe_for_each_model_and_ablation() -> None:
    assert set(RECIPES) == {
        "avst_zero",
        "avst_zero_lora_24gb",
        "avst_zero_lora_80gb",
        "avst_zero_omni",
        "avst_zero_omni_lora_24gb",
        "avst_zero_omni_lora_80gb",
        "avst_zero_omni_sft",
        "avst_zero_sft",
        "tiny",
        "tiny_sft",
        "without_spatial",
        "without_temporal",
    }


@pytest.mark.parametrize("name", ["avst_zero", "avst_zero_omni", "without_spatial", "without_temporal"])
def test_the_papers_settings(name: str, tmp_path: Path) -> None:
    own = options_of(name, tmp_path)
    paper = {
        "num_train_epochs": 1,
        "per_device_train_batch_size": 6,  # one prompt: TRL counts completions
        "gradient_accumulation_steps": 8,
        "num_generations": 6,
        "max_completion_length": 1024,
        "max_pixels": 12_845_056,
        "min_pixels": 3_136,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "cosine",
        "weight_decay": 0.01,
        "beta": 0.001,
        "max_grad_norm": 5.0,
    }
    assert {key: own[key] for key in paper} == paper


@pytest.mark.parametrize("name", ["avst_zero_sft", "avst_zero_omni_sft"])
def test_the_papers_settings_of_sft(name: str, tmp_path: Path) -> None:
    own = options_of(name, tmp_path)
    assert (own["learning_rate"], own["gradient_accumulation_steps"], own["num_train_epochs"]) == (2e-5, 4, 1)
    assert (own["per_device_train_batch_size"], own["max_pixels"], own["min_pixels"]) == (1, 12_845_056, 3_136)


@pytest.mark.parametrize("name", sorted(set(GRPO) - {"tiny"}))
@pytest.mark.parametrize("processes", [1, 2, 4, 8])
def test_trl_takes_the_batches_on_any_number_of_devices(
    name: str, processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingArguments, "world_size", property(lambda self: processes))
    training = parsed(name, tmp_path).groups[-1]
    assert training.world_size == processes
    assert training.generation_batch_size == 6 * processes
    check_save_steps(training)


def test_a_step_has_the_papers_32_prompts_on_4_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainingArguments, "world_size", property(lambda self: 4))
    training = parsed("avst_zero", tmp_path).groups[-1]
    completions = training.per_device_train_batch_size * training.world_size * training.gradient_accumulation_steps
    assert completions == 32 * training.num_generations


@pytest.mark.parametrize("name", REAL)
def test_the_published_models_are_named_and_their_hearing_fits(name: str, tmp_path: Path) -> None:
    own = options_of(name, tmp_path)
    omni = "omni" in name
    assert own["model_name_or_path"] == ("Qwen/Qwen2.5-Omni-7B" if omni else "Qwen/Qwen2.5-VL-7B-Instruct")
    assert own["audio"] == ("on" if omni else "auto")
    assert own["coordinate_space"] == "model"


def test_no_two_recipes_write_to_one_folder() -> None:
    folders = [read_recipe(name)["output_dir"] for name in RECIPES]
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize("part", ["temporal", "spatial"])
def test_an_ablation_pays_nothing_for_its_component_and_the_same_for_others(part: str, tmp_path: Path) -> None:
    weights = parsed(f"without_{part}", tmp_path).groups[2].weights
    default = RewardWeights()
    for name in RewardWeights.__dataclass_fields__:
        assert getattr(weights, name) == (0 if name.startswith(f"{part}_of") else getattr(default, name))


def test_the_tiny_recipe_downloads_nothing(tmp_path: Path) -> None:
    own = options_of("tiny", tmp_path)
    assert (own["word_vectors"], own["use_cpu"], own["bf16"]) == ("exact", True, False)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_says_how_it_is_started_and_whose_values_it_has(name: str) -> None:
    text = RECIPES[name].read_text(encoding="utf-8")
    command = "sft" if name in SFT else "grpo"
    assert re.search(rf"^#\s+(training/{command}\.py|r-avst-{command}) --recipe {name} ", text, re.MULTILINE)


# --- adapters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LORA)
def test_an_adapter_reaches_all_layers_of_the_language_model_and_nothing_else(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    family = "omni" if "omni" in name else "vl"
    targets = parsed(name, tmp_path).groups[-2].lora_target_modules
    assert isinstance(targets, str)
    model = tiny_model(tmp_path_factory.mktemp("lora"), family)
    linear = {key for key, own in model.named_modules() if isinstance(own, torch.nn.Linear) and "language_model" in key}
    found = get_peft_model(model, LoraConfig(target_modules=targets, task_type="CAUSAL_LM"))
    assert set(found.base_model.targeted_module_names) == linear
    assert len(linear) == 2 * 7


@pytest.mark.parametrize("family", ["vl", "omni"])
def test_encoders_and_head_are_not_quantized(family: str, tmp_path: Path) -> None:
    linear = [key for key, own in tiny_model(tmp_path, family).named_modules() if isinstance(own, torch.nn.Linear)]
    converted = [key for key in linear if should_convert_module(key, list(UNQUANTIZED))]
    assert converted == [key for key in linear if "language_model" in key]
    assert converted


# --- accelerate -------------------------------------------------------------------------------------------------------


def test_the_configs_of_accelerate_are_these() -> None:
    assert {path.stem for path in ACCELERATE.glob("*.yaml")} == set(DEVICES)


@pytest.mark.parametrize("name", DEVICES)
def test_accelerates_launcher_takes_the_config(name: str) -> None:
    given = launch_command_parser().parse_args(["--config_file", str(ACCELERATE / f"{name}.yaml"), "grpo.py"])
    arguments, _, _ = _validate_launch_command(given)
    assert (arguments.num_processes, arguments.num_machines) == DEVICES[name]
    assert arguments.mixed_precision == "bf16"
    assert arguments.use_fsdp == (name == "fsdp2")
    assert arguments.use_deepspeed == (name in ("deepspeed_zero3_offload", "two_nodes"))
    assert arguments.multi_gpu == (name == "ddp")
    assert not arguments.use_cpu
