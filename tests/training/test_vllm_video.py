"""Rows for vLLM. It cannot be installed here: what stands for it records what it would be given."""

from typing import Any

import numpy as np

from r_avst.training.clips import Clip
from r_avst.training.vllm_video import VideoLLM
from r_avst.training.vllm_video import VideoPrompt


class Recorder:
    """In the place of a `vllm.LLM`."""

    name = "recorder"

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def generate(self, rows: list[dict[str, Any]], sampling_params: Any, use_tqdm: bool) -> str:
        self.rows += rows
        return f"{sampling_params} {use_tqdm}"


def clip(sound: bool) -> Clip:
    return Clip(
        frames=np.zeros((4, 56, 84, 3), np.uint8),
        fps=2.0,
        sound=np.zeros(32_000, np.float32) if sound else None,
        heard=sound,
        source_size=(640, 360),
        duration=2.0,
    )


def test_a_row_holds_the_clip_as_a_video() -> None:
    recorder = Recorder()
    llm = VideoLLM(recorder)
    prompts = [VideoPrompt((1, 2, 3), clip(sound)) for sound in (False, True)]
    rows = [{"prompt_token_ids": [9] * 50, "multi_modal_data": {"image": prompt}} for prompt in prompts]
    assert llm.generate(rows, sampling_params="greedy", use_tqdm=False) == "greedy False"
    silent, heard = recorder.rows
    assert silent["prompt_token_ids"] == [1, 2, 3]
    assert silent["multi_modal_data"]["video"].shape == (4, 56, 84, 3)
    assert "audio" not in silent["multi_modal_data"]
    assert silent["mm_processor_kwargs"]["fps"] == 2.0
    assert heard["multi_modal_data"]["audio"][1] == 16_000
    assert heard["mm_processor_kwargs"]["use_audio_in_video"] is True
    assert llm.name == "recorder"
