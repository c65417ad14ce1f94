"""A small audio-visual world with exact truth: coloured shapes that move, appear, hide and sound.

A clip is a plan first, drawn from the seed and the clip's number alone (`synthetic_plan`); making more clips changes none of
those that are there. What is written as a file (`synthetic_render`) and what is told as truth both follow from the plan.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from r_avst.metrics.avst_metrics.answers import NOT_VISIBLE
from r_avst.metrics.avst_metrics.overlap import Box

from ..records import Event
from ..records import Frame
from ..records import Instance
from ..records import ObjectTrack
from ..records import Subject
from ..records import Video
from ..records import VideoRow
from .synthetic_plan import CELL
from .synthetic_plan import COLUMNS
from .synthetic_plan import FPS
from .synthetic_plan import ROWS
from .synthetic_plan import Actor
from .synthetic_plan import Plan
from .synthetic_plan import Scene
from .synthetic_plan import grid
from .synthetic_plan import plan_video
from .synthetic_render import write_clips

VIDEO_FOLDER = "videos"


def make_world(folder: Path, videos: int, seed: int) -> tuple[VideoRow, ...]:
    """Writes the clips ``folder/videos/VIDEO_ID.mp4`` that are not there yet, and returns the truth, a row a video.

    Raises:
        PyAVMissingError: PyAV is not installed.
    """
    plans = [plan_video(index, seed) for index in range(videos)]
    write_clips(plans, folder / VIDEO_FOLDER)
    return tuple(map(truth_row, plans))


def source_rows(truth: Iterable[VideoRow]) -> tuple[VideoRow, ...]:
    """The truth without what the stages have to find: subjects, objects, and the size of the frames."""
    return tuple(
        replace(
            row,
            video=replace(row.video, width=None, height=None),
            events=tuple(replace(event, subjects=(), objects=()) for event in row.events),
        )
        for row in truth
    )


def truth_row(plan: Plan) -> VideoRow:
    """What a plan shows and lets hear, with the box of each object in each second of its event."""
    video = Video(plan.video_id, plan.split, plan.frames / FPS, COLUMNS * CELL, ROWS * CELL)
    events = (
        Event(
            event_id=f"{plan.video_id}-{index}",
            video_id=plan.video_id,
            span=(scene.span[0] / FPS, scene.span[1] / FPS),
            labels=(scene.seen[0].label,),
            caption=scene.caption,
            objects=tuple(_track(plan, scene, subject) for subject in scene.subjects),
            subjects=scene.subjects,
        )
        for index, scene in enumerate(plan.scenes)
    )
    return VideoRow(video, f"{plan.video_id}.mp4", tuple(events))


def _track(plan: Plan, scene: Scene, subject: Subject) -> ObjectTrack:
    """The boxes of a subject; those that are only heard have none."""
    actors = [actor for actor in plan.actors if actor.thing.name == subject.name and subject.visible]
    frames = (Frame(frame / FPS, _instances(actors, frame)) for frame in grid(scene.span)) if actors else ()
    return ObjectTrack(subject.name, subject.audible, tuple(frames))


def _instances(actors: Iterable[Actor], frame: int) -> tuple[Instance, ...]:
    seen = tuple(Instance(box_of(actor, frame), visible=True) for actor in actors if actor.drawn(frame))
    return seen or (Instance(NOT_VISIBLE, visible=False),)


def box_of(actor: Actor, frame: int) -> Box:
    """Where an actor is on a frame, in pixels; the upper edges are exclusive."""
    column, row = actor.place(frame)
    left, top = float(column * CELL), float(row * CELL)
    return left, top, left + actor.width * CELL, top + actor.height * CELL
