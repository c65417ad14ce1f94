"""What `r-avst-grpo` and `r-avst-sft` do alike: examples, model and trainer's files before the steps, saving after them."""

import json
import re
import shutil
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import Final

import datasets
import yaml
from accelerate.utils import is_peft_model
from trl import get_peft_config
from trl import get_quantization_config

from r_avst.dataset_builder.line_files import put_text
from r_avst.metrics.avst_metrics.answers import parse_answer

from .answer_form import AnswerForm
from .answer_form import answer_text
from .clips import ClipCache
from .clips import MediaSettings
from .examples import FACTS_FILE
from .examples import Example
from .examples import Skipped
from .examples import clip_bytes
from .examples import describe_skipped
from .examples import example_rows
from .examples import load_examples
from .examples import write_skipped
from .media import MediaEncoder
from .options import DataOptions
from .options import MediaOptions
from .options import OptionError
from .options import RunOptions
from .options import hears
from .policy import Checkpoint
from .policy import find_checkpoint
from .policy import load_policy
from .policy import set_adapter_base
from .rewards import form_ceiling
from .run_card import write_run_card
from .run_report import RunFacts
from .run_report import hub_name
from .run_report import last_name
from .run_report import report_of
from .run_report import write_report

RECIPE_FILE: Final = "recipe.yaml"
START_FOLDER: Final = "_start"
"""For the checkpoint made of an Omni or an adapter. An upload leaves out what begins with an underscore."""
KINDS: Final = {"vl": "avst-zero", "omni": "avst-zero-omni"}
FOLDERS: Final = ("cache", "dataset", "logging_dir", "model_name_or_path", "output_dir", "videos")
FREE: Final = frozenset(
    (
        "output_dir",
        "logging_dir",
        "num_train_epochs",
        "max_steps",
        "save_steps",
        "save_strategy",
        "save_total_limit",
        "logging_steps",
        "report_to",
        "run_name",
        "project",
        "push_to_hub",
        "hub_model_id",
        "hub_strategy",
        "hub_private_repo",
        "hub_always_push",
        "resume_from_checkpoint",
        "start_over",
        "videos",
        "cache",
        "cache_gb",
        "prepare_processes",
        "picture_every",
        "picture_count",
        "disable_tqdm",
        "dataloader_num_workers",
        "log_completions",
        "num_completions_to_print",
        "use_cpu",
    )
)
"""Options that a run may go on with although they were others before."""
DEFAULT: Final = "(default)"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known before weights are loaded."""

    checkpoint: Checkpoint
    settings: MediaSettings
    form: AnswerForm
    cache: ClipCache
    examples: Sequence[Example]
    skipped: Sequence[Skipped]

    @property
    def rows(self) -> datasets.Dataset:
        """The data set of the trainer."""
        return example_rows(self.examples, self.form, self.settings.audio)


def prepare(data: DataOptions, media: MediaOptions, model: Any, training: Any) -> Prepared:
    """Finds the checkpoint, reads the videos and tells what is left out, in ``skipped.jsonl`` and on the terminal.

    Args:
        data: as given.
        media: as given.
        model: a `trl.ModelConfig`.
        training: a `trl.GRPOConfig` or `trl.SFTConfig`.

    Raises:
        OptionError: there is no model's name, sound is asked of a model that cannot hear, or an upload would be of no use.
        PolicyError: the checkpoint is none that can be trained.
        BenchmarkError: the data set cannot be loaded.
        NoExamplesError: no question is left.
    """
    checkpoint = _checkpoint(model, training)
    settings = MediaSettings(
        fps=media.fps,
        max_frames=media.max_frames,
        min_pixels=media.min_pixels,
        max_pixels=media.max_pixels,
        audio=hears(media.audio, checkpoint.family),
        decoder=media.decoder,
    )
    cache = ClipCache(data.cache_path, data.cache_bytes)
    folder = Path(str(data.videos))
    examples, skipped = load_examples(
        data.dataset,
        data.split,
        folder,
        settings,
        cache,
        facts_file=data.cache_path / FACTS_FILE,
        processes=data.prepare_processes,
        limit=data.limit,
    )
    if training.process_index == 0:
        shown = [replace(own, reason=_without(folder, own.reason)) for own in skipped]
        path = write_skipped(shown, Path(training.output_dir))
        tell(_described(examples, skipped, path, clip_bytes(examples, settings), data))
    return Prepared(checkpoint, settings, media.form, cache, examples, skipped)


def _without(folder: Path, text: str) -> str:
    """A reason may be uploaded with the model: it is to name a file, and not where it lies on this machine."""
    for own in sorted({str(folder), str(folder.absolute()), str(folder.resolve())}, key=len, reverse=True):
        text = text.replace(f"{own}/", "")
    return text


def tell(lines: Iterable[str]) -> None:
    """Lines for the terminal, at once: what is printed by a launcher's children is held back otherwise."""
    for line in lines:
        print(line, flush=True)


def load(prepared: Prepared, model: Any, training: Any) -> tuple[Any, MediaEncoder]:
    """The model with its weights, and the encoder for it."""
    policy, processor = load_policy(
        prepared.checkpoint.name,
        model.dtype or "auto",
        folder=Path(training.output_dir) / START_FOLDER,
        attn_implementation=model.attn_implementation,
        quantization=get_quantization_config(model),
        revision=prepared.checkpoint.revision,
    )
    return policy, MediaEncoder(processor, prepared.settings, prepared.cache)


def adapter_config(model: Any) -> Any:
    """A PEFT configuration, or None where all weights are trained.

    Raises:
        OptionError: the weights are to be loaded in 4 or 8 bits, and no adapter is to be trained.
    """
    if (model.load_in_4bit or model.load_in_8bit) and not model.use_peft:
        raise OptionError("--load_in_4bit and --load_in_8bit are for a base that an adapter is trained on: add --use_peft")
    return get_peft_config(model)


def describe_ceiling(prepared: Prepared) -> list[str]:
    """What the true answers themselves score in the form, as a line for the terminal."""
    examples = prepared.examples
    found = form_ceiling(
        [parse_answer(own.truth).answer for own in examples],
        [own.task for own in examples],
        prepared.form,
        [(own.source_size, own.processed_size) for own in examples],
    )
    parts = [f"{name} {own.mean:.4f} (lowest {own.minimum:.3f}, {own.count:,} answers)" for name, own in found.items()]
    return [f"the true answers, written in this form and read back, score: {', '.join(parts)}"]


def answer_tokens(tokenizer: Any, examples: Iterable[Example], form: AnswerForm) -> list[int]:
    """Tokens of each true answer in a form, with the one that ends it."""
    texts = [
        answer_text(parse_answer(own.truth).answer, own.task, form, own.source_size, own.processed_size) for own in examples
    ]
    return [len(ids) + 1 for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]


# --- files of a run ---------------------------------------------------------------------------------------------------


def run_files(facts: RunFacts, prepared: Prepared, effective: Mapping[str, Any]) -> Callable[[Any], None]:
    """What writes ``run.json``, ``recipe.yaml`` and the card into the output folder of a trainer."""

    def write(trainer: Any) -> None:
        folder = Path(trainer.args.output_dir)
        write_report(report_of(trainer, facts), folder)
        write_run_card(
            KINDS[prepared.checkpoint.family],
            folder,
            write_recipe(effective, folder),
            dataset_id=hub_name(facts.dataset),
            base_model=hub_name(root_of(prepared.checkpoint).name),
        )

    return write


def write_recipe(effective: Mapping[str, Any], folder: Path) -> Path:
    """Writes the settings in effect as a recipe, without folders of this machine; returns its path."""
    path = folder / RECIPE_FILE
    head = "# The settings of this run, as --recipe takes them; folders are cut to their names.\n"
    put_text(path, head + yaml.safe_dump(shown_settings(effective), sort_keys=False))
    return path


def shown_settings(effective: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as others may see them: a folder tells of this machine, its last name does not."""
    return {name: last_name(value) if name in FOLDERS and value else value for name, value in effective.items()}


def root_of(checkpoint: Checkpoint) -> Checkpoint:
    """The model that an adapter, or an adapter's adapter, goes back to."""
    return checkpoint if checkpoint.base is None else root_of(checkpoint.base)


def finish(trainer: Any) -> None:
    """Saves model, processor, recipe, report and card, and uploads them where ``push_to_hub`` says so.

    Args:
        trainer: after its training.
    """
    trainer.save_model(trainer.args.output_dir)
    if trainer.args.should_save:
        trainer.create_model_card()
        tell([f"the model is in {trainer.args.output_dir}"])
    if trainer.args.push_to_hub:
        trainer.push_to_hub()
        if trainer.args.should_save:
            tell([f"it was uploaded to {trainer.hub_model_id}"])
    trainer.end()


def name_adapter_base(trainer: Any, prepared: Prepared) -> None:
    """Lets an adapter name as its base what others have too, before it is saved for the first time."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if is_peft_model(model):
        set_adapter_base(model, prepared.checkpoint)


# --- going on ---------------------------------------------------------------------------------------------------------


def resume_point(training: Any, run: RunOptions, effective: Mapping[str, Any]) -> str | None:
    """The checkpoint that a run goes on from; None where it begins.

    Without ``resume_from_checkpoint``, or with ``auto``, it is the newest whole one in the output folder.

    Args:
        training: a `trl.GRPOConfig` or `trl.SFTConfig`.
        run: ``start_over`` removes the checkpoints that are there.
        effective: the settings of this run.

    Raises:
        OptionError: the checkpoint named is none or not whole, or is of a run with other settings.
    """
    folder, named = Path(training.output_dir), training.resume_from_checkpoint
    if run.start_over:
        if named is not None:
            raise OptionError(f"--start_over and --resume_from_checkpoint {named} contradict each other: give one of them")
        _remove_checkpoints(folder, training)
        return None
    if named in (None, "auto", True, "True", "true"):
        whole = [path for path in _checkpoints(folder) if is_whole(path, training.world_size)]
        point = whole[-1] if whole else None
    else:
        point = Path(named)
        if not is_whole(point, training.world_size):
            raise OptionError(
                f"--resume_from_checkpoint {named}: there is no whole checkpoint of {training.world_size} "
                "processes there; give another, or auto for the newest whole one"
            )
    if point is None:
        return None
    _check_same_settings(point.parent, effective)
    if training.process_index == 0:
        tell([f"going on from {point}; --start_over begins anew"])
    return str(point)


def is_whole(checkpoint: Path, processes: int) -> bool:
    """Whether a checkpoint was written to its end: the trainer's state comes last, each process writes its random state.

    Args:
        checkpoint: its folder, ``checkpoint-STEP``.
        processes: that are to go on from it.
    """
    try:
        step = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["global_step"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    number = _CHECKPOINT.fullmatch(checkpoint.name)
    names = ["rng_state.pth"] if processes == 1 else [f"rng_state_{index}.pth" for index in range(processes)]
    return (number is None or int(number[1]) == step) and all((checkpoint / name).is_file() for name in names)


def _checkpoints(folder: Path) -> list[Path]:
    """By their steps, ascending."""
    found = [path for path in folder.glob("checkpoint-*") if _CHECKPOINT.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("checkpoint-")))


def _remove_checkpoints(folder: Path, training: Any) -> None:
    if training.process_index == 0:
        for path in _checkpoints(folder):
            shutil.rmtree(path)


def _check_same_settings(folder: Path, effective: Mapping[str, Any]) -> None:
    """A run goes on with the settings that it began with, or it would be none that anybody could repeat."""
    try:
        before = yaml.safe_load((folder / RECIPE_FILE).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return
    if not isinstance(before, dict):
        return
    now = shown_settings(effective)
    for name in sorted({*before, *now} - FREE):
        if before.get(name) != now.get(name):
            raise OptionError(
                f"{folder} holds checkpoints of a run with other settings: {name} was {before.get(name, DEFAULT)!r} and is "
                f"{now.get(name, DEFAULT)!r}. Give another --output_dir, or --start_over"
            )


# --- what is told -----------------------------------------------------------------------------------------------------


def _checkpoint(model: Any, training: Any) -> Checkpoint:
    if not model.model_name_or_path:
        raise OptionError("--model_name_or_path is not given: name a checkpoint, such as Qwen/Qwen2.5-VL-7B-Instruct")
    checkpoint = find_checkpoint(model.model_name_or_path, model.model_revision)
    if checkpoint.base is not None and model.use_peft and training.push_to_hub:
        raise OptionError(
            f"--push_to_hub would upload an adapter whose base nobody else has: {checkpoint.name} is an adapter itself "
            "and is merged into its base first. Train all weights (no --use_peft), or upload the merged model and start "
            "from that"
        )
    return checkpoint


def _described(
    examples: Sequence[Example], skipped: Sequence[Skipped], path: Path, needed: int, data: DataOptions
) -> list[str]:
    videos = len({own.video for own in examples})
    lines = [f"{len(examples):,} questions on {videos:,} videos to learn from, {len(skipped):,} skipped ({path})"]
    lines += describe_skipped(skipped)
    if needed > data.cache_bytes:
        lines.append(
            f"the decoded videos take {needed / 1e9:.1f} GB, the cache holds {data.cache_gb:g}: some will be decoded "
            f"again and again; --cache_gb {needed / 1e9 + 1:.0f} prevents it"
        )
    return lines
