"""A server on this machine that speaks OpenAI's chat completions protocol and answers about captions from the truth.

It stands in for a language model where the truth is known, as of the synthetic world: no key and no network are needed.
"""

import json
import threading
from collections.abc import Mapping
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any
from typing import Self

from pydantic import BaseModel
from pydantic import Field
from pydantic import ValidationError

from ..records import Subject
from ..stages.caption_prompt import LETTERS_OF_TOKEN
from ..stages.caption_prompt import answer_text

PATH = "/v1/chat/completions"
MAX_BODY = 1 << 20  # bytes


class RequestError(ValueError):
    """A request that is answered with an error; ``status`` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Message(BaseModel):
    role: str
    content: str


class _Request(BaseModel):
    model: str
    messages: list[_Message] = Field(min_length=1)


def completion(truth: Mapping[str, Sequence[Subject]], body: bytes) -> dict[str, Any]:
    """The chat completion that answers a request's body: the true subjects of the caption in its last user message.

    Token counts are made up from the lengths of the texts.

    Raises:
        RequestError: the body is no request, or the truth knows no such caption.
    """
    try:
        request = _Request.model_validate_json(body)
    except ValidationError as error:
        raise RequestError(400, f"this is no chat completion request: {error.errors()[0]['msg']}") from None
    asked = [message.content for message in request.messages if message.role == "user"]
    if not asked or asked[-1] not in truth:
        raise RequestError(400, f"the truth knows no such caption: {asked[-1:]!r:.200}")
    text = answer_text(truth[asked[-1]])
    tokens_in = sum(len(message.content) for message in request.messages) // LETTERS_OF_TOKEN
    tokens_out = len(text) // LETTERS_OF_TOKEN
    return {
        "id": "chatcmpl-truth",
        "object": "chat.completion",
        "created": 0,
        "model": request.model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out},
    }


class TruthServer:
    """Serves on loopback, at a port that is free, between ``__enter__`` and ``__exit__``.

    Args:
        truth: the subjects of each caption.
    """

    def __init__(self, truth: Mapping[str, Sequence[Subject]]) -> None:
        self._server = _Server(truth)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def base_url(self) -> str:
        """What a client is given."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a client that keeps its connection open does not keep the program

    def __init__(self, truth: Mapping[str, Sequence[Subject]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.truth = truth


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 60  # seconds; a connection on which nothing is asked is closed

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        """Answers a question."""
        try:
            self._send(200, completion(self.server.truth, self._body()))
        except RequestError as error:
            self._send_error(error)

    def do_GET(self) -> None:
        """There is nothing to get."""
        self._send_error(RequestError(404, f"there is only POST {PATH}"))

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise RequestError(411, "a Content-Length is needed")
        if int(length) > MAX_BODY:
            raise RequestError(413, f"the request is longer than {MAX_BODY:,} bytes")
        body = self.rfile.read(int(length))
        if self.path != PATH:
            raise RequestError(404, f"there is only POST {PATH}")
        return body

    def _send_error(self, error: RequestError) -> None:
        self.close_connection = True  # a body that was not read would be taken for the next request
        content = {"message": str(error), "type": "invalid_request_error", "param": None, "code": None}
        self._send(error.status, {"error": content})

    def _send(self, status: int, content: Mapping[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
