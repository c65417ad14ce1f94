"""The data set from videos with captions: a source's rows through the five stages of the paper's figure 2."""

import json
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import NamedTuple

from tqdm import tqdm

from .dataset_folder import REPORT
from .dataset_folder import check_replaceable
from .dataset_folder import describe_folder
from .dataset_folder import write_folder
from .line_files import put_text
from .pipeline import Engine
from .pipeline import StageResult
from .pipeline import check_ids
from .pipeline import run_here
from .pipeline import run_set_stage
from .pipeline import run_video_stage
from .records import CardText
from .records import VideoRow
from .records import records_of
from .stages.boxes import BoxStage
from .stages.captions import CaptionStage
from .stages.filter import FilterStage
from .stages.filter import describe as describe_filter
from .stages.quality import QualityStage
from .stages.quality import describe as describe_quality
from .stages.questions import QuestionStage
from .stages.stage import Report
from .stages.stage import StageError
from .work_folder import FAILURES
from .work_folder import REPORT as REPORT_OF_STAGE
from .work_folder import ROWS
from .work_folder import Failed
from .work_folder import Made
from .work_folder import finish
from .work_folder import read_rows
from .work_folder import row_text

SOURCE, QUALITY = "source", "quality"
HOW = ("base_url", "workers", "timeout", "max_attempts", "device", "gpus")
LISTED = 5  # failures on the terminal; the file has them all
Stage = FilterStage | CaptionStage | BoxStage | QuestionStage | QualityStage


class Stages(NamedTuple):
    """The five stages in their order."""

    filter: FilterStage
    captions: CaptionStage
    boxes: BoxStage
    questions: QuestionStage
    quality: QualityStage


@dataclass(frozen=True, slots=True)
class Source:
    """Where a build begins: a row a video, the videos left out, what the card says, and what to tell of reading them."""

    rows: tuple[VideoRow, ...]
    failures: tuple[Failed, ...]
    text: CardText
    report: Report


@dataclass(frozen=True, slots=True)
class Run:
    """How stages are run: their work folder, the engine of the boxes, and whether failed videos are tried again."""

    work: Path
    engine: Engine
    retry_failed: bool


def build_from_videos(source: Source, stages: Stages, run: Run, out: Path) -> dict[str, Any]:
    """Runs all stages, writes the data set in ``out`` and returns the report that is also written there.

    Raises:
        BuildError: ``out`` holds something that is no data set of this builder.
        StageError: a stage cannot go on, or leaves no video; what was made is kept in the work folder.
    """
    check_replaceable(out)
    keep_source(source, run.work)
    results = list(run_stages(source.rows, stages, run))
    records = records_of(results[-1].rows)
    if not records.questions:
        raise StageError(f"no question is left; {run.work / QUALITY / REPORT_OF_STAGE} says why")
    by_name = {result.name: result.report for result in results}
    told = {stage.name: {"settings": settings_of(stage), **by_name[stage.name]} for stage in stages}
    return write_folder(records, source.text, {"source": source.report, "stages": told}, out)


def keep_source(source: Source, work: Path) -> None:
    """Writes what the stages begin with into the work folder, and tells of the videos that were left out.

    Raises:
        StageError: no video is left, or two rows are of one.
    """
    check_ids(source.rows)
    finish(work / SOURCE, (*(Made(row.video.video_id, "", row) for row in source.rows), *source.failures), source.report)
    tqdm.write(describe_result(StageResult(SOURCE, source.rows, source.failures, source.report), work))
    if not source.rows:
        raise StageError(f"no video can be worked on; {work / SOURCE / FAILURES} says why")


def settings_of(stage: Any) -> dict[str, Any]:
    """The options of a stage that its rows depend on, without what says where and how it ran."""
    options = asdict(stage)
    return {name: value for name, value in options.items() if name not in HOW and not isinstance(value, Path)}


def run_stages(rows: Sequence[VideoRow], stages: Sequence[Stage], run: Run) -> Iterator[StageResult]:
    """Each stage's result in turn; every stage gets the rows of the one before it.

    Raises:
        StageError: a stage cannot go on, or leaves no video.
    """
    for stage in stages:
        result = run_stage(stage, rows, run)
        tqdm.write(describe_result(result, run.work))
        if not result.rows:
            raise StageError(f"the stage {stage.name} leaves no video: see {run.work / stage.name}")
        yield result
        rows = result.rows


def run_stage(stage: Stage, rows: Sequence[VideoRow], run: Run) -> StageResult:
    """One stage. Captions wait for a server and share one cache, so they stay on this machine whatever the engine."""
    if isinstance(stage, CaptionStage):
        return run_video_stage(stage, rows, run.work, run_here, run.retry_failed)
    if isinstance(stage, BoxStage):
        return run_video_stage(stage, rows, run.work, run.engine, run.retry_failed)
    return run_set_stage(stage, rows, run.work)


def run_one_stage(name: str, source: Source, stages: Stages, run: Run) -> str:
    """Runs a stage alone, on what the one before it made, and returns what to tell of it.

    Raises:
        StageError: the stage before has not been run, or this one cannot go on or leaves no video.
    """
    keep_source(source, run.work)
    stage: Stage = getattr(stages, name)
    (result,) = run_stages(_rows_before(stage, source, stages, run.work), [stage], run)
    return f"{len(result.rows):,} rows: {run.work / name / ROWS}"


def estimate(source: Source, stages: Stages) -> str:
    """What the captions would cost that pass the filter; nothing is asked or written.

    Raises:
        StageError: the answers kept so far are damaged.
    """
    rows, _ = stages.filter.run(source.rows)
    return json.dumps(stages.captions.estimate(rows), indent=1)


def _rows_before(stage: Stage, source: Source, stages: Stages, work: Path) -> tuple[VideoRow, ...]:
    place = stages.index(stage)
    return read_rows(work / stages[place - 1].name / ROWS) if place else source.rows


def write_rows(rows: Sequence[VideoRow], path: Path) -> None:
    """Writes a row a line, each keyed by its video: ``{"video_id", "row"}``."""
    lines = (f'{{"video_id":"{row.video.video_id}","row":{row_text(row)}}}\n' for row in rows)
    put_text(path, "".join(lines))


def describe_result(result: StageResult, work: Path) -> str:
    """A stage's result as lines for a terminal."""
    failed = f", {len(result.failures):,} failed" if result.failures else ""
    lines = [f"{result.name}: {len(result.rows):,} videos{failed}. {DETAILS[result.name](result.report)}".rstrip()]
    lines += [f"  {failure.video_id}: {failure.reason}" for failure in result.failures[:LISTED]]
    if len(result.failures) > LISTED:
        lines.append(f"  ... all of them: {work / result.name / FAILURES}")
    return "\n".join(lines)


def _of_captions(report: Report) -> str:
    cost = "price not known" if report["cost_usd"] is None else f"{report['cost_usd']:.4f} USD"
    return (
        f"{report['captions']:,} captions, {report['answers']:,} answers: "
        f"{report['tokens_in']:,} tokens in, {report['tokens_out']:,} out, {cost}"
    )


def _of_boxes(report: Report) -> str:
    return (
        f"{report['looked_for']:,} objects looked for, {report['never_visible']:,} never visible; "
        f"{report['boxes']:,} boxes at {report['times_visible']:,} of {report['times']:,} times"
    )


def _of_questions(report: Report) -> str:
    return f"{report['possible']:,} questions can be asked, {report['kept']:,} are"


DETAILS: dict[str, Callable[[Report], str]] = {
    SOURCE: lambda _: "",
    "filter": lambda report: "\n" + describe_filter(report),
    "captions": _of_captions,
    "boxes": _of_boxes,
    "questions": _of_questions,
    "quality": describe_quality,
}


def describe_build(report: dict[str, Any], out: Path) -> str:
    """The report as lines for a terminal."""
    return "\n".join([*describe_folder(report, out), f"All of it, with places and handling: {out / REPORT}"])
