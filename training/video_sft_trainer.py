"""TRL's SFT for models that see and hear: the same prompts and media as GRPO's, the loss on the answer alone."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from trl import SFTTrainer

from .generation import model_inputs
from .media import MediaEncoder
from .media import collate
from .video_trainer import RunFiles
from .video_trainer import VideoTrainerMixin

IGNORED = -100  # the label of a token that is no part of the loss


@dataclass(frozen=True, slots=True)
class AnswerCollator:
    """Rows with ``prompt`` (messages) and ``completion`` (text) become a batch with labels.

    Prompts are padded on their left and answers on their right, so every answer begins in the same column.
    """

    encoder: MediaEncoder

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Token ids (rows, length) with mask and labels of that shape, and the media of the prompts."""
        samples = [self.encoder.encode(row["prompt"]) for row in rows]
        prompts = model_inputs(self.encoder, samples, torch.device("cpu"))
        answers = [self._answer_ids(row["completion"]) for row in rows]
        width = max(map(len, answers))
        ids = _right_padded(answers, width, self.encoder.processor.tokenizer.pad_token_id)
        labels = _right_padded(answers, width, IGNORED)
        media = collate(samples, prompts["input_ids"].size(1), width, torch.device("cpu"))
        return {
            "input_ids": torch.cat([prompts["input_ids"], ids], dim=1),
            "attention_mask": torch.cat([prompts["attention_mask"], (labels != IGNORED).long()], dim=1),
            "labels": torch.cat([torch.full_like(prompts["input_ids"], IGNORED), labels], dim=1),
            **media,
            **self.encoder.flags,
        }

    def _answer_ids(self, text: str) -> list[int]:
        tokenizer = self.encoder.processor.tokenizer
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return [*ids, tokenizer.eos_token_id]


class VideoSFTTrainer(VideoTrainerMixin, SFTTrainer):
    """`trl.SFTTrainer` on rows with a ``prompt`` that holds a video and a ``completion``.

    Args:
        model: the model to train, or its path.
        encoder: turns prompts into tensors; its processor is the trainer's.
        run_files: writes report and card at each checkpoint and before each upload; None for TRL's own card.
        options: all else of `trl.SFTTrainer`. Of ``args`` this trainer sets what keeps the rows as they are.
    """

    def __init__(self, model: Any, encoder: MediaEncoder, run_files: RunFiles | None = None, **options: Any) -> None:
        self.run_files = run_files
        arguments = options["args"]
        arguments.remove_unused_columns = False
        arguments.max_length = None  # a cut prompt would lose placeholders, and its pixels would match no others
        arguments.dataset_kwargs = {**(arguments.dataset_kwargs or {}), "skip_prepare_dataset": True}
        super().__init__(model=model, data_collator=AnswerCollator(encoder), processing_class=encoder.processor, **options)
        # Qwen2.5-VL says that its own loss takes no number of tokens, and `Trainer` would weigh each micro-batch alike. The
        # loss is TRL's, which takes it: every token of a step weighs the same, however the step is split.
        self.model_accepts_loss_kwargs = True


def _right_padded(rows: Sequence[Sequence[int]], width: int, value: int) -> Tensor:
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])
