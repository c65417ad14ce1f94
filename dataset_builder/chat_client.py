"""Asks a model behind a server that speaks OpenAI's chat completions protocol.

The `openai` client does what it does well: it asks again on 408, 409, 429 and 5xx, on timeouts and on lost connections,
waits as long as Retry-After says (seconds or a date, up to two minutes), and else backs off exponentially with jitter.
Here is what it leaves open: whose fault a failure is, and answers that are no chat completion.
"""

import os
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from .chat_completion import Completion
from .chat_completion import Usage
from .stages.stage import StageError

if TYPE_CHECKING:
    from openai import APIStatusError
    from openai import OpenAI

Message = Mapping[str, Any]  # {"role", "content"}
LOOPBACK = ("127.0.0.1", "::1", "localhost")
NO_KEY = "none"  # the client wants one; servers without keys do not look at it
MAX_PROBLEM = 300  # letters of a server's own words in a message
ADVICE = {
    401: "set OPENAI_API_KEY to a key of this server",
    403: "this key may not use this model here; use another",
    404: "check the model's name and --base-url, which usually ends in /v1",
    429: "wait, ask with fewer workers, or look at the account's quota",
    502: "the server behind it is down; run again later",
    503: "the server is overloaded or starting; run again later",
    504: "the server behind it does not answer; run again later",
}


class ChatError(ValueError):
    """A request that the server does not answer as asked, while it may answer others."""


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """Whom to ask, and how.

    Attributes:
        model: its name on the server.
        base_url: of the server; None: OPENAI_BASE_URL, or OpenAI itself. The key is OPENAI_API_KEY; a server given here
            may do without.
        timeout: seconds to wait for an answer, or for more of it.
        max_attempts: how often a request is sent until it is answered.
        max_tokens: the longest answer.
        temperature: None leaves it to the server; some models take no other than their own.
    """

    model: str = "gpt-4o-mini"
    base_url: str | None = None
    timeout: float = 60.0
    max_attempts: int = 6
    max_tokens: int = 1000
    temperature: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was paid for. ``refusal`` says why the model did not want to answer, None if it did."""

    text: str
    refusal: str | None
    tokens_in: int
    tokens_out: int


class ChatClient:
    """A client that several threads may use at once."""

    def __init__(self, options: ChatOptions) -> None:
        """Asks nothing yet.

        Raises:
            StageError: `openai` is not installed, there is no key, or ``base_url`` is no URL.
        """
        self._options = options
        self._client = _open_client(options)

    def complete(self, messages: Sequence[Message], schema: Mapping[str, Any] | None = None) -> Reply:
        """The model's answer to a conversation.

        Args:
            messages: as OpenAI's protocol has them.
            schema: a JSON schema that the server is asked to hold the answer to ("strict"). It may not do so.

        Raises:
            ChatError: the server refuses this request, breaks on it (500), or answers with no chat completion every time.
            StageError: the server cannot be reached or used at all; the message says what to do.
        """
        for _ in range(self._options.max_attempts):
            body = self._send(messages, schema)
            try:
                return _reply(body)
            except ValidationError as error:
                problem = f"{error.errors()[0]['msg']}: {body[:MAX_PROBLEM]!r}"
        raise ChatError(
            f"{self._client.base_url} answered {self._options.max_attempts} times, but not with a chat completion "
            f"({problem}); is --base-url right? It usually ends in /v1"
        )

    def _send(self, messages: Sequence[Message], schema: Mapping[str, Any] | None) -> str:
        """The body of the answer."""
        import openai

        request: dict[str, Any] = {"model": self._options.model, "messages": messages}
        request["max_completion_tokens"] = self._options.max_tokens
        if self._options.temperature is not None:
            request["temperature"] = self._options.temperature
        if schema is not None:
            json_schema = {"name": "answer", "strict": True, "schema": schema}
            request["response_format"] = {"type": "json_schema", "json_schema": json_schema}
        try:
            return self._client.chat.completions.with_raw_response.create(**request).text
        except openai.APIConnectionError as error:
            raise StageError(
                f"{self._client.base_url} does not answer: {error.__cause__ or error} (asked {self._options.max_attempts} "
                "times). Is the server running? What was answered is kept: run again to go on"
            ) from None
        except openai.APIStatusError as error:
            raise _failure(error, self._options.model) from None


def server_url(base_url: str | None) -> str | None:
    """The server that is asked where this is the option: its own, that of OPENAI_BASE_URL, or None, OpenAI itself."""
    return base_url or os.environ.get("OPENAI_BASE_URL") or None


def _open_client(options: ChatOptions) -> "OpenAI":
    try:
        import openai
    except ImportError:
        raise StageError("asking a model needs the openai client: pip install 'r-avst[build]'") from None
    base_url = server_url(options.base_url)
    key = os.environ.get("OPENAI_API_KEY") or (NO_KEY if base_url else None)
    if key is None:
        raise StageError("there is no key for OpenAI: set OPENAI_API_KEY, or give a server of your own by --base-url URL")
    address = urlsplit(base_url or "https://")
    if address.scheme not in ("http", "https") or (base_url and not address.hostname):
        raise StageError(f"{base_url!r} is no URL of a server; it looks like http://localhost:8000/v1")
    # A proxy cannot reach this machine's own loopback.
    http_client = openai.DefaultHttpxClient(trust_env=False) if address.hostname in LOOPBACK else None
    return openai.OpenAI(
        api_key=key,
        base_url=base_url,
        timeout=options.timeout,
        max_retries=options.max_attempts - 1,
        http_client=http_client,
    )


def _failure(error: "APIStatusError", model: str) -> ChatError | StageError:
    status = error.status_code
    problem = f"{error.request.url} says {status} for the model {model!r}: {error.message[:MAX_PROBLEM]}"
    if status in ADVICE:
        return StageError(f"{problem}. What to do: {ADVICE[status]}. What was answered is kept")
    return ChatError(problem)


def _reply(body: str) -> Reply:
    completion = Completion.model_validate_json(body)
    choice, usage = completion.choices[0], completion.usage or Usage()
    refusal = choice.message.refusal or ("the content filter" if choice.finish_reason == "content_filter" else None)
    return Reply(choice.message.content or "", refusal, usage.prompt_tokens or 0, usage.completion_tokens or 0)
