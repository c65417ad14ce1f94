"""Stage 1: which videos and events are worth a question (arXiv 2511.16901, data collection).

The rules in their order, each an option:

1. ``durations``: a video is out whose duration lies in none of the groups 0-20, 20-40 and 40-60 s.
2. ``short_clip``: a video shorter than ``min_duration`` is out.
3. ``no_event``: overlapping events of one label become one, events shorter than ``min_event`` go, and a video without any
   left is out.
4. ``max_events``: a video with more than three distinct events is out.
5. ``min_ratio``: a video is out of which events cover less than 0.08.
6. ``balance``: in each split, videos are drawn so that as many have 1, 2 and 3 distinct events.

Distinct events are distinct labels; an event without a label is one of its own.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from hashlib import sha256
from itertools import groupby
from itertools import pairwise
from typing import Any

from tabulate import tabulate

from r_avst.metrics.avst_metrics.answers import Span

from ..records import Event
from ..records import VideoRow
from .stage import Report
from .stage import StageError

EDGE_TOLERANCE = 0.1  # seconds: a clip cut at 60 s is up to some frames longer by its header, so are released ones


@dataclass(frozen=True, slots=True)
class FilterStage:
    """The rules of the filter; None (or False) puts one out of force.

    The paper drops "extremely short" clips and gives no number. Both limits here are this project's choice and keep all
    of UnAV-100, whose shortest video has 10 s and whose shortest event 0.21 s.

    Attributes:
        duration_edges: the ends of the duration groups in seconds; a group holds its lower end, the last also its upper.
        min_duration: seconds; a shorter clip has hardly room for an event and something beside it.
        min_event: seconds; ends are written with one decimal, so of less than 0.2 s there may be nothing left.
        merge_overlapping: whether events of one label that overlap become one.
        max_events: the most distinct events of a video.
        min_ratio: the least share of a video that its events must cover together.
        balance: whether to draw as many videos with each number of distinct events, in each split.
        seed: of that drawing.
    """

    duration_edges: tuple[float, ...] | None = (0.0, 20.0, 40.0, 60.0)
    min_duration: float | None = 5.0
    min_event: float | None = 0.2
    merge_overlapping: bool = True
    max_events: int | None = 3
    min_ratio: float | None = 0.08
    balance: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks the options.

        Raises:
            StageError: the edges of the groups do not ascend.
        """
        edges = self.duration_edges
        if edges is not None and (len(edges) < 2 or not all(lower < upper for lower, upper in pairwise(edges))):
            raise StageError(f"the duration edges are {list(edges)}; give at least two, ascending, such as 0 20 40 60")

    @property
    def name(self) -> str:
        """Of its folder in the work folder."""
        return "filter"

    def run(self, rows: Sequence[VideoRow]) -> tuple[tuple[VideoRow, ...], Report]:
        """The rows that all rules keep, and what each rule removed, in order."""
        merged = [merge_overlapping(row) if self.merge_overlapping else row for row in rows]
        prepared = [self._without_short_events(row) for row in merged]
        kept, steps = prepared, []
        for rule in self._rules():
            kept, before = rule.keep(kept), kept
            left = {row.video.video_id for row in kept}
            removed = [row.video.video_id for row in before if row.video.video_id not in left]
            steps.append({"rule": rule.name, "setting": rule.setting, "removed": removed, "left": len(kept)})
        return tuple(kept), {
            "videos": len(rows),
            "events": _events(rows),
            "events_merged": _events(rows) - _events(merged),
            "events_too_short": _events(merged) - _events(prepared),
            "rules": steps,
            "kept": self._kept(kept),
        }

    def _rules(self) -> Iterator["_Rule"]:
        """The rules in force, in their order."""
        if (edges := self.duration_edges) is not None:
            yield _Rule("durations", edges, _each(lambda row: duration_group(row.video.duration, edges) is not None))
        if (shortest := self.min_duration) is not None:
            yield _Rule("short_clip", shortest, _each(lambda row: row.video.duration >= shortest))
        yield _Rule("no_event", self.min_event, _each(lambda row: bool(row.events)))
        if (most := self.max_events) is not None:
            yield _Rule("max_events", most, _each(lambda row: distinct_events(row) <= most))
        if (least := self.min_ratio) is not None:
            yield _Rule("min_ratio", least, _each(lambda row: event_ratio(row) >= least))
        if self.balance:
            yield _Rule("balance", self.seed, self._balanced)

    def _without_short_events(self, row: VideoRow) -> VideoRow:
        least = self.min_event or 0
        return replace(row, events=tuple(event for event in row.events if event.span[1] - event.span[0] >= least))

    def _balanced(self, rows: list[VideoRow]) -> list[VideoRow]:
        """As many videos with each number of distinct events that occurs, in each split.

        Not in each duration group too: few short videos hold three events, and each such cell would shrink its group. The
        order of the drawing is that of a hash of seed and id, so it does not change for the others when videos are added.
        """
        cells: dict[tuple[str, int], list[str]] = {}
        for row in rows:
            cells.setdefault((row.video.split, distinct_events(row)), []).append(row.video.video_id)
        fewest: dict[str, int] = {}
        for (split, _), ids in cells.items():
            fewest[split] = min(len(ids), fewest.get(split, len(ids)))
        drawn = {
            video_id
            for (split, _), ids in cells.items()
            for video_id in sorted(ids, key=lambda own: sha256(f"{self.seed} {own}".encode()).digest())[: fewest[split]]
        }
        return [row for row in rows if row.video.video_id in drawn]

    def _kept(self, rows: Sequence[VideoRow]) -> list[dict[str, Any]]:
        """How many videos are kept by split, duration group and number of distinct events."""
        edges = self.duration_edges or (0.0, math.inf)
        cells = Counter(
            (row.video.split, duration_group(row.video.duration, edges) or 0, distinct_events(row)) for row in rows
        )
        return [
            {"split": split, "duration": f"{edges[group]:g}-{edges[group + 1]:g}", "events": events, "videos": count}
            for (split, group, events), count in sorted(cells.items())
        ]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule in force: its setting, and which of the rows it keeps."""

    name: str
    setting: float | tuple[float, ...] | None
    keep: Callable[[list[VideoRow]], list[VideoRow]]


def _each(keep: Callable[[VideoRow], bool]) -> Callable[[list[VideoRow]], list[VideoRow]]:
    return lambda rows: [row for row in rows if keep(row)]


def duration_group(duration: float, edges: Sequence[float]) -> int | None:
    """The index of the group that a duration in seconds lies in; None if it lies in none.

    >>> [duration_group(seconds, (0, 20, 40, 60)) for seconds in (19.9, 20, 60.06, 61)]
    [0, 1, 2, None]
    """
    if not edges[0] <= duration <= edges[-1] + EDGE_TOLERANCE:
        return None
    return min(bisect_right(edges, duration), len(edges) - 1) - 1


def merge_overlapping(row: VideoRow) -> VideoRow:
    """The row with overlapping events of the same labels as one; events without labels stay apart.

    The one event spans all of them, stands where the first of them stood and bears its id. Their captions are joined in
    the order of their starts, each text once.
    """
    order = {event.event_id: place for place, event in enumerate(row.events)}
    groups: list[list[Event]] = [[event] for event in row.events if not event.labels]
    labelled = sorted((event for event in row.events if event.labels), key=lambda own: (sorted(own.labels), own.span))
    for _, same in groupby(labelled, key=lambda own: sorted(own.labels)):
        groups += _overlapping(same)
    merged = [_merged(sorted(group, key=lambda own: order[own.event_id]), group) for group in groups]
    return replace(row, events=tuple(sorted(merged, key=lambda own: order[own.event_id])))


def _overlapping(events: Iterable[Event]) -> list[list[Event]]:
    """Events in the order of their starts, those together that overlap; to touch is not to overlap."""
    groups: list[list[Event]] = []
    end = 0.0
    for event in events:
        if groups and event.span[0] < end:
            groups[-1].append(event)
            end = max(end, event.span[1])
        else:
            groups.append([event])
            end = event.span[1]
    return groups


def _merged(by_place: Sequence[Event], by_start: Sequence[Event]) -> Event:
    """One event of several: the first in the file, over all their spans."""
    if len(by_place) == 1:
        return by_place[0]
    captions = dict.fromkeys(event.caption for event in by_start if event.caption)
    span = (min(event.span[0] for event in by_start), max(event.span[1] for event in by_start))
    return replace(by_place[0], span=span, caption=" ".join(captions) or None)


def distinct_events(row: VideoRow) -> int:
    """How many labels a video's events bear, and an event without one counts by itself."""
    labels = {label for event in row.events for label in event.labels}
    return len(labels) + sum(not event.labels for event in row.events)


def event_ratio(row: VideoRow) -> float:
    """The share of a video, 0..1, that at least one of its events covers."""
    return _covered(row.video.duration, (event.span for event in row.events)) / row.video.duration


def _covered(duration: float, spans: Iterable[Span]) -> float:
    """How many seconds of 0..duration the spans cover together."""
    covered, reached = 0.0, 0.0
    for start, end in sorted(spans):
        start, end = max(start, reached), min(end, duration)
        if start < end:
            covered += end - start
            reached = end
    return covered


def _events(rows: Iterable[VideoRow]) -> int:
    return sum(len(row.events) for row in rows)


def describe(report: Report) -> str:
    """The table of what each rule removed, then that of what is kept, for a terminal."""
    steps = [["", "", "", f"{report['videos']:,}"]]
    steps += [
        [step["rule"], _setting(step["setting"]), f"{len(step['removed']):,}", f"{step['left']:,}"]
        for step in report["rules"]
    ]
    table = tabulate(
        steps,
        ["rule", "setting", "removed", "left"],
        tablefmt="simple_outline",
        colalign=("left", "left", "right", "right"),
        disable_numparse=True,
    )
    events = (
        f"{report['events']:,} events: {report['events_merged']:,} merged into another of their label that they overlap, "
        f"{report['events_too_short']:,} too short."
    )
    return "\n".join([table, events, _kept_table(report["kept"])] if report["kept"] else [table, events])


def _setting(setting: Any) -> str:
    if setting is None:
        return "off"
    return ", ".join(f"{edge:g}" for edge in setting) if isinstance(setting, tuple | list) else f"{setting:g}"


def _kept_table(cells: Sequence[Any]) -> str:
    """Videos kept: a line a split and duration group, a column a number of distinct events."""
    numbers = sorted({cell["events"] for cell in cells})
    counts = {(cell["split"], cell["duration"], cell["events"]): cell["videos"] for cell in cells}
    groups = dict.fromkeys((cell["split"], cell["duration"]) for cell in cells)
    lines = [[split, group, *(f"{counts.get((split, group, own), 0):,}" for own in numbers)] for split, group in groups]
    headers = ["split", "seconds", *(f"{own} event{'s' if own > 1 else ''}" for own in numbers)]
    align = ("left", "left", *("right" for _ in numbers))
    return tabulate(lines, headers, tablefmt="simple_outline", colalign=align, disable_numparse=True)
