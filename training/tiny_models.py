"""Tiny random checkpoints of the two model families, for tests, the recipe `tiny` and `make learn`.

They go the way of the published ones: a folder that `from_pretrained` loads, with weights, tokenizer, processors and chat
template. Their weights are random, so what they say means nothing before they are trained::

    python -m r_avst.training.tiny_models tiny-vl --family vl --seed 0
"""

import argparse
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Regex
from tokenizers import Tokenizer
from tokenizers import decoders
from tokenizers import models
from tokenizers import pre_tokenizers
from tokenizers import trainers
from transformers import PreTrainedTokenizerFast

from r_avst.dataset_builder.sound import SAMPLE_RATE
from r_avst.metrics.option_types import whole_number

VL_TEMPLATE = """\
{% for message in messages %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for block in message['content'] %}\
{% if block['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>\
{% elif block['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>\
{% else %}{{ block['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
OMNI_TEMPLATE = (
    VL_TEMPLATE.replace("<|vision_start|>", "<|vision_bos|>")
    .replace("<|vision_end|>", "<|vision_eos|>")
    .replace("<|video_pad|>", "<|VIDEO|>")
    .replace("<|image_pad|>", "<|IMAGE|>")
)
"""What a Qwen chat template does with one user message: roles, and a placeholder where a video stands."""

_END, _PAD = "<|im_end|>", "<|endoftext|>"
_VL_TOKENS = ("<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_OMNI_TOKENS = {
    "image_token": "<|IMAGE|>",
    "audio_token": "<|AUDIO|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
_TEXTS = (
    "system\nYou are a helpful assistant.",
    "user\nWhen is the moment red square makes sound and is visible?",
    "assistant\n<answer>\n<object>red square</object>\n<when>[0.0, 4.0]</when>\n</answer>",
    "<where>\n0.0: [12.0, 34.0, 56.0, 78.0]\n1.0: [9.0, 1.0, 2.0, 5.0]\n</where>",
)


@dataclass(frozen=True, slots=True)
class TinySize:
    """Sizes of a tiny model. ``rope_theta``: small bases tell places of few tokens apart better.

    ``mel_bins``, ``hop_length`` (samples; four of them are one audio token), ``audio_width`` and ``audio_layers`` are of the
    Omni family alone. ``spread`` is the standard deviation of the language model's random weights: 0.02 is that of large
    models; a narrow one learns several times sooner from 0.08.
    """

    hidden: int = 64
    layers: int = 2
    vision_width: int = 32
    vision_layers: int = 2
    rope_theta: float = 1e6
    mel_bins: int = 16
    hop_length: int = 800
    audio_width: int = 32
    audio_layers: int = 2
    spread: float = 0.02


def write_tiny_vl(
    folder: Path,
    seed: int,
    texts: Sequence[str],
    size: TinySize = TinySize(),
    phrases: Sequence[str] = (),
) -> Path:
    """A Qwen2.5-VL with random weights; ``texts`` is what its tokenizer is trained on, each of ``phrases`` is one token."""
    tokenizer = _tokenizer(texts, phrases, _VL_TOKENS, {})
    ids = tokenizer.convert_tokens_to_ids
    config = transformers.Qwen2_5_VLConfig(
        text_config=_text_config(size, tokenizer),
        vision_config=_vision_config(size),
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=False,
    )
    processor = transformers.Qwen2_5_VLProcessor(  # type: ignore[no-untyped-call]
        transformers.Qwen2VLImageProcessor(), tokenizer, transformers.Qwen2VLVideoProcessor(), chat_template=VL_TEMPLATE
    )
    return _save(folder, seed, transformers.Qwen2_5_VLForConditionalGeneration, config, processor)


def write_tiny_omni(
    folder: Path,
    seed: int,
    texts: Sequence[str],
    size: TinySize = TinySize(),
    phrases: Sequence[str] = (),
) -> Path:
    """The thinker of a Qwen2.5-Omni with random weights; ``texts`` and ``phrases`` as in `write_tiny_vl`."""
    tokenizer = _tokenizer(texts, phrases, ("<|im_start|>", *_OMNI_TOKENS.values()), _OMNI_TOKENS)
    ids = tokenizer.convert_tokens_to_ids
    positions = SAMPLE_RATE // size.hop_length // 4  # audio tokens a second, and so positions a second
    brackets: dict[str, Any] = {"vision_start_token_id": ids("<|vision_bos|>"), "vision_end_token_id": ids("<|vision_eos|>")}
    config = transformers.Qwen2_5OmniThinkerConfig(
        text_config=_text_config(size, tokenizer),
        vision_config=_vision_config(size),
        audio_config=_audio_config(size),
        audio_token_index=ids("<|AUDIO|>"),
        image_token_index=ids("<|IMAGE|>"),
        video_token_index=ids("<|VIDEO|>"),
        audio_start_token_id=ids("<|audio_bos|>"),
        audio_end_token_id=ids("<|audio_eos|>"),
        position_id_per_seconds=positions,
        **brackets,
    )
    extractor = transformers.WhisperFeatureExtractor(  # type: ignore[no-untyped-call]
        feature_size=size.mel_bins,
        sampling_rate=SAMPLE_RATE,
        hop_length=size.hop_length,
        n_fft=max(400, 2 * size.hop_length),
        chunk_length=60,
        return_attention_mask=True,
    )
    processor = transformers.Qwen2_5OmniProcessor(  # type: ignore[no-untyped-call]
        image_processor=transformers.Qwen2VLImageProcessor(),
        video_processor=transformers.Qwen2VLVideoProcessor(),
        feature_extractor=extractor,
        tokenizer=tokenizer,
        chat_template=OMNI_TEMPLATE,
    )
    return _save(folder, seed, transformers.Qwen2_5OmniThinkerForConditionalGeneration, config, processor)


def _save(folder: Path, seed: int, model_class: Any, config: Any, processor: Any) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(config)
    model.generation_config.eos_token_id = [processor.tokenizer.eos_token_id]
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _tokenizer(texts: Sequence[str], phrases: Sequence[str], special: Sequence[str], named: Mapping[str, str]) -> Any:
    """BPE whose pieces are tags, numbers, and what stands between: a text it was trained on takes few tokens."""
    tokenizer = Tokenizer(models.BPE())
    pieces = Regex(r"</?\w+>|\d+\.\d|\d+|\s?[^<\d\s]+|\s+|<")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pieces, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=4096, special_tokens=[_PAD, _END, *special], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([*_TEXTS, *texts], trainer)
    extra: Any = dict(named) if named else list(special)
    tokenizer.add_tokens(list(phrases))
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token=_END, pad_token=_PAD, padding_side="left", extra_special_tokens=extra
    )


def _text_config(size: TinySize, tokenizer: Any) -> dict[str, Any]:
    pairs = size.hidden // 4 // 2  # of numbers that turn together, in a head
    height = width = 3 * pairs // 8
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": size.hidden,
        "intermediate_size": 2 * size.hidden,
        "num_hidden_layers": size.layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 8192,
        "initializer_range": size.spread,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": size.rope_theta,
            "mrope_section": [pairs - height - width, height, width],
        },
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": False,
    }


def _vision_config(size: TinySize) -> dict[str, Any]:
    return {
        "depth": size.vision_layers,
        "hidden_size": size.vision_width,
        "intermediate_size": 2 * size.vision_width,
        "num_heads": 2,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [size.vision_layers - 1],
        "tokens_per_second": 4,
        "out_hidden_size": size.hidden,
    }


def _audio_config(size: TinySize) -> dict[str, Any]:
    return {
        "num_mel_bins": size.mel_bins,
        "d_model": size.audio_width,
        "encoder_layers": size.audio_layers,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 2 * size.audio_width,
        "max_source_positions": 1500,
        "n_window": 100,
        "output_dim": size.hidden,
    }


WRITERS = {"vl": write_tiny_vl, "omni": write_tiny_omni}


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes one tiny checkpoint."""
    parser = argparse.ArgumentParser(
        prog="python -m r_avst.training.tiny_models", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("folder", type=Path, help="where to write it")
    parser.add_argument("--family", choices=sorted(WRITERS), default="vl", help="vl sees, omni sees and hears (default: vl)")
    parser.add_argument("--seed", type=whole_number, default=0, help="of the random weights (default: 0)")
    options = parser.parse_args(arguments)
    print(WRITERS[options.family](options.folder, options.seed, ()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
