"""What the tests of trainers share: tiny models, clips, rows, and runs that can be told from a command line.

As a program it trains a few steps of GRPO and saves the weights; the tests of resuming and of two processes start it::

    python tests/tiny_training.py FOLDER --family vl --lora --steps 4 --die-at 3
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from sounding_clips import write_sounding_clip
from torch.distributed.tensor import DTensor
from transformers import AutoProcessor
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers import Qwen2_5OmniThinkerForConditionalGeneration
from transformers import TrainerCallback
from trl import GRPOConfig

from r_avst.training.clips import ClipCache
from r_avst.training.clips import MediaSettings
from r_avst.training.media import TEXT_FIELDS
from r_avst.training.media import MediaEncoder
from r_avst.training.tiny_models import WRITERS
from r_avst.training.video_grpo_trainer import VideoGRPOTrainer

MODELS: dict[str, Any] = {
    "vl": Qwen2_5_VLForConditionalGeneration,
    "omni": Qwen2_5OmniThinkerForConditionalGeneration,
}
QUESTIONS = (
    "When is the moment red square makes sound and is visible?",
    "When is it?",
    "What visible object(s) make sound between 0.0 and 2.0, and where is/are they?",
    "Where?",
)
CLIPS: tuple[dict[str, Any], ...] = (
    {"seconds": 3.0, "tone": 300.0, "seen": (1.0, 2.0)},
    {"seconds": 4.0, "colour": (0, 255, 0), "tone": 900.0, "heard": (1.0, 3.0)},
    {"seconds": 6.0, "colour": (0, 0, 255), "tone": None},
    {"seconds": 4.0, "colour": (255, 255, 0), "tone": 2000.0, "heard": (2.0, 4.0), "size": (112, 56)},
)
"""Of different lengths and shapes, and one without a sound track."""


def settings(family: str) -> MediaSettings:
    return MediaSettings(fps=2.0, max_frames=16, min_pixels=784, max_pixels=784 * 8, audio=family == "omni", decoder="pyav")


def tiny_encoder(folder: Path, family: str) -> MediaEncoder:
    """An encoder of a tiny checkpoint, which is written where it is not there yet."""
    return MediaEncoder(
        AutoProcessor.from_pretrained(tiny_checkpoint(folder, family)),
        settings(family),
        ClipCache(folder / "cache", 100_000_000),
    )


def tiny_checkpoint(folder: Path, family: str) -> Path:
    path = folder / f"tiny-{family}"
    if not (path / "config.json").exists():
        WRITERS[family](path, 0, QUESTIONS)
    return path


def tiny_prompts(folder: Path) -> list[list[dict[str, Any]]]:
    """A prompt a clip, with questions of different lengths."""
    prompts = []
    for number, (question, clip) in enumerate(zip(QUESTIONS, CLIPS, strict=True)):
        path = folder / f"clip{number}.mp4"
        if not path.exists():
            write_sounding_clip(path, **clip)
        blocks = [{"type": "video", "video": str(path)}, {"type": "text", "text": question}]
        prompts.append([{"role": "user", "content": blocks}])
    return prompts


def tiny_rows(folder: Path) -> Dataset:
    return Dataset.from_list([{"prompt": prompt, "number": number} for number, prompt in enumerate(tiny_prompts(folder))])


def tiny_model(folder: Path, family: str) -> Any:
    return MODELS[family].from_pretrained(tiny_checkpoint(folder, family))


def lora() -> LoraConfig:
    return LoraConfig(r=4, lora_alpha=8, target_modules=r".*(language_model|^model)\.layers\..*(q_proj|v_proj|up_proj)")


def grpo_config(output: Path, **options: Any) -> GRPOConfig:
    """Two prompts at once, two completions each, accumulation, checkpointing of activations, a reference, two iterations."""
    given: dict[str, Any] = {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "num_generations": 2,
        "num_iterations": 2,
        "max_completion_length": 6,
        "beta": 0.1,
        "learning_rate": 1e-3,
        "gradient_checkpointing": True,
        "max_steps": 4,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
        "seed": 0,
    }
    return GRPOConfig(str(output), **{**given, **options})


def token_reward(completion_ids: Sequence[Sequence[int]], **columns: Any) -> list[float]:
    """Something that differs between completions and says nothing of the clip."""
    return [sum(ids) % 13 / 13 for ids in completion_ids]


@torch.no_grad()
def plain_logps(model: Any, encoder: Any, sample: Any, ids: torch.Tensor, scored: int) -> torch.Tensor:
    """Log-probabilities of the last ``scored`` tokens, by the model's own logits of one sample without padding."""
    media = {name: value for name, value in sample.items() if name not in TEXT_FIELDS}
    if "mm_token_type_ids" in media:
        media["mm_token_type_ids"] = torch.cat([media["mm_token_type_ids"], torch.zeros(1, scored, dtype=torch.long)], dim=1)
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    logits = base(input_ids=ids[None], attention_mask=torch.ones_like(ids)[None], **media, **encoder.flags).logits[0]
    return logits[-scored - 1 : -1].log_softmax(-1).gather(-1, ids[-scored:, None])[:, 0]


class DieAt(TrainerCallback):
    """Kills its own process, without a farewell, before a step begins."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class FixedCompletions(VideoGRPOTrainer):
    """Says the same of a prompt however many processes there are."""

    def _generate_single_turn(self, prompt_ids: Any, images: Any, fields: Any, number: int, **options: Any) -> Any:
        first = self.accelerator.process_index * len(prompt_ids)
        places = range(first, first + len(prompt_ids))
        return [[40 + (7 * place + step * (place + 1)) % 50 for step in range(5)] for place in places], None


class KeepGradients(TrainerCallback):
    """Saves the gradients of the first step, as the optimizer gets them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        own = {name.removeprefix("module."): value.grad for name, value in kwargs["model"].named_parameters()}
        # Of weights that are spread, all processes take part in gathering a gradient.
        grads = {name: grad.full_tensor() if isinstance(grad, DTensor) else grad for name, grad in own.items()}
        if args.process_index == 0 and not self.path.exists():
            kept = {name: grad.clone() for name, grad in grads.items() if grad is not None}
            torch.save({**kept, "processes": torch.tensor(args.world_size)}, self.path)


def run_program(
    folder: Path, family: str, output: Path, *options: str, launcher: tuple[str, ...] = (sys.executable,)
) -> int:
    """Runs this file as a program; its exit status. Its output is shown where a test fails."""
    command = [*launcher, __file__, str(folder), "--family", family, "--output", str(output), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.run(command, env=environment, check=False, timeout=300).returncode


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--family", choices=sorted(MODELS), required=True)
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--save-steps", type=int, default=2)
    parser.add_argument("--die-at", type=int)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--gradients", type=Path)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--shared-prompt", choices=("auto", "on", "off"), default="auto")
    options = parser.parse_args()
    encoder = tiny_encoder(options.folder, options.family)
    chosen: dict[str, Any] = {"save_strategy": "steps", "save_steps": options.save_steps, "max_steps": options.steps}
    if options.gradients:
        chosen = {
            "max_steps": 1,
            "per_device_train_batch_size": options.batch,
            "gradient_accumulation_steps": 1,
            "num_iterations": 1,
            "loss_type": "grpo",
            "max_grad_norm": 0.0,
        }
    trainer_class = FixedCompletions if options.gradients else VideoGRPOTrainer
    callbacks: list[TrainerCallback] = [KeepGradients(options.gradients)] if options.gradients else []
    callbacks += [DieAt(options.die_at)] if options.die_at else []
    trainer = trainer_class(
        model=tiny_model(options.folder, options.family),
        encoder=encoder,
        shared_prompt=options.shared_prompt,
        reward_funcs=[token_reward],
        args=grpo_config(options.output, **chosen),
        train_dataset=tiny_rows(options.folder),
        peft_config=lora() if options.lora else None,
        callbacks=callbacks,
    )
    trainer.train(resume_from_checkpoint=options.resume or None)
    if not options.gradients:
        trainer.save_model(str(options.output / "final"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
