"""The figures: readable on a white and on a dark page, nothing overlaps or is cut, and the same every time."""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib import style
from matplotlib.axis import Tick
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from PIL import Image

from r_avst.dataset_builder.built_dataset import BuiltDataset
from r_avst.dataset_builder.built_dataset import BuiltQuestion
from r_avst.dataset_builder.built_dataset import BuiltVideo
from r_avst.dataset_builder.dataset_statistics import Audibility
from r_avst.dataset_builder.dataset_statistics import Category
from r_avst.dataset_builder.dataset_statistics import Statistics
from r_avst.dataset_builder.dataset_statistics import statistics_of
from r_avst.dataset_builder.event_classes import UNAV_100
from r_avst.dataset_builder.event_groups import GROUP_OF
from r_avst.dataset_builder.event_groups import GROUPS
from r_avst.dataset_builder.figures import AUDIBLE
from r_avst.dataset_builder.figures import FIGURES
from r_avst.dataset_builder.figures import GROUP_COLOURS
from r_avst.dataset_builder.figures import SILENT
from r_avst.dataset_builder.figures import STYLE
from r_avst.dataset_builder.figures import TEXT
from r_avst.dataset_builder.figures import FiguresMissingError
from r_avst.dataset_builder.figures import cloud_height
from r_avst.dataset_builder.figures import cloud_layout
from r_avst.dataset_builder.figures import fold_tally
from r_avst.dataset_builder.figures import write_figures
from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import ObjectTrack
from r_avst.dataset_builder.sources.release import read_release
from r_avst.dataset_builder.sources.unav100 import read_unav
from r_avst.dataset_builder.sources.unav100 import with_labels

PAGES = ("#ffffff", "#0d1117")


@pytest.fixture(scope="module")
def released(release_file: Path, unav_file: Path) -> Statistics:
    records = with_labels(read_release(release_file), read_unav(unav_file))
    videos = tuple(BuiltVideo(own.video_id, own.split, own.duration) for own in records.videos)
    questions = tuple(BuiltQuestion(own.video_id, "test", own.task, own.question_type) for own in records.questions)
    return statistics_of(BuiltDataset(videos, records.events, questions))


def large() -> Statistics:
    """About as much as the whole of R-AVST: thousands of videos in both splits, up to 40 objects and hours in one."""
    videos = tuple(BuiltVideo(str(index), "train" if index % 5 else "test", 7.0 + index * 5 % 9000) for index in range(6000))
    objects = tuple(ObjectTrack("thing", (True, False, None)[index % 3], ()) for index in range(40))
    events = tuple(
        Event(f"{index}", str(index), (0.0, 2.0 + index % 60), (UNAV_100[index % 100],), None, objects[: index % 13 or 40])
        for index in range(6000)
    )
    questions = tuple(BuiltQuestion(own.video_id, own.split, "temporal", "when") for own in videos)
    return statistics_of(BuiltDataset(videos, events, questions))


def small() -> Statistics:
    """One video with one event of no class, without an object or a question."""
    return statistics_of(BuiltDataset((BuiltVideo("a", "train", None),), (Event("a-0", "a", (0.0, 1.0), (), None, ()),), ()))


@pytest.fixture(scope="module")
def written(released: Statistics, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_figures(released, tmp_path_factory.mktemp("figures"))


@pytest.fixture(params=["released", "large", "small"])
def statistics(request: pytest.FixtureRequest) -> Statistics:
    if request.param == "released":
        found: Statistics = request.getfixturevalue("released")
        return found
    return large() if request.param == "large" else small()


# --- contrast ---------------------------------------------------------------------------------------------------------


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio of two colours ``#rrggbb``."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [own / 12.92 if own <= 0.04045 else ((own + 0.055) / 1.055) ** 2.4 for own in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_measure_of_contrast_is_right() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("bar", [AUDIBLE, SILENT, TEXT])
def test_white_letters_can_be_read_on_the_bars_that_bear_them(bar: str) -> None:
    assert contrast("#ffffff", bar) >= 3


def test_every_group_has_a_colour_of_its_own() -> None:
    assert list(GROUP_COLOURS) == list(GROUPS)
    assert len(set(GROUP_COLOURS.values())) == len(GROUPS)


def test_every_colour_in_the_files_can_be_read_on_a_white_and_on_a_dark_page(written: list[Path], tmp_path: Path) -> None:
    for path in [*written, *write_figures(small(), tmp_path)]:
        found = svg_colours(path) if path.suffix == ".svg" else png_colours(path)
        on_bars = {"#ffffff"} if path.stem == "figure_6" else set()
        assert TEXT in found
        poor = {own for own in found - on_bars if min(contrast(own, page) for page in PAGES) < 3}
        assert not poor, f"{path.name}: {poor}"


def svg_colours(path: Path) -> set[str]:
    """The colours that are named in the file; black where nothing is said does not occur."""
    text = path.read_text(encoding="utf-8")
    glyphs = text[text.index("</metadata>") :]
    assert "opacity" not in glyphs
    return {own.lower() for own in re.findall(r"#[0-9a-fA-F]{6}\b", glyphs)}


def png_colours(path: Path) -> set[str]:
    """The colours of the opaque pixels that are no mere edge between two of them."""
    pixels = np.asarray(Image.open(path).convert("RGBA"))
    opaque = pixels[pixels[..., 3] == 255][:, :3]
    colours, counts = np.unique(opaque, axis=0, return_counts=True)
    frequent = colours[counts > max(40, 0.001 * len(opaque))]
    return {"#" + "".join(f"{channel:02x}" for channel in own) for own in frequent}


def test_the_background_is_transparent(written: list[Path]) -> None:
    for path in written:
        if path.suffix == ".png":
            alpha = np.asarray(Image.open(path).convert("RGBA"))[..., 3]
            assert (alpha == 0).mean() > 0.4, path.name
            assert {alpha[0, 0], alpha[0, -1], alpha[-1, 0], alpha[-1, -1]} == {0}, path.name


# --- layout -----------------------------------------------------------------------------------------------------------


def drawn(figure: Figure) -> NDArray[np.uint8]:
    """Its pixels, red, green, blue and alpha; texts have their places from then on."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())


def texts(figure: Figure) -> Iterator[tuple[str, Bbox]]:
    """Every text that is drawn, with its place in pixels."""
    outside = {label for tick in figure.findobj(Tick) for label in (tick.label1, tick.label2) if not is_drawn(tick)}
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and text not in outside:
            yield text.get_text(), text.get_window_extent()


def is_drawn(tick: Tick) -> bool:
    """Ticks beyond the ends of an axis stay in the figure, undrawn."""
    axis = tick.axes.xaxis if tick.__class__.__name__ == "XTick" else tick.axes.yaxis
    low, high = sorted(axis.get_view_interval())
    return bool(low - 1e-6 <= tick.get_loc() <= high + 1e-6)


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_or_covers_another(name: str, statistics: Statistics) -> None:
    with style.context(["default", STYLE]):
        figure = FIGURES[name](statistics)
        drawn(figure)
    found = list(texts(figure))
    assert found
    width, height = figure.bbox.size
    for text, box in found:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    if name != "figure_3_words":  # see the next test: small words stand between the tails of large ones
        assert [(one, other) for (one, a), (other, b) in combinations(found, 2) if overlap(a, b) > 1] == []


@pytest.mark.parametrize("power", [0, 1, 3])
def test_no_letter_of_the_cloud_touches_another_word(power: int) -> None:
    categories = tuple(Category(label, GROUP_OF[label], (index + 1) ** power, 1.0) for index, label in enumerate(UNAV_100))
    with style.context(["default", STYLE]):
        figure = FIGURES["figure_3_words"](replace(small(), categories=categories))
        words = figure.axes[0].texts
        assert sorted(own.get_text() for own in words) == sorted(UNAV_100)
        times = np.zeros((740, 1000), int)
        for word in words:
            for own in figure.axes[0].get_children():
                own.set_visible(own is word)
            times += drawn(figure)[..., 3] > 0
    assert times.sum() > 20_000
    assert times.max() == 1


def overlap(one: Bbox, other: Bbox) -> float:
    """How far two boxes reach into each other, in pixels."""
    return float(min(min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)))


def test_the_texts_of_all_classes_and_groups_are_there(released: Statistics) -> None:
    with style.context(["default", STYLE]):
        figure = FIGURES["figure_3_categories"](released)
        drawn(figure)
    shown = [text for text, _ in texts(figure)]
    assert set(shown) >= {own.label for own in released.categories} | set(GROUPS)


def test_audibility_is_that_of_the_objects_of_which_it_is_known() -> None:
    statistics = replace(small(), audibility=Audibility(audible=3, silent=1, unknown=4))
    with style.context(["default", STYLE]):
        heard: Any = FIGURES["figure_6"](statistics).axes[1]
    assert [text.get_text() for text in heard.texts][:2] == ["75.00%", "25.00%"]
    assert [bar.get_height() for bar in heard.patches][:2] == [75.0, 25.0]
    assert "4 known" in heard.get_title(loc="left")


@pytest.mark.parametrize(
    "counts",
    [
        {label: 10 for label in UNAV_100},
        {label: index**3 + 1 for index, label in enumerate(UNAV_100)},
        {"vacuum cleaner cleaning floors": 1},
    ],
)
def test_every_word_finds_a_place_in_the_cloud(counts: dict[str, int]) -> None:
    words = cloud_layout(counts)
    assert sorted(own.text for own in words) == sorted(counts)
    assert all(own.x >= 0 and own.size / 2 <= own.y <= cloud_height(len(counts)) for own in words)
    by_size = sorted(words, key=lambda own: counts[own.text])
    assert [own.size for own in by_size] == sorted(own.size for own in words)


@pytest.mark.parametrize(
    ("tally", "folded"),
    [
        ({0: 3}, {0: 3}),
        ({2: 1, 4: 5}, {2: 1, 3: 0, 4: 5}),
        ({10: 1}, {10: 1}),
        ({15: 2, 99: 3}, {10: 5}),
        ({9: 1, 10: 2, 13: 3}, {9: 1, 10: 5}),
    ],
)
def test_large_numbers_share_the_last_bar(tally: dict[int, int], folded: dict[int, int]) -> None:
    assert fold_tally(tally) == folded


# --- files ------------------------------------------------------------------------------------------------------------


def test_each_figure_is_a_png_and_an_svg(written: list[Path]) -> None:
    assert [path.name for path in written] == [f"{name}.{form}" for name in FIGURES for form in ("png", "svg")]
    for path in written:
        magic = b"\x89PNG" if path.suffix == ".png" else b"<?xml"
        assert path.read_bytes().startswith(magic)


def test_the_same_statistics_give_the_same_bytes_whatever_the_user_s_style(
    written: list[Path], released: Statistics, tmp_path: Path
) -> None:
    with style.context(["dark_background", {"font.size": 30, "savefig.bbox": "tight"}]):
        second = write_figures(released, tmp_path)
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in second]


def test_no_file_names_a_date_a_version_or_a_machine(written: list[Path]) -> None:
    for path in written:
        content = path.read_bytes()
        for word in (b"dc:date", b"Matplotlib v", b"Software", str(path.parent).encode()):
            assert word not in content, path.name


def test_the_settings_of_matplotlib_are_left_alone(tmp_path: Path) -> None:
    before = dict(rcParams)
    write_figures(small(), tmp_path)
    assert dict(rcParams) == before


@pytest.mark.parametrize("package", ["matplotlib", "wordcloud"])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    labelled = replace(small(), categories=(Category("thunder", "nature", 1, 1.0),))
    with pytest.raises(FiguresMissingError, match=rf"{package}.*pip install 'r-avst\[stats\]'"):
        write_figures(labelled, tmp_path)
