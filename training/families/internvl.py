"""InternVL 2.5 and 3: every frame becomes one square tile, whatever its shape.

A prompt calls frames "Frame1", "Frame2" and says no times, so a line is put before the question that says them.
"""

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from r_avst.metrics.avst_metrics.coordinates import Size

from ..clips import Clip
from ..clips import MediaSettings
from .family import Family
from .family import chat_text
from .frames import clip_times
from .frames import encode_video
from .frames import read_resized

if TYPE_CHECKING:
    from torch import Tensor


def _processed_size(processor: Any, source_size: Size, frames: int, settings: MediaSettings) -> Size:
    """448 x 448 as published: the processor decides, ``min_pixels`` and ``max_pixels`` have no say."""
    size = processor.video_processor.size
    return int(size["width"]), int(size["height"])


def _read(processor: Any, path: Path, settings: MediaSettings) -> Clip:
    return read_resized(processor, path, settings, _processed_size)


def _encode(processor: Any, clip: Clip, text: str, settings: MediaSettings) -> "dict[str, Tensor]":
    return encode_video(processor, clip, _chat(processor, clip, text))


def _chat(processor: Any, clip: Clip, text: str) -> str:
    times = ", ".join(f"{time:.1f}" for time in clip_times(clip))
    told = f"The frames, Frame1 to Frame{len(clip.frames)}, are from these seconds of the video: {times}."
    return chat_text(processor, clip, f"{told}\n{text}")


INTERNVL: Final = Family(
    name="internvl",
    model_types=("internvl",),
    model_class="InternVLForConditionalGeneration",
    checkpoints=(
        "OpenGVLab/InternVL2_5-2B-MPO-hf",
        "OpenGVLab/InternVL2_5-8B-MPO-hf",
        "OpenGVLab/InternVL3-1B-hf",
        "OpenGVLab/InternVL3-8B-hf",
        "OpenGVLab/InternVL3-14B-hf",
    ),
    space="norm1000",
    hears=False,
    evidence=(
        "From 0 to 1000, relative to the frame: "
        "https://internvl.readthedocs.io/en/latest/get_started/chat_data_format.html#grounding-detection-data, which its "
        "authors refer to in https://github.com/OpenGVLab/InternVL/issues/227. That is on images; of videos not verified. "
        "Checkpoints without -hf run code of their own and not the port in transformers."
    ),
    processed_size=_processed_size,
    read=_read,
    encode=_encode,
    chat=_chat,
)
