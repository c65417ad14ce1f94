r"""AVSBench V1, "AVSBench-object" (Zhou et al., ECCV 2022): masks of what sounds in clips of 5 s, as spatial questions.

Its folder, with names of files shortened::

    Single-source/s4_meta_data.csv             name,...,category,split
    Single-source/s4_data/gt_masks/test/dog_barking/NAME/NAME_1.png ... NAME_5.png
    Multi-sources/ms3_meta_data.csv            name,...,split
    Multi-sources/ms3_data/gt_masks/test/NAME/NAME_1.png ... NAME_5.png

Training clips of S4 have the first mask alone. A mask is the union of all that sounds. It belongs to the last of 16 frames
drawn evenly from a second (``preprocess_s4.py``, ``preprocess_ms3.py``): mask i to the frame at i - 1 + 15/16 s, which an
answer writes as i - 0.1. A black mask means that nothing that sounds is visible: a row of zeros.
"""

import csv
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from r_avst.metrics.avst_metrics.answers import NOT_VISIBLE
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Row
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.overlap import Box

from ..question_forms import ask_about_span
from ..records import WHERE_SOUNDING
from ..records import Event
from ..records import ObjectTrack
from ..records import Question
from ..records import Records
from ..records import Video
from ..records import VideoRow
from ..records import frames_of
from ..records import records_of
from ..stages.questions import can_be_asked
from .benchmark_records import ASSUMED_DURATION
from .benchmark_records import SPLIT_OF_SUBSET
from .benchmark_records import Note
from .benchmark_records import labels_named
from .masks import MaskParts
from .masks import around
from .masks import check_shape
from .masks import parts_of
from .masks import read_mask
from .masks import to_frame
from .user_files import checked_id

DURATION = 5.0  # seconds of a clip
MASKS = 5  # of a clip, one a second
LAST_OF_SECOND = 15 / 16  # seconds after the start of a second, where the frame of its mask is
NAMELESS = "sounding object"  # MS3 does not say what sounds
# What sounds, for each of S4's 23 categories of events.
THINGS = {
    "ambulance siren": "ambulance",
    "baby laughter": "baby",
    "cap gun shooting": "cap gun",
    "cat meowing": "cat",
    "chainsawing trees": "chainsaw",
    "coyote howling": "coyote",
    "dog barking": "dog",
    "driving buses": "bus",
    "female singing": "woman",
    "helicopter": "helicopter",
    "horse clip-clop": "horse",
    "lawn mowing": "lawn mower",
    "lions roaring": "lion",
    "male speech": "man",
    "mynah bird singing": "mynah bird",
    "playing acoustic guitar": "acoustic guitar",
    "playing glockenspiel": "glockenspiel",
    "playing piano": "piano",
    "playing tabla": "tabla",
    "playing ukulele": "ukulele",
    "playing violin": "violin",
    "race car": "race car",
    "typing on computer keyboard": "computer keyboard",
}
NAMES: dict[str, Callable[[str], str]] = {"category": str, "thing": lambda category: THINGS.get(category, category)}
BOXES: dict[str, Callable[[MaskParts], tuple[Box, ...]]] = {
    "components": lambda parts: parts.boxes,
    "whole": lambda parts: around(parts.boxes),
}

MISSING_MASK, EMPTY_MASK, COLOURED_MASK, SMALL_PART = "missing_mask", "empty_mask", "coloured_mask", "small_part"
SEVERAL_PARTS, NO_MASK, REPEATED_NAME, SIZE_OF_MASK = "several_parts", "no_mask", "repeated_name", "size_of_mask"
HANDLING = {
    MISSING_MASK: "masks that are not there; their times have no row, and what is predicted there does not count",
    EMPTY_MASK: 'black masks; kept as rows of zeros: "not visible"',
    COLOURED_MASK: "masks of several colours; every pixel that is not black counts",
    SMALL_PART: "masks with parts under --min-area; those parts are left out",
    SEVERAL_PARTS: "masks with several connected parts of --min-area or more; boxes as told in the settings",
    NO_MASK: "clips without any mask; left out",
    REPEATED_NAME: "clips of a name that stood before; left out (of MS3 alone: --subset ms3)",
    ASSUMED_DURATION: "videos without a usable file; their duration is taken to be 5 s, --videos fills it",
    SIZE_OF_MASK: "videos without a usable file; width, height and boxes are those of the masks, --videos fills them",
}


class AvsBenchError(ValueError):
    """A folder that is not in AVSBench's form; the message names the place."""


@dataclass(frozen=True, slots=True)
class Subset:
    """Where a subset of AVSBench lies. ``named``: its clips have a category, and lie in folders by it."""

    folder: str
    table: str
    data: str
    named: bool


SUBSETS = {
    "s4": Subset("Single-source", "s4_meta_data.csv", "s4_data", named=True),
    "ms3": Subset("Multi-sources", "ms3_meta_data.csv", "ms3_data", named=False),
}


@dataclass(frozen=True, slots=True)
class MaskRules:
    """How masks become objects.

    ``boxes`` says for each subset whether there is a box of each connected part (``components``) or of the mask
    (``whole``); ``min_area`` is the least part that counts, as a share of the frame; ``names`` what S4's objects are
    called: its ``category``, or the ``thing`` in it.
    """

    boxes: Mapping[str, str]
    min_area: float
    names: str


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip: its subset, AVSBench's own split (train, val, test), the folder of its masks, and its line."""

    name: str
    subset: str
    category: str | None
    split: str
    masks: Path
    place: str

    @property
    def expected(self) -> int:
        """How many masks AVSBench has of it, the first ones."""
        return 1 if self.subset == "s4" and self.split == "train" else MASKS

    @property
    def video(self) -> Video:
        """Its video, as long as all are and of a size not known."""
        return Video(self.name, SPLIT_OF_SUBSET[self.split], DURATION)


def read_clips(root: Path, subsets: Sequence[str]) -> tuple[tuple[Clip, ...], tuple[Note, ...]]:
    """The clips of these subsets in the order of their tables, and those left out.

    Raises:
        AvsBenchError: a table is missing or not of AVSBench's form, or there is no folder of masks.
    """
    clips: dict[str, Clip] = {}
    notes = []
    for subset in subsets:
        for clip in _table(root, subset):
            if clip.name in clips:
                notes.append(Note(REPEATED_NAME, f"{clip.place}: {clip.name} (before: {clips[clip.name].place})"))
            else:
                clips[clip.name] = clip
    return tuple(clips.values()), tuple(notes)


def _table(root: Path, name: str) -> Iterator[Clip]:
    subset = SUBSETS[name]
    folder = next((own for own in (root / subset.folder, root) if (own / subset.table).is_file()), None)
    if folder is None:
        raise AvsBenchError(
            f"{root}: there is no {subset.folder}/{subset.table}; --root takes the folder of both subsets "
            "(of one alone: --subset)"
        )
    masks = folder / subset.data / "gt_masks"
    if not masks.is_dir():
        raise AvsBenchError(f"{masks}: there is no such folder; unpack {subset.data} beside {subset.table}")
    for place, first, row in _rows(folder / subset.table, ("category", "split") if subset.named else ("split",)):
        try:
            yield _clip(name, masks, place, first, row)
        except ValueError as error:
            raise AvsBenchError(f"{place}: {error}") from None


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """The place, the first field and the fields by column of each line of a table."""
    lines = _lines(path)
    header = [field.strip() for field in lines[0]] if lines else []
    if missing := set(columns) - set(header[1:]):
        raise AvsBenchError(f"{path}, line 1: no column {', '.join(sorted(missing))} after the first, but {header!r:.120}")
    for number, fields in enumerate(lines[1:], start=2):
        if len(fields) != len(header) and fields:
            raise AvsBenchError(f"{path}, line {number}: {len(fields)} fields, but {len(header)} columns")
        if fields:
            yield f"{path}, line {number}", fields[0].strip(), dict(zip(header, map(str.strip, fields), strict=True))


def _lines(path: Path) -> list[list[str]]:
    try:
        return list(csv.reader(path.read_text(encoding="utf-8-sig").split("\n"), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AvsBenchError(f"{path}: it cannot be read ({error}); a table with commas is expected") from None


def _clip(subset: str, masks: Path, place: str, name: str, row: Mapping[str, str]) -> Clip:
    split = row["split"]
    if split not in SPLIT_OF_SUBSET:
        raise ValueError(f"the split is {split!r:.40}; known are {', '.join(SPLIT_OF_SUBSET)}")
    own = masks / split
    if not SUBSETS[subset].named:
        return Clip(checked_id(name), subset, None, split, own / name, place)
    folder = checked_id(row["category"])
    category = folder.replace("_", " ")
    if not can_be_asked(category):
        raise ValueError(f"the category {folder!r:.60} holds what an answer cannot")
    return Clip(checked_id(name), subset, category, split, own / folder / name, place)


def read_avsbench(clips: Sequence[Clip], videos: Mapping[str, Video], rules: MaskRules) -> tuple[Records, tuple[Note, ...]]:
    """One spatial question a clip, about the seconds that AVSBench annotates: [0, 5], or [0, 1] for training clips of S4.

    Args:
        clips: of `read_clips`.
        videos: by the names of the clips; one without a width gets the size of its first mask.
        rules: how masks become objects.

    Raises:
        AvsBenchError: no clip has a mask.
        MaskError: a mask cannot be read, or has another shape than the video.
        PillowMissingError: Pillow is not installed.
    """
    made, notes = [], list[Note]()
    for clip in tqdm(clips, desc="reading masks", unit="clip"):
        row, own = _row(clip, videos[clip.name], rules)
        notes += own
        if row is not None:
            made.append(row)
    if not made:
        raise AvsBenchError(
            f"no clip has a mask; the first was looked for in {clips[0].masks}" if clips else "no clip is listed"
        )
    return records_of(made), tuple(notes)


def _row(clip: Clip, video: Video, rules: MaskRules) -> tuple[VideoRow | None, list[Note]]:
    """The row of a clip, and what is odd in its masks; none where it has no mask."""
    paths = {number: clip.masks / f"{clip.name}_{number}.png" for number in range(1, MASKS + 1)}
    there = {number: path for number, path in paths.items() if path.is_file()}
    if not there:
        return None, [Note(NO_MASK, f"{clip.place}: {clip.name}")]
    notes = [Note(MISSING_MASK, str(paths[number])) for number in range(1, clip.expected + 1) if number not in there]
    frame = _frame_size(video)
    rows: list[Row] = []
    for number, path in there.items():
        boxes, frame, odd = _boxes(path, frame, rules.boxes[clip.subset], rules.min_area)
        time = round(number - 1 + LAST_OF_SECOND, 1)
        rows += [(time, *box) for box in boxes or (NOT_VISIBLE,)]
        notes += odd
    if video.width is None and frame is not None:
        notes.append(Note(SIZE_OF_MASK, video.video_id))
        video = replace(video, width=frame[0], height=frame[1])
    question, event = _asked(clip, rows, rules.names, float(max(clip.expected, *there)))
    return VideoRow(video, "", (event,), (question,)), notes


def _frame_size(video: Video) -> Size | None:
    return None if video.width is None or video.height is None else (video.width, video.height)


def _boxes(path: Path, frame: Size | None, which: str, min_area: float) -> tuple[tuple[Box, ...], Size, list[Note]]:
    """The boxes of a mask in pixels of the frame, which is the mask's own where there is none, and what is odd."""
    mask = read_mask(path)
    frame = frame or mask.size
    check_shape(path, mask.size, frame)
    parts = parts_of(mask.pixels, min_area)
    odd = {
        EMPTY_MASK: not parts.boxes,
        COLOURED_MASK: mask.values > 1,
        SMALL_PART: parts.small > 0,
        SEVERAL_PARTS: len(parts.boxes) > 1,
    }
    boxes = tuple(to_frame(box, mask.size, frame) for box in BOXES[which](parts))
    return boxes, frame, [Note(kind, str(path)) for kind, is_so in odd.items() if is_so]


def _asked(clip: Clip, rows: Sequence[Row], names: str, end: float) -> tuple[Question, Event]:
    name = NAMELESS if clip.category is None else NAMES[names](clip.category)
    labels = () if clip.category is None else labels_named(clip.category)
    objects = (ObjectTrack(name, True, frames_of(rows)),)
    event = Event(f"{clip.name}-0", clip.name, (0.0, end), labels, None, objects)
    question = Question(
        question_id=f"{event.event_id}-spatial-0",
        event_id=event.event_id,
        video_id=clip.name,
        task="spatial",
        question=ask_about_span(WHERE_SOUNDING, event.span),
        question_type=WHERE_SOUNDING,
        answer=write_answer(Answer((Track(name, tuple(rows)),)), "spatial"),
        query_span=event.span,
        when=None,
        objects=objects,
        event_labels=labels,
    )
    return question, event
