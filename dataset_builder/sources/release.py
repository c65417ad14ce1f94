r"""The released R-AVST annotations: one JSON file of videos, events, and questions with answers.

An entry, shortened::

    {"video_name": "zLfhRM6G0OU", "duration": 45.1, "annotation": [
      {"event_num": 1, "AV Temporal Reasoning": [
        {"Q": "When is the moment trombone makes sound and is visible?",
         "A": "<answer>\n<object>trombone</object>\n<when>[0.0, 44.4]</when>\n</answer>"}]}]}

Each annotation is one event; ``event_num`` is no key (it repeats). Nothing is dropped: what is odd is kept and counted
(`oddities.py`), what is wrong raises `ReleaseError` with its place.
"""

import json
import re
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import is_well_formed
from r_avst.metrics.avst_metrics.answers import parse_answer

from ..question_forms import PATTERNS
from ..question_forms import TYPES_OF_TASK
from ..records import WHERE_SILENT
from ..records import CardText
from ..records import Event
from ..records import ObjectTrack
from ..records import Question
from ..records import Records
from ..records import Video
from ..records import frames_of

# The commit is named so that the file can't change under a published figure.
ANNOTATIONS_URL = (
    "https://raw.githubusercontent.com/zhlllau/R-AVST/099a73dcc290fba91feb530d03779174276f0980/Annotations/xml_test_QA.json"
)
SPLIT = "test"
CARD_TEXT = CardText(
    licence="mit",
    body="""\
Questions about sounding and silent objects in untrimmed videos, with per-second boxes and time spans: the test
annotations of R-AVST ([arXiv 2511.16901](https://arxiv.org/abs/2511.16901)), released by its authors at
[github.com/zhlllau/R-AVST](https://github.com/zhlllau/R-AVST) under the MIT licence, copyright (c) 2025 ZhuLu. Event
labels, where present, are those of UnAV-100 ([github.com/ttgeng233/UnAV](https://github.com/ttgeng233/UnAV), MIT). The
videos are not here: they are YouTube's, by video id.

Boxes are in pixels of the source video, times in seconds. A box of zeros (`visible` false) means "tracked, not visible".
Nothing of the release was dropped or corrected; what is odd in it is counted in `build_report.json`, beside the paper's
own counts.

```bibtex
@article{ravst2025,
  title  = {R-AVST: Empowering Video-LLMs with Fine-Grained Spatio-Temporal Reasoning in Complex Audio-Visual Scenarios},
  author = {Zhu, Lu and Geng, Tiantian and Chen, Yangye and Wang, Teng and Lu, Ping and Zheng, Feng},
  year   = {2025},
  eprint = {2511.16901},
  archivePrefix = {arXiv}
}
```""",
)
MAX_DURATION = 86_400

TASK_KEYS: dict[str, Task] = {
    "AV Temporal Reasoning": "temporal",
    "AV Spatial Reasoning": "spatial",
    "AV ST Reasoning": "spatio_temporal",
}


class ReleaseError(ValueError):
    """An annotation file that is not in the released form; the message names the place."""


def read_release(path: Path, origin: str | None = None) -> Records:
    """Reads the released annotation file; errors name ``origin``, by default the path.

    Raises:
        ReleaseError: the file is no JSON of the released form; names the entry and what was found there.
    """
    origin = origin or str(path)
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"{origin}: no JSON ({error}); is it the file Annotations/xml_test_QA.json?") from None
    if not isinstance(entries, list) or not entries:
        found = "is an empty one" if entries == [] else f"holds a {type(entries).__name__}"
        raise ReleaseError(f"{origin}: a list of videos is expected, but it {found}")
    videos: dict[str, Video] = {}
    events: list[Event] = []
    questions: list[Question] = []
    for number, entry in enumerate(entries):
        try:
            video, own_events, own_questions = _read_entry(entry)
            if video.video_id in videos:
                raise ReleaseError("this video stood in the file before")
        except ReleaseError as error:
            name = entry.get("video_name") if isinstance(entry, dict) else None
            raise ReleaseError(f"{origin}: entry {number} (video {name!s:.60}): {error}") from None
        videos[video.video_id] = video
        events += own_events
        questions += own_questions
    return Records(tuple(videos.values()), tuple(events), tuple(questions))


def _read_entry(entry: Any) -> tuple[Video, list[Event], list[Question]]:
    video_id = _field(entry, "video_name", str)
    if not video_id.strip():
        raise ReleaseError("'video_name' is empty")
    duration = _field(entry, "duration", float, int)
    if not 0 < duration <= MAX_DURATION:
        raise ReleaseError(f"the duration is {duration!s:.20}; it must be above 0 seconds and at most {MAX_DURATION:,}")
    video = Video(video_id, SPLIT, float(duration))
    events, questions = [], []
    for number, annotation in enumerate(_field(entry, "annotation", list)):
        event_id = f"{video_id}-{number}"
        try:
            own = list(_read_questions(annotation, event_id, video_id))
            events.append(_event(event_id, video_id, _field(annotation, "event_num", int), own))
        except ReleaseError as error:
            raise ReleaseError(f"annotation {number}: {error}") from None
        questions += own
    return video, events, questions


def _read_questions(annotation: Any, event_id: str, video_id: str) -> Iterator[Question]:
    if not isinstance(annotation, dict):
        raise ReleaseError(f"an object is expected, but it is a {type(annotation).__name__}")
    unknown = set(annotation) - set(TASK_KEYS) - {"event_num"}
    if unknown:
        raise ReleaseError(f"unknown keys {sorted(unknown)}; known are event_num, {', '.join(TASK_KEYS)}")
    for key, task in TASK_KEYS.items():
        for ordinal, pair in enumerate(_field(annotation, key, list) if key in annotation else ()):
            try:
                yield _read_question(pair, f"{event_id}-{task}-{ordinal}", event_id, video_id, task)
            except ReleaseError as error:
                raise ReleaseError(f"{key}, question {ordinal}: {error}") from None


def _read_question(pair: Any, question_id: str, event_id: str, video_id: str, task: Task) -> Question:
    text, answer_text = _field(pair, "Q", str), _field(pair, "A", str)
    question_type, query_span = _read_form(text, task)
    parsed = parse_answer(answer_text)
    if not is_well_formed(parsed, task):
        raise ReleaseError(f"the answer is not a well-formed {task} one: {parsed.problems or answer_text[:80]!r}")
    return Question(
        question_id=question_id,
        event_id=event_id,
        video_id=video_id,
        task=task,
        question=text,
        question_type=question_type,
        answer=answer_text,
        query_span=query_span,
        when=parsed.answer.span,
        objects=_objects(parsed.answer, audible=question_type != WHERE_SILENT),
    )


def _read_form(text: str, task: Task) -> tuple[str, Span | None]:
    """The question type and, of a spatial question, the span it asks about."""
    for question_type in TYPES_OF_TASK[task]:
        if match := PATTERNS[question_type].fullmatch(text):
            return question_type, _query_span(match)
    raise ReleaseError(f"the question {text[:120]!r} has none of the known forms of the {task} task")


def _query_span(match: re.Match[str]) -> Span | None:
    found = match.groupdict()
    if "start" not in found:
        return None
    start, end = float(found["start"]), float(found["end"])
    if not start < end:
        raise ReleaseError(f"it asks about the span [{start}, {end}], which is empty")
    return start, end


def _objects(answer: Answer, audible: bool) -> tuple[ObjectTrack, ...]:
    return tuple(ObjectTrack(track.name, audible, frames_of(track.rows)) for track in answer.tracks)


def _event(event_id: str, video_id: str, number: int, questions: Sequence[Question]) -> Event:
    """The event that an annotation's questions ask about: its span, and every object named, once, with its boxes."""
    spans = [span for question in questions if (span := question.span)]
    if not spans:
        raise ReleaseError("it holds no question, so its event has no span")
    exact = next((question.query_span for question in questions if question.query_span), spans[0])
    if any(abs(span[edge] - exact[edge]) > 0.06 for span in spans for edge in (0, 1)):
        raise ReleaseError(f"its questions are about several spans: {sorted(set(spans))}")
    objects: dict[tuple[str, bool | None], ObjectTrack] = {}
    for track in (track for question in questions for track in question.objects):
        key = (track.name, track.audible)
        if key not in objects or not objects[key].frames:
            objects[key] = track
        elif track.frames and track.frames != objects[key].frames:
            raise ReleaseError(f"its questions place the object {track.name!r} differently")
    return Event(event_id, video_id, exact, (), None, tuple(objects.values()), number)


def _field(value: Any, key: str, *kinds: type) -> Any:
    if not isinstance(value, dict) or key not in value:
        raise ReleaseError(f"the key {key!r} is missing")
    found = value[key]
    if not isinstance(found, kinds) or isinstance(found, bool):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise ReleaseError(f"{key!r} should be {expected}, but is {type(found).__name__}")
    if isinstance(found, str) and not found.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in found):
        raise ReleaseError(f"{key!r} holds half a character (a lone surrogate), which no file can store: {found[:60]!r}")
    return found
