"""Videos for vLLM, which TRL hands images alone. It was not run with vLLM, which does not install beside this torch."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from r_avst.dataset_builder.sound import SAMPLE_RATE

from .clips import Clip


class VLLMMissingError(RuntimeError):
    """vLLM is not installed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class VideoPrompt:
    """A prompt for vLLM: its token ids with one placeholder, which vLLM expands itself, and the clip behind it."""

    token_ids: tuple[int, ...]
    clip: Clip


def check_vllm(mode: str) -> None:
    """Refuses what cannot work before any weights are loaded.

    Raises:
        VLLMMissingError: vLLM is not installed.
        ValueError: the mode is not ``colocate``; TRL's server takes no videos.
    """
    if mode != "colocate":
        raise ValueError(f"vllm_mode is {mode!r}, but TRL's server takes no videos: give --vllm_mode colocate")
    if importlib.util.find_spec("vllm") is None:
        raise VLLMMissingError("use_vllm needs vLLM: pip install 'r-avst[vllm]', or leave use_vllm out")


def vllm_row(prompt: VideoPrompt) -> dict[str, Any]:
    """A prompt as `vllm.LLM.generate` takes it. The frames are sampled and resized: they are to stay as they are."""
    clip = prompt.clip
    media: dict[str, Any] = {"video": clip.frames}
    options: dict[str, Any] = {"fps": clip.fps, "do_sample_frames": False, "do_resize": False}
    if clip.sound is not None:
        media["audio"] = (clip.sound, SAMPLE_RATE)
        options["use_audio_in_video"] = True
    return {"prompt_token_ids": list(prompt.token_ids), "multi_modal_data": media, "mm_processor_kwargs": options}


class VideoLLM:
    """A `vllm.LLM` whose rows hold a `VideoPrompt` where TRL puts an image. All else is the LLM's own."""

    def __init__(self, llm: Any) -> None:
        self._llm = llm

    def __getattr__(self, name: str) -> Any:
        return getattr(self._llm, name)

    def generate(self, prompts: Sequence[dict[str, Any]], *arguments: Any, **options: Any) -> Any:
        """Generates from rows of TRL."""
        return self._llm.generate([vllm_row(row["multi_modal_data"]["image"]) for row in prompts], *arguments, **options)
