"""The page of questions in a real browser: the list, links, downloads, and texts that are meant to run."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest
from chromium import Tab
from chromium import browser_tab
from review_data import FILM
from review_data import HOSTILE
from review_data import IDS
from review_data import SECONDS
from review_data import write_review_data
from space_server import Served
from space_server import served_space

from r_avst.metrics.benchmark import load_questions

RIGHT_TO_LEFT = "\u202eلحظة‮"
HALF = "<answer>\n<object>red square</object>\n<where>\n0.0: [10.0, 30.0, 40.0, 50.0]\n</where>\n</answer>"
BROKEN = HOSTILE + RIGHT_TO_LEFT + "'\"`</pre>" + "x" * 100_000


@dataclass(frozen=True)
class Site:
    """A page that is served, and its folder."""

    space: Served
    folder: Path


def write_model(path: Path, texts: dict[str, str]) -> Path:
    rows = ({"question_id": name, "text": text, "coordinate_space": "source"} for name, text in texts.items())
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("browse")
    write_review_data(folder)
    gold = {own.question_id: own.answer for own in load_questions(str(folder / "r-avst"), "test")}
    models = [
        write_model(folder / "gold.jsonl", gold),
        write_model(folder / "<b>half.jsonl", {IDS[3]: HALF, IDS[0]: BROKEN, IDS[4]: gold[IDS[4]]}),
    ]
    options = ("--dataset", folder / "r-avst", "--videos", folder / "videos", "--predictions", *models)
    with served_space(*options) as space:
        yield Site(space, folder)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    profile = tmp_path_factory.mktemp("profile")
    with browser_tab(profile) as own:
        own.size(1280, 960)
        downloads = str(tmp_path_factory.mktemp("downloads"))
        own.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=downloads)
        own.downloads = Path(downloads)  # type: ignore[attr-defined]
        yield own
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def page(site: Site, tab: Tab) -> Tab:
    tab.errors.clear()
    go(tab, site.space.url)
    return tab


def go(tab: Tab, url: str) -> None:
    tab.open("about:blank")
    tab.open(url)
    tab.wait_for(
        "!!document.querySelector('.row[aria-selected=\"true\"]') && !!document.querySelector('.heading').textContent"
    )


def text(page: Tab, selector: str) -> Any:
    return page.value(f"document.querySelector({json.dumps(selector)}).textContent")


def listed(page: Tab) -> list[str]:
    places = page.value("[...document.querySelectorAll('.row')].map((row) => row.dataset.place)")
    order = page.value(
        "JSON.stringify([...document.querySelectorAll('.row')].map((row) => row.getAttribute('aria-posinset')))"
    )
    assert json.loads(order) == [str(place + 1) for place in range(len(places))]
    return list(places)


def choose(page: Tab, question_id: str) -> None:
    page.value(
        f"(() => {{ const box = document.querySelector('.words'); box.value = {json.dumps(question_id)};"
        " box.dispatchEvent(new Event('input')); })()"
    )
    page.wait_for("document.querySelectorAll('.row').length === 1")
    page.value("document.querySelector('.row').click()")
    page.wait_for(f"document.querySelector('.id').textContent === {json.dumps(question_id)}")


def set_field(page: Tab, selector: str, value: str, event: str = "change") -> None:
    page.value(
        f"(() => {{ const field = document.querySelector({json.dumps(selector)}); field.value = {json.dumps(value)};"
        f" field.dispatchEvent(new Event('{event}')); }})()"
    )


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_worst_question_comes_first_and_keys_go_on(page: Tab) -> None:
    assert text(page, ".count") == "5 questions"
    scores = page.value("[...document.querySelectorAll('.own-score')].map((node) => node.textContent)")
    assert scores == sorted(scores)
    first = text(page, ".id")
    page.press("n")
    page.wait_for(f"document.querySelector('.id').textContent !== {json.dumps(first)}")
    assert text(page, ".place") == "2 / 5"
    page.press("p")
    page.wait_for(f"document.querySelector('.id').textContent === {json.dumps(first)}")
    assert page.value("document.querySelector('.list').getAttribute('aria-activedescendant')") == page.value(
        "document.querySelector('.row[aria-selected=\"true\"]').id"
    )
    assert page.errors == []


def test_filters_narrow_the_list_and_show_all_brings_it_back(page: Tab) -> None:
    set_field(page, ".task", "temporal")
    assert text(page, ".count") == "2 of 5 questions"
    set_field(page, ".task", "")
    set_field(page, ".words", "ELSE sounds", "input")
    assert (text(page, ".count"), len(listed(page))) == ("1 of 5 questions", 1)
    page.value("document.querySelector('.reset').click()")
    assert text(page, ".count") == "5 questions"
    set_field(page, ".model", "gold")
    set_field(page, ".most", "0.9", "input")
    assert text(page, ".count") == "0 of 5 questions"
    page.value("document.querySelector('.reset').click()")
    page.value("document.querySelector('.with-video').click()")
    assert text(page, ".count") == "4 of 5 questions"
    set_field(page, ".order", "best first")
    scores = page.value("[...document.querySelectorAll('.own-score')].map((node) => node.textContent)")
    assert scores == sorted(scores, reverse=True)


# --- what a model wrote -----------------------------------------------------------------------------------------------


def test_texts_of_models_and_data_stay_text(page: Tab) -> None:
    choose(page, IDS[0])
    assert text(page, ".heading") == f"When is {HOSTILE} seen?"
    raw = page.value("[...document.querySelectorAll('.answers pre')].map((node) => node.textContent)")
    assert BROKEN in raw
    for question_id in IDS[1:]:
        choose(page, question_id)
    page.value("new Promise((done) => setTimeout(done, 300))")  # an image that fails to load says so later
    assert page.value("document.querySelectorAll('.browse img, .browse b').length") == page.value(
        "document.querySelectorAll('.chips.layers b, .scores b, .browse figcaption b').length"
    )
    assert page.value("window.pwned") is None
    assert "<b>half" in text(page, ".chips.layers")
    assert page.errors == []


def test_the_page_asks_nobody_but_its_server(page: Tab, site: Site) -> None:
    names = page.value("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(names) > 3
    assert [name for name in names if not name.startswith(site.space.url)] == []


# --- links and downloads ----------------------------------------------------------------------------------------------


def test_a_link_leads_to_this_question_at_this_second_with_these_layers(page: Tab, site: Site) -> None:
    choose(page, IDS[3])
    page.wait_for("document.querySelector('video').readyState >= 2")
    page.value("document.querySelectorAll('.chips.layers input')[2].click()")
    page.press("c")
    for _ in range(2):
        page.press("ArrowRight", shift=True)
    page.press("ArrowRight")
    page.wait_for("document.querySelector('.clock').textContent.startsWith('4.1')")
    page.value("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.value("document.querySelector('.link').click()")
    page.wait_for("document.querySelector('.message').textContent === 'The link is copied'")
    link = page.value("window.copied")
    assert link.startswith(site.space.url)
    before = page.value("[...document.querySelectorAll('.chips.layers input')].map((box) => box.checked)")
    go(page, link)
    assert text(page, ".id") == IDS[3]
    page.wait_for("document.querySelector('.clock').textContent.startsWith('4.1')")
    assert page.value("[...document.querySelectorAll('.chips.layers input')].map((box) => box.checked)") == before
    assert page.value("document.querySelector('[data-act=compare]').getAttribute('aria-pressed')") == "true"
    page.press("c")


def test_a_reload_stays_at_the_question(page: Tab, site: Site) -> None:
    choose(page, IDS[4])
    page.wait_for(f"location.search.includes({json.dumps(IDS[4])})")
    go(page, page.value("location.href"))
    assert text(page, ".id") == IDS[4]


@pytest.mark.parametrize(
    "query", ["?question=%3Cimg%3E&t=NaN&layers=[[]]&compare=[1]", "?t=1e9&layers=%7B&objects=[1e99,-3]"]
)
def test_a_link_of_nonsense_opens_the_page(page: Tab, site: Site, query: str) -> None:
    go(page, site.space.url + query)
    assert text(page, ".id") in IDS
    assert page.errors == []


def test_the_annotated_video_is_downloaded(page: Tab) -> None:
    choose(page, IDS[3])
    page.wait_for("document.querySelector('video').readyState >= 2")
    page.value("document.querySelector('.film').click()")
    page.wait_for("document.querySelector('.message').textContent === 'The annotated video is ready'", 60)
    path = page.downloads / f"{IDS[3]}.mp4"  # type: ignore[attr-defined]
    page.wait_for("true")
    for _ in range(100):
        if path.is_file() and path.stat().st_size:
            break
        page.value("new Promise((done) => setTimeout(done, 50))")
    with av.open(str(path)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert frames == SECONDS * 10


def test_the_answers_are_downloaded_as_json(page: Tab) -> None:
    choose(page, IDS[3])
    page.value("document.querySelector('.json').click()")
    path = page.downloads / f"{IDS[3]}.json"  # type: ignore[attr-defined]
    for _ in range(100):
        if path.is_file() and path.stat().st_size:
            break
        page.value("new Promise((done) => setTimeout(done, 50))")
    scene = json.loads(path.read_text(encoding="utf-8"))
    assert [layer["name"] for layer in scene["layers"]] == ["truth", "gold", "<b>half"]
    assert scene["layers"][2]["text"] == HALF


# --- without a video, and on a phone ----------------------------------------------------------------------------------


def test_a_question_without_its_video_says_so_and_has_a_clock(page: Tab) -> None:
    choose(page, IDS[1])
    assert "<b>absent</b>" in text(page, ".note")
    page.press(" ")
    page.wait_for("parseFloat(document.querySelector('.clock').textContent) > 0.8")
    page.press(" ")
    page.value("document.querySelector('.film').click()")
    page.wait_for("document.querySelector('.message').classList.contains('error')")
    assert "there is no file of the video" in text(page, ".message")


@pytest.mark.parametrize("width", [360, 480])
def test_a_phone_shows_all_without_scrolling_sideways(page: Tab, site: Site, width: int) -> None:
    page.size(width, 780)
    go(page, site.space.url)
    assert page.value("document.documentElement.scrollWidth") <= width
    assert not page.value("document.querySelector('.filters').open")
    page.size(1280, 960)


def test_everything_that_can_be_pressed_has_a_name(page: Tab) -> None:
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "checkbox", "combobox", "slider", "searchbox", "textbox", "listbox", "option", "tab"}
    pressed = [node for node in nodes if node.get("role", {}).get("value") in roles and not node.get("ignored")]
    assert len(pressed) > 20
    assert [node for node in pressed if not node.get("name", {}).get("value", "").strip()] == []
    assert FILM  # the film's name is in no label: it is a file's
