"""R-AVST's scores for audio-visual spatio-temporal grounding, as a module of Hugging Face `evaluate`."""

# evaluate copies the modules that this file imports, one `from .x import` a line, and those alone: a sibling that only
# another sibling needs has to be named here too.
from collections.abc import Hashable
from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from .answers import TASKS
from .coordinates import Size
from .inputs import column
from .inputs import read_predictions
from .inputs import read_questions
from .json_answers import read_json
from .names import NameMatcher
from .overlap import box_iou
from .scores import score_question
from .scores import score_questions
from .skill import skill
from .summary import Summariser
from .summary import indices_by_group
from .summary import question_rows
from .version import VERSION
from .word_vectors import DEFAULT
from .word_vectors import load_word_vectors

_DESCRIPTION = """\
Scores the text answers of Video-LLMs to the temporal, spatial and spatio-temporal questions of R-AVST: tIoU, R1@t, object
accuracy and F1, vIoU, AP@t, vIoU over the tube, vIoU without names, and the rate of well-formed answers; by task and
overall, with bootstrap intervals, and as skill against the best constant answer."""

_CITATION = """\
@article{ravst2025,
  title  = {R-AVST: Empowering Video-LLMs with Fine-Grained Spatio-Temporal Reasoning in Complex Audio-Visual Scenarios},
  author = {Zhu, Lu and Geng, Tiantian and Chen, Yangye and Wang, Teng and Lu, Ping and Zheng, Feng},
  year   = {2025},
  eprint = {2511.16901},
  archivePrefix = {arXiv}
}"""

_INPUTS = """
Args:
    predictions (list of str): the models' texts, as they are.
    references (list of str): the true answers (`dataset["answer"]`), boxes in source pixels.
    coordinate_space (str): required. The space the predicted boxes are in: "source" (pixels of the video), "model" (pixels
        of the frame the model was given), "norm1000" (0 to 1000) or "unit" (0 to 1).
    tasks (list of str or int): "temporal", "spatial" or "spatio_temporal" of each question, or its class number
        (`dataset["task"]`). Default: read off the reference.
    groups (list): a label, or a list of labels, of each question: adds the figures of each group.
    frame_sizes (list of (width, height)): of the source videos; needed by every space but "source".
    processed_sizes (list of (width, height)): of the frames given to the model; needed by "model".
    durations (list of float): of the videos in seconds; needed for the skill of the temporal scores.
    word_vectors (str): "word2vec-google-news-300" (default; downloaded once), a path (.kv, .bin, .npz), or "exact" for none.
    bootstrap_samples (int): 1000 by default; 0 for no intervals.
    seed (int): of the bootstrap; 0 by default.
    per_question (bool): adds the scores of each question and the problems met in its text.

Returns:
    dict: for "overall" and each task `{score: {value, low, high, count, undefined, floor, skill}}`, values in 0..1;
    "settings"; and "groups" and "per_question" if asked for.

Example:
    >>> metric = evaluate.load("avst_metrics")
    >>> truth = "<answer><object>dog</object><when>[0.0, 4.0]</when></answer>"
    >>> text = "<answer><object>a dog</object><when>[1.0, 4.0]</when></answer>"
    >>> scores = metric.compute(
    ...     predictions=[text], references=[truth], coordinate_space="source", word_vectors="exact"
    ... )
    >>> scores["temporal"]["m_tIoU"]["value"]
    0.75
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _INPUTS)
class AvstMetrics(evaluate.Metric):
    """The metric; see `compute`."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": datasets.Value("string"), "references": datasets.Value("string")}),
            reference_urls=["https://arxiv.org/abs/2511.16901"],
        )

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str],
        coordinate_space: str | None = None,
        tasks: Sequence[str | int] | None = None,
        groups: Sequence[Hashable | Sequence[Hashable]] | None = None,
        frame_sizes: Sequence[Size | None] | None = None,
        processed_sizes: Sequence[Size | None] | None = None,
        durations: Sequence[float] | None = None,
        word_vectors: str = DEFAULT,
        bootstrap_samples: int = 1000,
        seed: int = 0,
        per_question: bool = False,
    ) -> dict[str, Any]:
        questions = read_questions(references, tasks, durations)
        parsed = read_predictions(predictions, coordinate_space, frame_sizes, processed_sizes)
        names = NameMatcher(load_word_vectors(word_vectors))
        scores = score_questions(parsed, questions, names)
        summariser = Summariser(questions, names, bootstrap_samples, seed)
        result: dict[str, Any] = {
            **summariser.by_task(scores),
            "settings": {
                "version": VERSION,
                "coordinate_space": coordinate_space,
                "word_vectors": word_vectors,
                "bootstrap_samples": bootstrap_samples,
                "seed": seed,
            },
        }
        if groups is not None:
            by_group = indices_by_group(column("groups", groups, len(questions)))
            result["groups"] = {group: summariser.by_task(scores, rows) for group, rows in by_group.items()}
        if per_question:
            result["per_question"] = question_rows(questions, scores, parsed)
        return result
