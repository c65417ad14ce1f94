r"""Stage 5: which questions are good enough (arXiv 2511.16901, quality control).

Automatic checks come first. Each gives a reason:

=================  =====================================================================================================
span_outside       the span of the question leaves the video by more than 0.06 s (rounding to a tenth can add 0.05 s)
box_outside        a visible box leaves the frame; unchecked where the frame's size is unknown
flat_box           a visible box has no area
never_visible      an object that is asked about is out of sight at all times of its event
short_track        from the first to the last time that shows an object it takes less than a second: on the 1 s grid, it
                   is seen once
malformed          the answer is not well formed for its task
over_budget        the answer has more than 1,024 tokens, the paper's completion limit
=================  =====================================================================================================

Then come people's ratings, where they are asked for. In a split of which at least one question is rated, a question stays
whose mean over its raters is at least ``keep_at_least``; one that nobody rated goes. The questions of other splits stay. A
rating counts for the question and answer that were rated, not for others that came to bear the id.
"""

import re
from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

from tabulate import tabulate

from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import is_well_formed
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.overlap import Box

from ..ratings import RatingError
from ..ratings import Scores
from ..ratings import digest_shown
from ..ratings import read_ratings
from ..records import ObjectTrack
from ..records import Question
from ..records import Video
from ..records import VideoRow
from .stage import Report
from .stage import StageError

SPAN_OUTSIDE = "span_outside"
BOX_OUTSIDE = "box_outside"
FLAT_BOX = "flat_box"
NEVER_VISIBLE = "never_visible"
SHORT_TRACK = "short_track"
MALFORMED = "malformed"
OVER_BUDGET = "over_budget"
UNRATED = "unrated"
RATED_LOW = "rated_low"
REASONS = (SPAN_OUTSIDE, BOX_OUTSIDE, FLAT_BOX, NEVER_VISIBLE, SHORT_TRACK, MALFORMED, OVER_BUDGET, UNRATED, RATED_LOW)

SPAN_TOLERANCE = 0.06  # seconds: a span's ends are written with one decimal
TIME_TOLERANCE = 1e-6

# How Qwen2's tokenizer cuts a text before it merges bytes, in the terms of `re`: digits one by one, words, punctuation.
_PIECE = re.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|(?:[^\r\n\w]|_)?[^\W\d_]+|\d| ?(?:[^\s\w]|_)+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a question is not good enough: one of `REASONS`, and what was found."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class QualityStage:
    """The automatic checks, and the ratings where ``keep_at_least`` is given.

    Attributes:
        max_answer_tokens: the most tokens of an answer (`count_tokens`); None for any number.
        min_seen: seconds that an object must be seen for, from the first time to the last.
        ratings: the file that `r-avst-review` writes.
        keep_at_least: the least mean rating, 1 (poor) to 4 (excellent), of the questions that stay; unrated ones go, but for
            splits in which nothing is rated. The paper's scale; it keeps 1,066 of 2,131 test videos.
    """

    max_answer_tokens: int | None = 1024
    min_seen: float = 1.0
    ratings: Path | None = None
    keep_at_least: float | None = None

    def __post_init__(self) -> None:
        """Checks the options.

        Raises:
            StageError: ratings are to be kept to, but there are none, or not in the file that is named.
        """
        if self.keep_at_least is not None and self.ratings is None:
            raise StageError("keep_at_least needs ratings: give the file that r-avst-review wrote")
        if self.ratings is not None and not self.ratings.is_file():
            raise StageError(f"{self.ratings}: there is no such file; give the ratings that r-avst-review wrote")

    @property
    def name(self) -> str:
        """Of its folder in the work folder."""
        return "quality"

    def run(self, rows: Sequence[VideoRow]) -> tuple[tuple[VideoRow, ...], Report]:
        """The rows with the questions that have no fault, and every fault of the others.

        Raises:
            StageError: the ratings cannot be read.
        """
        scores = self._scores(rows)
        kept: list[VideoRow] = []
        rejected: list[tuple[Question, Fault]] = []
        for row in rows:
            of_split = scores.get(row.video.split)
            faults = {question.question_id: self._faults(question, row, of_split) for question in row.questions}
            kept.append(replace(row, questions=tuple(own for own in row.questions if not faults[own.question_id])))
            rejected += [(question, fault) for question in row.questions for fault in faults[question.question_id]]
        return tuple(kept), _report(rows, kept, rejected) | {"kept_without_rating": self._kept_without_rating(kept, scores)}

    def _scores(self, rows: Sequence[VideoRow]) -> dict[str, dict[str, Scores]]:
        """Split -> question id -> scores, of the questions that are rated as they are now."""
        if self.ratings is None:
            return {}
        try:
            rated = read_ratings(self.ratings)
        except RatingError as error:
            raise StageError(str(error)) from None
        scores: dict[str, dict[str, Scores]] = {}
        for row in rows:
            for question in row.questions:
                if own := rated.get((question.question_id, digest_shown(question.question, question.answer))):
                    scores.setdefault(row.video.split, {})[question.question_id] = own
        return scores

    def _faults(self, question: Question, row: VideoRow, scores: Mapping[str, Scores] | None) -> list[Fault]:
        faults = [
            *_faults_of_span(question, row.video),
            *_faults_of_boxes(question, row.video),
            *_faults_of_tracks(_tracks_asked_about(question, row), self.min_seen),
            *_faults_of_answer(question, self.max_answer_tokens),
        ]
        if faults or self.keep_at_least is None or scores is None:
            return faults
        return list(_faults_of_rating(scores.get(question.question_id, {}), self.keep_at_least))

    def _kept_without_rating(self, kept: Sequence[VideoRow], scores: Mapping[str, Mapping[str, Scores]]) -> dict[str, int]:
        """How many questions of each split stay because nothing of the split is rated."""
        if self.keep_at_least is None:
            return {}
        splits = (row.video.split for row in kept for _ in row.questions)
        return dict(Counter(split for split in splits if split not in scores))


def count_tokens(text: str) -> int:
    """At least so many tokens a text has for Qwen2's tokenizer: the pieces that it never merges across.

    Near exact for rows of numbers, whose digits are a token each; rare words are several tokens and count as one.

    >>> count_tokens("12.0: [3.0, 4.0]")
    15
    """
    return sum(1 for _ in _PIECE.finditer(text))


def _faults_of_span(question: Question, video: Video) -> Iterator[Fault]:
    span = question.span
    if span is None:
        yield Fault(SPAN_OUTSIDE, "the question has no span")
    elif not -SPAN_TOLERANCE <= span[0] <= span[1] <= video.duration + SPAN_TOLERANCE:
        yield Fault(SPAN_OUTSIDE, f"the span is [{span[0]}, {span[1]}], and the video lasts {video.duration:.2f} s")


def _faults_of_boxes(question: Question, video: Video) -> Iterator[Fault]:
    """The first box of each kind of fault."""
    boxes = list(_visible_boxes(question.objects))
    flat = next((place for place in boxes if not (place[2][0] < place[2][2] and place[2][1] < place[2][3])), None)
    if flat:
        yield Fault(FLAT_BOX, _where(*flat))
    if video.width is None or video.height is None:
        return
    width, height = video.width, video.height
    outside = next((place for place in boxes if not _inside(place[2], width, height)), None)
    if outside:
        yield Fault(BOX_OUTSIDE, f"{_where(*outside)}, and the frame has {width} x {height}")


def _inside(box: Box, width: int, height: int) -> bool:
    return all(0 <= x <= width for x in box[::2]) and all(0 <= y <= height for y in box[1::2])


def _where(name: str, time: float, box: Box) -> str:
    return f"{name!r} at {time} s: {list(box)}"


def _visible_boxes(tracks: Sequence[ObjectTrack]) -> Iterator[tuple[str, float, Box]]:
    for track in tracks:
        for frame in track.frames:
            yield from ((track.name, frame.time, one.box) for one in frame.instances if one.visible)


def _tracks_asked_about(question: Question, row: VideoRow) -> list[ObjectTrack]:
    """The objects of a question with their frames; a temporal question carries none, so its event's are taken."""
    if question.task != "temporal":
        return list(question.objects)
    return [_boxed(track, question.event_id, row) for track in question.objects]


def _boxed(track: ObjectTrack, event_id: str, row: VideoRow) -> ObjectTrack:
    objects = (own for event in row.events if event.event_id == event_id for own in event.objects)
    return next((own for own in objects if (own.name, own.audible) == (track.name, track.audible)), track)


def _faults_of_tracks(tracks: Sequence[ObjectTrack], min_seen: float) -> Iterator[Fault]:
    for track in tracks:
        times = [time for _, time, _ in _visible_boxes([track])]
        if not times:
            yield Fault(NEVER_VISIBLE, f"{track.name!r} is never visible")
        elif max(times) - min(times) < min_seen - TIME_TOLERANCE:
            yield Fault(SHORT_TRACK, f"{track.name!r} is visible from {min(times)} to {max(times)} s only")


def _faults_of_answer(question: Question, max_tokens: int | None) -> Iterator[Fault]:
    parsed = parse_answer(question.answer)
    if not is_well_formed(parsed, question.task):
        found = parsed.problems[0] if parsed.problems else "tags of another task"
        yield Fault(MALFORMED, f"not a well-formed {question.task} answer: {found}")
    tokens = count_tokens(question.answer)
    if max_tokens is not None and tokens > max_tokens:
        yield Fault(OVER_BUDGET, f"the answer has {tokens:,} tokens or more; the budget is {max_tokens:,}")


def _faults_of_rating(scores: Scores, least: float) -> Iterator[Fault]:
    if not scores:
        yield Fault(UNRATED, "nobody rated it")
    elif sum(scores.values()) < least * len(scores):
        yield Fault(RATED_LOW, f"rated {', '.join(f'{score} by {rater}' for rater, score in sorted(scores.items()))}")


def _report(
    rows: Sequence[VideoRow], kept: Sequence[VideoRow], rejected: Sequence[tuple[Question, Fault]]
) -> dict[str, Any]:
    questions = [question for row in kept for question in row.questions]
    tasks = Counter(question.task for question in questions)
    reasons = Counter(fault.reason for _, fault in rejected)
    return {
        "questions": sum(len(row.questions) for row in rows),
        "kept": len(questions),
        "tasks": {task: tasks[task] for task in TASKS},
        "videos_without_question": sum(not row.questions for row in kept),
        "videos_without_frame_size": sum(row.video.width is None or row.video.height is None for row in rows),
        "reasons": {reason: reasons[reason] for reason in REASONS},
        "rejected": [
            {"question_id": question.question_id, "reason": fault.reason, "text": fault.text} for question, fault in rejected
        ],
    }


def describe(report: Report) -> str:
    """How many questions are kept, and the table of reasons, for a terminal."""
    tasks = ", ".join(f"{count:,} {task}" for task, count in report["tasks"].items())
    lines = [f"{report['kept']:,} of {report['questions']:,} questions are kept ({tasks})."]
    found = [[reason, f"{count:,}"] for reason, count in report["reasons"].items() if count]
    if found:
        headers = ["reason", "times"]
        lines.append(tabulate(found, headers, tablefmt="simple_outline", colalign=("left", "right"), disable_numparse=True))
    lines += [f"not rated, so kept: {split}, {count:,} questions" for split, count in report["kept_without_rating"].items()]
    if unsized := report["videos_without_frame_size"]:
        lines.append(f"{unsized:,} videos have no frame size: whether their boxes leave the frame is not known.")
    return "\n".join(lines)
