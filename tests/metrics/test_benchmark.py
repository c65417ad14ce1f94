"""The questions of a built data set, balanced subsets, and the groups of the breakdowns."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.scores import Question
from r_avst.metrics.benchmark import BREAKDOWNS
from r_avst.metrics.benchmark import COLUMNS
from r_avst.metrics.benchmark import UNKNOWN
from r_avst.metrics.benchmark import BenchmarkError
from r_avst.metrics.benchmark import BenchmarkQuestion
from r_avst.metrics.benchmark import balanced_subset
from r_avst.metrics.benchmark import load_questions


@pytest.fixture
def tiny_dataset(tiny_release: Path, tmp_path: Path) -> Path:
    build_release(str(tiny_release), None, None, tmp_path / "built" / tmp_path.name)
    return tmp_path / "built" / tmp_path.name


@pytest.fixture(scope="module")
def real_questions(release_file: Path, unav_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[BenchmarkQuestion]:
    folder = tmp_path_factory.mktemp("benchmark-real")
    build_release(str(release_file), unav_file, None, folder)
    return load_questions(str(folder), "test")


# --- loading ----------------------------------------------------------------------------------------------------------


def test_questions_come_in_the_order_of_the_data_set_with_all_that_scoring_needs(tiny_dataset: Path) -> None:
    questions = {own.question_id: own for own in load_questions(str(tiny_dataset), "test")}
    assert list(questions) == [
        "tiny_dog-0-temporal-0",
        "tiny_car-0-temporal-0",
        "tiny_dog-0-spatial-0",
        "tiny_dog-0-spatial-1",
        "tiny_dog-1-spatio_temporal-0",
    ]
    dog = questions["tiny_dog-0-temporal-0"]
    assert dog == BenchmarkQuestion(
        question_id="tiny_dog-0-temporal-0",
        question=Question(Answer((Track("Dog"),), (1.4, 6.0)), "temporal", 10.0),
        answer="<answer>\n<object>Dog</object>\n<when>[1.4, 6.0]</when>\n</answer>",
        question_type="when",
        event_labels=(),
        query_span=None,
        frame_size=None,
    )
    silent = questions["tiny_dog-0-spatial-1"]
    assert (silent.question_type, silent.query_span, silent.span) == ("where_silent", (1.4, 6.0), (1.4, 6.0))
    assert silent.question.truth == parse_answer(silent.answer).answer
    both = questions["tiny_dog-1-spatio_temporal-0"]
    assert (both.question_type, both.question.task, both.query_span) == ("when_where", "spatio_temporal", None)
    assert both.span == (7.0, 10.1)
    assert questions["tiny_car-0-temporal-0"].question.duration == 45.5


def test_the_released_questions_carry_their_event_classes(real_questions: list[BenchmarkQuestion]) -> None:
    assert Counter(own.question.task for own in real_questions) == {"temporal": 666, "spatial": 666, "spatio_temporal": 306}
    first = real_questions[0]
    assert (first.question_id, first.event_labels) == ("zLfhRM6G0OU-0-temporal-0", ("playing trombone",))
    assert all(own.question.duration for own in real_questions)


@pytest.mark.parametrize("name", ["absent", "user/absent"])
def test_an_absent_data_set_is_named_with_the_command_that_builds_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchmarkError, match=f"the split 'test' of '{name}' cannot be loaded") as caught:
        load_questions(name, "test")
    assert "r-avst-build release" in str(caught.value)


def test_an_absent_split_is_named(tiny_dataset: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"the split 'train' .* cannot be loaded"):
        load_questions(str(tiny_dataset), "train")


def test_another_data_set_is_refused_with_the_columns_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(json.dumps(dict.fromkeys(COLUMNS[2:], "x")), encoding="utf-8")
    with pytest.raises(BenchmarkError, match=r"lacks the columns \['question_id', 'task'\]; is it a data set of r-avst-b"):
        load_questions(str(tmp_path), "test")


@pytest.mark.parametrize("size", [0, 200])
def test_a_damaged_file_is_refused_by_name(tiny_dataset: Path, size: int) -> None:
    path = next((tiny_dataset / "spatial").glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(BenchmarkError, match="cannot be loaded") as caught:
        load_questions(str(tiny_dataset), "test")
    assert str(tiny_dataset) in str(caught.value)


def build(entries: list[dict[str, Any]], scratch: Path, out: Path) -> None:
    (scratch / "entries.json").write_text(json.dumps(entries), encoding="utf-8")
    build_release(str(scratch / "entries.json"), None, None, out)


def test_a_data_set_built_anew_in_its_place_is_read_anew(tiny_release: Path, tmp_path: Path) -> None:
    entries, out = json.loads(tiny_release.read_text(encoding="utf-8")), tmp_path / "rebuilt"
    build(entries, tmp_path, out)
    assert len(load_questions(str(out), "test")) == 5
    entries[0]["duration"] = 12.5
    build(entries, tmp_path, out)
    assert load_questions(str(out), "test")[0].question.duration == 12.5


def test_two_folders_of_one_name_are_two_data_sets(tiny_release: Path, tmp_path: Path) -> None:
    entries = json.loads(tiny_release.read_text(encoding="utf-8"))
    build(entries, tmp_path, tmp_path / "first" / "same-name")
    entries[0]["duration"] = 12.5
    build(entries, tmp_path, tmp_path / "second" / "same-name")
    durations = [
        load_questions(str(tmp_path / folder / "same-name"), "test")[0].question.duration for folder in ("first", "second")
    ]
    assert durations == [10.0, 12.5]


def test_a_folder_that_is_gone_is_not_served_from_a_cache(
    tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    build_release(str(tiny_release), None, None, Path("soon-gone"))
    assert len(load_questions("soon-gone", "test")) == 5
    shutil.rmtree("soon-gone")
    with pytest.raises(BenchmarkError, match="the split 'test' of 'soon-gone' cannot be loaded"):
        load_questions("soon-gone", "test")


def test_the_frame_size_comes_with_the_data_set(tiny_dataset: Path, tmp_path: Path) -> None:
    rows = datasets.load_dataset(str(tiny_dataset), split="test")
    sizes = [(640, 360), (None, None), (320, 180), (320, None), (1920, 1080)]
    sized = rows.map(lambda _, index: {"width": sizes[index][0], "height": sizes[index][1]}, with_indices=True)
    (tmp_path / "sized").mkdir()
    sized.to_parquet(str(tmp_path / "sized" / "test.parquet"))
    found = [own.frame_size for own in load_questions(str(tmp_path / "sized"), "test")]
    assert found == [(640, 360), None, (320, 180), None, (1920, 1080)]


# --- balanced subsets -------------------------------------------------------------------------------------------------


def numbered(task: Task, count: int) -> list[BenchmarkQuestion]:
    return [question(question_id=f"{task}-{number}", task=task) for number in range(count)]


def question(
    question_id: str = "q",
    task: Task = "temporal",
    span: Span | None = None,
    query_span: Span | None = None,
    duration: float | None = None,
    labels: tuple[str, ...] = (),
) -> BenchmarkQuestion:
    own = Question(Answer((Track("dog"),), span), task, duration)
    return BenchmarkQuestion(question_id, own, "", "when", labels, query_span, None)


MANY = [*numbered("temporal", 30), *numbered("spatial", 20), *numbered("spatio_temporal", 7)]


def test_a_balanced_subset_has_as_many_of_each_task_in_their_order() -> None:
    subset = balanced_subset(MANY, seed=0)
    assert Counter(own.question.task for own in subset) == dict.fromkeys(TASKS, 7)
    positions = [MANY.index(own) for own in subset]
    assert positions == sorted(set(positions))


def test_a_balanced_subset_depends_on_the_seed_and_on_nothing_else() -> None:
    assert balanced_subset(MANY, seed=3) == balanced_subset(MANY, seed=3)
    drawn = {tuple(own.question_id for own in balanced_subset(MANY, seed=seed)) for seed in range(5)}
    assert len(drawn) == 5


def test_every_question_can_be_drawn() -> None:
    drawn = {own.question_id for seed in range(60) for own in balanced_subset(MANY, seed)}
    assert drawn == {own.question_id for own in MANY}


def test_without_questions_of_a_task_nothing_is_balanced() -> None:
    with pytest.raises(BenchmarkError, match="none of spatial, spatio_temporal"):
        balanced_subset(numbered("temporal", 3), seed=0)


def test_the_released_split_balances_at_the_size_of_its_smallest_task(real_questions: list[BenchmarkQuestion]) -> None:
    subset = balanced_subset(real_questions, seed=0)
    assert Counter(own.question.task for own in subset) == dict.fromkeys(TASKS, 306)


# --- breakdowns -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("duration", "group"),
    [
        (0.5, "0-20 s"),
        (19.99, "0-20 s"),
        (20.0, "20-40 s"),
        (39.99, "20-40 s"),
        (40.0, "40-60 s"),
        (59.99, "40-60 s"),
        (60.0, "60+ s"),
        (600.0, "60+ s"),
        (None, UNKNOWN),
    ],
)
def test_videos_are_grouped_by_length_as_in_the_paper(duration: float | None, group: str) -> None:
    assert BREAKDOWNS["length"](question(duration=duration)) == group


@pytest.mark.parametrize(
    ("span", "duration", "group"),
    [
        ((0.0, 0.1), 8.0, "0-25%"),
        ((2.0, 3.99), 8.0, "0-25%"),
        ((2.0, 4.0), 8.0, "25-50%"),
        ((0.0, 3.99), 8.0, "25-50%"),
        ((0.0, 4.0), 8.0, "50-75%"),
        ((1.0, 6.99), 8.0, "50-75%"),
        ((1.0, 7.0), 8.0, "75-100%"),
        ((0.0, 8.0), 8.0, "75-100%"),
        ((0.0, 8.4), 8.0, "75-100%"),
        (None, 8.0, UNKNOWN),
        ((0.0, 4.0), None, UNKNOWN),
    ],
)
def test_coverage_is_the_share_of_the_video_that_the_span_fills(
    span: Span | None, duration: float | None, group: str
) -> None:
    assert BREAKDOWNS["coverage"](question(span=span, duration=duration)) == group
    assert BREAKDOWNS["coverage"](question(task="spatial", query_span=span, duration=duration)) == group


def test_a_question_without_event_classes_is_of_an_unknown_one() -> None:
    assert BREAKDOWNS["event_label"](question()) == UNKNOWN
    assert BREAKDOWNS["event_label"](question(labels=("dog barking", "rain"))) == ("dog barking", "rain")


def test_breakdowns_are_those_of_the_design_and_take_every_released_question(
    real_questions: list[BenchmarkQuestion],
) -> None:
    assert list(BREAKDOWNS) == ["question_type", "event_label", "length", "coverage"]
    groups = {name: Counter(map(group_of, real_questions)) for name, group_of in BREAKDOWNS.items() if name != "event_label"}
    assert groups["question_type"] == {"when": 666, "where_sounding": 378, "where_silent": 288, "when_where": 306}
    assert {sum(own.values()) for own in groups.values()} == {1638}
    assert UNKNOWN not in groups["length"] | groups["coverage"]
