"""VideoLLaMA3: before each frame stands in words when it was; tokens that look as in the frame before are left out."""

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
    """Multiples of 28 as published."""
    from transformers.models.video_llama_3.video_processing_video_llama_3 import smart_resize

    own = processor.video_processor
    height, width = smart_resize(
        source_size[1],
        source_size[0],
        factor=own.patch_size * own.merge_size,
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
    )
    return int(width), int(height)


def _read(processor: Any, path: Path, settings: MediaSettings) -> Clip:
    return read_resized(processor, path, settings, _processed_size)


def _encode(processor: Any, clip: Clip, text: str, settings: MediaSettings) -> "dict[str, Tensor]":
    return encode_video(processor, clip, chat_text(processor, clip, text))


VIDEO_LLAMA_3: Final = Family(
    name="videollama3",
    model_types=("video_llama_3",),
    model_class="VideoLlama3ForConditionalGeneration",
    checkpoints=("lkhl/VideoLLaMA3-2B-Image-HF", "lkhl/VideoLLaMA3-7B-Image-HF"),
    space="norm1000",
    hears=False,
    evidence=(
        "From 0 to 1000, relative to the frame: its authors' notebook on grounding divides by 1000, "
        "https://github.com/DAMO-NLP-SG/VideoLLaMA3/blob/main/inference/notebooks/03_visual_referring_and_grounding.ipynb. "
        "That is on images; of videos not verified. DAMO-NLP-SG/VideoLLaMA3-* run code of their own and not the port in "
        "transformers: serve them, or take a checkpoint converted for the port."
    ),
    processed_size=_processed_size,
    read=_read,
    encode=_encode,
)
