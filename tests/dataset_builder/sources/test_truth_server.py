"""The server that answers from the truth: with the real client, and with requests that no client sends."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from scripted_stages import video_row

from r_avst.dataset_builder.chat_client import ChatClient
from r_avst.dataset_builder.chat_client import ChatError
from r_avst.dataset_builder.chat_client import ChatOptions
from r_avst.dataset_builder.records import Subject
from r_avst.dataset_builder.sources.truth_server import MAX_BODY
from r_avst.dataset_builder.sources.truth_server import PATH
from r_avst.dataset_builder.sources.truth_server import TruthServer
from r_avst.dataset_builder.stages.caption_prompt import messages_for
from r_avst.dataset_builder.stages.captions import CaptionStage

TRUTH = {
    "A red circle hums.": (Subject("red circle", visible=True, audible=True),),
    "A red circle hums. A blue square rests.": (
        Subject("red circle", visible=True, audible=True),
        Subject("blue square", visible=True, audible=False),
    ),
    "Something «unseen» beeps.": (Subject("beeper", visible=False, audible=True),),
    "Nothing.": (),
}


def request_of(caption: str) -> bytes:
    return json.dumps({"model": "truth", "messages": messages_for(caption)}).encode()


def answered(server: TruthServer, body: bytes, path: str = PATH, **headers: str) -> tuple[int, Any]:
    connection = HTTPConnection(urlsplit(server.base_url).netloc, timeout=10)
    try:
        connection.request("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_the_stage_gets_the_true_subjects_of_every_caption(tmp_path: Path) -> None:
    rows = [video_row(f"video{number}", caption) for number, caption in enumerate(TRUTH)]
    with TruthServer(TRUTH) as server:
        stage = CaptionStage(tmp_path / "cache.jsonl", base_url=server.base_url)
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(stage.open(), rows))
    assert [row.events[0].subjects for row in made] == list(TRUTH.values())
    report = stage.report(made)
    assert report["answers"] == 4
    assert report["tokens_in"] > report["tokens_out"] > 0
    assert report["cost_usd"] is None


def test_a_caption_that_the_truth_does_not_know_is_refused_with_an_error_of_the_protocol() -> None:
    with TruthServer(TRUTH) as server:
        client = ChatClient(ChatOptions("truth", server.base_url, max_attempts=1))
        with pytest.raises(ChatError, match=r"says 400 .*the truth knows no such caption.*A red circle"):
            client.complete(messages_for("A red circle"))
        status, content = answered(server, request_of("A red circle"))
    assert status == 400
    assert set(content["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"{}",
        b'{"model": "m", "messages": []}',
        b'{"model": "m", "messages": [{"role": "user"}]}',
        b'{"model": "m", "messages": [{"role": "user", "content": [1]}]}',
        b'{"model": "m", "messages": [{"role": "system", "content": "Nothing."}]}',
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_request_is_answered_with_400_and_the_server_goes_on(body: bytes) -> None:
    with TruthServer(TRUTH) as server:
        status, content = answered(server, body)
        assert (status, content["error"]["type"]) == (400, "invalid_request_error")
        assert answered(server, request_of("Nothing."))[0] == 200


@pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/chat/completions/", "/../etc/passwd"])
def test_another_path_is_not_found(path: str) -> None:
    with TruthServer(TRUTH) as server:
        assert answered(server, request_of("Nothing."), path)[0] == 404
        assert answered(server, request_of("Nothing."))[0] == 200


@pytest.mark.parametrize(("length", "status"), [("-1", 411), ("many", 411), ("²", 411), (str(MAX_BODY + 1), 413)])
def test_a_length_that_is_none_or_too_long_is_not_read(length: str, status: int) -> None:
    with (
        TruthServer(TRUTH) as server,
        socket.create_connection(("127.0.0.1", int(server.base_url.split(":")[2][:-3]))) as raw,
    ):
        raw.settimeout(10)
        raw.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode("latin-1"))
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b'{"error": ' in answer


def test_getting_is_answered_and_not_an_empty_page() -> None:
    with TruthServer(TRUTH) as server:
        connection = HTTPConnection(urlsplit(server.base_url).netloc, timeout=10)
        connection.request("GET", PATH)
        assert connection.getresponse().status == 404
        connection.close()


def test_it_listens_on_this_machine_only_and_is_gone_afterwards() -> None:
    with TruthServer(TRUTH) as server:
        assert urlsplit(server.base_url).hostname == "127.0.0.1"
        port = urlsplit(server.base_url).port
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port or 0), timeout=1):
        pass
