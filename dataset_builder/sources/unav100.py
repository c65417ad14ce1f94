"""UnAV-100's annotations: the segments and event classes that R-AVST's events were taken from.

The file, shortened::

    {"database": {"72f67ednp7w": {"duration": 47.68, "subset": "train", "annotations": [
      {"segment": [13.01, 15.78316], "label": "skateboarding", "label_id": 36}]}}}
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

from r_avst.metrics.avst_metrics.answers import Span

from ..event_classes import UNAV_100
from ..records import Event
from ..records import Records

SPAN_TOLERANCE = 0.06  # R-AVST writes a segment's ends with one decimal


class UnavError(ValueError):
    """An annotation file that is not in UnAV-100's form; the message names the place."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One labelled event segment of a video; ``span`` in seconds."""

    span: Span
    label: str


def read_unav(path: Path) -> dict[str, tuple[Segment, ...]]:
    """The segments of each video.

    Raises:
        UnavError: the file is no JSON of UnAV-100's form, or names a class that is none of its 100.
    """
    try:
        database = json.loads(path.read_text(encoding="utf-8"))["database"]
        return {video_id: tuple(_segment(one) for one in video["annotations"]) for video_id, video in database.items()}
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UnavError(f"{path}: no JSON ({error}); is it unav100_annotations.json?") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise UnavError(f"{path}: not in UnAV-100's form ({error!r}); is it unav100_annotations.json?") from None
    except ValueError as error:
        raise UnavError(f"{path}: {error}") from None


def with_labels(records: Records, segments: Mapping[str, tuple[Segment, ...]]) -> Records:
    """The records with every event labelled by the classes of the segments on its span, within 0.06 s at both ends."""
    return replace(records, events=tuple(_labelled(event, segments.get(event.video_id, ())) for event in records.events))


def _labelled(event: Event, segments: tuple[Segment, ...]) -> Event:
    labels = {segment.label for segment in segments if _same_span(segment.span, event.span)}
    return replace(event, labels=tuple(sorted(labels, key=UNAV_100.index)))


def _same_span(first: Span, second: Span) -> bool:
    return all(abs(a - b) <= SPAN_TOLERANCE for a, b in zip(first, second, strict=True))


def _segment(annotation: Mapping[str, Any]) -> Segment:
    start, end = annotation["segment"]
    if annotation["label"] not in UNAV_100:
        raise ValueError(f"the label {annotation['label']!r} is none of the 100 event classes")
    return Segment((float(start), float(end)), annotation["label"])
