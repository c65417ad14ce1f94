"""The page of questions in a real browser: the list, links, downloads, and texts that are meant to run."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
import review_data
from chromium import Tab
from chromium import browser_tab
from review_data import FILM
from review_data import HOSTILE
from review_data import IDS
from review_data import SECONDS
from review_data import write_review_data
from space_server import Served
from space_server import served_space

from r_avst.dataset_builder.builder import write_dataset
from r_avst.dataset_builder.records import Records
from r_avst.metrics.benchmark import load_questions

EVENTS = {IDS[1]: ("dog barking",), IDS[3]: ("dog barking", "playing violin")}
RIGHT_TO_LEFT = "\u202eلحظة‮"
HALF = "<answer>\n<object>red square</object>\n<where>\n0.0: [10.0, 30.0, 40.0, 50.0]\n</where>\n</answer>"
BROKEN = HOSTILE + RIGHT_TO_LEFT + "'\"`</pre>" + "x" * 100_000


@dataclass(frozen=True)
class Site:
    """A page that is served, and its folder."""

    space: Served
    folder: Path


def write_data(folder: Path) -> None:
    """The data to rate, with the events that some of its questions are about."""

    def write_with_events(records: Records, *others: Any) -> None:
        questions = tuple(replace(own, event_labels=EVENTS.get(own.question_id, ())) for own in records.questions)
        write_dataset(replace(records, questions=questions), *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(review_data, "write_dataset", write_with_events)
        write_review_data(folder)


def write_model(path: Path, texts: dict[str, str]) -> Path:
    rows = ({"question_id": name, "text": text, "coordinate_space": "source"} for name, text in texts.items())
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("browse")
    write_data(folder)
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
    tab.size(1280, 960)
    tab.call("Network.disable")  # and with it what a test did to it
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


def click_on(page: Tab, selector: str, place: int = 0) -> None:
    """Clicks as a mouse does, when the list has drawn the rows to which it was scrolled."""
    x, y = page.value(f"""new Promise((done) => {{
      const found = () => document.querySelectorAll({json.dumps(selector)})[{place}];
      const middle = ({{ x, y, width, height }}) => [x + width / 2, y + height / 2];
      found().scrollIntoView({{ block: "center" }});
      requestAnimationFrame(() => requestAnimationFrame(() => done(middle(found().getBoundingClientRect()))));
    }})""")
    page.click(x, y)


def disabled(page: Tab, *selectors: str) -> list[bool]:
    found: list[bool] = page.value(f"{json.dumps(selectors)}.map((selector) => document.querySelector(selector).disabled)")
    return found


def set_field(page: Tab, selector: str, value: str, event: str = "change") -> None:
    page.value(
        f"(() => {{ const field = document.querySelector({json.dumps(selector)}); field.value = {json.dumps(value)};"
        f" field.dispatchEvent(new Event('{event}')); }})()"
    )


SCORES = "[...document.querySelectorAll('.own-score')].map((node) => node.textContent)"


def chosen(page: Tab) -> str:
    """The id of the question whose row is marked."""
    place = page.value("+document.querySelector('.row[aria-selected=\"true\"]').dataset.place")
    return IDS[place]


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_worst_question_comes_first_and_keys_go_on(page: Tab) -> None:
    assert text(page, ".count") == "5 questions"
    scores = page.value(SCORES)
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
    scores = page.value(SCORES)
    assert scores == sorted(scores, reverse=True)


def test_questions_are_found_by_event_and_by_object(page: Tab) -> None:
    set_field(page, ".event", "playing violin")
    assert text(page, ".count") == "1 of 5 questions"
    set_field(page, ".event", "dog barking")
    assert text(page, ".count") == "2 of 5 questions"
    page.value("document.querySelector('.reset').click()")
    set_field(page, ".words", "red square", "input")
    assert text(page, ".count") == "3 of 5 questions"
    assert not page.value("document.querySelector('.none').checkVisibility()")
    set_field(page, ".words", "red squares", "input")
    assert page.value("document.querySelector('.none').checkVisibility()")


def test_questions_are_sorted_by_one_score_and_by_how_models_differ(page: Tab) -> None:
    set_field(page, ".score", "tIoU")
    set_field(page, ".model", "gold")
    assert page.value(SCORES) == ["1.00", "1.00", "1.00", "", ""]  # of spatial questions there is none
    set_field(page, ".score", "overall")
    set_field(page, ".order", "models differ most")
    of_models = []
    for model in ("gold", "<b>half"):
        set_field(page, ".model", model)
        of_models.append([float(score) for score in page.value(SCORES)])
    spreads = [abs(one - other) for one, other in zip(*of_models, strict=True)]
    assert spreads == sorted(spreads, reverse=True)
    assert (spreads[0], spreads[-1]) == (1, 0)


def test_keys_go_through_the_list(page: Tab) -> None:
    page.value("document.querySelector('.list').focus()")
    for key, place in (
        ("End", "5 / 5"),
        ("ArrowDown", "5 / 5"),
        ("ArrowUp", "4 / 5"),
        ("Home", "1 / 5"),
        ("ArrowDown", "2 / 5"),
    ):
        page.press(key)
        assert text(page, ".place") == place
    page.wait_for(f"document.querySelector('.id').textContent === {json.dumps(chosen(page))}")


def test_after_a_click_keys_do_what_they_always_do(page: Tab) -> None:
    click_on(page, ".next")
    choose(page, IDS[3])
    click_on(page, ".reset")
    page.wait_for("document.querySelector('video').readyState >= 2")
    page.press(" ")
    page.wait_for("!document.querySelector('video').paused")
    page.press(" ")
    set_field(page, ".order", "as in the data set")
    click_on(page, ".with-video")
    page.press("n")
    page.wait_for(f"document.querySelector('.id').textContent === {json.dumps(IDS[4])}")


def test_what_is_to_be_known_of_the_data_stands_under_the_filters(page: Tab) -> None:
    notes = page.value("[...document.querySelectorAll('.notes li')].map((node) => node.textContent)")
    assert any("Names are matched" in note for note in notes)


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
    go(page, page.value("location.href"))  # a reload
    page.wait_for("document.querySelector('.clock').textContent.startsWith('4.1')")
    assert page.value("[...document.querySelectorAll('.chips.layers input')].map((box) => box.checked)") == before


def test_where_a_link_cannot_be_copied_it_stands_in_a_field_until_the_next_question(page: Tab) -> None:
    choose(page, IDS[3])
    page.value("navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed'))")
    page.value("document.querySelector('.link').click()")
    page.wait_for("document.querySelector('.message').textContent === 'Copy the link from the field'")
    assert IDS[3] in page.value("document.querySelector('.address').value")
    choose(page, IDS[4])
    assert not page.value("document.querySelector('.address').checkVisibility()")


def test_a_link_to_a_question_that_is_not_there_says_so(page: Tab, site: Site) -> None:
    go(page, site.space.url + "?question=%3Cb%3Eother")
    assert text(page, ".id") in IDS
    page.wait_for("document.querySelector('.message').textContent.startsWith('There is no question <b>other here')")


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
    page.wait_for(
        "document.querySelector('.message').textContent === 'The annotated video of film-0-spatial-1 is ready'", 60
    )
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
    assert text(page, ".message") == "The answers are saved"
    scene = json.loads(path.read_text(encoding="utf-8"))
    assert not {"video", "start"} & set(scene)
    assert [layer["name"] for layer in scene["layers"]] == ["truth", "gold", "<b>half"]
    assert scene["layers"][2]["text"] == HALF


# --- while the server is away -----------------------------------------------------------------------------------------


def go_offline(page: Tab, away: bool) -> None:
    page.call("Network.enable")
    page.call("Network.emulateNetworkConditions", offline=away, latency=0, downloadThroughput=-1, uploadThroughput=-1)


def test_while_the_server_is_away_the_page_says_so_and_goes_on_when_it_is_back(page: Tab) -> None:
    set_field(page, ".order", "as in the data set")
    choose(page, IDS[3])
    page.value("document.querySelector('.reset').click()")
    go_offline(page, away=True)
    page.press("n")
    page.wait_for("document.querySelector('.message').classList.contains('error')")
    message = "The question cannot be shown: The server did not answer; try again"
    assert (text(page, ".message"), text(page, ".note"), text(page, ".id")) == (message, message, IDS[4])
    assert disabled(page, ".link", ".film", ".json") == [True, True, True]
    go_offline(page, away=False)
    page.press("p")
    page.wait_for(f"document.querySelector('.id').textContent === {json.dumps(IDS[3])}")
    page.wait_for("document.querySelector('.message').textContent === ''")
    assert disabled(page, ".link", ".film", ".json") == [False, False, False]


def test_without_any_answer_there_is_nothing_to_press(page: Tab, site: Site) -> None:
    page.call("Network.enable")
    page.call("Network.setBlockedURLs", urls=["*component_server*"])
    page.open("about:blank")
    page.open(site.space.url)
    page.wait_for("document.querySelector('.message')?.textContent === 'The server did not answer; try again'")
    assert disabled(page, ".previous", ".next", ".link", ".film", ".json") == [True] * 5
    assert page.value("document.querySelector('.words').matches(':disabled')")
    page.call("Network.setBlockedURLs", urls=[])


# --- without a video, on a laptop, in the dark, and on a phone --------------------------------------------------------


def test_a_question_without_its_video_says_so_and_has_a_clock(page: Tab) -> None:
    choose(page, IDS[1])
    assert "<b>absent</b>" in text(page, ".note")
    page.press(" ")
    page.wait_for("parseFloat(document.querySelector('.clock').textContent) > 0.8")
    page.press(" ")
    assert disabled(page, ".film", ".link", ".json") == [True, False, False]
    page.value("document.querySelector('.film').disabled = false; document.querySelector('.film').click()")
    page.wait_for("document.querySelector('.message').classList.contains('error')")
    assert "there is no file of the video" in text(page, ".message")


@pytest.mark.parametrize("width", [360, 480])
def test_a_phone_shows_all_without_scrolling_sideways(page: Tab, site: Site, width: int) -> None:
    page.size(width, 780)
    go(page, site.space.url)
    assert page.value("document.documentElement.scrollWidth") <= width
    assert not page.value("document.querySelector('.filters').open")


def test_on_a_phone_a_choice_brings_the_question_into_sight(page: Tab, site: Site) -> None:
    page.size(360, 700)
    go(page, site.space.url)
    tops = "['.list', '.view'].map((one) => document.querySelector(one).getBoundingClientRect().y)"
    assert page.value(tops) == sorted(page.value(tops))  # as the tab key goes
    click_on(page, ".row", 2)
    page.wait_for("Math.abs(document.querySelector('.view').getBoundingClientRect().y) < 2", 3)


def test_on_a_laptop_the_timelines_rows_are_in_sight(page: Tab) -> None:
    page.size(1366, 768)
    choose(page, IDS[4])
    rows = 6 + 20 * 3  # pixels, of the truth and two models
    page.wait_for(f"document.querySelector('.timeline').getBoundingClientRect().y + {rows} <= innerHeight", 3)


CONTRAST = """(selector) => {
  const light = ([red, green, blue]) => {
    const linear = (one) => (one / 255 <= 0.04045 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  };
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  const painted = (...colours) => {
    for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return light(pen.getImageData(0, 0, 1, 1).data);
  };
  const node = document.querySelector(selector);
  const grounds = [];
  for (let own = node; own; own = own.parentElement) grounds.unshift(getComputedStyle(own).backgroundColor);
  const [ground, ink] = [painted("white", ...grounds), painted("white", ...grounds, getComputedStyle(node).color)];
  return [ground, (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05)];
}"""


def test_in_the_dark_the_page_is_dark_and_can_be_read(page: Tab, site: Site) -> None:
    go(page, site.space.url + "?__theme=dark")
    for selector in (".heading", ".id", ".count", ".hint", ".chips.layers .name", ".row .words-of", ".row .told", ".notes"):
        ground, contrast = page.value(f"({CONTRAST})({json.dumps(selector)})")
        assert ground < 0.1, selector
        assert contrast >= 4.5, selector


def test_everything_that_can_be_pressed_has_a_name(page: Tab) -> None:
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "checkbox", "combobox", "slider", "searchbox", "textbox", "listbox", "option", "tab"}
    pressed = [node for node in nodes if node.get("role", {}).get("value") in roles and not node.get("ignored")]
    assert len(pressed) > 20
    assert [node for node in pressed if not node.get("name", {}).get("value", "").strip()] == []
    assert FILM  # the film's name is in no label: it is a file's
