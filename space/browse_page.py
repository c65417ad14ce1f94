"""The tab of questions: the component, and the functions on the server that its script calls."""

from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import TypeVar

from r_avst.dataset_builder.page_server import answering

from .browse import Browse
from .browse import BrowseError
from .browse import index_of
from .browse import media_for
from .browse import question_scene
from .browse import scene_of
from .exports import Exports
from .exports import Job
from .media import file_url
from .overlay import player_component
from .scenes import View

T = TypeVar("T", str, int)


def add_browse_tab(browse: Browse, exports: Exports) -> None:
    """Adds the component to the tab that is being built."""

    def annotated_for(own: Browse, request: Mapping[str, Any]) -> View:
        return annotated_job(own, exports, request)

    def playable_for(own: Browse, request: Mapping[str, Any]) -> View:
        return playable_view(exports)(_video(own, own.place(request)))

    functions = (index_of, scene_of, media_for, annotated_for, playable_for)
    player_component("browse", None, [answering(function, browse, BrowseError) for function in functions])


def annotated_job(browse: Browse, exports: Exports, request: Mapping[str, Any]) -> View:
    """Begins, or looks at, the video of a question with the boxes of some layers and objects drawn into it.

    Raises:
        BrowseError: there is no such question, it has no video, or layers and objects are not lists of names and numbers.
    """
    place = browse.place(request)
    layers, objects = _listed(request, "layers", str), _listed(request, "objects", int)
    return job_view(exports.annotated(_video(browse, place), question_scene(browse, place), layers, objects))


def _listed(request: Mapping[str, Any], name: str, kind: type[T]) -> list[T]:
    found = request.get(name)
    if not isinstance(found, list) or not all(type(one) is kind for one in found):
        raise BrowseError(f"{name} is {found!r:.80}; it must be a list, each of type {kind.__name__}")
    return found


def _video(browse: Browse, place: int) -> Path:
    path = browse.video(place)
    if path is None:
        raise BrowseError(
            f"there is no file of the video {browse.rows[place]['video_id']!r:.80}: give its folder by --videos"
        )
    return path


def playable_view(exports: Exports) -> Callable[[Path], View]:
    """Begins, or looks at, a copy of a video that browsers can play."""
    return lambda path: job_view(exports.playable(path))


def job_view(job: Job) -> View:
    """A job as the page reads it."""
    return {"done": job.done, "url": file_url(job.file) if job.file else None, "error": job.error}
