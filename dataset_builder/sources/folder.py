"""A user's own videos: a folder of them, and a file of JSON lines, a line an event.

A line, with all that it may hold::

    {"video": "garden/dog.mp4", "span": [1.4, 6.0], "caption": "A dog barks at a red ball.",
     "labels": ["dog barking"], "split": "train"}

``video`` is a path inside the folder, or the name of a file there without its ending. ``span`` is in seconds. ``labels``
are classes of UnAV-100, and ``split`` is ``train`` or ``test``; both can be left out.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from pathlib import PurePosixPath
from typing import Any

from tqdm import tqdm

from r_avst.metrics.avst_metrics.answers import Span

from ..event_classes import UNAV_100
from ..records import Event
from ..records import Video
from ..records import VideoRow
from ..video import VIDEO_SUFFIXES
from ..video import VideoError
from ..video import probe
from ..video import video_files
from .splits import TEST
from .splits import TRAIN
from .splits import split_of
from .user_files import LineError
from .user_files import checked_id
from .user_files import read_objects
from .user_files import span_of
from .user_files import text_of

END_TOLERANCE = 0.5  # seconds by which an event may end after its file: headers and annotations round


@dataclass(frozen=True, slots=True)
class _Line:
    """An event as it stands in the file; ``file`` is relative to the folder."""

    place: str
    file: str
    video_id: str
    span: Span
    caption: str
    labels: tuple[str, ...]
    split: str | None


def read_folder(
    folder: Path, events: Path, seed: int, test_share: float = 0.2
) -> tuple[tuple[VideoRow, ...], dict[str, Any]]:
    """A row for every video with an event, in the order in which the file first names them; and what is missing.

    A video whose lines name no split gets one by its id and the seed (`splits.split_of`).

    Returns:
        The rows, and a report: the number of ``videos``, why each of the ``unreadable`` ones and of the ``events_outside``
        their video is left out, and the files of the folder ``without_events``.

    Raises:
        LineError: a line is not of the form above, leaves the folder, or is at odds with an earlier one.
        VideoError: there is no such folder.
    """
    if not folder.is_dir():
        raise VideoError(f"{folder}: there is no such folder of videos")
    files: dict[str, list[str]] = {}
    for path in video_files(folder):
        files.setdefault(path.stem, []).append(path.relative_to(folder).as_posix())
    by_video = _read_lines(events, files)
    rows: list[VideoRow] = []
    unreadable: dict[str, str] = {}
    for video_id, lines in tqdm(by_video.items(), desc="probing videos", unit="video"):
        split = next((line.split for line in lines if line.split), None) or split_of(video_id, seed, test_share)
        try:
            rows.append(_row(folder, lines, split))
        except VideoError as error:
            unreadable[video_id] = str(error)
    kept, outside = _inside(rows)
    with_events = {lines[0].file for lines in by_video.values()}
    without = [file for own in files.values() for file in own if file not in with_events]
    return kept, {"videos": len(kept), "unreadable": unreadable, "events_outside": outside, "without_events": without}


def _read_lines(events: Path, files: Mapping[str, Sequence[str]]) -> dict[str, list[_Line]]:
    """The lines of each video, in the order of the file."""
    by_video: dict[str, list[_Line]] = {}
    for number, entry in read_objects(events):
        line = _line(entry, files, f"{events}, line {number}")
        _check_against(by_video.setdefault(line.video_id, []), line)
        by_video[line.video_id].append(line)
    return by_video


def _inside(rows: Sequence[VideoRow]) -> tuple[tuple[VideoRow, ...], dict[str, str]]:
    """The rows without events that end after their file does, and what those are."""
    outside = {
        event.event_id: f"it goes from {event.span[0]} to {event.span[1]} s, the file to {row.video.duration:.2f} s"
        for row in rows
        for event in row.events
        if event.span[1] > row.video.duration + END_TOLERANCE
    }
    kept = (replace(row, events=tuple(own for own in row.events if own.event_id not in outside)) for row in rows)
    return tuple(row for row in kept if row.events), outside


def _line(entry: Mapping[str, Any], files: Mapping[str, Sequence[str]], place: str) -> _Line:
    try:
        file = _file(text_of(entry, "video"), files)
        return _Line(
            place=place,
            file=file,
            video_id=checked_id(PurePosixPath(file).stem),
            span=span_of(entry),
            caption=text_of(entry, "caption"),
            labels=_labels(entry.get("labels", [])),
            split=_split(entry.get("split")),
        )
    except ValueError as error:
        raise LineError(f"{place}: {error}") from None


def _file(name: str, files: Mapping[str, Sequence[str]]) -> str:
    """The path in the folder that a line means."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise ValueError(f"'video' is {name!r:.80}; it should be a path inside the folder of videos")
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return path.as_posix()
    found = files.get(name, [f"{name}.mp4"])  # a file that is not there is reported with those that cannot be opened
    if len(found) > 1:
        raise ValueError(f"'video' is {name!r:.80}, and there are {', '.join(found[:3])}: give the path with its ending")
    return found[0]


def _labels(found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(label, str) for label in found):
        raise ValueError(f"'labels' should be a list of texts, but is {found!r:.60}")
    for label in found:
        if label not in UNAV_100:
            raise ValueError(f"the label {label!r:.60} is none of UnAV-100's classes; leave it out")
    return tuple(sorted(set(found), key=UNAV_100.index))


def _split(found: Any) -> str | None:
    if found not in (None, TRAIN, TEST):
        raise ValueError(f"'split' is {found!r:.40}; it should be {TRAIN} or {TEST}")
    split: str | None = found
    return split


def _check_against(earlier: Sequence[_Line], line: _Line) -> None:
    """A video has one file and is in one split."""
    for other in earlier:
        if other.file != line.file:
            raise LineError(f"{line.place}: {line.file} and {other.file} ({other.place}) bear one name; rename one of them")
        if line.split and other.split and line.split != other.split:
            raise LineError(f"{line.place}: {line.video_id} is in {line.split}, but in {other.split} at {other.place}")


def _row(folder: Path, lines: Sequence[_Line], split: str) -> VideoRow:
    first = lines[0]
    info = probe(folder / first.file)
    video = Video(first.video_id, split, info.duration, info.width, info.height)
    events = (
        Event(f"{line.video_id}-{index}", line.video_id, line.span, line.labels, line.caption, ())
        for index, line in enumerate(lines)
    )
    return VideoRow(video, first.file, tuple(events))
