"""Qwen3-VL: two frames make a patch, and before each stands in words when it was: the middle between the two frames."""

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from r_avst.metrics.avst_metrics.coordinates import Size

from ..clips import Clip
from ..clips import MediaSettings
from .family import Family
from .family import chat_text
from .frames import encode_video
from .frames import read_resized

if TYPE_CHECKING:
    from torch import Tensor


def _processed_size(processor: Any, source_size: Size, frames: int, settings: MediaSettings) -> Size:
    """Multiples of 32 as published. The processor counts pixels of the whole video, the settings those of a frame."""
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize

    own = processor.video_processor
    number = max(frames, own.temporal_patch_size)  # a lone frame is shown twice
    height, width = smart_resize(
        number,
        source_size[1],
        source_size[0],
        temporal_factor=own.temporal_patch_size,
        factor=own.patch_size * own.merge_size,
        min_pixels=settings.min_pixels * number,
        max_pixels=settings.max_pixels * number,
    )
    return int(width), int(height)


def _read(processor: Any, path: Path, settings: MediaSettings) -> Clip:
    return read_resized(processor, path, settings, _processed_size)


def _encode(processor: Any, clip: Clip, text: str, settings: MediaSettings) -> "dict[str, Tensor]":
    return encode_video(processor, clip, _chat(processor, clip, text), cap_pixels_per_frame=False)


def _chat(processor: Any, clip: Clip, text: str) -> str:
    """Without the brackets that templates put around a video: the processor puts its own around each patch of frames."""
    bracketed = f"{processor.vision_start_token}{processor.video_token}{processor.vision_end_token}"
    return chat_text(processor, clip, text).replace(bracketed, processor.video_token)


QWEN3_VL: Final = Family(
    name="qwen3-vl",
    model_types=("qwen3_vl",),
    model_class="Qwen3VLForConditionalGeneration",
    checkpoints=(
        "Qwen/Qwen3-VL-2B-Instruct",
        "Qwen/Qwen3-VL-4B-Instruct",
        "Qwen/Qwen3-VL-8B-Instruct",
        "Qwen/Qwen3-VL-32B-Instruct",
    ),
    space="norm1000",
    hears=False,
    evidence=(
        "From 0 to 1000, relative to the frame; a change from Qwen2.5-VL: the words of its repository are quoted in "
        "https://github.com/QwenLM/Qwen3-VL/issues/1741, its authors confirm them in issues/1623."
    ),
    processed_size=_processed_size,
    read=_read,
    encode=_encode,
    chat=_chat,
)
