"""Qwen2.5-VL and Qwen2.5-Omni: encoded as in training, by `r_avst.training.media`.

Neither is told times in words: the place of a frame in time goes into the positions of its tokens.
"""

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from r_avst.metrics.avst_metrics.coordinates import Size

from ..clips import Clip
from ..clips import MediaSettings
from ..clips import processed_size
from ..clips import read_clip
from .family import Family
from .family import chat_text

if TYPE_CHECKING:
    from torch import Tensor


def _processed_size(processor: Any, source_size: Size, frames: int, settings: MediaSettings) -> Size:
    return processed_size(source_size, settings)


def _read(processor: Any, path: Path, settings: MediaSettings) -> Clip:
    return read_clip(path, settings)


def _encode(processor: Any, clip: Clip, text: str, settings: MediaSettings) -> "dict[str, Tensor]":
    from ..media import sample_of

    return dict(sample_of(processor, clip, chat_text(processor, clip, text), settings))


QWEN2_5_VL: Final = Family(
    name="qwen2.5-vl",
    model_types=("qwen2_5_vl",),
    model_class="Qwen2_5_VLForConditionalGeneration",
    checkpoints=(
        "Qwen/Qwen2.5-VL-3B-Instruct",
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "Qwen/Qwen2.5-VL-32B-Instruct",
        "Qwen/Qwen2.5-VL-72B-Instruct",
        "OpenGVLab/VideoChat-R1_7B",
        "Video-R1/Video-R1-7B",
        "AVST-Zero",
    ),
    space="model",
    hears=False,
    evidence=(
        "Pixels of the frame after the processor's resizing, say its authors: "
        "https://github.com/QwenLM/Qwen3-VL/issues/676 and issues/721. Of VideoChat-R1 and Video-R1, which were trained "
        "further, not verified."
    ),
    processed_size=_processed_size,
    read=_read,
    encode=_encode,
)

QWEN2_5_OMNI: Final = Family(
    name="qwen2.5-omni",
    model_types=("qwen2_5_omni", "qwen2_5_omni_thinker"),
    model_class="Qwen2_5OmniThinkerForConditionalGeneration",
    checkpoints=("Qwen/Qwen2.5-Omni-3B", "Qwen/Qwen2.5-Omni-7B", "AVST-Zero-Omni"),
    space="model",
    hears=True,
    evidence=(
        "not verified: its authors were asked and did not answer (https://github.com/QwenLM/Qwen2.5-Omni/issues/236 and "
        "issues/392). Its encoder and its language model come from Qwen2.5-VL, which writes pixels of the resized frame."
    ),
    processed_size=_processed_size,
    read=_read,
    encode=_encode,
    sound_flags={"use_audio_in_video": True},
)
