"""A model that looks: it finds the red box in the very numbers that it is given, and answers as the prompt asks.

It stands where a trained model would. All that lies between the video and its answer, and between its answer and source
pixels, is the real thing: reading, resizing, encoding, prompt, parser.
"""

import re
from types import SimpleNamespace
from typing import Any

import torch
from tiny_families import pictures
from tiny_families import red_box


class SeeingModel:
    """``seen``, ``prompts`` and ``inputs`` keep what it was given: pictures (frames, height, width, 3), texts, tensors."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.device = torch.device("cpu")
        self.config = SimpleNamespace(get_text_config=SimpleNamespace)  # it says no context
        self.generation_config = SimpleNamespace(eos_token_id=processor.tokenizer.eos_token_id)
        self.seen: list[Any] = []
        self.prompts: list[str] = []
        self.inputs: list[dict[str, Any]] = []

    def generate(self, input_ids: torch.Tensor, **inputs: Any) -> torch.Tensor:
        assert len(input_ids) == 1
        self.seen.append(pictures(inputs, self.processor))
        self.prompts.append(self.processor.tokenizer.decode(input_ids[0]))
        self.inputs.append(inputs)
        ids = self.processor.tokenizer(self._answer(), add_special_tokens=False)["input_ids"]
        end = [self.processor.tokenizer.eos_token_id]
        return torch.cat([input_ids, torch.tensor([ids + end])], dim=1)

    def _answer(self) -> str:
        """The box of the first picture, in the space that the prompt asks for, with the decimals that it asks for."""
        picture, prompt = self.seen[-1][0], self.prompts[-1]
        height, width = picture.shape[:2]
        left, top, right, bottom = red_box(picture)
        decimals = 0 if "whole numbers" in prompt else 1
        if "from 0 to 1000" in prompt:
            scales = 1000 / width, 1000 / height
        else:
            told = re.search(r"pixels of the frames as given, (\d+) wide and (\d+) high", prompt)
            assert told is not None, prompt
            assert (int(told[1]), int(told[2])) == (width, height)
            scales = 1.0, 1.0
        edges = (left * scales[0], top * scales[1], right * scales[0], bottom * scales[1])
        numbers = ", ".join(f"{edge:.{decimals}f}" for edge in edges)
        return f"<answer>\n<object>red box</object>\n<where>\n0.0: [{numbers}]\n</where>\n</answer>"
