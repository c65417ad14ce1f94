"""The options that all builds from videos share, and those of masks."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from r_avst.metrics.option_types import not_negative
from r_avst.metrics.option_types import positive
from r_avst.metrics.option_types import share


def add_build_options(parser: argparse.ArgumentParser, backend: str, model: str) -> None:
    """Adds them, a group a stage. Defaults are the paper's where it gives a figure.

    Args:
        parser: of the source.
        backend: what finds boxes by default.
        model: what reads captions by default.
    """
    _add_run(parser.add_argument_group("run"))
    _add_cluster(parser.add_argument_group("cluster"))
    _add_filter(parser.add_argument_group("filter"))
    _add_captions(parser.add_argument_group("captions"), model)
    _add_boxes(parser.add_argument_group("boxes"), backend)
    _add_questions(parser.add_argument_group("questions and quality"))


def add_mask_options(parser: argparse.ArgumentParser, boxes: Iterable[str], names: Iterable[str]) -> None:
    """Adds how AVSBench's masks become objects.

    Args:
        parser: of the source.
        boxes: what a box can be of.
        names: what S4's objects can be called.
    """
    group = parser.add_argument_group("masks")
    group.add_argument(
        "--s4-boxes",
        choices=tuple(boxes),
        default="whole",
        help="a box of the whole mask, for S4 has one source a clip, or of each connected part of it (default: %(default)s)",
    )
    group.add_argument(
        "--ms3-boxes",
        choices=tuple(boxes),
        default="components",
        help="the same for MS3, whose masks are the union of several sources (default: %(default)s)",
    )
    group.add_argument(
        "--min-area",
        type=share,
        default=0.001,
        metavar="SHARE",
        help="of the frame: smaller parts of a mask are left out, but for its largest (default: %(default)s)",
    )
    group.add_argument(
        "--names",
        choices=tuple(names),
        default="category",
        help='of S4\'s objects: its category ("dog barking") or the thing in it ("dog") (default: %(default)s)',
    )


def _add_run(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--out", type=Path, default=Path("r-avst"), metavar="DIR", help="the data set (default: %(default)s)")
    group.add_argument(
        "--work", type=Path, default=Path("build"), metavar="DIR", help="what stages made (default: %(default)s)"
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of every drawing (default: %(default)s)")
    group.add_argument(
        "--only",
        choices=("filter", "captions", "boxes", "questions", "quality"),
        help="run this stage alone, on what the one before it made, and write no data set",
    )
    group.add_argument("--retry-failed", action="store_true", help="try the videos again that are in failures.jsonl")


def _add_cluster(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="ray spreads the boxes stage over a Ray cluster"
    )
    group.add_argument("--ray-address", metavar="HOST:PORT", help="of the cluster; the default starts one on this machine")
    group.add_argument(
        "--ray-workers", type=positive, default=1, metavar="N", help="each holds the models (default: %(default)s)"
    )
    group.add_argument(
        "--ray-gpus", type=not_negative, default=None, metavar="N", help="of a worker (default: 1, or 0 with --device cpu)"
    )


def _add_filter(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--durations",
        type=float,
        nargs="+",
        default=[0, 20, 40, 60],
        metavar="S",
        help="edges of the groups of durations in seconds (default: 0 20 40 60)",
    )
    group.add_argument(
        "--min-duration", type=not_negative, default=5.0, metavar="S", help="of a video (default: %(default)s s)"
    )
    group.add_argument(
        "--min-event", type=not_negative, default=0.2, metavar="S", help="of an event (default: %(default)s s)"
    )
    group.add_argument(
        "--merge",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="make overlapping events of one label one (default: yes)",
    )
    group.add_argument(
        "--max-events", type=positive, default=3, metavar="N", help="distinct ones of a video (default: %(default)s)"
    )
    group.add_argument(
        "--min-ratio", type=share, default=0.08, metavar="R", help="of a video that events must cover (default: %(default)s)"
    )
    group.add_argument(
        "--balance",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="draw as many videos with each number of distinct events, in each split (default: yes)",
    )


def _add_captions(group: "argparse._ArgumentGroup", model: str) -> None:
    group.add_argument("--caption-model", default=model, metavar="NAME", help="reads the captions (default: %(default)s)")
    group.add_argument(
        "--base-url", metavar="URL", help="of a server that speaks the OpenAI protocol; the default is OpenAI's own"
    )
    group.add_argument(
        "--caption-workers", type=positive, default=8, metavar="N", help="requests at once (default: %(default)s)"
    )
    group.add_argument(
        "--timeout", type=not_negative, default=60.0, metavar="S", help="to wait for an answer (default: %(default)s)"
    )
    group.add_argument(
        "--temperature",
        type=not_negative,
        default=0.0,
        metavar="T",
        help="of the model (default: %(default)s)",
    )
    group.add_argument(
        "--structured",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="ask the server to hold answers to a JSON schema; some servers cannot (default: yes)",
    )
    group.add_argument("--price-in", type=not_negative, metavar="USD", help="per million tokens, for models not known here")
    group.add_argument("--price-out", type=not_negative, metavar="USD", help="the same of what the model writes")
    group.add_argument("--dry-run", action="store_true", help="say what the captions would cost, and stop")


def _add_boxes(group: "argparse._ArgumentGroup", backend: str) -> None:
    group.add_argument(
        "--backend",
        choices=("transformers", "sam2", "synthetic"),
        default=backend,
        help="transformers: Grounding DINO and SAM 2; sam2: the package of that name follows; synthetic: finds the colours "
        "of the synthetic world (default: %(default)s)",
    )
    group.add_argument(
        "--detector",
        default="IDEA-Research/grounding-dino-base",
        metavar="MODEL",
        help="Grounding DINO, on the Hub or in a folder (default: %(default)s)",
    )
    group.add_argument(
        "--tracker",
        default="facebook/sam2.1-hiera-large",
        metavar="MODEL",
        help="SAM 2, on the Hub or in a folder (default: %(default)s)",
    )
    group.add_argument("--box-threshold", type=share, default=0.4, metavar="P", help="default: %(default)s, the paper's")
    group.add_argument("--text-threshold", type=share, default=0.3, metavar="P", help="default: %(default)s, the paper's")
    group.add_argument(
        "--detect-every", type=not_negative, default=1.0, metavar="S", help="seconds between searches (default: %(default)s)"
    )
    group.add_argument(
        "--frames-per-second", type=positive, default=4, metavar="N", help="that are tracked (default: %(default)s)"
    )
    group.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="default: %(default)s")
    group.add_argument("--device", default="auto", help="cuda, cpu, or auto (default)")
    group.add_argument("--decoder", choices=("pyav", "decord"), default="pyav", help="default: %(default)s")


def _add_questions(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--balance-tasks",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="draw as many questions of each task, in each split (default: yes)",
    )
    group.add_argument(
        "--max-per-event", type=positive, default=3, metavar="N", help="questions about one event (default: %(default)s)"
    )
    group.add_argument(
        "--max-answer-tokens",
        type=positive,
        default=1024,
        metavar="N",
        help="longer answers are dropped (default: %(default)s)",
    )
    group.add_argument("--ratings", type=Path, metavar="FILE", help="that r-avst-review wrote")
    group.add_argument(
        "--keep-at-least", type=float, metavar="N", help="drop questions rated lower on average, or not at all"
    )
