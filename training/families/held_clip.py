"""The encoder of training for one clip that was read already."""

from pathlib import Path
from typing import Any

from ..clips import Clip
from ..clips import ClipCache
from ..clips import MediaSettings
from ..media import MediaEncoder


class _HeldClip(ClipCache):
    """A cache that has one clip, in memory; it gives it whatever it is asked for."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip

    def clip(self, path: Path, settings: MediaSettings) -> Clip:
        return self._clip


def held_clip_encoder(processor: Any, clip: Clip, settings: MediaSettings) -> MediaEncoder:
    """An encoder that gives its model ``clip``, whatever video the messages name.

    Raises:
        MediaError: sound is asked for, or left out, against what the family of the processor takes.
    """
    return MediaEncoder(processor, settings, _HeldClip(clip))
