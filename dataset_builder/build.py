"""Builds the data set: `r-avst-build release`, or from videos: `r-avst-build synthetic`, `folder`, `unav100`.

Other benchmarks come into its form by `r-avst-build ave` and `avsbench`.
"""

# Absolute imports, so that the file also runs by its path.
import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from r_avst.dataset_builder.build_from_benchmarks import build_ave
from r_avst.dataset_builder.build_from_benchmarks import build_avsbench
from r_avst.dataset_builder.build_from_benchmarks import describe_benchmark
from r_avst.dataset_builder.build_from_release import build_release
from r_avst.dataset_builder.build_from_release import describe_release
from r_avst.dataset_builder.build_options import add_build_options
from r_avst.dataset_builder.build_options import add_mask_options
from r_avst.dataset_builder.dataset_folder import BuildError
from r_avst.dataset_builder.sources.ave import AveError
from r_avst.dataset_builder.sources.avsbench import BOXES
from r_avst.dataset_builder.sources.avsbench import NAMES
from r_avst.dataset_builder.sources.avsbench import SUBSETS
from r_avst.dataset_builder.sources.avsbench import AvsBenchError
from r_avst.dataset_builder.sources.avsbench import MaskRules
from r_avst.dataset_builder.sources.masks import MaskError
from r_avst.dataset_builder.sources.masks import PillowMissingError
from r_avst.dataset_builder.sources.release import ANNOTATIONS_URL
from r_avst.dataset_builder.sources.release import ReleaseError
from r_avst.dataset_builder.sources.unav100 import UnavError
from r_avst.dataset_builder.sources.user_files import LineError
from r_avst.dataset_builder.stages.stage import StageError
from r_avst.dataset_builder.video import PyAVMissingError
from r_avst.dataset_builder.video import VideoError
from r_avst.metrics.option_types import positive
from r_avst.metrics.option_types import share

STAGES_HELP = """\
Videos and captions go through five stages (arXiv 2511.16901, figure 2): filter, captions (an LLM names what is seen and
heard), boxes (Grounding DINO and SAM 2), questions, quality. The work folder holds what each stage made, a row a video.
A run that is killed goes on where it stopped. A video that fails is listed in STAGE/failures.jsonl; the others go on.
"""
THEN = 'Then: load_dataset("r-avst"), load_dataset("r-avst", "spatial"), load_dataset("r-avst", "events").'
BENCHMARK_THEN = "Then: r-avst-predict, and r-avst-score --dataset DIR, as for R-AVST."
REFUSED = (
    AveError,
    AvsBenchError,
    BuildError,
    LineError,
    MaskError,
    PillowMissingError,
    PyAVMissingError,
    ReleaseError,
    StageError,
    UnavError,
    VideoError,
    OSError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script `r-avst-build`."""
    options = _parser().parse_args(arguments)
    try:
        print(options.build(options))
    except REFUSED as error:
        tqdm.write(f"r-avst-build: {error}", file=sys.stderr)  # a progress bar may still be open
        return 2
    except KeyboardInterrupt:
        tqdm.write("r-avst-build: stopped; what is done is kept, the same command goes on", file=sys.stderr)
        os._exit(130)  # threads that wait for a server would keep the program alive; all that is done is on the disk
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="r-avst-build", description="Builds the R-AVST data set as parquet files that load_dataset() reads."
    )
    sources = parser.add_subparsers(required=True, metavar="SOURCE")
    _add_release(sources)
    _add_synthetic(sources)
    _add_folder(sources)
    _add_unav100(sources)
    _add_ave(sources)
    _add_avsbench(sources)
    return parser


def _add_release(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    release = sources.add_parser(
        "release",
        help="from the annotations that the authors released",
        description="Turns the released annotation file into the data set.",
        epilog=THEN,
    )
    release.add_argument(
        "--annotations",
        default=ANNOTATIONS_URL,
        metavar="FILE_OR_URL",
        help="the released JSON; the default is the authors' file on GitHub, downloaded once and cached",
    )
    release.add_argument(
        "--unav", type=Path, metavar="FILE", help="UnAV-100's annotation JSON: labels every event with its classes"
    )
    release.add_argument(
        "--videos", type=Path, metavar="DIR", help="a folder of VIDEO_ID.mp4: fills width, height and duration"
    )
    release.add_argument("--out", type=Path, default=Path("r-avst"), metavar="DIR", help="default: %(default)s")
    release.set_defaults(build=_release)


def _add_synthetic(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    synthetic = _source(
        sources,
        "synthetic",
        help="from a small world of coloured things that move and sound, with exact truth",
        epilog="example: r-avst-build synthetic --videos 40 --seed 0 --work build --out r-avst",
    )
    synthetic.add_argument("--videos", type=positive, default=200, metavar="N", help="how many clips (default: %(default)s)")
    add_build_options(synthetic, backend="synthetic", model="truth")
    synthetic.set_defaults(build=_from_videos, source="synthetic")


def _add_folder(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    folder = _source(
        sources,
        "folder",
        help="from your own videos",
        epilog='A line of --events: {"video": "dog.mp4", "span": [1.4, 6.0], "caption": "A dog barks at a ball."}, '
        'and, where known, "labels": [UnAV-100 classes] and "split": "train" or "test". '
        "example: r-avst-build folder --videos clips/ --events events.jsonl --licence cc-by-4.0",
    )
    folder.add_argument("--videos", type=Path, required=True, metavar="DIR", help="a folder of videos")
    folder.add_argument("--events", type=Path, required=True, metavar="FILE", help="JSON lines, an event a line (see below)")
    folder.add_argument(
        "--test-share", type=share, default=0.2, metavar="SHARE", help="of videos without a split (default: %(default)s)"
    )
    folder.add_argument("--licence", default="other", metavar="ID", help="of the annotations, for the card")
    add_build_options(folder, backend="transformers", model="gpt-4o-mini")
    folder.set_defaults(build=_from_videos, source="folder")


def _add_unav100(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    unav100 = _source(
        sources,
        "unav100",
        help="from UnAV-100's videos, as the paper does",
        epilog='A line of --captions: {"video_id": "72f67ednp7w", "span": [13.01, 15.78], "caption": "..."}. '
        "r-avst-videos downloads the videos.",
    )
    unav100.add_argument("--annotations", type=Path, required=True, metavar="FILE", help="unav100_annotations.json")
    unav100.add_argument("--videos", type=Path, required=True, metavar="DIR", help="a folder of VIDEO_ID.mp4")
    unav100.add_argument(
        "--captions", type=Path, required=True, metavar="FILE", help="JSON lines, an event a line (see below)"
    )
    add_build_options(unav100, backend="transformers", model="gpt-4o-mini")
    unav100.set_defaults(build=_from_videos, source="unav100")


def _add_ave(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    ave = sources.add_parser(
        "ave",
        help="from AVE, another benchmark: temporal questions about clips of 10 s",
        description="Turns AVE's annotations into temporal questions (arXiv 2511.16901, table 6: AVE, m_tIoU).",
        epilog=f"example: r-avst-build ave --annotations Annotations.txt --videos AVE/ --out ave {BENCHMARK_THEN}",
    )
    ave.add_argument("--annotations", type=Path, required=True, metavar="FILE", help="Annotations.txt")
    ave.add_argument(
        "--splits",
        type=Path,
        metavar="DIR",
        help="of trainSet.txt, valSet.txt and testSet.txt (default: the folder of the annotations); "
        "where there are none, all clips are in the split test",
    )
    ave.add_argument("--videos", type=Path, metavar="DIR", help="a folder of VIDEO_ID.mp4: fills width, height and duration")
    ave.add_argument("--out", type=Path, default=Path("ave"), metavar="DIR", help="default: %(default)s")
    ave.set_defaults(build=_ave)


def _add_avsbench(sources: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    avsbench = sources.add_parser(
        "avsbench",
        help="from AVSBench V1, another benchmark: spatial questions about clips of 5 s",
        description="Turns AVSBench V1's masks into spatial questions (arXiv 2511.16901, table 6: AVSBench-V1, m_vIoU).",
        epilog=f"example: r-avst-build avsbench --root AVSBench-v1/ --videos AVSBench-v1/ --out avsbench {BENCHMARK_THEN}",
    )
    avsbench.add_argument(
        "--root", type=Path, required=True, metavar="DIR", help="the folder of Single-source and Multi-sources"
    )
    avsbench.add_argument(
        "--videos",
        type=Path,
        metavar="DIR",
        help="a folder of NAME.mp4: boxes are in its pixels, else in those of the masks",
    )
    avsbench.add_argument("--subset", choices=SUBSETS, help="this one alone (default: both)")
    add_mask_options(avsbench, BOXES, NAMES)
    avsbench.add_argument("--out", type=Path, default=Path("avsbench"), metavar="DIR", help="default: %(default)s")
    avsbench.set_defaults(build=_avsbench)


def _source(
    sources: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, help: str, epilog: str
) -> argparse.ArgumentParser:
    return sources.add_parser(name, help=help, description=STAGES_HELP, epilog=f"{epilog} {THEN}")


def _release(options: argparse.Namespace) -> str:
    report = build_release(options.annotations, options.unav, options.videos, options.out)
    return describe_release(report, options.out)


def _ave(options: argparse.Namespace) -> str:
    report = build_ave(options.annotations, options.splits, options.videos, options.out)
    return describe_benchmark(report, options.out)


def _avsbench(options: argparse.Namespace) -> str:
    subsets = tuple(SUBSETS) if options.subset is None else (options.subset,)
    rules = MaskRules({"s4": options.s4_boxes, "ms3": options.ms3_boxes}, options.min_area, options.names)
    return describe_benchmark(build_avsbench(options.root, subsets, options.videos, rules, options.out), options.out)


def _from_videos(options: argparse.Namespace) -> str:
    try:
        from r_avst.dataset_builder.build_commands import COMMANDS
        from r_avst.dataset_builder.pipeline import only_run
    except ModuleNotFoundError as error:
        raise BuildError(f"building from videos needs more packages ({error}): pip install 'r-avst[build]'") from None
    with only_run(options.work):
        return COMMANDS[options.source](options)


if __name__ == "__main__":
    sys.exit(main())
