"""The file of results, what runs must reach, and the table."""

import json
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from r_avst.training.learn.curves import draw_curves
from r_avst.training.learn.results import Result
from r_avst.training.learn.results import ResultsError
from r_avst.training.learn.results import add_result
from r_avst.training.learn.results import failures
from r_avst.training.learn.results import find_result
from r_avst.training.learn.results import read_results
from r_avst.training.learn.results import table

GOOD = Result(
    seed=0,
    before=0.6,
    after=0.8,
    constant=0.42,
    swapped=0.4,
    video_swapped=None,
    sft_steps=[300],
    seconds=60.0,
    rewards=[0.5, 0.6, 0.8],
    settings={"clips": 4},
)


def test_results_come_back_and_a_seed_stands_once(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    add_result(path, "temporal", replace(GOOD, seed=1))
    add_result(path, "temporal", GOOD)
    add_result(path, "temporal", replace(GOOD, after=0.9))
    add_result(path, "sound", replace(GOOD, video_swapped=0.8))
    found = read_results(path)
    assert found == {
        "sound": [replace(GOOD, video_swapped=0.8)],
        "temporal": [replace(GOOD, after=0.9), replace(GOOD, seed=1)],
    }


def test_the_file_is_as_announced(tmp_path: Path) -> None:
    add_result(tmp_path / "results.json", "temporal", GOOD)
    (run,) = json.loads((tmp_path / "results.json").read_text())["temporal"]
    assert {name: run[name] for name in ("seed", "before", "after", "constant", "swapped")} == {
        "seed": 0,
        "before": 0.6,
        "after": 0.8,
        "constant": 0.42,
        "swapped": 0.4,
    }
    assert run["sft_gain"] == pytest.approx(0.18)
    assert run["grpo_gain"] == pytest.approx(0.2)


def add_seed(path: Path, seed: int) -> None:
    add_result(path, "temporal", replace(GOOD, seed=seed))


def test_several_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    context = get_context("fork")
    processes = [context.Process(target=add_seed, args=(path, seed)) for seed in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [own.seed for own in read_results(path)["temporal"]] == list(range(8))


def test_only_a_run_under_the_same_settings_counts_as_done(tmp_path: Path) -> None:
    results = {"temporal": [GOOD]}
    assert find_result(results, "temporal", 0, {"clips": 4}) == GOOD
    assert find_result(results, "temporal", 1, {"clips": 4}) is None
    assert find_result(results, "temporal", 0, {"clips": 5}) is None
    assert find_result(results, "boxes", 0, {"clips": 4}) is None
    assert read_results(tmp_path / "none.json") == {}


@pytest.mark.parametrize("content", ["", "[]", '{"temporal": [{"seed": 0}]}', '{"temporal": 3}'])
def test_a_file_of_something_else_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(ResultsError, match=r"results\.json"):
        read_results(path)


@pytest.mark.parametrize(
    ("task", "changes", "missed"),
    [
        ("temporal", {}, []),
        ("temporal", {"before": 0.76}, ["against before: 0.800, at least 0.810"]),
        ("temporal", {"after": 0.66}, ["against the best constant: 0.660, at least 0.670"]),
        ("temporal", {"swapped": 0.48}, ["swapped: 0.480, at most 0.470"]),
        ("boxes", {"before": 0.8}, ["against before: 0.800, at least 0.850"]),
        ("boxes", {"before": 0.4, "after": 0.5}, ["against the best constant"]),
        ("sound", {"swapped": 0.6}, ["swapped"]),
        ("wrong", {}, ["on wrong rewards: 0.800, at most 0.600"]),
        ("wrong", {"after": 0.55, "swapped": 0.9}, []),
    ],
)
def test_what_is_missed_is_named(task: str, changes: dict[str, float], missed: list[str]) -> None:
    own = replace(GOOD, seed=2, **changes)  # type: ignore[arg-type]
    lines = failures(task, own)
    assert len(lines) == len(missed)
    for line, part in zip(lines, missed, strict=True):
        assert part in line
        assert line.startswith(f"{task}, seed 2: ")


def test_the_table_shows_what_sft_gave_and_what_grpo_added() -> None:
    lines = table({"temporal": [GOOD], "sound": [replace(GOOD, video_swapped=0.75)]}).splitlines()
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == [
        *("temporal", "0", "0.42", "0.60", "0.80", "0.40", "+0.18", "+0.20", "300, 3", "60")
    ]
    assert "0.40 (pictures 0.75)" in lines[3]


def test_curves_are_drawn_in_both_forms(tmp_path: Path) -> None:
    paths = [tmp_path / "curves.png", tmp_path / "curves.svg"]
    draw_curves({"temporal": [GOOD, replace(GOOD, seed=1)], "boxes": [GOOD], "sound": [GOOD]}, paths)
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert "<svg" in paths[1].read_text()
