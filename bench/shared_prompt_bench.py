"""Benchmarks of a GRPO step whose completions share their prompt, against the plain path: time, and memory of a process.

A step is the loss of a micro-batch of one group, forwards and backwards, and the optimizer, by the trainer itself; what was
generated is given. As a program it takes two steps and prints by how many megabytes the memory of its process rose at most::

    PYTHONPATH=tests python bench/shared_prompt_bench.py FOLDER 8 on
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets import Dataset
from measure import Row
from measure import median_seconds
from peak_memory import peak_memory
from sounding_clips import write_sounding_clip
from transformers import AutoProcessor
from transformers import Qwen2_5_VLForConditionalGeneration
from trl import GRPOConfig

from r_avst.training.clips import ClipCache
from r_avst.training.clips import MediaSettings
from r_avst.training.media import MediaEncoder
from r_avst.training.options import Sharing
from r_avst.training.tiny_models import TinySize
from r_avst.training.tiny_models import write_tiny_vl
from r_avst.training.video_grpo_trainer import VideoGRPOTrainer

FOLDER = tempfile.TemporaryDirectory(prefix="r-avst-bench-")
SIZE = TinySize(hidden=256, layers=4, vision_width=128, vision_layers=2)
SECONDS, FRAME = 16.0, (224, 168)  # at 2 frames a second, 16 x 48 tokens
MEDIA = MediaSettings(fps=2.0, max_frames=64, min_pixels=784, max_pixels=224 * 168, audio=False, decoder="pyav")
COMPLETION = 64  # tokens; of recipes: 300 of a mean answer, behind 4,000 of a prompt
QUESTION = "When is the moment red square makes sound and is visible?"
RUNS = 5


class FixedBatch(VideoGRPOTrainer):
    """Learns from the batch that it is given."""

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        return generation_batch


@dataclass(frozen=True)
class Bench:
    """A trainer, its micro-batch, and the tokens of its prompt."""

    trainer: Any
    batch: dict[str, Any]
    prompt: int

    def step(self) -> float:
        """One step; the loss."""
        loss = self.trainer.training_step(self.trainer.model, dict(self.batch), None)
        self.trainer.optimizer.step()
        self.trainer.optimizer.zero_grad()
        return float(loss)


def bench_of(folder: Path, size: int, shared: Sharing) -> Bench:
    """A group of ``size`` random completions of one prompt."""
    messages = [
        {"role": "user", "content": [{"type": "video", "video": str(clip(folder))}, {"type": "text", "text": QUESTION}]}
    ]
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder / "model")
    encoder = MediaEncoder(AutoProcessor.from_pretrained(folder / "model"), MEDIA, ClipCache(folder / "cache", 10**9))
    trainer = FixedBatch(
        model=model,
        encoder=encoder,
        shared_prompt=shared,
        reward_funcs=[lambda completions, **columns: [0.0] * len(completions)],
        args=config(folder, size),
        train_dataset=Dataset.from_list([{"prompt": messages}]),
    )
    trainer.create_optimizer()
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    sample = encoder.encode(messages)
    prompt = sample["input_ids"].expand(size, -1)
    completions = torch.randint(20, 200, (size, COMPLETION), generator=torch.Generator().manual_seed(size))
    batch = {
        "prompt_ids": prompt,
        "prompt_mask": torch.ones_like(prompt),
        "completion_ids": completions,
        "completion_mask": torch.ones_like(completions),
        "advantages": torch.linspace(-1, 1, size),
        "num_items_in_batch": torch.tensor(completions.numel()),
        "media": [sample] * size,
    }
    return Bench(trainer, batch, prompt.size(1))


def config(folder: Path, size: int) -> GRPOConfig:
    return GRPOConfig(
        str(folder / "out"),
        per_device_train_batch_size=size,
        num_generations=size,
        beta=0.0,
        activation_checkpointing=False,
        report_to=[],
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
    )


def clip(folder: Path) -> Path:
    path = folder / "clip.mp4"
    return path if path.exists() else write_sounding_clip(path, SECONDS, size=FRAME)


@cache
def prepared() -> Path:
    """A folder with a clip and a model."""
    folder = Path(FOLDER.name)
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    write_tiny_vl(folder / "model", 0, [QUESTION], SIZE)
    bench_of(folder, 2, "off")  # decodes the clip, for all
    return folder


# --- time -------------------------------------------------------------------------------------------------------------


def step_time(size: int) -> Row:
    """Seconds of one core for a step; both take turns. The wall clock would also count what else runs on the machine."""
    shared, plain = (bench_of(prepared(), size, own) for own in ("on", "off"))
    first = shared.step(), plain.step()
    if abs(first[0] - first[1]) > 1e-5:
        raise RuntimeError(f"the losses differ: {first}")
    ours, theirs = median_seconds(shared.step, plain.step, runs=RUNS, clock=time.process_time)
    bound = size * (shared.prompt + COMPLETION) / (shared.prompt + size * COMPLETION)
    against = (
        f"plain path, {size} completions of {COMPLETION} tokens behind {shared.prompt} of a prompt: {theirs:.2f} s; "
        f"by tokens alone {bound:.2f} times"
    )
    aim = f"{max(bound, 5.0) if size == 8 else bound:.2f} times faster or better"
    return Row(f"shared_prompt_g{size}", ours, "s of CPU", against, theirs / ours, aim)


# --- memory -----------------------------------------------------------------------------------------------------------


def step_memory(size: int) -> Row:
    """By how much a process grows in two steps, at most."""
    ours, theirs = (_growth(prepared(), size, own) for own in ("on", "off"))
    against = f"plain path, the same completions: {theirs:.0f} MB; both beyond what the process held before its first step"
    aim = "0.25 or less" if size >= 8 else "told, no aim"
    return Row(f"shared_prompt_memory_g{size}", ours, "MB", against, ours / theirs, aim)


def _growth(folder: Path, size: int, shared: str) -> float:
    command = [sys.executable, __file__, str(folder), str(size), shared]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "tests")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def take_two_steps(folder: Path, size: int, shared: Sharing) -> int:
    own = bench_of(folder, size, shared)
    before = resident_memory()
    own.step()
    own.step()
    print(peak_memory() - before)
    return 0


def resident_memory() -> float:
    """Megabytes (MiB) that this process holds at this moment."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def _benchmark(measure: Callable[[int], Row], name: str, size: int) -> Callable[[], Row]:
    def benchmark() -> Row:
        return measure(size)

    benchmark.__name__ = f"{name}_g{size}"
    return benchmark


GROUPS = (2, 4, 8, 16)
BENCHMARKS = [
    _benchmark(measure, name, size)
    for measure, name in ((step_time, "shared_prompt"), (step_memory, "shared_prompt_memory"))
    for size in GROUPS
]

if __name__ == "__main__":
    sys.exit(take_two_steps(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))  # type: ignore[arg-type]
