"""Checkpoints: which can be trained, a thinker taken out of its Omni, an adapter merged into its base."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from peft import get_peft_model
from tiny_training import lora
from tiny_training import tiny_checkpoint
from tiny_training import tiny_model
from transformers import AutoConfig
from transformers import AutoProcessor
from transformers import Qwen2_5OmniConfig
from transformers import Qwen2_5OmniForConditionalGeneration
from transformers import Qwen2_5OmniThinkerForConditionalGeneration
from transformers.integrations import deepspeed

from r_avst.training import policy
from r_avst.training.policy import Checkpoint
from r_avst.training.policy import PolicyError
from r_avst.training.policy import find_checkpoint
from r_avst.training.policy import load_policy
from r_avst.training.policy import plain_checkpoint
from r_avst.training.policy import set_adapter_base

IDS = torch.tensor([[60, 61, 62, 63]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policy")


@pytest.fixture(scope="module")
def whole_omni(folder: Path) -> Path:
    """A whole Omni, its thinker that of the tiny checkpoint."""
    thinker = tiny_model(folder, "omni")
    whole = Qwen2_5OmniForConditionalGeneration(
        Qwen2_5OmniConfig(thinker_config=thinker.config.to_dict(), enable_audio_output=False)
    )
    whole.thinker.load_state_dict(thinker.state_dict())
    whole.save_pretrained(folder / "whole")
    AutoProcessor.from_pretrained(tiny_checkpoint(folder, "omni")).save_pretrained(folder / "whole")
    return folder / "whole"


def write_adapter(model: Any, target: Path) -> Any:
    """An adapter that changes what the model says; returns the model with it."""
    config = lora()
    config.init_lora_weights = False
    adapted = get_peft_model(model, config)
    adapted.save_pretrained(target)
    return adapted


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    found: torch.Tensor = model.eval()(input_ids=IDS).logits
    return found


@pytest.mark.parametrize("family", ["vl", "omni"])
def test_a_plain_checkpoint_is_loaded_from_where_it_is(folder: Path, tmp_path: Path, family: str) -> None:
    path = tiny_checkpoint(folder, family)
    assert find_checkpoint(str(path), "main").family == family
    model, processor = load_policy(str(path), "bfloat16", folder=tmp_path / "start", attn_implementation="eager")
    assert (model.dtype, model.config._attn_implementation) == (torch.bfloat16, "eager")
    assert model.config._name_or_path == str(path)  # TRL reads the reference model from there
    assert processor.tokenizer is not None
    assert not (tmp_path / "start").exists()


def test_the_thinker_of_a_whole_omni_is_taken_out_once(folder: Path, tmp_path: Path, whole_omni: Path) -> None:
    assert find_checkpoint(str(whole_omni), "main") == Checkpoint(str(whole_omni), "main", "qwen2_5_omni", None)
    model, _ = load_policy(str(whole_omni), "float32", folder=tmp_path)
    truth = tiny_model(folder, "omni").state_dict()
    assert isinstance(model, Qwen2_5OmniThinkerForConditionalGeneration)
    assert model.state_dict().keys() == truth.keys()
    assert all(torch.equal(value, truth[key]) for key, value in model.state_dict().items())
    assert model.config._name_or_path == str(tmp_path / "thinker")
    assert AutoConfig.from_pretrained(tmp_path / "thinker").model_type == "qwen2_5_omni_thinker"
    made = (tmp_path / "thinker" / "model.safetensors").stat().st_mtime_ns
    load_policy(str(whole_omni), "float32", folder=tmp_path)
    assert (tmp_path / "thinker" / "model.safetensors").stat().st_mtime_ns == made


def test_a_half_written_or_foreign_thinker_is_made_anew(tmp_path: Path, whole_omni: Path) -> None:
    (tmp_path / ".thinker.part").mkdir()
    (tmp_path / ".thinker.part" / "model.safetensors").write_text("half")
    (tmp_path / "thinker").mkdir()
    (tmp_path / "thinker" / "made_from.json").write_text(json.dumps({"name": "another"}))
    load_policy(str(whole_omni), "float32", folder=tmp_path)
    assert json.loads((tmp_path / "thinker" / "made_from.json").read_text())["name"] == str(whole_omni)
    assert not (tmp_path / ".thinker.part").exists()


def test_an_omni_that_lacks_weights_is_refused(tmp_path: Path, whole_omni: Path) -> None:
    from safetensors.torch import load_file
    from safetensors.torch import save_file

    weights = load_file(whole_omni / "model.safetensors")
    for path in whole_omni.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    dropped = next(name for name in weights if "layers.0.self_attn.q_proj.weight" in name and "audio" not in name)
    save_file({name: value for name, value in weights.items() if name != dropped}, tmp_path / "model.safetensors")
    with pytest.raises(PolicyError, match="lacks 1 weights of its thinker"):
        load_policy(str(tmp_path), "float32", folder=tmp_path / "start")
    assert not (tmp_path / "start" / "thinker").exists()


@pytest.mark.parametrize("family", ["vl", "omni"])
def test_an_adapter_is_merged_into_its_base(folder: Path, tmp_path: Path, family: str) -> None:
    before = logits(tiny_model(folder, family))
    adapted = write_adapter(tiny_model(folder, family), tmp_path / "adapter")
    model, _ = load_policy(str(tmp_path / "adapter"), "float32", folder=tmp_path / "start")
    assert not hasattr(model, "peft_config")
    assert (logits(model) - logits(adapted)).abs().max() < 1e-5
    assert (logits(model) - before).abs().max() > 1e-2
    assert model.config._name_or_path == str(tmp_path / "start" / "merged")
    again, _ = load_policy(str(tmp_path / "start" / "merged"), "float32", folder=tmp_path / "none")
    assert torch.equal(logits(again), logits(model))


def test_an_adapter_on_a_thinker_names_the_whole_omni_as_its_base(tmp_path: Path, whole_omni: Path) -> None:
    checkpoint = find_checkpoint(str(whole_omni), "main")
    model, _ = load_policy(str(whole_omni), "float32", folder=tmp_path / "start")
    config = LoraConfig(target_modules=r".*language_model\.layers\..*q_proj", init_lora_weights=False)
    adapted = get_peft_model(model, config)
    assert adapted.peft_config["default"].base_model_name_or_path == str(tmp_path / "start" / "thinker")
    set_adapter_base(adapted, checkpoint)
    adapted.save_pretrained(tmp_path / "adapter")
    found = find_checkpoint(str(tmp_path / "adapter"), "main")
    assert (found.family, found.base) == ("omni", checkpoint)
    merged, _ = load_policy(str(tmp_path / "adapter"), "float32", folder=tmp_path / "start_2")
    assert (logits(merged) - logits(adapted)).abs().max() < 1e-5


def test_one_process_makes_a_checkpoint_while_others_wait(
    tmp_path: Path, whole_omni: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    made = []
    write = policy._write_thinker

    def counted(checkpoint: Checkpoint, target: Path) -> None:
        made.append(target)
        write(checkpoint, target)

    monkeypatch.setattr(policy, "_write_thinker", counted)
    checkpoint = find_checkpoint(str(whole_omni), "main")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: plain_checkpoint(checkpoint, tmp_path), range(4)))
    assert len(made) == 1
    assert {own.name for own in found} == {str(tmp_path / "thinker")}


class Zero3:
    def is_zero3(self) -> bool:
        return True


def test_a_checkpoint_is_made_of_whole_weights_though_the_run_spreads_them(
    tmp_path: Path, whole_omni: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look(checkpoint: Checkpoint, target: Path) -> None:
        seen.append((deepspeed.is_deepspeed_zero3_enabled(), os.environ.get("FSDP_CPU_RAM_EFFICIENT_LOADING")))
        target.mkdir()

    monkeypatch.setattr(policy, "_write_thinker", look)
    monkeypatch.setenv("FSDP_CPU_RAM_EFFICIENT_LOADING", "true")
    zero3 = Zero3()
    deepspeed.set_hf_deepspeed_config(zero3)  # type: ignore[no-untyped-call]
    try:
        plain_checkpoint(find_checkpoint(str(whole_omni), "main"), tmp_path)
        assert seen == [(False, None)]
        assert deepspeed.is_deepspeed_zero3_enabled()  # type: ignore[no-untyped-call]
        assert os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] == "true"
    finally:
        deepspeed.unset_hf_deepspeed_config()  # type: ignore[no-untyped-call]


def test_what_is_not_supported_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}), encoding="utf-8")
    with pytest.raises(
        PolicyError, match="is a 'llama'; what can be trained is qwen2_5_vl, qwen2_5_omni_thinker, qwen2_5_omni"
    ):
        find_checkpoint(str(tmp_path), "main")


@pytest.mark.parametrize("content", [None, "{"])
def test_where_there_is_no_checkpoint_it_is_told(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(PolicyError, match="there is no checkpoint at"):
        find_checkpoint(str(tmp_path), "main")


def test_a_checkpoint_without_a_processor_is_named(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((tiny_checkpoint(folder, "vl") / name).read_bytes())
    with pytest.raises(PolicyError, match="comes without a processor"):
        load_policy(str(tmp_path), "float32", folder=tmp_path / "start")
