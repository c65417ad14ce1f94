"""The Space in a process of its own, as a user starts it, and predictions for it to show."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.metrics.benchmark import load_questions
from r_avst.metrics.floors import FLOORS

MODULE = ("-m", "r_avst.space.app")
WAIT = 60  # seconds


@dataclass(frozen=True)
class Served:
    """Where a page is served, by which process, and what it said before."""

    url: str
    pid: int
    said: tuple[str, ...]


@contextmanager
def served_space(*arguments: str | Path, program: tuple[str, ...] = MODULE, cwd: Path | None = None) -> Iterator[Served]:
    """Runs the Space with these arguments until the block ends."""
    command = [sys.executable, *program, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd) as process:
        assert process.stdout
        said: list[str] = []
        try:
            for line in process.stdout:
                said.append(line.rstrip())
                if line.startswith("Open http://"):
                    yield Served(line.split()[1], process.pid, tuple(said))
                    return
            raise AssertionError("\n".join(said))
        finally:
            process.terminate()
            process.wait(WAIT)


def write_floors(dataset: Path, folder: Path) -> list[Path]:
    """A file of predictions for each floor of a data set's test split."""
    questions = load_questions(str(dataset), "test")
    paths = []
    for name, floor in FLOORS.items():
        rows = (
            {
                "question_id": own.question_id,
                "text": write_answer(answer, own.question.task),
                "coordinate_space": "source",
            }
            for own, answer in zip(questions, floor(questions, 0), strict=True)
        )
        path = folder / f"{name.replace(' ', '_').replace('%', '')}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        paths.append(path)
    return paths
