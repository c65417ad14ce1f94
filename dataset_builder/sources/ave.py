"""AVE (Tian et al., ECCV 2018): when an event is both seen and heard in clips of 10 s, as temporal questions.

A line of ``Annotations.txt``; a first line with the names of the columns may stand before them::

    Category&VideoID&Quality&StartTime&EndTime
    Church bell&MH3m4AwEcRY&good&6&8

``trainSet.txt``, ``valSet.txt`` and ``testSet.txt`` beside it hold the lines of each split. A video can have several
events. Some lines of the published file span nothing (``0&0``): they cannot be asked about, are left out and counted.
"""

import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import write_answer

from ..question_forms import ask_about_object
from ..records import WHEN
from ..records import Event
from ..records import ObjectTrack
from ..records import Question
from ..records import Records
from ..records import Video
from ..stages.questions import can_be_asked
from .benchmark_records import ASSUMED_DURATION
from .benchmark_records import SPLIT_OF_SUBSET
from .benchmark_records import Note
from .benchmark_records import labels_named
from .splits import TEST
from .splits import TRAIN
from .user_files import MAX_SECONDS
from .user_files import checked_id

DURATION = 10.0  # seconds of a clip
COLUMNS = "Category&VideoID&Quality&StartTime&EndTime"
SPLIT_FILES = {f"{subset}Set.txt": split for subset, split in SPLIT_OF_SUBSET.items()}
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)

NO_SPAN, OTHER_QUALITY, REPEATED_LINE, OUTSIDE_CLIP = "no_span", "other_quality", "repeated_line", "outside_clip"
NO_SPLIT, ONLY_IN_SPLIT, SEVERAL_SPLITS, ALSO_TESTED = "no_split", "only_in_split", "several_splits", "also_tested"
NO_SPLIT_FILES = "no_split_files"
HANDLING = {
    NO_SPAN: "lines that end where they start, or before; left out: there is no span to ask for",
    OTHER_QUALITY: "lines of another quality than good; kept",
    REPEATED_LINE: "lines that stood in the file before; kept, each with its question",
    OUTSIDE_CLIP: "lines that end after the clip's 10 s; kept",
    NO_SPLIT: "lines that no split file has; left out",
    ONLY_IN_SPLIT: "lines of a split file that the annotations lack; left out",
    SEVERAL_SPLITS: "lines of several splits; in the split test if that is one of them",
    ALSO_TESTED: "lines for training, of videos that other lines test on; left out",
    NO_SPLIT_FILES: "folders without split files; all clips are in the split test",
    ASSUMED_DURATION: "videos without a usable file; their duration is taken to be 10 s, --videos fills it",
}


class AveError(ValueError):
    """A file that is not in AVE's form; the message names the place."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line: an event's category and span, in seconds, of a video. ``place`` is its file and number."""

    category: str
    video_id: str
    quality: str
    span: Span
    place: str

    @property
    def key(self) -> tuple[str, str, Span]:
        """What the line of a split file shares with that of the annotations."""
        return self.category, self.video_id, self.span


def read_ave(annotations: Path, splits: Path) -> tuple[Records, tuple[Note, ...], dict[str, Any]]:
    """One temporal question a line, in the order of the file; validation videos are in the split ``train``.

    Args:
        annotations: ``Annotations.txt``.
        splits: the folder of the split files. Without any of them all clips are in the split ``test``.

    Returns:
        The records, what is odd, and for the report the number of lines of each file.

    Raises:
        AveError: a line is not of the form above, some split files are missing, or nothing is left to ask.
    """
    lines = read_lines(annotations)
    by_file = read_split_files(splits)
    chosen, notes = _chosen(lines, by_file, splits)
    asked = [(line, split) for line, split in chosen if line.span[0] < line.span[1]]
    asked, left_out = _apart(asked)
    if not asked:
        raise AveError(f"{annotations}: no line of it can be asked about; is it AVE's Annotations.txt?")
    counts = {annotations.name: len(lines), **{name: len(own) for name, own in by_file.items()}}
    return _records(asked), (*_odd(lines), *notes, *left_out), {"lines": counts}


def read_lines(path: Path) -> tuple[Line, ...]:
    """The lines of a file of AVE, without blank ones and the one that names the columns.

    Raises:
        AveError: the file cannot be read, or a line is not of the form ``Category&VideoID&Quality&StartTime&EndTime``.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise AveError(f"{path}: it cannot be read ({error}); a text with lines of {COLUMNS} is expected") from None
    first = 1 if lines[0].strip() == COLUMNS else 0
    texts = enumerate(lines[first:], start=first + 1)
    return tuple(_line(text.strip(), f"{path}, line {number}") for number, text in texts if text.strip())


def _line(text: str, place: str) -> Line:
    fields = [field.strip() for field in text.split("&")]
    if len(fields) != COLUMNS.count("&") + 1:
        raise AveError(f"{place}: {COLUMNS} is expected, but it is {text!r:.120}")
    category, video_id, quality, start, end = fields
    if not can_be_asked(category):
        raise AveError(f"{place}: the category {category!r:.60} is empty, or holds what an answer cannot")
    try:
        return Line(category, checked_id(video_id), quality, (_seconds(start), _seconds(end)), place)
    except ValueError as error:
        raise AveError(f"{place}: {error}") from None


def _seconds(text: str) -> float:
    """Rounded to one decimal, as answers write them."""
    if not _NUMBER.fullmatch(text) or float(text) > MAX_SECONDS:
        raise ValueError(f"{text!r:.30} is no time in seconds from the start of the clip")
    return round(float(text), 1)


def read_split_files(folder: Path) -> dict[str, tuple[Line, ...]]:
    """The lines of each split file by its name; none where the folder has no such file.

    Raises:
        AveError: some of the files are missing, or a line is not of AVE's form.
    """
    found = [name for name in SPLIT_FILES if (folder / name).is_file()]
    if missing := set(SPLIT_FILES) - set(found) if found else set():
        raise AveError(f"{folder}: {', '.join(found)} is there without {', '.join(sorted(missing))}: put all three there")
    return {name: read_lines(folder / name) for name in found}


def _chosen(
    lines: Sequence[Line], by_file: dict[str, tuple[Line, ...]], folder: Path
) -> tuple[list[tuple[Line, str]], list[Note]]:
    """The lines that have a split, with it."""
    if not by_file:
        return [(line, TEST) for line in lines], [Note(NO_SPLIT_FILES, str(folder))]
    known = {line.key for line in lines}
    splits: dict[tuple[str, str, Span], str] = {}
    notes: list[Note] = []
    for name, own in by_file.items():
        notes += [Note(ONLY_IN_SPLIT, line.place) for line in own if line.key not in known]
        notes += [Note(SEVERAL_SPLITS, line.place) for line in own if splits.get(line.key, name) != name]
        splits |= {line.key: name for line in own}  # the test file is the last
    notes += [Note(NO_SPLIT, line.place) for line in lines if line.key not in splits]
    return [(line, SPLIT_FILES[splits[line.key]]) for line in lines if line.key in splits], notes


def _apart(lines: Sequence[tuple[Line, str]]) -> tuple[list[tuple[Line, str]], list[Note]]:
    """The lines without those for training whose video is tested on: a video is in one split."""
    tested = {line.video_id for line, split in lines if split == TEST}
    notes = [Note(ALSO_TESTED, line.place) for line, split in lines if split == TRAIN and line.video_id in tested]
    return [(line, split) for line, split in lines if split == TEST or line.video_id not in tested], notes


def _odd(lines: Iterable[Line]) -> Iterator[Note]:
    seen = set()
    for line in lines:
        if line.span[0] >= line.span[1]:
            yield Note(NO_SPAN, line.place)
        if line.span[1] > DURATION:
            yield Note(OUTSIDE_CLIP, line.place)
        if line.quality != "good":
            yield Note(OTHER_QUALITY, line.place)
        if line.key in seen:
            yield Note(REPEATED_LINE, line.place)
        seen.add(line.key)


def _records(lines: Iterable[tuple[Line, str]]) -> Records:
    videos: dict[str, Video] = {}
    numbers: dict[str, count[int]] = {}
    events, questions = [], []
    for line, split in lines:
        videos.setdefault(line.video_id, Video(line.video_id, split, DURATION))
        event_id = f"{line.video_id}-{next(numbers.setdefault(line.video_id, count()))}"
        question = _question(line, event_id)
        events.append(Event(event_id, line.video_id, line.span, question.event_labels, None, question.objects))
        questions.append(question)
    return Records(tuple(videos.values()), tuple(events), tuple(questions))


def _question(line: Line, event_id: str) -> Question:
    answer = Answer((Track(line.category),), line.span)
    return Question(
        question_id=f"{event_id}-temporal-0",
        event_id=event_id,
        video_id=line.video_id,
        task="temporal",
        question=ask_about_object(WHEN, line.category),
        question_type=WHEN,
        answer=write_answer(answer, "temporal"),
        query_span=None,
        when=line.span,
        objects=(ObjectTrack(line.category, True, ()),),
        event_labels=labels_named(line.category),
    )
