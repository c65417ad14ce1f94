"""The player in a real browser, over real films: where the boxes are, and what keys, mouse, legend and timeline do."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import player_page
import pytest
from chromium import Tab
from chromium import browser_tab
from player_page import CURVE
from player_page import FILMS
from player_page import HOSTILE
from player_page import RTL
from player_page import Film
from player_page import square_box
from written_videos import shift_packets

from r_avst.dataset_builder.video import picture_start
from r_avst.space.overlay import PAGE
from r_avst.space.overlay import PageError
from r_avst.space.overlay import player_component

BY_NAME = {film.name: film for film in FILMS}
MOVING, VARIABLE, PORTRAIT = (BY_NAME[name] for name in ("moving.mp4", "variable.mp4", "portrait.mp4"))
TRUTH_RGB, TRUTH_LINE = (31, 214, 163), 4.5
ROW_RGB = {"truth": (0, 158, 115), "model one": (230, 159, 0), "model two": (86, 180, 233)}

PROBES = (Path(player_page.__file__).parent / "player_probes.js").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Site:
    url: str
    folder: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("player films")
    command = [sys.executable, player_page.__file__, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        try:
            assert line.startswith("http://127.0.0.1:"), line
            yield Site(line.strip(), folder)
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def tab(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    profile = tmp_path_factory.mktemp("profile")
    with browser_tab(profile) as own:
        own.size(1280, 1100)
        own.open(site.url)
        own.wait_for("!!window.player")
        own.value(PROBES)
        yield own
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def page(tab: Tab) -> Iterator[Tab]:
    """The page with nothing hidden, at speed 1; whatever a test does, nothing may be logged as an error."""
    tab.errors.clear()
    tab.size(1280, 1100)
    tab.value("times.wait = copies.wait = null; player.clear(''); document.activeElement.blur(); scrollTo(0, 0)")
    choose(tab, ".speed", "1")
    yield tab
    assert tab.errors == []
    assert tab.value("window.pwned") is None


def show(page: Tab, name: str, options: str = "{ hidden: [] }") -> None:
    """Shows a scene and waits until its picture is up, and what the page asks about its film is there."""
    page.value(f"""server.scene({json.dumps(name)}).then((scene) => {{
      Object.assign(window, {{ scene, told: null }});
      show(scene, {options});
    }})""")
    page.wait_for("!scene.video || (told === scene.video_id && document.querySelector('video').readyState >= 2)")
    page.wait_for("player.drawn().length > 0")


def seek(page: Tab, time: float) -> None:
    """Goes to a time and waits until its frame is on screen and drawn over."""
    page.value(f"player.seek({time})")
    settle(page)


def settle(page: Tab) -> None:
    page.value("probe.settled(player.time() + (window.scene?.start ?? 0))")


def press_and_settle(page: Tab, key: str, shift: bool = False) -> None:
    """Presses a key that goes elsewhere and waits for the frame there."""
    page.press(key, shift)
    settle(page)


def choose(page: Tab, selector: str, value: str) -> None:
    page.value(f"""(() => {{
      const node = document.querySelector({json.dumps(selector)});
      node.value = {json.dumps(value)};
      node.dispatchEvent(new Event("change", {{ bubbles: true }}));
    }})()""")


def time_of(page: Tab) -> float:
    return float(page.value("player.time()"))


def state(page: Tab) -> dict[str, Any]:
    found: dict[str, Any] = page.value("player.state()")
    return found


def check(page: Tab, selector: str, place: int) -> None:
    """Clicks a checkbox of the legend as a mouse does."""
    x, y = page.value(f"""(() => {{
      const node = document.querySelectorAll({json.dumps(selector + " input")})[{place}];
      const {{ x, y, width, height }} = node.getBoundingClientRect();
      return [x + width / 2, y + height / 2];
    }})()""")
    page.click(x, y)


def seen(page: Tab, sides: tuple[int, ...] = (0,)) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.value(f"probe.seen({list(sides)}, {list(TRUTH_RGB)}, {TRUTH_LINE})")
    return found


def assert_on_the_square(found: dict[str, Any], where: object = None, slack: float = 2) -> None:
    assert found["red"], where
    assert found["painted"] == pytest.approx(found["red"], abs=slack), (where, found)


def play_and_look(page: Tab, frames: int, sides: tuple[int, ...] = (0,), meanwhile: str = "") -> list[dict[str, Any]]:
    """Plays and looks at so many presented frames, each in the callback in which the browser presents it.

    Where the browser has moved on to the next frame between the player's drawing and this look, another frame is taken.
    """
    found: list[dict[str, Any]] = page.value(f"""new Promise((done) => {{
      const video = document.querySelector("video"), found = [];
      const look = (_, {{ mediaTime }}) => {{
        const drawn = player.drawn().find(({{ truth, side }}) => truth && side === 0), frame = new VideoFrame(video);
        if (drawn && Math.abs(drawn.time - frame.timestamp / 1e6) < 0.001) {{
          const sides = probe.seen({list(sides)}, {list(TRUTH_RGB)}, {TRUTH_LINE}, frame);
          found.push({{ mediaTime, sides, drawn: drawn.box, paused: video.paused }});
        }}
        frame.close();
        if (found.length === {frames // 2}) {{ {meanwhile} }}
        if (found.length < {frames} && !video.ended) video.requestVideoFrameCallback(look);
        else {{ video.pause(); done(found); }}
      }};
      video.requestVideoFrameCallback(look);
      video.muted = true;
      video.play();
    }})""")
    assert len(found) >= 0.75 * frames
    return found


def assert_all_on_the_square(frames: list[dict[str, Any]]) -> None:
    for frame in frames:
        assert not frame["paused"]
        for side in frame["sides"]:
            assert_on_the_square(side, frame["mediaTime"])
        assert frame["drawn"] == pytest.approx(frame["sides"][0]["red"], abs=2), frame["mediaTime"]


ONLY_TRUTH = "{ time: 0, hidden: ['model one', 'model two'] }"


# --- boxes over the picture -------------------------------------------------------------------------------------------


def test_while_it_plays_boxes_lie_on_what_they_show(page: Tab) -> None:
    show(page, MOVING.name, ONLY_TRUTH)
    frames = play_and_look(page, 40)
    assert len({frame["mediaTime"] for frame in frames}) >= 30
    assert_all_on_the_square(frames)


def test_at_double_speed_and_through_a_resize_boxes_stay_on_what_they_show(page: Tab) -> None:
    show(page, MOVING.name, ONLY_TRUTH)
    choose(page, ".speed", "2")
    narrow = "document.querySelector('.player').style.maxWidth = '500px';"
    frames = play_and_look(page, 40, meanwhile=narrow)
    page.value("document.querySelector('.player').style.maxWidth = ''")
    assert page.value("document.querySelector('video').playbackRate") == 2
    # The frame in whose callback the width changes is laid out and drawn anew only after it.
    assert_all_on_the_square(frames[:19] + frames[22:])


@pytest.mark.parametrize("film", [MOVING, VARIABLE, PORTRAIT], ids=lambda film: film.name)
@pytest.mark.parametrize("width", [1280, 400])
def test_after_seeks_boxes_lie_on_what_they_show(page: Tab, film: Film, width: int) -> None:
    page.size(width, 1100)
    show(page, film.name, ONLY_TRUTH)
    for place in (7, 60, 3, len(film.times) - 1, 31):
        seek(page, film.times[place])
        (found,) = seen(page)
        assert_on_the_square(found, place)
        if film is not VARIABLE:  # where frames differ in length Chromium may stop at an earlier one
            assert found["red"] == pytest.approx(square_box(film, place), abs=2)


def test_in_full_screen_boxes_lie_on_what_they_show(page: Tab) -> None:
    show(page, MOVING.name, ONLY_TRUTH)
    page.press("f")
    page.wait_for("document.fullscreenElement?.className === 'screen'")
    page.wait_for("document.querySelector('.screen').clientWidth === innerWidth")
    seek(page, 2.2)
    assert_on_the_square(seen(page)[0])
    assert_all_on_the_square(play_and_look(page, 12))
    assert page.value("document.querySelector('.timeline').getBoundingClientRect().bottom <= innerHeight")
    page.press("f")
    page.wait_for("!document.fullscreenElement")
    seek(page, 3.0)
    assert_on_the_square(seen(page)[0])


def test_in_compare_mode_both_panels_show_one_frame_with_its_boxes(page: Tab) -> None:
    show(page, MOVING.name, ONLY_TRUTH)
    page.press("c")
    assert state(page)["compare"] == ["model one", "model two"]
    seek(page, 1.48)
    shown = page.value("player.drawn().map(({ side, layer }) => [side, layer])")
    assert sorted(map(tuple, shown)) == [
        (0, "model one"), (0, "truth"), (1, "model two"), (1, "model two"), (1, "truth")
    ]  # fmt: skip
    names = page.value("[...document.querySelectorAll('figcaption')].map((node) => node.textContent)")
    assert names == ["Amodel one", "Bmodel two"]
    for place in (1, 2):  # the models' own lines would be met on the way to the true ones
        check(page, ".layers", place)
    for found in seen(page, (0, 1)):
        assert_on_the_square(found)
    frames = play_and_look(page, 12, (0, 1))
    assert_all_on_the_square(frames)
    choose(page, "[data-side='1']", "truth")
    assert state(page)["compare"] == ["model one", "truth"]
    choose(page, "[data-side='1']", "model two")
    page.press("c")
    assert state(page)["compare"] is None


def test_what_is_not_compared_is_faint_and_says_so(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 5, hidden: [] }")
    page.value("player.restore({ compare: ['model one', 'truth'] })")
    chips = "[...document.querySelectorAll('.layers .chip')].map((node) => node.textContent.includes('not compared'))"
    assert page.value(chips) == [False, False, True]
    band = f"probe.runs({list(ROW_RGB['model two'])}, {6 + 20 * 2 + 4}, {6 + 20 * 2 + 8}).length"
    assert page.value(band) == 0
    page.press("c")
    assert page.value(chips) == [False, False, False]
    assert page.value(band) == 1


def test_what_was_hidden_before_comparing_is_hidden_after_it(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 1, hidden: ['model one', 'model two'] }")
    page.value("player.restore({ compare: ['model one', 'model two'] })")
    assert state(page)["layers"] == ["truth", "model one", "model two"]
    for _ in range(2):  # what a person chooses in the meantime stays
        check(page, ".layers", 2)
    page.press("c")
    assert state(page)["layers"] == ["truth", "model two"]


def test_another_film_brings_its_own_boxes_and_keeps_speed_volume_and_hidden_layers(page: Tab) -> None:
    show(page, MOVING.name, ONLY_TRUTH)
    choose(page, ".speed", "0.5")
    page.value(
        "document.querySelector('.volume').value = 0.25; document.querySelector('.volume').dispatchEvent(new Event('input'))"
    )
    page.value("player.seek(3); document.querySelector('video').play()")
    show(page, PORTRAIT.name, "{}")
    assert time_of(page) == 1.0  # where the truth's span starts
    kept = "(({ paused, playbackRate, volume }) => [paused, playbackRate, volume])(document.querySelector('video'))"
    assert page.value(kept) == [True, 0.5, 0.25]
    page.wait_for("document.querySelector('.play').ariaLabel === 'Play'", 2)
    assert state(page)["layers"] == ["truth"]
    (found,) = seen(page)
    assert_on_the_square(found)
    assert found["red"] == pytest.approx(square_box(PORTRAIT, 25), abs=2)


def test_until_another_film_is_there_no_box_is_shown_and_the_clock_shows_where_it_will_be(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 1, hidden: [] }")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        video = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        page.value(f"player.show({{ ...scene, video: '{video}', duration: 5 }}, {{ time: 3 }})")
        painted = page.value("""(() => {
          const canvas = document.querySelector(".boxes");
          return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0);
        })()""")
        assert not painted
        assert page.value("[player.drawn().length, document.querySelector('.clock').textContent]") == [0, "3.00 / 5.00 s"]
        page.wait_for("document.querySelector('.note').textContent === 'The video is loading…'", 5)
        page.value("player.clear('')")


def test_held_boxes_are_marked_and_end_after_a_second_or_with_an_empty_list(page: Tab) -> None:
    show(page, MOVING.name)
    seen_at: dict[float, list[tuple[str, bool]]] = {}
    for time in (1.0, 1.48, 2.0, 3.2, 4.0):
        seek(page, time)
        found = page.value("player.drawn().map(({ name, held }) => [name, held])")
        seen_at[time] = [(name, held) for name, held in found if name != "ghost"]
    assert seen_at == {
        1.0: [("red square", False), ("red box", False), ("scarlet thing", False)],
        1.48: [("red square", False), ("red box", True), ("scarlet thing", True)],
        2.0: [("red square", False), ("red box", False)],
        3.2: [("red square", False), ("red box", True)],
        4.0: [("red square", False), ("red box", False), ("scarlet thing", False)],
    }


def test_the_lines_of_held_boxes_have_gaps(page: Tab) -> None:
    show(page, MOVING.name, "{ hidden: ['truth', 'model two'] }")
    gaps = """(() => {
      const { place: [x, y, width] } = player.drawn()[0], canvas = document.querySelector(".boxes");
      const alpha = canvas.getContext("2d").getImageData(Math.round(x), Math.round(y), Math.round(width), 1).data;
      return [...Array(Math.round(width)).keys()].filter((at) => alpha[4 * at + 3] < 60).length / width;
    })()"""
    seek(page, 1.0)
    assert page.value(gaps) == 0
    seek(page, 1.48)
    assert 0.15 < page.value(gaps) < 0.6


def test_boxes_are_scaled_to_films_of_another_size_than_they_were_drawn_for(page: Tab) -> None:
    show(page, MOVING.name, ONLY_TRUTH)
    page.value("""(() => {
      const half = (frames) => frames.map(([time, boxes]) => [time, boxes.map((box) => box.map((edge) => edge / 2))]);
      const halfLayer = (layer) => ({ ...layer, tracks: layer.tracks.map((own) => ({ ...own, frames: half(own.frames) })) });
      player.show({ ...scene, frame: [320, 180], layers: scene.layers.map(halfLayer) }, { time: 0 });
    })()""")
    seek(page, 2.4)
    assert_on_the_square(seen(page)[0])


# --- what the browser's clock tells -----------------------------------------------------------------------------------


@pytest.mark.parametrize("film", FILMS[:-1], ids=lambda film: film.name)
def test_time_0_is_where_the_files_own_clock_says_the_picture_starts(page: Tab, site: Site, film: Film) -> None:
    """``scene.start`` is `picture_start`: Chromium's ``mediaTime`` is the frame's time by the file's own clock."""
    start = picture_start(site.folder / film.name)
    if film.start:
        assert start == pytest.approx(film.start, abs=1e-3)
    show(page, film.name, ONLY_TRUTH)
    for place in (0, 1, 30):
        seek(page, film.times[place])
        media_time = page.value("probe.mediaTime")
        shown = min(range(len(film.times)), key=lambda index: abs(film.times[index] - (media_time - start)))
        assert media_time - start == pytest.approx(film.times[shown], abs=1e-3)
        assert seen(page)[0]["red"] == pytest.approx(square_box(film, shown), abs=2)
        assert shown == place or film is VARIABLE


def test_time_0_of_a_film_whose_beginning_is_cut_away_is_its_first_frame_that_is_shown(page: Tab, site: Site) -> None:
    cut = shift_packets(site.folder / "cut.mp4", (site.folder / PORTRAIT.name, -0.5))  # an edit list
    assert picture_start(cut) == 0
    show(page, PORTRAIT.name, ONLY_TRUTH)
    page.value("player.show({ ...scene, video: scene.video.replace('portrait.mp4', 'cut.mp4') }, { time: 0 })")
    page.wait_for("document.querySelector('video').duration < 3.6 && probe.red(0)?.[0] > 70")
    for place in (0, 5):
        seek(page, place / 25)
        assert page.value("[probe.mediaTime, probe.red(0)]") == [
            pytest.approx(place / 25),
            pytest.approx(square_box(PORTRAIT, 13 + place), abs=2),
        ]


# --- keys and buttons -------------------------------------------------------------------------------------------------


def test_arrow_keys_step_by_frames_of_any_length(page: Tab) -> None:
    show(page, VARIABLE.name, ONLY_TRUTH)
    stepped = []
    for key in ["ArrowRight"] * 6 + ["ArrowLeft"] * 2:
        press_and_settle(page, key)
        stepped.append(time_of(page))
        assert_on_the_square(seen(page)[0], stepped)
    expected = [VARIABLE.times[place] for place in (1, 2, 3, 4, 5, 6, 5, 4)]
    assert stepped == pytest.approx(expected, abs=1e-3)


def test_arrow_keys_step_a_thirtieth_where_no_frame_times_are_known(page: Tab) -> None:
    show(page, "absent", "{ time: 1, hidden: [] }")
    page.press("ArrowRight")
    assert time_of(page) == pytest.approx(1 + 1 / 30)
    page.press("ArrowLeft")
    page.press("ArrowLeft")
    assert time_of(page) == pytest.approx(1 - 1 / 30)


def test_a_step_waits_for_the_frames_times_while_they_are_asked_for(page: Tab) -> None:
    page.value("void (times.wait = new Promise((done) => { times.come = done; }))")
    page.value("server.scene('variable.mp4').then((scene) => { show(scene, { time: 0, hidden: [] }); })")
    page.wait_for("player.drawn().length > 0")
    page.press("ArrowRight")
    assert time_of(page) == 0
    page.value("times.come(); times.wait = null")
    page.wait_for("player.time() > 0")
    assert time_of(page) == pytest.approx(VARIABLE.times[1], abs=1e-3)


def test_after_a_seek_while_it_plays_it_is_where_it_has_come_to(page: Tab) -> None:
    show(page, MOVING.name)
    page.value("document.querySelector('video').muted = true; document.querySelector('video').play()")
    page.wait_for("player.time() > 1.2")
    page.value("player.seek(3)")
    page.wait_for("player.time() > 4")
    page.press(" ")
    page.wait_for("document.querySelector('video').paused")
    settle(page)
    assert time_of(page) == pytest.approx(page.value("document.querySelector('video').currentTime"), abs=0.1)
    press_and_settle(page, "ArrowRight")
    assert time_of(page) > 4


def test_keys_that_other_controls_of_the_page_take_are_left_to_them(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 1, hidden: [] }")
    page.value("""document.body.insertAdjacentHTML("beforeend", `<div id="others">
      <input type="radio" name="task" value="one" checked><input type="radio" name="task" value="two">
      <span role="button" tabindex="0">Play</span></div>`)""")
    page.value("document.querySelector('#others input').focus()")
    page.press("ArrowRight")
    assert page.value("document.querySelector('#others input:checked').value") == "two"
    page.value("document.querySelector('#others span').focus()")
    page.press(" ")
    page.value("document.querySelector('#others').remove()")
    assert page.value("[player.time(), document.querySelector('video').paused]") == [1, True]


def test_shift_and_arrows_go_to_annotated_seconds_of_what_is_shown(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 2.5, hidden: ['truth'] }")
    places = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
        press_and_settle(page, key, shift=True)
        places.append(time_of(page))
    assert places == pytest.approx([3, 4, 3, 2, 1], abs=1e-3)
    page.value("player.restore({ layers: ['truth'] })")
    press_and_settle(page, "ArrowRight", shift=True)
    assert time_of(page) == pytest.approx(1.04, abs=1e-3)


def test_space_plays_and_pauses_and_the_end_stops(page: Tab) -> None:
    show(page, MOVING.name)
    page.press(" ")
    page.wait_for("player.time() > 1.3 && document.querySelector('.play').ariaLabel === 'Pause'")
    page.press(" ")
    page.wait_for("document.querySelector('.play').ariaLabel === 'Play'")
    here = time_of(page)
    assert page.value("document.querySelector('.clock').textContent") == f"{here:.2f} / 8.00 s"
    page.value("player.seek(7.8); document.querySelector('.play').click()")
    page.wait_for("document.querySelector('video').ended && document.querySelector('.play').ariaLabel === 'Play'")


def test_digits_toggle_objects_and_m_mutes(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 1, hidden: [] }")
    page.press("2")
    assert state(page)["objects"] == [0]
    assert "ghost" not in page.value("player.drawn().map(({ name }) => name)")
    page.press("1")
    assert page.value("player.drawn().length") == 0
    page.press("2")
    page.press("9")  # there is none
    assert state(page)["objects"] == [1]
    muted = page.value("document.querySelector('video').muted")
    page.press("m")
    assert page.value("document.querySelector('video').muted") != muted
    assert page.value("document.querySelector('[data-act=mute]').getAttribute('aria-pressed')") == json.dumps(not muted)


def test_a_louder_film_is_no_longer_mute_and_without_a_film_there_is_nothing_to_hear(page: Tab) -> None:
    show(page, MOVING.name)
    page.value("document.querySelector('video').muted = true")
    page.value(
        "document.querySelector('.volume').value = 0.5; document.querySelector('.volume').dispatchEvent(new Event('input'))"
    )
    sound = "[...document.querySelector('.sound').children].map(({ disabled }) => disabled)"
    assert page.value(f"[document.querySelector('video').muted, {sound}]") == [False, [False, False]]
    assert page.value("document.querySelector('[data-act=mute]').ariaPressed") == "false"
    assert page.value("document.querySelector('video').ariaLabel") == "Video moving.mp4"
    show(page, "absent")
    assert page.value(sound) == [True, True]
    page.press("m")
    assert page.value("document.querySelector('video').muted") is False


def test_keys_are_left_alone_while_typing_on_buttons_and_when_the_player_is_out_of_sight(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 1, hidden: [] }")
    page.value("document.querySelector('.elsewhere').focus()")
    for key in ("1", "c", "m", "ArrowRight", " "):
        page.press(key)
    assert (state(page), page.value("document.querySelector('.elsewhere').value")) == (
        {"time": 1, "layers": ["truth", "model one", "model two"], "objects": [0, 1], "compare": None}, "1cm ",
    )  # fmt: skip
    page.value("document.querySelector('[data-act=compare]').focus()")
    page.press(" ")  # presses the button; does not play
    assert (state(page)["compare"], page.value("document.querySelector('video').paused")) == (
        ["model one", "model two"],
        True,
    )
    page.value("document.activeElement.blur(); document.querySelector('.player').style.display = 'none'")
    page.press("1")
    page.value("document.querySelector('.player').style.display = ''")
    assert state(page)["objects"] == [0, 1]


def test_a_player_that_goes_out_of_sight_stops(page: Tab) -> None:
    show(page, MOVING.name)
    page.value("document.querySelector('video').play()")
    page.value("document.querySelector('.player').style.display = 'none'")
    page.wait_for("document.querySelector('video').paused")
    page.value("document.querySelector('.player').style.display = ''")


def test_a_button_that_was_clicked_does_not_take_the_space_key(page: Tab) -> None:
    show(page, MOVING.name)
    x, y = page.value("(({ x, y }) => [x + 9, y + 9])(document.querySelector('[data-act=compare]').getBoundingClientRect())")
    page.click(x, y)
    page.press(" ")
    page.wait_for("!document.querySelector('video').paused")
    assert state(page)["compare"] == ["model one", "model two"]


# --- legend -----------------------------------------------------------------------------------------------------------


def test_the_legend_hides_layers_and_objects(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 1, hidden: [] }")
    check(page, ".layers", 0)
    assert {own["layer"] for own in page.value("player.drawn().map(({ layer }) => ({ layer }))")} == {
        "model one",
        "model two",
    }
    check(page, ".layers", 2)
    check(page, ".objects", 0)
    assert page.value("player.drawn().length") == 0
    assert state(page) == {"time": 1, "layers": ["model one"], "objects": [1], "compare": None}
    check(page, ".objects", 0)
    check(page, ".layers", 0)
    check(page, ".layers", 1)  # its lines would be met on the way to the true ones
    seek(page, 1.2)
    assert_on_the_square(seen(page)[0])


def test_models_keep_their_colours_when_one_is_missing(page: Tab) -> None:
    show(page, MOVING.name)
    before = page.value("Object.fromEntries(player.drawn().map(({ layer, style }) => [layer, style.colour]))")
    page.value("player.update({ ...scene, layers: [scene.layers[0], scene.layers[2]] })")
    after = page.value("Object.fromEntries(player.drawn().map(({ layer, style }) => [layer, style.colour]))")
    assert after == {name: before[name] for name in ("truth", "model two")}
    assert len(set(before.values())) == 3


# --- timeline ---------------------------------------------------------------------------------------------------------


def click_timeline(page: Tab, x: float) -> None:
    left, top = page.value("(({ x, y }) => [x, y])(document.querySelector('.timeline').getBoundingClientRect())")
    page.click(left + x, top + 30)


def test_spans_stand_where_a_click_goes_to_their_times(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 5, hidden: [] }")
    for place, (name, span) in enumerate({"truth": (1.0, 3.0), "model one": (2.0, 3.5), "model two": (0.5, 1.0)}.items()):
        ((first, last),) = page.value(f"probe.runs({list(ROW_RGB[name])}, {6 + 20 * place + 4}, {6 + 20 * place + 8})")
        for x, time in ((first, span[0]), (last, span[1])):
            click_timeline(page, x)
            assert time_of(page) == pytest.approx(time, abs=0.02), name


@pytest.mark.parametrize("duration", [8, 5, 11])
def test_the_sound_stands_where_it_is_heard(page: Tab, duration: int) -> None:
    """The data set may say another duration than the film has."""
    show(page, MOVING.name, "{ time: 5, hidden: [] }")
    page.value("told = null")
    page.value(f"player.show({{ ...scene, duration: {duration} }}, {{ time: 1 }})")
    page.wait_for("told")
    quiet = page.wait_for("""(() => {
      const canvas = document.querySelector(".timeline"), y = Math.round((6 + 60 + 6 + 18) * devicePixelRatio) - 4;
      const data = canvas.getContext("2d").getImageData(150, y, canvas.width - 150, 1).data;
      const found = [...Array(canvas.width - 150).keys()].filter((x) => data[4 * x + 3] > 120);
      return found.length > 20 && [found[0] + 150, found.at(-1) + 151];
    })()""")
    for x, time in zip(quiet, player_page.TONE, strict=True):
        click_timeline(page, x)
        assert time_of(page) == pytest.approx(time, abs=0.05)


def test_curves_go_through_their_values_and_break_where_nothing_is_annotated(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 7.9, hidden: ['model two'] }")
    first, second = page.value(f"probe.runs({list(ROW_RGB['model one'])}, 110, 400)")
    for x, time in zip((*first, *second), (0, 2, 5, 7), strict=True):
        click_timeline(page, x)
        assert time_of(page) == pytest.approx(time, abs=0.05)
    per_second = (first[1] - first[0]) / 2

    def height(time: float) -> float:
        rows = page.value(f"probe.rows({list(ROW_RGB['model one'])}, {first[0] + per_second * time})")
        below = [row for row in rows if row > 110]
        return sum(below) / len(below)

    top, bottom = height(5.5), height(1.9)
    for time, value in (*CURVE[1:2], (6.8, 0.4)):
        assert value is not None
        share = 1 - (height(time) - top) / (bottom - top)
        assert share == pytest.approx((value - 0.05) / 0.95, abs=0.05)
    assert page.value(f"probe.rows({list(ROW_RGB['model one'])}, {first[0] + per_second * 3.5})[0]") < 100


def test_the_timeline_is_dragged_and_is_a_slider_for_keys(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 0, hidden: [] }")
    left, top, width = page.value(
        "(({ x, y, width }) => [x, y, width])(document.querySelector('.timeline').getBoundingClientRect())"
    )
    times = []
    page.mouse("press", left + width / 2, top + 40)
    for x in (width / 2, width * 0.7, width + 40, -40):
        page.mouse("drag", left + x, top - 60)
        times.append(time_of(page))
    page.mouse("release", left, top)
    page.mouse("move", left + width / 2, top + 40)
    assert times == [*sorted(times[:3]), 0]
    assert times[2] == 8
    assert time_of(page) == 0
    page.value("document.querySelector('.timeline').focus()")
    page.press("End")
    assert time_of(page) == 8
    page.press("Home")
    press_and_settle(page, "ArrowRight")
    assert time_of(page) == pytest.approx(0.04, abs=1e-3)
    seek(page, 3.0)
    slider = page.value("""(() => {
      const node = document.querySelector(".timeline");
      return [node.role, node.ariaValueNow, node.ariaValueMax, node.ariaValueText];
    })()""")
    assert slider == ["slider", "3.00", "8.00", "3.00 of 8.00 seconds"]


def test_the_playhead_stands_at_the_time_on_screen(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 0, hidden: [] }")
    ((first, last),) = page.value(f"probe.runs({list(ROW_RGB['truth'])}, 10, 14)")
    for time, x in ((1.0, first), (3.0, last)):
        seek(page, time)
        middle = page.value("""(() => {
          const [line, head] = [".timeline", ".playhead"].map((one) => document.querySelector(one).getBoundingClientRect());
          return head.x + head.width / 2 - line.x;
        })()""")
        assert middle == pytest.approx(x, abs=1.5)


# --- texts ------------------------------------------------------------------------------------------------------------


def test_texts_of_data_sets_and_models_are_shown_as_they_are_and_run_nothing(page: Tab) -> None:
    page.size(360, 780)
    show(page, "hostile")
    page.press("c")
    page.value("new Promise((done) => setTimeout(done, 300))")  # an image that fails to load says so later
    assert page.value("document.querySelectorAll('.player img, .player b').length") == 0
    assert page.value("document.querySelector('.asked').textContent") == HOSTILE + RTL
    assert page.value("document.querySelectorAll('.answers pre')[0].textContent") == HOSTILE
    assert page.value("document.querySelectorAll('.answers pre')[1].textContent.length") == 100_000
    assert page.value("[...document.querySelectorAll('.answers li')].map(({ textContent }) => textContent)")[:2] == [
        HOSTILE,
        RTL,
    ]
    assert RTL in page.value("[...document.querySelectorAll('.chip .name')].map(({ textContent }) => textContent)")
    page.value("document.querySelectorAll('.answers details').forEach((node) => { node.open = true; })")
    assert page.value("document.documentElement.scrollWidth <= innerWidth")
    assert page.value("document.querySelector('.player').getBoundingClientRect().height") < 6000
    page.press("c")


def test_half_a_character_is_shown_and_breaks_nothing(page: Tab) -> None:
    show(page, MOVING.name)
    page.value(r"""(() => {
      const layers = scene.layers.map((layer) => ({ ...layer, name: layer.name + "\udc00", text: "\ud83d" }));
      player.update({ ...scene, question: "\ud800 x", layers });
    })()""")
    assert page.value(r"document.querySelector('.asked').textContent === '\ud800 x'")
    assert page.value("player.drawn().length") == 4


def test_a_name_written_from_the_right_turns_nothing_but_itself(page: Tab) -> None:
    show(page, "hostile")
    order = page.value("""(() => {
      const chip = document.querySelectorAll(".objects .chip")[1];
      return [...chip.children].slice(0, 3).map((node) => node.getBoundingClientRect().x);
    })()""")
    assert order == sorted(order)
    isolated = """[...document.querySelectorAll(".player .name, .player th bdi")].every((node) => {
      const { unicodeBidi, display } = getComputedStyle(node);
      return unicodeBidi === "isolate" && display !== "inline";
    })"""
    assert page.value(isolated)
    marks = """[...document.querySelectorAll("tbody tr")].map(({ cells: [cell] }) => {
      return [...cell.children].map((node) => node.getBoundingClientRect().x);
    })"""
    assert all(mark < name for mark, name in page.value(marks))


# --- other layers, no film, a film that cannot be played --------------------------------------------------------------


def test_other_layers_come_without_touching_the_film(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 1, hidden: [] }")
    page.value("""(() => {
      window.touched = [];
      for (const kind of ["emptied", "loadstart", "seeking", "pause"]) {
        document.querySelector("video").addEventListener(kind, () => touched.push(kind));
      }
      document.querySelectorAll(".answers details")[1].open = true;
      document.querySelectorAll(".layers input")[1].focus();
      document.querySelector("video").muted = true;
    })()""")
    page.value("document.querySelector('video').play()")
    for count in range(5):
        page.value(
            f"player.update({{ ...scene, layers: [scene.layers[0], {{ ...scene.layers[1], text: 'streamed {count}' }}] }})"
        )
    assert page.value("document.querySelectorAll('.answers pre')[1].textContent") == "streamed 4"
    assert page.value("document.querySelectorAll('.answers details')[1].open")
    assert page.value("document.activeElement === document.querySelectorAll('.layers input')[1]")
    assert page.value(
        "[touched, document.querySelector('video').paused, document.querySelectorAll('.layers .chip').length]"
    ) == [[], False, 2]
    page.value("document.querySelector('video').pause()")


def test_an_object_of_another_answer_is_not_hidden_by_what_was_hidden_before(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 1, hidden: [] }")
    page.press("1")
    page.value("player.update({ ...scene, objects: [], layers: [] })")  # as each question begins
    page.value("player.update(scene)")
    assert state(page)["objects"] == [0, 1]


def test_what_came_behind_another_tab_has_its_lines_in_the_legend(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 1, hidden: [] }")
    page.value("document.querySelector('.player').style.display = 'none'")
    page.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
    page.value("player.update(scene)")
    assert page.value("document.querySelector('.layers .sample').width") == 0
    page.value("document.querySelector('.player').style.display = ''")
    page.wait_for("[...document.querySelectorAll('.layers .sample')].every(({ width, height }) => width && height)")


def test_without_a_film_boxes_move_by_a_clock(page: Tab) -> None:
    show(page, "absent")
    assert page.value("document.querySelector('.note').textContent").startswith("No video file for absent")
    page.press(" ")
    page.wait_for("player.time() > 1.5")
    page.press(" ")
    stopped = time_of(page)
    page.value("new Promise((done) => setTimeout(done, 200))")
    assert time_of(page) == stopped
    drawn = page.value("player.drawn().find(({ truth }) => truth)")
    assert drawn["box"] == list(square_box(MOVING, int(25 * stopped + 0.025)))
    x, y, width, _ = drawn["place"]
    at = f"{round(x + width / 2)}, {round(y)}, 1, 1"
    assert page.value(f"document.querySelector('.boxes').getContext('2d').getImageData({at}).data[3]") > 200
    choose(page, ".speed", "2")
    page.value("player.seek(7); document.querySelector('.play').click()")
    page.wait_for("player.time() === 8 && document.querySelector('.play').ariaLabel === 'Play'", 1.5)


def test_a_film_that_the_browser_cannot_play_is_asked_for_as_a_copy(page: Tab) -> None:
    page.value("void (copies.wait = new Promise((done) => { copies.come = done; }))")
    page.value("server.scene('unplayable.mkv').then((scene) => { show(scene, { time: 1, hidden: [] }); })")
    page.wait_for("document.querySelector('.note').textContent.endsWith('42 %')")
    page.value("copies.come()")
    page.wait_for("player.drawn().length > 0 && document.querySelector('.note').hidden")
    assert time_of(page) == 1
    page.value("player.restore({ layers: ['truth'] })")
    seek(page, 1.4)
    assert_on_the_square(seen(page)[0])


def test_a_copy_comes_also_when_another_question_of_the_film_is_chosen_meanwhile(page: Tab) -> None:
    page.value("void (copies.wait = new Promise((done) => { copies.come = done; }))")
    page.value(
        "server.scene('unplayable.mkv').then((scene) => { show(scene, { time: 1, hidden: [] }); window.scene = scene; })"
    )
    page.wait_for("document.querySelector('.note').textContent.endsWith('42 %')")
    page.value("show({ ...scene, question_id: 'another' }, { time: 1, hidden: [] })")
    page.wait_for("document.querySelector('.note').textContent.endsWith('42 %')")
    page.value("copies.come()")
    page.wait_for("player.drawn().length > 0 && document.querySelector('.note').hidden")


def test_what_no_copy_is_found_for_is_said_and_goes_by_a_clock(page: Tab) -> None:
    page.value("copies.wait = null")
    other = "show({ ...scene, video_id: 'other' }, { time: 1, hidden: [] })"
    page.value(f"server.scene('unplayable.mkv').then((scene) => {{ {other}; }})")
    page.wait_for("document.querySelector('.note').textContent.startsWith('The browser cannot play the file of other')")
    page.press(" ")
    page.wait_for("player.time() > 1.2")
    page.press(" ")


# --- links, words for those who hear the page, narrow widths ----------------------------------------------------------


def test_a_link_brings_back_what_was_shown_and_nonsense_changes_nothing(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 2, hidden: ['model two'] }")
    page.press("2")
    kept = state(page)
    show(page, MOVING.name, "{ hidden: [] }")
    page.value(f"player.restore({json.dumps(kept)})")
    assert state(page) == kept
    for nonsense in (
        "null",
        "{ time: 'x', layers: 3, objects: 'a', compare: ['model one', '<b>'] }",
        "{ time: NaN, compare: [1] }",
    ):
        page.value(f"player.restore({nonsense})")
        assert state(page) == kept
    page.value("player.restore({ compare: ['model two', 'truth'], time: 1e9 })")
    assert (state(page)["compare"], time_of(page)) == (["model two", "truth"], 8)
    page.value("player.restore({ compare: ['model one', 'model two'] })")


def test_what_is_on_screen_is_said_when_it_stands_still(page: Tab) -> None:
    show(page, MOVING.name, "{ time: 0, hidden: ['model two'] }")
    seek(page, 3.0)
    page.wait_for(
        "document.querySelector('.spoken').textContent === 'at 3.00 s: red square (truth), red box (model one)'", 3
    )
    page.press("1")
    seek(page, 3.4)
    page.wait_for("document.querySelector('.spoken').textContent === 'at 3.40 s: no boxes'", 3)


def test_every_control_has_a_name_for_those_who_hear_the_page(page: Tab) -> None:
    show(page, MOVING.name)
    page.press("c")
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    page.press("c")
    roles = {"button", "checkbox", "slider", "combobox", "DisclosureTriangle"}
    named = [(node["role"]["value"], node["name"]["value"]) for node in nodes if node.get("role", {}).get("value") in roles]
    assert all(name.strip() for _, name in named), named
    buttons = ("Play", "One frame back", "Next annotated second", "Mute", "Full screen", "Compare")
    others = (("slider", "Timeline"), ("slider", "Volume"), ("combobox", "Speed"), ("combobox", "Layer on the left"))
    for role, name in (*(("button", name) for name in buttons), *others):
        assert (role, name) in named
    assert [name for role, name in named if role == "checkbox"] == [
        "truth", "A model one", "B model two", "1 red square sounds", "2 ghost"
    ]  # fmt: skip


def test_at_phone_width_nothing_goes_over_the_edge(page: Tab) -> None:
    page.size(360, 780)
    show(page, MOVING.name)
    page.press("c")
    page.wait_for("document.querySelectorAll('.panel')[1].clientHeight > 50")
    page.value("player.restore({ layers: ['truth'], compare: player.state().compare })")
    assert page.value("document.documentElement.scrollWidth <= innerWidth")
    over = """[...document.querySelectorAll(".player :is(button, select, canvas, video, .chip)")].filter((node) => {
      return node.checkVisibility() && node.getBoundingClientRect().right > innerWidth;
    }).length"""
    assert page.value(over) == 0
    first, second = page.value("[...document.querySelectorAll('.panel')].map((node) => node.getBoundingClientRect().y)")
    assert second > first + 50
    seek(page, 1.8)
    scale = page.value("document.querySelector('.mirror').clientWidth / 640")
    assert_on_the_square(seen(page, (0, 1))[1], slack=2 / scale)


def test_a_cleared_player_shows_its_note_alone(page: Tab) -> None:
    show(page, MOVING.name)
    page.value("player.clear('Choose a question.')")
    for key in (" ", "1", "c", "f", "ArrowRight"):
        page.press(key)
    assert page.value("document.querySelector('.note').textContent") == "Choose a question."
    assert page.value(
        "[player.drawn().length, document.querySelector('video').hasAttribute('src'), player.state().layers.length]"
    ) == [0, False, 0]
    assert not page.value("document.querySelector('.controls').checkVisibility()")


# --- the component ----------------------------------------------------------------------------------------------------


def test_a_page_is_made_of_its_parts_in_order(tmp_path: Path) -> None:
    write_page(tmp_path)
    component = player_component("own", {"a": 1}, [], tmp_path)
    assert component.html_template == f"<div>{(PAGE / 'player.html').read_text(encoding='utf-8')}</div>"
    assert component.css_template.endswith(".own {}")
    parts = [component.js_on_load.index(part) for part in ("const { makeTimeline", "const { makePlayer,", "// own script")]
    assert parts == sorted(parts)
    assert component.value == {"a": 1}


def write_page(folder: Path, html: str = "<div><!--player--></div>", css: str = ".own {}") -> None:
    (folder / "own.html").write_text(html, encoding="utf-8")
    (folder / "own.css").write_text(css, encoding="utf-8")
    (folder / "own.js").write_text("// own script\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("html", "css", "message"),
    [
        ("<!--player-->\n${value}", "", r"own\.html, line 2: Gradio would evaluate its '\$\{'"),
        ("<!--player-->{{value}}", "", r"own\.html, line 1: Gradio would evaluate its '\{\{'"),
        ("<!--player-->`", "", "own.html, line 1: Gradio would evaluate its '`'"),
        ("<!--player-->", "a { content: '\\2014' }", "own.css, line 1: Gradio would evaluate its"),
        ("<div></div>", "", "own.html: <!--player--> stands in it 0 times"),
        ("<!--player--><!--player-->", "", "own.html: <!--player--> stands in it 2 times"),
    ],
)
def test_what_gradio_would_evaluate_is_refused(tmp_path: Path, html: str, css: str, message: str) -> None:
    write_page(tmp_path, html, css)
    with pytest.raises(PageError, match=message):
        player_component("own", {}, [], tmp_path)


@pytest.mark.parametrize("suffix", ["html", "css", "js"])
def test_a_missing_part_is_named(tmp_path: Path, suffix: str) -> None:
    write_page(tmp_path)
    (tmp_path / f"own.{suffix}").unlink()
    with pytest.raises(PageError, match=rf"own\.{suffix}: this part of the page cannot be read \(No such file"):
        player_component("own", {}, [], tmp_path)
