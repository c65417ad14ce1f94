"""People and models rate the questions: `r-avst-review --dataset r-avst --videos videos/ --rater alice`."""

# Absolute imports, so that the file also runs by its path.
import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from r_avst.dataset_builder.ratings import RatingError
from r_avst.dataset_builder.ratings import agreements
from r_avst.dataset_builder.ratings import check_rater
from r_avst.dataset_builder.ratings import read_ratings
from r_avst.dataset_builder.ratings import summarise_raters
from r_avst.dataset_builder.review_questions import ReviewError
from r_avst.dataset_builder.review_questions import ReviewQuestion
from r_avst.dataset_builder.review_questions import load_review_questions
from r_avst.dataset_builder.review_questions import sample_questions
from r_avst.dataset_builder.stages.stage import StageError
from r_avst.dataset_builder.video import DECODERS
from r_avst.dataset_builder.video import DecordMissingError
from r_avst.dataset_builder.video import PyAVMissingError
from r_avst.dataset_builder.video import find_videos
from r_avst.metrics.benchmark import BenchmarkError
from r_avst.metrics.option_types import positive
from r_avst.metrics.option_types import whole_number

DESCRIPTION = """\
Rates the questions of a data set on the paper's scale: 4 excellent, 3 good, 2 fair, 1 poor.

Without --report and --rate-with it opens a page in the browser: the video with its boxes, the question, the answer.
Keys: 1 to 4 rate and go on, the arrows go back and forth, space plays. Every rating is stored at once as a JSON line:
  {"question_id": "...", "shown": "5f2c9a0be1d34787", "rater": "alice", "score": 3, "comment": "", "rated_at": "..."}
"shown" is a digest of question and answer: a rating does not count for another question that comes to bear the id.
Start it again and it goes on at the first question that this rater has not rated. Several raters may share a page (each
types a name) or a file; give all of them the same --sample and --seed, for kappa needs questions that two have rated.
"""
EPILOG = """\
examples:
  r-avst-review --dataset r-avst --videos videos/ --rater alice --sample 200 --seed 0
  r-avst-review --dataset r-avst --videos videos/ --rate-with Qwen2.5-VL-7B-Instruct --base-url http://127.0.0.1:8000/v1
  r-avst-review --report --ratings ratings.jsonl

The key of a model's server is read from OPENAI_API_KEY; most local servers need none.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script `r-avst-review`."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not (options.report or options.rate_with or options.rater):
        parser.error("say who rates: --rater NAME (or --rate-with MODEL, or --report)")
    try:
        if options.report:
            print(report(options.ratings))
            return 0
        return _rate_with_model(options) if options.rate_with else _open_page(options)
    except (BenchmarkError, DecordMissingError, PyAVMissingError, RatingError, ReviewError, StageError) as error:
        print(f"r-avst-review: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("r-avst-review: stopped; what is rated is kept, the same command goes on", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(130)  # threads that wait for a server would keep the program alive; all ratings are on the disk


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="r-avst-review",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--rater", metavar="NAME", help="who rates on the page")
    who.add_argument(
        "--rate-with", metavar="MODEL", help="let a Video-LLM rate, behind a server that speaks OpenAI's protocol"
    )
    who.add_argument("--report", action="store_true", help="print counts, means and quadratic weighted kappa of all raters")
    parser.add_argument("--ratings", type=Path, default=Path("ratings.jsonl"), metavar="FILE", help="default: %(default)s")
    parser.add_argument("--dataset", default="r-avst", help="folder of r-avst-build, or user/name (default: %(default)s)")
    parser.add_argument("--split", default="test", help="default: %(default)s, the split that the paper's raters went over")
    parser.add_argument(
        "--videos", type=Path, default=Path("videos"), metavar="DIR", help="a folder of VIDEO_ID.mp4 (default: %(default)s)"
    )
    parser.add_argument("--sample", type=positive, metavar="N", help="rate N questions drawn at random, not all")
    parser.add_argument("--seed", type=whole_number, default=0, help="of the sample (default: %(default)s)")
    _add_page_options(parser.add_argument_group("the page"))
    _add_model_options(parser.add_argument_group("rating with a model"))
    return parser


def _add_page_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets others in your network rate (default: %(default)s)")
    group.add_argument("--port", type=positive, help="default: the first free one from 7860 on")


def _add_model_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--base-url", metavar="URL", help="of the server (default: OPENAI_BASE_URL, else OpenAI's)")
    group.add_argument("--frames", type=positive, default=8, metavar="N", help="frames shown to it (default: %(default)s)")
    group.add_argument(
        "--workers", type=positive, default=4, metavar="N", help="questions asked at once (default: %(default)s)"
    )
    group.add_argument(
        "--timeout", type=positive, default=120, metavar="S", help="seconds to wait for an answer (default: %(default)s)"
    )
    group.add_argument("--decoder", choices=DECODERS, default="pyav", help="default: %(default)s")


# --- report -----------------------------------------------------------------------------------------------------------


def report(path: Path) -> str:
    """What the raters gave and how far they agree, as tables for a terminal.

    Raises:
        RatingError: the file cannot be read, or a line of it is no rating.
    """
    scores = read_ratings(path)
    if not scores:
        return f"{path}: no ratings yet"
    raters = [(own.rater, own.rated, own.mean, *reversed(own.counts)) for own in summarise_raters(scores)]
    pairs = [
        (" - ".join(own.raters), own.questions, "null" if own.kappa is None else f"{own.kappa:.3f}", own.undefined)
        for own in agreements(scores)
    ]
    return "\n".join(
        [
            f"{path}: {len(scores):,} questions rated by {len(raters):,} raters",
            "",
            tabulate(
                raters, ("rater", "rated", "mean", "excellent", "good", "fair", "poor"), floatfmt=".2f", disable_numparse=[0]
            ),
            "",
            "Quadratic weighted kappa on the questions that both rated (the paper's two raters: 0.71)",
            tabulate(pairs, ("raters", "questions", "kappa", ""), disable_numparse=True) if pairs else "there is one rater",
        ]
    )


# --- rating -----------------------------------------------------------------------------------------------------------


def _questions(options: argparse.Namespace) -> list[ReviewQuestion]:
    questions = load_review_questions(options.dataset, options.split)
    return sample_questions(questions, options.sample, options.seed) if options.sample else questions


def _videos(options: argparse.Namespace) -> dict[str, Path]:
    if not options.videos.is_dir():
        raise ReviewError(f"{options.videos}: there is no such folder; --videos takes a folder of files named VIDEO_ID.mp4")
    return find_videos(options.videos)


def _open_page(options: argparse.Namespace) -> int:
    try:
        from r_avst.dataset_builder.review_page import Review
        from r_avst.dataset_builder.review_page import serve_review
    except ModuleNotFoundError as error:
        raise ReviewError(f"the page needs Gradio ({error}): pip install 'r-avst[review]'") from None
    review = Review(_questions(options), _videos(options), options.ratings)
    serve_review(review, options.rater, options.host, options.port)
    return 0


def _rate_with_model(options: argparse.Namespace) -> int:
    try:
        from r_avst.dataset_builder.chat_client import ChatOptions
        from r_avst.dataset_builder.video_rater import VideoRater
        from r_avst.dataset_builder.video_rater import rate_questions
    except ModuleNotFoundError as error:
        raise ReviewError(f"rating with a model needs more packages ({error}): pip install 'r-avst[build]'") from None
    chat = ChatOptions(check_rater(options.rate_with), options.base_url, timeout=options.timeout)
    rater = VideoRater(chat, options.frames, options.workers, options.decoder)
    skipped = rate_questions(_questions(options), _videos(options), options.ratings, rater)
    for question_id, reason in skipped.items():
        print(f"not rated: {question_id}: {reason}")
    print(
        f"{options.ratings} holds the ratings; {len(skipped):,} questions were not rated and are asked about in the next run"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
