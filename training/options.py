"""The options of `r-avst-grpo` and `r-avst-sft`, and the recipes that set them.

An option is a field of one of the classes here, or of TRL's `ModelConfig`, `GRPOConfig` and `SFTConfig`. A recipe is a YAML
file of options, one a line; ``base`` names another recipe whose options it takes over where it sets none::

    base: avst_zero
    learning_rate: 1.0e-5
    use_peft: true

What stands on the command line comes before what stands in the recipe, and that before the defaults.
"""

import argparse
import difflib
import math
import os
import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from enum import Enum
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any
from typing import Literal
from typing import get_args

import yaml

from r_avst.dataset_builder.video import DECODERS
from r_avst.metrics.avst_metrics.coordinates import Space
from r_avst.metrics.avst_metrics.word_vectors import DEFAULT
from r_avst.metrics.avst_metrics.word_vectors import cache_folder

from .answer_form import FORM_SPACES
from .answer_form import AnswerForm
from .answer_form import AnswerFormError
from .rewards import TEMPORAL_FORMS
from .rewards import RewardWeights
from .rewards import TemporalForm

BASE = "base"
WEIGHT = "weight_"
RECIPES = "recipes"
SECRETS = ("hub_token", "push_to_hub_token")
HALF = ("bfloat16", "float16")
OWN_ENCODER = "prompts, videos and labels are encoded by this project's own code"
OWN_LOADER = "the model is loaded by this project's own code"
UNUSED = {
    "chat_template_kwargs": OWN_ENCODER,
    "chat_template_path": OWN_ENCODER,
    "max_length": OWN_ENCODER,
    "packing": OWN_ENCODER,
    "assistant_only_loss": OWN_ENCODER,
    "completion_only_loss": OWN_ENCODER,
    "model_init_kwargs": OWN_LOADER,
    "trust_remote_code": OWN_LOADER,
    "eval_strategy": "there is no evaluation while training; score a checkpoint with r-avst-predict",
}
"""Options of TRL's configurations that have no effect here, and why."""
Audio = Literal["auto", "on", "off"]
Sharing = Literal["auto", "on", "off"]


class OptionError(ValueError):
    """An option or a recipe that cannot be used; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class DataOptions:
    """What is learned from: questions, their videos, and where decoded videos are kept.

    Raises:
        OptionError: ``videos`` is not given or no folder, or a number is out of its range.
    """

    dataset: str = field(
        default="r-avst", metadata={"help": "A folder that r-avst-build wrote, or such a data set on the Hub: user/name."}
    )
    split: str = field(
        default="train",
        metadata={"help": "Its split. The released annotations have test only; train on them to try things out."},
    )
    videos: Path | None = field(
        default=None, metadata={"help": "The folder of the videos, VIDEO_ID.mp4 or another ending. Needed."}
    )
    cache: Path | None = field(
        default=None,
        metadata={
            "help": "Where decoded frames and sound are kept, for all runs. None is $R_AVST_CACHE/clips or "
            "~/.cache/r-avst/clips."
        },
    )
    cache_gb: float = field(
        default=50.0, metadata={"help": "Gigabytes the cache may take. What was not used for longest goes first."}
    )
    prepare_processes: int = field(default=1, metadata={"help": "Processes that read the videos before training starts."})
    limit: int | None = field(
        default=None, metadata={"help": "Take so many questions only, the first ones: to try a recipe out."}
    )

    def __post_init__(self) -> None:
        if self.videos is None:
            raise OptionError(
                "--videos is not given: name the folder that holds the videos, VIDEO_ID.mp4 (or get them with r-avst-videos)"
            )
        if not Path(self.videos).is_dir():
            raise OptionError(f"--videos {self.videos}: there is no such folder; get the videos with r-avst-videos")
        _check_number("cache_gb", self.cache_gb, 0)
        _check_number("prepare_processes", self.prepare_processes, 1)
        if self.limit is not None:
            _check_number("limit", self.limit, 1)

    @property
    def cache_path(self) -> Path:
        """Where the decoded videos are kept."""
        return Path(self.cache).expanduser() if self.cache else cache_folder() / "clips"

    @property
    def cache_bytes(self) -> int:
        """How much of them."""
        return int(self.cache_gb * 1e9)


@dataclass(frozen=True, slots=True)
class MediaOptions:
    """What the model sees and hears of a video, and how it is to write its answer.

    Raises:
        OptionError: ``coordinate_space`` is not given, or an option is out of its range.
    """

    coordinate_space: str | None = field(
        default=None,
        metadata={
            "help": "The space in which the model writes boxes. Needed, as nothing tells a wrong one: model (pixels of the "
            "resized frames; Qwen2.5 was trained so), norm1000 (0 to 1000), source (pixels of the video).",
            "choices": list(FORM_SPACES),
        },
    )
    fps: float = field(
        default=2.0,
        metadata={"help": "Frames a second. Qwen2.5 joins two of them, so 2 gives it one step of time a second."},
    )
    max_frames: int = field(
        default=128,
        metadata={"help": "Frames of one video at most; of a longer one fewer a second are taken, over its whole length."},
    )
    min_pixels: int = field(default=3136, metadata={"help": "Of a frame; smaller ones are enlarged. 3,136 is 2 x 2 tokens."})
    max_pixels: int = field(
        default=12_845_056,
        metadata={
            "help": "Of a frame; larger ones are reduced. Halving it halves the tokens of a large video, and the memory."
        },
    )
    audio: Audio = field(
        default="auto",
        metadata={"help": "Whether the model is given the sound. auto: an Omni is, a VL, which cannot hear, is not."},
    )
    box_every: int = field(
        default=1,
        metadata={"help": "Seconds between two lines of boxes in an answer. 1 is the paper's; 2 halves long answers."},
    )
    decimals: int | None = field(
        default=None, metadata={"help": "Of coordinates. None is 1, as in the released answers, and 0 in norm1000."}
    )
    decoder: str = field(default="pyav", metadata={"help": "What decodes the videos.", "choices": list(DECODERS)})

    def __post_init__(self) -> None:
        if self.coordinate_space is None:
            raise OptionError(
                "--coordinate_space is not given, and boxes in a wrong space score 0 without an error: say "
                f"one of {', '.join(FORM_SPACES)} (the recipes do)"
            )
        _check_choice("coordinate_space", self.coordinate_space, FORM_SPACES)
        _check_choice("audio", self.audio, get_args(Audio))
        _check_choice("decoder", self.decoder, DECODERS)
        _check_number("fps", self.fps, 0)
        for name in ("max_frames", "min_pixels", "max_pixels"):
            _check_number(name, getattr(self, name), 1)
        if self.min_pixels > self.max_pixels:
            raise OptionError(f"--min_pixels {self.min_pixels} is more than --max_pixels {self.max_pixels}")
        _ = self.form

    @property
    def form(self) -> AnswerForm:
        """How answers are written."""
        space: Space = self.coordinate_space  # type: ignore[assignment]  # checked above
        decimals = self.decimals if self.decimals is not None else 0 if space == "norm1000" else 1
        try:
            return AnswerForm(space, self.box_every, decimals)
        except AnswerFormError as error:
            raise OptionError(f"--coordinate_space, --box_every, --decimals: {error}") from None


def hears(audio: Audio, family: str) -> bool:
    """Whether a model of a family (``vl`` or ``omni``) is given the sound.

    Raises:
        OptionError: sound is asked for, and the model cannot hear.
    """
    if audio == "on" and family != "omni":
        raise OptionError("--audio on: this model is a Qwen2.5-VL, which cannot hear; take a Qwen2.5-Omni, or --audio auto")
    return family == "omni" and audio != "off"


@dataclass(frozen=True, slots=True)
class RewardOptions:
    """What an answer is rewarded for (paper, eq. 2-7). A weight of 0 turns a component off, as in the paper's table 4.

    Raises:
        OptionError: a weight is below 0, or all are 0.
    """

    weight_format: float = field(default=1.0, metadata={"help": "Of the format reward, in every task."})
    weight_object_of_temporal: float = field(
        default=0.0, metadata={"help": "Of the object reward in temporal questions; the question names the object."}
    )
    weight_object_of_spatial: float = field(default=0.5, metadata={"help": "Of the object reward in spatial questions."})
    weight_object_of_spatio_temporal: float = field(
        default=0.0, metadata={"help": "Of the object reward in spatio-temporal questions; the question names the object."}
    )
    weight_temporal_of_temporal: float = field(
        default=1.0, metadata={"help": "Of the temporal reward in temporal questions."}
    )
    weight_temporal_of_spatio_temporal: float = field(
        default=0.5, metadata={"help": "Of the temporal reward in spatio-temporal questions."}
    )
    weight_spatial_of_spatial: float = field(default=0.5, metadata={"help": "Of the spatial reward in spatial questions."})
    weight_spatial_of_spatio_temporal: float = field(
        default=0.5, metadata={"help": "Of the spatial reward in spatio-temporal questions."}
    )
    temporal_reward: TemporalForm = field(
        default="tiou",
        metadata={
            "help": "tiou is the paper's. skill is (tIoU - w) / (1 - w), w the tIoU of the whole video: naming the whole "
            "video, which scores 0.58 on the released questions, then earns nothing."
        },
    )
    word_vectors: str = field(
        default=DEFAULT,
        metadata={
            "help": "Word vectors that names are matched with: this one is downloaded once (1.7 GB); a .kv, .bin or .npz "
            "file; or exact for none. Score with the same."
        },
    )

    def __post_init__(self) -> None:
        _check_choice("temporal_reward", self.temporal_reward, TEMPORAL_FORMS)
        weights = [own.name for own in fields(self) if own.name.startswith(WEIGHT)]
        for name in weights:
            _check_number(name, getattr(self, name), 0)
        if not any(getattr(self, name) for name in weights):
            raise OptionError("every reward has the weight 0: there would be nothing to learn; set one above 0")

    @property
    def weights(self) -> RewardWeights:
        """The weights, as the rewards take them."""
        names = (own.name for own in fields(RewardWeights))
        return RewardWeights(**{name: getattr(self, WEIGHT + name) for name in names})


@dataclass(frozen=True, slots=True)
class PictureOptions:
    """Pictures of completions with their boxes on the frame, in the output folder and in the trackers.

    Raises:
        OptionError: a number is out of its range.
    """

    picture_every: int = field(
        default=10, metadata={"help": "Logged steps from one set of pictures to the next; 0 for none."}
    )
    picture_count: int = field(default=2, metadata={"help": "Completions that are drawn each time."})

    def __post_init__(self) -> None:
        _check_number("picture_every", self.picture_every, 0)
        _check_number("picture_count", self.picture_count, 1)


@dataclass(frozen=True, slots=True)
class StepOptions:
    """How a step of GRPO is computed; what is learned is the same, up to which rows stand in one micro-batch.

    Raises:
        OptionError: ``shared_prompt`` is none of the choices.
    """

    shared_prompt: Sharing = field(
        default="auto",
        metadata={
            "help": "Whether the completions of a prompt share it: prompt, video and sound are encoded once a group in each "
            "forward pass and in generation. auto and on: where model and settings allow it, and a line says why they do "
            "not; off: never. It shares what stands in one micro-batch, so let --per_device_train_batch_size be a "
            "multiple of --num_generations."
        },
    )

    def __post_init__(self) -> None:
        _check_choice("shared_prompt", self.shared_prompt, get_args(Sharing))


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run begins."""

    start_over: bool = field(
        default=False,
        metadata={
            "help": "Begin anew although the output folder holds checkpoints. Without it a run goes on from the newest "
            "whole one."
        },
    )


def _check_number(name: str, value: Any, least: float) -> None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and least <= value < math.inf
    if not fits or (name == "fps" and not value):
        raise OptionError(f"--{name} {value!r} is no number of {'more than 0' if name == 'fps' else f'{least} or more'}")


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise OptionError(f"--{name} {value!r} is none of {', '.join(choices)}")


# --- recipes ----------------------------------------------------------------------------------------------------------


def packaged_recipes() -> dict[str, Path]:
    """The recipes that come with this package, by name."""
    folder = Path(str(resources.files(__package__ or "r_avst.training"))) / RECIPES
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_recipe(name: str) -> Path:
    """The file of a recipe: a path, or the name of one that comes with this package.

    Raises:
        OptionError: there is none.
    """
    path, packaged = Path(name), packaged_recipes()
    if path.is_file():
        return path
    if name in packaged:
        return packaged[name]
    raise OptionError(f"--recipe {name}: there is no such file, and no recipe of this name; there are {', '.join(packaged)}")


def read_recipe(name: str, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The options of a recipe, with those of its ``base``.

    Raises:
        OptionError: there is no such recipe, it is no mapping, or it is its own base.
    """
    path = find_recipe(name)
    if path in seen:
        raise OptionError(f"{path}: it is its own base, by way of {', '.join(map(str, seen))}")
    try:
        own = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OptionError(f"{path}: it cannot be read as YAML ({error})") from None
    if not isinstance(own, dict) or not all(isinstance(key, str) for key in own):
        raise OptionError(f"{path}: a recipe has an option a line, `name: value`; this is something else")
    base = own.pop(BASE, None)
    return own if base is None else read_recipe(_beside(path, str(base)), (*seen, path)) | own


def _beside(path: Path, base: str) -> str:
    """A base is looked for beside the recipe first."""
    near = path.parent / (base if base.endswith(".yaml") else f"{base}.yaml")
    return str(near) if near.is_file() else base


# --- parsing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parsed:
    """Filled in classes of options, in the order asked for, and all that is not at its default, as a recipe would set it."""

    groups: tuple[Any, ...]
    effective: dict[str, Any]


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults beside the options, the description as it was written."""


def parse_options(program: str, description: str, epilog: str, groups: Sequence[type], arguments: Sequence[str]) -> Parsed:
    """Reads a command line and the recipe that it names.

    Args:
        program: name of the console script.
        description: what it does.
        epilog: examples, and the like.
        groups: classes of options, with or without TRL's.
        arguments: the command line without the program.

    Raises:
        OptionError: the recipe cannot be read, has an option that the program lacks, or an option has a wrong value.
        SystemExit: argparse found a wrong argument, or was asked for help.
    """
    from trl import TrlParser

    parser = TrlParser(
        groups,
        prog=program,
        usage="%(prog)s --recipe FILE [--option VALUE ...]",
        description=description,
        epilog=epilog,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--recipe", metavar="FILE", help=f"options, one a line; or one of {', '.join(packaged_recipes())}")
    actions = {action.dest: action for action in reversed(parser._actions)}  # of `--x` and `--no_x` the former
    defaults = {name: action.default for name, action in actions.items()}
    options: dict[str, Any] = {}
    given, others = _recipe_option().parse_known_args(arguments)
    if given.recipe is not None:
        options = {name: _checked(given.recipe, name, value, actions) for name, value in read_recipe(given.recipe).items()}
        parser.set_defaults_with_config(**options)
    try:
        filled = parser.parse_args_and_config(others)
    except OptionError:
        raise
    except ValueError as error:  # of TRL's own classes, which check their values themselves
        raise OptionError(str(error)) from None
    namespace = vars(parser.parse_known_args(_without_config(others))[0])
    return Parsed(tuple(filled[: len(groups)]), _effective(namespace, defaults, options))


def _without_config(arguments: Sequence[str]) -> list[str]:
    """TRL's own ``--config FILE`` is no option of the parser; it has set defaults by now."""
    if "--config" not in arguments:
        return list(arguments)
    place = list(arguments).index("--config")
    return [*arguments[:place], *arguments[place + 2 :]]


def _recipe_option() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--recipe")
    return parser


def _checked(recipe: str, name: str, value: Any, actions: Mapping[str, argparse.Action]) -> Any:
    """A value of a recipe, which argparse itself would take as it is."""
    if name not in actions or name in ("help", "recipe"):
        near = difflib.get_close_matches(name, actions, n=1)
        advice = f"is {near[0]} meant?" if near else "see --help for those there are"
        raise OptionError(f"{recipe}: there is no option {name!r} here; {advice}")
    choices = list(actions[name].choices or ())
    if isinstance(value, bool) and "on" in choices:  # YAML's `on` is true
        return "on" if value else "off"
    if choices and value is not None and not isinstance(value, bool) and value not in choices:
        raise OptionError(f"{recipe}: {name} is {value!r}; it must be one of {', '.join(map(str, choices))}")
    return value


def _effective(namespace: Mapping[str, Any], defaults: Mapping[str, Any], recipe: Iterable[str]) -> dict[str, Any]:
    """What the recipe sets and what differs from the defaults, without secrets, in types that YAML knows."""
    kept = set(recipe)
    return {
        name: _plain(value)
        for name, value in namespace.items()
        if name in defaults and name not in (*SECRETS, "recipe") and (name in kept or value != defaults[name])
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


# --- checks -----------------------------------------------------------------------------------------------------------


def check_save_steps(training: Any) -> None:
    """Refuses checkpoints in the middle of a generation cycle: a run that goes on from there would not be the same run.

    The answers of one generation serve ``num_iterations`` * ``steps_per_generation`` micro-steps,
    ``gradient_accumulation_steps`` of which are a step. A checkpoint holds no answers, so it may be written only where all
    have been used.

    Args:
        training: a `trl.GRPOConfig`.

    Raises:
        OptionError: ``save_steps`` is a share, or no multiple of the cycle.
    """
    if _save_strategy(training) != "steps":
        return
    cycle, steps = generation_cycle(training), training.save_steps
    if steps < 1 or steps % 1:
        raise OptionError(f"--save_steps {steps}: say a whole number of steps, a multiple of {cycle}")
    if int(steps) % cycle:
        below, above = int(steps) // cycle * cycle, -(-int(steps) // cycle) * cycle
        near = f"{below} or {above}" if below else str(above)
        raise OptionError(
            f"--save_steps {int(steps)} would write checkpoints in the middle of a generation cycle, which is {cycle} steps "
            f"long (num_iterations {training.num_iterations} x steps_per_generation {training.steps_per_generation} / "
            f"gradient_accumulation_steps {training.gradient_accumulation_steps}): give {near}"
        )


def generation_cycle(training: Any) -> int:
    """Steps from one step that begins with a generation to the next.

    Args:
        training: a `trl.GRPOConfig`.
    """
    micro_steps = training.num_iterations * training.steps_per_generation
    return Fraction(micro_steps, training.gradient_accumulation_steps).numerator


def check_epochs(training: Any, questions: int) -> None:
    """Refuses checkpoints that a number of steps cannot tell to be at the end of a cycle, as epochs end inside of one.

    Args:
        training: a `trl.GRPOConfig`.
        questions: in an epoch; those that fill no generation are left out by TRL.

    Raises:
        OptionError: an epoch has no whole number of cycles, and there are checkpoints at its end or after it.
    """
    cycle, micro_steps = generation_cycle(training), training.num_iterations * training.steps_per_generation
    generations = questions // (training.generation_batch_size // training.num_generations)
    steps = math.ceil(generations * micro_steps / training.gradient_accumulation_steps)
    planned = training.max_steps if training.max_steps > 0 else steps * training.num_train_epochs
    strategy = _save_strategy(training)
    if steps % cycle and (strategy == "epoch" or (strategy == "steps" and planned > steps)):
        raise OptionError(
            f"--save_strategy {strategy}: an epoch of {questions:,} questions is {steps} steps, which is no multiple of the "
            f"generation cycle of {cycle} steps, so checkpoints from its end on would lie inside a cycle. Give a "
            f"--gradient_accumulation_steps that divides num_iterations x steps_per_generation, which is {micro_steps}"
        )


def _save_strategy(training: Any) -> str:
    return str(getattr(training.save_strategy, "value", training.save_strategy))


def check_unused(training: Any) -> None:
    """Refuses options that would be ignored: a run would not be what its recipe says.

    Args:
        training: a `trl.GRPOConfig` or `trl.SFTConfig`.

    Raises:
        OptionError: one of `UNUSED` is not at its default.
    """
    for own in fields(training):
        value = getattr(training, own.name)
        if own.name in UNUSED and value is not None and value != own.default:
            raise OptionError(f"--{own.name} {value} would be ignored: {UNUSED[own.name]}. Leave it out")


def check_full_weights(dtype: str, model: Any, training: Any) -> None:
    """Refuses to train all weights in 16 bits where nothing keeps a copy of them in 32.

    Bfloat16 has 8 significant bits: AdamW's steps at a learning rate of 1e-6 are far below the distance to the next
    number, so nearly all of them would be rounded away without a word. DeepSpeed and FSDP step on weights in float32.

    Args:
        dtype: of the weights as they are loaded.
        model: a `trl.ModelConfig`.
        training: a `trl.GRPOConfig` or `trl.SFTConfig`.

    Raises:
        OptionError: the weights would be in 16 bits.
    """
    spread = training.deepspeed_plugin is not None or training.fsdp_plugin_args is not None
    launched = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    if dtype in HALF and not (model.use_peft or spread or launched):
        raise OptionError(
            f"all weights would be trained in {dtype}, in which steps of --learning_rate {training.learning_rate:g} are "
            "rounded away. Launch with accelerate launch --config_file "
            "training/recipes/accelerate/deepspeed_zero3_offload.yaml (or fsdp2.yaml), which keeps them in float32 as well; "
            "or train an adapter (--recipe avst_zero_lora_80gb); or give --dtype float32"
        )


# --- running ----------------------------------------------------------------------------------------------------------

TRAIN_PACKAGES = ("accelerate", "jinja2", "matplotlib", "peft", "PIL", "torch", "torchvision", "transformers", "trl")


def exit_code(program: str, run: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> int:
    """Runs a script; what a user can set right is told in a line, without a traceback.

    Returns:
        0, or 2 where an error of this package's own was raised or a package is missing.
    """
    try:
        run(arguments)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in TRAIN_PACKAGES:
            raise
        print(f"{program}: training needs {error.name}: pip install 'r-avst[train]'", file=sys.stderr)
        return 2
    except Exception as error:
        if not type(error).__module__.startswith("r_avst."):
            raise
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    return 0
