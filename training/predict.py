"""Asks a model the questions of a benchmark: `r-avst-predict --model ID --dataset r-avst --videos DIR --out preds.jsonl`."""

# Absolute imports, so that the file also runs by its path; heavy ones in the functions, so that --help does not wait.
import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from typing import Final

from tqdm import tqdm

from r_avst.dataset_builder.video import VideoError
from r_avst.dataset_builder.video import find_videos
from r_avst.dataset_builder.video import picture_duration
from r_avst.dataset_builder.video import probe
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.benchmark import load_rows
from r_avst.training.answer_form import AnswerForm
from r_avst.training.asking import Ask
from r_avst.training.asking import Backend
from r_avst.training.asking import Unanswered
from r_avst.training.clips import MediaSettings
from r_avst.training.examples import NO_VIDEO
from r_avst.training.examples import OTHER_SIZE
from r_avst.training.examples import UNREADABLE
from r_avst.training.examples import Skipped
from r_avst.training.examples import describe_skipped
from r_avst.training.families import FAMILIES
from r_avst.training.families import Family
from r_avst.training.families import family_for
from r_avst.training.options import exit_code
from r_avst.training.predict_options import PROGRAM
from r_avst.training.predict_options import NothingToAskError
from r_avst.training.predict_options import PredictOptionError
from r_avst.training.predict_options import make_parser
from r_avst.training.prediction_rows import Done
from r_avst.training.prediction_rows import PredictionWriter
from r_avst.training.prediction_rows import Shard
from r_avst.training.prediction_rows import failures_file
from r_avst.training.prediction_rows import join_parts
from r_avst.training.prediction_rows import part_file
from r_avst.training.prediction_rows import read_done
from r_avst.training.prompts import prompt_text

ASKED_COLUMNS: Final = ("question_id", "video_id", "task", "question")
COLUMNS: Final = (*ASKED_COLUMNS, "width", "height")
CONFIG_FILES: Final = ("config.json", "adapter_config.json")
WEIGHT_FILES: Final = ("*.safetensors", "*.bin", "adapter_config.json")
SOME_SIZE: Final = (640, 360)  # pixels, of the prompt that stands for all
INTERRUPTED: Final = 130
PORTION: Final = 4  # batches that a worker of Ray is given at a time: what a kill costs at most


@dataclass(frozen=True, slots=True)
class Process:
    """Which process this is of those that a launcher started, from 0, and on which GPU of its machine."""

    rank: int
    count: int
    local_rank: int

    @classmethod
    def here(cls) -> "Process":
        """As accelerate launch and torch.distributed.run tell it."""
        rank, count, local = (int(os.environ.get(name, default)) for name, default in _LAUNCHED)
        return cls(rank, count, local)


ALONE: Final = Process(0, 1, 0)
_LAUNCHED = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of whom, and how: all that is known before weights are loaded or a server is asked."""

    options: argparse.Namespace
    family: Family
    form: AnswerForm
    media: MediaSettings
    settings: Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script `r-avst-predict`.

    Returns:
        0 where every question was answered, 1 where one was not (of several processes each ends with 0), 2 where nothing
        could be done.
    """
    left: list[int] = []

    def run(given: Sequence[str]) -> None:
        left.append(predict(make_parser().parse_args(given)))

    try:
        code = exit_code(PROGRAM, run, sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        tqdm.write(f"{PROGRAM}: stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return code or int(any(left))


# --- the run ----------------------------------------------------------------------------------------------------------


def predict(options: argparse.Namespace) -> int:
    """The whole run: what is to be asked, asking it, joining what several processes wrote.

    Returns:
        How many questions have no answer; 0 in one of several processes.

    Raises:
        ValueError: of this package's own classes, for everything that a user can set right.
        ServerError: the server cannot be used.
    """
    process = Process.here()
    own_shard = options.shard.split(process.rank + 1, process.count)
    plan = make_plan(options)
    every = load_rows(options.dataset, options.split, COLUMNS)
    plan = replace(plan, settings={**plan.settings, "questions": questions_digest(every)})
    rows = list(every.select(range(min(options.limit, len(every)))) if options.limit else every)
    mine = _of_shard(rows, own_shard)
    waiting = _waiting(plan, process, mine, len(rows))
    tasks = {row["question_id"]: TASKS[row["task"]] for row in rows}
    with PredictionWriter(part_file(options.out, own_shard), plan.form, plan.settings, tasks) as writer:
        _ask(plan, process, writer, waiting, len(mine))
    done = join_parts(options.out, list(tasks), plan.settings)
    if process.rank == 0 or all(map(done.has, tasks)):
        _tell(_described_end(options, done, tasks))
    # A launcher ends all other processes when one does not end with 0.
    return sum(row["question_id"] not in done.rows for row in mine) if process.count == 1 else 0


def make_plan(options: argparse.Namespace) -> Plan:
    """Checks the options against each other and finds the family.

    Raises:
        PredictOptionError: an option that does not go with others.
        AnswerFormError: so do those of the answer's form.
        FamilyError: there is no family for this model, or it does not do what is asked for.
        ValueError: frames cannot be taken so.
    """
    family = _family(options)
    space = options.coordinate_space or family.space
    decimals = options.decimals if options.decimals is not None else 0 if space == "norm1000" else 1
    form = AnswerForm(space, options.box_every, decimals)
    media = _media(options, family)
    if options.backend == "transformers":
        _check_family(family, media)
    return Plan(options, family, form, media, _settings(options, family, form, media))


def _family(options: argparse.Namespace) -> Family:
    if options.backend == "openai" and options.engine == "ray":
        raise PredictOptionError("--engine ray is for --backend transformers; of a server more is asked with --concurrency")
    if options.family:
        return FAMILIES[options.family]
    if options.backend == "openai":
        return FAMILIES["generic"]
    return family_for(_model_type(options.model, options.revision))


def _check_family(family: Family, media: MediaSettings) -> None:
    if not family.model_class:
        raise PredictOptionError(f"--family {family.name}: transformers cannot run it; serve it, with --backend openai")
    family.check(media)


def _media(options: argparse.Namespace, family: Family) -> MediaSettings:
    can = family.hears and not (options.backend == "openai" and options.send == "frames")
    audio = options.audio == "on" or (options.audio == "auto" and can)
    try:
        return MediaSettings(options.fps, options.max_frames, options.min_pixels, options.max_pixels, audio, options.decoder)
    except ValueError as error:
        raise PredictOptionError(f"--fps, --max-frames, --min-pixels, --max-pixels: {error}") from None


def _settings(options: argparse.Namespace, family: Family, form: AnswerForm, media: MediaSettings) -> dict[str, Any]:
    """All that an answer depends on but the question and the machine. Addresses and keys are no part of it."""
    common = {
        "model": options.model,
        "revision": options.revision,
        "dataset": options.dataset,
        "split": options.split,
        "backend": options.backend,
        "family": family.name,
        "coordinate_space": form.space,
        "box_every": form.box_every,
        "decimals": form.decimals,
        "fps": media.fps,
        "max_frames": media.max_frames,
        "min_pixels": media.min_pixels,
        "max_pixels": media.max_pixels,
        "audio": media.audio,
        "decoder": media.decoder,
        "max_new_tokens": options.max_new_tokens,
        "temperature": options.temperature,
        "seed": options.seed,
        "prompt": prompt_digest(form, media.audio),
    }
    if options.backend == "openai":
        return common | {"send": options.send, "extra_body": options.extra_body}
    weights = weights_digest(options.model, options.revision)
    return common | {"dtype": _dtype(options), "attn": options.attn, "weights": weights}


def prompt_digest(form: AnswerForm, audio: bool) -> str:
    """Changes with the words of the prompt, so that a file does not mix answers to different ones."""
    texts = [prompt_text("?", task, form, SOME_SIZE, SOME_SIZE, audio) for task in TASKS]
    return _digest("\n".join(texts))


def weights_digest(name: str, revision: str) -> str:
    """Changes with the weights that stand behind a name: of an adapter, with its own and with those of its base.

    Files of a folder are told apart by names, sizes and times of change: reading all of a large model takes minutes. Of a
    model on the Hub the commit tells, or the revision as given where the cache knows no commit.

    Raises:
        PredictOptionError: there is no such checkpoint.
    """
    try:  # it asks the Hub for a file, so that from the first run on the cache knows the commit
        base, base_revision = _base_of(name, revision)
    except (OSError, ValueError) as error:
        raise PredictOptionError(f"--model {name}: there is no such checkpoint ({error})") from None
    return _digest(json.dumps([_weights_of(name, revision), _weights_of(base, base_revision)]))


def _weights_of(name: str, revision: str) -> list[Any]:
    from transformers.utils.hub import cached_file
    from transformers.utils.hub import extract_commit_hash

    if (folder := Path(name)).is_dir():
        found = {path.name: path.stat() for pattern in WEIGHT_FILES for path in folder.glob(pattern)}
        return [[file, own.st_size, own.st_mtime_ns] for file, own in sorted(found.items())]
    quiet = {f"_raise_exceptions_for_{what}": False for what in ("gated_repo", "missing_entries", "connection_errors")}
    files = (cached_file(name, file, revision=revision, local_files_only=True, **quiet) for file in CONFIG_FILES)
    known = (extract_commit_hash(file, None) for file in files)
    return [next(filter(None, known), revision)]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


# --- questions --------------------------------------------------------------------------------------------------------


def questions_digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """Changes with what is asked of which video; not with sizes, which a data set may learn from its videos later."""
    asked = [[row[name] for name in ASKED_COLUMNS] for row in rows]
    return _digest(json.dumps(asked))


def _of_shard(rows: Sequence[Mapping[str, Any]], own: Shard) -> list[Mapping[str, Any]]:
    """The rows of a shard's videos: those of one video stay together, so that it is decoded by one process."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(row["video_id"] for row in rows))}
    return [row for row in rows if own.takes(numbers[row["video_id"]])]


def _waiting(plan: Plan, process: Process, rows: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """The rows that are to be asked now. What earlier runs wrote is not kept in memory: it grows with the questions."""
    retry = plan.options.retry_failed
    done = read_done(plan.options.out, plan.settings)
    if process.rank == 0:
        _tell(_described_plan(plan, done, count))
    return [row for row in rows if row["question_id"] not in done.rows and (retry or row["question_id"] not in done.asked)]


def make_asks(rows: Sequence[Mapping[str, Any]], videos: Path, bar: bool) -> tuple[list[Ask], list[Skipped]]:
    """Questions with what is to be known of their videos, and those that cannot be asked.

    Args:
        rows: of the data set.
        videos: the folder of the files.
        bar: shows the progress.
    """
    files = find_videos(videos)
    facts: dict[str, _Video | str] = {}
    names = list(dict.fromkeys(row["video_id"] for row in rows))
    for name in tqdm(names, desc="looking at videos", unit="video", disable=not bar):
        facts[name] = _look_at(files[name]) if name in files else f"{NO_VIDEO}: {name} is not in {videos}"
    made = [_ask_of(row, facts[row["video_id"]]) for row in rows]
    return [own for own in made if isinstance(own, Ask)], [own for own in made if isinstance(own, Skipped)]


@dataclass(frozen=True, slots=True)
class _Video:
    path: Path
    size: Size
    duration: float


def _look_at(path: Path) -> "_Video | str":
    try:
        info = probe(path)
        return _Video(path, (info.width, info.height), picture_duration(path))
    except VideoError as error:
        return f"{UNREADABLE}: {error}"


def _ask_of(row: Mapping[str, Any], video: "_Video | str") -> Ask | Skipped:
    if isinstance(video, str):
        return Skipped(row["question_id"], row["video_id"], video)
    annotated = (row["width"], row["height"])
    if all(annotated) and annotated != video.size:
        found = f"boxes are for {annotated[0]} x {annotated[1]} pixels, the file has {video.size[0]} x {video.size[1]}"
        return Skipped(row["question_id"], row["video_id"], f"{OTHER_SIZE}: {found}")
    task: Task = TASKS[row["task"]]
    return Ask(row["question_id"], task, row["question"], video.path, video.size, video.duration)


# --- asking -----------------------------------------------------------------------------------------------------------


def _ask(plan: Plan, process: Process, writer: PredictionWriter, rows: Sequence[Mapping[str, Any]], total: int) -> None:
    """Asks the questions of ``rows``, ``total`` with those that were answered before, and writes what comes."""
    asks, skipped = make_asks(rows, plan.options.videos, process.rank == 0)
    for own in skipped:
        writer.skip(own.question_id, own.reason)
    if process.rank == 0:
        _tell(describe_skipped(skipped))
    if rows and len(skipped) == total and process.count == 1:
        raise NothingToAskError(f"no question can be asked; is --videos {plan.options.videos} the right folder?")
    if not asks:
        return
    results = open_backend(plan, process).answers(asks)
    failed = 0
    with tqdm(desc="asking", total=total, initial=total - len(asks), unit="question", disable=process.rank != 0) as bar:
        for result in results:
            writer.write(result)
            failed += isinstance(result, Unanswered)
            bar.update()
            if failed:
                bar.set_postfix(failed=failed)


def open_backend(plan: Plan, process: Process) -> Backend:
    """The way to the model: loads it, or opens a client.

    Raises:
        PredictOptionError: there is no such checkpoint.
        ServerError: there is no key, or no such address.
    """
    if plan.options.backend == "openai":
        return _open_server(plan)
    return _open_on_ray(plan) if plan.options.engine == "ray" else _open_model(plan, process)


def _open_on_ray(plan: Plan) -> Backend:
    from r_avst.dataset_builder.ray_engine import OnRay
    from r_avst.training.ray_backend import RayBackend

    own = plan.options
    engine = OnRay(own.ray_address, own.ray_workers)
    return RayBackend(partial(_open_model, plan, ALONE), engine, own.ray_gpus, own.batch_size * PORTION)


def _open_server(plan: Plan) -> Backend:
    from r_avst.dataset_builder.chat_client import ChatOptions
    from r_avst.training.server_backend import ServerBackend
    from r_avst.training.server_backend import ServerSettings

    own = plan.options
    chat = ChatOptions(own.model, own.base_url, own.timeout, own.max_attempts, own.max_new_tokens, own.temperature)
    server = ServerSettings(chat, own.send, own.concurrency, own.video_url, own.seed, own.extra_body, own.videos)
    return ServerBackend(server, plan.media, plan.form)


def _open_model(plan: Plan, process: Process) -> Backend:
    from r_avst.training.model_backend import Decoding
    from r_avst.training.model_backend import ModelBackend

    own = plan.options
    decoding = Decoding(own.max_new_tokens, own.batch_size, own.temperature, own.seed)
    model, processor = _load_model(plan, process)
    return ModelBackend(model, processor, plan.family, plan.media, plan.form, decoding, own.readers)


def _model_type(name: str, revision: str) -> str:
    """What the configuration of a checkpoint says it is; of an adapter, that of its base."""
    from transformers import PreTrainedConfig

    try:
        base, base_revision = _base_of(name, revision)
        config = PreTrainedConfig.get_config_dict(base, revision=base_revision)[0]
    except (OSError, ValueError) as error:
        raise PredictOptionError(f"--model {name}: there is no such checkpoint ({error})") from None
    if not config:
        raise PredictOptionError(f"--model {name}: there is no such checkpoint (no config.json, no adapter_config.json)")
    return str(config.get("model_type"))


def _base_of(name: str, revision: str) -> tuple[str, str]:
    """The checkpoint whose weights come first: the model itself, or the base of an adapter."""
    from transformers.utils.peft_utils import find_adapter_config_file

    if find_adapter_config_file(name, revision=revision) is None:
        return name, revision
    from peft import PeftConfig

    own = PeftConfig.from_pretrained(name, revision=revision)
    return str(own.base_model_name_or_path), own.revision or "main"


def _load_model(plan: Plan, process: Process) -> tuple[Any, Any]:
    """The model on its device, an adapter's weights added to those of its base, and its processor."""
    import torch
    import transformers

    own, classes = plan.options, _untyped(transformers)
    given = {"dtype": getattr(torch, plan.settings["dtype"]), "device_map": _device_map(own.device_map, process)}
    given |= {"attn_implementation": own.attn} if own.attn else {}
    try:
        base, revision = _base_of(own.model, own.revision)
        model = getattr(classes, plan.family.model_class).from_pretrained(base, revision=revision, **given)
        if base != own.model:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, own.model, revision=own.revision).merge_and_unload()
        return model.eval(), classes.AutoProcessor.from_pretrained(base, revision=revision)
    except OSError as error:
        raise PredictOptionError(f"--model {own.model}: it cannot be loaded ({error})") from None


def _untyped(module: Any) -> Any:
    return module


def _dtype(options: argparse.Namespace) -> str:
    """Settled once for all workers, whose machines may have GPUs where this one has none."""
    if options.dtype != "auto":
        return str(options.dtype)
    if options.engine == "ray":
        return "bfloat16" if options.ray_gpus else "float32"
    import torch

    return "bfloat16" if torch.cuda.is_available() else "float32"


def _device_map(given: str | None, process: Process) -> Any:
    """A GPU a process; one process takes as many as the model needs."""
    import torch

    if given is not None:
        return given
    if not torch.cuda.is_available():
        return None
    return "auto" if process.count == 1 else {"": process.local_rank % torch.cuda.device_count()}


# --- telling ----------------------------------------------------------------------------------------------------------


def _tell(lines: Iterable[str]) -> None:
    """At once: what is printed by a launcher's children is held back otherwise."""
    for line in lines:
        print(line, flush=True)


def _described_plan(plan: Plan, done: Done, count: int) -> Iterator[str]:
    why = "as asked for" if plan.options.coordinate_space else f"that of {plan.family.name}: {plan.family.evidence}"
    yield f"boxes are asked for in the space {plan.form.space!r}, {why}"
    if done.rows:
        yield f"{plan.options.out}: {len(done.rows):,} of {count:,} questions were answered before"
    if done.asked and not plan.options.retry_failed:
        yield f"{len(done.asked):,} questions failed before and are not asked again; --retry-failed asks them"


def _described_end(options: argparse.Namespace, done: Done, tasks: Mapping[str, Task]) -> Iterator[str]:
    rows = [done.rows[name] for name in tasks if name in done.rows]
    cut, refused = (sum(row["finish"] == finish for row in rows) for finish in ("length", "refused"))
    yield f"{options.out}: {len(rows):,} of {len(tasks):,} questions answered, {cut:,} cut off, {refused:,} refused"
    if failed := sum(name in done.failed for name in tasks):
        yield f"{failed:,} questions have no answer, {failures_file(options.out)} says why; --retry-failed asks them again"
    if left := sum(not done.has(name) for name in tasks):
        yield f"{left:,} questions are left to other processes or shards; the last one that ends joins the parts"


if __name__ == "__main__":
    sys.exit(main())
