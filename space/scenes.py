"""What is shown of a question: the video, and over it the truth and any number of predictions, each a layer.

The dataclasses go to the page as they are (`view`): their fields are the keys that the scripts in `page/` read. Times are in
seconds from the moment the first frame comes on screen, boxes in pixels of the video as people see it.
"""

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from itertools import chain
from itertools import pairwise
from typing import Any
from typing import Final

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import ParsedAnswer
from r_avst.metrics.avst_metrics.answers import Row
from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.coordinates import MAX_SIDE
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.overlap import Box
from r_avst.metrics.avst_metrics.overlap import visible_frames
from r_avst.metrics.avst_metrics.scores import QuestionScore
from r_avst.metrics.avst_metrics.scores import frame_iou_curve
from r_avst.metrics.avst_metrics.scores import has_score
from r_avst.metrics.avst_metrics.scores import merged

View = dict[str, Any]
TRUTH: Final = "truth"
GRID: Final = 1.5  # seconds: true times stand on a grid of 1 s, and what is farther apart has a gap between
MOST_OBJECTS: Final = 200  # of an answer, and of rows and letters: what a broken model repeats without end is not drawn
MOST_ROWS: Final = 20_000
MOST_LETTERS: Final = 200_000
SHOWN_SCORES: Final = {
    "tIoU": ("m_tIoU", "tiou"),
    "vIoU": ("m_vIoU", "viou"),
    "object F1": ("object_f1", "object_f1"),
    "vIoU_tube": ("vIoU_tube", "viou_tube"),
    "vIoU_any": ("vIoU_any", "viou_any"),
    "format": ("format_rate", "format"),
}
"""As the page names them: the table's score, by which a task has it or not, and the field of `QuestionScore`."""


@dataclass(frozen=True, slots=True)
class ShownObject:
    """An object that some layer names. ``audible`` is None where nobody says."""

    name: str
    audible: bool | None


@dataclass(frozen=True, slots=True)
class ShownTrack:
    """An object of a layer: its place among the scene's objects, its name as the layer writes it, its visible boxes.

    ``frames``: ascending (time, boxes at that time); no boxes: out of sight.
    """

    object: int
    name: str
    frames: tuple[tuple[float, tuple[Box, ...]], ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """The truth, or what one model says.

    Attributes:
        name: of the model, or ``truth``.
        truth: whether it is the truth.
        span: of the answer; of the truth the span that is asked for or about.
        tracks: of the objects.
        curve: ascending (time, frame IoU with the truth); None where nothing is annotated. Empty where there are no boxes.
        scores: of this question by name, 0..1, None where not defined; empty for the truth and where there is no truth.
        text: the answer as it was written.
        problems: what is wrong with its form, a line each.
    """

    name: str
    truth: bool
    span: Span | None
    tracks: tuple[ShownTrack, ...]
    curve: tuple[tuple[float, float | None], ...]
    scores: dict[str, float | None]
    text: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """A question with its layers.

    Attributes:
        question_id: as in the data set; of an upload ``upload``.
        video_id: as in the data set; of an upload its file's name.
        task: of the question.
        question_type: as in the data set; of an upload empty.
        events: names of the event's classes.
        question: its text.
        duration: of the video.
        frame: width and height of the frames that boxes are for; None where unknown.
        video: the address of the file; None where there is none.
        start: seconds of the browser's clock (``mediaTime``) at which time 0 is.
        objects: those of the truth, then those that models alone name.
        layers: the truth first, where there is one.
    """

    question_id: str
    video_id: str
    task: Task
    question_type: str
    events: tuple[str, ...]
    question: str
    duration: float
    frame: Size | None
    video: str | None
    start: float
    objects: tuple[ShownObject, ...]
    layers: tuple[Layer, ...]


def view(scene: Scene) -> View:
    """The scene as JSON has it."""
    return asdict(scene)


# --- layers -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of a question: the objects with their boxes, the span, and the answer as it is written.

    ``answer`` is what predictions are scored against; ``tracks`` may hold boxes that a temporal question does not ask for.
    """

    tracks: tuple[Track, ...]
    audible: dict[str, bool | None]
    span: Span | None
    answer: Answer
    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says, boxes in source pixels, with its scores where there is a truth."""

    name: str
    parsed: ParsedAnswer
    text: str
    scores: dict[str, float | None]


def shown_scores(score: QuestionScore, task: Task) -> dict[str, float | None]:
    """The scores of one answer that its task has, by the names of the page."""
    return {name: getattr(score, field) for name, (table, field) in SHOWN_SCORES.items() if has_score(task, table)}


def layers_of(
    truth: Truth | None, said: Sequence[Said], task: Task, names: NameMatcher
) -> tuple[tuple[ShownObject, ...], tuple[Layer, ...]]:
    """The objects that anybody names, and a layer for the truth and for each model.

    A predicted object whose name matches a true one stands for it, as in the scores; others come behind the true ones.
    """
    tracks = merged(truth.tracks) if truth else []
    audible = truth.audible if truth else {}
    objects = [ShownObject(track.name, audible.get(track.name)) for track in tracks]
    layers = [_truth_layer(truth, tracks)] if truth else []
    for own in said:
        predicted = merged(own.parsed.answer.tracks)
        places = _places(predicted[:MOST_OBJECTS], len(tracks), objects, names)
        curve = _curve(own.parsed.answer, truth, task, names)
        layers.append(_said_layer(own, predicted, places, curve))
    return tuple(objects), tuple(layers)


def _places(predicted: Sequence[Track], true_count: int, objects: list[ShownObject], names: NameMatcher) -> list[int]:
    """The place of each predicted object among ``objects``, to which those that nobody named before are added."""
    true_names = [own.name for own in objects[:true_count]]
    pairs = names.match([track.name for track in predicted], true_names).pairs
    true_of = {found: true for true, found in pairs}
    others = {own.name.casefold(): place for place, own in enumerate(objects) if place >= true_count}
    places = []
    for index, track in enumerate(predicted):
        place = true_of.get(index, others.get(track.name.casefold()))
        if place is None:
            place = others[track.name.casefold()] = len(objects)
            objects.append(ShownObject(_sendable(track.name), None))
        places.append(place)
    return places


def _truth_layer(truth: Truth, tracks: Sequence[Track]) -> Layer:
    shown = tuple(ShownTrack(place, track.name, _frames(track.rows)) for place, track in enumerate(tracks))
    return Layer(TRUTH, True, truth.span, shown, (), {}, truth.text, ())


def _said_layer(
    own: Said, predicted: Sequence[Track], places: Sequence[int], curve: tuple[tuple[float, float | None], ...]
) -> Layer:
    left, shown = MOST_ROWS, []
    for place, track in zip(places, predicted, strict=False):
        shown.append(ShownTrack(place, _sendable(track.name), _frames(track.rows[:left])))
        left -= len(track.rows[:left])
    problems = [f"{problem.kind}: {problem.found}" for problem in own.parsed.problems]
    return Layer(
        name=own.name,
        truth=False,
        span=own.parsed.answer.span,
        tracks=tuple(shown),
        curve=curve,
        scores=own.scores,
        text=_sendable(own.text[:MOST_LETTERS]),
        problems=(*map(_sendable, problems), *_left_out(own, predicted)),
    )


def _sendable(text: str) -> str:
    """Half of a letter, as a broken model's text or the end of a cut one may hold, is no UTF-8: it becomes ``?``."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _left_out(own: Said, predicted: Sequence[Track]) -> Iterator[str]:
    """What of an answer is not on the page, in words."""
    if len(predicted) > MOST_OBJECTS:
        yield f"{len(predicted):,} objects, of which {MOST_OBJECTS} are drawn"
    if (rows := sum(len(track.rows) for track in predicted)) > MOST_ROWS:
        yield f"{rows:,} rows, of which {MOST_ROWS:,} are drawn"
    if len(own.text) > MOST_LETTERS:
        yield f"{len(own.text):,} letters, of which {MOST_LETTERS:,} are shown"


def is_near(row: Row) -> bool:
    """Whether a box lies on a picture or near one; what a broken model writes may be beyond all numbers."""
    return max(map(abs, row)) <= MAX_SIDE


def _frames(rows: Sequence[Row]) -> tuple[tuple[float, tuple[Box, ...]], ...]:
    """The visible boxes at each time; those that lie beyond any picture would be no numbers to a browser."""
    near = [row for row in rows if is_near(row)]
    visible = visible_frames(near)
    return tuple((time, tuple(visible.get(time, ()))) for time in sorted({row[0] for row in near}))


def _curve(answer: Answer, truth: Truth | None, task: Task, names: NameMatcher) -> tuple[tuple[float, float | None], ...]:
    if truth is None or task == "temporal":
        return ()
    curve = frame_iou_curve(answer, truth.answer, names)
    gaps = (((now + later) / 2, None) for (now, _), (later, _) in pairwise(curve) if later - now > GRID)
    return tuple(sorted(chain(curve, gaps)))
