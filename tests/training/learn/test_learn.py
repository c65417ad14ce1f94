"""The command: runs, results, and what it says of them; and, where there is time, that it learns."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from r_avst.training.learn import learn
from r_avst.training.learn.one_run import settings_of
from r_avst.training.learn.results import Result
from r_avst.training.learn.results import read_results
from r_avst.training.learn.tasks import TASKS
from r_avst.training.learn.tasks import Phase

ROOT = Path(__file__).parents[3]
SHORT = {"clips": 8, "held_out": 4, "sft_batch": 4, "grpo_steps": 2, "generations": 4, "grpo_batch": 8}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks that are over in seconds, and teach nothing."""
    phases = (Phase(0.5, "any", 2, 0.0, 1e-3), Phase(0.4, "constant", 1, 0.0, 1e-3))
    monkeypatch.setattr(learn, "TASKS", {name: replace(task, **SHORT, phases=phases) for name, task in TASKS.items()})


def no_run(*_: object) -> Result:
    raise AssertionError("a run that was done is not to be repeated")


@pytest.mark.usefixtures("short")
@pytest.mark.slow
def test_a_run_goes_all_the_way_and_is_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--tasks", "temporal", "sound", "--seeds", "3", "--out", str(tmp_path)]
    assert learn.main(arguments) == 1  # nothing can be learned in two steps
    told = capsys.readouterr()
    assert "MISSED  temporal, seed 3: " in told.err
    assert "| temporal" in told.out
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert "<svg" in (tmp_path / "curves.svg").read_text()
    for name in ("temporal_3", "sound_3"):
        assert sorted(path.name for path in (tmp_path / "runs" / name).iterdir()) == ["r-avst", "trained", "videos"]
    results = read_results(tmp_path / "results.json")
    assert results["temporal"][0].sft_steps == [2, 1]
    assert len(results["temporal"][0].rewards) == 2
    assert results["temporal"][0].video_swapped is None
    assert results["sound"][0].video_swapped is not None

    monkeypatch.setattr(learn, "run", no_run)
    assert learn.main(arguments) == 1
    assert "already" in capsys.readouterr().out
    with pytest.raises(AssertionError, match="not to be repeated"):
        learn.main([*arguments[:4], "4", *arguments[5:]])


def test_settings_are_as_json_has_them_and_tell_tasks_apart() -> None:
    told = {name: json.dumps(settings_of(task), sort_keys=True) for name, task in TASKS.items()}
    assert len(set(told.values())) == len(TASKS)
    for name, task in TASKS.items():
        assert json.loads(told[name]) == settings_of(task)


def test_a_run_that_suffices_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = Result(0, 0.6, 0.8, 0.42, 0.4, None, [1], 1.0, [0.5, 0.6], settings_of(TASKS["temporal"]))
    monkeypatch.setattr(learn, "run", lambda *_: good)
    assert learn.main(["--tasks", "temporal", "--seeds", "0", "--out", str(tmp_path)]) == 0


def test_help_says_what_can_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        learn.main(["--help"])
    assert "{boxes,sound,temporal,wrong}" in capsys.readouterr().out


@pytest.mark.slow
def test_the_temporal_task_is_learned(tmp_path: Path) -> None:
    """What `make learn` runs; see there for the time it takes."""
    command = [sys.executable, "-m", "r_avst.training.learn.learn", "--tasks", "temporal", "--seeds", "0"]
    ran = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    (own,) = read_results(tmp_path / "results.json")["temporal"]
    assert own.after >= own.before + 0.05
    assert own.after >= own.constant + 0.25
    assert own.swapped <= own.constant + 0.05
