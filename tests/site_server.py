"""A video site on loopback: `/watch/VIDEO_ID` is a video, or what a test wants the site to do instead."""

import re
import time
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer

from loopback import served

PIECE = 1 << 14


class SiteServer(ThreadingHTTPServer):
    """``videos`` by id; ``statuses``: of the next answers for an id; ``pages``: HTML instead of a video.

    ``breaks``: how many next answers for an id are broken off in the middle. ``delay``: seconds before each 16 KiB piece.
    ``requests`` holds what was asked for: id, first byte, time.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.videos: dict[str, bytes] = {}
        self.statuses: dict[str, list[int]] = {}
        self.pages: dict[str, bytes] = {}
        self.breaks: dict[str, int] = {}
        self.delay = 0.0
        self.requests: list[tuple[str, int, float]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/watch/{{video_id}}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""


def running_site() -> AbstractContextManager[SiteServer]:
    return served(SiteServer())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SiteServer

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        video_id = self.path.rpartition("/")[2]
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        self.server.requests.append((video_id, int(asked[1]) if asked else 0, time.monotonic()))
        if statuses := self.server.statuses.get(video_id):
            self._send(statuses.pop(0), b"", {})
        elif page := self.server.pages.get(video_id):
            self._send(200, page, {"Content-Type": "text/html"})
        elif video := self.server.videos.get(video_id):
            self._video(video_id, video, asked)
        else:
            self._send(404, b"", {})

    def _video(self, video_id: str, content: bytes, asked: re.Match[str] | None) -> None:
        headers = {"Content-Type": "video/mp4", "Accept-Ranges": "bytes"}
        breaks = self.server.breaks.get(video_id, 0)
        sent = len(content) // 2 if breaks else None
        self.server.breaks[video_id] = max(breaks - 1, 0)
        if asked is None:
            self._send(200, content, headers, sent)
            return
        first, last = int(asked[1]), int(asked[2] or len(content) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._send(206, content[first : last + 1], headers, sent and max(sent - first, 0))

    def _send(self, status: int, content: bytes, headers: dict[str, str], sent: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        for start in range(0, len(content), PIECE):
            time.sleep(self.server.delay)
            self.wfile.write(content[start : min(start + PIECE, len(content) if sent is None else sent)])
        self.close_connection = sent is not None
