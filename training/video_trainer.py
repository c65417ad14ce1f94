"""What the trainers of this project do alike: resume with the weights of the checkpoint, and write the run's own card."""

from collections.abc import Callable
from typing import Any

import torch
from accelerate.utils import is_peft_model

RunFiles = Callable[[Any], None]
"""Writes what belongs to a run (its report, its card) into the output folder of the trainer that it is given."""


class VideoTrainerMixin:
    """To stand before a TRL trainer in the bases of a class."""

    run_files: RunFiles | None = None
    args: Any
    model: Any
    accelerator: Any
    is_fsdp_enabled: bool

    def _load_from_checkpoint(self, checkpoint: str, model: Any = None) -> None:
        # Transformers saves these models under the names of the published checkpoints, which are not those of the modules.
        # `Trainer` loads them with strict=False: without a word the initial weights would stay.
        own = self.accelerator.unwrap_model(model or self.model)
        if is_peft_model(own) or self.is_fsdp_enabled:
            super()._load_from_checkpoint(checkpoint, model)  # type: ignore[misc]
            return
        with torch.no_grad():
            saved = type(own).from_pretrained(checkpoint, dtype=own.dtype)
            own.load_state_dict(saved.state_dict(), strict=True)

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """Called at each checkpoint and before each upload: the card of this run, where there is one to write."""
        if self.run_files is None:
            super().create_model_card(*arguments, **options)  # type: ignore[misc]
        elif self.accelerator.is_main_process:
            self.run_files(self)
