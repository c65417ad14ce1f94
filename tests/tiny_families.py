"""Tiny random checkpoints of the families that can be asked, and what their processors made seen as pictures."""

from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import transformers
from numpy.typing import NDArray

from r_avst.training.families import FAMILIES
from r_avst.training.tiny_models import VL_TEMPLATE
from r_avst.training.tiny_models import _save
from r_avst.training.tiny_models import _tokenizer
from r_avst.training.tiny_models import write_tiny_omni
from r_avst.training.tiny_models import write_tiny_vl

BARE_TEMPLATE = VL_TEMPLATE.replace("<|vision_start|><|video_pad|><|vision_end|>", "<|video_pad|>")
"""As of VideoLLaMA3; the processor of Qwen3-VL puts brackets around frames by itself, whatever the template does."""
INTERNVL_TEMPLATE = VL_TEMPLATE.replace("<|vision_start|><|video_pad|><|vision_end|>", "<video>\n")
_PADS = ("<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_INTERNVL_TOKENS = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
TILE = 112  # pixels; published ones have 448


def _text(tokenizer: Any, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 16384,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": False,
        **more,
    }


def write_tiny_qwen3_vl(folder: Path, seed: int, texts: Sequence[str]) -> Path:
    tokenizer = _tokenizer(texts, (), _PADS, {})
    ids = tokenizer.convert_tokens_to_ids
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2], "mrope_interleaved": True}
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": 64,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }
    config = transformers.Qwen3VLConfig(
        text_config=_text(tokenizer, head_dim=16, rope_parameters=rope),
        vision_config=vision,
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
    )
    images = transformers.Qwen2VLImageProcessor(patch_size=16, merge_size=2)
    processor = transformers.Qwen3VLProcessor(
        images, tokenizer, transformers.Qwen3VLVideoProcessor(), chat_template=VL_TEMPLATE
    )
    return _save(folder, seed, transformers.Qwen3VLForConditionalGeneration, config, processor)


def write_tiny_video_llama_3(folder: Path, seed: int, texts: Sequence[str]) -> Path:
    tokenizer = _tokenizer(texts, (), _PADS, {})
    ids = tokenizer.convert_tokens_to_ids
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 14,
    }
    config = transformers.VideoLlama3Config(
        text_config={**_text(tokenizer), "model_type": "qwen2"},
        vision_config=vision,
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
    )
    processor = transformers.VideoLlama3Processor(
        transformers.VideoLlama3ImageProcessor(),
        tokenizer,
        transformers.VideoLlama3VideoProcessor(),
        chat_template=BARE_TEMPLATE,
    )
    return _save(folder, seed, transformers.VideoLlama3ForConditionalGeneration, config, processor)


def write_tiny_internvl(folder: Path, seed: int, texts: Sequence[str]) -> Path:
    tokenizer = _tokenizer(texts, (), ("<|im_start|>", *_INTERNVL_TOKENS.values()), _INTERNVL_TOKENS)
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": [TILE, TILE],
    }
    length = (TILE // 14 // 2) ** 2
    config = transformers.InternVLConfig(
        text_config={**_text(tokenizer), "model_type": "qwen2"},
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=length,
        tie_word_embeddings=False,
    )
    tile = {"height": TILE, "width": TILE}
    processor = transformers.InternVLProcessor(
        transformers.GotOcr2ImageProcessor(size=tile),
        tokenizer,
        transformers.InternVLVideoProcessor(size=tile),
        image_seq_length=length,
        chat_template=INTERNVL_TEMPLATE,
    )
    return _save(folder, seed, transformers.InternVLForConditionalGeneration, config, processor)


FAMILY_WRITERS: dict[str, Callable[..., Path]] = {
    "qwen2.5-vl": write_tiny_vl,
    "qwen2.5-omni": write_tiny_omni,
    "qwen3-vl": write_tiny_qwen3_vl,
    "videollama3": write_tiny_video_llama_3,
    "internvl": write_tiny_internvl,
}


def tiny_family(folder: Path, name: str) -> Path:
    """A tiny checkpoint of a family, written where it is not there yet."""
    path = folder / f"tiny-{name}"
    if not (path / "config.json").exists():
        FAMILY_WRITERS[name](path, 0, ("When is it?", "Where is the red square? Look and listen."))
    return path


def write_box_video(path: Path, size: tuple[int, int], box: tuple[int, int, int, int], frames: int = 6) -> Path:
    """Two frames a second, grey, with a red box at the same place in each; nothing is lost but rounding."""
    picture = np.full((size[1], size[0], 3), 90, np.uint8)
    picture[box[1] : box[3], box[0] : box[2]] = (250, 50, 50)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=2, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv444p"
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def pictures(sample: Any, processor: Any) -> NDArray[np.float64]:
    """The frames (frames, height, width, 3), 0 to 255, out of the numbers that a model is given.

    Written from the shapes that the models' papers and configurations tell, not from the code that made the numbers: patches
    stand in rows of square groups of ``merge_size``; each holds its colours, its moments, its rows and its columns.
    """
    own = processor.video_processor
    if "pixel_values" in sample:
        values = sample["pixel_values"].double().permute(0, 2, 3, 1).numpy()
    else:
        values = _unpatched(sample["pixel_values_videos"].double().numpy(), sample["video_grid_thw"][0].tolist(), own)
    mean, deviation = (np.asarray(numbers, dtype=np.float64) for numbers in (own.image_mean, own.image_std))
    return (values * deviation + mean) * 255


def _unpatched(patches: NDArray[np.float64], grid: Sequence[int], own: Any) -> NDArray[np.float64]:
    moments, rows, columns = grid
    side, group, together = own.patch_size, own.merge_size, own.temporal_patch_size
    frames = np.empty((moments * together, rows * side, columns * side, 3))
    number = 0
    for moment in range(moments):
        for top in range(0, rows, group):
            for left in range(0, columns, group):
                for row in range(top, top + group):
                    for column in range(left, left + group):
                        patch = patches[number].reshape(3, together, side, side)
                        place = np.s_[row * side : (row + 1) * side, column * side : (column + 1) * side]
                        frames[moment * together : (moment + 1) * together, place[0], place[1]] = patch.transpose(1, 2, 3, 0)
                        number += 1
    assert number == len(patches)
    return frames


def red_box(picture: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Where red begins and ends in a picture (height, width, 3), between pixels: sums of shares of red along its edges."""
    red = np.clip((picture[..., 0] - picture[..., 1]) / 200, 0, 1)
    rows, columns = (red.max(axis=axis) for axis in (1, 0))
    top, bottom = _ends(rows)
    left, right = _ends(columns)
    return left, top, right, bottom


def _ends(shares: NDArray[np.float64]) -> tuple[float, float]:
    """Where a run begins and ends: the middle of it, and half of its sum to both sides."""
    middle = float(np.sum((np.arange(len(shares)) + 0.5) * shares) / np.sum(shares))
    half = float(np.sum(shares)) / 2
    return middle - half, middle + half


def load_processor(folder: Path) -> Any:
    return transformers.AutoProcessor.from_pretrained(folder)


def load_tiny(folder: Path, name: str) -> tuple[Any, Any]:
    """A tiny model of a family, ready to answer, and its processor."""
    path = tiny_family(folder, name)
    model = getattr(transformers, FAMILIES[name].model_class).from_pretrained(path)
    return model.eval(), load_processor(path)
