"""What the servers of pages do alike: addresses of files, and functions that the page's script calls."""

from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import TypeVar
from urllib.parse import quote

T = TypeVar("T")
View = dict[str, Any]


def file_url(path: Path) -> str:
    """The address at which Gradio serves a file, with parts of it on demand; relative to the page."""
    return f"gradio_api/file={quote(str(path.absolute()))}"


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
