"""Greedy answers of a model to prompts with videos."""

from collections.abc import Sequence
from typing import Any

import torch

from .media import MediaEncoder
from .media import Messages
from .media import collate
from .media import media_token_ids


@torch.no_grad()
def greedy_answers(
    model: Any, encoder: MediaEncoder, prompts: Sequence[Messages], max_new_tokens: int, batch_size: int
) -> list[str]:
    """The likeliest continuation, token by token, of each prompt, without special tokens.

    Args:
        model: with `generate`, on its device; its mode is left as it was.
        encoder: with the model's processor.
        prompts: messages with a video each.
        max_new_tokens: at which an answer is cut off.
        batch_size: prompts that are answered at once, padded to the longest.
    """
    training = model.training
    model.eval()
    try:
        starts = range(0, len(prompts), batch_size)
        return [
            text
            for start in starts
            for text in _answers(model, encoder, prompts[start : start + batch_size], max_new_tokens)
        ]
    finally:
        model.train(training)


def _answers(model: Any, encoder: MediaEncoder, prompts: Sequence[Messages], max_new_tokens: int) -> list[str]:
    samples = [encoder.encode(prompt) for prompt in prompts]
    inputs = model_inputs(encoder, samples, model.device)
    width = inputs["input_ids"].size(1)
    ids = model.generate(
        **inputs, max_new_tokens=max_new_tokens, do_sample=False, suppress_tokens=media_token_ids(model.config)
    )
    texts: list[str] = encoder.processor.tokenizer.batch_decode(ids[:, width:], skip_special_tokens=True)
    return texts


def model_inputs(encoder: MediaEncoder, samples: Sequence[Any], device: torch.device) -> dict[str, Any]:
    """Samples as one batch for a forward pass, prompts padded on their left."""
    width = max(sample["input_ids"].size(1) for sample in samples)
    pad = encoder.processor.tokenizer.pad_token_id
    ids = [_left_padded(sample["input_ids"], width, pad) for sample in samples]
    masks = [_left_padded(torch.ones_like(sample["input_ids"]), width, 0) for sample in samples]
    tokens = {"input_ids": torch.cat(ids).to(device), "attention_mask": torch.cat(masks).to(device)}
    return tokens | collate(samples, width, 0, device) | encoder.flags


def _left_padded(ids: torch.Tensor, width: int, value: int) -> torch.Tensor:
    return torch.nn.functional.pad(ids, (width - ids.size(1), 0), value=value)
