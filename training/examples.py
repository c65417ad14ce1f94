"""The questions that a run learns from, each with its video; what cannot be used is left out before training, with a reason.

Every video is read once before training begins. That fills the cache of clips, tells the sizes that truth and prompt need,
and finds the files that cannot be read while there is time to get them again.
"""

import json
import multiprocessing
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import as_completed
from dataclasses import asdict
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import datasets
from filelock import FileLock
from tqdm import tqdm

from r_avst.dataset_builder.line_files import append_line
from r_avst.dataset_builder.line_files import cut_torn_line
from r_avst.dataset_builder.line_files import put_text
from r_avst.dataset_builder.line_files import whole_lines
from r_avst.dataset_builder.sound import SAMPLE_RATE
from r_avst.dataset_builder.video import VIDEO_SUFFIXES
from r_avst.dataset_builder.video import VideoError
from r_avst.dataset_builder.video import find_videos
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import ParsedAnswer
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import is_visible
from r_avst.metrics.avst_metrics.answers import is_well_formed
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.benchmark import load_rows

from .answer_form import AnswerForm
from .answer_form import answer_text
from .clips import ClipCache
from .clips import MediaSettings
from .clips import frame_times
from .prompts import PromptError
from .prompts import prompt_messages
from .prompts import prompt_text

COLUMNS = ("question_id", "video_id", "task", "question", "answer", "query_span", "when", "width", "height")
SKIPPED_FILE = "skipped.jsonl"
FACTS_FILE = "videos.jsonl"
BEYOND_END = 1.0  # seconds that a span may reach beyond its video: annotators round
OUTSIDE = 1.0  # pixels that a box may reach out of its frame: detectors round
SHOWN = 3  # names of each kind of skipped question on the terminal

NO_VIDEO = "no video"
UNREADABLE = "unreadable video"
UNUSABLE = "unusable question"
BAD_ANSWER = "unusable answer"
OTHER_SIZE = "annotated at another size"
OUT_OF_FRAME = "boxes out of the frame"
BEYOND = "a span beyond the end"


class NoExamplesError(ValueError):
    """No question is left to learn from; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Example:
    """A question with its video.

    Attributes:
        question_id: as in the data set.
        video_id: as in the data set.
        task: of the question.
        question: its text.
        truth: the raw text of the true answer, boxes in source pixels.
        video: the file.
        source_size: width and height of the video in pixels as people see it.
        processed_size: width and height of the frames that the model is given.
        duration: of the video's picture in seconds.
    """

    question_id: str
    video_id: str
    task: Task
    question: str
    truth: str
    video: Path
    source_size: Size
    processed_size: Size
    duration: float


@dataclass(frozen=True, slots=True)
class Skipped:
    """A question that is left out. ``reason`` is a kind, a colon and what was found."""

    question_id: str
    video_id: str
    reason: str

    @property
    def kind(self) -> str:
        """What stands before the colon of the reason."""
        return self.reason.partition(":")[0]


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What reading a video tells: sizes in pixels, and seconds of picture."""

    source_size: Size
    processed_size: Size
    duration: float


def load_examples(
    dataset: str,
    split: str,
    videos: Path,
    settings: MediaSettings,
    cache: ClipCache,
    facts_file: Path | None = None,
    processes: int = 1,
    limit: int | None = None,
) -> tuple[list[Example], list[Skipped]]:
    """The questions of a split with their videos, in the order of the data set, and those that are left out.

    Args:
        dataset: a folder that `r-avst-build` wrote, or a data set of that form on the Hub.
        split: ``train`` or ``test``.
        videos: the folder of the files, VIDEO_ID.mp4 or another ending.
        settings: how a video is read.
        cache: is filled with what was read.
        facts_file: notes what reading a video told. A run that comes later, or another process of the same run, then
            reads no video again that has not changed. None notes nothing.
        processes: that read videos.
        limit: take the first so many questions; None for all.

    Raises:
        BenchmarkError: the data set cannot be loaded, or lacks a column.
        NoExamplesError: no question is left.
    """
    rows = load_rows(dataset, split, COLUMNS)
    rows = rows.select(range(min(limit, len(rows)))) if limit is not None else rows
    files = find_videos(videos)
    wanted = [files[name] for name in dict.fromkeys(rows["video_id"]) if name in files]
    facts = _read_videos(wanted, settings, cache, facts_file, processes)
    taken = [_taken(row, files.get(row["video_id"]), facts) for row in rows]
    examples = [own for own in taken if isinstance(own, Example)]
    skipped = [own for own in taken if isinstance(own, Skipped)]
    if not examples:
        raise NoExamplesError("\n".join([f"no question of {dataset!r} is left to learn from", *describe_skipped(skipped)]))
    return examples, skipped


def example_rows(examples: Iterable[Example], form: AnswerForm, audio: bool) -> datasets.Dataset:
    """The data set of the trainers.

    Args:
        examples: one a row.
        form: in which the prompt asks for the answer, and in which ``completion`` gives it.
        audio: whether the model is given the sound; the prompt says so.

    Returns:
        Columns ``question_id``, ``prompt`` (messages), ``task``, ``truth``, ``source_size`` and ``processed_size`` ([width,
        height]), ``duration`` and ``completion`` (the true answer in ``form``).
    """
    return datasets.Dataset.from_list([_example_row(own, form, audio) for own in examples])


def rows_digest(rows: datasets.Dataset) -> dict[str, int | str]:
    """What tells the rows of a run from others, wherever the videos lie.

    Returns:
        The number of ``questions``, and SHA-256 sums of the columns ``question_id``, ``prompt`` (its text) and
        ``completion``.
    """
    texts = [
        [block["text"] for message in prompt for block in message["content"] if block.get("text") is not None]
        for prompt in rows["prompt"]
    ]
    columns = {"question_id": list(rows["question_id"]), "prompt": texts, "completion": list(rows["completion"])}
    sums = {name: sha256(json.dumps(values).encode()).hexdigest() for name, values in columns.items()}
    return {"questions": len(rows), **sums}


def write_skipped(skipped: Sequence[Skipped], folder: Path) -> Path:
    """Writes `skipped.jsonl`, a line a question, into a folder; an empty file where none was skipped."""
    path = folder / SKIPPED_FILE
    put_text(path, "".join(json.dumps(asdict(own)) + "\n" for own in skipped))
    return path


def describe_skipped(skipped: Sequence[Skipped]) -> list[str]:
    """What was left out, as lines for a terminal: a count for each kind with the first few names and the first reason."""
    counts = Counter(own.kind for own in skipped)
    return [
        line
        for kind, count in counts.most_common()
        for line in _describe_kind(kind, count, [own for own in skipped if own.kind == kind])
    ]


def _describe_kind(kind: str, count: int, skipped: Sequence[Skipped]) -> list[str]:
    names = list(dict.fromkeys(own.video_id for own in skipped))
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    what = "question" if count == 1 else "questions"
    return [
        f"  {count:,} {what} skipped, {kind}: {', '.join(names[:SHOWN])}{more}",
        f"    the first{skipped[0].reason.removeprefix(kind)}",
    ]


def _example_row(own: Example, form: AnswerForm, audio: bool) -> dict[str, Any]:
    text = prompt_text(own.question, own.task, form, own.processed_size, own.source_size, audio)
    truth = parse_answer(own.truth).answer
    return {
        "question_id": own.question_id,
        "prompt": prompt_messages(own.video, text),
        "task": own.task,
        "truth": own.truth,
        "source_size": list(own.source_size),
        "processed_size": list(own.processed_size),
        "duration": own.duration,
        "completion": answer_text(truth, own.task, form, own.source_size, own.processed_size),
    }


# --- videos -----------------------------------------------------------------------------------------------------------


def _read_videos(
    paths: Sequence[Path], settings: MediaSettings, cache: ClipCache, facts_file: Path | None, processes: int
) -> dict[Path, VideoFacts | str]:
    """Facts of each video, or the reason why it cannot be read. With a file for them one process reads, others wait."""
    if facts_file is None:
        return dict(_facts_of(paths, settings, cache, processes))
    facts_file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{facts_file}.lock"):
        cut_torn_line(facts_file)
        noted = _noted_facts(facts_file)
        facts: dict[Path, VideoFacts | str] = {path: noted[key] for path in paths if (key := _key(path, settings)) in noted}
        for path, own in _facts_of([path for path in paths if path not in facts], settings, cache, processes):
            facts[path] = own
            if isinstance(own, VideoFacts):
                append_line(facts_file, json.dumps({"key": _key(path, settings), **asdict(own)}))
    return facts


def _facts_of(
    paths: Sequence[Path], settings: MediaSettings, cache: ClipCache, processes: int
) -> Iterator[tuple[Path, VideoFacts | str]]:
    """Reads videos, one after another or in several processes, as they are done."""
    bar: Callable[..., Any] = tqdm(total=len(paths), desc="reading videos", unit="video", disable=not paths).update
    if processes == 1:
        for path in paths:
            yield path, _facts(path, settings, cache)
            bar()
        return
    # A forked process would inherit locks of the libraries' threads.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(_facts, path, settings, cache): path for path in paths}
        for done in as_completed(waiting):
            yield waiting[done], done.result()
            bar()


def _facts(path: Path, settings: MediaSettings, cache: ClipCache) -> VideoFacts | str:
    try:
        clip = cache.clip(path, settings)
    except VideoError as error:
        return str(error)
    return VideoFacts(clip.source_size, clip.processed_size, clip.duration)


def _key(path: Path, settings: MediaSettings) -> str:
    """Changes with the file and with the way it is read."""
    status = path.stat()
    return json.dumps([str(path.resolve()), status.st_size, status.st_mtime_ns, asdict(settings)], sort_keys=True)


def _noted_facts(path: Path) -> dict[str, VideoFacts]:
    """What a file of facts holds; a line that is none was damaged, and its video is read again."""
    noted = {}
    for line in whole_lines(path):
        try:
            own = json.loads(line)
            sizes = [(int(width), int(height)) for width, height in (own["source_size"], own["processed_size"])]
            noted[str(own["key"])] = VideoFacts(sizes[0], sizes[1], float(own["duration"]))
        except (ValueError, KeyError, TypeError):
            continue
    return noted


def clip_bytes(examples: Iterable[Example], settings: MediaSettings) -> int:
    """Bytes of the decoded videos of examples, each video once: what the cache has to hold for all to be decoded once."""
    sizes = {}
    for own in examples:
        frames = len(frame_times(own.duration, settings.fps, settings.max_frames)[0])
        samples = round(own.duration * SAMPLE_RATE) if settings.audio else 0
        sizes[own.video] = frames * own.processed_size[0] * own.processed_size[1] * 3 + samples * 4
    return sum(sizes.values())


# --- questions --------------------------------------------------------------------------------------------------------


def _taken(row: Mapping[str, Any], file: Path | None, facts: Mapping[Path, VideoFacts | str]) -> Example | Skipped:
    """A row as an example, or why it is none."""
    own = facts[file] if file is not None else _no_video(row["video_id"])
    if file is None or isinstance(own, str):
        kind = NO_VIDEO if file is None else UNREADABLE
        return Skipped(row["question_id"], row["video_id"], f"{kind}: {own}")
    task, truth = TASKS[row["task"]], parse_answer(row["answer"])
    if reason := _misfit(row, task, truth, own):
        return Skipped(row["question_id"], row["video_id"], reason)
    return Example(
        question_id=row["question_id"],
        video_id=row["video_id"],
        task=task,
        question=row["question"],
        truth=row["answer"],
        video=file,
        source_size=own.source_size,
        processed_size=own.processed_size,
        duration=own.duration,
    )


def _no_video(video_id: str) -> str:
    return f"{video_id} is not in the folder with one of the endings {', '.join(VIDEO_SUFFIXES)}; get it with r-avst-videos"


def _misfit(row: Mapping[str, Any], task: Task, truth: ParsedAnswer, facts: VideoFacts) -> str | None:
    """Why a question cannot be learned with this video; None where it can."""
    if not is_well_formed(truth, task):
        found = f" ({truth.problems[0].kind}: {truth.problems[0].found})" if truth.problems else ""
        return f"{BAD_ANSWER}: its answer is no well-formed {task} answer{found}"
    width, height = facts.source_size
    annotated = (row["width"], row["height"])
    if all(annotated) and annotated != facts.source_size:
        return f"{OTHER_SIZE}: boxes are for {annotated[0]} x {annotated[1]} pixels, the file has {width} x {height}"
    if outside := _outside(truth.answer, facts.source_size):
        return f"{OUT_OF_FRAME}: {outside} reaches out of a frame of {width} x {height}: annotated at another size?"
    latest = max((span[1] for span in (row["query_span"], row["when"], truth.answer.span) if span), default=0.0)
    if latest > facts.duration + BEYOND_END:
        return f"{BEYOND}: it goes to {latest} s, the video to {facts.duration:.1f} s: another version of the video?"
    return _unusable(row["question"], task, facts)


def _outside(answer: Answer, size: Size) -> str | None:
    """The first visible box that reaches out of the frame by more than a pixel."""
    for track in answer.tracks:
        for row in filter(is_visible, track.rows):
            if min(row[1:3]) < -OUTSIDE or row[3] > size[0] + OUTSIDE or row[4] > size[1] + OUTSIDE:
                return f"the box {list(row[1:])} of {track.name!r} at {row[0]} s"
    return None


def _unusable(question: str, task: Task, facts: VideoFacts) -> str | None:
    """What the prompt has against the question's text; it says the same in every form."""
    try:
        prompt_text(question, task, AnswerForm("source", 1, 1), facts.processed_size, facts.source_size, audio=False)
    except PromptError as error:
        return f"{UNUSABLE}: {error}"
    return None
