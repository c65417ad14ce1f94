"""The tasks that tiny models learn, and the settings under which they do. Settings are part of a result: see `results`."""

from dataclasses import dataclass
from dataclasses import replace
from typing import Literal

from ..answer_form import AnswerForm
from ..clips import MediaSettings
from ..media import Family
from ..tiny_models import TinySize
from .boxes_world import BOXES_WORLD
from .sound_world import SOUND_WORLD
from .temporal_world import TEMPORAL_WORLD
from .world import World

Wrong = Literal["any", "constant"]
Truths = Literal["own", "others"]


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of SFT.

    Attributes:
        right: share of labels that are right.
        wrong: what stands for the others: ``any`` answer that a clip can have, or the ``constant`` that is best on the
            training clips.
        steps: at most so many.
        until: the phase ends where the mean loss of the last 20 steps is below; 0 for all steps.
        rate: learning rate.
    """

    right: float
    wrong: Wrong
    steps: int
    until: float
    rate: float


@dataclass(frozen=True, slots=True)
class LearnTask:
    """A world, a tiny model, and how it is trained.

    Attributes:
        world: of the clips and their question.
        family: of the model.
        media: what the model is given of a clip.
        form: of the answers.
        size: of the model.
        clips: for training.
        held_out: clips for scores alone.
        phases: of SFT, in their order.
        sft_batch: rows a step.
        grpo_steps: optimisation steps.
        grpo_rate: learning rate.
        generations: completions of a prompt.
        grpo_batch: completions a step.
        truths: what the rewards compare with: each clip's ``own`` truth, or ``others``'.
        shared_prompt: whether GRPO encodes a prompt once for all its completions.
    """

    world: World
    family: Family
    media: MediaSettings
    form: AnswerForm
    size: TinySize
    clips: int
    held_out: int
    phases: tuple[Phase, ...]
    sft_batch: int
    grpo_steps: int
    grpo_rate: float
    generations: int
    grpo_batch: int
    truths: Truths
    shared_prompt: bool = True


def _media(fps: float, pixels: int, audio: bool) -> MediaSettings:
    return MediaSettings(fps=fps, max_frames=16, min_pixels=pixels, max_pixels=pixels, audio=audio, decoder="pyav")


FORM = AnswerForm(space="model", box_every=1, decimals=0)
TEMPORAL = LearnTask(
    world=TEMPORAL_WORLD,
    family="vl",
    media=_media(2.0, 28 * 28, audio=False),
    form=FORM,
    size=TinySize(hidden=64, rope_theta=1e6, spread=0.08, vision_layers=1),
    clips=256,
    held_out=64,
    phases=(Phase(0.5, "any", 1200, 0.42, 2e-3),),
    sft_batch=16,
    grpo_steps=120,
    grpo_rate=5e-4,
    generations=8,
    grpo_batch=64,
    truths="own",
)
BOXES = replace(
    TEMPORAL,
    world=BOXES_WORLD,
    media=_media(2.0, 56 * 56, audio=False),
    size=TinySize(hidden=64, rope_theta=10.0, spread=0.08, vision_layers=2),
    clips=320,
    phases=(Phase(1.0, "any", 900, 0.14, 3e-3), Phase(0.5, "any", 60, 0.0, 2e-3)),
    sft_batch=32,
    grpo_steps=100,
)
SOUND = replace(
    TEMPORAL,
    world=SOUND_WORLD,
    family="omni",
    media=_media(1.0, 28 * 28, audio=True),
    size=TinySize(hidden=64, rope_theta=1e4, hop_length=2000, audio_layers=1, spread=0.08, vision_layers=1),
    phases=(Phase(0.5, "any", 1200, 0.47, 2e-3),),
    grpo_steps=100,
)
WRONG = replace(TEMPORAL, truths="others")
TASKS = {"temporal": TEMPORAL, "boxes": BOXES, "sound": SOUND, "wrong": WRONG}
