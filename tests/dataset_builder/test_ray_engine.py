"""The Ray engine, on a real cluster of two workers on this machine."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray.data", reason="ray is not installed: pip install 'r-avst[ray]'")

pytestmark = pytest.mark.slow  # a cluster that starts its workers again and again

ROOT = Path(__file__).parents[2]
# A process of its own: Ray starts a cluster for it, and takes it down with it. The workers find the stage's module there.
RUN_ON_RAY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": sys.argv[1]}})
from scripted_stages import UpperStage, video_rows
from r_avst.dataset_builder.build import main
from r_avst.dataset_builder.pipeline import run_here, run_video_stage
from r_avst.dataset_builder.ray_engine import OnRay
from r_avst.dataset_builder.stages.stage import StageError
work = Path(sys.argv[2])
rows = video_rows(12)
bad = ("video03",)
run_video_stage(UpperStage(work / "log_here", bad=bad), rows, work / "here", run_here, retry_failed=False)
on_ray = OnRay(address=None, workers=2)
build = ["synthetic", "--videos", "3", "--no-balance"]
assert main([*build, "--work", str(work / "build_here/build"), "--out", str(work / "build_here/r-avst")]) == 0
spread = ["--engine", "ray", "--ray-workers", "2"]
assert main([*build, *spread, "--work", str(work / "build_ray/build"), "--out", str(work / "build_ray/r-avst")]) == 0
no_gpu = ["--ray-gpus", "1", "--only", "boxes", "--box-threshold", "0.5"]
assert main([*build, *spread, *no_gpu, "--work", str(work / "build_ray/build")]) == 2
plain = UpperStage(work / "log_ray", bad=bad, seconds=0.1)
run_video_stage(plain, rows, work / "on_ray", on_ray, retry_failed=False)
killed = UpperStage(work / "log_killed", bad=bad, kills=("video05",), seconds=0.1)
run_video_stage(killed, rows, work / "killed", on_ray, retry_failed=False)
try:
    run_video_stage(UpperStage(work / "log_stopped", stops=("video02",)), rows, work / "stopped", on_ray, retry_failed=False)
except StageError as error:
    (work / "stopped.txt").write_text(str(error))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("ray")
    command = [sys.executable, "-c", RUN_ON_RAY, str(ROOT / "tests"), str(work)]
    answered = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert answered.returncode == 0, answered.stderr[-3000:]
    (work / "said").write_text(answered.stderr)
    return work


def files(folder: Path) -> dict[str, bytes]:
    """All but the outcomes, which stand in the order in which they came."""
    return {path.name: path.read_bytes() for path in (folder / "upper").iterdir() if path.name != "outcomes.jsonl"}


def test_the_cluster_makes_what_this_machine_makes(ran: Path) -> None:
    assert files(ran / "on_ray") == files(ran / "here")
    assert b"video03: a bad video" in files(ran / "on_ray")["failures.jsonl"]


def test_a_build_on_the_cluster_is_that_of_this_machine(ran: Path) -> None:
    for name in ("boxes/rows.jsonl", "quality/rows.jsonl"):
        here, there = ((ran / build / "build" / name).read_bytes() for build in ("build_here", "build_ray"))
        assert here == there
    here, there = (
        sorted(path.name for path in (ran / build / "r-avst").rglob("*")) for build in ("build_here", "build_ray")
    )
    assert here == there  # the names of the parquet files bear digests of what is in them


def test_a_worker_is_not_waited_for_that_no_cluster_can_have(ran: Path) -> None:
    assert "a worker is to hold 1 GPUs and the Ray cluster has 0: give --ray-gpus 0" in (ran / "said").read_text()


def test_a_killed_worker_changes_nothing(ran: Path) -> None:
    assert (ran / "log_killed.killed").exists()
    assert (ran / "log_killed").read_text().split().count("video05") >= 2
    assert files(ran / "killed") == files(ran / "here")


def test_a_stage_that_cannot_go_on_stops_the_run(ran: Path) -> None:
    assert (ran / "stopped.txt").read_text() == "the server is gone"
