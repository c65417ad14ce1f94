"""The loss sees what generation saw: log-probabilities against plain forwards, swapped clips, resuming, two processes."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import CLIPS
from tiny_training import grpo_config
from tiny_training import lora
from tiny_training import plain_logps
from tiny_training import run_program
from tiny_training import tiny_encoder
from tiny_training import tiny_model
from tiny_training import tiny_rows
from tiny_training import token_reward

from r_avst.training.video_grpo_trainer import VideoGRPOTrainer
from r_avst.training.vllm_video import VLLMMissingError

FAMILIES = ("vl", "omni")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("grpo")


class Comparing(VideoGRPOTrainer):
    """Compares each row's log-probabilities with a forward of that sample by itself, at the weights of that moment."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.apart: list[float] = []
        self.roles: list[str] = []
        super().__init__(*arguments, **options)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        *arguments: Any,
        **options: Any,
    ) -> Any:
        found = super()._get_per_token_logps_and_entropies(
            model, input_ids, attention_mask, logits_to_keep, *arguments, **options
        )
        own = self.accelerator.unwrap_model(model)
        self.roles.append("reference" if own is self.ref_model else "training" if torch.is_grad_enabled() else "old")
        for row, sample in enumerate(self._rows):
            mask = attention_mask[row].bool()
            plain = plain_logps(own, self.encoder, sample, input_ids[row][mask], int(mask[-logits_to_keep:].sum()))
            kept = found[0][row].detach()[mask[-logits_to_keep:]]
            self.apart.append(float((kept - plain).abs().max()))
        return found


def trainer(folder: Path, family: str, output: Path, adapter: bool, trainer_class: Any = Comparing, **options: Any) -> Any:
    return trainer_class(
        model=tiny_model(folder, family),
        encoder=tiny_encoder(folder, family),
        reward_funcs=[token_reward],
        args=grpo_config(output, **options),
        train_dataset=tiny_rows(folder),
        peft_config=lora() if adapter else None,
    )


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_forward_equals_one_of_the_sample_by_itself(folder: Path, tmp_path: Path, family: str, adapter: bool) -> None:
    own = trainer(folder, family, tmp_path, adapter)
    own.train()
    assert {"training", "old"} | (set() if adapter else {"reference"}) == set(own.roles)
    assert len(own.apart) >= 4 * 2 * 2
    assert max(own.apart) < 1e-4
    lengths = {own.encoder.encode(prompt)["input_ids"].size(1) for prompt in own.train_dataset["prompt"]}
    assert len(lengths) > 1


@pytest.fixture(scope="module", params=FAMILIES)
def scored(request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A trainer with two samples whose clips are as long and as large as each other, and how it scores their completions."""
    own = trainer(folder, request.param, tmp_path_factory.mktemp("scored"), False, VideoGRPOTrainer)
    prompts = own.train_dataset["prompt"]
    question = prompts[1][0]["content"][1]
    videos = [prompts[1][0]["content"][0], {**prompts[1][0]["content"][0], "video": other_clip(folder)}]
    samples = [own.encoder.encode([{"role": "user", "content": [video, question]}]) for video in videos]
    completion = torch.tensor([[41, 52, 63, 74]])
    ids = torch.cat([torch.cat([sample["input_ids"], completion], 1) for sample in samples])

    def logps(rows: list[Any]) -> torch.Tensor:
        own._rows = rows
        with torch.no_grad():
            values, _, _ = own._get_per_token_logps_and_entropies(own.model, ids, torch.ones_like(ids), 4)
        return torch.as_tensor(values)

    return request.param, samples, logps


def other_clip(folder: Path) -> str:
    """As long and as large as the second clip, with another square and another tone."""
    from sounding_clips import write_sounding_clip

    path = folder / "other.mp4"
    return str(write_sounding_clip(path, **{**CLIPS[1], "colour": (0, 0, 255), "tone": 2500.0, "seen": (0.0, 1.5)}))


def test_another_clip_changes_the_log_probabilities(scored: Any) -> None:
    _, samples, logps = scored
    own = logps(samples)
    assert float((own - logps(samples)).abs().max()) == 0.0
    assert float((own - logps(samples[::-1])).abs().max(dim=1).values.min()) > 1e-3


def test_another_sound_alone_changes_them(scored: Any) -> None:
    family, samples, logps = scored
    if family != "omni":
        assert "input_features" not in samples[0]
        return
    sounds = ("input_features", "feature_attention_mask")
    swapped = [{**own, **{name: other[name] for name in sounds}} for own, other in zip(samples, samples[::-1], strict=True)]
    assert float((logps(samples) - logps(swapped)).abs().max(dim=1).values.min()) > 1e-4


def test_a_silent_clip_is_given_silence(folder: Path) -> None:
    encoder = tiny_encoder(folder, "omni")
    silent = encoder.encode(tiny_rows(folder)["prompt"][2])
    assert CLIPS[2]["tone"] is None
    assert int((silent["input_ids"] == encoder.processor.audio_token_id).sum()) > 0


def test_each_distinct_clip_is_processed_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = trainer(folder, "vl", tmp_path, False, VideoGRPOTrainer, max_steps=1)
    calls: list[str] = []
    encode = own.encoder.encode
    monkeypatch.setattr(own.encoder, "encode", lambda prompt: (calls.append(str(prompt)), encode(prompt))[1])
    own.train()
    assert len(calls) == len(set(calls)) == 2  # two prompts in the first batch of four completions


def test_placeholders_are_never_sampled(folder: Path, tmp_path: Path) -> None:
    own = trainer(folder, "omni", tmp_path, False, VideoGRPOTrainer)
    vocabulary = own.encoder.processor.tokenizer
    suppressed = set(own.generation_config.suppress_tokens)
    names = ("<|VIDEO|>", "<|AUDIO|>", "<|IMAGE|>", "<|audio_bos|>", "<|vision_bos|>")
    assert {vocabulary.convert_tokens_to_ids(name) for name in names} <= suppressed


def test_the_observer_sees_prompts_completions_and_columns(folder: Path, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    own = VideoGRPOTrainer(
        model=tiny_model(folder, "vl"),
        encoder=tiny_encoder(folder, "vl"),
        observer=lambda **columns: seen.append(columns),
        reward_funcs=[token_reward],
        args=grpo_config(tmp_path, max_steps=1),
        train_dataset=tiny_rows(folder),
    )
    own.train()
    assert len(seen) == 1
    assert sorted(map(len, seen[0].values())) == [4] * len(seen[0])
    assert {"prompts", "completions", "number"} <= set(seen[0])


def test_vllm_is_asked_for_where_it_is_not(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(VLLMMissingError, match="leave use_vllm out"):
        trainer(folder, "vl", tmp_path, False, VideoGRPOTrainer, use_vllm=True, vllm_mode="colocate")
    with pytest.raises(ValueError, match="takes no videos"):
        trainer(folder, "vl", tmp_path, False, VideoGRPOTrainer, use_vllm=True, vllm_mode="server")


# --- resuming ---------------------------------------------------------------------------------------------------------


def weights(output: Path) -> dict[str, torch.Tensor]:
    names = [name for name in ("model.safetensors", "adapter_model.safetensors") if (output / "final" / name).exists()]
    return load_file(output / "final" / names[0])


@pytest.mark.slow  # `test_grpo.py` and `test_sft.py` go on from a checkpoint in the fast suite
@pytest.mark.parametrize(("family", "adapter"), [("vl", False), ("omni", True), ("vl", True), ("omni", False)])
def test_a_killed_run_goes_on_to_the_same_weights(folder: Path, tmp_path: Path, family: str, adapter: bool) -> None:
    kind = ["--lora"] if adapter else []
    tiny_rows(folder), tiny_encoder(folder, family)
    assert run_program(folder, family, tmp_path / "whole", *kind) == 0
    assert run_program(folder, family, tmp_path / "killed", *kind, "--die-at", "3") == -9
    assert not (tmp_path / "killed" / "final").exists()
    assert run_program(folder, family, tmp_path / "killed", *kind, "--resume") == 0
    whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    start = load_file(folder / f"tiny-{family}" / "model.safetensors")
    assert adapter or any(not torch.equal(whole[name], start[name]) for name in whole)  # it did train


# --- two processes ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("family", ["vl", "omni"])
def test_two_processes_have_the_gradient_of_one_with_twice_the_batch(folder: Path, tmp_path: Path, family: str) -> None:
    tiny_rows(folder), tiny_encoder(folder, family)
    two = (
        *(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"),
        *("--rdzv_backend", "c10d", "--rdzv_endpoint", "127.0.0.1:0"),
    )
    assert run_program(folder, family, tmp_path / "two", "--gradients", str(tmp_path / "two.pt"), launcher=two) == 0
    assert run_program(folder, family, tmp_path / "one", "--gradients", str(tmp_path / "one.pt"), "--batch", "4") == 0
    one, both = torch.load(tmp_path / "one.pt"), torch.load(tmp_path / "two.pt")
    assert (one.pop("processes"), both.pop("processes")) == (1, 2)
    assert one.keys() == both.keys()
    assert max(float(grad.abs().max()) for grad in one.values()) > 1e-3
    assert max(float((one[name] - both[name]).abs().max()) for name in one) < 1e-6
