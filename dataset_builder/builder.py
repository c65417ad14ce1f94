"""The data set: its features, its configs, and the `datasets` builder that writes records as parquet."""

import hashlib
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
from datasets import ClassLabel
from datasets import Features
from datasets import List
from datasets import Value
from huggingface_hub import DatasetCard
from huggingface_hub import DatasetCardData

from r_avst.metrics.avst_metrics.answers import TASKS

from .event_classes import UNAV_100
from .records import CardText
from .records import Event
from .records import ObjectTrack
from .records import Question
from .records import Records
from .records import Video

DATASET_NAME = "r-avst"
SPLITS = ("train", "test")
EVENTS = "events"
CONFIGS = (*TASKS, EVENTS)

_SPAN = List(Value("float64"), length=2)
_OBJECTS = List(
    {
        "name": Value("string"),
        "audible": Value("bool"),
        "frames": List(
            {
                "time": Value("float64"),
                "instances": List({"box": List(Value("float64"), length=4), "visible": Value("bool")}),
            }
        ),
    }
)
QUESTION_FEATURES = Features(
    {
        "question_id": Value("string"),
        "video_id": Value("string"),
        "task": ClassLabel(names=list(TASKS)),
        "event_labels": List(ClassLabel(names=list(UNAV_100))),
        "question": Value("string"),
        "question_type": Value("string"),
        "answer": Value("string"),
        "query_span": _SPAN,
        "when": _SPAN,
        "duration": Value("float64"),
        "width": Value("int32"),
        "height": Value("int32"),
        "objects": _OBJECTS,
    }
)
EVENT_FEATURES = Features(
    {
        "event_id": Value("string"),
        "video_id": Value("string"),
        "span": _SPAN,
        "labels": List(ClassLabel(names=list(UNAV_100))),
        "caption": Value("string"),
        "objects": _OBJECTS,
    }
)


class RAvst(datasets.GeneratorBasedBuilder):
    """Writes records as one of `CONFIGS`. Used in process: `datasets` 4 and later run no loading scripts.

    >>> RAvst(records, config_name="spatial").download_and_prepare("out", file_format="parquet")  # doctest: +SKIP
    """

    BUILDER_CONFIGS = [datasets.BuilderConfig(name=name) for name in CONFIGS]  # noqa: RUF012  (datasets' own interface)

    def __init__(self, records: Records, config_name: str, **options: Any) -> None:
        self.rows = rows_by_split(records, config_name)
        digest = hashlib.sha256(repr(self.rows).encode()).hexdigest()[:16]  # other records, another place in the cache
        super().__init__(dataset_name=DATASET_NAME, config_name=config_name, hash=digest, **options)

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=EVENT_FEATURES if self.config.name == EVENTS else QUESTION_FEATURES)

    def _split_generators(self, _: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        return [datasets.SplitGenerator(name=split, gen_kwargs={"split": split}) for split in self.rows]

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        yield from enumerate(self.rows[split])


def rows_by_split(records: Records, config: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of a config in source order, by split; splits without a row are left out.

    Raises:
        ValueError: a video is in a split of another name.
    """
    videos = {video.video_id: video for video in records.videos}
    if unknown := {video.split for video in records.videos} - set(SPLITS):
        raise ValueError(f"unknown splits {sorted(unknown)}; a video is in one of {', '.join(SPLITS)}")
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for event in records.events if config == EVENTS else ():
        rows[videos[event.video_id].split].append(_event_row(event))
    for question in records.questions:
        if question.task == config:
            video = videos[question.video_id]
            rows[video.split].append(_question_row(question, video))
    return {split: own for split, own in rows.items() if own}


def _question_row(question: Question, video: Video) -> dict[str, Any]:
    return {
        "question_id": question.question_id,
        "video_id": question.video_id,
        "task": question.task,
        "event_labels": list(question.event_labels),
        "question": question.question,
        "question_type": question.question_type,
        "answer": question.answer,
        "query_span": question.query_span,
        "when": question.when,
        "duration": video.duration,
        "width": video.width,
        "height": video.height,
        "objects": [_object_row(track) for track in question.objects],
    }


def _event_row(event: Event) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "video_id": event.video_id,
        "span": event.span,
        "labels": list(event.labels),
        "caption": event.caption,
        "objects": [_object_row(track) for track in event.objects],
    }


def _object_row(track: ObjectTrack) -> dict[str, Any]:
    frames = [
        {"time": frame.time, "instances": [{"box": one.box, "visible": one.visible} for one in frame.instances]}
        for frame in track.frames
    ]
    return {"name": track.name, "audible": track.audible, "frames": frames}


def write_dataset(records: Records, folder: Path, cache: Path, text: CardText) -> dict[str, dict[str, int]]:
    """Writes the parquet files of all configs and the card that tells `load_dataset` about them.

    Args:
        records: what to write.
        folder: an existing folder; gets ``{config}/r-avst-{split}-{digest}.parquet`` and ``README.md``.
        cache: a scratch folder for the builder's locks.
        text: of the card.

    Returns:
        The number of rows by config and split; configs without a row are left out.
    """
    counts: dict[str, dict[str, int]] = {}
    files: dict[str, dict[str, list[str]]] = {}
    for config in CONFIGS:
        builder = RAvst(records, config_name=config, cache_dir=str(cache))
        if not builder.rows:
            continue
        builder.download_and_prepare(str(cache / config), file_format="parquet")
        counts[config] = {name: split.num_examples for name, split in builder.info.splits.items()}
        files[config] = {split: _moved(cache / config, split, folder / config) for split in counts[config]}
    _card(counts, files, text).save(folder / "README.md")
    return counts


def _moved(source: Path, split: str, target: Path) -> list[str]:
    """Moves a split's parquet files and returns their paths in the data set.

    Their names bear a digest of their content, and the card names each one: `datasets` keys its cache by the names in the
    card alone, and would give the rows of an earlier build for those of this one.
    """
    target.mkdir(exist_ok=True)
    names = []
    for path in sorted(source.glob(f"{DATASET_NAME}-{split}*.parquet")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        names.append(f"{target.name}/{path.stem}-{digest}.parquet")
        path.replace(target / names[-1].split("/")[1])
    return names


def _card(
    counts: Mapping[str, Mapping[str, int]], files: Mapping[str, Mapping[str, list[str]]], text: CardText
) -> DatasetCard:
    """The card with the configs, without which `load_dataset` would mix the parquet files of all of them."""
    tasks = [name for name in files if name != EVENTS]
    default = [_config("default", tasks, files)] if tasks else []  # without files it could not be loaded
    configs = [*default, *(_config(name, (name,), files) for name in files)]
    data = DatasetCardData(
        license=text.licence,
        pretty_name="R-AVST",
        task_categories=["video-text-to-text"],
        tags=["audio-visual", "grounding"],
        configs=configs,
    )
    rows = "\n".join(f"| {name} | {split} | {count} |" for name, own in counts.items() for split, count in own.items())
    table = f"| config | split | rows |\n| --- | --- | --- |\n{rows}"
    return DatasetCard(f"---\n{data}\n---\n\n# R-AVST\n\n{text.body}\n\n{table}\n")


def _config(name: str, folders: Sequence[str], files: Mapping[str, Mapping[str, list[str]]]) -> dict[str, Any]:
    paths = {split: [path for folder in folders for path in files[folder].get(split, [])] for split in SPLITS}
    return {"config_name": name, "data_files": [{"split": split, "path": own} for split, own in paths.items() if own]}
