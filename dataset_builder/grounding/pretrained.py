"""Loads pretrained models by their names on the Hub or from folders, whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig

from ..stages.stage import StageError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def pretrained(model_class: Any, name: str, kinds: tuple[str, ...], device: torch.device) -> Any:
    """The model of that name, ready to infer.

    Args:
        model_class: what has `from_pretrained`.
        name: on the Hub, or a folder.
        kinds: the types of model that fit, as their `config.json` names them.
        device: where to.

    Raises:
        StageError: it cannot be had, is of another kind, or its checkpoint lacks weights.
    """
    with explained(name):
        config = AutoConfig.from_pretrained(name)
        if config.model_type not in kinds:
            raise ValueError(f"it is a {config.model_type} model, wanted is {' or '.join(kinds)}")
        model, info = model_class.from_pretrained(name, output_loading_info=True, dtype=torch.float32)
        if missing := sorted(info["missing_keys"]):
            raise ValueError(f"its checkpoint lacks {len(missing)} weights, the first is {missing[0]}")
    return model.eval().to(device)


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Says what to do when loading ``name`` fails.

    Raises:
        StageError: for all that loading raises.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        advice = "give the name of a model on the Hub or a folder with one; without a network it must be in the Hub's cache"
        raise StageError(f"{name}: cannot be loaded ({reason}); {advice}") from error


def device_of(name: str) -> torch.device:
    """The device of that name; ``auto`` is the GPU where there is one.

    Raises:
        StageError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise StageError(f"device {name}: cannot be used ({str(error).splitlines()[0]}); give auto, cpu or cuda") from error


@contextmanager
def inference(device: torch.device, precision: str) -> Iterator[None]:
    """Without gradients; other precisions than float32 by autocast, with the weights left in float32.

    Raises:
        KeyError: the precision is none of `PRECISIONS`.
    """
    dtype = PRECISIONS[precision]
    with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        yield
