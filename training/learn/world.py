"""A world of clips with exact truth: how a scene becomes a file, and all of them a data set as the builder writes it."""

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tqdm import tqdm

from r_avst.dataset_builder.dataset_folder import write_folder
from r_avst.dataset_builder.question_forms import ask_about_object
from r_avst.dataset_builder.question_forms import ask_about_span
from r_avst.dataset_builder.records import WHEN
from r_avst.dataset_builder.records import WHERE_SILENT
from r_avst.dataset_builder.records import CardText
from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import ObjectTrack
from r_avst.dataset_builder.records import Question
from r_avst.dataset_builder.records import Video
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.records import frames_of
from r_avst.dataset_builder.records import records_of
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.metrics.avst_metrics.coordinates import Size

from .drawing import Pictures
from .drawing import Sound
from .drawing import write_clip

CARD = CardText("apache-2.0", "Clips of squares and tones on which tiny models are trained, to see that training learns.")
SPLITS = ("train", "test")


@dataclass(frozen=True, slots=True)
class Scene:
    """What a clip shows (frames, height, width, 3), what it lets hear (samples,) at 16 kHz or None, and the true answer.

    ``span`` is when its event is, in seconds; the answer's boxes are in pixels of the clip.
    """

    pictures: Pictures
    sound: Sound | None
    span: Span
    answer: Answer


@dataclass(frozen=True, slots=True)
class World:
    """A kind of clips, all of one length and size, and the question that is asked about each of them.

    Attributes:
        name: of the world; begins the ids of its videos.
        task: of the question.
        seconds: length of a clip.
        fps: frames a second in the files.
        size: width and height in pixels.
        scene: draws a scene.
        choices: all answers that a scene can have.
        constants: all answers that the best constant is sought among; the true ones, and others on the same grid.
    """

    name: str
    task: Task
    seconds: int
    fps: int
    size: Size
    scene: Callable[[Random], Scene]
    choices: tuple[Answer, ...]
    constants: tuple[Answer, ...]

    def video_id(self, split: str, seed: int, index: int) -> str:
        """The name of a clip, without ending."""
        return f"{self.name}_{seed}_{split}_{index:04d}"

    def scene_of(self, video_id: str) -> Scene:
        """The scene of a clip; it follows from the name alone."""
        return self.scene(Random(video_id))


def write_world(world: World, folder: Path, counts: dict[str, int], seed: int) -> tuple[VideoRow, ...]:
    """Writes the clips ``folder/videos/VIDEO_ID.mp4`` that are not there yet, and the data set ``folder/r-avst``.

    Args:
        world: whose clips.
        folder: where to.
        counts: number of clips by split.
        seed: of the scenes; other seeds give other clips.
    """
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    ids = [(split, world.video_id(split, seed, index)) for split in SPLITS for index in range(counts[split])]
    rows = tuple(_write(world, folder, *own) for own in tqdm(ids, desc=f"clips of {world.name}", unit="clip", leave=False))
    write_folder(records_of(rows), CARD, {"source": {"name": f"learn: {world.name}", "seed": seed}}, folder / "r-avst")
    return rows


def _write(world: World, folder: Path, split: str, video_id: str) -> VideoRow:
    scene = world.scene_of(video_id)
    write_clip(folder / "videos" / f"{video_id}.mp4", scene.pictures, world.fps, scene.sound)
    return truth_row(world, split, video_id, scene)


def write_exchanged(world: World, folder: Path, ids: list[tuple[str, str]]) -> Iterator[Path]:
    """Clips with the pictures of one scene and the sound of another, for pairs of video ids; they stand in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for seen, heard in ids:
        path = folder / f"{seen}_hears_{heard}.mp4"
        write_clip(path, world.scene_of(seen).pictures, world.fps, world.scene_of(heard).sound)
        yield path


def truth_row(world: World, split: str, video_id: str, scene: Scene) -> VideoRow:
    """A clip with its event and its question, as a row of the builder."""
    audible = world.task != "spatial"
    tracks = tuple(ObjectTrack(track.name, audible, frames_of(track.rows)) for track in scene.answer.tracks)
    event = Event(f"{video_id}-0", video_id, scene.span, (), None, tracks)
    video = Video(video_id, split, float(world.seconds), *world.size)
    return VideoRow(video, f"{video_id}.mp4", (event,), (_question(world.task, event, scene.answer),))


def _question(task: Task, event: Event, answer: Answer) -> Question:
    spatial = task == "spatial"
    question_type = WHERE_SILENT if spatial else WHEN
    name = answer.tracks[0].name
    return Question(
        question_id=f"{event.event_id}-{task}-0",
        event_id=event.event_id,
        video_id=event.video_id,
        task=task,
        question=ask_about_span(question_type, event.span) if spatial else ask_about_object(question_type, name),
        question_type=question_type,
        answer=write_answer(answer, task),
        query_span=event.span if spatial else None,
        when=answer.span,
        objects=event.objects,
    )
