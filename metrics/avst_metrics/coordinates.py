"""The coordinate spaces that models answer in, and the one way from them to source pixels.

Truth is in pixels of the source video. Qwen2.5-VL answers in pixels of the resized frame it was given, other models in
thousandths or in fractions of the frame. A text does not say which, so whoever reads predictions has to: there is no
default. Scoring boxes in the wrong space gives low scores and no error.
"""

from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any
from typing import Literal
from typing import get_args

from .answers import Answer
from .answers import Row
from .answers import is_visible

Space = Literal["source", "model", "norm1000", "unit"]
SPACES: tuple[Space, ...] = get_args(Space)
Size = tuple[int, int]

MAX_SIDE = 1_000_000  # pixels: no video is larger, and a larger number would scale boxes to nothing or infinity
UNIT_LIMIT, NORM1000_LIMIT = 1.5, 1500  # beyond these a box is out of the frame by half of it or more

SPACES_HELP = (
    "'source' (pixels of the video), 'model' (pixels of the frame the model was given), "
    "'norm1000' (0 to 1000) or 'unit' (0 to 1)"
)


def to_source(
    answer: Answer, space: str | None, frame_size: Sequence[int] | None, processed_size: Sequence[int] | None = None
) -> Answer:
    """Converts the boxes of ``answer`` to source pixels. x and y scale each by one factor; nothing is clipped or rounded.

    Args:
        answer: boxes in ``space``.
        space: one of `SPACES`.
        frame_size: width and height of the source video in pixels; may be None for ``source`` only.
        processed_size: width and height of the frame given to the model; for ``model``, and only there.

    Raises:
        ValueError: an unknown space, or a size that is missing, not positive, or given where it has no meaning.

    >>> from .answers import Track
    >>> to_source(Answer((Track("dog", ((0.0, 100, 500, 200, 1000),)),)), "norm1000", (640, 360)).tracks[0].rows
    ((0.0, 64.0, 180.0, 128.0, 360.0),)
    """
    x_scale, y_scale = scales_to_source(space, frame_size, processed_size)
    if x_scale == y_scale == 1.0:
        return answer
    tracks = (replace(track, rows=_scaled(track.rows, x_scale, y_scale)) for track in answer.tracks)
    return replace(answer, tracks=tuple(tracks))


def scales_to_source(
    space: str | None, frame_size: Sequence[int] | None, processed_size: Sequence[int] | None
) -> tuple[float, float]:
    """The factors that take x and y from ``space`` to source pixels; arguments and errors as in `to_source`."""
    if space not in SPACES:
        raise ValueError(f"coordinate_space is {space!r}; say in which space the boxes were written: {SPACES_HELP}")
    if processed_size is not None and space != "model":
        raise ValueError(f"processed_size {processed_size} has a meaning in the space 'model' only, not in {space!r}")
    if space == "source":
        return 1.0, 1.0
    width, height = checked_size(frame_size, "frame_size", space)
    if space == "model":
        model_width, model_height = checked_size(processed_size, "processed_size", space)
        return width / model_width, height / model_height
    full = 1000 if space == "norm1000" else 1
    return width / full, height / full


def space_warning(answers: Iterable[Answer], space: str) -> str | None:
    """What to tell a user whose boxes do not look as if they were written in ``space``; None where they do.

    A model may be wrong, so this is no error: it speaks up where more than half of the visible boxes do not fit.
    """
    largest = [max(map(abs, row[1:])) for one in answers for track in one.tracks for row in track.rows if is_visible(row)]
    if space in ("source", "model"):
        misfits = sum(value <= UNIT_LIMIT for value in largest)
    else:
        misfits = sum(value > (UNIT_LIMIT if space == "unit" else NORM1000_LIMIT) for value in largest)
    if misfits * 2 <= len(largest):
        return None
    found = "no coordinate above 1" if space in ("source", "model") else "coordinates beyond the frame"
    return (
        f"{misfits} of {len(largest)} predicted boxes have {found}: is coordinate_space {space!r} right? It is {SPACES_HELP}"
    )


def checked_size(size: Any, name: str, space: str = "") -> Size:
    """Width and height in pixels out of whatever a user gave; ``name`` and ``space`` are for the error.

    Raises:
        ValueError: it is None, or not two whole numbers from 1 to `MAX_SIDE`.
    """
    if size is None:
        raise ValueError(f"the space {space!r} needs {name} (width, height), but there is none")
    numbers: list[Any] = list(size) if isinstance(size, Iterable) and not isinstance(size, str | bytes) else []
    if len(numbers) != 2 or not all(_is_side(n) for n in numbers):
        raise ValueError(f"{name} is {size!r:.80}; it must be two whole numbers above 0: width, height")
    return int(numbers[0]), int(numbers[1])


def _is_side(number: Any) -> bool:
    return not isinstance(number, bool) and isinstance(number, Integral) and 0 < int(number) <= MAX_SIDE


def _scaled(rows: Sequence[Row], x_scale: float, y_scale: float) -> tuple[Row, ...]:
    return tuple((time, x1 * x_scale, y1 * y_scale, x2 * x_scale, y2 * y_scale) for time, x1, y1, x2, y2 in rows)
