"""What is to be known of a family of models so that a question about a video can be put to it, and its boxes be read."""

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.coordinates import Space

from ..clips import Clip
from ..clips import MediaSettings

if TYPE_CHECKING:
    from torch import Tensor

NOT_VERIFIED = "not verified"


class FamilyError(ValueError):
    """A model, or a setting, that no family takes; the message says what there is."""


def chat_text(processor: Any, clip: Clip, text: str) -> str:
    """One user message, the video and the text behind it, as the processor's chat template writes it."""
    messages = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": text}]}]
    chat: str = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return chat


@dataclass(frozen=True, slots=True)
class Family:
    """Models that take videos, and write boxes, in one way.

    Attributes:
        name: as ``--family`` takes it.
        model_types: of the configurations (``config.model_type``) of the checkpoints that it serves.
        model_class: of transformers; empty where transformers has none and only a server can run the model.
        checkpoints: published ones that are known to be of it.
        space: in which they write boxes.
        hears: whether they can be given the sound.
        evidence: where ``space`` is stated; `NOT_VERIFIED` where no statement was found.
        processed_size: (processor, source size, number of frames, settings): width and height of the frames that the model
            is given, which the space ``model`` refers to. As the model's own processor would resize them.
        read: (processor, video, settings): the clip, its frames at the processed size.
        encode: (processor, clip, text of the prompt, settings): one sample for the model; what it is told of times are the
            times of the clip's frames.
        chat: (processor, clip, text of the prompt): the conversation that `encode` gives the processor, the clip one
            placeholder in it.
        sound_flags: what every forward pass needs beside tensors where the sound is given.
    """

    name: str
    model_types: tuple[str, ...]
    model_class: str
    checkpoints: tuple[str, ...]
    space: Space
    hears: bool
    evidence: str
    processed_size: Callable[[Any, Size, int, MediaSettings], Size]
    read: Callable[[Any, Path, MediaSettings], Clip]
    encode: Callable[[Any, Clip, str, MediaSettings], "dict[str, Tensor]"]
    chat: Callable[[Any, Clip, str], str] = chat_text
    sound_flags: Mapping[str, Any] = field(default_factory=dict)

    def check(self, settings: MediaSettings) -> None:
        """Compares settings with what the family can do.

        Raises:
            FamilyError: sound is to be given to a model that does not hear.
        """
        if settings.audio and not self.hears:
            raise FamilyError(f"models of the family {self.name} do not hear: leave the sound out")
