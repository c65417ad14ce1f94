"""How much memory the tensors of a thing take."""

from typing import Any

import torch


def held(thing: Any) -> int:
    """Bytes of all tensors that can be reached from a thing by dicts, lists and SAM 2's own classes, and a byte an entry."""
    if isinstance(thing, torch.Tensor):
        return thing.untyped_storage().nbytes()
    if "Sam2" in type(thing).__name__:
        return held(vars(thing))
    parts = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list | tuple) else ()
    return sum(map(held, parts)) + len(parts)
