"""A group that shares its prompt is scored, learned from and generated from as if each completion stood alone.

The oracle is the plain path: the same trainer with ``shared_prompt="off"``, which gives each completion a row of its own.
"""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from accelerate.utils import TorchDynamoPlugin
from peft import LoraConfig
from peft import PromptTuningConfig
from peft import get_peft_model
from sounding_clips import write_sounding_clip
from tiny_training import grpo_config
from tiny_training import lora
from tiny_training import run_program
from tiny_training import tiny_encoder
from tiny_training import tiny_model
from tiny_training import tiny_prompts
from tiny_training import tiny_rows
from tiny_training import token_reward
from torch import Tensor

from r_avst.training import shared_prompt
from r_avst.training.media import Family
from r_avst.training.media import MediaError
from r_avst.training.media import Messages
from r_avst.training.options import packaged_recipes
from r_avst.training.shared_prompt import decide
from r_avst.training.shared_prompt import groups_of
from r_avst.training.shared_prompt import reason_against
from r_avst.training.shared_prompt import reason_against_prefill
from r_avst.training.shared_prompt import shuffled_by_group
from r_avst.training.video_grpo_trainer import VideoGRPOTrainer

FAMILIES: tuple[Family, ...] = ("vl", "omni")
EQUAL = 1e-5
"""Of the largest number in a tensor, in float32."""
RAGGED = ((0, 5), (1, 3), (0, 6), (0, 0), (1, 6), (0, 1), (2, 2))
"""A micro-batch: the prompt of each row and the tokens of its completion. One is empty, one prompt has one completion."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


def trainer(folder: Path, family: str, shared: str, trainer_class: Any = VideoGRPOTrainer, **options: Any) -> Any:
    """A trainer that shares prompts or does not; all else follows from the seed."""
    adapter = options.pop("adapter", None)
    torch.manual_seed(0)
    model = tiny_model(folder, family).to(options.pop("dtype", torch.float32))
    own = trainer_class(
        model=model,
        encoder=tiny_encoder(folder, family),
        shared_prompt=shared,
        reward_funcs=[token_reward],
        args=grpo_config(folder / "out", **options),
        train_dataset=tiny_rows(folder),
        peft_config=adapter,
    )
    for name, weight in own.model.named_parameters():
        if "lora_B" in name:  # zeros at first: an adapter that does nothing could be left out unseen
            torch.nn.init.normal_(weight, std=0.05)
    return own


# --- one micro-batch --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """A micro-batch as TRL hands it to the loss."""

    inputs: dict[str, Any]

    @property
    def ids(self) -> Tensor:
        return torch.cat([self.inputs["prompt_ids"], self.inputs["completion_ids"]], 1)

    @property
    def mask(self) -> Tensor:
        return torch.cat([self.inputs["prompt_mask"], self.inputs["completion_mask"]], 1)


def micro_batch(
    folder: Path, family: str, rows: Sequence[tuple[int, int]] = RAGGED, asked: Sequence[Messages] | None = None
) -> Batch:
    """Prompts on the left, ragged completions on the right, with what policies and reference said before."""
    encoder = tiny_encoder(folder, family)
    prompts = [encoder.encode(prompt) for prompt in asked or tiny_prompts(folder)]
    samples = [prompts[number] for number, _ in rows]
    random = torch.Generator().manual_seed(len(rows))
    completions = [torch.randint(30, 60, (length,), generator=random) for _, length in rows]
    left = [sample["input_ids"][0] for sample in samples]
    shape = len(rows), max(length for _, length in rows)
    inputs: dict[str, Any] = {
        "prompt_ids": padded(left, "left"),
        "prompt_mask": padded([torch.ones_like(ids) for ids in left], "left"),
        "completion_ids": padded(completions, "right"),
        "completion_mask": padded([torch.ones_like(ids) for ids in completions], "right"),
        "advantages": torch.linspace(-1, 1, len(rows)),
        "old_per_token_logps": torch.rand(shape, generator=random) - 5,
        "ref_per_token_logps": torch.rand(shape, generator=random) - 5,
        "num_items_in_batch": torch.tensor(sum(length for _, length in rows)),
        "media": samples,
    }
    return Batch(inputs)


def padded(rows: Sequence[Tensor], side: str) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_side=side)


@dataclass(frozen=True)
class Step:
    """What a micro-batch gives: scores of the tokens that count, the loss, every gradient."""

    log_probs: Tensor
    entropies: Tensor
    loss: Tensor
    gradients: dict[str, Tensor]

    def apart(self, other: "Step") -> float:
        """The largest distance of two tensors, as a share of the largest number in them."""
        assert self.gradients.keys() == other.gradients.keys()
        pairs = [(self.log_probs, other.log_probs), (self.entropies, other.entropies), (self.loss, other.loss)]
        pairs += [(grad, other.gradients[name]) for name, grad in self.gradients.items()]
        return max(relative(*pair) for pair in pairs)


def relative(one: Tensor, other: Tensor) -> float:
    assert one.shape == other.shape
    scale = max(float(one.abs().max()), float(other.abs().max()), 1e-6)
    return float((one.float() - other.float()).abs().max()) / scale


def step_of(own: Any, batch: Batch) -> Step:
    """One micro-batch forwards and backwards, by the trainer's own `training_step`."""
    seen: list[Any] = []
    score = own._get_per_token_logps_and_entropies

    def noting(*arguments: Any, **options: Any) -> Any:
        seen.append(score(*arguments, **options))
        return seen[-1]

    own._get_per_token_logps_and_entropies = noting
    own._prepare_inputs = lambda inputs: inputs
    own.current_gradient_accumulation_steps = 1
    own.model.train()
    own.model.zero_grad()
    loss = own.training_step(own.model, dict(batch.inputs), None)
    counts = batch.inputs["completion_mask"].bool()
    log_probs, entropies, _ = seen[0]
    assert not log_probs.detach()[~counts].any()
    gradients = {name: value.grad.clone() for name, value in own.model.named_parameters() if value.grad is not None}
    return Step(log_probs.detach()[counts], entropies.detach()[counts], loss.detach(), gradients)


def both(folder: Path, family: str, batch: Batch, **options: Any) -> tuple[Step, Step]:
    """The plain and the shared step."""
    return step_of(trainer(folder, family, "off", **options), batch), step_of(
        trainer(folder, family, "on", **options), batch
    )


CHECKPOINTING = {
    "kept": {"gradient_checkpointing": False},
    "checkpointed": {"gradient_checkpointing": True},
    "reentrant": {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": True}},
}
ADAPTERS = {
    "full": None,
    "lora": lora(),
    "causal-lm": LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"]),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
@pytest.mark.parametrize("checkpointing", CHECKPOINTING.values(), ids=CHECKPOINTING)
def test_scores_loss_and_every_gradient_are_the_plain_ones(
    folder: Path, family: str, adapter: Any, checkpointing: dict[str, Any]
) -> None:
    plain, shared = both(folder, family, micro_batch(folder, family), adapter=adapter, beta=0.1, **checkpointing)
    assert plain.gradients
    assert sum(bool(grad.any()) for grad in plain.gradients.values()) > len(plain.gradients) / 2
    assert plain.apart(shared) < EQUAL


OTHER_LOSSES: list[dict[str, Any]] = [
    {"loss_type": "dr_grpo", "temperature": 0.7},
    {"loss_type": "dapo", "temperature": 0.7},
    {"loss_type": "bnpo", "temperature": 0.7},
    {"importance_sampling_level": "sequence"},
    {"top_entropy_quantile": 0.4},
    {"cast_lm_head_to_fp32": True},
]


@pytest.mark.parametrize("options", OTHER_LOSSES, ids=lambda own: "-".join(map(str, own.values())))
def test_other_losses_are_the_plain_ones(folder: Path, options: dict[str, Any]) -> None:
    plain, shared = both(folder, "vl", micro_batch(folder, "vl"), beta=0.0, **options)
    assert plain.apart(shared) < EQUAL


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([(0, 4)] * 4, id="one group"),
        pytest.param([(0, 1)], id="one token"),
        pytest.param([(0, 4), (1, 4), (2, 4)], id="no two of a prompt"),
        pytest.param([(0, 0), (1, 3), (0, 0)], id="a group without a token"),
        pytest.param([(2, 5), (0, 5), (2, 3), (0, 2)], id="groups that alternate"),
    ],
)
def test_micro_batches_of_any_form(folder: Path, rows: list[tuple[int, int]]) -> None:
    plain, shared = both(folder, "vl", micro_batch(folder, "vl", rows))
    assert plain.apart(shared) < EQUAL


def test_a_batch_of_truncated_completions_that_are_masked_gives_gradients_of_zero(folder: Path) -> None:
    batch = micro_batch(folder, "omni", [(0, 3), (0, 3)])
    masked = Batch({**batch.inputs, "completion_mask": torch.zeros_like(batch.inputs["completion_mask"])})
    plain, shared = both(folder, "omni", masked)
    assert shared.gradients.keys() == plain.gradients.keys()
    assert not any(float(grad.abs().max()) for grad in shared.gradients.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_group_that_two_micro_batches_share_learns_as_one(folder: Path, family: str) -> None:
    rows = [(0, 4), (0, 5), (0, 2), (1, 3)]
    whole, own = micro_batch(folder, family, rows), trainer(folder, family, "on", loss_type="dr_grpo")
    halves = [
        Batch({name: value[part] if name != "num_items_in_batch" else value for name, value in whole.inputs.items()})
        for part in (slice(0, 2), slice(2, 4))
    ]
    plain = [step_of(trainer(folder, family, "off", loss_type="dr_grpo"), half) for half in halves]
    assert all(step_of(own, half).apart(alone) < EQUAL for half, alone in zip(halves, plain, strict=True))
    at_once = step_of(own, whole)
    summed = {name: sum(one.gradients[name] for one in plain) / 2 for name in at_once.gradients}
    assert max(relative(at_once.gradients[name], torch.as_tensor(grad)) for name, grad in summed.items()) < EQUAL


# --- faults that must be seen -----------------------------------------------------------------------------------------


def they_see_each_other(shared: int, lengths: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    count = sum(lengths)
    return torch.full((count, shared + count), -torch.inf, dtype=dtype, device=device).triu(shared + 1)[None, None]


def positions_run_on(prompt: Tensor, lengths: Sequence[int]) -> Tensor:
    return torch.cat([prompt[..., :-1], prompt[..., -1:] + torch.arange(sum(lengths))], -1)


@pytest.mark.parametrize(("name", "fault"), [("completion_mask", they_see_each_other), ("row_positions", positions_run_on)])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_comparison_sees_a_fault(
    folder: Path, family: str, name: str, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = micro_batch(folder, family, [(0, 5), (0, 5), (0, 5)])
    plain = step_of(trainer(folder, family, "off"), batch)
    assert plain.apart(step_of(trainer(folder, family, "on"), batch)) < EQUAL
    monkeypatch.setattr(shared_prompt, name, fault)
    assert plain.apart(step_of(trainer(folder, family, "on"), batch)) > 100 * EQUAL


def encoded_by(own: Any) -> dict[str, int]:
    """Counts what the encoders are given from now on: patches of pictures, frames of sound."""
    base, counts = own._base(own.model).model, {}

    def counted(name: str, module: Any, size: Any) -> None:
        counts[name] = 0
        module.register_forward_pre_hook(
            lambda _, given, named: counts.__setitem__(name, counts[name] + size(given, named)), with_kwargs=True
        )

    counted("pictures", base.visual, lambda given, named: len(given[0]))
    if hasattr(base, "audio_tower"):
        counted("sound", base.audio_tower, lambda given, named: int(named["feature_lens"].sum()))
    return counts


def parts_of(samples: Sequence[Any]) -> dict[str, int]:
    """What an encoder is given if it is given each of these prompts once."""
    counts = {"pictures": sum(len(sample["pixel_values_videos"]) for sample in samples)}
    sound = [int(sample["feature_attention_mask"].sum()) for sample in samples if "feature_attention_mask" in sample]
    return counts | ({"sound": sum(sound)} if sound else {})


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_is_encoded_once(folder: Path, family: str) -> None:
    batch = micro_batch(folder, family)
    samples, counts = batch.inputs["media"], {}
    for shared in ("off", "on"):
        own = trainer(folder, family, shared, gradient_checkpointing=False)
        counts[shared] = encoded_by(own)
        step_of(own, batch)
    assert counts["off"] == parts_of(samples)
    assert counts["on"] == parts_of([group.sample for group in groups_of(samples)])


# --- 16 bits ----------------------------------------------------------------------------------------------------------

OTHER_RUNS: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((0, 1, 2, 3),),
    ((3, 2, 1, 0),),
    ((0, 2, 1, 3),),
    ((1, 0, 3, 2),),
    ((0, 2), (1, 3)),
    ((0, 1), (2, 3)),
    ((0,), (1,), (2,), (3,)),
)
"""How the plain path may meet the four rows below: TRL shuffles them anew in each run, and accumulates micro-batches."""


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("weights", [torch.bfloat16, torch.float32], ids=["weights", "autocast"])
def test_in_16_bits_it_is_as_near_as_the_plain_path_is_to_itself(folder: Path, family: str, weights: torch.dtype) -> None:
    """How far the plain path is from itself in other runs, with this kernel or another, is measured here.

    Gradients are sums over all rows, rounded after each: their order is most of that distance. The shared ones are also no
    farther from those in 32 bits than the plain ones are.
    """
    batch = micro_batch(folder, family, [(0, 6), (1, 5), (0, 6), (1, 4)])
    options = {"dtype": weights, "bf16": weights == torch.float32}
    plain, shared = both(folder, family, batch, **options)
    again = trainer(folder, family, "off", **options)
    others = []
    for kernel in ("sdpa", "eager"):
        again.model.set_attn_implementation({"text_config": kernel})
        others += [run_of(again, batch, parts) for parts in OTHER_RUNS]
    for kind, apart in (("log-probabilities", log_probs_apart), ("gradients", gradients_apart)):
        own, most = apart(plain, shared), max(apart(plain, other) for other in others)
        print(f"{kind}: the shared ones are {own:.4f} from the plain ones, those up to {most:.4f} from themselves")
        assert own <= most
    exact = step_of(trainer(folder, family, "off"), batch)
    assert gradients_apart(exact, shared) <= 1.1 * gradients_apart(exact, plain)


def run_of(own: Any, batch: Batch, parts: Sequence[Sequence[int]]) -> Step:
    """The rows of a batch in micro-batches whose gradients add up; log-probabilities come in the order of the batch."""
    steps = [step_of(own, some_rows(batch, rows)) for rows in parts]
    lengths = [batch.inputs["completion_mask"][list(rows)].sum(1).tolist() for rows in parts]
    by_row = {
        row: own
        for step, rows, each in zip(steps, parts, lengths, strict=True)
        for row, own in zip(rows, zip(step.log_probs.split(each), step.entropies.split(each), strict=True), strict=True)
    }
    log_probs, entropies = (torch.cat([by_row[row][kind] for row in sorted(by_row)]) for kind in (0, 1))
    gradients = {name: torch.stack([step.gradients[name] for step in steps]).sum(0) for name in steps[0].gradients}
    return Step(log_probs, entropies, torch.stack([step.loss for step in steps]).sum(), gradients)


def some_rows(batch: Batch, rows: Sequence[int]) -> Batch:
    """Rows by themselves, without the padding that others want."""
    own = {
        name: value
        if name == "num_items_in_batch"
        else [value[row] for row in rows]
        if name == "media"
        else value[list(rows)]
        for name, value in batch.inputs.items()
    }
    prompt, completion = (own[name].bool().any(0) for name in ("prompt_mask", "completion_mask"))
    own |= {name: own[name][:, prompt] for name in ("prompt_ids", "prompt_mask")}
    own |= {name: own[name][:, completion] for name in own if name.startswith("completion") or "logps" in name}
    return Batch(own)


def log_probs_apart(one: Step, other: Step) -> float:
    return float((one.log_probs - other.log_probs).abs().max())


def gradients_apart(one: Step, other: Step) -> float:
    return max(relative(grad, other.gradients[name]) for name, grad in one.gradients.items())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_words_about_two_clips_are_two_prompts(folder: Path, family: str) -> None:
    paths = [
        write_sounding_clip(folder / f"coloured{number}.mp4", seconds=4.0, colour=colour, tone=500.0 * (number + 1))
        for number, colour in enumerate(((255, 0, 0), (0, 0, 255)))
    ]
    asked = [
        [{"role": "user", "content": [{"type": "video", "video": str(path)}, {"type": "text", "text": "When?"}]}]
        for path in paths
    ]
    batch = micro_batch(folder, family, ((0, 5), (1, 5), (0, 3), (1, 4)), asked)
    samples = batch.inputs["media"]
    assert torch.equal(samples[0]["input_ids"], samples[1]["input_ids"])
    assert [group.rows for group in groups_of(samples)] == [(0, 2), (1, 3)]
    plain, shared = both(folder, family, batch)
    assert plain.apart(shared) < EQUAL


# --- whole trainings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("parts", [1, 2])
def test_a_training_is_the_plain_one(folder: Path, family: str, parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Generation, old policy, reference, two iterations, each of ``parts`` micro-batches; both shuffle alike."""
    monkeypatch.setattr("trl.trainer.grpo_trainer.shuffle_sequence_dict", lambda own: shuffled_by_group(own, own["media"]))
    options = {"per_device_train_batch_size": 4 // parts, "gradient_accumulation_steps": parts, "num_generations": 2}
    options |= {"optim": "sgd", "learning_rate": 0.1}
    trained = {shared: trainer(folder, family, shared, num_iterations=2, beta=0.1, **options) for shared in ("off", "on")}
    start = {name: value.clone() for name, value in trained["off"].model.state_dict().items()}
    for own in trained.values():
        torch.manual_seed(0)
        own.train()
    assert [len(groups_of(part["media"])) for part in trained["on"]._buffered_inputs] == [2 // parts] * parts
    logs = [[log for log in own.state.log_history if "loss" in log] for own in trained.values()]
    for name in ("loss", "reward", "kl", "entropy", "completions/mean_length", "grad_norm"):
        plain_log, shared_log = ([log[name] for log in own if name in log] for own in logs)
        assert plain_log == pytest.approx(shared_log, rel=1e-4, abs=1e-6)
        assert plain_log
    plain, shared = (own.model.state_dict() for own in trained.values())
    moved = {name: float((plain[name] - start[name]).abs().max()) for name in plain}
    assert max(moved.values()) > 5e-3
    assert all(float((plain[name] - shared[name]).abs().max()) < 1e-3 * max(moved.values()) for name in plain)


DDP = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--rdzv_backend", "c10d", "--rdzv_endpoint", "127.0.0.1:0")


@pytest.mark.slow
@pytest.mark.parametrize(("family", "kind"), [("vl", ()), ("omni", ("--lora",))])
def test_two_processes_that_share_have_the_gradient_of_one_that_does_not(
    folder: Path, tmp_path: Path, family: str, kind: tuple[str, ...]
) -> None:
    """Two prompts a process."""
    compare_processes(folder, tmp_path, family, kind, (sys.executable, *DDP))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_two_processes_with_half_the_weights_each_have_the_same_gradient(folder: Path, tmp_path: Path, family: str) -> None:
    """FSDP 2, as in the file for it, on the CPU."""
    path = packaged_recipes()["avst_zero"].parent / "accelerate" / "fsdp2.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8")) | {
        "num_processes": 2,
        "use_cpu": True,
        "mixed_precision": "no",
    }
    (tmp_path / "fsdp2.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    accelerate = (
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        str(tmp_path / "fsdp2.yaml"),
        "--main_process_port",
        "0",
    )
    compare_processes(folder, tmp_path, family, (), (sys.executable, *accelerate))


def compare_processes(folder: Path, out: Path, family: str, kind: tuple[str, ...], launcher: tuple[str, ...]) -> None:
    """Two that share, started by ``launcher``, against one that does not."""
    tiny_rows(folder), tiny_encoder(folder, family)
    two = ("--gradients", str(out / "two.pt"), "--batch", "4", "--shared-prompt", "on")
    one = ("--gradients", str(out / "one.pt"), "--batch", "8", "--shared-prompt", "off")
    assert run_program(folder, family, out / "two", *kind, *two, launcher=launcher) == 0
    assert run_program(folder, family, out / "one", *kind, *one) == 0
    plain, shared = torch.load(out / "one.pt"), torch.load(out / "two.pt")
    assert (plain.pop("processes"), shared.pop("processes")) == (1, 2)
    assert plain.keys() == shared.keys()
    assert max(float(grad.abs().max()) for grad in plain.values()) > 1e-3
    assert max(relative(plain[name], shared[name]) for name in plain) < EQUAL


# --- generation -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Generated:
    """Completions; what the encoders were given, and of each forward pass the rows and the logits of the head."""

    ids: Tensor
    encoded: dict[str, int]
    rows: list[int]
    logits: list[tuple[int, ...]]


def generated(own: Any, prompts: Sequence[int]) -> Generated:
    rows: list[int] = []
    logits: list[tuple[int, ...]] = []
    base = own._base(own.model)
    language = base.model.language_model.register_forward_pre_hook(
        lambda module, given, named: rows.append(len(named["inputs_embeds"])), with_kwargs=True
    )
    head = base.lm_head.register_forward_hook(lambda module, given, output: logits.append(tuple(output.shape[:2])))
    encoded = encoded_by(own)
    torch.manual_seed(1)
    found = own._generate_and_score_completions([own.train_dataset[number] for number in prompts])
    language.remove()
    head.remove()
    return Generated(found["completion_ids"], encoded, rows, logits)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("adapter", [None, lora()], ids=["full", "lora"])
@pytest.mark.parametrize("sampled", [False, True], ids=["greedy", "sampled"])
def test_the_same_is_generated_from_one_prefill_of_each_prompt(
    folder: Path, family: str, adapter: Any, sampled: bool
) -> None:
    options = {"adapter": adapter, "beta": 0.0, "num_iterations": 1, "max_completion_length": 12}
    options |= {"generation_kwargs": {"do_sample": sampled}, "per_device_train_batch_size": 6, "max_steps": 1}
    prompts = [0, 0, 1, 1, 2, 2]
    plain = generated(trainer(folder, family, "off", **options), prompts)
    shared = generated(trainer(folder, family, "on", **options), prompts)
    assert torch.equal(plain.ids, shared.ids)
    assert (plain.rows[0], shared.rows[0]) == (6, 3)
    assert set(shared.rows[1:]) == {6}
    assert shared.logits[0] == (3, 1)
    encoder = tiny_encoder(folder, family)
    samples = [encoder.encode(tiny_prompts(folder)[number]) for number in prompts]
    assert (plain.encoded, shared.encoded) == (parts_of(samples), parts_of(samples[::2]))
    assert len(plain.ids.unique(dim=0)) > 1 + sampled * 2


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_is_generated_where_nothing_is_padded(folder: Path, family: str) -> None:
    options = {"beta": 0.0, "num_iterations": 1, "per_device_train_batch_size": 4, "max_steps": 1}
    plain = generated(trainer(folder, family, "off", **options), [1] * 4)
    shared = generated(trainer(folder, family, "on", **options), [1] * 4)
    assert torch.equal(plain.ids, shared.ids)
    assert shared.rows[0] == 1


def test_rows_of_a_prompt_that_went_on_differently_are_refused(folder: Path) -> None:
    own = trainer(folder, "vl", "on")
    ids, images, fields = own._tokenize_prompts([own.train_dataset["prompt"][0]] * 2)
    other = [ids[0], [*ids[1][:-1], ids[1][-1] + 1]]
    with pytest.raises(MediaError, match="from different tokens: set shared_prompt to off"):
        own._generate_single_turn(other, images, fields, num_generations=2)


def test_nothing_is_left_behind(folder: Path) -> None:
    own = trainer(folder, "vl", "on", max_steps=1)
    own.train()
    for model in (own.model, own.ref_model):
        assert own._base(model).config.text_config._attn_implementation == "sdpa"
        assert "_prefill" not in vars(own._base(model))


# --- groups -----------------------------------------------------------------------------------------------------------


def test_completions_of_a_prompt_stay_together_when_they_are_shuffled() -> None:
    prompts = [{"input_ids": torch.tensor([[number]])} for number in range(4)]
    samples = [prompts[number] for number in (0, 0, 1, 1, 2, 2, 3, 3)]
    batch = {"row": torch.arange(8), "media": samples, "count": torch.tensor(3), "none": None}
    orders = set()
    for seed in range(20):
        torch.manual_seed(seed)
        found = shuffled_by_group(batch, samples)
        after = torch.rand(1)
        torch.manual_seed(seed)
        torch.randperm(8)  # what TRL draws
        assert torch.equal(after, torch.rand(1))
        order = found["row"].tolist()
        assert sorted(order) == list(range(8))
        assert all(order[place] + 1 == order[place + 1] for place in range(0, 8, 2))
        assert [samples[row] for row in order] == found["media"]
        assert (found["count"], found["none"]) == (3, None)
        orders.add(tuple(order))
    assert len(orders) > 10


# --- where it does not serve ------------------------------------------------------------------------------------------


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == shared_prompt.__name__]


def test_what_is_no_choice_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="shared_prompt is False; it must be one of auto, on, off"):
        trainer(folder, "vl", False)  # type: ignore[arg-type]


def test_what_it_cannot_serve_goes_the_plain_way_with_one_line(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model(folder, "vl")
    model.set_attn_implementation("eager")
    with caplog.at_level(logging.WARNING):
        own = VideoGRPOTrainer(
            model=model,
            encoder=tiny_encoder(folder, "vl"),
            reward_funcs=[token_reward],
            args=grpo_config(folder / "out", max_steps=1),
            train_dataset=tiny_rows(folder),
        )
        own.train()
    line = (
        "shared_prompt: off, because attn_implementation is 'eager', and rows of groups are attended to by 'sdpa': every "
        "completion encodes its prompt again, and holds it in memory again"
    )
    assert told(caplog) == [line]
    assert (own.sharing.scorer, own.sharing.prefill) == (None, False)
    assert own.model.config.text_config._attn_implementation == "eager"


def test_where_it_serves_or_is_not_wanted_nothing_is_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = {shared: trainer(folder, "vl", shared).sharing.told for shared in ("auto", "on", "off")}
    assert found == {"auto": "on", "on": "on", "off": "off, as asked"}
    assert told(caplog) == []


def test_reasons_of_models(folder: Path) -> None:
    model = tiny_model(folder, "vl")
    assert reason_against(model) is None
    tuned = get_peft_model(tiny_model(folder, "vl"), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))
    assert "tokens of its own before each prompt" in str(reason_against(tuned))
    invoked = LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], alora_invocation_tokens=[3, 4])
    assert "looks for its invocation once" in str(reason_against(get_peft_model(tiny_model(folder, "vl"), invoked)))
    model.config.text_config.layer_types[0] = "sliding_attention"
    assert "sliding windows" in str(reason_against(model))
    for name in ("internvl", "qwen3_omni_moe_thinker"):
        model.config.model_type = name
        assert f"positions of a {name!r} are not known" in str(reason_against(model))


COMPILED = SimpleNamespace(state=SimpleNamespace(dynamo_plugin=TorchDynamoPlugin(backend="eager")), parallelism_config=None)
SPREAD = SimpleNamespace(
    state=SimpleNamespace(dynamo_plugin=TorchDynamoPlugin(backend="no")),
    parallelism_config=SimpleNamespace(cp_enabled=True, sp_enabled=False),
)


@pytest.mark.parametrize(
    ("accelerator", "changes", "said"),
    [
        (None, {"torch_compile": True}, "torch_compile is on"),
        (COMPILED, {}, "torch_compile is on"),
        (SPREAD, {}, "spreads each row over several"),
    ],
)
def test_reasons_of_settings_and_of_the_launcher(folder: Path, accelerator: Any, changes: dict[str, Any], said: str) -> None:
    own = trainer(folder, "vl", "on")
    assert own.sharing.told == "on"
    for name, value in changes.items():
        setattr(own.args, name, value)
    decision = decide("on", own.model, accelerator or own.accelerator, own.args, own.generation_config, {})
    assert decision.told.startswith("off, because ")
    assert said in decision.told
    assert decision.scorer is None


def test_groups_that_micro_batches_split_are_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    batches = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4}
    with caplog.at_level(logging.WARNING):
        own = trainer(folder, "vl", "on", **batches, generation_kwargs={"num_beams": 2})
    assert told(caplog) == [
        "shared_prompt: on, but not in generation, because generation is asked for num_beams 2, and only within "
        f"micro-batches of 1, which split groups of {own.num_generations}: make per_device_train_batch_size a multiple"
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"generation_kwargs": {"num_beams": 2}}, "generation is asked for num_beams 2"),
        ({"cache_implementation": "static"}, "generation is asked for cache_implementation 'static'"),
    ],
)
def test_what_generates_otherwise_has_its_own_prefill(
    folder: Path, changes: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        own = trainer(folder, "vl", "on", max_steps=1, **changes)
    assert told(caplog) == [f"shared_prompt: on, but not in generation, because {said}"]
    assert own.sharing.scorer is not None
    assert not own.sharing.prefill
    assert len(own._tokenize_prompts(own.train_dataset["prompt"])[2]["pixel_values_videos"])


def test_vllm_has_its_own_prefill() -> None:
    assert reason_against_prefill(SimpleNamespace(use_vllm=True), None) == "vLLM generates"
