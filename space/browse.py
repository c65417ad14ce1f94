"""The questions of a data set, with any number of predictions, as the page asks for them.

The page gets an index of all questions at once, in columns, and filters and sorts it by itself; a question's scene, and what
its video says beside the pictures, come when they are looked at. Nothing is kept for a visitor, so visitors cannot meet.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from typing import Final

from r_avst.dataset_builder.page_server import video_url
from r_avst.metrics.avst_metrics.answers import NOT_VISIBLE
from r_avst.metrics.avst_metrics.answers import ParsedAnswer
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.scores import QuestionScore
from r_avst.metrics.avst_metrics.scores import score_questions
from r_avst.metrics.avst_metrics.word_vectors import load_word_vectors
from r_avst.metrics.benchmark import COLUMNS as QUESTION_COLUMNS
from r_avst.metrics.benchmark import BenchmarkError
from r_avst.metrics.benchmark import BenchmarkQuestion
from r_avst.metrics.benchmark import load_rows
from r_avst.metrics.benchmark import questions_of
from r_avst.metrics.predictions import PredictionError
from r_avst.metrics.predictions import read_predictions

from .media import media_view
from .media import shown_start
from .scenes import TRUTH
from .scenes import Said
from .scenes import Scene
from .scenes import Truth
from .scenes import View
from .scenes import layers_of
from .scenes import shown_scores
from .scenes import view

COLUMNS: Final = (*QUESTION_COLUMNS, "video_id", "question", "objects")
INDEX_DECIMALS: Final = 3  # of scores that questions are sorted by


class BrowseError(ValueError):
    """Something that cannot be shown; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Model:
    """What one file predicts: answers in source pixels and their scores, a question each, and the texts by question id.

    ``warnings`` say what looks wrong about the file.
    """

    name: str
    parsed: Sequence[ParsedAnswer]
    texts: Mapping[str, str]
    scores: Sequence[QuestionScore]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Browse:
    """What there is to look at.

    Attributes:
        dataset: its name.
        questions: of the split, in its order.
        rows: the same questions with the `COLUMNS` of the data set; one is read when it is shown.
        videos: the files by video id.
        models: in the order of their colours.
        names: matches predicted with true names, as in the scores.
        naming: in words, how.
    """

    dataset: str
    questions: Sequence[BenchmarkQuestion]
    rows: Any
    videos: Mapping[str, Path]
    models: Sequence[Model]
    names: NameMatcher
    naming: str

    @property
    def notes(self) -> list[str]:
        """What is to be known of the scores and the files."""
        warnings = [warning for model in self.models for warning in model.warnings]
        return [*warnings, f"Names are matched {self.naming}."] if self.models else []

    @cached_property
    def place_of(self) -> dict[str, int]:
        """The place of each question by its id."""
        return {own.question_id: place for place, own in enumerate(self.questions)}

    def place(self, request: Mapping[str, Any]) -> int:
        """The place of the question that a request names.

        Raises:
            BrowseError: there is none.
        """
        question_id = request.get("question_id")
        if not isinstance(question_id, str) or question_id not in self.place_of:
            raise BrowseError(f"there is no question {question_id!r:.80} in {self.dataset}")
        return self.place_of[question_id]

    def video(self, place: int) -> Path | None:
        """The file of a question's video."""
        return self.videos.get(self.rows[place]["video_id"])


def load_browse(
    dataset: str, split: str, predictions: Sequence[Path], videos: Mapping[str, Path], word_vectors: str
) -> Browse:
    """Loads a split and scores every prediction of it.

    Args:
        dataset: a folder that `r-avst-build` wrote, or a data set of that form on the Hub.
        split: ``test`` or ``train``.
        predictions: files as `r-avst-score` reads them; each is a model, named by its file.
        videos: the files by video id.
        word_vectors: with which names are matched, as `r-avst-score` takes them; ``exact`` for none.

    Raises:
        BenchmarkError: the data set cannot be loaded.
        PredictionError: a file cannot be read, or two have one name.
        WordVectorsError: there are no such word vectors.
    """
    names = NameMatcher(load_word_vectors(word_vectors))
    rows = load_rows(dataset, split, COLUMNS)
    questions = questions_of(rows)
    if not questions:
        raise BenchmarkError(f"the split {split!r} of {dataset!r} holds no question: is it the right --split?")
    models: list[Model] = []
    for path in predictions:
        if path.stem in (TRUTH, *(own.name for own in models)):
            raise PredictionError(
                f"{path}: another layer is named {path.stem} too; models are named by files, rename this one"
            )
        found = read_predictions(path, questions)
        parsed = found.for_questions(questions)
        scores = score_questions(parsed, [own.question for own in questions], names)
        warnings = tuple(warning.replace(str(path), path.name) for warning in found.warnings)
        models.append(Model(path.stem, parsed, found.texts, scores, warnings))
    naming = (
        "by their letters alone (word vectors: exact)" if names.vectors is None else f"with the word vectors {word_vectors}"
    )
    name = Path(dataset).name if Path(dataset).is_dir() else dataset  # a folder of this machine is nobody's affair
    return Browse(name, questions, rows, videos, models, names, naming)


# --- what the page asks for; every request is checked, for anybody can send one ---------------------------------------


def index_of(browse: Browse, _: Mapping[str, Any]) -> View:
    """All questions in columns, with the scores that they can be sorted by."""
    rows, questions = browse.rows, browse.questions
    video_ids = rows["video_id"][:]
    return {
        "dataset": browse.dataset,
        "notes": browse.notes,
        "question_id": [own.question_id for own in questions],
        "video_id": video_ids,
        "video": [name in browse.videos for name in video_ids],
        "question": rows["question"][:],
        "question_type": [own.question_type for own in questions],
        "task": [own.question.task for own in questions],
        "events": [own.event_labels for own in questions],
        "objects": [[track.name for track in own.question.truth.tracks] for own in questions],
        "models": [own.name for own in browse.models],
        "scores": [_score_columns(own, questions) for own in browse.models],
    }


def _score_columns(model: Model, questions: Sequence[BenchmarkQuestion]) -> dict[str, list[float | None]]:
    each = [shown_scores(score, own.question.task) for score, own in zip(model.scores, questions, strict=True)]
    columns = dict.fromkeys(name for scores in each for name in scores)
    return {name: [_rounded(scores.get(name)) for scores in each] for name in columns}


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, INDEX_DECIMALS)


def scene_of(browse: Browse, request: Mapping[str, Any]) -> View:
    """The scene of the question ``request["question_id"]``.

    Raises:
        BrowseError: there is none.
    """
    return view(question_scene(browse, browse.place(request)))


def media_for(browse: Browse, request: Mapping[str, Any]) -> View:
    """The frames' times and the sound's waveform of a question's video; None where there is no file.

    Raises:
        BrowseError: there is no such question.
    """
    return media_view(browse.video(browse.place(request)))


# --- a scene ----------------------------------------------------------------------------------------------------------


def question_scene(browse: Browse, place: int) -> Scene:
    """A question with its truth and what each model says of it."""
    own, row = browse.questions[place], browse.rows[place]
    path, task = browse.videos.get(row["video_id"]), own.question.task
    said = [
        Said(model.name, model.parsed[place], model.texts.get(own.question_id, ""), shown_scores(model.scores[place], task))
        for model in browse.models
    ]
    objects, layers = layers_of(_truth(own, row), said, task, browse.names)
    return Scene(
        question_id=own.question_id,
        video_id=row["video_id"],
        task=task,
        question_type=own.question_type,
        events=own.event_labels,
        question=row["question"],
        duration=row["duration"],
        frame=own.frame_size,
        video=video_url(row["video_id"]) if path else None,
        start=shown_start(path) if path else 0.0,
        objects=objects,
        layers=layers,
    )


def _truth(own: BenchmarkQuestion, row: Mapping[str, Any]) -> Truth:
    tracks = tuple(_track(each) for each in row["objects"])
    audible = {each["name"]: each["audible"] for each in reversed(row["objects"])}
    return Truth(tracks, audible, own.span, own.question.truth, own.answer)


def _track(row: Mapping[str, Any]) -> Track:
    """An object of the data set; what is out of sight has a row of zeros, as in answers."""
    rows = [
        (frame["time"], *(one["box"] if one["visible"] else NOT_VISIBLE))
        for frame in row["frames"]
        for one in frame["instances"]
    ]
    return Track(row["name"], tuple(rows))
