"""Any model behind a server. GroundingGPT, for one, has no port in transformers: it can only be asked so."""

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from r_avst.metrics.avst_metrics.coordinates import Size

from ..clips import Clip
from ..clips import MediaSettings
from ..clips import processed_size
from ..clips import read_clip
from .family import NOT_VERIFIED
from .family import Family
from .family import FamilyError

if TYPE_CHECKING:
    from torch import Tensor


def _processed_size(processor: Any, source_size: Size, frames: int, settings: MediaSettings) -> Size:
    """Of the frames that are sent; what the server makes of them is not known."""
    return processed_size(source_size, settings)


def _read(processor: Any, path: Path, settings: MediaSettings) -> Clip:
    return read_clip(path, settings)


def _encode(processor: Any, clip: Clip, text: str, settings: MediaSettings) -> "dict[str, Tensor]":
    raise FamilyError("a model of the family generic is asked through a server, not through transformers")


GENERIC: Final = Family(
    name="generic",
    model_types=(),
    model_class="",
    checkpoints=("GroundingGPT",),
    space="norm1000",
    hears=False,
    evidence=f"{NOT_VERIFIED}: the prompt asks for 0 to 1000, which stays right however a server resizes frames.",
    processed_size=_processed_size,
    read=_read,
    encode=_encode,
)
