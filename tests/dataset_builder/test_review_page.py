"""The page: what it sends, what it stores, and how it behaves in a real browser."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from chromium import Tab
from chromium import browser_tab
from http_answers import get
from review_data import FILM
from review_data import HEIGHT
from review_data import HIDDEN
from review_data import HOSTILE
from review_data import IDS
from review_data import SECONDS
from review_data import WIDTH
from review_data import last_scores
from review_data import square_box
from review_data import write_review_data

from r_avst.dataset_builder.page_server import video_url
from r_avst.dataset_builder.ratings import Rating
from r_avst.dataset_builder.ratings import RatingError
from r_avst.dataset_builder.ratings import append_rating
from r_avst.dataset_builder.ratings import digest_shown
from r_avst.dataset_builder.ratings import read_all
from r_avst.dataset_builder.review_page import Review
from r_avst.dataset_builder.review_page import open_review
from r_avst.dataset_builder.review_page import show_question
from r_avst.dataset_builder.review_page import store_rating
from r_avst.dataset_builder.review_questions import load_review_questions
from r_avst.dataset_builder.video import find_videos

# The bounding box of what is red in the frame on screen, in pixels of the video; null if nothing is.
RED_BOX = f"""(() => {{
  const canvas = document.createElement("canvas");
  canvas.width = {WIDTH}; canvas.height = {HEIGHT};
  const context = canvas.getContext("2d");
  context.drawImage(document.querySelector("video"), 0, 0, {WIDTH}, {HEIGHT});
  const pixels = context.getImageData(0, 0, {WIDTH}, {HEIGHT}).data;
  const xs = [], ys = [];
  for (let place = 0; place < pixels.length; place += 4) {{
    if (pixels[place] > 120 && pixels[place + 2] < 90) {{
      xs.push((place / 4) % {WIDTH}); ys.push(Math.floor(place / 4 / {WIDTH}));
    }}
  }}
  return xs.length ? [Math.min(...xs), Math.min(...ys), Math.max(...xs) + 1, Math.max(...ys) + 1] : null;
}})()"""
# The only box on the canvas as it is painted, in pixels of the video: its edges (the upper one is read beside the label, and
# only of a solid box) and whether its line has gaps; null if nothing is painted.
PAINTED_BOX = f"""(() => {{
  const canvas = document.querySelector(".boxes");
  const [over, under] = [canvas, document.querySelector("video")].map((node) => node.getBoundingClientRect());
  if (["x", "y", "width", "height"].some((name) => Math.abs(over[name] - under[name]) > 0.5)) return "beside the video";
  const alpha = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const at = (x, y) => alpha[4 * (y * canvas.width + x) + 3] > 60;
  const columns = [...Array(canvas.width).keys()], rows = [...Array(canvas.height).keys()];
  const scale = Math.min(canvas.width / {WIDTH}, canvas.height / {HEIGHT});
  const [left, top] = [(canvas.width - {WIDTH} * scale) / 2, (canvas.height - {HEIGHT} * scale) / 2];
  const y2 = rows.findLast((y) => columns.some((x) => at(x, y)));
  if (y2 === undefined) return null;
  const below = rows.slice(Math.round(y2 - 30 * scale), y2 + 1);  // the label is above these
  const x1 = columns.find((x) => below.some((y) => at(x, y)));
  const x2 = columns.findLast((x) => below.some((y) => at(x, y)));
  const held = columns.slice(x1, x2).filter((x) => at(x, y2 - 1)).length < 0.9 * (x2 - x1);
  const y1 = held ? null : rows.find((y) => at(x1, y));
  const [across, down] = [(x) => (x - left) / scale, (y) => y === null ? null : (y - top) / scale];
  return {{ edges: [across(x1), down(y1), across(x2 + 1), down(y2 + 1)], held }};
}})()"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("review")
    write_review_data(path)
    return path


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Review:
    questions = load_review_questions(str(folder / "r-avst"), "test")
    return Review(questions, find_videos(folder / "videos"), Path("absent.jsonl"))


@pytest.fixture
def review(loaded: Review, tmp_path: Path) -> Review:
    return Review(loaded.questions, loaded.videos, tmp_path / "ratings.jsonl")


def store(review: Review, question_id: str, score: int, rater: str = "alice", comment: str = "") -> dict[str, Any]:
    request = {"question_id": question_id, "rater": rater, "score": score, "comment": comment}
    return store_rating(review, request)


# --- what the page asks for -------------------------------------------------------------------------------------------


def test_a_view_holds_all_that_is_shown(review: Review, folder: Path) -> None:
    view = show_question(review, {"rater": "alice", "position": 3})
    boxes = [(float(second), [square_box(second)] if second != HIDDEN else []) for second in range(SECONDS)]
    assert view["objects"] == [{"name": "red square", "frames": boxes}]
    assert view["video"] == "videos/" + quote(FILM)
    assert "#" not in view["video"]
    assert (view["position"], view["total"], view["rated"], view["score"], view["comment"]) == (3, 5, 0, None, "")
    assert (view["duration"], view["width"], view["height"], view["span"]) == (6.0, WIDTH, HEIGHT, (2.0, 4.0))
    assert view["answer"]["names"] == ["red square"]
    assert view["answer"]["rows"][HIDDEN] == {"track": 0, "time": 3.0, "box": None}
    assert view["answer"]["rows"][0] == {"track": 0, "time": 0.0, "box": square_box(0)}
    assert json.loads(json.dumps(view))["answer_text"].startswith("<answer>\n<object>red square</object>")


def test_the_rows_of_several_objects_stand_by_time(review: Review) -> None:
    rows = show_question(review, {"rater": "alice", "position": 2})["answer"]["rows"]
    assert [(row["time"], row["track"]) for row in rows[-4:]] == [(4.0, 0), (4.0, 1), (5.0, 0), (5.0, 1)]


def test_a_rating_is_stored_and_the_next_unrated_question_follows(review: Review) -> None:
    view = store(review, IDS[0], 3, comment="a loose box")
    assert (view["position"], view["rated"]) == (1, 1)
    (stored,) = read_all(review.ratings)
    assert (stored.question_id, stored.rater, stored.score, stored.comment) == (IDS[0], "alice", 3, "a loose box")
    assert store(review, IDS[2], 1)["position"] == 3
    assert store(review, IDS[4], 1)["position"] == 1  # on to the end, then again from the first
    assert store(review, IDS[1], 1)["position"] == 3
    assert store(review, IDS[3], 1)["position"] == 3  # all are rated: it stays
    shown = show_question(review, {"rater": "alice", "position": 0})
    assert (shown["score"], shown["comment"], shown["rated"]) == (3, "a loose box", 5)


def test_each_rater_goes_on_where_they_stopped(review: Review) -> None:
    for name, count in [("alice", 3), ("bob", 1), ("carol", 5)]:
        for question_id in IDS[:count]:
            store(review, question_id, 4, name)
    append_rating(review.ratings, Rating("a question of another review", "0" * 16, "dora", 1, "", ""))
    opened = {name: open_review(review, {"rater": name}) for name in ("alice", "bob", "carol", "dora")}
    assert {name: (own["position"], own["rated"]) for name, own in opened.items()} == {
        "alice": (3, 3), "bob": (1, 1), "carol": (0, 5), "dora": (0, 0),
    }  # fmt: skip


@pytest.mark.parametrize("change", [{"question": "When does the cat meow?"}, {"answer": "<answer></answer>"}])
def test_a_question_that_came_to_bear_a_rated_id_is_shown_as_unrated(review: Review, change: dict[str, Any]) -> None:
    for question_id in IDS:
        store(review, question_id, 4, comment="as it was")
    rebuilt = [replace(own, **change) if own.question_id == IDS[3] else own for own in review.questions]
    anew = replace(review, questions=rebuilt)
    opened = open_review(anew, {"rater": "alice"})
    assert (opened["position"], opened["rated"], opened["score"], opened["comment"]) == (3, 4, None, "")
    assert store(anew, IDS[3], 1)["rated"] == 5
    assert show_question(anew, {"rater": "alice", "position": 3})["score"] == 1
    assert show_question(review, {"rater": "alice", "position": 3})["score"] == 4
    assert read_all(review.ratings)[-1].shown == digest_shown(rebuilt[3].question, rebuilt[3].answer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": 5}, "the score is 5"),
        ({"score": "3"}, "the score is '3'"),
        ({"rater": ""}, "no name of a rater"),
        ({"rater": None}, "no name of a rater"),
        ({"comment": 3}, "the comment is not a text"),
        ({"question_id": "other"}, "there is no question 'other' in this review"),
        ({"question_id": [IDS[0]]}, "there is no question .* in this review"),
        ({"question_id": None}, "there is no question None in this review"),
    ],
)
def test_a_rating_that_makes_no_sense_is_refused(review: Review, change: dict[str, Any], message: str) -> None:
    with pytest.raises(RatingError, match=message):
        store_rating(review, {"question_id": IDS[0], "rater": "alice", "score": 3, "comment": ""} | change)
    assert not review.ratings.exists()


@pytest.mark.parametrize("position", [-1, 5, 1.0, True, None, "1", [1]])
def test_a_place_that_is_not_there_is_refused(review: Review, position: Any) -> None:
    with pytest.raises(RatingError, match="there is no question at"):
        show_question(review, {"rater": "alice", "position": position})


# --- the server -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    folder: Path
    ratings: Path


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    ratings = folder / "ratings.jsonl"
    options = {"dataset": folder / "r-avst", "videos": folder / "videos", "ratings": ratings, "rater": "alice"}
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "r_avst.dataset_builder.review", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        try:
            assert line.startswith("Rate at http://127.0.0.1:"), line
            yield Server(line.split()[2], folder, ratings)
        finally:
            process.terminate()


def test_videos_are_served_in_ranges_and_nothing_else_is_served(server: Server) -> None:
    film = server.folder / "videos" / f"{FILM}.mp4"
    assert get(server.url + video_url(FILM), Range="bytes=100-199") == (206, film.read_bytes()[100:200])
    assert get(server.url + video_url("nothing"))[0] == 404
    server.ratings.touch()
    card = server.folder / "r-avst" / "README.md"
    for other in (server.ratings, card, Path("/etc/hostname"), film.parent / ".." / "r-avst" / "README.md", film):
        assert other.exists()
        assert get(f"{server.url}gradio_api/file={quote(str(other))}")[0] in (403, 404), other


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    profile = tmp_path_factory.mktemp("profile")
    with browser_tab(profile) as own:
        own.size(1280, 960)
        yield own
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def page(server: Server, tab: Tab) -> Tab:
    """The page as alice opens it, who has rated nothing yet."""
    server.ratings.unlink(missing_ok=True)
    tab.errors.clear()
    tab.open(server.url)
    tab.wait_for(f"document.querySelector('.id')?.textContent === {json.dumps(IDS[0])}")
    tab.wait_for("document.querySelector('video').readyState >= 2")
    return tab


def text(page: Tab, selector: str) -> Any:
    return page.value(f"document.querySelector({json.dumps(selector)}).textContent")


def press_and_come_to(page: Tab, key: str, question_id: str) -> None:
    page.press(key)
    page.wait_for(f"document.querySelector('.id').textContent === {json.dumps(question_id)}")


def seek(page: Tab, time: float) -> None:
    """Goes to a time and waits until its frame is on screen and drawn over: on a busy machine a frame before it may come."""
    page.value(f"""new Promise((done) => {{
      const video = document.querySelector("video");
      const look = (_, {{ mediaTime }}) => {{
        if (Math.abs(mediaTime - {time}) < 0.11) requestAnimationFrame(() => requestAnimationFrame(() => done(true)));
        else video.requestVideoFrameCallback(look);
      }};
      video.requestVideoFrameCallback(look);
      video.currentTime = {time};
    }})""")


def test_text_of_the_data_set_stays_text(page: Tab) -> None:
    assert text(page, ".question") == f"When is {HOSTILE} seen?"
    assert text(page, ".names li") == HOSTILE
    assert HOSTILE in text(page, ".raw")
    press_and_come_to(page, "ArrowRight", IDS[1])
    press_and_come_to(page, "ArrowRight", IDS[2])
    assert page.value("[...document.querySelectorAll('td')].map((cell) => cell.textContent)").count(HOSTILE) == 2
    page.value("new Promise((done) => setTimeout(done, 300))")  # an image that fails to load says so later
    assert page.value("document.querySelectorAll('.review img, .review b:not(.scale b)').length") == 0
    assert page.value("window.pwned") is None
    assert page.errors == []


def test_the_page_asks_nobody_but_its_server(page: Tab, server: Server) -> None:
    names = page.value("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(names) > 3
    assert [name for name in names if not name.startswith(server.url)] == []


@pytest.mark.parametrize("width", [1280, 480])
def test_boxes_lie_on_what_they_show_and_held_ones_are_marked(page: Tab, width: int) -> None:
    page.size(width, 960)
    press_and_come_to(page, "ArrowRight", IDS[1])
    press_and_come_to(page, "ArrowRight", IDS[2])
    press_and_come_to(page, "ArrowRight", IDS[3])
    page.wait_for("document.querySelector('video').readyState >= 2")
    for time, held in [(0.001, False), (1.001, False), (1.55, True), (2.95, True), (5.001, False), (5.85, True)]:
        seek(page, time)
        painted, red = page.value(PAINTED_BOX), page.value(RED_BOX)
        assert painted["held"] == held, time
        compared = [place for place in range(4) if painted["edges"][place] is not None]
        assert len(compared) == (3 if held else 4)
        for truth in (red, square_box(int(time))):
            assert [painted["edges"][place] for place in compared] == pytest.approx(
                [truth[place] for place in compared], abs=1.5
            )
    seek(page, HIDDEN + 0.5)
    assert (page.value(PAINTED_BOX), page.value(RED_BOX)) == (None, None)
    page.size(1280, 960)


def test_keys_rate_and_move(page: Tab, server: Server) -> None:
    press_and_come_to(page, "3", IDS[1])
    assert text(page, ".message") == f"Stored: {IDS[0]}"
    press_and_come_to(page, "1", IDS[2])
    assert last_scores(server.ratings) == {IDS[0]: {"alice": 3}, IDS[1]: {"alice": 1}}
    assert text(page, ".rated") == "2 of 5 rated"
    press_and_come_to(page, "ArrowLeft", IDS[1])
    press_and_come_to(page, "ArrowLeft", IDS[0])
    assert page.value("document.querySelector('.chosen').dataset.score") == "3"
    press_and_come_to(page, "4", IDS[2])
    assert last_scores(server.ratings)[IDS[0]] == {"alice": 4}
    assert page.errors == []


def test_the_space_key_plays_and_pauses_and_does_not_rate(page: Tab, server: Server) -> None:
    page.value("document.querySelector('.play').focus()")
    page.press(" ")
    page.wait_for("!document.querySelector('video').paused && document.querySelector('video').currentTime > 1.2")
    assert text(page, ".play") == "Pause"
    page.press(" ")
    page.wait_for("document.querySelector('video').paused")
    page.value("document.querySelector('[data-score=\"2\"]').click()")
    page.wait_for(f"document.querySelector('.id').textContent === {json.dumps(IDS[1])}")
    page.press(" ")
    assert last_scores(server.ratings) == {IDS[0]: {"alice": 2}}


def test_what_is_typed_in_the_comment_is_kept_and_is_no_key(page: Tab, server: Server) -> None:
    page.value("document.querySelector('.comment').focus()")
    for key in ("4", " ", "ArrowRight", "2"):
        page.press(key)
    page.type(" <i>loose</i>")
    assert text(page, ".id") == IDS[0]
    page.press("Escape")
    press_and_come_to(page, "ArrowRight", IDS[1])  # not stored yet: it waits
    assert page.value("document.querySelector('.comment').value") == ""
    press_and_come_to(page, "ArrowLeft", IDS[0])
    press_and_come_to(page, "2", IDS[1])
    (stored,) = read_all(server.ratings)
    assert (stored.score, stored.comment) == (2, "4 2 <i>loose</i>")


def test_a_reload_goes_on_and_another_rater_begins(page: Tab, server: Server) -> None:
    press_and_come_to(page, "3", IDS[1])
    press_and_come_to(page, "3", IDS[2])
    page.open("about:blank")
    page.open(server.url)
    page.wait_for(f"document.querySelector('.id')?.textContent === {json.dumps(IDS[2])}")
    page.value("document.querySelector('.rater').select()")
    page.type("bob")
    page.press("Enter")
    page.wait_for(f"document.querySelector('.id').textContent === {json.dumps(IDS[0])}")
    assert text(page, ".rated") == "0 of 5 rated"
    press_and_come_to(page, "1", IDS[1])
    assert last_scores(server.ratings)[IDS[0]] == {"alice": 3, "bob": 1}


def test_a_question_without_its_video_says_so_and_is_rated(page: Tab, server: Server) -> None:
    press_and_come_to(page, "ArrowRight", IDS[1])
    assert text(page, ".note") == "There is no video <b>absent</b> in the folder. The question can still be rated."
    assert page.value("document.querySelector('.note').checkVisibility()")
    press_and_come_to(page, "2", IDS[2])
    assert not page.value("document.querySelector('.note').checkVisibility()")
    assert last_scores(server.ratings) == {IDS[1]: {"alice": 2}}


def test_when_all_is_rated_the_page_says_so(page: Tab) -> None:
    for question_id in IDS[1:]:
        press_and_come_to(page, "4", question_id)
    page.press("4")
    page.wait_for("document.querySelector('.message').textContent.startsWith('All questions are rated.')")
    assert text(page, ".rated") == "5 of 5 rated"


def test_a_rating_that_cannot_be_stored_is_told_and_the_question_stays(page: Tab, server: Server) -> None:
    server.ratings.write_text("nonsense\n", encoding="utf-8")
    page.press("3")
    page.wait_for("document.querySelector('.message').classList.contains('error')")
    assert "line 1: this is no JSON" in text(page, ".message")
    assert text(page, ".id") == IDS[0]
    assert server.ratings.read_text(encoding="utf-8") == "nonsense\n"
    server.ratings.unlink()
    press_and_come_to(page, "3", IDS[1])
    assert last_scores(server.ratings) == {IDS[0]: {"alice": 3}}
