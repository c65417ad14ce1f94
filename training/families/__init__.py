"""The families of models that can be asked. A new one is a file with a `Family` and a row of `FAMILIES`."""

from collections.abc import Mapping
from typing import Final

from .family import Family
from .family import FamilyError
from .generic import GENERIC
from .internvl import INTERNVL
from .qwen2_5 import QWEN2_5_OMNI
from .qwen2_5 import QWEN2_5_VL
from .qwen3_vl import QWEN3_VL
from .video_llama_3 import VIDEO_LLAMA_3

__all__ = ["FAMILIES", "Family", "FamilyError", "family_for"]

FAMILIES: Final[Mapping[str, Family]] = {
    own.name: own for own in (QWEN2_5_VL, QWEN2_5_OMNI, QWEN3_VL, VIDEO_LLAMA_3, INTERNVL, GENERIC)
}


def family_for(model_type: str) -> Family:
    """The family that serves a kind of checkpoint.

    Args:
        model_type: as the checkpoint's configuration says.

    Raises:
        FamilyError: none does.
    """
    for own in FAMILIES.values():
        if model_type in own.model_types:
            return own
    known = ", ".join(name for own in FAMILIES.values() for name in own.model_types)
    raise FamilyError(
        f"no family takes the model type {model_type!r}; there are {known}. Serve the model and ask it through the server"
    )
