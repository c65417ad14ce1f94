"""How right the boxes are that a build found, where the truth is known."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from r_avst.metrics.avst_metrics.overlap import Box
from r_avst.metrics.avst_metrics.overlap import frame_iou

from ..records import Frame
from ..records import ObjectTrack
from ..records import VideoRow


def measure(rows: Sequence[VideoRow], truth: Sequence[VideoRow]) -> dict[str, float | int | None]:
    """Compares the boxes of rows with the true ones, object by object and second by second.

    Returns:
        ``times``: how many the objects have; ``mean_iou`` of the boxes at those where the object is truly visible;
        ``visible_precision`` and ``visible_recall`` of saying that it is. None where there is nothing to divide by.
    """
    pairs = [(_visible(found), _visible(true)) for found, true in _frames(rows, truth)]
    both = sum(bool(found and true) for found, true in pairs)
    said, visible = sum(bool(found) for found, _ in pairs), sum(bool(true) for _, true in pairs)
    overlap = sum(frame_iou(found, true) for found, true in pairs if true)
    return {
        "times": len(pairs),
        "mean_iou": overlap / visible if visible else None,
        "visible_precision": both / said if said else None,
        "visible_recall": both / visible if visible else None,
    }


def _frames(rows: Sequence[VideoRow], truth: Sequence[VideoRow]) -> Iterator[tuple[Frame, Frame]]:
    """Each true frame of a video that was worked on, with what was found; nothing found is an empty frame."""
    found = {
        (event.event_id, track.name): _by_time(track) for row in rows for event in row.events for track in event.objects
    }
    videos = {row.video.video_id for row in rows}
    for event in (event for row in truth if row.video.video_id in videos for event in row.events):
        for track in event.objects:
            own = found.get((event.event_id, track.name), {})
            yield from ((own.get(true.time, Frame(true.time, ())), true) for true in track.frames)


def _by_time(track: ObjectTrack) -> Mapping[float, Frame]:
    return {frame.time: frame for frame in track.frames}


def _visible(frame: Frame) -> list[Box]:
    return [one.box for one in frame.instances if one.visible]


def describe(measured: Mapping[str, float | int | None]) -> str:
    """The figures as a line for a terminal."""
    shares = {key: "-" if measured[key] is None else f"{measured[key]:.3f}" for key in measured}
    return (
        f"Against the truth, at {measured['times']:,} times of objects: mean IoU {shares['mean_iou']}; "
        f"visible: precision {shares['visible_precision']}, recall {shares['visible_recall']}"
    )
