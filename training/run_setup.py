"""What `r-avst-grpo` and `r-avst-sft` do alike: examples, model and trainer's files before the steps, saving after them."""

import json
import math
import os
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
from accelerate.utils import gather_object
from accelerate.utils import is_peft_model
from trl import get_peft_config
from trl import get_quantization_config

from r_avst.dataset_builder.line_files import put_text
from r_avst.dataset_builder.sound import SAMPLE_RATE
from r_avst.metrics.avst_metrics.answers import parse_answer

from .answer_form import AnswerForm
from .answer_form import answer_text
from .clips import FACTOR
from .clips import ClipCache
from .clips import MediaSettings
from .clips import frame_times
from .examples import FACTS_FILE
from .examples import Example
from .examples import NoExamplesError
from .examples import Skipped
from .examples import clip_bytes
from .examples import describe_skipped
from .examples import example_rows
from .examples import load_examples
from .examples import rows_digest
from .examples import write_skipped
from .media import MediaEncoder
from .options import DataOptions
from .options import MediaOptions
from .options import OptionError
from .options import RunOptions
from .options import check_full_weights
from .options import generation_cycle
from .options import hears
from .policy import MODELS
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
BEGUN_FILE: Final = "_begun.yaml"
"""Settings with whole paths, and digests of the rows: what a run that goes on must have as well. It is not uploaded."""
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
    """The model with its weights, and the encoder for it.

    Raises:
        OptionError: all weights would be trained in 16 bits, as the checkpoint has them.
    """
    policy, processor = load_policy(
        prepared.checkpoint.name,
        model.dtype or "auto",
        folder=Path(training.output_dir) / START_FOLDER,
        attn_implementation=model.attn_implementation,
        quantization=get_quantization_config(model),
        revision=prepared.checkpoint.revision,
    )
    check_full_weights(str(policy.dtype).removeprefix("torch."), model, training)
    _set_reference_revision(prepared.checkpoint, training)
    return policy, MediaEncoder(processor, prepared.settings, prepared.cache)


def _set_reference_revision(checkpoint: Checkpoint, training: Any) -> None:
    """TRL reads GRPO's reference anew by the name of the policy, which would be the newest revision."""
    own = checkpoint.base is None and checkpoint.model_type in MODELS
    if own and checkpoint.revision != "main" and getattr(training, "beta", None):
        training.model_init_kwargs = {"revision": checkpoint.revision}


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


def check_count(questions: int, needed: int) -> None:
    """Refuses a run that would end without a step.

    Args:
        questions: that are left to learn from.
        needed: for one step (SFT), or for one generation (GRPO, whose sampler leaves out what fills none).

    Raises:
        NoExamplesError: there are fewer.
    """
    if questions < needed:
        raise NoExamplesError(
            f"{questions:,} questions are too few: the first step takes {needed:,}. Give more of them, or a smaller "
            "--per_device_train_batch_size, --gradient_accumulation_steps or (GRPO) --steps_per_generation"
        )


def prompt_tokens(example: Example, settings: MediaSettings, processor: Any, text_tokens: int) -> int:
    """Tokens of a prompt with its video, by what is known of the video: nothing is decoded.

    Args:
        example: the question with sizes in pixels and seconds of its video.
        settings: how the video is sampled.
        processor: tells how many tokens a second of sound has; 25 in the published models.
        text_tokens: of the prompt with one placeholder for the video.
    """
    width, height = example.processed_size
    times, _ = frame_times(example.duration, settings.fps, settings.max_frames)
    video = math.ceil(len(times) / 2) * (width // FACTOR) * (height // FACTOR)
    if not settings.audio:
        return text_tokens - 1 + video
    rate: float = SAMPLE_RATE / processor.feature_extractor.hop_length / 4
    return text_tokens + 1 + video + math.ceil(example.duration * rate)


def check_lengths(prepared: Prepared, encoder: MediaEncoder, policy: Any, answer_limit: int, training: Any) -> None:
    """Tells the length of the longest prompt, and refuses one that leaves no room for its answer.

    Args:
        prepared: the questions.
        encoder: of the model.
        policy: whose configuration says how many places there are.
        answer_limit: tokens that an answer may have.
        training: a `trl.GRPOConfig` or `trl.SFTConfig`.

    Raises:
        OptionError: prompt and answer have more tokens than the model has places.
    """
    texts = [len(encoder.short_ids(row)) for row in prepared.rows["prompt"]]
    counts = [
        prompt_tokens(own, prepared.settings, encoder.processor, text)
        for own, text in zip(prepared.examples, texts, strict=True)
    ]
    longest = max(counts)
    own, places = prepared.examples[counts.index(longest)], policy.config.get_text_config().max_position_embeddings
    size = f"{own.video_id}, {own.duration:.1f} s at {own.processed_size[0]} x {own.processed_size[1]}"
    if longest + answer_limit > places:
        raise OptionError(
            f"the longest prompt has about {longest:,} tokens ({size}); with {answer_limit:,} of an answer that is more "
            f"than the {places:,} places of {prepared.checkpoint.name}: give a lower --max_pixels or --max_frames"
        )
    if training.process_index == 0:
        tell([f"the longest prompt has about {longest:,} tokens ({size}), the median {sorted(counts)[len(counts) // 2]:,}"])


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
    return {
        name: last_name(value) if name in FOLDERS and value else _shown(value, lambda path: Path(path).absolute().name)
        for name, value in effective.items()
    }


def _whole_settings(effective: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are compared: a path is the same from whatever folder it is named."""
    return {name: _shown(value, os.path.realpath) for name, value in effective.items()}


def _shown(value: Any, path: Callable[[str], str]) -> Any:
    """A value in which all strings that are paths of this machine are written as ``path`` says."""
    if isinstance(value, Mapping):
        return {name: _shown(own, path) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(own, path) for own in value]
    is_path = isinstance(value, str) and value and (os.path.isabs(value) or value[0] == "~" or os.path.exists(value))
    return path(os.path.expanduser(value)) if is_path else value


def root_of(checkpoint: Checkpoint) -> Checkpoint:
    """The model that an adapter, or an adapter's adapter, goes back to."""
    return checkpoint if checkpoint.base is None else root_of(checkpoint.base)


def finish(trainer: Any) -> None:
    """Saves model, processor, recipe, report and card, and uploads them where ``push_to_hub`` says so.

    Args:
        trainer: after its training.

    Raises:
        OptionError: an untrained model would be uploaded.
    """
    if trainer.args.push_to_hub and not trainer.state.global_step:
        raise OptionError("--push_to_hub: no step was taken, so nothing is uploaded; are there questions enough for one?")
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
        point = _newest_whole(folder, training)
    else:
        point = Path(named)
        if count := _writers(point):
            _check_processes(point, count, training.world_size)
        if not is_whole(point, training.world_size):
            raise OptionError(
                f"--resume_from_checkpoint {named}: there is no whole checkpoint of {training.world_size} "
                "processes there; give another, or auto for the newest whole one"
            )
    if point is None:
        return None
    _check_same_settings(point.parent, effective, training)
    if training.process_index == 0:
        tell([f"going on from {point}; --start_over begins anew"])
    return str(point)


def is_whole(checkpoint: Path, processes: int) -> bool:
    """Whether a checkpoint was written to its end: the trainer's state comes last, each process writes its random state.

    Args:
        checkpoint: its folder, ``checkpoint-STEP``.
        processes: that are to go on from it.
    """
    step = _global_step(checkpoint)
    if step is None:
        return False
    number = _CHECKPOINT.fullmatch(checkpoint.name)
    names = ["rng_state.pth"] if processes == 1 else [f"rng_state_{index}.pth" for index in range(processes)]
    return (number is None or int(number[1]) == step) and all((checkpoint / name).is_file() for name in names)


def check_cycle(point: str | None, training: Any) -> None:
    """Refuses to go on inside a generation cycle, as from the last checkpoint of a run whose steps ended there.

    Args:
        point: the checkpoint, or None.
        training: a `trl.GRPOConfig`.

    Raises:
        OptionError: the checkpoint is inside a cycle.
    """
    step, cycle = _global_step(Path(point)) if point else None, generation_cycle(training)
    if step is not None and step % cycle:
        raise OptionError(
            f"{point} was written after {step} steps, inside a generation cycle of {cycle} steps, whose answers it does not "
            "hold: give --resume_from_checkpoint one at a multiple of that, or --start_over"
        )


def _global_step(checkpoint: Path) -> int | None:
    """Steps that were taken before it was written; None where it was not written to its end."""
    try:
        return int(json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["global_step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _writers(checkpoint: Path) -> int:
    """Processes whose random states a checkpoint holds."""
    single = (checkpoint / "rng_state.pth").is_file()
    return 1 if single else len(list(checkpoint.glob("rng_state_*.pth")))


def _check_processes(checkpoint: Path, writers: int, processes: int) -> None:
    if writers != processes:
        raise OptionError(
            f"{checkpoint} has the random states of {writers} processes, and this run has {processes}: a run goes on with "
            f"as many as it began with. Launch it with --num_processes {writers}, or give another --output_dir, or "
            "--start_over"
        )


def _newest_whole(folder: Path, training: Any) -> Path | None:
    found = _checkpoints(folder)
    whole = [path for path in found if is_whole(path, training.world_size)]
    ended = [path for path in found if _global_step(path) is not None and _writers(path)]
    # The newest may lack random states because a kill came between them; it cannot have too many.
    if ended and (not whole or _writers(ended[-1]) > training.world_size):
        _check_processes(ended[-1], _writers(ended[-1]), training.world_size)
    if found and not whole and training.process_index == 0:
        tell([f"none of the {len(found)} checkpoints in {folder} is whole: the run begins anew"])
    return whole[-1] if whole else None


def _checkpoints(folder: Path) -> list[Path]:
    """By their steps, ascending."""
    found = [path for path in folder.glob("checkpoint-*") if _CHECKPOINT.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("checkpoint-")))


def _remove_checkpoints(folder: Path, training: Any) -> None:
    if training.process_index == 0:
        for path in _checkpoints(folder):
            shutil.rmtree(path)


def begin(prepared: Prepared, training: Any, effective: Mapping[str, Any], point: str | None) -> None:
    """Checks that all processes, and the run that is gone on with, have the same rows, and notes with what a run begins.

    Args:
        prepared: the questions.
        training: a `trl.GRPOConfig` or `trl.SFTConfig`.
        effective: the settings of this run.
        point: the checkpoint that it goes on from, or None.

    Raises:
        OptionError: the rows differ.
    """
    rows = rows_digest(prepared.rows)
    check_ranks_agree(gather_object([rows]))
    if point is not None:
        _check_same_rows(Path(point).parent, rows)
    if training.process_index == 0:
        write_begun(Path(training.output_dir), effective, rows)


def check_ranks_agree(found: Sequence[Mapping[str, int | str]]) -> None:
    """Refuses processes that would train on different questions, or wait for each other for ever.

    Args:
        found: of `rows_digest`, one a process.

    Raises:
        OptionError: they differ.
    """
    for rank, own in enumerate(found):
        if changed := _changed(found[0], own):
            raise OptionError(
                f"the processes found different questions: {own['questions']:,} in process {rank}, "
                f"{found[0]['questions']:,} in process 0; what differs is {changed}. Are videos and data set the same on "
                "all machines? skipped.jsonl tells what process 0 left out"
            )


def write_begun(folder: Path, effective: Mapping[str, Any], rows: Mapping[str, int | str]) -> None:
    """Notes what a run begins with, for the checks when it goes on."""
    begun = {"settings": _whole_settings(effective), "rows": dict(rows)}
    put_text(folder / BEGUN_FILE, yaml.safe_dump(begun, sort_keys=False))


def _begun(folder: Path, part: str) -> dict[str, Any] | None:
    try:
        begun = yaml.safe_load((folder / BEGUN_FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    own = begun.get(part) if isinstance(begun, dict) else None
    return own if isinstance(own, dict) else None


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    return ", ".join(name for name in now if before.get(name) != now[name])


def _check_same_rows(folder: Path, rows: Mapping[str, int | str]) -> None:
    """Steps that are skipped when a run goes on are counted: with other rows they would be others."""
    before = _begun(folder, "rows")
    if before is not None and (changed := _changed(before, rows)):
        raise OptionError(
            f"{folder} holds checkpoints of a run on {before.get('questions')} questions, this one has {rows['questions']}; "
            f"what differs is {changed}. See skipped.jsonl for videos that are not read any more; give another "
            "--output_dir, or --start_over"
        )


def _check_same_settings(folder: Path, effective: Mapping[str, Any], training: Any) -> None:
    """A run goes on with the settings that it began with, or it would be none that anybody could repeat."""
    before = _begun(folder, "settings")
    if before is None:
        if training.process_index == 0:
            tell([f"there is no {BEGUN_FILE} in {folder}: whether that run had these settings cannot be checked"])
        return
    now = _whole_settings(effective)
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
