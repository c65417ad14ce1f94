"""A model behind options: what they say of its answers, checked against each other, and the way to reach it.

`r-avst-predict` asks through it all questions of a data set, the Space one at a time.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from r_avst.metrics.avst_metrics.answers import TASKS

from .answer_form import AnswerForm
from .asking import Backend
from .asking import StreamingBackend
from .clips import MediaSettings
from .families import FAMILIES
from .families import Family
from .families import family_for
from .predict_options import PredictOptionError
from .prompts import prompt_text

if TYPE_CHECKING:
    from .model_backend import ModelBackend
    from .server_backend import ServerBackend

CONFIG_FILES: Final = ("config.json", "adapter_config.json")
WEIGHT_FILES: Final = ("*.safetensors", "*.bin", "adapter_config.json")
SOME_SIZE: Final = (640, 360)  # pixels, of the prompt that stands for all
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
class RayWorkers:
    """Workers of a Ray cluster: its address, None for one that is started here; how many of them; the GPUs of each."""

    address: str | None
    count: int
    gpus: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How many questions at a time, and where: what no answer depends on.

    Attributes:
        batch_size: questions that a model here answers at once.
        readers: threads that read videos ahead of it.
        concurrency: questions that are under way at once on a server.
        ray: of a model that is not run in this process; None runs it here.
        videos: the folder that ``video_url`` stands for; None where there is none.
        video_url: what a server finds videos under; None makes it ``file://`` and the path.
    """

    batch_size: int = 1
    readers: int = 0
    concurrency: int = 1
    ray: RayWorkers | None = None
    videos: Path | None = None
    video_url: str | None = None


ONE_AT_A_TIME: Final = Pace()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of whom, and how: all that is known before weights are loaded or a server is asked.

    ``settings`` is all that an answer depends on but the question and the machine.
    """

    options: argparse.Namespace
    pace: Pace
    family: Family
    form: AnswerForm
    media: MediaSettings
    settings: Mapping[str, Any]


def make_plan(options: argparse.Namespace, pace: Pace = ONE_AT_A_TIME) -> Plan:
    """Checks the options against each other and finds the family.

    Args:
        options: ``model`` and those of the groups that `predict_options` adds.
        pace: at which is asked.

    Raises:
        PredictOptionError: an option that does not go with others.
        AnswerFormError: so do those of the answer's form.
        FamilyError: there is no family for this model, or it does not do what is asked for.
        ValueError: frames cannot be taken so.
    """
    family = _family(options, pace)
    space = options.coordinate_space or family.space
    decimals = options.decimals if options.decimals is not None else 0 if space == "norm1000" else 1
    form = AnswerForm(space, options.box_every, decimals)
    media = _media(options, family)
    if options.backend == "transformers":
        _check_family(family, media)
    settings = _answer_settings(options, family, form, media)
    own = _server_settings(options) if options.backend == "openai" else _weight_settings(options, pace)
    return Plan(options, pace, family, form, media, settings | own)


def _family(options: argparse.Namespace, pace: Pace) -> Family:
    if options.backend == "openai" and pace.ray:
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


def _answer_settings(options: argparse.Namespace, family: Family, form: AnswerForm, media: MediaSettings) -> dict[str, Any]:
    """What an answer depends on whoever gives it. Addresses and keys are no part of it."""
    return {
        "model": options.model,
        "revision": options.revision,
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


def _server_settings(options: argparse.Namespace) -> dict[str, Any]:
    return {"send": options.send, "extra_body": options.extra_body}


def _weight_settings(options: argparse.Namespace, pace: Pace) -> dict[str, Any]:
    weights = weights_digest(options.model, options.revision)
    return {"dtype": _dtype(options.dtype, pace.ray), "attn": options.attn, "weights": weights}


def prompt_digest(form: AnswerForm, audio: bool) -> str:
    """Changes with the words of the prompt, so that a file does not mix answers to different ones."""
    texts = [prompt_text("?", task, form, SOME_SIZE, SOME_SIZE, audio) for task in TASKS]
    return digest("\n".join(texts))


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
    return digest(json.dumps([_weights_of(name, revision), _weights_of(base, base_revision)]))


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


def digest(text: str) -> str:
    """Twelve letters that change with a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


# --- the way to the model ---------------------------------------------------------------------------------------------


def open_backend(plan: Plan, process: Process) -> Backend:
    """The way to the model: loads it, or opens a client.

    Raises:
        PredictOptionError: there is no such checkpoint.
        ServerError: there is no key, or no such address.
    """
    return open_streaming_backend(plan, process) if plan.pace.ray is None else _open_on_ray(plan, plan.pace.ray)


def open_streaming_backend(plan: Plan, process: Process) -> StreamingBackend:
    """The way to a model that is in this process or behind a server, where its answers can be watched. Errors as above."""
    return _open_server(plan) if plan.options.backend == "openai" else _open_model(plan, process)


def _open_on_ray(plan: Plan, workers: RayWorkers) -> Backend:
    from r_avst.dataset_builder.ray_engine import OnRay

    from .ray_backend import RayBackend

    engine = OnRay(workers.address, workers.count)
    return RayBackend(partial(_open_model, plan, ALONE), engine, workers.gpus, plan.pace.batch_size * PORTION)


def _open_server(plan: Plan) -> "ServerBackend":
    from r_avst.dataset_builder.chat_client import ChatOptions

    from .server_backend import ServerBackend
    from .server_backend import ServerSettings

    own, pace = plan.options, plan.pace
    chat = ChatOptions(own.model, own.base_url, own.timeout, own.max_attempts, own.max_new_tokens, own.temperature)
    server = ServerSettings(chat, own.send, pace.concurrency, pace.video_url, own.seed, own.extra_body, pace.videos)
    return ServerBackend(server, plan.media, plan.form)


def _open_model(plan: Plan, process: Process) -> "ModelBackend":
    from .model_backend import Decoding
    from .model_backend import ModelBackend

    own = plan.options
    decoding = Decoding(own.max_new_tokens, plan.pace.batch_size, own.temperature, own.seed)
    model, processor = _load_model(plan, process)
    return ModelBackend(model, processor, plan.family, plan.media, plan.form, decoding, plan.pace.readers)


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
    from safetensors import SafetensorError

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
    except (OSError, SafetensorError) as error:
        raise PredictOptionError(f"--model {own.model}: it cannot be loaded ({error})") from None


def _untyped(module: Any) -> Any:
    return module


def _dtype(given: str, ray: RayWorkers | None) -> str:
    """Settled once for all workers, whose machines may have GPUs where this one has none."""
    if given != "auto":
        return given
    if ray is not None:
        return "bfloat16" if ray.gpus else "float32"
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
