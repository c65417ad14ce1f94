"""`accelerate launch training/sft.py --recipe training/recipes/avst_zero_sft.yaml`: the paper's baseline, and a warm start.

Fine-tunes on the true answers (arXiv 2511.16901, table 4).

Same prompt, same media and same form of the answer as in `r-avst-grpo`; the loss is on the answer alone. The paper does not
say what its baseline's answers looked like: here they are the released ones, boxes converted to the space of the recipe.
"""

# Absolute imports, so that the file also runs by its path; heavy ones in the functions, so that --help does not wait.
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

from r_avst.training.options import DataOptions
from r_avst.training.options import MediaOptions
from r_avst.training.options import RunOptions
from r_avst.training.options import check_full_weights
from r_avst.training.options import check_unused
from r_avst.training.options import exit_code
from r_avst.training.options import parse_options

if TYPE_CHECKING:
    from r_avst.training.run_report import RunFacts
    from r_avst.training.run_setup import Prepared

PROGRAM = "r-avst-sft"
DESCRIPTION = """\
Fine-tunes a Qwen2.5-VL or the thinker of a Qwen2.5-Omni on the true answers of a data set and their videos.

A recipe sets the options, one a line; what stands on the command line comes first. Videos that cannot be read are left out
before training, with a report. A run that was killed goes on from its newest whole checkpoint when it is started again.
"""
EPILOG = """\
examples:
  r-avst-sft --recipe avst_zero_sft --dataset r-avst --videos videos
  r-avst-grpo --recipe avst_zero --dataset r-avst --videos videos --model_name_or_path runs/avst_zero_sft
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script `r-avst-sft`."""
    return exit_code(PROGRAM, train, sys.argv[1:] if arguments is None else arguments)


def train(arguments: Sequence[str]) -> None:
    """The whole run: options, examples, model, steps, saving.

    Raises:
        ValueError: of this package's own classes, for everything that a user can set right.
    """
    from trl import ModelConfig
    from trl import SFTConfig

    groups = (DataOptions, MediaOptions, RunOptions, ModelConfig, SFTConfig)
    parsed = parse_options(PROGRAM, DESCRIPTION, EPILOG, groups, arguments)
    data, media, run, model, training = parsed.groups

    check_unused(training)
    check_full_weights(model.dtype or "auto", model, training)

    from r_avst.training.run_setup import adapter_config
    from r_avst.training.run_setup import answer_tokens
    from r_avst.training.run_setup import begin
    from r_avst.training.run_setup import check_count
    from r_avst.training.run_setup import check_lengths
    from r_avst.training.run_setup import describe_ceiling
    from r_avst.training.run_setup import finish
    from r_avst.training.run_setup import load
    from r_avst.training.run_setup import name_adapter_base
    from r_avst.training.run_setup import prepare
    from r_avst.training.run_setup import resume_point
    from r_avst.training.run_setup import tell

    point, adapter = resume_point(training, run, parsed.effective), adapter_config(model)
    prepared = prepare(data, media, model, training)
    step = training.per_device_train_batch_size * training.world_size * training.gradient_accumulation_steps
    check_count(len(prepared.examples), step)
    begin(prepared, training, parsed.effective, point)
    if training.process_index == 0:
        tell(describe_ceiling(prepared))
    policy, encoder = load(prepared, model, training)
    longest = max(answer_tokens(encoder.processor.tokenizer, prepared.examples, prepared.form))
    check_lengths(prepared, encoder, policy, longest, training)
    trainer = make_trainer(policy, encoder, prepared, training, adapter, sft_facts(prepared, data), parsed.effective)
    name_adapter_base(trainer, prepared)
    trainer.train(resume_from_checkpoint=point)
    finish(trainer)


def sft_facts(prepared: "Prepared", data: DataOptions) -> "RunFacts":
    """What the report tells of the run; no answer is too long for SFT, as nothing cuts it."""
    from r_avst.training.run_report import RunFacts

    return RunFacts(
        method="sft",
        base_model=prepared.checkpoint.name,
        dataset=data.dataset,
        fingerprint=None,
        examples=len(prepared.examples),
        skipped=prepared.skipped,
        completion_limit=None,
        gold_answers=None,
        gold_too_long=None,
    )


def make_trainer(
    policy: Any,
    encoder: Any,
    prepared: "Prepared",
    training: Any,
    adapter: Any,
    facts: "RunFacts",
    effective: dict[str, Any],
) -> Any:
    """The trainer with what tells of its run: report, card, progress."""
    from r_avst.training.run_report import RunReporter
    from r_avst.training.run_setup import run_files
    from r_avst.training.tracking import use_run_progress
    from r_avst.training.video_sft_trainer import VideoSFTTrainer

    rows = prepared.rows
    facts = replace(facts, fingerprint=rows._fingerprint)
    trainer = VideoSFTTrainer(
        model=policy,
        encoder=encoder,
        run_files=run_files(facts, prepared, effective),
        args=training,
        train_dataset=rows,
        peft_config=adapter,
        callbacks=[RunReporter(facts)],
    )
    use_run_progress(trainer)
    return trainer


if __name__ == "__main__":
    sys.exit(main())
