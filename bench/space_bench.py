"""Benchmarks of the Space: how soon its page with all questions is there in a real browser, and another question on it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from statistics import median

from chromium import Tab
from chromium import browser_tab
from measure import Row
from metrics_bench import release_file
from space_server import served_space
from space_server import write_floors
from written_videos import write_numbered

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.metrics.benchmark import load_rows

OPENS, CHANGES = 5, 40  # pages opened, questions changed
OPEN_AIM, CHANGE_AIM = 2.0, 0.5  # seconds
SECONDS, RATE, SIZE = 40, 30, (640, 360)  # of the film that stands for each video; the released ones last 42 s in the mean
# There is a question on the page: its row is chosen, a frame of its video is decoded, and boxes are drawn over it.
SHOWN = "document.querySelector('.row[aria-selected=\"true\"]') && document.querySelector('.player video')?.readyState >= 2"
# Seconds from a click on Next until another question's frame is on screen with its boxes.
CHANGE = """new Promise((done) => {
  const video = document.querySelector(".player video"), id = document.querySelector(".id"), before = id.textContent;
  const start = performance.now();
  const look = () => {
    if (id.textContent !== before && video.readyState >= 2 && !video.seeking) done((performance.now() - start) / 1000);
    else requestAnimationFrame(look);
  };
  document.querySelector(".next").click();
  requestAnimationFrame(look);
})"""


@contextmanager
def opened_page() -> Iterator[tuple[Tab, str, int]]:
    """A browser, the address of a page with the released questions, a film for each and four models, and their number."""
    with tempfile.TemporaryDirectory(prefix="r-avst-bench-") as name:
        folder = Path(name)
        build_release(str(release_file(folder)), None, None, folder / "r-avst")
        (folder / "videos").mkdir()
        film = folder / "film.mp4"
        write_numbered(film, range(SECONDS * RATE), Fraction(1, RATE), size=SIZE)
        video_ids = load_rows(str(folder / "r-avst"), "test", ["video_id"])["video_id"][:]
        for video_id in set(video_ids):
            (folder / "videos" / f"{video_id}.mp4").hardlink_to(film)
        models = write_floors(folder / "r-avst", folder)
        options = ("--dataset", folder / "r-avst", "--videos", folder / "videos", "--predictions", *models)
        with served_space(*options) as space, browser_tab(folder / "profile") as tab:
            tab.size(1280, 960)
            yield tab, space.url, len(video_ids)


def space_open() -> Row:
    """From the address to the first question with its picture."""
    with opened_page() as (tab, url, count):
        seconds = [_open(tab, url) for _ in range(OPENS)]
    value = median(seconds)
    return Row("space_open", value, "s", f"{count:,} questions, 4 models; aim {OPEN_AIM} s", value / OPEN_AIM, "at most 1")


def space_change() -> Row:
    """From the click to the other question's picture, each of a video that was not shown before."""
    with opened_page() as (tab, url, count):
        _open(tab, url)
        seconds = [float(tab.value(CHANGE)) for _ in range(CHANGES)]
    value = median(seconds)
    against = f"{count:,} questions, {CHANGES} changes, slowest {max(seconds):.2f} s; aim {CHANGE_AIM} s"
    return Row("space_change", value, "s", against, value / CHANGE_AIM, "at most 1")


def _open(tab: Tab, url: str) -> float:
    tab.open("about:blank")
    tab.open(url)
    tab.wait_for(SHOWN, 60)
    return float(tab.value("performance.now() / 1000"))


BENCHMARKS = [space_open, space_change]
