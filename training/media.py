"""Chat messages with a video become what a model is given: token ids, pixels, sound.

A sample is encoded by itself, with its own placeholders, and its tensors stay together from then on: batches are only put
together where a forward pass needs one (`collate`). So a batch may mix clips of any length.
"""

from collections import OrderedDict
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import Literal

import torch
from torch import Tensor
from transformers.video_utils import VideoMetadata

from r_avst.dataset_builder.sound import SAMPLE_RATE

from .clips import Clip
from .clips import ClipCache
from .clips import MediaSettings

Family = Literal["vl", "omni"]
Messages = Sequence[Mapping[str, Any]]

TEXT_FIELDS = ("input_ids", "attention_mask")
PER_TOKEN = ("mm_token_type_ids",)
"""Fields with one value a token of the prompt: they are padded with it, all others are concatenated."""
SOUND = ("input_features", "feature_attention_mask")
MEMO_BYTES = 512_000_000
_BRACKETS = ("vision_start", "vision_end", "audio_start", "audio_end")
_AUDIO_REDUCTION = 4  # spectrogram frames of an audio token: the encoder halves them twice


class MediaError(ValueError):
    """Messages or settings that do not fit the model; the message says what to do."""


def family_of(config: Any) -> Family:
    """Whether a model sees (``vl``) or sees and hears (``omni``), by its configuration or its processor.

    Raises:
        MediaError: it is of neither family.
    """
    name = str(getattr(config, "model_type", type(config).__name__))
    compact = name.casefold().replace("_", "")  # of a processor: Qwen2_5OmniProcessor
    if "qwen25omni" in compact:
        return "omni"
    if "qwen25vl" in compact:
        return "vl"
    raise MediaError(
        f"{name!r} is no model that this code can give a video to; it knows Qwen2.5-VL and Qwen2.5-Omni thinkers"
    )


class MediaEncoder:
    """Encodes messages with the processor of a model; a few hundred megabytes of what it made are kept in memory.

    Args:
        processor: of a Qwen2.5-VL or a Qwen2.5-Omni.
        settings: how videos are sampled. With ``audio`` the processor must be one that takes sound.
        cache: of decoded clips, on disk.

    Raises:
        MediaError: sound is asked for, or left out, against what the family of the processor takes.
    """

    def __init__(self, processor: Any, settings: MediaSettings, cache: ClipCache) -> None:
        family = family_of(processor)
        if settings.audio and family == "vl":
            raise MediaError("a Qwen2.5-VL cannot hear: give audio=False, or take a Qwen2.5-Omni")
        self.processor = processor
        self.settings = settings
        self._cache = cache
        self._memo: OrderedDict[tuple[str, str], dict[str, Tensor]] = OrderedDict()
        self._memo_bytes = 0

    @property
    def flags(self) -> dict[str, Any]:
        """What every forward pass needs beside tensors. It holds for a whole batch: so silent videos get silence."""
        return {"use_audio_in_video": True} if self.settings.audio else {}

    def clip(self, messages: Messages) -> Clip:
        """The decoded video of messages.

        Raises:
            MediaError: there is none, or more than one.
            VideoError: it cannot be read.
        """
        return self._cache.clip(Path(_video(messages)), self.settings)

    def encode(self, messages: Messages) -> dict[str, Tensor]:
        """One sample for the model: token ids (1, length) of the prompt with its placeholders, and the video's tensors.

        Raises:
            MediaError: there is no video in the messages, or more than one.
            VideoError: it cannot be read.
        """
        plain = _without_nones(messages)
        text = self._text(plain)
        key = (_video(plain), text)
        if key in self._memo:
            self._memo.move_to_end(key)
            return dict(self._memo[key])
        sample = dict(sample_of(self.processor, self.clip(plain), text, self.settings))
        self._remember(key, sample)
        return dict(sample)

    def short_ids(self, messages: Messages) -> list[int]:
        """Token ids of a prompt with one placeholder for the whole video, as vLLM wants them."""
        ids: list[int] = self.processor.tokenizer(self._text(_without_nones(messages)))["input_ids"]
        return ids

    def _text(self, plain: Messages) -> str:
        text: str = self.processor.apply_chat_template(plain, tokenize=False, add_generation_prompt=True)
        return text

    def _remember(self, key: tuple[str, str], sample: dict[str, Tensor]) -> None:
        self._memo[key] = sample
        self._memo_bytes += _bytes(sample)
        while self._memo_bytes > MEMO_BYTES and len(self._memo) > 1:
            self._memo_bytes -= _bytes(self._memo.popitem(last=False)[1])


def sample_of(processor: Any, clip: Clip, text: str, settings: MediaSettings) -> Mapping[str, Tensor]:
    """What a processor makes of a clip and a prompt with its placeholder: one sample for a Qwen2.5-VL or a Qwen2.5-Omni.

    Raises:
        MediaError: sound is asked for, and the clip was read without.
    """
    # The frames are sampled and resized: the processor is to cut them into patches and no more.
    frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2)
    metadata = VideoMetadata(total_num_frames=len(frames), fps=clip.fps)
    given: dict[str, Any] = {
        "do_sample_frames": False,
        "do_resize": False,
        "cap_pixels_per_frame": False,
        "video_metadata": [metadata],
    }
    if family_of(processor) == "omni":
        given["fps"] = clip.fps  # it takes the rate from here, a Qwen2.5-VL from the metadata
    sound = _sound_arguments(processor, clip) if settings.audio else {}
    sample: Mapping[str, Tensor] = processor(text=[text], videos=[frames], videos_kwargs=given, return_tensors="pt", **sound)
    return sample


def _sound_arguments(processor: Any, clip: Clip) -> dict[str, Any]:
    if clip.sound is None:
        raise MediaError("the clip was read without its sound, though sound was asked for")
    return {
        "audio": [clip.sound],
        "audio_from_video_indices": [0],
        "load_audio_from_video": True,
        "position_id_per_seconds": SAMPLE_RATE // processor.feature_extractor.hop_length // _AUDIO_REDUCTION,
        "audio_kwargs": {"sampling_rate": SAMPLE_RATE, "truncation": False},
    }


def collate(
    samples: Sequence[Mapping[str, Tensor]], prompt_width: int, completion_width: int, device: torch.device
) -> dict[str, Tensor]:
    """The media of a batch, on ``device``; without the token ids and their mask.

    Args:
        samples: of `MediaEncoder.encode`, one a row.
        prompt_width: tokens to which prompts are padded, on their left.
        completion_width: tokens that follow; they are no media.
        device: where the model is.
    """
    moved: dict[int, Tensor] = {}  # completions of one prompt share its tensors
    batch: dict[str, list[Tensor]] = {}
    for sample in samples:
        for name, value in sample.items():
            if name in TEXT_FIELDS:
                continue
            own = moved.setdefault(id(value), torch.as_tensor(value).to(device))
            if name in PER_TOKEN:
                own = torch.nn.functional.pad(own, (prompt_width - own.size(1), completion_width))
            batch.setdefault(name, []).append(own)
    return {name: torch.cat(_as_wide(values) if name in SOUND else values) for name, values in batch.items()}


def _as_wide(values: Sequence[Tensor]) -> list[Tensor]:
    """Sounds beyond the extractor's own length are as long as they are; what is added to the others is masked."""
    width = max(value.size(-1) for value in values)
    return [torch.nn.functional.pad(value, (0, width - value.size(-1))) for value in values]


def media_token_ids(config: Any) -> list[int]:
    """Ids of the placeholders in a model's vocabulary. Were one generated, it would match no pixels or sound."""
    names = (f"{medium}_token_id" for medium in ("image", "video", "audio", *_BRACKETS))
    return sorted({own for name in names if isinstance(own := getattr(config, name, None), int)})


def _video(messages: Messages) -> str:
    videos = [
        block["video"]
        for message in messages
        if not isinstance(message["content"], str)
        for block in message["content"]
        if block.get("video") is not None
    ]
    if len(videos) != 1:
        raise MediaError(f"a prompt is to hold one video, this one has {len(videos)}: {str(messages)[:200]}")
    return str(videos[0])


def _without_nones(messages: Messages) -> list[dict[str, Any]]:
    """Arrow gives every block the keys of all blocks, and chat templates count a key, even with nothing in it."""
    return [
        {
            **message,
            "content": message["content"]
            if isinstance(message["content"], str)
            else [{key: value for key, value in block.items() if value is not None} for block in message["content"]],
        }
        for message in messages
    ]


def _bytes(sample: Mapping[str, Any]) -> int:
    return sum(value.nbytes for value in sample.values() if isinstance(value, Tensor))
