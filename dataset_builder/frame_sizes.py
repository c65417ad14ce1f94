"""Joins videos that a user has: their width, height and duration, and what does not fit the annotations."""

from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from .records import Records
from .records import Video
from .video import VideoError
from .video import VideoInfo
from .video import find_videos
from .video import probe

DURATION_TOLERANCE = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class JoinReport:
    """What came of joining a folder of videos: ids, and for what does not fit, why."""

    joined: int
    missing: tuple[str, ...]
    unreadable: dict[str, str]
    boxes_outside: dict[str, str]
    other_duration: dict[str, str]


def join_videos(records: Records, folder: Path) -> tuple[Records, JoinReport]:
    """The records with width, height and duration of every video that has a usable file in ``folder``.

    A video whose boxes do not fit into the file's frame was annotated at another size: scaling by the file's size would
    misplace its boxes, so its width and height stay null. A file that is more than half a second longer or shorter may be
    another cut. Both are reported.

    Raises:
        VideoError: the folder does not exist.
    """
    if not folder.is_dir():
        raise VideoError(f"{folder}: there is no such folder; --videos takes a folder of files named VIDEO_ID.mp4")
    files = find_videos(folder)
    extents = box_extents(records)
    videos, unreadable, outside, other = [], {}, {}, {}
    for video in tqdm(records.videos, desc="probing videos", unit="video"):
        if video.video_id not in files:
            videos.append(video)
            continue
        try:
            info = probe(files[video.video_id])
        except VideoError as error:
            unreadable[video.video_id] = str(error)
            videos.append(video)
            continue
        if reason := _misfit(info, extents.get(video.video_id)):
            outside[video.video_id] = reason
        if abs(info.duration - video.duration) > DURATION_TOLERANCE:
            other[video.video_id] = f"annotations {video.duration:.2f} s, file {info.duration:.2f} s"
        videos.append(_joined(video, info, fits=reason is None))
    missing = tuple(video.video_id for video in records.videos if video.video_id not in files)
    report = JoinReport(len(videos) - len(missing) - len(unreadable), missing, unreadable, outside, other)
    return replace(records, videos=tuple(videos)), report


def box_extents(records: Records) -> dict[str, tuple[float, float]]:
    """The largest x and y of the visible boxes of each video that has any."""
    extents: dict[str, tuple[float, float]] = {}
    for event in records.events:
        for frame in (frame for track in event.objects for frame in track.frames):
            for one in frame.instances:
                x, y = extents.get(event.video_id, (0.0, 0.0))
                extents[event.video_id] = max(x, one.box[2]), max(y, one.box[3])
    return extents


def _misfit(info: VideoInfo, extent: tuple[float, float] | None) -> str | None:
    if extent is None or (extent[0] <= info.width and extent[1] <= info.height):
        return None
    return f"boxes reach x {extent[0]:.0f}, y {extent[1]:.0f}; the file's frames are {info.width} x {info.height}"


def _joined(video: Video, info: VideoInfo, fits: bool) -> Video:
    width, height = (info.width, info.height) if fits else (None, None)
    return replace(video, duration=info.duration, width=width, height=height)
