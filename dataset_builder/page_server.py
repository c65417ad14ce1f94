"""What the servers of pages do alike: addresses of videos, and functions that the page's script calls."""

from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import TypeVar
from urllib.parse import quote

if TYPE_CHECKING:
    from fastapi import FastAPI

T = TypeVar("T")
View = dict[str, Any]
VIDEOS: Final = "videos"  # under this address


def video_url(video_id: str) -> str:
    """The address of a video of `serve_videos`; relative to the page. It says nothing of where the file lies."""
    return f"{VIDEOS}/{quote(video_id, safe='')}"


def serve_videos(app: "FastAPI", videos: Mapping[str, Path]) -> None:
    """Serves videos by their ids, with parts of them on demand, wherever they lie, and nothing beside them."""
    from fastapi import HTTPException
    from fastapi.responses import FileResponse

    def video(video_id: str) -> FileResponse:
        path = videos.get(video_id)
        if path is None or not path.is_file():
            raise HTTPException(404, "there is no such video")
        return FileResponse(path)

    app.add_api_route(f"/{VIDEOS}/{{video_id:path}}", video, methods=["GET", "HEAD"], response_model=None)


def answering(
    function: Callable[[T, Mapping[str, Any]], View], subject: T, error_kind: type[Exception]
) -> Callable[[Any], View]:
    """A function as the page calls it.

    Args:
        function: of ``subject`` and a request, which anybody can send.
        subject: what the page is about.
        error_kind: of errors that come back to the page, as ``{"error": message}``.
    """

    def answer(request: Any) -> View:
        try:
            return function(subject, request if isinstance(request, dict) else {})
        except error_kind as error:
            return {"error": str(error)}

    answer.__name__ = function.__name__  # under which the script finds it
    return answer
