"""The models that this project publishes: what they start from, what they are for, and whose research they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .citations import AV_REASONER
from .citations import r_avst_citation


@dataclass(frozen=True, slots=True)
class ModelKind:
    """What is the same on every card of a kind of model.

    ``paper_row`` is its row in `r_avst.metrics.paper_tables`; None where the paper has no such row.
    """

    title: str
    base_model: str
    paper_row: str | None
    tags: tuple[str, ...]
    about: str
    citations: tuple[str, ...]


_TAGS = ("video", "grounding", "grpo", "trl")
_R_AVST = "[arXiv 2511.16901](https://arxiv.org/abs/2511.16901)"
_AV_REASONER = "[arXiv 2506.05328](https://arxiv.org/abs/2506.05328)"

KINDS: Final[Mapping[str, ModelKind]] = {
    "avst-zero": ModelKind(
        title="AVST-Zero",
        base_model="Qwen/Qwen2.5-VL-7B-Instruct",
        paper_row="AVST-Zero 7B",
        tags=_TAGS,
        about=f"""\
Answers questions about a video with time spans, names of objects and boxes, second by second. Trained with GRPO after
AVST-Zero of the R-AVST paper ({_R_AVST}). It sees the video and does not hear it.""",
        citations=(r_avst_citation(),),
    ),
    "avst-zero-omni": ModelKind(
        title="AVST-Zero-Omni",
        base_model="Qwen/Qwen2.5-Omni-7B",
        paper_row="AVST-Zero-Omni 7B",
        tags=("audio-visual", *_TAGS),
        about=f"""\
Answers questions about a video and its sound with time spans, names of objects and boxes, second by second. Trained with
GRPO after AVST-Zero-Omni of the R-AVST paper ({_R_AVST}). It writes text and does not speak.""",
        citations=(r_avst_citation(),),
    ),
    "av-reasoner": ModelKind(
        title="AV-Reasoner",
        base_model="Qwen/Qwen2.5-Omni-7B",
        paper_row=None,
        tags=("audio-visual", "counting", *_TAGS),
        about=f"""\
Counts what is seen and heard in a video. Trained with GRPO and a curriculum of related tasks after AV-Reasoner
({_AV_REASONER}), which starts from Ola-Omni. Counting on CG-AV-Counting: not measured.""",
        citations=(AV_REASONER, r_avst_citation()),
    ),
}
