"""The statistics: told by looking at a small data set, and counted a second time from the released JSON."""

import json
import re
from collections import Counter
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from counted_data import write_counted

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.dataset_builder.built_dataset import BuiltDataset
from r_avst.dataset_builder.built_dataset import BuiltVideo
from r_avst.dataset_builder.built_dataset import load_built_dataset
from r_avst.dataset_builder.dataset_statistics import Audibility
from r_avst.dataset_builder.dataset_statistics import Category
from r_avst.dataset_builder.dataset_statistics import Histogram
from r_avst.dataset_builder.dataset_statistics import Statistics
from r_avst.dataset_builder.dataset_statistics import beside_paper
from r_avst.dataset_builder.dataset_statistics import histogram
from r_avst.dataset_builder.dataset_statistics import statistics_of
from r_avst.dataset_builder.event_groups import GROUP_OF
from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import ObjectTrack

NO_QUESTION = {"when": 0, "where_sounding": 0, "where_silent": 0, "when_where": 0}


def pair(here: Any, paper: Any) -> dict[str, Any]:
    return {"here": here, "paper": paper}


# --- a small data set -------------------------------------------------------------------------------------------------


@pytest.fixture
def counted(tmp_path: Path) -> Statistics:
    return statistics_of(load_built_dataset(str(write_counted(tmp_path))))


def test_a_small_data_set_is_counted_as_one_counts_it_by_hand(counted: Statistics) -> None:
    assert counted == Statistics(
        videos={"train": 2, "test": 1},
        questions={
            "train": {"when": 1, "where_sounding": 1, "where_silent": 1, "when_where": 1},
            "test": NO_QUESTION | {"when": 2},
        },
        lengths=Histogram(5, (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1)),
        total_length=90.0,
        unknown_lengths=0,
        events=4,
        unlabelled_events=1,
        events_a_video={1: 2, 2: 1},
        categories=(
            Category("man speaking", "voices", 1, 2.0),
            Category("dog barking", "animals", 2, 30.0),
            Category("thunder", "nature", 1, 20.0),
        ),
        objects_a_video={0: 1, 2: 1, 4: 1},
        audibility=Audibility(audible=3, silent=2, unknown=1),
    )


def test_what_follows_from_the_counts(counted: Statistics) -> None:
    assert (counted.mean_length, counted.objects, counted.mean_objects, counted.audible_share) == (30.0, 6, 2.0, 0.6)
    assert [own.mean_length for own in counted.categories] == [2.0, 15.0, 20.0]


def test_each_figure_stands_beside_the_paper_s(counted: Statistics) -> None:
    told = beside_paper(counted, "r-avst")
    assert told["table_1"] == {
        "videos": pair(3, 5237),
        "classes": pair(3, 100),
        "mean_length_s": pair(30.0, 42.17),
        "objects_a_video": pair(2.0, 5.2),
        "modality": pair("VA", "VA"),
    }
    assert told["videos"] == {"train": pair(2, 4171), "test": pair(1, 1066), "total": pair(3, 5237)}
    assert told["table_5"] == {
        "train": {
            "temporal": pair(1, 2663),
            "spatial": pair(2, 2666),
            "spatio_temporal": pair(1, 1204),
            "total": pair(4, 6533),
        },
        "test": {"temporal": pair(2, 663), "spatial": pair(0, 664), "spatio_temporal": pair(0, 306), "total": pair(2, 1633)},
        "total": {
            "temporal": pair(3, 3326),
            "spatial": pair(2, 3330),
            "spatio_temporal": pair(1, 1510),
            "total": pair(6, 8166),
        },
    }
    assert told["figure_3"]["categories"][1] == {
        "label": "dog barking",
        "group": "animals",
        "events": 2,
        "mean_length_s": 15.0,
        "total_length_s": 30.0,
    }
    assert told["figure_6"]["visible_and_audible_share"] == pair(0.6, 0.5088)


def test_what_nobody_knows_is_null_and_not_zero() -> None:
    event = Event("a-0", "a", (0.0, 1.0), (), None, (ObjectTrack("shadow", None, ()),))
    told = beside_paper(statistics_of(BuiltDataset((BuiltVideo("a", "test", None),), (event,), ())), "own")
    assert told["table_1"]["classes"] == pair(None, 100)
    assert told["table_1"]["mean_length_s"] == pair(None, 42.17)
    assert told["figure_6"]["visible_and_audible_share"] == pair(None, 0.5088)
    assert told["figure_3"]["videos_of_unknown_length"] == told["figure_3"]["unlabelled_events"] == 1


@pytest.mark.parametrize(
    ("durations", "step", "counts"),
    [
        ([], 5, ()),
        ([0.1], 5, (1,)),
        ([4.99, 5.0, 9.99], 5, (1, 2)),
        ([119.9], 5, (*[0] * 23, 1)),
        ([120.0], 10, (*[0] * 12, 1)),
        ([7200.0, 30.0], 600, (1, *[0] * 11, 1)),
        ([86_400.0], 3600, (*[0] * 24, 1)),
    ],
)
def test_durations_are_counted_in_round_steps(durations: list[float], step: int, counts: tuple[int, ...]) -> None:
    assert histogram(durations) == Histogram(step, counts)


# --- the released file, counted again without the builder -------------------------------------------------------------


@pytest.fixture(scope="module")
def released(release_file: Path, unav_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("released") / "r-avst"
    build_release(str(release_file), unav_file, None, folder)
    return beside_paper(statistics_of(load_built_dataset(str(folder))), "r-avst")


@pytest.fixture(scope="module")
def entries(release_file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(release_file.read_text(encoding="utf-8"))
    return found


def asked(annotation: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The questions of an annotation with their answers."""
    for key, pairs in annotation.items():
        if key != "event_num":
            yield from ((own["Q"], own["A"]) for own in pairs)


def span_of(annotation: dict[str, Any]) -> tuple[float, float]:
    """The span that a spatial question names, for the ``when`` of the others may be rounded."""
    for form in (r"between ([\d.]+) and ([\d.]+)", r"<when>\[([\d.]+), ([\d.]+)\]"):
        for question, answer in asked(annotation):
            if found := re.search(form, question + answer):
                return float(found[1]), float(found[2])
    raise AssertionError("no span")


def test_the_released_file_has_what_is_known_of_it(released: dict[str, Any]) -> None:
    assert released["table_1"]["videos"]["here"] == released["videos"]["test"]["here"] == 1070
    assert {task: own["here"] for task, own in released["table_5"]["test"].items()} == {
        "temporal": 666,
        "spatial": 666,
        "spatio_temporal": 306,
        "total": 1638,
    }
    assert {own["here"] for own in released["table_5"]["train"].values()} == {0}
    assert round(released["table_1"]["mean_length_s"]["here"], 1) == 41.9
    assert released["table_1"]["classes"]["here"] <= 100


def test_durations_agree_with_the_raw_json(released: dict[str, Any], entries: list[dict[str, Any]]) -> None:
    durations = [entry["duration"] for entry in entries]
    assert released["table_1"]["mean_length_s"]["here"] == pytest.approx(sum(durations) / 1070)
    assert released["figure_3"]["total_length_s"]["here"] == pytest.approx(sum(durations))
    told = released["figure_3"]["video_lengths"]
    edges = [told["step_s"] * index for index in range(len(told["videos"]))]
    assert told["videos"] == [sum(edge <= own < edge + told["step_s"] for own in durations) for edge in edges]


def test_events_and_question_types_agree_with_the_raw_json(released: dict[str, Any], entries: list[dict[str, Any]]) -> None:
    events = Counter(str(len(entry["annotation"])) for entry in entries)
    assert released["figure_3"]["events_a_video"] == dict(events)
    assert released["figure_3"]["events"] == sum(len(entry["annotation"]) for entry in entries)
    texts = [question for entry in entries for annotation in entry["annotation"] for question, _ in asked(annotation)]
    assert released["figure_6"]["question_types"]["test"] == {
        "when": sum(own.startswith("When") and "where is" not in own for own in texts),
        "where_sounding": sum(own.startswith("What visible") for own in texts),
        "where_silent": sum(own.startswith("What silent") for own in texts),
        "when_where": sum(own.startswith("When") and "where is" in own for own in texts),
    }


def test_objects_agree_with_the_raw_json(released: dict[str, Any], entries: list[dict[str, Any]]) -> None:
    heard: Counter[bool] = Counter()
    by_video: Counter[str] = Counter()
    for entry in entries:
        number = 0
        for annotation in entry["annotation"]:
            named = {
                (name.strip(), not question.startswith("What silent"))
                for question, answer in asked(annotation)
                for name in re.findall(r"<object>(.*?)</object>", answer, re.DOTALL)
            }
            heard.update(audible for _, audible in named)
            number += len(named)
        by_video[str(number)] += 1
    told = released["figure_6"]
    assert told["objects_a_video"] == dict(by_video)
    assert (told["visible_and_audible"], told["silent"], told["audibility_unknown"]) == (heard[True], heard[False], 0)
    assert told["objects"]["here"] == sum(heard.values())
    assert released["table_1"]["objects_a_video"]["here"] == pytest.approx(sum(heard.values()) / 1070)


def test_the_durations_of_classes_agree_with_the_raw_json(
    released: dict[str, Any], entries: list[dict[str, Any]], unav_file: Path
) -> None:
    database = json.loads(unav_file.read_text(encoding="utf-8"))["database"]
    lengths = defaultdict(list)
    for entry in entries:
        for annotation in entry["annotation"]:
            start, end = span_of(annotation)
            segments = database[entry["video_name"]]["annotations"]
            near = {
                own["label"] for own in segments if max(abs(own["segment"][0] - start), abs(own["segment"][1] - end)) <= 0.06
            }
            for label in near:
                lengths[label].append(end - start)
    told = {own["label"]: own for own in released["figure_3"]["categories"]}
    assert set(told) == set(lengths)
    assert len(told) == released["table_1"]["classes"]["here"]
    for label, own in told.items():
        assert own["group"] == GROUP_OF[label]
        assert own["events"] == len(lengths[label])
        assert own["total_length_s"] == pytest.approx(sum(lengths[label]))
        assert own["mean_length_s"] == pytest.approx(sum(lengths[label]) / len(lengths[label]))
