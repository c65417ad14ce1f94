"""A server on loopback that speaks OpenAI's chat completions protocol and does with each request what it is told to."""

import json
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

from loopback import served

TOKENS_IN = 100  # of every answer
TOKENS_OUT = 10


@dataclass(frozen=True)
class Step:
    """What is done with one request; ``seconds`` pass before. ``drop``: the connection is closed without an answer.

    ``events`` are sent one after the other as server-sent events instead of ``body``, ``pause`` seconds before each; with
    ``breaks`` the connection is closed behind them before the answer's end.
    """

    status: int = 200
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    drop: bool = False
    events: tuple[str, ...] = ()
    pause: float = 0.0
    breaks: bool = False


@dataclass(frozen=True)
class Asked:
    """A request as it came in; ``time`` by the monotonic clock, names of ``headers`` in lower case."""

    time: float
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def last(self) -> str:
        """The content of its last message."""
        return str(self.body["messages"][-1]["content"])


def says(content: str | None, seconds: float = 0.0, finish_reason: str = "stop", **message: Any) -> Step:
    """An answer of the model."""
    completion = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "some-model",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **message},
                "finish_reason": finish_reason,
            }
        ],
        "usage": {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT, "total_tokens": TOKENS_IN + TOKENS_OUT},
    }
    return Step(body=json.dumps(completion), seconds=seconds)


def streams(*pieces: str, finish_reason: str | None = "stop", usage: bool = True, **how: Any) -> Step:
    """An answer of the model in pieces; behind them comes the usage, as servers send it that are asked to."""
    deltas = [({"role": "assistant", "content": ""}, None), *(({"content": piece}, None) for piece in pieces)]
    events = [_chunk([{"index": 0, "delta": delta, "finish_reason": end}]) for delta, end in deltas]
    if finish_reason is not None:
        events.append(_chunk([{"index": 0, "delta": {}, "finish_reason": finish_reason}]))
    if usage:
        counts = {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT, "total_tokens": TOKENS_IN + TOKENS_OUT}
        events.append(_chunk([], usage=counts))
    return Step(events=(*events, *([] if how.get("breaks") else ["[DONE]"])), **how)


def refuses_streaming(reason: str) -> Step:
    """The model declines to answer, in a stream."""
    said = {"index": 0, "delta": {"refusal": reason}, "finish_reason": None}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return Step(events=(_chunk([said]), _chunk([end]), "[DONE]"))


def _chunk(choices: list[dict[str, Any]], **more: Any) -> str:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "some-model", "choices": choices}
    return json.dumps(chunk | more)


def names(*subjects: tuple[str, str], seconds: float = 0.0) -> Step:
    """An answer as asked, of (name, label)."""
    listed = [{"name": name, "label": label} for name, label in subjects]
    return says(json.dumps({"number": len(listed), "subjects": listed}), seconds)


def refuses(reason: str) -> Step:
    """The model declines to answer."""
    return says(None, refusal=reason)


def fails(status: int, message: str = "no", **headers: str) -> Step:
    """An error of the server; ``retry_after="1"`` is the header Retry-After."""
    error = {"error": {"message": message, "type": "some_error", "param": None, "code": None}}
    named = tuple((name.replace("_", "-").title(), value) for name, value in headers.items())
    return Step(status, json.dumps(error), named)


def barking_dog(_: str) -> Step:
    return names(("dog", "visible & audible"))


class OpenAIServer(ThreadingHTTPServer):
    """Does the steps of ``script`` in the order of the requests, then answers with ``default`` by the last message."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, script: Sequence[Step], default: Callable[[str], Step]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self.events_sent = 0
        self._script = list(script)
        self._default = default
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def take(self, asked: Asked) -> Step:
        with self._lock:
            self.asked.append(asked)
            return self._script.pop(0) if self._script else self._default(asked.last)


def running_openai(*script: Step, default: Callable[[str], Step] = barking_dog) -> AbstractContextManager[OpenAIServer]:
    return served(OpenAIServer(script, default))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: OpenAIServer

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        step = self.server.take(
            Asked(time.monotonic(), self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        )
        time.sleep(step.seconds)
        if step.drop:
            self.close_connection = True
            return
        if step.events:
            self._stream(step)
            return
        content = step.body.encode()
        try:
            self.send_response(step.status)
            for name, value in (("Content-Type", "application/json"), *step.headers, ("Content-Length", str(len(content)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except ConnectionError:  # who asked did not wait
            self.close_connection = True

    def _stream(self, step: Step) -> None:
        try:
            self.send_response(step.status)
            for name, value in (("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"), *step.headers):
                self.send_header(name, value)
            self.end_headers()
            for event in step.events:
                time.sleep(step.pause)
                self._send_chunk(f"data: {event}\n\n".encode())
                self.server.events_sent += 1
            if not step.breaks:
                self._send_chunk(b"")
        except ConnectionError:  # who asked does not want the rest
            pass
        self.close_connection = step.breaks or self.close_connection

    def _send_chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()
