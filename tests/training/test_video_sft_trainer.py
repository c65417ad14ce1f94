"""The loss of SFT is that of the answers alone, and it sees the clips."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import lora
from tiny_training import plain_logps
from tiny_training import tiny_encoder
from tiny_training import tiny_model
from tiny_training import tiny_rows
from trl import SFTConfig

from r_avst.training.video_sft_trainer import IGNORED
from r_avst.training.video_sft_trainer import AnswerCollator
from r_avst.training.video_sft_trainer import VideoSFTTrainer

ANSWERS = ("<answer>red</answer>", "<answer>\n<when>[0.0, 4.0]</when>\n</answer>", "yes", "0.0: [1.0, 2.0, 3.0, 4.0]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sft")


def config(output: Path, **options: Any) -> SFTConfig:
    given: dict[str, Any] = {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "gradient_checkpointing": True,
        "max_steps": 2,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
        "seed": 0,
    }
    return SFTConfig(str(output), **{**given, **options})


def trainer(folder: Path, family: str, output: Path, adapter: bool = False, **options: Any) -> VideoSFTTrainer:
    rows = tiny_rows(folder).add_column("completion", list(ANSWERS))
    return VideoSFTTrainer(
        model=tiny_model(folder, family),
        encoder=tiny_encoder(folder, family),
        args=config(output, **options),
        train_dataset=rows,
        peft_config=lora() if adapter else None,
    )


def plain_loss(own: VideoSFTTrainer, rows: list[dict[str, Any]]) -> float:
    """The mean of minus the log-probabilities of all answers' tokens, each sample by itself, by the model's own logits."""
    tokenizer = own.processing_class.tokenizer
    encoder = own.data_collator.encoder
    values = []
    for row in rows:
        answer = [*tokenizer(row["completion"])["input_ids"], tokenizer.eos_token_id]
        sample = encoder.encode(row["prompt"])
        ids = torch.cat([sample["input_ids"][0], torch.tensor(answer)])
        model = own.accelerator.unwrap_model(own.model)
        values.append(plain_logps(model, encoder, sample, ids, len(answer)))
    return float(-torch.cat(values).mean())


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("family", ["vl", "omni"])
def test_the_loss_equals_that_of_single_samples(folder: Path, tmp_path: Path, family: str, adapter: bool) -> None:
    own = trainer(folder, family, tmp_path, adapter, max_steps=1, gradient_accumulation_steps=2)
    expected = plain_loss(own, list(own.train_dataset))
    own.train()
    assert own.state.log_history[0]["loss"] == pytest.approx(expected, abs=1e-4)


def test_another_clip_changes_the_loss(folder: Path, tmp_path: Path) -> None:
    own = trainer(folder, "vl", tmp_path)
    rows = [dict(row) for row in own.train_dataset]
    swapped = [{**row, "prompt": other["prompt"]} for row, other in zip(rows, rows[::-1], strict=True)]
    assert abs(plain_loss(own, rows) - plain_loss(own, swapped)) > 1e-4


def test_prompts_and_padding_have_no_labels(folder: Path) -> None:
    encoder = tiny_encoder(folder, "omni")
    rows = [dict(row) for row in tiny_rows(folder).add_column("completion", list(ANSWERS))]
    batch = AnswerCollator(encoder)(rows)
    for row, labels in zip(rows, batch["labels"], strict=True):
        text = encoder.processor.tokenizer.decode(labels[labels != IGNORED], skip_special_tokens=True)
        assert text == row["completion"]
    assert batch["use_audio_in_video"] is True
    assert batch["input_ids"].shape == batch["attention_mask"].shape == batch["labels"].shape
