"""SFT on labels of which a share is wrong, then GRPO: both with this project's own trainers."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from statistics import fmean
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback
from trl import GRPOConfig
from trl import SFTConfig

from r_avst.metrics.avst_metrics.answers import write_answer

from ..examples import Example
from ..examples import example_rows
from ..rewards import Rewards
from ..rewards import RewardWeights
from ..video_grpo_trainer import VideoGRPOTrainer
from ..video_sft_trainer import VideoSFTTrainer
from .controls import NAMES
from .controls import best_constant
from .preparing import Prepared
from .preparing import truth_of
from .tasks import Phase

COPIES = 8  # of a clip in the rows of a phase, each with a label of its own
WARM_UP = 20  # steps of SFT
GRPO_WARM_UP = 5
LOSS_WINDOW = 20  # steps


class StopBelow(TrainerCallback):
    """Ends a training whose mean loss over the last 20 steps is below ``loss``."""

    def __init__(self, loss: float) -> None:
        self._loss = loss
        self._losses: list[float] = []

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Asked after each step."""
        if "loss" in kwargs["logs"]:
            self._losses.append(kwargs["logs"]["loss"])
        latest = self._losses[-LOSS_WINDOW:]
        if len(latest) == LOSS_WINDOW and fmean(latest) < self._loss:
            control.should_training_stop = True


class StepBar(TrainerCallback):
    """A progress bar of steps, and nothing else."""

    def __init__(self, name: str, steps: int) -> None:
        self._bar = tqdm(total=steps, desc=name, unit="step", leave=False)

    def on_step_end(self, *_arguments: Any, **_options: Any) -> None:
        """One further."""
        self._bar.update()

    def on_train_end(self, *_arguments: Any, **_options: Any) -> None:
        """It disappears."""
        self._bar.close()


def labelled(prepared: Prepared, phase: Phase, rng: Random) -> list[Example]:
    """The training clips several times over, each time with a label that is right or wrong by draw."""
    choices, task = prepared.task.world.choices, prepared.task.world.task
    constant = best_constant([truth_of(own) for own in prepared.training], choices, task)[0]

    def label(example: Example) -> Example:
        if rng.random() < phase.right:
            return example
        wrong = constant if phase.wrong == "constant" else rng.choice(choices)
        return replace(example, truth=write_answer(wrong, task))

    return [label(example) for _ in range(COPIES) for example in prepared.training]


def fine_tune(prepared: Prepared, phase: Phase, seed: int) -> int:
    """A phase of SFT; changes the model of ``prepared``. Returns the number of steps."""
    task = prepared.task
    rows = example_rows(labelled(prepared, phase, Random(seed)), task.form, task.media.audio)
    arguments = SFTConfig(
        str(prepared.folder / "sft"),
        per_device_train_batch_size=task.sft_batch,
        max_steps=phase.steps,
        learning_rate=phase.rate,
        warmup_steps=WARM_UP,
        **_common(seed),
    )
    trainer = VideoSFTTrainer(prepared.model, prepared.encoder, args=arguments, train_dataset=rows)
    trainer.add_callback(StopBelow(phase.until))
    _train(trainer, "SFT")
    return int(trainer.state.global_step)


def reinforce(prepared: Prepared, seed: int) -> list[float]:
    """GRPO; changes the model of ``prepared``. Returns the mean score of the task at each step, before weights."""
    task = prepared.task
    rows = example_rows(rewarded(prepared, seed), task.form, task.media.audio)
    arguments = GRPOConfig(
        str(prepared.folder / "grpo"),
        per_device_train_batch_size=task.grpo_batch,
        num_generations=task.generations,
        max_steps=task.grpo_steps,
        max_completion_length=prepared.most_tokens,
        learning_rate=task.grpo_rate,
        warmup_steps=GRPO_WARM_UP,
        beta=0.0,
        loss_type="dr_grpo",
        **_common(seed),
    )
    functions = Rewards(task.form, RewardWeights(), NAMES, "tiou").functions()
    trainer = VideoGRPOTrainer(
        prepared.model,
        prepared.encoder,
        shared_prompt="on" if task.shared_prompt else "off",
        reward_funcs=functions,
        args=arguments,
        train_dataset=rows,
    )
    _train(trainer, "GRPO")
    key = f"score/{task.world.task}/{'spatial' if task.world.task == 'spatial' else 'temporal'}"
    return [entry[key] for entry in trainer.state.log_history if key in entry]


def rewarded(prepared: Prepared, seed: int) -> Sequence[Example]:
    """The training clips with the truth that the rewards compare with: their own, or that of another clip."""
    own = prepared.training
    if prepared.task.truths == "own":
        return own
    shift = Random(seed).randint(1, len(own) - 1)
    return [replace(example, truth=own[(index + shift) % len(own)].truth) for index, example in enumerate(own)]


def _train(trainer: Any, name: str) -> None:
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(StepBar(name, trainer.args.max_steps))
    trainer.train()


def _common(seed: int) -> dict[str, Any]:
    return {
        "lr_scheduler_type": "constant_with_warmup",
        "max_grad_norm": 1.0,
        "activation_checkpointing": False,
        "disable_tqdm": True,  # `StepBar` is there instead: theirs writes a line of figures a step
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "bf16": False,
        "seed": seed,
    }
