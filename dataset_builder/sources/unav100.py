"""UnAV-100's annotations: the segments and event classes that R-AVST's events were taken from.

The file, shortened::

    {"database": {"72f67ednp7w": {"duration": 47.68, "subset": "train", "annotations": [
      {"segment": [13.01, 15.78316], "label": "skateboarding", "label_id": 36}]}}}
"""

import json
import math
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

from r_avst.metrics.avst_metrics.answers import Span

from ..event_classes import UNAV_100
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
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnavError(f"{path}: no JSON ({error}); is it unav100_annotations.json?") from None
    try:
        annotations = {video_id: list(video["annotations"]) for video_id, video in content["database"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise UnavError(f"{path}: not in UnAV-100's form ({error!r}); is it unav100_annotations.json?") from None
    return {video_id: _segments(own, f"{path}: video {video_id}") for video_id, own in annotations.items()}


def with_labels(records: Records, segments: Mapping[str, tuple[Segment, ...]]) -> Records:
    """The records with events and questions labelled by the classes of the segments on their span.

    On it means within 0.06 s at both ends; events and questions are looked at one by one, each with its own span.
    """
    events = (replace(own, labels=_labels(own.span, segments.get(own.video_id, ()))) for own in records.events)
    questions = (replace(own, event_labels=_labels(own.span, segments.get(own.video_id, ()))) for own in records.questions)
    return replace(records, events=tuple(events), questions=tuple(questions))


def _labels(span: Span | None, segments: Sequence[Segment]) -> tuple[str, ...]:
    labels = {segment.label for segment in segments if span and _same_span(segment.span, span)}
    return tuple(sorted(labels, key=UNAV_100.index))


def _same_span(first: Span, second: Span) -> bool:
    return all(abs(a - b) <= SPAN_TOLERANCE for a, b in zip(first, second, strict=True))


def _segments(annotations: Sequence[Any], place: str) -> tuple[Segment, ...]:
    try:
        return tuple(_segment(annotation) for annotation in annotations)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UnavError(f"{place}: a segment is not in UnAV-100's form ({error})") from None


def _segment(annotation: Mapping[str, Any]) -> Segment:
    start, end = map(float, annotation["segment"])
    if not -math.inf < start <= end < math.inf:
        raise ValueError(f"it spans [{start}, {end}]")
    if annotation["label"] not in UNAV_100:
        raise ValueError(f"the label {annotation['label']!r} is none of the 100 event classes")
    return Segment((start, end), annotation["label"])
