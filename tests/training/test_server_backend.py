"""A model behind a real server: what is sent of a video, what comes back, and whose fault a failure is."""

import base64
import io
import re
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openai_server import TOKENS_IN
from openai_server import TOKENS_OUT
from openai_server import OpenAIServer
from openai_server import Step
from openai_server import fails
from openai_server import refuses
from openai_server import refuses_streaming
from openai_server import running_openai
from openai_server import says
from openai_server import streams
from PIL import Image
from sounding_clips import write_sounding_clip
from written_videos import number_in
from written_videos import write_numbered

from r_avst.dataset_builder.chat_client import ChatOptions
from r_avst.training.answer_form import AnswerForm
from r_avst.training.asking import Ask
from r_avst.training.asking import Partial
from r_avst.training.asking import Reply
from r_avst.training.asking import Unanswered
from r_avst.training.clips import MediaSettings
from r_avst.training.clips import read_clip
from r_avst.training.prompts import prompt_text
from r_avst.training.server_backend import ServerBackend
from r_avst.training.server_backend import ServerError
from r_avst.training.server_backend import ServerSettings

MEDIA = MediaSettings(fps=2.0, max_frames=16, min_pixels=784, max_pixels=3136, audio=False, decoder="pyav")
FORM = AnswerForm("model", 1, 1)
NORM = AnswerForm("norm1000", 1, 0)
SIZE = (112, 84)
NUMBERED = (336, 196)  # it is a multiple of 28, so frames go out as they are
ANSWER = "<answer>\n<object>red square</object>\n<when>[0.0, 2.0]</when>\n</answer>"
FINE = says(ANSWER)


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips") / "below"
    folder.mkdir()
    paths = [folder / f"clip {name}.mp4" for name in "abc"]
    return [write_sounding_clip(path, 2.0, tone=300.0, size=SIZE) for path in paths]


def ask(clip: Path, number: int = 0, question: str = "When is it?") -> Ask:
    return Ask(f"q{number}", "temporal", question, clip, SIZE, 2.0)


def backend(server: OpenAIServer, form: AnswerForm = FORM, media: MediaSettings = MEDIA, **options: Any) -> ServerBackend:
    chat = {"max_attempts": 2, "timeout": 20.0, **options.pop("chat", {})}
    given = {"send": "frames", "concurrency": 2, **options}
    return ServerBackend(ServerSettings(ChatOptions("some-model", server.base_url, **chat), **given), media, form)


def by_id(results: Sequence[Reply | Unanswered]) -> dict[str, Reply | Unanswered]:
    found = {own.question_id: own for own in results}
    assert len(found) == len(results)
    return found


def until_error(results: Iterator[Reply | Unanswered]) -> tuple[list[Reply | Unanswered], str]:
    """What came before the server turned out to be of no use, and what was said of it."""
    came = []
    try:
        for own in results:
            came.append(own)  # noqa: PERF402  # what came before the error is wanted
    except ServerError as error:
        return came, str(error)
    raise AssertionError("there was no error")


def content(server: OpenAIServer, number: int = 0) -> list[dict[str, Any]]:
    (message,) = server.asked[number].body["messages"]
    assert message["role"] == "user"
    blocks: list[dict[str, Any]] = message["content"]
    return blocks


def image_of(block: dict[str, Any]) -> np.ndarray[Any, Any]:
    head, _, data = block["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_frames_go_out_at_the_processed_size_each_behind_its_time(clips: list[Path]) -> None:
    with running_openai(FINE) as server:
        (reply,) = backend(server).answers([ask(clips[0])])
    clip = read_clip(clips[0], MEDIA)
    blocks = content(server)
    assert [block["text"] for block in blocks[:-1:2]] == [f"Frame at {time} s:" for time in (0.0, 0.5, 1.0, 1.5)]
    for block, frame in zip(blocks[1::2], clip.frames, strict=True):
        sent = image_of(block)
        assert sent.shape == frame.shape == (28, 56, 3)
        assert np.abs(sent.astype(int) - frame).mean() < 4
    assert blocks[-1]["text"] == prompt_text("When is it?", "temporal", FORM, (56, 28), SIZE, audio=False)
    assert reply == Reply("q0", ANSWER, "model", SIZE, (56, 28), 2.0, (0.0, 0.5, 1.0, 1.5), TOKENS_IN, TOKENS_OUT, "stop")


EVEN = [50 + number for number in range(60)]
UNEVEN = [50 + int(tick) for tick in np.cumsum([0, *np.random.default_rng(0).choice([1, 2, 7, 30], 20)])]


@pytest.mark.parametrize("ticks", [EVEN, UNEVEN], ids=["starts at 5 s", "starts at 5 s, uneven"])
def test_the_times_told_are_those_of_the_frames_that_go_out(tmp_path: Path, ticks: list[int]) -> None:
    """Of pictures that bear their number; ``ticks`` are tenths of a second."""
    path = write_numbered(tmp_path / "own.ts", ticks, size=NUMBERED)
    with running_openai(FINE) as server:
        media = replace(MEDIA, max_frames=64, max_pixels=12_845_056)
        (reply,) = backend(server, media=media).answers([replace(ask(path), source_size=NUMBERED)])
    blocks = content(server)[:-1]
    told = [float(block["text"].removeprefix("Frame at ").removesuffix(" s:")) for block in blocks[::2]]
    on_screen = [int(np.searchsorted(ticks, ticks[0] + 10 * time + 1e-6, side="right")) - 1 for time in told]
    assert [number_in(image_of(block)) for block in blocks[1::2]] == on_screen
    assert isinstance(reply, Reply)
    assert told == list(reply.frame_times)
    assert len(told) >= 12


def test_a_longer_video_is_told_the_times_of_the_frames_that_are_left(clips: list[Path]) -> None:
    with running_openai(FINE) as server:
        (reply,) = backend(server, NORM, replace(MEDIA, max_frames=3)).answers([ask(clips[0])])
    assert [block["text"] for block in content(server)[:-1:2]] == ["Frame at 0.0 s:", "Frame at 0.67 s:", "Frame at 1.33 s:"]
    assert isinstance(reply, Reply)
    assert reply.frame_times == pytest.approx((0, 2 / 3, 4 / 3))
    assert (reply.fps, reply.coordinate_space, reply.processed_size) == (pytest.approx(1.5), "norm1000", None)


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({"send": "video"}, "data:video/mp4;base64,"),
        ({"send": "url"}, "file:///"),
        ({"send": "url", "url_prefix": "https://host/videos/"}, "https://host/videos/clip%20a.mp4"),
        ({"send": "url", "url_prefix": "https://host/videos", "videos": True}, "https://host/videos/below/clip%20a.mp4"),
    ],
)
def test_the_file_or_its_address_goes_out(clips: list[Path], options: dict[str, Any], start: str) -> None:
    with running_openai(FINE) as server:
        own = options | ({"videos": clips[0].parents[1]} if "videos" in options else {})
        (reply,) = backend(server, NORM, replace(MEDIA, audio=True), **own).answers([ask(clips[0])])
    video, text = content(server)
    url = video["video_url"]["url"]
    assert video["type"] == "video_url"
    assert url.startswith(start)
    if options["send"] == "video":
        assert base64.b64decode(url.removeprefix(start)) == clips[0].read_bytes()
    assert text["text"] == prompt_text("When is it?", "temporal", NORM, SIZE, SIZE, audio=True)
    assert isinstance(reply, Reply)
    assert (reply.fps, reply.frame_times, reply.processed_size) == (0.0, (), None)


def test_the_request_says_what_was_asked_for(clips: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    with running_openai(FINE, FINE) as server:
        cold = backend(server, chat={"max_tokens": 77}, seed=5, extra_body={"top_k": 3})
        list(cold.answers([ask(clips[0])]))
        list(backend(server, chat={"temperature": 0.7}, seed=5).answers([ask(clips[0])]))
    first, second = (own.body for own in server.asked)
    assert {name: value for name, value in first.items() if name != "messages"} == {
        "model": "some-model",
        "max_completion_tokens": 77,
        "temperature": 0.0,
        "top_k": 3,
    }
    assert (second["temperature"], second["seed"]) == (0.7, 5)
    assert server.asked[0].headers["authorization"] == "Bearer sk-mine"


def test_a_video_is_read_once_for_all_its_questions(clips: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path, media: MediaSettings) -> Any:
        read.append(path)
        return read_clip(path, media)

    monkeypatch.setattr("r_avst.training.server_backend.read_clip", counted)
    asks = [ask(clip, 10 * number + place) for number in range(4) for place, clip in enumerate(clips)]
    with running_openai(default=lambda _: says(ANSWER, seconds=0.05)) as server:
        results = by_id(list(backend(server, concurrency=4).answers(asks)))
    assert sorted(read) == clips
    assert set(results) == {own.question_id for own in asks}


def test_so_many_are_under_way_at_once_and_not_more(clips: list[Path]) -> None:
    with running_openai(default=lambda _: says(ANSWER, seconds=0.5)) as server:
        assert len(list(backend(server, concurrency=3).answers([ask(clips[0], number) for number in range(7)]))) == 7
    times = [own.time for own in server.asked]
    assert max(sum(start <= time < start + 0.5 for time in times) for start in times) == 3


# --- what comes back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "text", "finish"),
    [
        (says("<answer><object>red", finish_reason="length"), "<answer><object>red", "length"),
        (refuses("I can't help."), "I can't help.", "refused"),
        (says("half", finish_reason="content_filter"), "half", "refused"),
        (says(None), "", "stop"),
    ],
    ids=["cut off", "refusal", "content filter", "nothing"],
)
def test_how_an_answer_ended_is_told(clips: list[Path], step: Step, text: str, finish: str) -> None:
    with running_openai(step) as server:
        (reply,) = backend(server).answers([ask(clips[0])])
    assert isinstance(reply, Reply)
    assert (reply.text, reply.finish) == (text, finish)


def test_a_server_may_not_count_tokens(clips: list[Path]) -> None:
    with running_openai(Step(body='{"choices": [{"message": {"content": "bare"}}]}')) as server:
        (reply,) = backend(server).answers([ask(clips[0])])
    assert isinstance(reply, Reply)
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens, reply.finish) == ("bare", None, None, "stop")


@pytest.mark.parametrize(
    "step",
    [fails(429, retry_after="1"), fails(500), fails(503), Step(drop=True), Step(body="{no"), says("late", seconds=3)],
    ids=["429", "500", "503", "dropped", "malformed", "hangs"],
)
def test_what_passes_is_asked_again_and_answered_once(clips: list[Path], step: Step) -> None:
    with running_openai(step, FINE) as server:
        (reply,) = backend(server, chat={"timeout": 1.0}).answers([ask(clips[0])])
        assert isinstance(reply, Reply)
        assert reply.text == ANSWER
        assert len(server.asked) == 2
        if step.status == 429:
            assert server.asked[1].time - server.asked[0].time >= 1.0


# --- whose fault it is ------------------------------------------------------------------------------------------------


def answering(bad: str, step: Step) -> Callable[[str], Step]:
    return lambda last: step if bad in last else FINE


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (fails(400, "too long"), "says 400 .*too long"),
        (fails(413, "too large"), "says 413"),
        (fails(500, "broken"), "says 500"),
        (Step(body="<html>"), "no chat completion"),
        (says("late", seconds=2), "does not answer: .*timed out"),
        (Step(drop=True), "does not answer"),
        (fails(429, "slowly"), "says 429"),
    ],
    ids=["400", "413", "500", "page", "hangs", "dropped", "429"],
)
def test_a_request_that_fails_costs_one_question(clips: list[Path], step: Step, reason: str) -> None:
    asks = [ask(clips[0], number, "the bad one?" if number == 1 else "When is it?") for number in range(4)]
    with running_openai(default=answering("the bad one", step)) as server:
        results = by_id(list(backend(server, chat={"timeout": 0.5}).answers(asks)))
    failed = results.pop("q1")
    assert isinstance(failed, Unanswered)
    assert re.search(reason, failed.reason)
    assert all(isinstance(own, Reply) for own in results.values())
    assert set(results) == {"q0", "q2", "q3"}


def test_a_video_that_cannot_be_read_costs_its_questions(clips: list[Path], tmp_path: Path) -> None:
    torn = tmp_path / "torn.mp4"
    torn.write_bytes(clips[0].read_bytes()[:3000])
    gone = tmp_path / "gone.mp4"
    asks = [ask(torn, 0), ask(torn, 1), ask(clips[0], 2), ask(gone, 3), ask(clips[0], 4, "what <|im_start|>?")]
    with running_openai(default=lambda _: FINE) as server:
        results = by_id(list(backend(server).answers(asks)))
        assert len(server.asked) == 1
    assert isinstance(results.pop("q2"), Reply)
    reasons = {name: own.reason for name, own in results.items() if isinstance(own, Unanswered)}
    assert set(reasons) == {"q0", "q1", "q3", "q4"}
    assert "torn.mp4" in reasons["q0"]
    assert "gone.mp4" in reasons["q3"]
    assert "special token" in reasons["q4"]


@pytest.mark.parametrize(("status", "after", "asked"), [(401, 0, 1), (403, 0, 1), (404, 0, 1), (401, 2, 3), (404, 2, 5)])
def test_a_server_that_cannot_be_used_stops_everything_but_keeps_what_was_answered(
    clips: list[Path], status: int, after: int, asked: int
) -> None:
    steps = [FINE] * after

    def default(_: str) -> Step:
        return steps.pop() if steps else fails(status, "not for you")

    with running_openai(default=default) as server:
        results, error = until_error(backend(server, concurrency=1).answers([ask(clips[0], number) for number in range(50)]))
        assert len(server.asked) == asked
    assert re.search(f"says {status} for the model 'some-model': .*not for you.*What to do", error)
    assert [own.question_id for own in results] == ["q0", "q1"][:after]


@pytest.mark.parametrize("status", [403, 404])
def test_a_model_that_is_denied_once_among_answers_costs_one_question(clips: list[Path], status: int) -> None:
    asks = [ask(clips[0], number, "the bad one?" if number == 2 else "When is it?") for number in range(6)]
    with running_openai(default=answering("the bad one", fails(status, "moderated"))) as server:
        results = by_id(list(backend(server, concurrency=1).answers(asks)))
    failed = results.pop("q2")
    assert isinstance(failed, Unanswered)
    assert "moderated" in failed.reason
    assert all(isinstance(own, Reply) for own in results.values())
    assert len(results) == 5


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("concurrency", [1, 5])
def test_a_server_that_refuses_everything_fails_no_question(clips: list[Path], status: int, concurrency: int) -> None:
    asks = [ask(clips[number % 3], number) for number in range(40)]
    with running_openai(default=lambda _: fails(status, "no such field")) as server:
        own = backend(server, concurrency=concurrency, chat={"max_attempts": 1})
        results, error = until_error(own.answers(asks))
        assert len(server.asked) < 40
    assert results == []
    assert re.search(f"says {status} .*no such field.*none was answered.*run again", error)


def test_a_first_video_of_which_all_questions_are_refused_stops_nothing(clips: list[Path]) -> None:
    asks = [ask(clips[0], number, "the bad one?") for number in range(9)] + [ask(clips[1], 9), ask(clips[2], 10)]
    with running_openai(default=answering("the bad one", fails(400, "too long"))) as server:
        results = by_id(list(backend(server).answers(asks)))
    assert sorted(name for name, own in results.items() if isinstance(own, Reply)) == ["q10", "q9"]
    assert len(results) == 11


def test_the_questions_of_a_short_run_may_all_be_refused(clips: list[Path]) -> None:
    with running_openai(default=lambda _: fails(400)) as server:
        results = list(backend(server).answers([ask(clips[0], number) for number in range(2)]))
    assert all(isinstance(own, Unanswered) for own in results)
    assert len(results) == 2


def test_a_stop_hands_on_what_is_answered_and_does_not_wait_for_what_hangs(
    clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted where a run spends its time: while it waits."""

    def interrupted(pending: Any, return_when: str) -> Any:
        wait(pending, timeout=1.0)
        raise KeyboardInterrupt

    monkeypatch.setattr("r_avst.training.server_backend.wait", interrupted)
    hangs = answering("the slow one", says(ANSWER, seconds=15))
    asks = [ask(clips[0], number, "the slow one?" if number == 1 else "When is it?") for number in range(3)]
    with running_openai(default=hangs) as server:
        asking, before = backend(server).answers(asks), set(threading.enumerate())
        started = time.monotonic()
        assert next(asking).question_id == "q0"
        with pytest.raises(KeyboardInterrupt):
            next(asking)
        assert time.monotonic() - started < 5
        assert all(thread.daemon for thread in set(threading.enumerate()) - before)


def test_a_server_that_went_down_is_told_and_its_questions_are_not_given_up(clips: list[Path]) -> None:
    answered = 0

    def default(_: str) -> Step:
        nonlocal answered
        answered += 1
        return FINE if answered <= 4 else fails(503)

    with running_openai(default=default) as server:
        asking = backend(server, chat={"max_attempts": 1}).answers([ask(clips[0], number) for number in range(30)])
        results, error = until_error(asking)
        assert len(server.asked) < 10
    assert re.search(r"says 503 .*3 questions went without an answer.*run again to go on", error)
    assert len(results) == 4
    assert all(isinstance(own, Reply) for own in results)


def test_an_answer_to_what_was_asked_before_is_no_sign_of_life(clips: list[Path]) -> None:
    """The first question is answered after the server has refused the second one, which it was asked later."""

    def default(last: str) -> Step:
        if "the first?" in last:
            return says(ANSWER, seconds=0.6)
        return replace(fails(503), seconds=1.2) if "the third?" in last else fails(503)

    questions = ("the first?", "the second?", "the third?", "the fourth?", "the fifth?")
    with running_openai(default=default) as server:
        asks = [ask(clips[0], number, question) for number, question in enumerate(questions)]
        results, error = until_error(backend(server, chat={"max_attempts": 1}).answers(asks))
    assert [own.question_id for own in results] == ["q0"]
    assert "3 questions went without an answer" in error


def test_a_server_that_is_not_there_is_named(clips: list[Path]) -> None:
    with running_openai() as server:
        gone = backend(server, chat={"max_attempts": 1})
    with pytest.raises(ServerError, match=r"127.0.0.1:\d+/v1/ does not answer: .*refused.*Is the server running"):
        list(gone.answers([ask(clips[0])]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": FORM, "send": "video"}, "--coordinate-space norm1000"),
        ({"form": FORM, "send": "url"}, "--send frames"),
        ({"form": NORM, "media": replace(MEDIA, audio=True)}, "frames have no sound"),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(options: dict[str, Any], message: str) -> None:
    with running_openai() as server, pytest.raises(ServerError, match=message):
        backend(server, **options)


def test_openai_itself_needs_a_key() -> None:
    with pytest.raises(ServerError, match="set OPENAI_API_KEY"):
        ServerBackend(ServerSettings(ChatOptions(), "frames", 1), MEDIA, FORM)


# --- an answer while it is written ------------------------------------------------------------------------------------


def watched(items: Iterator[Partial | Reply | Unanswered]) -> tuple[list[Partial], Reply | Unanswered]:
    """What stood on the way, and the one answer at the end."""
    *partials, last = items
    assert all(isinstance(own, Partial) for own in partials)
    assert not isinstance(last, Partial)
    return [own for own in partials if isinstance(own, Partial)], last


def test_a_streamed_answer_is_the_answer(clips: list[Path]) -> None:
    pieces = [ANSWER[start : start + 7] for start in range(0, len(ANSWER), 7)]
    with running_openai(streams(*pieces, pause=0.1), FINE) as server:
        ours = backend(server)
        partials, streamed = watched(ours.stream(ask(clips[0])))
        (plain,) = ours.answers([ask(clips[0])])
    assert streamed == plain
    assert len({own.text for own in partials}) >= 3
    assert all(ANSWER.startswith(own.text) for own in partials)
    assert [len(own.text) for own in partials] == sorted(len(own.text) for own in partials)
    assert {own.processed_size for own in partials if own.text} == {(56, 28)}
    assert {own.question_id for own in partials} == {"q0"}
    first, second = (asked.body for asked in server.asked)
    assert (first.pop("stream"), first.pop("stream_options")) == (True, {"include_usage": True})
    assert first == second


def test_a_slow_server_is_watched_while_it_says_nothing(clips: list[Path]) -> None:
    with running_openai(streams(ANSWER, seconds=1.2)) as server:
        partials, last = watched(backend(server).stream(ask(clips[0])))
    assert len(partials) >= 2
    assert {own.text for own in partials} == {""}
    assert isinstance(last, Reply)


@pytest.mark.parametrize("usage", [True, False])
def test_a_stream_says_how_it_ended(clips: list[Path], usage: bool) -> None:
    steps = (streams(ANSWER, finish_reason="length", usage=usage), refuses_streaming("not this video"))
    with running_openai(*steps) as server:
        ours = backend(server)
        found = [watched(ours.stream(ask(clips[0])))[1] for _ in steps]
    cut, refused = found
    assert isinstance(cut, Reply)
    assert (cut.finish, cut.completion_tokens) == ("length", TOKENS_OUT if usage else None)
    assert isinstance(refused, Reply)
    assert (refused.finish, refused.text, refused.prompt_tokens) == ("refused", "not this video", None)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (streams(ANSWER[:20], finish_reason=None, usage=False, breaks=True), "broke off"),
        (streams(ANSWER[:20], finish_reason=None, usage=False), "ended after 20 letters without saying why"),
        (Step(events=('{"error": {"message": "out of memory", "code": 500}}',)), "broke off"),
        (FINE, "no chat completion"),
        (Step(body="<html>a page</html>"), "no chat completion"),
        (Step(events=("no json",)), "no chat completion|broke off"),
        (fails(400, "too many images"), "too many images"),
    ],
)
def test_what_breaks_off_or_is_refused_is_for_whoever_runs_the_server(clips: list[Path], step: Step, said: str) -> None:
    """What a server says may hold its address: it is no `Unanswered`, which a visitor reads."""
    with running_openai(step) as server, pytest.raises(ServerError, match=said):
        list(backend(server).stream(ask(clips[0])))
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((fails(401),), "OPENAI_API_KEY"),
        ((fails(404, "no such model"),), "no such model"),
        ((Step(drop=True), Step(drop=True)), "does not answer"),
        ((fails(503), fails(503)), "503"),
    ],
)
def test_a_server_that_cannot_be_asked_ends_a_stream(clips: list[Path], steps: tuple[Step, ...], said: str) -> None:
    with running_openai(*steps) as server, pytest.raises(ServerError, match=said):
        list(backend(server).stream(ask(clips[0])))
    assert len(server.asked) == len(steps)


def test_a_server_that_recovers_is_asked_again(clips: list[Path]) -> None:
    with running_openai(fails(503, retry_after="0"), streams(ANSWER)) as server:
        assert isinstance(watched(backend(server).stream(ask(clips[0])))[1], Reply)


def test_a_video_that_cannot_be_read_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with running_openai() as server:
        _, last = watched(backend(server).stream(ask(tmp_path / "a.mp4")))
    assert isinstance(last, Unanswered)
    assert server.asked == []


def test_a_stream_that_is_closed_gives_up_the_connection(clips: list[Path]) -> None:
    with running_openai(streams(*("word " for _ in range(200)), pause=0.05)) as server:
        items = backend(server).stream(ask(clips[0]))
        next(own for own in items if isinstance(own, Partial) and own.text)
        items.close()
        time.sleep(1)
        sent = server.events_sent
        time.sleep(0.5)
        assert server.events_sent == sent < 100


def test_who_leaves_while_the_video_is_read_does_not_wait_and_the_server_is_not_asked(
    clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = threading.Event()

    def slow(path: Path, settings: MediaSettings) -> Any:
        assert read.wait(30)
        return read_clip(path, settings)

    monkeypatch.setattr("r_avst.training.server_backend.read_clip", slow)
    with running_openai(FINE) as server:
        before = set(threading.enumerate())
        items = backend(server).stream(ask(clips[0]))
        assert next(items) == Partial("q0", "", None)
        items.close()
        read.set()
        for thread in set(threading.enumerate()) - before:
            thread.join(30)
        assert server.asked == []
