"""`accelerate launch training/grpo.py --recipe training/recipes/avst_zero.yaml --push_to_hub`: AVST-Zero, trained with GRPO.

It departs from the paper in this: each component of the reward is one score of `r_avst.metrics`, where the released code
has rules of its own; times and boxes are matched one to one; weights by task, which the paper does not state, are options;
boxes are asked for in the pixels of the frames that the model is given, and the prompt says so; the reference for the
KL term sees the video as well. A step has the paper's 32 prompts with 6 completions each, counted as TRL counts them.
"""

# Absolute imports, so that the file also runs by its path; heavy ones in the functions, so that --help does not wait.
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

from r_avst.training.options import DataOptions
from r_avst.training.options import MediaOptions
from r_avst.training.options import PictureOptions
from r_avst.training.options import RewardOptions
from r_avst.training.options import RunOptions
from r_avst.training.options import StepOptions
from r_avst.training.options import check_epochs
from r_avst.training.options import check_full_weights
from r_avst.training.options import check_save_steps
from r_avst.training.options import check_unused
from r_avst.training.options import exit_code
from r_avst.training.options import parse_options

if TYPE_CHECKING:
    from r_avst.training.rewards import Rewards
    from r_avst.training.run_report import RunFacts
    from r_avst.training.run_setup import Prepared

PROGRAM = "r-avst-grpo"
DESCRIPTION = """\
Trains a Qwen2.5-VL or the thinker of a Qwen2.5-Omni with GRPO on the questions of a data set and their videos.

A recipe sets the options, one a line; what stands on the command line comes first. Videos that cannot be read are left out
before training, with a report. A run that was killed goes on from its newest whole checkpoint when it is started again.
"""
EPILOG = """\
examples:
  r-avst-grpo --recipe avst_zero_lora_80gb --dataset r-avst --videos videos
  accelerate launch --config_file training/recipes/accelerate/deepspeed_zero3_offload.yaml training/grpo.py \\
      --recipe avst_zero --dataset r-avst --videos videos --push_to_hub
  r-avst-grpo --recipe avst_zero_lora_80gb --videos videos --model_name_or_path runs/avst_zero_sft --box_every 2
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script `r-avst-grpo`."""
    return exit_code(PROGRAM, train, sys.argv[1:] if arguments is None else arguments)


def train(arguments: Sequence[str]) -> None:
    """The whole run: options, examples, model, rewards, steps, saving.

    Raises:
        ValueError: of this package's own classes, for everything that a user can set right.
    """
    from trl import GRPOConfig
    from trl import ModelConfig

    groups = (DataOptions, MediaOptions, RewardOptions, PictureOptions, StepOptions, RunOptions, ModelConfig, GRPOConfig)
    parsed = parse_options(PROGRAM, DESCRIPTION, EPILOG, groups, arguments)
    data, media, reward, pictures, step, run, model, training = parsed.groups
    check_unused(training)
    check_save_steps(training)
    check_full_weights(model.dtype or "auto", model, training)

    from r_avst.training.run_setup import adapter_config
    from r_avst.training.run_setup import begin
    from r_avst.training.run_setup import check_count
    from r_avst.training.run_setup import check_cycle
    from r_avst.training.run_setup import check_lengths
    from r_avst.training.run_setup import finish
    from r_avst.training.run_setup import load
    from r_avst.training.run_setup import name_adapter_base
    from r_avst.training.run_setup import prepare
    from r_avst.training.run_setup import resume_point

    point, adapter = resume_point(training, run, parsed.effective), adapter_config(model)
    check_cycle(point, training)
    rewards = load_rewards(media, reward)
    prepared = prepare(data, media, model, training)
    check_count(len(prepared.examples), training.generation_batch_size // training.num_generations)
    check_epochs(training, len(prepared.examples))
    begin(prepared, training, parsed.effective, point)
    policy, encoder = load(prepared, model, training)
    check_lengths(prepared, encoder, policy, training.max_completion_length, training)
    facts = gold_facts(prepared, data, training, encoder.processor.tokenizer)
    trainer = make_trainer(policy, encoder, prepared, rewards, training, adapter, facts, parsed.effective, pictures, step)
    name_adapter_base(trainer, prepared)
    trainer.train(resume_from_checkpoint=point)
    finish(trainer)


def load_rewards(media: MediaOptions, reward: RewardOptions) -> "Rewards":
    """The reward functions.

    Raises:
        WordVectorsError: the word vectors cannot be had.
    """
    from r_avst.metrics.avst_metrics.names import NameMatcher
    from r_avst.metrics.avst_metrics.word_vectors import load_word_vectors
    from r_avst.training.rewards import Rewards

    return Rewards(media.form, reward.weights, NameMatcher(load_word_vectors(reward.word_vectors)), reward.temporal_reward)


def gold_facts(prepared: "Prepared", data: DataOptions, training: Any, tokenizer: Any) -> "RunFacts":
    """Counts the tokens of the true answers with the model's tokenizer, and tells how many are beyond the limit."""
    from r_avst.training.run_report import RunFacts
    from r_avst.training.run_setup import answer_tokens
    from r_avst.training.run_setup import describe_ceiling
    from r_avst.training.run_setup import tell

    limit = training.max_completion_length
    counts = answer_tokens(tokenizer, prepared.examples, prepared.form)
    if training.process_index == 0:
        tell([*describe_lengths(prepared, tokenizer, counts, limit), *describe_ceiling(prepared)])
    return RunFacts(
        method="grpo",
        base_model=prepared.checkpoint.name,
        dataset=data.dataset,
        fingerprint=None,
        examples=len(prepared.examples),
        skipped=prepared.skipped,
        completion_limit=limit,
        gold_answers=len(counts),
        gold_too_long=sum(count > limit for count in counts),
    )


def describe_lengths(prepared: "Prepared", tokenizer: Any, counts: Sequence[int], limit: int) -> list[str]:
    """How many true answers no completion can reach, and what shorter forms would leave, as lines for the terminal."""
    from r_avst.training.run_setup import answer_tokens

    over = sum(count > limit for count in counts)
    lines = [
        f"{over:,} of {len(counts):,} true answers are longer than the completion limit of {limit:,} tokens "
        f"(longest {max(counts):,}, median {sorted(counts)[len(counts) // 2]:,})"
    ]
    every = prepared.form.box_every * 2
    shorter = {
        f"--box_every {every}": replace(prepared.form, box_every=every),
        f"--box_every {every} --decimals 0": replace(prepared.form, box_every=every, decimals=0),
    }
    for options, form in shorter.items() if over else ():
        left = sum(count > limit for count in answer_tokens(tokenizer, prepared.examples, form))
        lines.append(f"  {options} would leave {left:,}")
    return lines


def make_trainer(
    policy: Any,
    encoder: Any,
    prepared: "Prepared",
    rewards: "Rewards",
    training: Any,
    adapter: Any,
    facts: "RunFacts",
    effective: dict[str, Any],
    pictures: PictureOptions,
    step: StepOptions,
) -> Any:
    """The trainer with what tells of its run: report, card, progress, pictures of completions."""
    from r_avst.training.run_report import RunReporter
    from r_avst.training.run_setup import run_files
    from r_avst.training.tracking import AnswerPictures
    from r_avst.training.tracking import LatestCompletions
    from r_avst.training.tracking import senders_of
    from r_avst.training.tracking import use_run_progress
    from r_avst.training.video_grpo_trainer import VideoGRPOTrainer

    latest, rows = LatestCompletions(), prepared.rows
    trainer = VideoGRPOTrainer(
        model=policy,
        encoder=encoder,
        observer=latest.observe,
        shared_prompt=step.shared_prompt,
        reward_funcs=rewards.functions(),
        args=training,
        train_dataset=rows,
        peft_config=adapter,
    )
    facts = replace(facts, fingerprint=rows._fingerprint, shared_prompt=trainer.sharing.told)
    trainer.run_files = run_files(facts, prepared, effective)
    trainer.add_callback(RunReporter(facts))
    use_run_progress(trainer)
    if pictures.picture_every:
        trainer.add_callback(
            AnswerPictures(
                latest,
                prepared.form,
                pictures.picture_every,
                pictures.picture_count,
                prepared.settings.decoder,
                senders_of(trainer),
            )
        )
    return trainer


if __name__ == "__main__":
    sys.exit(main())
