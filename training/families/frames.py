"""Frames for models whose own processor decides about their size, and the sample that the processor makes of them.

`r_avst.training.clips` makes frames as the Qwen2.5 models take them. A frame that is resized twice is blurred, so the other
families read videos here: each frame is resized once, from the size it has in the file, by the model's own processor.
"""

from collections.abc import Callable
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r_avst.dataset_builder.sound import has_sound
from r_avst.dataset_builder.video import picture_duration
from r_avst.metrics.avst_metrics.coordinates import Size

from ..clips import Clip
from ..clips import MediaSettings
from ..clips import frame_times
from ..clips import read_sized

if TYPE_CHECKING:
    from torch import Tensor

SizeOf = Callable[[Any, Size, int, MediaSettings], Size]


def clip_times(clip: Clip) -> tuple[float, ...]:
    """Seconds at which the frames of a clip are on screen, from the moment the first frame of the video is."""
    return tuple(number / clip.fps for number in range(len(clip.frames)))


def read_resized(processor: Any, path: Path, settings: MediaSettings, size_of: SizeOf) -> Clip:
    """Reads a video without its sound; memory is that of the resized frames and one source frame.

    Args:
        processor: of the model; its video processor resizes.
        path: of the video.
        settings: how it is sampled.
        size_of: (processor, source size, number of frames, settings): width and height after resizing.

    Raises:
        VideoError: the file cannot be used, or its frames have no size that the model takes.
    """
    duration = picture_duration(path)
    times, fps = frame_times(duration, settings.fps, settings.max_frames)

    def model_size(source_size: Size) -> Size:
        return size_of(processor, source_size, len(times), settings)

    resize = partial(_resized, processor.video_processor)
    frames, source_size = read_sized(path, times, settings.decoder, model_size, resize)
    return Clip(frames, fps, None, has_sound(path), source_size, duration)


def _resized(video_processor: Any, image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """A frame (height, width, 3) at another width and height, by the filter that the checkpoint's processor names."""
    import torch
    from transformers.image_utils import SizeDict
    from transformers.video_processing_utils import BaseVideoProcessor

    channels_first = torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()
    wanted = SizeDict(height=size[1], width=size[0])
    # The subclasses' `resize` chooses a size itself, then calls this one.
    resized = BaseVideoProcessor.resize(video_processor, channels_first, wanted, resample=video_processor.resample)
    pixels: NDArray[np.uint8] = resized[0].permute(1, 2, 0).numpy()
    return pixels


def encode_video(processor: Any, clip: Clip, chat: str, **videos_kwargs: Any) -> "dict[str, Tensor]":
    """One sample of a processor that is given the frames, their times, and a conversation with a placeholder for them.

    Args:
        processor: of the model.
        clip: its frames at the size that the model takes.
        chat: of `Family.chat`.
        videos_kwargs: what this video processor wants beside.
    """
    import torch
    from transformers.video_utils import VideoMetadata

    number = len(clip.frames)
    # Of this the processors compute what they tell the model: frame k is from k / fps seconds.
    metadata = VideoMetadata(total_num_frames=number, fps=clip.fps, frames_indices=list(range(number)))
    given = {"do_sample_frames": False, "do_resize": False, "video_metadata": [metadata], **videos_kwargs}
    sample = processor(
        text=[chat],
        videos=[torch.from_numpy(clip.frames).permute(0, 3, 1, 2)],
        videos_kwargs=given,
        return_tensors="pt",
    )
    return {name: value for name, value in sample.items() if isinstance(value, torch.Tensor)}


def with_other_text(processor: Any, sample: "Mapping[str, Tensor]", own: str, other: str) -> "dict[str, Tensor] | None":
    """A sample of the same clip with another text behind it; the clip's tensors are shared, not made anew.

    Args:
        processor: that made the sample.
        sample: of the conversation ``own``.
        own: of `Family.chat`.
        other: the same up to the text behind the video.

    Returns:
        The sample; None where the tokens behind the video of ``own`` do not stand at the sample's end by themselves, as with
        tokenizers to which the place of a text matters.
    """
    import torch

    from ..media import PER_TOKEN

    tail, wanted = (_behind_video(processor, chat) for chat in (own, other))
    ids = sample["input_ids"][0].tolist()
    if ids[-len(tail) :] != tail:
        return None
    head = len(ids) - len(tail)
    changed = {"input_ids": torch.tensor([ids[:head] + wanted])}
    changed["attention_mask"] = torch.ones_like(changed["input_ids"])
    for name in PER_TOKEN:
        if name in sample:
            kept = sample[name][:, :head]
            changed[name] = torch.nn.functional.pad(kept, (0, len(wanted)))  # 0: a token of text
    return {**sample, **changed}


def _behind_video(processor: Any, chat: str) -> list[int]:
    tail = chat.rpartition(processor.video_token)[2]
    ids: list[int] = processor.tokenizer(tail, add_special_tokens=False)["input_ids"]
    return ids
