"""Asking about an upload: as scripts do it over HTTP, as people do it in a browser, and what is left of it afterwards."""

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from chromium import Tab
from chromium import browser_tab
from gradio_client import Client
from gradio_client import handle_file
from openai_server import running_openai
from openai_server import streams
from review_data import HIDDEN
from review_data import SECONDS
from review_data import square_box
from review_data import write_film
from sounding_clips import write_sounding_clip
from tiny_families import tiny_family
from typing_backend import FALLS
from typing_backend import FORM
from typing_backend import IS_ILL
from typing_backend import TypingBackend
from written_videos import write_sound
from written_videos import write_video

from r_avst.dataset_builder.chat_client import ChatOptions
from r_avst.dataset_builder.question_forms import PATTERNS
from r_avst.dataset_builder.question_forms import TYPES_OF_TASK
from r_avst.space.ask import FAILED
from r_avst.space.ask import QUESTION_LETTERS
from r_avst.space.ask import STOPPED
from r_avst.space.ask import TASKS
from r_avst.space.ask import Asker
from r_avst.space.ask import AskPage
from r_avst.space.ask import add_ask_tab
from r_avst.space.ask import open_asker
from r_avst.space.ask import ready_questions
from r_avst.space.browse_page import playable_view
from r_avst.space.exports import Exports
from r_avst.space.uploads import Limits
from r_avst.space.uploads import Room
from r_avst.training.answer_form import AnswerForm
from r_avst.training.asking import Ask
from r_avst.training.asking import Partial
from r_avst.training.asking import Reply
from r_avst.training.asking import StreamingBackend
from r_avst.training.asking import Unanswered
from r_avst.training.clips import MediaSettings
from r_avst.training.plans import Plan
from r_avst.training.plans import make_plan
from r_avst.training.predict_options import add_answer_options
from r_avst.training.predict_options import add_backend_options
from r_avst.training.predict_options import add_media_options
from r_avst.training.predict_options import add_model_options
from r_avst.training.predict_options import add_server_options
from r_avst.training.server_backend import ServerBackend
from r_avst.training.server_backend import ServerSettings

PROGRAM = Path(__file__).parents[1] / "ask_server.py"
HOSTILE = "<img src=x onerror=\"window.pwned=1\"> ${window.pwned=2} {{constructor.constructor('window.pwned=3')()}}"
QUESTION = "When is the moment square makes sound and is visible, and where is the square?"
STATUS = "(document.querySelector('.status')?.textContent ?? '')"
CHOOSER = "#ask-video input[type=file]"


@dataclass(frozen=True, slots=True)
class Server:
    """A page that is served by a process of its own: its address, its folder, its number."""

    url: str
    folder: Path
    pid: int

    def files(self) -> list[Path]:
        """But its log. Folders may go while they are looked at, which `os.walk` bears and `Path.rglob` does not."""
        walked = ((Path(place), names) for place, _, names in os.walk(self.folder))
        return [place / name for place, names in walked if place.name != "log" for name in names]

    def memory(self) -> float:
        """Megabytes in memory now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * 4096 / 1e6


@contextmanager
def served(folder: Path, *options: str) -> Iterator[Server]:
    (folder / "log").mkdir(parents=True)
    with (folder / "log" / "errors.txt").open("w") as errors:
        command = [sys.executable, str(PROGRAM), str(folder), *options]
        own = os.environ | {"GRADIO_HEARTBEAT_INTERVAL": "0.5"}  # after which it notices that a script is gone
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=own)
        try:
            assert process.stdout
            url = process.stdout.readline().strip()
            assert url.startswith("http"), (folder / "log" / "errors.txt").read_text()
            yield Server(url, folder, process.pid)
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("served"), "--seconds", "1.2") as own:
        yield own


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_film(path)
    return path


@pytest.fixture(autouse=True)
def _leaves_nothing(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test did, its sessions end with it, and so do their files."""
    yield
    if "server" in request.fixturenames:
        until(lambda: not request.getfixturevalue("server").files())


def until(true: Callable[[], Any], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


@contextmanager
def session(server: Server) -> Iterator[Client]:
    client = Client(server.url, verbose=False, analytics_enabled=False)
    try:
        yield client
    finally:
        client.close()


def upload(client: Client, path: Path, task: str = "temporal") -> dict[str, Any]:
    """What the page is told of an upload."""
    return told(client.predict(handle_file(path), task, api_name="/video")[1])


def ask(client: Client, question: str, task: str = "spatio_temporal") -> dict[str, Any]:
    """What the page is told at last."""
    return told(client.predict(task, question, api_name="/ask"))


def told(text: str) -> dict[str, Any]:
    """What a text of the server says to the page; nothing in it could be taken for HTML."""
    assert "<" not in text
    view: dict[str, Any] = json.loads(text)
    return view


def tracks(view: dict[str, Any]) -> dict[str, Any]:
    (layer,) = view["scene"]["layers"]
    return {track["name"]: track["frames"] for track in layer["tracks"]}


# --- by themselves ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_ready_questions_are_in_the_words_of_the_data_set(task: Any) -> None:
    patterns = [PATTERNS[kind] for kind in TYPES_OF_TASK[task]]
    questions = ready_questions(task, 12.0)
    assert len(set(questions)) == len(questions) >= 4
    for question in questions:
        assert any(pattern.fullmatch(question) for pattern in patterns), question


@pytest.fixture
def uploaded(tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The film as Gradio received it."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    path = tmp_path / "uploads" / "1" / "film.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(film.read_bytes())
    return path


def page_of(folder: Path, backend: StreamingBackend, **more: Any) -> AskPage:
    return AskPage(Asker("typing model", backend, FORM, {}, 1), folder, Limits(), **more)


def visitor(page: AskPage, name: str, uploaded: Path) -> gr.Request:
    """Somebody who uploaded a video."""
    request = gr.Request(session_hash=name)
    assert "Now ask" in told(page.receive(str(uploaded), "temporal", request)[1])["status"]
    return request


def asking(page: AskPage, request: gr.Request, question: str = QUESTION) -> Iterator[dict[str, Any]]:
    """What the page shows, view by view."""
    return map(told, page.ask("spatio_temporal", question, request))


def test_of_who_leaves_in_mid_answer_nothing_stays(tmp_path: Path, uploaded: Path) -> None:
    exports = Exports(tmp_path / "exports")
    page = page_of(tmp_path / "kept", TypingBackend(3), playable=playable_view(exports), forget=exports.forget)
    request = visitor(page, "a", uploaded)
    views = asking(page, request)
    token = next(views)["token"]
    until(lambda: page.playable_for({"token": token})["url"])
    next(views)
    page.end(request)
    assert list(views) == []  # a view of the video that is gone would bring it back on the page
    del views
    assert len(page._shown) == 0
    assert page._line._turns == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    exports.close()


def test_visitors_under_many_names_cost_no_thread_each_and_no_more_than_there_is_room(
    tmp_path: Path, uploaded: Path
) -> None:
    page, before = page_of(tmp_path / "kept", TypingBackend(1), room=Room(videos=4)), threading.active_count()
    for number in range(4):
        visitor(page, f"{number}", uploaded)
    assert threading.active_count() <= before + 1
    for path, said in ((str(uploaded), "too many visitors"), ("/etc/hostname", "was not uploaded")):
        for number in range(4, 20):
            view = told(page.receive(path, "temporal", gr.Request(session_hash=f"{number}"))[1])
            assert (said in view["status"], view["problem"]) == (True, True)
    assert len(page._shown) == 4


def test_what_is_kept_of_a_visitor_goes_after_its_time(tmp_path: Path, uploaded: Path) -> None:
    page = page_of(tmp_path / "kept", TypingBackend(1), room=Room(seconds=0.5))
    visitor(page, "a", uploaded)
    until(lambda: not len(page._shown))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_visitor_has_one_question_in_the_line_and_the_next_one_comes_after_it(tmp_path: Path, uploaded: Path) -> None:
    page = page_of(tmp_path / "kept", TypingBackend(60))
    first, second = visitor(page, "a", uploaded), visitor(page, "b", uploaded)
    answered = asking(page, first)
    next(answered)
    for _ in range(30):
        (refused,) = asking(page, first, "And this one?")
        assert "no answer yet" in refused["status"]
        assert (refused["problem"], refused["scene"]["question"]) == (True, QUESTION)
    waiting = asking(page, second)
    assert next(waiting)["status"].startswith("Waiting: 1 question")
    assert "no answer yet" in next(asking(page, second))["status"]
    page.stop(first)
    assert next(answered)["status"] == STOPPED
    assert next(waiting)["status"].startswith("Reading")
    assert next(asking(page, first))["status"].startswith("Waiting: 1 question")
    page.end(second)


def test_stop_says_nothing_of_an_answer_that_is_there(tmp_path: Path, uploaded: Path) -> None:
    page = page_of(tmp_path / "kept", TypingBackend(0))
    request = visitor(page, "a", uploaded)
    assert [view["running"] for view in asking(page, request)][-1] is False
    assert page.stop(request) == gr.skip()


def test_who_stops_while_waiting_leaves_the_line(tmp_path: Path, uploaded: Path) -> None:
    page = page_of(tmp_path / "kept", TypingBackend(60))
    first, second = visitor(page, "a", uploaded), visitor(page, "b", uploaded)
    answered, waiting = asking(page, first), asking(page, second)
    next(answered)
    next(waiting)
    assert told(page.stop(second))["status"] == STOPPED
    assert [view["status"] for view in waiting] == [STOPPED]
    page.end(first)


def test_a_line_that_is_too_long_is_said(tmp_path: Path, uploaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r_avst.space.ask.WAITING", 1)
    page = page_of(tmp_path / "kept", TypingBackend(60))
    views = [asking(page, visitor(page, name, uploaded)) for name in "abc"]
    said = [next(own)["status"] for own in views]
    assert said[2] == "1 questions of others wait already: ask again in some minutes."


def test_who_stops_while_the_video_is_read_is_not_waited_for(tmp_path: Path, uploaded: Path) -> None:
    page = page_of(tmp_path / "kept", TypingBackend(0.1, reading=20))
    first, second = visitor(page, "a", uploaded), visitor(page, "b", uploaded)
    reading, waiting = asking(page, first), asking(page, second)
    next(reading)
    assert next(reading)["status"].startswith("The model looks at the video")
    next(waiting)
    begun = time.monotonic()
    page.stop(first)
    assert next(reading)["status"] == STOPPED
    assert next(waiting)["status"].startswith("Reading")
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("backend", [TypingBackend(60), TypingBackend(0.1, reading=60)])
def test_an_answer_that_takes_too_long_is_stopped(tmp_path: Path, uploaded: Path, backend: TypingBackend) -> None:
    page = page_of(tmp_path / "kept", backend, seconds=0.5)
    *_, last = asking(page, visitor(page, "a", uploaded))
    assert (last["status"], last["running"]) == ("Stopped: an answer may take 0.5 s.", False)


class BeyondAllNumbers(TypingBackend):
    """A box whose pixels are beyond what a number of a computer can say."""

    def stream(self, ask: Ask) -> Generator[Partial | Reply | Unanswered, None, None]:
        text = "<answer><object>dog</object><where>\n0.0: [0, 0, 1e308, 1e308]\n1.0: [0, 0, 500, 500]\n</where></answer>"
        yield Reply(ask.question_id, text, "norm1000", ask.source_size, None, 2.0, (), 1, 1, "stop")


def test_boxes_beyond_all_numbers_are_left_out_of_the_answer(tmp_path: Path, uploaded: Path) -> None:
    asker = Asker("broken model", BeyondAllNumbers(0), AnswerForm("norm1000", 1, 0), {}, 1)
    page = AskPage(asker, tmp_path / "kept", Limits())
    *_, last = asking(page, visitor(page, "a", uploaded))
    assert last["status"].startswith("Done")
    (dog,) = last["answer"]["objects"]
    assert [box[0] for box in dog["boxes"]] == [1.0]
    assert tracks(last)["dog"][0][0] == 1.0


def test_what_a_server_says_is_told_on_the_terminal_alone(
    tmp_path: Path, uploaded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    media = MediaSettings(fps=2.0, max_frames=4, min_pixels=784, max_pixels=3136, audio=False, decoder="pyav")
    with running_openai(streams("dog", finish_reason=None, usage=False, breaks=True)) as server:
        settings = ServerSettings(ChatOptions("some-model", server.base_url, max_attempts=1), "frames", 1)
        page = page_of(tmp_path / "kept", ServerBackend(settings, media, FORM))
        *_, last = asking(page, visitor(page, "a", uploaded))
        assert (last["status"], last["problem"]) == (FAILED, True)
    assert re.search(r"127\.0\.0\.1.* broke off", capsys.readouterr().err)


def test_without_a_way_to_make_playable_copies_it_is_said(tmp_path: Path, uploaded: Path) -> None:
    page = page_of(tmp_path / "kept", TypingBackend(1))
    token = told(page.receive(str(uploaded), "temporal", gr.Request(session_hash="a"))[1])["token"]
    assert "cannot play" in page.playable_for({"token": token})["error"]


# --- over HTTP --------------------------------------------------------------------------------------------------------


def test_an_upload_is_asked_about_and_the_answer_streams(server: Server, film: Path) -> None:
    with session(server) as client:
        taken = upload(client, film)
        assert taken["status"].startswith("film.mp4: 6.0 s, 160 x 120, without sound.")
        assert (taken["scene"]["layers"], taken["scene"]["frame"], taken["scene"]["duration"]) == ([], [160, 120], 6.0)
        job = client.submit("spatio_temporal", QUESTION, api_name="/ask")
        job.result(timeout=30)
        views = [told(text) for text in job.outputs()]
    counts = [sum(map(len, tracks(view).values())) if view["scene"]["layers"] else 0 for view in views]
    assert counts == sorted(counts)
    assert len(set(counts)) >= 3
    last = views[-1]
    assert [view["running"] for view in views] == [True] * (len(views) - 1) + [False]
    assert last["status"].startswith("Done: 100 tokens read, ")
    boxes = [[float(second), [list(square_box(second))]] for second in range(SECONDS) if second != HIDDEN]
    assert tracks(last) == {"square": boxes}
    assert {view["token"] for view in views} == {taken["token"]}
    assert last["answer"]["span"] == [1.0, 5.0]
    assert last["answer"]["objects"][0]["boxes"][1] == [1.0, *square_box(1)]
    assert (last["answer"]["question"], last["answer"]["video"]["name"]) == (QUESTION, "film.mp4")
    assert str(server.folder) not in json.dumps(last["answer"])


def test_the_video_is_served_in_parts_while_its_session_lasts(server: Server, film: Path) -> None:
    with session(server) as client:
        url = server.url + upload(client, film)["scene"]["video"]
        request = urllib.request.Request(url, headers={"Range": "bytes=100-199"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert (answer.status, answer.read()) == (206, film.read_bytes()[100:200])
            assert answer.headers["Content-Type"].startswith("video/mp4")
    until(lambda: not server.files())
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(url, timeout=10)


def test_five_who_ask_at_once_get_each_their_own(server: Server, film: Path, tmp_path: Path) -> None:
    names = ["one", "two", "three", "four", "five"]
    clips = [write_sounding_clip(tmp_path / f"{name}.mp4", 2.0 + number) for number, name in enumerate(names)]
    clips[-2:] = [film, film]  # two have the same

    def visit(name: str, clip: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        with session(server) as client:
            return upload(client, clip), ask(client, f"Where is the {name}?")

    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(visit, names, clips))
    for name, clip, (taken, view) in zip(names, clips, found, strict=True):
        assert list(tracks(view)) == [name]
        assert view["token"] == taken["token"]
        assert view["scene"]["video_id"] == clip.name
        assert view["scene"]["question"] == f"Where is the {name}?"
    assert len({taken["token"] for taken, _ in found}) == 5
    assert len({taken["scene"]["video"] for taken, _ in found}) == 5


def test_one_who_asks_thirty_times_does_not_hold_up_another(server: Server, film: Path) -> None:
    with session(server) as client, session(server) as other:
        upload(client, film)
        jobs = [client.submit("temporal", "When is the first?", api_name="/ask") for _ in range(30)]
        upload(other, film)
        assert ask(other, QUESTION)["answer"] is not None
        views = [told(job.result(timeout=30)) for job in jobs]
    refused = [view for view in views if "no answer yet" in view["status"]]
    answered = [view for view in views if view["answer"] and not view["problem"]]
    assert answered
    assert refused
    assert len(refused) + len(answered) == 30


def test_what_cannot_be_asked_is_said(server: Server, film: Path) -> None:
    with session(server) as client:
        assert ask(client, QUESTION)["status"] == "Upload or record a video first."
        upload(client, film)
        wrong = {"": "Type a question", "  \n": "Type a question", "a" * (QUESTION_LETTERS + 1): "at most 2,000"}
        for question, said in wrong.items():
            view = ask(client, question)
            assert said in view["status"]
            assert (view["problem"], view["answer"]) == (True, None)
        assert ask(client, IS_ILL)["status"] == "There is no answer: film.mp4: the model is ill"
        assert ask(client, FALLS)["status"] == FAILED
        with pytest.raises(Exception, match="is not in the list of choices"):
            ask(client, QUESTION, "other")
        assert ask(client, QUESTION)["answer"] is not None
    assert "the model fell over" in (server.folder / "log" / "errors.txt").read_text()


def test_what_is_no_good_video_is_refused_at_once_and_the_page_goes_on(server: Server, film: Path, tmp_path: Path) -> None:
    contents = {"zero.mp4": b"", "random.mp4": bytes(range(256)) * 20, "list.mp4": f"#EXTM3U\n{film}\n".encode()}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "cut.mp4").write_bytes(film.read_bytes()[:-900])
    (tmp_path / "film.txt").write_bytes(film.read_bytes())
    write_sound(tmp_path / "sound.mp4", 2)
    write_video(tmp_path / "long.mp4", 64, 48, 600)
    write_video(tmp_path / "wide.mp4", 3840, 2160, 1)
    said = {
        "zero.mp4": "is empty", "random.mp4": "By its content", "list.mp4": "By its content", "cut.mp4": "cannot be used",
        "film.txt": "this ending", "sound.mp4": "no picture", "long.mp4": "lasts 600.0 s", "wide.mp4": "3840 x 2160",
    }  # fmt: skip
    with session(server) as client:
        for name, reason in said.items():
            upload(client, film)
            view = upload(client, tmp_path / name)
            assert reason in view["status"], name
            assert (view["problem"], view["scene"], view["token"]) == (True, None, None)
            assert {path.name for path in server.files()} <= set(said), "nothing but what was refused a moment ago"
            assert ask(client, QUESTION)["status"] == "Upload or record a video first."
        until(lambda: not server.files())
        upload(client, film)
        assert list(tracks(ask(client, QUESTION))) == ["square"]


def test_too_many_bytes_are_not_even_received(server: Server, tmp_path: Path) -> None:
    (tmp_path / "large.mp4").write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 6_000_000)
    with session(server) as client, pytest.raises(Exception, match="exceeds the maximum file size"):
        upload(client, tmp_path / "large.mp4")


def said_of(server: Server, session_hash: str, path: str) -> str:
    """What is said of a path that a program sends as if it had uploaded it."""
    given = {"path": path, "orig_name": "film.mp4", "meta": {"_type": "gradio.FileData"}}
    body = {"data": [given, "temporal"], "session_hash": session_hash}
    request = urllib.request.Request(
        f"{server.url}gradio_api/run/video", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(told(json.loads(answer.read())["data"][1])["status"])
    except urllib.error.HTTPError as error:
        return error.read().decode()


def test_a_file_that_was_not_uploaded_is_refused(server: Server, film: Path) -> None:
    with session(server) as client, session(server) as other:
        kept = urllib.parse.unquote(upload(other, film)["scene"]["video"].partition("file=")[2])
        log = server.folder / "log" / "errors.txt"
        for path in ("/etc/hostname", str(film), kept, f"{server.folder}/uploads/../log/errors.txt", "../../etc/hostname"):
            said = said_of(server, client.session_hash, path)
            assert "uploaded" in said or "error" in json.loads(said), (path, said)
            assert "Now ask" not in said
        assert "was not uploaded by a user" in log.read_text()
        assert all(Path(path).exists() for path in (kept, "/etc/hostname", film, log))
        assert ask(client, QUESTION)["status"] == "Upload or record a video first."
        assert list(tracks(ask(other, QUESTION))) == ["square"]


def call_server(client: Client, function: str, data: Any) -> Any:
    """What the page's script calls on the server."""
    (component,) = [one["id"] for one in client.config["components"] if one["type"] == "html"]
    body = {"component_id": component, "session_hash": client.session_hash, "fn_name": function, "data": data}
    request = urllib.request.Request(
        f"{client.src}gradio_api/component_server", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def test_the_player_is_told_of_a_video_by_its_token_alone(server: Server, tmp_path: Path) -> None:
    clip = write_sounding_clip(tmp_path / "clip.mp4", 2.0)
    with session(server) as client:
        token = upload(client, clip)["token"]
        media = call_server(client, "media_for", {"token": token})
        assert media["frame_times"] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
        assert (max(media["sound"]["peaks"]), media["sound"]["seconds"]) == (1, 2)
        until(lambda: call_server(client, "playable_for", {"token": token})["url"])
        assert len(list((server.folder / "exports").iterdir())) == 1
        for wrong in ({"token": "0" * 32}, {"token": None}, {}, None, [token], {"token": {}}):
            assert "upload it again" in call_server(client, "media_for", wrong)["error"]
            assert "upload it again" in call_server(client, "playable_for", wrong)["error"]
    until(lambda: not server.files())
    with session(server) as client:
        assert "upload it again" in call_server(client, "media_for", {"token": token})["error"]


def test_an_answer_is_stopped_and_what_stands_of_it_stays(server: Server, film: Path) -> None:
    with session(server) as client:
        upload(client, film)
        job = client.submit("spatio_temporal", QUESTION, api_name="/ask")
        until(lambda: any(told(text)["scene"]["layers"] for text in job.outputs()))
        stopped = told(client.predict(api_name="/stop"))
        assert (stopped["status"], stopped["running"]) == ("Stopped.", False)
        assert len(stopped["scene"]["layers"]) == 1
        begun = time.monotonic()
        assert ask(client, "Where is the other?")["answer"] is not None
        assert time.monotonic() - begun < 4


def test_a_session_that_ends_in_mid_answer_leaves_nothing(server: Server, film: Path) -> None:
    with session(server) as client:
        upload(client, film)
        job = client.submit("spatio_temporal", QUESTION, api_name="/ask")
        until(lambda: job.outputs())
    until(lambda: not server.files())


# --- a real model -----------------------------------------------------------------------------------------------------


def plan_of(model: Path) -> Plan:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    for add in (add_backend_options, add_answer_options, add_media_options, add_model_options, add_server_options):
        add(parser.add_argument_group())
    given = ["--model", str(model), "--max-new-tokens", "6", "--max-frames", "4", "--max-pixels", "3136"]
    return make_plan(parser.parse_args(given))


def test_a_model_of_this_machine_answers(tmp_path: Path, film: Path, uploaded: Path) -> None:
    tiny = tiny_family(tmp_path, "qwen2.5-vl")
    asker = open_asker(plan_of(tiny))
    assert (asker.model, asker.at_once, asker.settings["model"]) == (tiny.name, 1, tiny.name)
    page = AskPage(asker, tmp_path / "kept", Limits())
    somebody = visitor(page, "somebody", uploaded)
    *_, last = page.ask("spatial", "Where is the square?", somebody)
    answer = told(last)["answer"]
    ask_alone = Ask("upload", "spatial", "Where is the square?", film, (160, 120), 6.0)
    (reply,) = asker.backend.answers([ask_alone])
    assert isinstance(reply, Reply)
    assert (answer["text"], answer["completion_tokens"], answer["finish"]) == (reply.text, 6, "length")
    assert str(tmp_path) not in json.dumps(answer)
    page.end(somebody)
    assert list((tmp_path / "uploads").iterdir()) == list((tmp_path / "kept").iterdir()) == []


@pytest.mark.slow
def test_a_tiny_model_answers_five_at_once_and_memory_goes_back(tmp_path: Path) -> None:
    tiny = tiny_family(tmp_path, "qwen2.5-vl")
    clips = [write_sounding_clip(tmp_path / f"{number}.mp4", 3.0, size=(112, 84)) for number in range(5)]

    def visit(clip: Path) -> dict[str, Any]:
        with session(server) as client:
            upload(client, clip)
            return ask(client, f"When is {clip.stem} seen?")

    def visits() -> list[dict[str, Any]]:
        with ThreadPoolExecutor(5) as pool:
            found = list(pool.map(visit, clips))
        until(lambda: not server.files())
        return found

    with served(tmp_path / "served", "--model", str(tiny)) as server:
        visits()
        before = server.memory()
        found = visits()
        after = server.memory()
    for clip, view in zip(clips, found, strict=True):
        assert view["answer"]["question"] == f"When is {clip.stem} seen?"
        assert view["answer"]["settings"]["model"] == tiny.name
        assert view["answer"]["finish"] in ("stop", "length")
        assert view["scene"]["layers"][0]["text"] == view["answer"]["text"]
    assert after < before + 40


# --- without a model --------------------------------------------------------------------------------------------------


def test_without_a_model_the_tab_says_why_and_how_to_have_one(tmp_path: Path) -> None:
    with gr.Blocks() as page, gr.Tab("Ask"):
        add_ask_tab(None, Limits(), tmp_path, "No model is loaded. Start with --model.")
    kinds = [type(block).__name__ for block in page.blocks.values()]
    assert "Markdown" in kinds
    assert not {"Video", "Button", "HTML"} & set(kinds)
    assert "No model is loaded. Start with --model." in [getattr(block, "value", None) for block in page.blocks.values()]
    assert list(tmp_path.iterdir()) == []


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture
def tab(server: Server, tmp_path: Path) -> Iterator[Tab]:
    with browser_tab(tmp_path / "profile") as own:
        own.size(1280, 1400)
        open_page(own, server)
        yield own
        assert own.errors == []


def open_page(tab: Tab, server: Server) -> None:
    tab.open(server.url)
    tab.wait_for(f"!!document.querySelector('{CHOOSER}')")


def choose(tab: Tab, path: Path, said: str) -> None:
    tab.wait_for(f"!!document.querySelector('{CHOOSER}')")
    tab.choose_files(CHOOSER, path)
    tab.wait_for(f"{STATUS}.includes({json.dumps(said)})")


def type_question(tab: Tab, question: str) -> None:
    tab.value("document.querySelector('#ask-question textarea').select()")
    tab.type(question)


def press(tab: Tab, button: str) -> None:
    tab.value(f"document.querySelector('#ask-{button}').click()")


# How many pixels the boxes of the left panel have on their canvas.
PAINTED = """(() => {
  const canvas = document.querySelector(".panel .boxes");
  if (!canvas.width) return 0;
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let place = 3; place < pixels.length; place += 4) count += pixels[place] > 60;
  return count;
})()"""


def test_boxes_appear_on_the_video_while_the_model_writes(tab: Tab, film: Path) -> None:
    choose(tab, film, "Now ask")
    tab.wait_for("document.querySelector('.player video').readyState >= 2")
    assert tab.value(PAINTED) == 0
    tab.value("window.first = document.querySelector('.player video'); window.first.dataset.mine = 'yes'; true")
    type_question(tab, QUESTION)
    press(tab, "ask")
    tab.wait_for(f"{STATUS}.includes('The model writes') && {PAINTED} > 0")
    assert tab.value("document.querySelector('.turning').hidden") is False
    tab.wait_for(f"{STATUS}.startsWith('Done')")
    assert tab.value(PAINTED) > 0
    assert tab.value("document.querySelector('.player video').dataset.mine") == "yes"
    assert tab.value("document.querySelector('.turning').hidden") is True
    assert tab.value("document.querySelector('.json').hidden") is False


def test_the_answer_is_downloaded_as_json(tab: Tab, film: Path, tmp_path: Path) -> None:
    choose(tab, film, "Now ask")
    assert tab.value("document.querySelector('.json').hidden") is True
    type_question(tab, QUESTION)
    press(tab, "ask")
    tab.wait_for(f"{STATUS}.startsWith('Done')")
    tab.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "down"))
    tab.value("document.querySelector('.json').click()")
    until(lambda: (tmp_path / "down" / "answer.json").exists())
    answer = json.loads((tmp_path / "down" / "answer.json").read_text(encoding="utf-8"))
    assert (answer["question"], answer["span"]) == (QUESTION, [1.0, 5.0])


def test_stop_keeps_what_stands_and_another_question_can_be_asked(tab: Tab, film: Path) -> None:
    choose(tab, film, "Now ask")
    type_question(tab, QUESTION)
    press(tab, "ask")
    tab.wait_for(f"{STATUS}.includes('The model writes') && {PAINTED} > 0")
    press(tab, "stop")
    tab.wait_for(f"{STATUS} === 'Stopped.'")
    time.sleep(1)
    assert tab.value(STATUS) == "Stopped."
    assert tab.value(PAINTED) > 0
    press(tab, "ask")
    tab.wait_for(f"{STATUS}.startsWith('Done')")


def test_a_refused_upload_shows_why_and_the_next_one_is_taken(tab: Tab, film: Path, tmp_path: Path) -> None:
    name = "$(x) <img src=x onerror=window.pwned=1>.avi.mp4"
    (tmp_path / name).write_bytes(b"#EXTM3U\n/etc/hostname\n")
    choose(tab, tmp_path / name, "By its content")
    assert "up to 30 s" in tab.value(STATUS)
    assert tab.value("document.querySelector('.answered').hidden") is True
    (tmp_path / "own").mkdir()
    hostile = tmp_path / "own" / name.replace(".avi", "")
    hostile.write_bytes(film.read_bytes())
    choose(tab, hostile, "Now ask")
    assert tab.value("window.pwned") is None


def test_a_recording_is_taken(tab: Tab) -> None:
    """Of a camera that could give larger pictures than are taken."""

    def click(name: str) -> None:
        buttons = "[...document.querySelectorAll('#ask-video button')]"
        named = f"(node) => [node.ariaLabel, node.textContent.trim()].includes({json.dumps(name)})"
        tab.wait_for(f"((node) => node && (node.click(), true))({buttons}.find({named}))")

    click("Capture from camera")
    click("Click to Access Webcam")
    tab.wait_for("document.querySelector('#ask-video video')?.videoWidth")
    click("Record")
    tab.value("new Promise((done) => setTimeout(done, 1500))")
    click("Stop")
    tab.wait_for(f"{STATUS}.includes('Now ask about it') || !!document.querySelector('.said.problem')")
    assert re.search(r": \d\.\d s, 640 x 360, with sound", tab.value(STATUS)), tab.value(STATUS)
    assert tab.value("document.querySelector('#ask-video .source-selection').getBoundingClientRect().bottom") <= tab.value(
        "document.querySelector('#ask-video').getBoundingClientRect().bottom"
    ), "a file or another recording can be chosen"


def test_texts_of_a_visitor_and_of_the_model_stay_texts(tab: Tab, film: Path) -> None:
    choose(tab, film, "Now ask")
    type_question(tab, f"Where is {HOSTILE} <b>bold</b>?")
    press(tab, "ask")
    tab.wait_for(f"{STATUS}.startsWith('Done')")
    shown = tab.value("document.querySelector('.player').textContent")
    assert HOSTILE in shown
    assert "<b>bold</b>" in shown
    assert tab.value("document.querySelectorAll('.player img, .player b').length") == 0
    assert tab.value("window.pwned") is None


def test_ready_questions_go_with_the_task_and_the_video(tab: Tab, film: Path) -> None:
    choose(tab, film, "Now ask")
    tab.value("[...document.querySelectorAll('input[type=radio]')].find((one) => one.value === 'spatial').click()")
    tab.wait_for("document.querySelector('#ask-ready input') && true")
    expected = ready_questions("spatial", 6.0)[0]
    options = "[...document.querySelectorAll('#ask-ready [role=option]')]"
    choice = f"{options}.find((one) => one.textContent.includes({json.dumps(expected)}))"
    tab.value("document.querySelector('#ask-ready input').focus()")
    tab.wait_for(f"!!{choice}")
    tab.value(f"{choice}.dispatchEvent(new MouseEvent('mousedown', {{ bubbles: true }}))")
    tab.wait_for(f"document.querySelector('#ask-question textarea').value === {json.dumps(expected)}")


def test_who_waits_sees_the_place_in_the_queue(tab: Tab, server: Server, film: Path) -> None:
    choose(tab, film, "Now ask")
    type_question(tab, QUESTION)
    with session(server) as client, session(server) as third:
        upload(client, film)
        upload(third, film)
        jobs = [own.submit("temporal", "When is the first?", api_name="/ask") for own in (client, third)]
        time.sleep(0.2)
        press(tab, "ask")
        tab.wait_for(f"/Waiting: [12] question/.test({STATUS})", 5)
        tab.wait_for(f"{STATUS}.startsWith('Done')")
        assert [told(job.result(timeout=30))["answer"]["question"] for job in jobs] == ["When is the first?"] * 2


def test_the_tab_fits_a_phone(server: Server, film: Path, tmp_path: Path) -> None:
    with browser_tab(tmp_path / "profile") as tab:
        tab.size(360, 1400)
        open_page(tab, server)
        choose(tab, film, "Now ask")
        type_question(tab, QUESTION)
        press(tab, "ask")
        tab.wait_for(f"{STATUS}.startsWith('Done')")
        assert tab.value("document.documentElement.scrollWidth") <= 360
        assert tab.errors == []
