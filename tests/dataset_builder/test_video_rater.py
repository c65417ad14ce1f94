"""A model rates through a real server on loopback: what it is shown, what it may answer, and what is kept."""

import base64
import io
import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from time import monotonic
from time import sleep
from typing import Any

import numpy as np
import pytest
from openai_server import OpenAIServer
from openai_server import Step
from openai_server import fails
from openai_server import refuses
from openai_server import running_openai
from openai_server import says
from PIL import Image
from review_data import FILM
from review_data import FPS
from review_data import HEIGHT
from review_data import HIDDEN
from review_data import HOSTILE
from review_data import IDS
from review_data import MISSING
from review_data import WIDTH
from review_data import last_scores
from review_data import square_box
from review_data import write_review_data

from r_avst.dataset_builder.chat_client import ChatOptions
from r_avst.dataset_builder.ratings import Rating
from r_avst.dataset_builder.ratings import append_rating
from r_avst.dataset_builder.ratings import read_all
from r_avst.dataset_builder.review import main
from r_avst.dataset_builder.review_questions import ReviewQuestion
from r_avst.dataset_builder.review_questions import load_review_questions
from r_avst.dataset_builder.stages.stage import StageError
from r_avst.dataset_builder.video import find_videos
from r_avst.dataset_builder.video_rater import ReplyError
from r_avst.dataset_builder.video_rater import VideoRater
from r_avst.dataset_builder.video_rater import frame_times
from r_avst.dataset_builder.video_rater import parse_reply
from r_avst.dataset_builder.video_rater import rate_questions

MODEL = "org/a-video-llm"
GOOD = '{"reason": "It fits.", "score": 4}'
ON_FILM = [own for own in IDS if own != IDS[1]]
HANGS = 12.0  # seconds
REVIEW = [sys.executable, "-m", "r_avst.dataset_builder.review"]
Rate = Callable[[OpenAIServer, list[int]], dict[str, str]]


def good(_: str) -> Step:
    return says(GOOD)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("review")
    write_review_data(path)
    return path


@pytest.fixture(scope="module")
def questions(folder: Path) -> list[ReviewQuestion]:
    return load_review_questions(str(folder / "r-avst"), "test")


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    return tmp_path / "ratings.jsonl"


@pytest.fixture
def rate(folder: Path, questions: list[ReviewQuestion], ratings: Path) -> Rate:
    """Has the model on a server rate the questions at these places."""
    videos = find_videos(folder / "videos")

    def rate_places(server: OpenAIServer, places: list[int]) -> dict[str, str]:
        rater = VideoRater(ChatOptions(MODEL, server.base_url, timeout=5, max_attempts=2), frames=6, workers=2)
        return rate_questions([questions[place] for place in places], videos, ratings, rater)

    return rate_places


def parts_of(request: dict[str, Any]) -> list[dict[str, Any]]:
    assert [message["role"] for message in request["messages"]][:2] == ["system", "user"]
    parts: list[dict[str, Any]] = request["messages"][1]["content"]
    return parts


def shown_frames(request: dict[str, Any]) -> list[tuple[float, Image.Image]]:
    """The frames in a request, each with the time that stands before it."""
    parts = parts_of(request)
    frames: list[tuple[float, Image.Image]] = []
    for before, part in pairwise(parts):
        if part["type"] == "image_url":
            head, data = part["image_url"]["url"].split(",")
            assert head == "data:image/jpeg;base64"
            frames.append((float(before["text"].removesuffix(" s")), Image.open(io.BytesIO(base64.b64decode(data)))))
    return frames


def red_box(image: Image.Image) -> list[float] | None:
    pixels = np.asarray(image.convert("RGB")).astype(int)
    ys, xs = np.nonzero((pixels[..., 0] > 120) & (pixels[..., 2] < 90))
    return [float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)] if len(xs) else None


# --- what it is shown -------------------------------------------------------------------------------------------------


def test_the_model_sees_the_frames_of_the_span_and_reads_question_and_answer(
    rate: Rate, questions: list[ReviewQuestion]
) -> None:
    with running_openai(default=good) as server:
        assert rate(server, [0]) == {}
    (request,) = (asked.body for asked in server.asked)
    frames = shown_frames(request)
    assert [time for time, _ in frames] == pytest.approx([1.33, 2.0, 2.67, 3.33, 4.0, 4.67], abs=0.06)
    assert {image.size for _, image in frames} == {(WIDTH, HEIGHT)}
    exact = frame_times(questions[0], 6)
    for time, (_, image) in zip(exact, frames, strict=True):
        second = int(round(time * FPS, 6) // FPS)  # of the frame on screen then
        assert red_box(image) == (None if second == HIDDEN else pytest.approx(square_box(second), abs=2)), time
    said = parts_of(request)[-1]["text"]
    assert said == f"Question: When is {HOSTILE} seen?\n\nAnswer of the data set:\n{questions[0].answer}"
    assert request["model"] == MODEL
    assert request["response_format"]["json_schema"]["schema"]["properties"]["score"]["enum"] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("place", "count", "times"),
    [
        (3, 2, [2.5, 3.5]),
        (3, 1, [3.0]),
        (1, 4, [0.75, 1.25, 1.75, 2.25]),
        (4, 5, [1.5, 2.5, 3.5, 4.5, 5.5]),  # the span ends after the video
    ],
)
def test_frames_are_spread_over_the_span_inside_the_video(
    questions: list[ReviewQuestion], place: int, count: int, times: list[float]
) -> None:
    assert frame_times(questions[place], count) == times


# --- what it answers --------------------------------------------------------------------------------------------------


def test_every_question_is_rated_once_and_the_file_tells_by_whom(rate: Rate, ratings: Path) -> None:
    append_rating(ratings, Rating(IDS[0], "0" * 16, "alice", 1, "", ""))
    with running_openai(default=good) as server:
        assert rate(server, [0, 1, 2, 3, 4]) == {IDS[1]: f"there is no video {MISSING} in the folder"}
        assert last_scores(ratings) == {IDS[0]: {"alice": 1, MODEL: 4}} | {own: {MODEL: 4} for own in ON_FILM[1:]}
        assert {own.comment for own in read_all(ratings)} == {"", "It fits."}
        assert len(server.asked) == 4
        assert list(rate(server, [0, 1, 2, 3, 4])) == [IDS[1]]
        assert len(server.asked) == 4


def test_a_question_that_came_to_bear_a_rated_id_is_rated(
    rate: Rate, ratings: Path, questions: list[ReviewQuestion]
) -> None:
    before = replace(questions[0], question="When is a cat seen?")
    append_rating(ratings, Rating(IDS[0], before.shown, MODEL, 1, "", ""))
    with running_openai(default=good) as server:
        assert rate(server, [0]) == rate(server, [0]) == {}
    assert len(server.asked) == 1
    assert [(own.shown, own.score) for own in read_all(ratings)] == [(before.shown, 1), (questions[0].shown, 4)]


def test_a_run_that_breaks_off_keeps_what_is_rated_and_goes_on(rate: Rate, ratings: Path) -> None:
    with (
        running_openai(says(GOOD), says(GOOD), default=lambda _: fails(401, "no such key")) as server,
        pytest.raises(StageError, match=r"401.*no such key.*OPENAI_API_KEY"),
    ):
        rate(server, [0, 2, 3, 4])
    rated = len(read_all(ratings))
    assert 1 <= rated <= 2
    with running_openai(default=good) as server:
        assert rate(server, [0, 2, 3, 4]) == {}
    assert len(server.asked) == 4 - rated
    assert Counter(own.question_id for own in read_all(ratings)) == Counter(ON_FILM)


BAD_REPLIES = {
    "words": "I would say 3",
    "a fence": f"```json\n{GOOD}\n```",
    "a high score": '{"reason": "x", "score": 5}',
    "a text as score": '{"reason": "x", "score": "4"}',
    "a half": '{"reason": "x", "score": 3.5}',
    "a truth value": '{"reason": "x", "score": true}',
    "no reason": '{"score": 4}',
    "more than asked": '{"reason": "x", "score": 4, "sure": true}',
    "a list": "[4]",
    "nothing": "",
    "deep JSON": "[" * 100_000,
    "a reason of another type": '{"reason": 1, "score": 4}',
}


@pytest.mark.parametrize("text", BAD_REPLIES.values(), ids=BAD_REPLIES)
def test_a_reply_that_is_no_rating_is_refused(text: str) -> None:
    with pytest.raises(ReplyError):
        parse_reply(text)


def test_a_long_reason_is_cut() -> None:
    assert parse_reply(json.dumps({"score": 2, "reason": "x" * 5000})) == (2, "x" * 1000)


def test_after_a_bad_reply_the_model_is_told_and_asked_again(rate: Rate, ratings: Path) -> None:
    with running_openai(says("three stars"), says(None), says('{"reason": "A loose box.", "score": 3}')) as server:
        assert rate(server, [3]) == {}
    assert [(own.score, own.comment) for own in read_all(ratings)] == [(3, "A loose box.")]
    conversations = [asked.body["messages"] for asked in server.asked]
    assert [len(messages) for messages in conversations] == [2, 4, 6]
    assert conversations[1][2:] == [
        {"role": "assistant", "content": "three stars"},
        {"role": "user", "content": "That cannot be used (no JSON: 'three stars'). Reply with the JSON alone."},
    ]


def test_a_model_that_never_learns_is_skipped_and_the_others_go_on(rate: Rate, ratings: Path) -> None:
    def stubborn(last: str) -> Step:
        return says("no" if "What else" in last or "cannot be used" in last else GOOD)

    with running_openai(default=stubborn) as server:
        assert rate(server, [0, 2, 3]) == {IDS[3]: "no usable reply in 3 attempts; the last: no JSON: 'no'"}
    assert set(last_scores(ratings)) == {IDS[0], IDS[2]}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refuses("I cannot"), "the model refuses: 'I cannot'"),
        (fails(400, "too many images"), ".*400.*too many images"),
    ],
)
def test_a_question_that_the_server_refuses_is_skipped(rate: Rate, ratings: Path, answer: Step, reason: str) -> None:
    with running_openai(answer) as server:
        (found,) = rate(server, [0]).values()
    assert re.match(reason, found)
    assert len(server.asked) == 1
    assert not ratings.exists()


def test_a_busy_server_is_asked_again(rate: Rate) -> None:
    with running_openai(fails(429, "slow down", retry_after="0.05"), says(GOOD)) as server:
        assert rate(server, [0]) == {}
    assert len(server.asked) == 2


def test_a_broken_video_is_skipped_with_its_reason(questions: list[ReviewQuestion], ratings: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with running_openai() as server:
        rater = VideoRater(ChatOptions(MODEL, server.base_url))
        (skipped,) = rate_questions(questions[:1], {FILM: tmp_path / "broken.mp4"}, ratings, rater).items()
    assert skipped[0] == IDS[0]
    assert "broken.mp4" in skipped[1]
    assert server.asked == []


# --- the verb ---------------------------------------------------------------------------------------------------------


def run(folder: Path, ratings: Path, url: str, *more: str) -> int:
    places = {"dataset": folder / "r-avst", "videos": folder / "videos", "ratings": ratings, "base-url": url}
    return main([*more, *(part for name, value in places.items() for part in (f"--{name}", str(value)))])


def test_the_command_rates_and_lists_what_it_could_not(
    folder: Path, ratings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_openai(default=good) as server:
        assert run(folder, ratings, server.base_url, "--rate-with", MODEL, "--frames", "2") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"not rated: {IDS[1]}: there is no video {MISSING} in the folder",
        f"{ratings} holds the ratings; 1 questions were not rated and are asked about in the next run",
    ]
    assert set(last_scores(ratings)) == set(ON_FILM)
    assert {len(shown_frames(asked.body)) for asked in server.asked} == {2}


@pytest.mark.parametrize(("status", "message"), [(401, "set OPENAI_API_KEY"), (404, "check the model's name")])
def test_a_server_that_cannot_be_used_is_named(
    folder: Path, ratings: Path, capsys: pytest.CaptureFixture[str], status: int, message: str
) -> None:
    with running_openai(default=lambda _: fails(status)) as server:
        assert run(folder, ratings, server.base_url, "--rate-with", MODEL) == 2
    error = capsys.readouterr().err
    assert f"r-avst-review: {server.base_url}" in error
    assert message in error


def test_a_name_that_no_rater_can_have_is_refused(folder: Path, ratings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, ratings, "http://127.0.0.1:9/v1", "--rate-with", " ") == 2
    assert "no name of a rater" in capsys.readouterr().err


def test_an_interrupt_ends_the_program_at_once_though_the_server_hangs(folder: Path, ratings: Path) -> None:
    places = {"dataset": folder / "r-avst", "videos": folder / "videos", "ratings": ratings}
    options = [part for name, value in places.items() for part in (f"--{name}", str(value))]
    with running_openai(says(GOOD), default=lambda _: says(GOOD, seconds=HANGS)) as server:
        more = ["--rate-with", MODEL, "--base-url", server.base_url, "--workers", "2"]
        with subprocess.Popen([*REVIEW, *options, *more], stderr=subprocess.PIPE, text=True) as process:
            while not (ratings.exists() and read_all(ratings) and len(server.asked) == 3):  # one is rated, two hang
                assert process.poll() is None
                sleep(0.02)
            interrupted = monotonic()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
            assert monotonic() - interrupted < HANGS / 2
    assert process.returncode == 130
    assert err.splitlines()[-1] == "r-avst-review: stopped; what is rated is kept, the same command goes on"
    assert "Traceback" not in err
    assert [own.score for own in read_all(ratings)] == [4]
