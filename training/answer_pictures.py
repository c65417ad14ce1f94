"""Pictures of answers: true and predicted boxes on a frame of the video, and both spans on its time line.

True boxes are solid green. Predicted boxes are orange: solid where the answer has boxes of this time, dashed where they are
held from an earlier time, which the label then gives. Both colours are of the palette of Okabe and Ito, made to be told
apart with the common forms of colour blindness; every line lies on a dark one, so that it shows on any picture.

What a model wrote is untrusted: names are drawn as text, cut to a length; boxes beyond the frame are counted and not drawn.
"""

import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from matplotlib import get_data_path
from numpy.typing import NDArray
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Row
from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import is_visible
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.coordinates import checked_size
from r_avst.metrics.avst_metrics.overlap import TIME_TOLERANCE

Colour = tuple[int, int, int]
Corners = tuple[int, int, int, int]
TRUE_COLOUR: Final = (0, 158, 115)
PREDICTED_COLOUR: Final = (230, 159, 0)
UNDER_LINES: Final = (16, 16, 16)
PAPER: Final = (250, 250, 250)
INK: Final = (24, 24, 24)
FAINT: Final = (214, 214, 214)
SMALLEST, LARGEST = 360, 960  # pixels of the longer side of what is drawn
FONT_SIZE = 13
LINE = 3  # pixels
DASH = 7
ROW_HEIGHT = 20  # of a row of the strip under the picture
MARGIN = 8
NAME_WIDTH = 84  # of what stands left of the time line
MOST_BOXES = 60  # of the true and of the predicted ones each: an answer may have any number
MOST_NAME = 32  # characters
MOST_CAPTION = 110


class FrameSizeError(ValueError):
    """A frame of another size than the boxes' space; the message gives both."""


@dataclass(frozen=True, slots=True)
class ShownBox:
    """A box to draw: its name, its corners in source pixels, the time it is held from (None if it is of the time shown)."""

    name: str
    corners: tuple[float, float, float, float]
    held_from: float | None


def time_to_show(truth: Answer, predicted: Answer) -> float:
    """The time of a question's video that shows most of its truth, in seconds.

    The true time with most visible boxes; of several the first that has predicted boxes too, else the first. Without any
    boxes the middle of the true span, of the predicted one, or 0.
    """
    counts: dict[float, int] = {}
    for row in _visible(truth.tracks):
        counts[row[0]] = counts.get(row[0], 0) + 1
    if counts:
        most = max(counts.values())
        best = sorted(time for time, count in counts.items() if count == most)
        answered = np.array([row[0] for row in _visible(predicted.tracks)])
        return next((time for time in best if np.any(np.abs(answered - time) <= TIME_TOLERANCE)), best[0])
    span = truth.span or predicted.span
    return (span[0] + span[1]) / 2 if span else 0.0


def draw_answer(
    frame: NDArray[np.uint8],
    time: float,
    predicted: Answer,
    truth: Answer,
    source_size: Size,
    duration: float,
    caption: str,
) -> Image.Image:
    """A picture of an answer beside the truth.

    Args:
        frame: (height, width, 3) RGB, of the source's size.
        time: of the frame, in seconds.
        predicted: boxes in source pixels.
        truth: boxes in source pixels.
        source_size: width and height of the video in pixels.
        duration: of the video in seconds, the length of the time line.
        caption: the line over the picture; it is cut to `MOST_CAPTION` characters.

    Raises:
        FrameSizeError: the frame is not of the source's size, so that boxes would stand in wrong places.
        ValueError: the size is not two whole numbers above 0, or the duration is not above 0.
    """
    width, height = checked_size(source_size, "source_size")
    if frame.shape != (height, width, 3):
        raise FrameSizeError(f"the frame has the shape {frame.shape}; boxes in source pixels need ({height}, {width}, 3)")
    if not 0 < duration < math.inf:
        raise ValueError(f"the duration is {duration} s; a time line needs one above 0")
    scale = _scale(width, height)
    shown = Image.fromarray(frame).resize((max(1, round(width * scale)), max(1, round(height * scale))))
    outside = _draw_boxes(shown, scale, boxes_at(truth, time), TRUE_COLOUR, _above)
    outside += _draw_boxes(shown, scale, held_boxes_at(predicted, time), PREDICTED_COLOUR, _below)
    lines = [caption, f"{_seconds(time)} of {_seconds(duration)}{f', {outside} boxes not drawn' if outside else ''}"]
    return _framed(shown, lines, {"true": truth.span, "predicted": predicted.span}, time, duration)


# --- boxes ------------------------------------------------------------------------------------------------------------


def boxes_at(answer: Answer, time: float) -> list[ShownBox]:
    """The boxes of an answer at a time: an object's rows at its nearest time, if at most 0.5 s away, as in the scores."""
    return [box for track in answer.tracks for box in _boxes_at(track, _nearest(track, time), None)]


def held_boxes_at(answer: Answer, time: float) -> list[ShownBox]:
    """The boxes of an answer at a time; where an object has none, those of its last time before, marked as held."""
    boxes: list[ShownBox] = []
    for track in answer.tracks:
        nearest = _nearest(track, time)
        latest = max((row[0] for row in track.rows if row[0] < time), default=None)
        boxes += _boxes_at(track, nearest, None) if nearest is not None else _boxes_at(track, latest, latest)
    return boxes


def _nearest(track: Track, time: float) -> float | None:
    near = [row[0] for row in track.rows if abs(row[0] - time) <= TIME_TOLERANCE]
    return min(near, key=lambda own: abs(own - time), default=None)


def _boxes_at(track: Track, time: float | None, held_from: float | None) -> list[ShownBox]:
    return [ShownBox(track.name, row[1:], held_from) for row in track.rows if row[0] == time and is_visible(row)]


def _visible(tracks: Iterable[Track]) -> Iterator[Row]:
    return (row for track in tracks for row in track.rows if is_visible(row) and math.isfinite(row[0]))


def _draw_boxes(
    picture: Image.Image,
    scale: float,
    boxes: Sequence[ShownBox],
    colour: Colour,
    label_at: Callable[[Corners, int], int],
) -> int:
    """Draws boxes and over them their names; returns how many it left out.

    ``label_at`` gives the upper edge of a label from the corners of its box and the label's height.
    """
    drawn = [(box, corners) for box in boxes[:MOST_BOXES] if (corners := _corners(box.corners, scale, picture.size))]
    draw = ImageDraw.Draw(picture)
    for box, corners in drawn:
        draw.rectangle(corners, outline=UNDER_LINES, width=LINE + 1)
        (_solid if box.held_from is None else _dashed)(draw, corners, colour)
    for box, corners in drawn:
        held = f" (from {_seconds(box.held_from)})" if box.held_from is not None else ""
        _label(draw, corners, plain(box.name, MOST_NAME) + held, colour, picture.size, label_at)
    return len(boxes) - len(drawn)


def _corners(box: Sequence[float], scale: float, size: Size) -> Corners | None:
    """The corners in pixels of the picture, cut at its edges; None for a box of which nothing lies inside."""
    if not all(map(math.isfinite, box)):
        return None
    x1, y1 = (round(max(number * scale, 0.0)) for number in box[:2])
    x2, y2 = (round(min(number * scale, float(side))) for number, side in zip(box[2:], size, strict=True))
    return (x1, y1, x2 - 1, y2 - 1) if x1 < x2 and y1 < y2 else None


def _solid(draw: ImageDraw.ImageDraw, corners: Corners, colour: Colour) -> None:
    draw.rectangle(corners, outline=colour, width=LINE)


def _dashed(draw: ImageDraw.ImageDraw, corners: Corners, colour: Colour) -> None:
    x1, y1, x2, y2 = corners
    for start in range(x1, x2 + 1, 2 * DASH):
        stop = min(start + DASH, x2)
        draw.rectangle((start, y1, stop, min(y1 + LINE - 1, y2)), fill=colour)
        draw.rectangle((start, max(y2 - LINE + 1, y1), stop, y2), fill=colour)
    for start in range(y1, y2 + 1, 2 * DASH):
        stop = min(start + DASH, y2)
        draw.rectangle((x1, start, min(x1 + LINE - 1, x2), stop), fill=colour)
        draw.rectangle((max(x2 - LINE + 1, x1), start, x2, stop), fill=colour)


def _above(corners: Corners, height: int) -> int:
    return corners[1] - height


def _below(corners: Corners, _: int) -> int:
    return corners[3] + 1


def _label(
    draw: ImageDraw.ImageDraw,
    corners: Corners,
    text: str,
    colour: Colour,
    size: Size,
    label_at: Callable[[Corners, int], int],
) -> None:
    """A name beside its box, moved so far that it lies in the picture."""
    _, _, right, bottom = draw.textbbox((0, 0), text, font=font())
    width, height = math.ceil(right) + 4, math.ceil(bottom) + 3
    x = max(0, min(corners[0], size[0] - width))
    y = max(0, min(label_at(corners, height), size[1] - height))
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
    draw.text((x + 2, y + 1), text, fill=INK, font=font())


# --- around the picture -----------------------------------------------------------------------------------------------


def _framed(
    shown: Image.Image, lines: Sequence[str], spans: dict[str, Span | None], time: float, duration: float
) -> Image.Image:
    """The picture on paper, lines of text over it and the time line under it."""
    width = max(shown.width, SMALLEST) + 2 * MARGIN
    top = MARGIN + ROW_HEIGHT * len(lines)
    height = top + shown.height + MARGIN + ROW_HEIGHT * (len(spans) + 1) + MARGIN
    paper = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(paper)
    for index, line in enumerate(lines):
        draw.text(
            (MARGIN, MARGIN + ROW_HEIGHT * index), _fitted(draw, plain(line, MOST_CAPTION), width), fill=INK, font=font()
        )
    paper.paste(shown, ((width - shown.width) // 2, top))
    _draw_spans(draw, top + shown.height + MARGIN, width, spans, time, duration)
    return paper


def _draw_spans(
    draw: ImageDraw.ImageDraw, top: int, width: int, spans: dict[str, Span | None], time: float, duration: float
) -> None:
    left, right = MARGIN + NAME_WIDTH, width - MARGIN
    colours = (TRUE_COLOUR, PREDICTED_COLOUR)
    for index, ((name, span), colour) in enumerate(zip(spans.items(), colours, strict=True)):
        y = top + ROW_HEIGHT * index
        draw.rectangle((MARGIN, y + 1, left - MARGIN, y + ROW_HEIGHT - 2), fill=colour)  # says whose the colour is
        draw.text((MARGIN + 2, y + 1), name, fill=INK, font=font())
        draw.rectangle((left, y + 3, right, y + ROW_HEIGHT - 3), fill=FAINT)
        _draw_span(draw, (left, y + 3, right, y + ROW_HEIGHT - 3), span, duration, colour)
    at = left + round((right - left) * min(max(time / duration, 0.0), 1.0))
    bottom = top + ROW_HEIGHT * len(spans)
    draw.line((at, top, at, bottom), fill=INK, width=LINE)
    draw.text((left, bottom), "0", fill=INK, font=font())
    draw.text((right, bottom), _seconds(duration), fill=INK, font=font(), anchor="ra")


def _draw_span(draw: ImageDraw.ImageDraw, bar: Corners, span: Span | None, duration: float, colour: Colour) -> None:
    left, top, right, bottom = bar
    text = f"{_seconds(span[0])} to {_seconds(span[1])}" if span else "no span"
    if span:
        start, end = (min(max(own / duration, 0.0), 1.0) for own in span)
        if start < end:
            x = left + math.floor((right - left) * start)
            draw.rectangle((x, top, max(x + 1, left + math.ceil((right - left) * end)), bottom), fill=colour)
    draw.text((left + 4, top - 2), text, fill=INK, font=font())


def _scale(width: int, height: int) -> float:
    """How much larger a picture is drawn: small ones so that names can be read on them, large ones smaller."""
    longer = max(width, height)
    return min(max(longer, SMALLEST), LARGEST) / longer


# --- text -------------------------------------------------------------------------------------------------------------


@cache
def font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings: every machine draws alike. A glyph it lacks is drawn as an empty box."""
    path = f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf"
    return ImageFont.truetype(path, FONT_SIZE, layout_engine=ImageFont.Layout.BASIC)


def plain(text: str, most: int) -> str:
    r"""A text of a model as one line of at most ``most`` characters; what cannot be printed becomes a question mark.

    >>> plain("a\nb\u202ec" + "d" * 9, 8)
    'a b?cdd…'
    """
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(" " if char in "\n\t" else char if char.isprintable() else "?" for char in cut)


def _fitted(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """The text, cut where it would leave the paper."""
    while text and draw.textlength(text, font=font()) > width - 2 * MARGIN:
        text = text[:-2] + "…" if len(text) > 2 else ""
    return text


def _seconds(time: float) -> str:
    return f"{time:.1f} s" if abs(time) < 1e6 else f"{time:.2g} s"
