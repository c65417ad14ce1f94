"""Runs stages: what is done is kept, what fails is listed, and a run that was killed goes on where it stopped."""

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
from tqdm import tqdm

from .line_files import append_line
from .records import VideoRow
from .stages.stage import Report
from .stages.stage import SetStage
from .stages.stage import StageError
from .stages.stage import VideoStage
from .work_folder import Failed
from .work_folder import Made
from .work_folder import Outcome
from .work_folder import digest
from .work_folder import finish
from .work_folder import open_outcomes
from .work_folder import outcome_text
from .work_folder import read_outcomes

Work = Callable[[VideoRow], VideoRow]
Task = tuple[str, VideoRow]  # the digest of what the row to come is made from, and the row to work on
Engine = Callable[[VideoStage, Sequence[Task]], Iterator[Outcome]]


@dataclass(frozen=True, slots=True)
class StageResult:
    """What came of a stage: its rows in the order of its input, the videos that failed, and what it tells of itself."""

    name: str
    rows: tuple[VideoRow, ...]
    failures: tuple[Failed, ...]
    report: Report


@contextmanager
def only_run(work: Path) -> Iterator[None]:
    """Holds a work folder against a second run; a run that is killed lets go of it.

    Raises:
        StageError: another run is at work in it.
    """
    work.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(work / ".lock", timeout=0):
            yield
    except filelock.Timeout:
        raise StageError(f"{work}: another run is at work in it; wait for it, or give another --work") from None


def check_ids(rows: Sequence[VideoRow]) -> None:
    """A row is known by its video.

    Raises:
        StageError: two rows are of one video.
    """
    for video_id, count in Counter(row.video.video_id for row in rows).items():
        if count > 1:
            raise StageError(
                f"the video {video_id} stands in {'two' if count == 2 else count} rows; it needs one with all its events"
            )


def run_set_stage(stage: SetStage, rows: Sequence[VideoRow], work: Path) -> StageResult:
    """Runs a stage that looks at all videos together and keeps what it made."""
    made, report = stage.run(rows)
    finish(work / stage.name, (Made(row.video.video_id, "", row) for row in made), report)
    return StageResult(stage.name, made, (), report)


def run_video_stage(
    stage: VideoStage, rows: Sequence[VideoRow], work: Path, engine: Engine, retry_failed: bool
) -> StageResult:
    """Runs a stage on every video that it has not yet worked on with these settings.

    Args:
        stage: what to run.
        rows: a row a video.
        work: the work folder; the stage's own folder is in it.
        engine: `run_here` or `ray_engine.OnRay`.
        retry_failed: tries videos again that failed in an earlier run.

    Raises:
        StageError: the stage cannot go on; what it made is kept.
    """
    check_ids(rows)
    folder = work / stage.name
    tasks = [(digest(stage.settings(), row), row) for row in rows]
    outcomes = read_outcomes(folder)
    kinds = Made if retry_failed else Made | Failed
    waiting = [task for task in tasks if not isinstance(outcomes.get(task[0]), kinds)]
    if waiting:
        store = open_outcomes(folder)
        for outcome in _with_progress(stage.name, engine(stage, waiting), len(rows), len(rows) - len(waiting)):
            append_line(store, outcome_text(outcome))
            outcomes[outcome.input] = outcome
    return _finished(stage, folder, [outcomes[made_from] for made_from, _ in tasks])


def _finished(stage: VideoStage, folder: Path, outcomes: Sequence[Outcome]) -> StageResult:
    made = tuple(outcome.row for outcome in outcomes if isinstance(outcome, Made))
    failures = tuple(outcome for outcome in outcomes if isinstance(outcome, Failed))
    report = {"videos": len(made), "failed": len(failures), **stage.report(made)}
    finish(folder, outcomes, report)
    return StageResult(stage.name, made, failures, report)


def _with_progress(name: str, outcomes: Iterable[Outcome], total: int, done: int) -> Iterator[Outcome]:
    failed = 0
    with tqdm(desc=name, total=total, initial=done, unit="video") as bar:
        for outcome in outcomes:
            if isinstance(outcome, Failed):
                failed += 1
                bar.set_postfix(failed=failed)
            yield outcome
            bar.update()


def run_here(stage: VideoStage, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """The engine of this machine: `stage.workers` videos at once."""
    work = stage.open()
    if stage.workers == 1:
        yield from (attempt(work, task) for task in tasks)
        return
    pool = ThreadPoolExecutor(stage.workers)
    futures = [pool.submit(attempt, work, task) for task in tasks]
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:  # an error, or a stop by the user: what has not begun is not to begin, what hangs is not waited for
        pool.shutdown(wait=False, cancel_futures=True)


def attempt(work: Work, task: Task) -> Outcome:
    """Works on one video. Whatever goes wrong with it is its failure, and no other video's.

    Raises:
        StageError: the stage cannot go on.
    """
    made_from, row = task
    video_id = row.video.video_id
    try:
        return Made(video_id, made_from, work(row))
    except StageError:
        raise
    except ValueError as error:  # the named errors: they say it themselves
        return Failed(video_id, made_from, str(error))
    except Exception as error:
        return Failed(video_id, made_from, f"{type(error).__name__}: {error}")
