"""Options and recipes: what is wrong is named, what is in effect can be read back."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from trl import GRPOConfig
from trl import ModelConfig
from trl import SFTConfig

from r_avst.metrics.avst_metrics.word_vectors import WordVectorsError
from r_avst.training.answer_form import AnswerForm
from r_avst.training.options import DataOptions
from r_avst.training.options import MediaOptions
from r_avst.training.options import OptionError
from r_avst.training.options import Parsed
from r_avst.training.options import RewardOptions
from r_avst.training.options import StepOptions
from r_avst.training.options import check_epochs
from r_avst.training.options import check_full_weights
from r_avst.training.options import check_save_steps
from r_avst.training.options import check_unused
from r_avst.training.options import exit_code
from r_avst.training.options import find_recipe
from r_avst.training.options import hears
from r_avst.training.options import packaged_recipes
from r_avst.training.options import parse_options
from r_avst.training.options import read_recipe
from r_avst.training.rewards import RewardWeights

GROUPS = (DataOptions, MediaOptions, RewardOptions, StepOptions, ModelConfig, GRPOConfig)
NEEDED = {"coordinate_space": "model", "bf16": False, "use_cpu": True, "output_dir": "out"}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(NEEDED), encoding="utf-8")
    return path


def parsed(folder: Path, *arguments: str) -> Parsed:
    return parse_options("r-avst-grpo", "d", "e", GROUPS, ["--videos", str(folder), *arguments])


def add(recipe: Path, **options: Any) -> None:
    recipe.write_text(yaml.safe_dump({**yaml.safe_load(recipe.read_text(encoding="utf-8")), **options}), encoding="utf-8")


# --- recipes ----------------------------------------------------------------------------------------------------------


def test_the_command_line_comes_before_the_recipe(recipe: Path, tmp_path: Path) -> None:
    add(recipe, fps=1.0, max_frames=8)
    media = parsed(tmp_path, "--recipe", str(recipe), "--fps", "4").groups[1]
    assert (media.fps, media.max_frames, media.min_pixels) == (4.0, 8, 3136)


def test_a_recipe_is_found_by_its_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_recipe("avst_zero") == packaged_recipes()["avst_zero"]
    with pytest.raises(
        OptionError, match="avst_one: there is no such file, and no recipe of this name; there are avst_zero"
    ):
        find_recipe("avst_one")


def test_a_recipe_of_ones_own_may_build_on_one_of_the_package(recipe: Path) -> None:
    recipe.write_text("base: avst_zero\nbeta: 0.5\n", encoding="utf-8")
    found = read_recipe(str(recipe))
    assert (found["beta"], found["max_grad_norm"]) == (0.5, 5.0)
    assert "base" not in found


def test_a_recipe_that_is_its_own_base_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("base: b\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("base: a\n", encoding="utf-8")
    with pytest.raises(OptionError, match=r"a\.yaml: it is its own base"):
        read_recipe(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "a: [", "1: 2\n", ""])
def test_what_is_no_recipe_is_named(recipe: Path, text: str) -> None:
    recipe.write_text(text, encoding="utf-8")
    with pytest.raises(OptionError, match=r"own\.yaml"):
        read_recipe(str(recipe))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rat": 1.0}, "there is no option 'learning_rat' here; is learning_rate meant"),
        ({"qqqq": 1.0}, "there is no option 'qqqq' here; see --help"),
        ({"help": True}, "there is no option 'help' here"),
        ({"coordinate_space": "unit"}, "coordinate_space is 'unit'; it must be one of model, norm1000, source"),
        ({"dtype": "float8"}, "dtype is 'float8'; it must be one of auto"),
        ({"audio": "loud"}, "audio is 'loud'; it must be one of auto, on, off"),
        ({"temporal_reward": "giou"}, "temporal_reward is 'giou'; it must be one of tiou, skill"),
        ({"fps": 0}, "--fps 0 is no number of more than 0"),
        ({"fps": [1]}, r"--fps \[1\] is no number"),
        ({"max_frames": 0}, "--max_frames 0 is no number of 1 or more"),
        ({"min_pixels": 9000, "max_pixels": 8000}, "--min_pixels 9000 is more than --max_pixels 8000"),
        ({"box_every": 0}, "box_every is 0"),
        ({"coordinate_space": "norm1000", "decimals": 1}, "decimals is 1; in the space 'norm1000' it must be from 0 to 0"),
        ({"weight_format": -1.0}, "--weight_format -1.0 is no number of 0 or more"),
        ({"num_generations": 7}, "must be divisible by num_generations"),
        ({"prepare_processes": 0}, "--prepare_processes 0 is no number of 1 or more"),
        ({"limit": 0}, "--limit 0 is no number of 1 or more"),
    ],
)
def test_a_bad_option_in_a_recipe_is_named(recipe: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    add(recipe, **options)
    with pytest.raises(OptionError, match=message):
        parsed(tmp_path, "--recipe", str(recipe))


def test_a_number_that_is_none_is_named_by_argparse(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed(tmp_path, "--recipe", str(recipe), "--max_frames", "many")
    assert "argument --max_frames/--max-frames: invalid" in capsys.readouterr().err


def test_a_space_has_to_be_said(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--coordinate_space is not given"):
        parsed(tmp_path, "--use_cpu", "--bf16", "false")


def test_a_folder_of_videos_has_to_be_said(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--videos is not given"):
        parse_options("r-avst-grpo", "d", "e", GROUPS, ["--recipe", str(recipe)])
    with pytest.raises(OptionError, match="there is no such folder"):
        parsed(tmp_path / "none", "--recipe", str(recipe))


@pytest.mark.parametrize(("written", "meant"), [("on", "on"), ("off", "off"), ("auto", "auto"), ('"on"', "on")])
def test_yamls_on_and_off_are_words_here(recipe: Path, tmp_path: Path, written: str, meant: str) -> None:
    recipe.write_text(recipe.read_text(encoding="utf-8") + f"audio: {written}\n", encoding="utf-8")
    assert parsed(tmp_path, "--recipe", str(recipe)).groups[1].audio == meant


@pytest.mark.parametrize(("written", "meant"), [("true", "on"), ("false", "off"), ("auto", "auto")])
def test_a_recipe_switches_the_shared_prompt(recipe: Path, tmp_path: Path, written: str, meant: str) -> None:
    assert parsed(tmp_path, "--recipe", str(recipe)).groups[3].shared_prompt == "auto"
    recipe.write_text(recipe.read_text(encoding="utf-8") + f"shared_prompt: {written}\n", encoding="utf-8")
    assert parsed(tmp_path, "--recipe", str(recipe)).groups[3].shared_prompt == meant
    with pytest.raises(OptionError, match="perhaps"):
        StepOptions(shared_prompt="perhaps")  # type: ignore[arg-type]


# --- what is in effect ------------------------------------------------------------------------------------------------


def test_what_is_in_effect_holds_the_recipe_and_what_differs_from_defaults(recipe: Path, tmp_path: Path) -> None:
    add(recipe, beta=0.0)  # also TRL's default
    effective = parsed(tmp_path, "--recipe", str(recipe), "--hub_token", "secret", "--box_every", "2").effective
    assert effective["beta"] == 0.0
    assert effective["box_every"] == 2
    assert effective["videos"] == str(tmp_path)
    assert "secret" not in str(effective)
    assert not {"log_on_each_node", "dataloader_pin_memory", "temperature", "recipe"} & set(effective)


@pytest.mark.parametrize("name", ["avst_zero", "avst_zero_omni_lora_24gb", "tiny"])
def test_what_is_in_effect_can_be_read_back(tmp_path: Path, name: str) -> None:
    first = parsed(tmp_path, "--recipe", name, "--seed", "7", "--use_cpu", "--no_logging_nan_inf_filter")
    again = tmp_path / "effective.yaml"
    again.write_text(yaml.safe_dump(first.effective), encoding="utf-8")
    second = parse_options("r-avst-grpo", "d", "e", GROUPS, ["--recipe", str(again)])
    assert second.effective == first.effective
    assert second.groups[:-1] == first.groups[:-1]
    assert second.groups[-1].to_dict() == first.groups[-1].to_dict()
    assert second.groups[-1].logging_nan_inf_filter is False


# --- single options ---------------------------------------------------------------------------------------------------


def test_the_form_follows_from_the_options() -> None:
    assert MediaOptions(coordinate_space="model").form == AnswerForm("model", 1, 1)
    assert MediaOptions(coordinate_space="norm1000", box_every=3).form == AnswerForm("norm1000", 3, 0)
    assert MediaOptions(coordinate_space="source", decimals=0).form == AnswerForm("source", 1, 0)


def test_only_an_omni_hears() -> None:
    assert (hears("auto", "vl"), hears("auto", "omni"), hears("off", "omni"), hears("on", "omni")) == (
        False,
        True,
        False,
        True,
    )
    with pytest.raises(OptionError, match=r"--audio on: this model is a Qwen2\.5-VL, which cannot hear"):
        hears("on", "vl")


def test_the_weights_are_those_of_the_rewards_by_default() -> None:
    assert RewardOptions().weights == RewardWeights()
    assert RewardOptions(weight_temporal_of_temporal=0.25).weights.temporal_of_temporal == 0.25


def test_weights_that_are_all_0_are_refused() -> None:
    names = [name for name in RewardOptions.__dataclass_fields__ if name.startswith("weight_")]
    with pytest.raises(OptionError, match="every reward has the weight 0"):
        RewardOptions(**dict.fromkeys(names, 0.0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("iterations", "per_generation", "accumulation", "save_steps", "message"),
    [
        (1, 8, 8, 1, None),
        (1, 6, 48, 7, None),  # several generations a step
        (2, 8, 8, 20, None),
        (2, 8, 8, 21, "2 steps long .*: give 20 or 22"),
        (2, 8, 8, 1, "give 2$"),
        (3, 16, 4, 24, None),
        (3, 16, 4, 30, "12 steps long .*: give 24 or 36"),
        (1, 3, 2, 3, None),  # a cycle of one and a half steps
        (1, 3, 2, 4, "3 steps long .*: give 3 or 6"),
        (1, 8, 8, 0.1, "--save_steps 0.1: say a whole number of steps, a multiple of 1"),
    ],
)
def test_checkpoints_in_the_middle_of_a_cycle_are_refused(
    iterations: int, per_generation: int, accumulation: int, save_steps: float, message: str | None
) -> None:
    training = SimpleNamespace(
        save_strategy="steps",
        save_steps=save_steps,
        num_iterations=iterations,
        steps_per_generation=per_generation,
        gradient_accumulation_steps=accumulation,
    )
    if message is None:
        check_save_steps(training)
        return
    with pytest.raises(OptionError, match=message):
        check_save_steps(training)


def test_without_checkpoints_by_steps_there_is_nothing_to_check() -> None:
    check_save_steps(SimpleNamespace(save_strategy="no"))


@pytest.mark.parametrize(
    ("strategy", "epochs", "questions", "message"),
    [
        ("epoch", 1, 2, None),  # two generations of three micro-steps: three steps of two, a whole cycle
        ("epoch", 1, 1, "--save_strategy epoch: an epoch of 1 questions is 2 steps, .* cycle of 3 steps"),
        ("steps", 1, 1, None),
        ("steps", 2, 1, "--save_strategy steps: an epoch of 1 questions"),
        ("no", 2, 1, None),
    ],
)
def test_epochs_that_end_inside_a_cycle_are_refused(strategy: str, epochs: int, questions: int, message: str | None) -> None:
    training = SimpleNamespace(
        save_strategy=strategy,
        num_iterations=1,
        steps_per_generation=3,
        gradient_accumulation_steps=2,
        generation_batch_size=6,
        num_generations=6,
        max_steps=-1,
        num_train_epochs=epochs,
    )
    if message is None:
        check_epochs(training, questions)
        return
    with pytest.raises(OptionError, match=message):
        check_epochs(training, questions)


@pytest.mark.parametrize(
    ("config", "given"),
    [
        (GRPOConfig, {"chat_template_kwargs": {"enable_thinking": False}}),
        (GRPOConfig, {"model_init_kwargs": {"revision": "v1"}}),
        (GRPOConfig, {"trust_remote_code": True}),
        (GRPOConfig, {"eval_strategy": "epoch"}),
        (SFTConfig, {"chat_template_path": "x.jinja"}),
        (SFTConfig, {"max_length": 2048}),
        (SFTConfig, {"packing": True}),
        (SFTConfig, {"assistant_only_loss": True}),
        (SFTConfig, {"completion_only_loss": False}),
    ],
)
def test_options_that_would_be_ignored_are_refused(config: Any, given: dict[str, Any], tmp_path: Path) -> None:
    check_unused(config(str(tmp_path), use_cpu=True, bf16=False))
    with pytest.raises(OptionError, match=f"--{next(iter(given))} .* would be ignored: "):
        check_unused(config(str(tmp_path), use_cpu=True, bf16=False, **given))


def test_all_weights_are_not_trained_in_16_bits_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = GRPOConfig(str(tmp_path), use_cpu=True, bf16=False, learning_rate=1e-6)
    for dtype in ("bfloat16", "float16"):
        with pytest.raises(
            OptionError, match=f"trained in {dtype}, .*deepspeed_zero3_offload.yaml.*avst_zero_lora.*float32"
        ):
            check_full_weights(dtype, ModelConfig(), training)
    check_full_weights("float32", ModelConfig(), training)
    check_full_weights("bfloat16", ModelConfig(use_peft=True), training)
    training.deepspeed_plugin = object()
    check_full_weights("bfloat16", ModelConfig(), training)
    training.deepspeed_plugin = None
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    check_full_weights("bfloat16", ModelConfig(), training)


# --- running ----------------------------------------------------------------------------------------------------------


def raising(error: Exception) -> Any:
    def run(_: Sequence[str]) -> None:
        raise error

    return run


@pytest.mark.parametrize("error", [OptionError("too few"), WordVectorsError("too few")])
def test_errors_of_this_package_are_told_in_a_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("r-avst-grpo", raising(error), []) == 2
    assert capsys.readouterr().err == "r-avst-grpo: too few\n"


def test_a_missing_package_is_told_with_the_extra_that_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("r-avst-grpo", raising(ModuleNotFoundError("no", name="trl.trainer")), []) == 2
    assert "pip install 'r-avst[train]'" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyError("a mistake of ours"), ModuleNotFoundError("no", name="colorama")])
def test_other_errors_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        exit_code("r-avst-grpo", raising(error), [])
