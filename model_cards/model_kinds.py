"""The models that this project publishes: what they start from, what they are for, and whose research they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .citations import AV_REASONER
from .citations import r_avst_citation


@dataclass(frozen=True, slots=True)
class ModelKind:
    """What is the same on every card of a kind of model.

    ``paper_row`` is its row in `r_avst.metrics.paper_tables`; None where the paper has no such row. ``about`` leaves a place
    ``{trained}`` for how it was trained: ``trained``, or what stands for another method in `OTHER_METHODS`.
    """

    title: str
    base_model: str
    paper_row: str | None
    tags: tuple[str, ...]
    about: str
    trained: str
    citations: tuple[str, ...]

    def about_a_run(self, method: str) -> str:
        """What the card says of it at the top; ``method`` is how it was trained, ``grpo`` or one of `OTHER_METHODS`."""
        return self.about.replace("{trained}", OTHER_METHODS.get(method, self.trained))

    def tags_of_a_run(self, method: str) -> list[str]:
        """The tags of its repository."""
        return [method if tag == GRPO else tag for tag in self.tags]

    def title_of_a_run(self, method: str) -> str:
        """The title of its card: a model that was trained otherwise is not called as if it were the paper's."""
        return self.title if method == GRPO else f"{self.title} ({method.upper()})"


GRPO: Final = "grpo"
OTHER_METHODS: Final[Mapping[str, str]] = {"sft": "Fine-tuned on true answers (SFT), not with the GRPO of"}
_TAGS = ("video", "grounding", GRPO, "trl")
_R_AVST = "[arXiv 2511.16901](https://arxiv.org/abs/2511.16901)"
_AV_REASONER = "[arXiv 2506.05328](https://arxiv.org/abs/2506.05328)"

KINDS: Final[Mapping[str, ModelKind]] = {
    "avst-zero": ModelKind(
        title="AVST-Zero",
        base_model="Qwen/Qwen2.5-VL-7B-Instruct",
        paper_row="AVST-Zero 7B",
        tags=_TAGS,
        about=f"""\
Answers questions about a video with time spans, names of objects and boxes, second by second. {{trained}}
AVST-Zero of the R-AVST paper ({_R_AVST}). It sees the video and does not hear it.""",
        trained="Trained with GRPO after",
        citations=(r_avst_citation(),),
    ),
    "avst-zero-omni": ModelKind(
        title="AVST-Zero-Omni",
        base_model="Qwen/Qwen2.5-Omni-7B",
        paper_row="AVST-Zero-Omni 7B",
        tags=("audio-visual", *_TAGS),
        about=f"""\
Answers questions about a video and its sound with time spans, names of objects and boxes, second by second. {{trained}}
AVST-Zero-Omni of the R-AVST paper ({_R_AVST}). It writes text and does not speak.""",
        trained="Trained with GRPO after",
        citations=(r_avst_citation(),),
    ),
    "av-reasoner": ModelKind(
        title="AV-Reasoner",
        base_model="Qwen/Qwen2.5-Omni-7B",
        paper_row=None,
        tags=("audio-visual", "counting", *_TAGS),
        about=f"""\
Counts what is seen and heard in a video. {{trained}} AV-Reasoner
({_AV_REASONER}), which starts from Ola-Omni. Counting on CG-AV-Counting: not measured.""",
        trained="Trained with GRPO and a curriculum of related tasks after",
        citations=(AV_REASONER, r_avst_citation()),
    ),
}
