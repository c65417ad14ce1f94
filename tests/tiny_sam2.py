"""A tiny random model of the package sam2: the configuration of its smallest one, made smaller."""

from pathlib import Path
from typing import Any

import sam2
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

CONFIG = Path(sam2.__file__).parent / "configs" / "sam2.1" / "sam2.1_hiera_t.yaml"
SIZE = 128  # pixels of a side
SMALLER = {
    "_target_": "sam2.sam2_video_predictor.SAM2VideoPredictor",
    "image_size": SIZE,
    "image_encoder": {
        "trunk": {"embed_dim": 12, "stages": [1, 1, 2, 1], "global_att_blocks": [3]},
        "neck": {"backbone_channel_list": [96, 48, 24, 12]},
    },
    "memory_attention": {
        "num_layers": 1,
        "layer": {
            "dim_feedforward": 64,
            "self_attention": {"feat_sizes": [SIZE // 16, SIZE // 16]},
            "cross_attention": {"feat_sizes": [SIZE // 16, SIZE // 16]},
        },
    },
}


def tiny_sam2() -> Any:
    """A `SAM2VideoPredictor` whose masks are random, not empty, and the same every time."""
    torch.manual_seed(0)
    config = OmegaConf.merge(OmegaConf.load(CONFIG).model, OmegaConf.create(SMALLER))
    return instantiate(config, _recursive_=True).eval()
