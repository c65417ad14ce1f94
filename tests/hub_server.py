"""A small Hub on loopback: serves data set repositories from folders, as far as listing and downloading need it."""

import hashlib
import json
import re
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import unquote
from urllib.parse import urlsplit

from loopback import served

COMMIT = "c0ffee" * 6 + "c0ff"
_API = re.compile(
    r"/api/datasets/(?P<repo>[^/]+/[^/]+)(?:/(?P<verb>revision|tree|paths-info)/(?P<commit>[^/]+)(?:/(?P<path>.+))?)?"
)
_FILE = re.compile(r"/datasets/(?P<repo>[^/]+/[^/]+)/resolve/(?P<commit>[^/]+)/(?P<path>.+)")


class HubServer(ThreadingHTTPServer):
    """The repositories lie in ``root/user/name``; ``faults`` maps a path to the statuses of its next answers.

    ``requests`` holds what was asked for: method, path and range.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.requests: list[tuple[str, str, str | None]] = []
        self.faults: dict[str, list[int]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def running_hub(root: Path) -> AbstractContextManager[HubServer]:
    return served(HubServer(root))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append((self.command, path, self.headers.get("Range")))
        if faults := self.server.faults.get(path):
            self._send(faults.pop(0), b"{}", {})
        elif found := _API.fullmatch(path):
            self._api(found, body.decode())
        elif found := _FILE.fullmatch(path):
            self._file(self.server.root / found["repo"] / found["path"])
        else:
            self._send(404, b"{}", {})

    def _api(self, found: re.Match[str], body: str) -> None:
        folder = self.server.root / found["repo"]
        if not folder.is_dir():
            self._send(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})
            return
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        entries = [_entry(folder, path) for path in files]
        answer: Any = {"id": found["repo"], "sha": COMMIT, "siblings": [{"rfilename": own["path"]} for own in entries]}
        if found["verb"] == "tree":
            answer = entries
        if found["verb"] == "paths-info":
            asked = parse_qs(body)["paths"] if "=" in body else json.loads(body)["paths"]
            answer = [own for own in entries if own["path"] in asked]
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _file(self, path: Path) -> None:
        if not path.is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            return
        content = path.read_bytes()
        headers = {"ETag": f'"{_digest(path)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            self._send(200, content, headers)
            return
        first, last = int(asked[1]), min(int(asked[2] or len(content) - 1), len(content) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._send(206, content[first : last + 1], headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _digest(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


def _entry(folder: Path, path: Path) -> dict[str, Any]:
    return {"type": "file", "path": str(path.relative_to(folder)), "oid": _digest(path), "size": path.stat().st_size}
