"""Tiny random Grounding DINO and SAM 2 as folders that `from_pretrained` loads, as it does the real ones."""

from pathlib import Path

import torch
from transformers import BertTokenizer
from transformers import GroundingDinoConfig
from transformers import GroundingDinoForObjectDetection
from transformers import GroundingDinoImageProcessor
from transformers import GroundingDinoProcessor
from transformers import Sam2ImageProcessor
from transformers import Sam2VideoConfig
from transformers import Sam2VideoModel
from transformers import Sam2VideoProcessor
from transformers import Sam2VideoVideoProcessor

TRACKER_SIZE = 128  # pixels of a side
WORDS = ("a", "red", "white", "dog", "car", "man", "woman", "guitar", "rocket", "rabbit", "##s", "##bit", "-", "'", ",")


def write_tiny_detector(folder: Path) -> Path:
    """A Grounding DINO of 50 queries that looks at 64 pixels; what it finds is random, and the same every time."""
    torch.manual_seed(0)
    config = GroundingDinoConfig(
        backbone_config={
            "model_type": "swin",
            "embed_dim": 12,
            "depths": [1, 1, 1, 1],
            "num_heads": [1, 2, 2, 4],
            "window_size": 7,
            "out_features": ["stage2", "stage3", "stage4"],
            "image_size": 64,
        },
        text_config={
            "model_type": "bert",
            "vocab_size": 1100,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
        },
        num_queries=50,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
    )
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    images = GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 112})
    GroundingDinoProcessor(images, _tokenizer()).save_pretrained(folder)  # type: ignore[no-untyped-call]
    return folder


def _tokenizer() -> BertTokenizer:
    vocabulary = {f"[unused{number}]": number for number in range(1100)}
    # The model knows its special tokens by the ids of the real vocabulary.
    special = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
    named = special | {word: 200 + number for number, word in enumerate(WORDS)}
    taken = set(named.values())
    kept = {token: number for token, number in vocabulary.items() if number not in taken}
    return BertTokenizer(vocab=kept | named, do_lower_case=True)


def write_tiny_tracker(folder: Path) -> Path:
    """A SAM 2 that looks at 128 x 128 pixels; its masks are random, and the same every time."""
    torch.manual_seed(2)  # one whose masks are not empty
    Sam2VideoModel(_tracker_config(TRACKER_SIZE)).save_pretrained(folder)
    quarter = {"height": TRACKER_SIZE // 4, "width": TRACKER_SIZE // 4}
    whole = {"height": TRACKER_SIZE, "width": TRACKER_SIZE}
    images = Sam2ImageProcessor(size=whole, mask_size=quarter)
    Sam2VideoProcessor(images, Sam2VideoVideoProcessor(size=whole)).save_pretrained(folder)
    return folder


def _tracker_config(size: int) -> Sam2VideoConfig:
    return Sam2VideoConfig(
        image_size=size,
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": 12,
                "num_attention_heads": 1,
                "image_size": [size, size],
                "embed_dim_per_stage": [12, 24, 48, 96],
                "num_attention_heads_per_stage": [1, 2, 4, 8],
                "blocks_per_stage": [1, 1, 2, 1],
                "global_attention_blocks": [3],
                "window_size_per_stage": [8, 4, 8, 4],
            },
            "backbone_channel_list": [96, 48, 24, 12],
            "backbone_feature_sizes": [[size // 4, size // 4], [size // 8, size // 8], [size // 16, size // 16]],
            "fpn_hidden_size": 128,
        },
        prompt_encoder_config={"hidden_size": 128, "image_size": size, "patch_size": 16, "mask_input_channels": 16},
        mask_decoder_config={
            "hidden_size": 128,
            "mlp_dim": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 32,
        },
        memory_attention_hidden_size=128,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=64,
        memory_attention_rope_feat_sizes=[size // 16, size // 16],
        memory_encoder_hidden_size=128,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=128,
        memory_fuser_embed_dim=128,
        memory_fuser_intermediate_dim=64,
    )
