"""The questions as a table in the style of VLMEvalKit's video data sets, and the scores of what comes back from it.

``python -m r_avst.training.evaluators.vlmevalkit --out r_avst.tsv ...`` writes a line a question. VLMEvalKit adds a column
``prediction`` to such a table; ``--score FILE`` reads it and prints what `r-avst-score` prints.
"""

# Absolute imports, so that the file also runs by its path.
import argparse
import csv
import io
import json
import sys
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import Final

import pandas
from tqdm import tqdm

from r_avst.dataset_builder.line_files import put_text
from r_avst.dataset_builder.video import PyAVMissingError
from r_avst.dataset_builder.video import VideoError
from r_avst.dataset_builder.video import find_videos
from r_avst.metrics import score
from r_avst.metrics.avst_metrics.word_vectors import DEFAULT
from r_avst.metrics.benchmark import BenchmarkError
from r_avst.metrics.benchmark import load_rows
from r_avst.training.answer_form import AnswerForm
from r_avst.training.evaluators.asking import ASKED_COLUMNS
from r_avst.training.evaluators.asking import EvaluatorError
from r_avst.training.evaluators.asking import form_in
from r_avst.training.evaluators.asking import question_prompt
from r_avst.training.evaluators.asking import source_size
from r_avst.training.evaluators.asking import task_of
from r_avst.training.evaluators.asking import video_of
from r_avst.training.prompts import PromptError

DESCRIPTION = """\
Writes the questions of a data set of r-avst-build as a table in the style of VLMEvalKit's video data sets, or scores such
a table that has got a column "prediction".
"""
EPILOG = """\
examples:
  python -m r_avst.training.evaluators.vlmevalkit --dataset r-avst --videos videos --coordinate-space source --audio no \\
      --out r_avst.tsv
  python -m r_avst.training.evaluators.vlmevalkit --dataset r-avst --score MODEL_r_avst.tsv
"""
# VLMEvalKit's VideoBaseDataset needs `question` and `video`, and its classes `index`, `video_path` (below the folder of the
# videos) and `answer`; all columns stand in its predictions too. The rest is what the scoring needs.
TABLE_COLUMNS: Final = (
    *("index", "video", "video_path", "question", "answer"),
    *("question_id", "task", "coordinate_space", "width", "height"),
)
PREDICTION_COLUMNS: Final = ("question_id", "prediction", "coordinate_space", "width", "height")
SPREADSHEET: Final = ".xlsx"


class PredictionTableError(EvaluatorError):
    """A table of predictions that cannot be read; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 2 where it cannot be done."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.score is not None:
            return score_table(options.score, options.dataset, options.split, options.word_vectors)
        lacking = [name for name in ("videos", "coordinate_space", "audio") if getattr(options, name) is None]
        if lacking:
            parser.error(f"--out needs {', '.join('--' + name.replace('_', '-') for name in lacking)}")
        return _export(options)
    except (BenchmarkError, EvaluatorError, OSError, PromptError, PyAVMissingError, VideoError) as error:
        print(f"vlmevalkit: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m r_avst.training.evaluators.vlmevalkit",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, metavar="FILE", help="write the questions here")
    what.add_argument("--score", type=Path, metavar="FILE", help="score this table, .tsv or .xlsx; writes FILE.jsonl")
    parser.add_argument("--dataset", default="r-avst", help="folder of r-avst-build, or user/name (default: %(default)s)")
    parser.add_argument("--split", default="test", help="default: %(default)s")
    parser.add_argument("--videos", type=Path, metavar="FOLDER", help="of the videos")
    parser.add_argument("--coordinate-space", metavar="SPACE", help="that boxes are asked for in: source or norm1000")
    parser.add_argument("--audio", choices=("yes", "no"), help="whether the model will hear the videos; the prompt says so")
    parser.add_argument(
        "--missing-videos",
        choices=("error", "leave_out"),
        default="error",
        help="what becomes of questions without a video (default: %(default)s)",
    )
    parser.add_argument("--word-vectors", default=DEFAULT, metavar="WHICH", help="as in r-avst-score")
    return parser


# --- questions --------------------------------------------------------------------------------------------------------


def _export(options: argparse.Namespace) -> int:
    form = form_in(options.coordinate_space)
    if not options.videos.is_dir():
        raise EvaluatorError(f"{options.videos}: there is no such folder of videos")
    rows = list(load_rows(options.dataset, options.split, ASKED_COLUMNS))
    videos = find_videos(options.videos)
    kept = [row for row in rows if options.missing_videos == "error" or row["video_id"] in videos]
    if not kept:
        raise EvaluatorError(f"{options.videos} holds no video of the {len(rows):,} questions; get them with r-avst-videos")
    lines = list(table_rows(kept, options.videos, form, options.audio == "yes"))
    put_text(options.out, table_text(lines))
    left_out = f"; {len(rows) - len(kept):,} left out for want of a video" if len(kept) < len(rows) else ""
    print(f"{options.out}: {len(lines):,} questions{left_out}")
    return 0


def table_rows(rows: Sequence[Mapping[str, Any]], folder: Path, form: AnswerForm, audio: bool) -> Iterator[dict[str, Any]]:
    """The lines of the table, `TABLE_COLUMNS` each.

    Args:
        rows: of the data set, with `ASKED_COLUMNS`.
        folder: of the videos.
        form: of the answers that are asked for.
        audio: whether the model hears the videos.

    Raises:
        EvaluatorError: a video is not in the folder, or has another size than the one that was annotated.
        VideoError: a video cannot be read.
        PromptError: a question cannot be asked.
    """
    videos = find_videos(folder)
    for index, row in enumerate(tqdm(rows, desc="questions", unit="question", leave=False)):
        video = video_of(row, videos, folder)
        place = video.relative_to(folder)
        width, height = source_size(row, video)
        yield {
            "index": index,
            "video": place.with_suffix("").as_posix(),
            "video_path": place.as_posix(),
            "question": question_prompt(row, video, form, audio),
            "answer": row["answer"],
            "question_id": row["question_id"],
            "task": task_of(row),
            "coordinate_space": form.space,
            "width": width,
            "height": height,
        }


def table_text(lines: Sequence[Mapping[str, Any]]) -> str:
    """The lines as tab-separated values; what holds a line break stands in quotes, as pandas reads it."""
    file = io.StringIO()
    writer = csv.DictWriter(file, TABLE_COLUMNS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue()


# --- scores -----------------------------------------------------------------------------------------------------------


def score_table(table: Path, dataset: str, split: str, word_vectors: str) -> int:
    """Writes a table's predictions as JSON lines beside it, and scores them with `r-avst-score`.

    Raises:
        PredictionTableError: the table cannot be read, or lacks a column.
    """
    lines = table.with_name(f"{table.name}.jsonl")
    put_text(lines, "".join(json.dumps(row) + "\n" for row in predictions_in(table)))
    return score.main(
        [f"--dataset={dataset}", f"--split={split}", f"--predictions={lines}", f"--word-vectors={word_vectors}"]
    )


def predictions_in(table: Path) -> list[dict[str, Any]]:
    """The predictions of a table, as the lines that `r-avst-score` reads.

    Raises:
        PredictionTableError: the table cannot be read, or lacks a column.
    """
    rows = _read_table(table)
    if missing := set(PREDICTION_COLUMNS) - set(rows.columns):
        raise PredictionTableError(
            f"{table}: it lacks the columns {sorted(missing)}; are they predictions for a table of --out?"
        )
    return [_prediction(table, row) for row in rows.to_dict("records")]


def _read_table(table: Path) -> Any:
    """Every cell as text: 'nan', '1.0' and an empty answer are what a model wrote."""
    try:
        if table.suffix == SPREADSHEET:
            return pandas.read_excel(table, dtype=str, keep_default_na=False)
        return pandas.read_csv(table, sep="\t", dtype=str, keep_default_na=False)
    except ImportError:
        raise PredictionTableError(f"{table}: pip install openpyxl, which reads {SPREADSHEET}, or give a .tsv") from None
    except Exception as error:  # two file formats, a dozen kinds of damage
        raise PredictionTableError(f"{table}: it cannot be read as a table ({error})") from error


def _prediction(table: Path, row: Mapping[str, str]) -> dict[str, Any]:
    try:
        size = [int(row["width"]), int(row["height"])]
    except ValueError:
        sizes = f"{row['width']!r} x {row['height']!r}"
        raise PredictionTableError(f"{table}: the size of the video of {row['question_id']!r} is {sizes}") from None
    return {
        "question_id": row["question_id"],
        "text": row["prediction"],
        "coordinate_space": row["coordinate_space"],
        "frame_size": size,
    }


if __name__ == "__main__":
    sys.exit(main())
