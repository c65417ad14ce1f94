"""How a model is asked to write its answer: in which space, how often a line of boxes, with how many decimals.

The unified format of R-AVST has a line of boxes a second and one decimal. By the rules of Qwen's tokenizer 356 of the 972
released answers with boxes are longer than the 1,024 tokens that the paper allows. A compact form has fewer lines and
digits::

    0.0: [272.0, 208.0, 393.0, 359.0]        0.0: [425, 578, 614, 998]
    1.0: [271.0, 209.0, 394.0, 359.0]        3.0: [422, 581, 616, 997]
    2.0: [270.0, 209.0, 395.0, 359.0]
    3.0: [270.0, 209.0, 394.0, 359.0]

On the left the released form; on the right the same rows in thousandths of the frame, a line every three seconds.
`answer_text` writes the truth in a form, `read_answer` reads what a model wrote in it: boxes come back in source pixels and
the seconds between two lines are filled.
"""

import math
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from itertools import pairwise

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import ParsedAnswer
from r_avst.metrics.avst_metrics.answers import Row
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import is_visible
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.coordinates import Space
from r_avst.metrics.avst_metrics.coordinates import checked_size
from r_avst.metrics.avst_metrics.coordinates import to_source

FORM_SPACES: tuple[Space, ...] = ("model", "norm1000", "source")
FULL_NORM1000: Size = (1000, 1000)
MAX_DECIMALS = 6
TOLERANCE = 0.5  # seconds: lines of boxes stand on a grid of 1 s, and scores match times that are so near


class AnswerFormError(ValueError):
    """A form that no answer can be written in; the message says which setting is wrong."""


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How answers are written.

    Attributes:
        space: of the coordinates, one of `FORM_SPACES`: pixels of the frames the model is given, thousandths of their width
            and height, or pixels of the video.
        box_every: whole seconds between two lines of an object's boxes; 1 is the released form. The first and the last line
            before and behind a gap, or a time out of sight, stand there always. Reading fills the seconds between.
        decimals: of the coordinates; 0 in ``norm1000``. Times keep one decimal.

    Raises:
        AnswerFormError: a setting is out of its range. ``unit`` is none of the spaces: three digits behind the point say no
            more than ``norm1000`` and cost tokens.
    """

    space: Space
    box_every: int
    decimals: int

    def __post_init__(self) -> None:
        if self.space not in FORM_SPACES:
            raise AnswerFormError(
                f"the coordinate space of an answer form is {self.space!r}; it must be one of {FORM_SPACES}"
            )
        if self.box_every < 1:
            raise AnswerFormError(f"box_every is {self.box_every}; it must be a whole number of seconds from 1")
        most = 0 if self.space == "norm1000" else MAX_DECIMALS
        if not 0 <= self.decimals <= most:
            raise AnswerFormError(f"decimals is {self.decimals}; in the space {self.space!r} it must be from 0 to {most}")


def full_frame(form: AnswerForm, source_size: Size, processed_size: Size) -> Size:
    """The largest x and y of a form's coordinates: the width and height of the whole frame in its space.

    >>> full_frame(AnswerForm("norm1000", 1, 0), (640, 360), (644, 364))
    (1000, 1000)
    """
    sizes = {"model": processed_size, "norm1000": FULL_NORM1000, "source": source_size}
    return checked_size(sizes[form.space], "frame size", form.space)


# --- writing ----------------------------------------------------------------------------------------------------------


def answer_text(truth: Answer, task: Task, form: AnswerForm, source_size: Size, processed_size: Size) -> str:
    """The true answer as the model should write it.

    Args:
        truth: boxes in source pixels.
        task: decides which tags are written.
        form: how to write it.
        source_size: width and height of the video.
        processed_size: width and height of the frames that the model is given.

    Raises:
        ValueError: a size is not two whole numbers above 0, or the answer lacks what ``task`` needs.
    """
    return form_text(scaled_answer(truth, form, source_size, processed_size), task, form)


def scaled_answer(truth: Answer, form: AnswerForm, source_size: Size, processed_size: Size) -> Answer:
    """``truth``, boxes in source pixels, with its boxes in the space of ``form``; nothing is rounded or left out."""
    # From a to b is the way from b to a with the sizes exchanged.
    return to_source(truth, "model", full_frame(form, source_size, processed_size), source_size)


def form_text(answer: Answer, task: Task, form: AnswerForm) -> str:
    """An answer whose boxes are in the form's space already, written with its lines and decimals."""
    tracks = (replace(track, rows=_written_rows(track.rows, form)) for track in answer.tracks)
    return write_answer(replace(answer, tracks=tuple(tracks)), task, form.decimals)


def _written_rows(rows: Sequence[Row], form: AnswerForm) -> tuple[Row, ...]:
    every = form.box_every
    kept = {time for run in _runs(rows) for time in (_thinned(run, every) if every > 1 else run)}
    return tuple(_rounded(row, form.decimals) for row in rows if row[0] in kept)


def _runs(rows: Sequence[Row]) -> list[list[float]]:
    """The times in ascending order, cut where seconds are missing and where the object goes out of sight or comes back."""
    visible: dict[float, bool] = {}
    for row in rows:
        visible[row[0]] = visible.get(row[0], False) or is_visible(row)
    runs: list[list[float]] = []
    for time in sorted(visible):
        before = runs[-1][-1] if runs else -math.inf
        if time - before > 1 + TOLERANCE or visible[time] != visible[before]:
            runs.append([])
        runs[-1].append(time)
    return runs


def _thinned(run: Sequence[float], every: int) -> list[float]:
    """The first and the last time of a run, and every ``every``-th second between them."""
    kept = [run[0]]
    for time in run:
        if time - kept[-1] > every - TOLERANCE:
            kept.append(time)
    return [*kept, run[-1]]


def _rounded(row: Row, decimals: int) -> Row:
    """The row as it will be read. A visible box keeps an area: without one it would be no row."""
    if not is_visible(row):
        return row
    smallest = 10.0**-decimals
    time, x1, y1, x2, y2 = row[0], *(round(number, decimals) for number in row[1:])
    return time, x1, y1, x2 if x1 < x2 else x1 + smallest, y2 if y1 < y2 else y1 + smallest


# --- reading ----------------------------------------------------------------------------------------------------------


def read_answer(text: str, form: AnswerForm, source_size: Size, processed_size: Size) -> ParsedAnswer:
    """What a model wrote in ``form``, boxes in source pixels, seconds between two lines of boxes filled. Takes any text.

    Two lines of an object that are at most ``box_every`` + 0.5 s apart are joined, a row a second: straight from box to box
    where both times have as many boxes, all visible, in the order written; else the earlier ones stay. So with ``box_every``
    above 1 a line between two that are too far apart to be joined adds the seconds beside it, even if its own box is wrong.

    Raises:
        ValueError: a size is not two whole numbers above 0.
    """
    parsed = parse_answer(text)
    size = processed_size if form.space == "model" else None
    answer = to_source(parsed.answer, form.space, source_size, size)
    if form.box_every > 1:
        tracks = (Track(track.name, _filled(track.rows, form.box_every)) for track in answer.tracks)
        answer = replace(answer, tracks=tuple(tracks))
    return replace(parsed, answer=answer)


def _filled(rows: Sequence[Row], every: int) -> tuple[Row, ...]:
    """The rows as written, and behind them those of the seconds between."""
    by_time: dict[float, list[Row]] = {}
    for row in dict.fromkeys(rows):
        by_time.setdefault(row[0], []).append(row)
    between = (
        filled
        for start, end in pairwise(sorted(by_time))
        if end - start <= every + TOLERANCE
        for filled in _between(by_time[start], by_time[end])
    )
    return (*rows, *between)


def _between(first: Sequence[Row], last: Sequence[Row]) -> Iterator[Row]:
    """Rows at every whole second after ``first`` that is half a second or more before ``last``."""
    start, end = first[0][0], last[0][0]
    moves = len(first) == len(last) and all(map(is_visible, [*first, *last]))
    for second in range(1, int(end - start + TOLERANCE)):
        time = round(start + second, 6)  # 0.1 + 0.2 is no time that a grid has
        share = second / (end - start) if moves else 0.0
        for row, aim in zip(first, last if moves else first, strict=True):
            x1, y1, x2, y2 = (a + (b - a) * share for a, b in zip(row[1:], aim[1:], strict=True))
            yield time, x1, y1, x2, y2
