"""Addresses of files, and requests that are answered with an error instead of a fault of the server."""

from collections.abc import Mapping
from typing import Any

import pytest

from r_avst.dataset_builder.page_server import answering
from r_avst.dataset_builder.page_server import video_url


def test_an_address_is_quoted() -> None:
    assert video_url("a/film #1 50%?") == "videos/a%2Ffilm%20%231%2050%25%3F"


def ask(subject: str, request: Mapping[str, Any]) -> dict[str, Any]:
    if "wrong" in request:
        raise LookupError(f"{subject}: {request['wrong']} is not there")
    return {"told": subject}


@pytest.mark.parametrize("request_", [{}, None, "x", ["wrong"]])
def test_what_is_no_request_is_an_empty_one(request_: Any) -> None:
    function = answering(ask, "page", LookupError)
    assert function(request_) == {"told": "page"}
    assert function.__name__ == "ask"


def test_errors_of_the_kind_come_back_and_others_are_raised() -> None:
    assert answering(ask, "page", LookupError)({"wrong": "it"}) == {"error": "page: it is not there"}
    with pytest.raises(LookupError):
        answering(ask, "page", ValueError)({"wrong": "it"})
