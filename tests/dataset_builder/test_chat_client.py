"""A chat client against a real server: what it asks again, how long it waits, and whose fault a failure is."""

import re
import socket
import sys
import time
from email.utils import formatdate
from itertools import pairwise
from typing import Any

import pytest
from openai_server import TOKENS_IN
from openai_server import TOKENS_OUT
from openai_server import OpenAIServer
from openai_server import Step
from openai_server import fails
from openai_server import refuses
from openai_server import running_openai
from openai_server import says

from r_avst.dataset_builder.chat_client import ChatClient
from r_avst.dataset_builder.chat_client import ChatError
from r_avst.dataset_builder.chat_client import ChatOptions
from r_avst.dataset_builder.chat_client import Reply
from r_avst.dataset_builder.stages.stage import StageError

HELLO = [{"role": "user", "content": "hello"}]
FINE = says("fine")
REPLY = Reply("fine", None, TOKENS_IN, TOKENS_OUT)
SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


def ask(server: OpenAIServer, **options: Any) -> Reply:
    return ChatClient(ChatOptions("some-model", server.base_url, **options)).complete(HELLO)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_an_answer_comes_with_its_tokens() -> None:
    with running_openai(FINE) as server:
        assert ask(server) == REPLY
        (asked,) = server.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.body == {"model": "some-model", "messages": HELLO, "max_completion_tokens": 1000, "temperature": 0.0}


def test_a_schema_is_asked_for_strictly_and_no_temperature_is_sent_where_there_is_none() -> None:
    with running_openai(FINE) as server:
        ChatClient(ChatOptions("m", server.base_url, temperature=None, max_tokens=7)).complete(HELLO, SCHEMA)
        (asked,) = server.asked
    assert asked.body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
    }
    assert asked.body["max_completion_tokens"] == 7
    assert "temperature" not in asked.body


@pytest.mark.parametrize(("key", "sent"), [("sk-mine", "Bearer sk-mine"), (None, "Bearer none")])
def test_the_key_is_taken_from_the_environment_and_a_server_of_ones_own_needs_none(
    monkeypatch: pytest.MonkeyPatch, key: str | None, sent: str
) -> None:
    if key:
        monkeypatch.setenv("OPENAI_API_KEY", key)
    with running_openai() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        ChatClient(ChatOptions()).complete(HELLO)
        assert server.asked[0].headers["authorization"] == sent


def test_a_proxy_is_not_asked_for_this_machine_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with running_openai(FINE) as server:
        assert ask(server, max_attempts=1) == REPLY


# --- what is asked again ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step",
    [fails(429), fails(500), fails(503), fails(408), Step(drop=True), Step(body="{not json"), Step(body='{"choices": []}')],
    ids=["429", "500", "503", "408", "dropped", "malformed body", "no choice"],
)
def test_what_passes_is_asked_again_until_it_is_answered(step: Step) -> None:
    with running_openai(step, FINE) as server:
        assert ask(server) == REPLY
        assert len(server.asked) == 2


def waits(server: OpenAIServer) -> list[float]:
    return [after.time - before.time for before, after in pairwise(server.asked)]


def test_retry_after_is_waited_for() -> None:
    with running_openai(fails(429, retry_after="1"), fails(503, retry_after="1"), FINE) as server:
        assert ask(server) == REPLY
        assert all(1.0 <= seconds < 1.8 for seconds in waits(server))


def test_retry_after_may_be_a_date() -> None:
    until = int(time.time()) + 3
    with running_openai(fails(429, retry_after=formatdate(until, usegmt=True)), FINE) as server:
        assert ask(server) == REPLY
        assert until <= time.time() < until + 1
        assert waits(server)[0] > 1.5  # more than the back-off would be


def test_without_retry_after_the_waits_grow() -> None:
    with running_openai(fails(500), fails(500), fails(500), FINE) as server:
        assert ask(server) == REPLY
        first, second, third = waits(server)
    assert 0.37 <= first < second < third < 2.8


def test_a_hang_is_given_up_and_asked_again() -> None:
    with running_openai(says("late", seconds=5), FINE) as server:
        start = time.monotonic()
        assert ask(server, timeout=0.3) == REPLY
        assert time.monotonic() - start < 3
        assert len(server.asked) == 2


# --- whose fault it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "set OPENAI_API_KEY"),
        (403, "use another"),
        (404, "check the model's name and --base-url"),
        (429, "fewer workers"),
        (502, "run again later"),
        (503, "run again later"),
        (504, "run again later"),
    ],
)
def test_a_server_that_cannot_be_used_stops_everything_and_says_what_to_do(status: int, advice: str) -> None:
    with running_openai(default=lambda _: fails(status, "not for you")) as server:
        with pytest.raises(StageError, match=f"{status} for the model 'some-model': .*not for you.*{re.escape(advice)}"):
            ask(server, max_attempts=2)
        assert len(server.asked) == (2 if status in (429, 502, 503, 504) else 1)


@pytest.mark.parametrize(("status", "times"), [(400, 1), (413, 1), (422, 1), (500, 2)])
def test_a_request_that_is_not_answered_is_no_fault_of_the_others(status: int, times: int) -> None:
    with running_openai(default=lambda _: fails(status, "too long")) as server:
        with pytest.raises(ChatError, match=f"/v1/chat/completions says {status} .*too long"):
            ask(server, max_attempts=2)
        assert len(server.asked) == times


def test_a_server_that_is_not_there_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    with pytest.raises(StageError, match=rf"{re.escape(url)}/ does not answer: .*refused.* \(asked 2 times\).*run again"):
        ChatClient(ChatOptions(base_url=url, max_attempts=2)).complete(HELLO)


def test_a_server_that_always_hangs_is_named() -> None:
    with running_openai(default=lambda _: says("late", seconds=2)) as server:
        with pytest.raises(StageError, match=r"does not answer: .*timed out.* \(asked 2 times\)"):
            ask(server, timeout=0.2, max_attempts=2)
        assert len(server.asked) == 2


def test_a_page_that_is_no_chat_completion_is_named() -> None:
    page = Step(body="<html>welcome</html>")
    with running_openai(page, page) as server:
        with pytest.raises(ChatError, match=r"2 times, but not with a chat completion .*<html>welcome.*ends in /v1"):
            ask(server, max_attempts=2)
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("step", "reply"),
    [
        (refuses("I can't help."), Reply("", "I can't help.", TOKENS_IN, TOKENS_OUT)),
        (says("half", finish_reason="content_filter"), Reply("half", "the content filter", TOKENS_IN, TOKENS_OUT)),
        (says(None), Reply("", None, TOKENS_IN, TOKENS_OUT)),
        (Step(body='{"choices": [{"message": {"content": "bare"}}]}'), Reply("bare", None, 0, 0)),
    ],
    ids=["refusal", "content filter", "nothing", "no usage"],
)
def test_refusals_and_bare_answers_are_answers(step: Step, reply: Reply) -> None:
    with running_openai(step) as server:
        assert ask(server) == reply


# --- before anything is asked -----------------------------------------------------------------------------------------


def test_without_a_key_it_says_how_to_give_one() -> None:
    with pytest.raises(StageError, match="set OPENAI_API_KEY, or give a server of your own by --base-url"):
        ChatClient(ChatOptions())


@pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://somewhere/v1", "http://", "/v1"])
def test_what_is_no_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(StageError, match=f"^{re.escape(repr(url))} is no URL of a server"):
        ChatClient(ChatOptions(base_url=url))


def test_a_missing_client_is_told_how_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(StageError, match=re.escape("pip install 'r-avst[build]'")):
        ChatClient(ChatOptions())
