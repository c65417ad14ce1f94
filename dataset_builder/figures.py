"""The paper's figures 3 and 6 for any data set, as PNG and SVG.

* ``figure_3_categories``: the total and the mean duration of the events of each class, coloured by group.
* ``figure_3_videos``: how long the videos are, and how many events they have.
* ``figure_3_words``: the classes as a word cloud, sized by their number of events.
* ``figure_6``: how many objects a video has, how many of them are heard, and the types of the questions by task. What the
  paper's figure 6 shows is not known to us in detail; this is our reading of it.

The background is transparent. Every colour has a contrast of at least 3:1 to a white page and to a dark one (#0d1117), so
one file serves both. The same statistics give the same bytes.
"""

import hashlib
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task

from .dataset_statistics import Category
from .dataset_statistics import Histogram
from .dataset_statistics import Statistics
from .event_groups import GROUPS
from .paper_statistics import OBJECTS
from .paper_statistics import OURS
from .paper_statistics import TABLE_1
from .paper_statistics import TABLE_5
from .paper_statistics import VISIBLE_AND_AUDIBLE
from .records import WHERE_SILENT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

TEXT = "#747b84"
MAIN = "#158f96"
AUDIBLE = "#3b82d6"
SILENT = "#c96a14"
PAPER: dict[str, Any] = {"facecolor": "none", "edgecolor": TEXT, "hatch": "////", "linewidth": 1.0}
GROUP_COLOURS: dict[str, str] = {
    "voices": "#3b82d6",
    "singing": "#9a6bdc",
    "instruments": "#d0569a",
    "actions and sport": "#c96a14",
    "animals": "#2a9454",
    "vehicles": "#d9534f",
    "nature": "#158f96",
    "tools and devices": "#8f7d28",
}
STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],  # matplotlib brings it, so that every machine draws alike
    "font.size": 10,
    "text.color": TEXT,
    "text.parse_math": False,
    "axes.edgecolor": TEXT,
    "axes.facecolor": "none",
    "axes.labelcolor": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlecolor": TEXT,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.facecolor": "none",
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "savefig.facecolor": "none",
    "savefig.dpi": 150,
    "svg.fonttype": "path",
    "svg.hashsalt": "r-avst",
}
WIDTH = 10.0  # inches
MOST_BARS = 10  # of events or objects a video; the last one holds all that have more
NO_LABELS = "No event has a class.\nr-avst-stats --unav FILE labels the events of UnAV-100's videos."
CLOUD_WIDTH = 1000  # pixels
SMALLEST_WORD = 12  # pixels high
LARGEST_WORDS = (56, 48, 42, 38, 34, 30, 26, 22, 19, 17, 15, 12)  # the first with which all words find a place
LEGEND_HEIGHT = 40
TASK_NAMES: dict[Task, str] = {"temporal": "temporal", "spatial": "spatial", "spatio_temporal": "spatio-\ntemporal"}


@dataclass(frozen=True, slots=True)
class CloudWord:
    """A word of the cloud: its size, and the left end of its baseline from the top left corner, in pixels."""

    text: str
    size: int
    x: float
    y: float


class FiguresMissingError(ImportError):
    """A package that draws is not installed."""


def write_figures(statistics: Statistics, folder: Path) -> list[Path]:
    """Draws all figures into an existing folder and returns the paths of the files.

    Raises:
        FiguresMissingError: matplotlib or wordcloud is not installed.
    """
    try:
        from matplotlib import style
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    with style.context(["default", STYLE]):
        return [path for name, draw in FIGURES.items() for path in _save(draw(statistics), folder / name)]


def remove_figures(folder: Path) -> None:
    """Removes the figures that an earlier run drew into a folder, and nothing else."""
    for name in FIGURES:
        for path in _files(folder / name):
            path.unlink(missing_ok=True)


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _missing(error: ModuleNotFoundError) -> FiguresMissingError:
    return FiguresMissingError(f"the figures need more packages ({error}): pip install 'r-avst[stats]'")


def _save(figure: "Figure", path: Path) -> list[Path]:
    """Without the date and the versions that matplotlib would write into the files."""
    png, svg = _files(path)
    figure.savefig(png, metadata={"Software": None})
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return [png, svg]


def _files(path: Path) -> tuple[Path, Path]:
    return path.with_suffix(".png"), path.with_suffix(".svg")


def _figure(height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")


# --- figure 3 ---------------------------------------------------------------------------------------------------------


def _categories(statistics: Statistics) -> "Figure":
    """A row a class, under a heading a group."""
    if not statistics.categories:
        return _sentence(NO_LABELS)
    headings, rows = _category_places(statistics.categories)
    lowest = max(rows)
    figure = _figure(1.0 + 0.165 * lowest)
    total, mean = figure.subplots(1, 2, sharey=True)
    _category_bars(total, rows, "Total duration of its events (s)", lambda own: own.total_length)
    _category_bars(mean, rows, "Mean duration of an event (s)", lambda own: own.mean_length)
    total.set_yticks([*headings, *rows], [*headings.values(), *(own.label for own in rows.values())], fontsize=9)
    for tick, group in zip(total.get_yticklabels(), headings.values(), strict=False):  # they are the first ticks
        tick.set(color=GROUP_COLOURS[group], fontweight="bold")
    total.set_ylim(lowest + 0.6, -0.6)
    return figure


def _category_places(categories: Sequence[Category]) -> tuple[dict[float, str], dict[float, Category]]:
    """How far below the top the groups' names stand, and the classes; in rows, with half a row before a group."""
    headings: dict[float, str] = {}
    rows: dict[float, Category] = {}
    place = -0.5
    for group, own in groupby(categories, key=lambda category: category.group):
        headings[place := place + 0.5] = group
        rows |= {(place := place + 1): category for category in own}
        place += 1
    return headings, rows


def _category_bars(axes: "Axes", rows: Mapping[float, Category], title: str, length: Callable[[Category], float]) -> None:
    colours = [GROUP_COLOURS[own.group] for own in rows.values()]
    bars = axes.barh(list(rows), [length(own) for own in rows.values()], height=0.72, color=colours)
    axes.bar_label(bars, fmt="{:,.1f}", padding=3, fontsize=8)
    axes.margins(x=0.1)
    axes.set_title(title)
    _whole_numbers(axes.xaxis)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", top=True, labeltop=True)


def _videos(statistics: Statistics) -> "Figure":
    figure = _figure(3.4)
    lengths, events = figure.subplots(1, 2)
    _length_bars(lengths, statistics.lengths)
    lengths.set_title(f"Videos by duration\n{_means(statistics.mean_length, TABLE_1[OURS].mean_length, ' s')}")
    _tally_bars(events, statistics.events_a_video)
    mean = statistics.events / sum(statistics.videos.values())
    events.set_title(f"Videos by number of events\nmean {mean:.2f}")
    events.set_xlabel("events a video")
    return figure


def _length_bars(axes: "Axes", lengths: Histogram) -> None:
    starts = [lengths.step * index for index in range(len(lengths.counts))]
    axes.bar(starts, lengths.counts, width=lengths.step * 0.92, align="edge", color=MAIN)
    axes.set_xlim(0, lengths.step * max(1, len(starts)))
    axes.set_xlabel("seconds")
    _whole_numbers(axes.xaxis)
    _count_axis(axes, "videos")


def _words(statistics: Statistics) -> "Figure":
    """The layout is wordcloud's, the letters are matplotlib's: so both formats have the same picture."""
    if not statistics.categories:
        return _sentence(NO_LABELS)
    height = cloud_height(len(statistics.categories)) + LEGEND_HEIGHT
    figure = _figure(WIDTH * height / CLOUD_WIDTH)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, CLOUD_WIDTH), ylim=(height, 0))
    groups = {own.label: own.group for own in statistics.categories}
    points = 72 * WIDTH / CLOUD_WIDTH  # a pixel
    for word in cloud_layout({own.label: own.events for own in statistics.categories}):
        axes.text(word.x, word.y, word.text, fontsize=word.size * points, color=GROUP_COLOURS[groups[word.text]])
    shown = [group for group in GROUPS if group in groups.values()]
    patches = [_patch(GROUP_COLOURS[group]) for group in shown]
    axes.legend(patches, shown, loc="lower center", ncols=len(shown), fontsize=9, handlelength=1, columnspacing=1.2)
    return figure


def _patch(colour: str) -> "Patch":
    from matplotlib.patches import Patch

    return Patch(color=colour)


def cloud_height(words: int) -> int:
    """The height of a cloud of so many words, in pixels: a hundred need 700."""
    return 150 + 11 * words // 2


def cloud_layout(counts: Mapping[str, int]) -> list[CloudWord]:
    """Where each word of a cloud stands, all of them level; the same every time.

    The size grows evenly with the count. wordcloud shrinks and then leaves out words that find no place: the largest size
    is lowered until all do as they are.

    Raises:
        FiguresMissingError: wordcloud is not installed.
    """
    from matplotlib.font_manager import findfont

    font = findfont("DejaVu Sans")
    most = max(counts.values())
    for largest in LARGEST_WORDS:
        sizes = {text: SMALLEST_WORD + (largest - SMALLEST_WORD) * count // most for text, count in counts.items()}
        laid = _laid_out(sizes, font, largest)
        if {text: size for (text, _), size, *_ in laid} == sizes:
            break
    return [_cloud_word(text, font, size, left, top) for (text, _), size, (top, left), _, _ in laid]


def _laid_out(sizes: Mapping[str, int], font: str, largest: int) -> list[Any]:
    """What wordcloud gives: of each word itself, its size, and the top and left end of its ink."""
    try:
        from wordcloud import WordCloud
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    cloud = WordCloud(
        font_path=font,
        width=CLOUD_WIDTH,
        height=cloud_height(len(sizes)),
        prefer_horizontal=1,
        min_font_size=SMALLEST_WORD,
        max_font_size=largest,
        relative_scaling=1,
        margin=8,
        max_words=len(sizes),
        random_state=0,
    )
    return list(cloud.generate_from_frequencies(sizes).layout_)


def _cloud_word(text: str, font: str, size: int, left: int, top: int) -> CloudWord:
    from PIL import ImageFont

    ink = ImageFont.truetype(font, size).getbbox(text, anchor="ls")
    return CloudWord(text, size, left - ink[0], top - ink[1])


# --- figure 6 ---------------------------------------------------------------------------------------------------------


def _objects_and_questions(statistics: Statistics) -> "Figure":
    figure = _figure(4.0)
    objects, heard, questions = figure.subplots(1, 3)
    _tally_bars(objects, statistics.objects_a_video)
    objects.set_title(f"Videos by number of objects\n{_means(statistics.mean_objects, TABLE_1[OURS].objects_a_video, '')}")
    objects.set_xlabel("objects a video")
    _audibility(heard, statistics)
    _question_types(questions, statistics)
    return figure


def _audibility(axes: "Axes", statistics: Statistics) -> None:
    """Shares in percent of the objects of which it is known, and the paper's one figure."""
    if (audible := statistics.audible_share) is not None:
        _share(axes, 0, 100 * audible, 0.0, AUDIBLE, "visible & audible")
        _share(axes, 0, 100 * (1 - audible), 100 * audible, SILENT, "silent")
    _share(axes, 1, 100 * VISIBLE_AND_AUDIBLE, 0.0, AUDIBLE, None)
    axes.bar(1, 100 * (1 - VISIBLE_AND_AUDIBLE), 0.6, 100 * VISIBLE_AND_AUDIBLE, **PAPER, label="all others (paper)")
    axes.set_xticks((0, 1), ("here", "paper"))
    axes.set_xlim(-0.5, 1.5)
    axes.set_title(f"Objects by audibility\n{statistics.audibility.known:,} known (paper {OBJECTS:,})")
    axes.set_ylabel("percent of the known objects")
    _legend(axes)


def _share(axes: "Axes", place: int, share: float, bottom: float, colour: str, name: str | None) -> None:
    bars = axes.bar(place, share, 0.6, bottom, color=colour, label=name)
    if share >= 8:  # where the text has room
        axes.bar_label(bars, [f"{share:.2f}%"], label_type="center", color="white", fontweight="bold")


def _question_types(axes: "Axes", statistics: Statistics) -> None:
    """The questions of all splits by task; the paper's of the same splits."""
    splits = [split for split, videos in statistics.videos.items() if videos]
    here = [sum(statistics.questions_of(split, task) for split in splits) for task in TASKS]
    paper = [sum(TABLE_5[split][task] for split in splits) for task in TASKS]
    silent = sum(statistics.questions[split][WHERE_SILENT] for split in splits)
    _question_bars(axes, here, -0.4, color=AUDIBLE, label="about what sounds")
    if silent:
        place = TASKS.index("spatial")
        axes.bar(place, silent, -0.4, align="edge", color=SILENT, label=f"about silent objects: {silent:,}")
    _question_bars(axes, paper, 0.4, **PAPER, label=f"paper ({' and '.join(splits)})")
    axes.set_xticks(range(len(TASKS)), [TASK_NAMES[task] for task in TASKS])
    axes.set_title(f"Questions by task\n{sum(here):,} (paper {sum(paper):,})")
    _count_axis(axes, "questions")
    _legend(axes)


def _question_bars(axes: "Axes", counts: Sequence[int], width: float, **look: Any) -> None:
    """A bar a task; of negative width: to the left of its place."""
    bars = axes.bar(range(len(counts)), counts, width, align="edge", **look)
    axes.bar_label(bars, [f"{count:,}" for count in counts], padding=2, fontsize=8)


# --- what they share --------------------------------------------------------------------------------------------------


def _tally_bars(axes: "Axes", tally: Mapping[int, int]) -> None:
    """A bar a number of things a video; the last one holds all videos that have more."""
    folded = fold_tally(tally)
    bars = axes.bar(list(folded), list(folded.values()), width=0.8, color=MAIN)
    axes.bar_label(bars, [f"{videos:,}" for videos in folded.values()], padding=2, fontsize=8)
    names = [f"{number}+" if number == MOST_BARS < max(tally) else str(number) for number in folded]
    axes.set_xticks(list(folded), names, fontsize=9)
    _count_axis(axes, "videos")


def fold_tally(tally: Mapping[int, int]) -> dict[int, int]:
    """The tally with every number from its least on, and all from `MOST_BARS` on taken together.

    >>> fold_tally({1: 5, 3: 2, 40: 1})
    {1: 5, 2: 0, 3: 2, 4: 0, 5: 0, 6: 0, 7: 0, 8: 0, 9: 0, 10: 1}
    """
    folded = dict.fromkeys(range(min(*tally, MOST_BARS), min(max(tally), MOST_BARS) + 1), 0)
    for number, videos in tally.items():
        folded[min(number, MOST_BARS)] += videos
    return folded


def _count_axis(axes: "Axes", what: str) -> None:
    axes.margins(y=0.1)  # numbers stand on the bars
    axes.set_ylabel(what)
    _whole_numbers(axes.yaxis)


def _whole_numbers(axis: "Axis") -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))
    axis.set_major_formatter("{x:,.0f}")


def _means(here: float | None, paper: float | None, unit: str) -> str:
    own = "not known" if here is None else f"{here:,.2f}{unit}"
    return f"mean {own} (paper {paper:.2f}{unit})"


def _legend(axes: "Axes") -> None:
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=9)


def _sentence(text: str) -> "Figure":
    figure = _figure(1.2)
    figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=12)
    return figure


FIGURES: dict[str, Callable[[Statistics], "Figure"]] = {
    "figure_3_categories": _categories,
    "figure_3_videos": _videos,
    "figure_3_words": _words,
    "figure_6": _objects_and_questions,
}
