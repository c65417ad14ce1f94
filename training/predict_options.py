"""The options of `r-avst-predict`, and its errors: in a module that has its own name however the script is started."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import Final

from r_avst.dataset_builder.video import DECODERS
from r_avst.metrics.option_types import not_negative
from r_avst.metrics.option_types import positive
from r_avst.metrics.option_types import whole_number

from .answer_form import FORM_SPACES
from .families import FAMILIES
from .prediction_rows import WHOLE
from .prediction_rows import Shard

PROGRAM = "r-avst-predict"
DESCRIPTION = """\
Asks a model the questions of a data set about their videos, and writes a line a question that r-avst-score reads: what the
model said, the space of its boxes, the times of the frames it was given, tokens, and the settings.

A run that was stopped, or killed, goes on when the same command is given again: what stands in --out is not asked again.
Questions without an answer go to OUT.failures.jsonl, with the reason; --retry-failed asks them again.

Two backends. `transformers` runs the model here, of one of the families below, several processes by accelerate launch.
`openai` asks a server that speaks OpenAI's protocol (vLLM, SGLang, a vendor) with the key in OPENAI_API_KEY; so can be
asked what transformers has no port of, as GroundingGPT.
"""
EPILOG = """\
examples:
  r-avst-predict --model Qwen/Qwen2.5-VL-7B-Instruct --videos videos --out qwen.jsonl --batch-size 8
  accelerate launch --num_processes 4 training/predict.py --model Qwen/Qwen3-VL-8B-Instruct --videos videos --out q3.jsonl
  r-avst-predict --backend openai --base-url http://localhost:8000/v1 --model my-model --family qwen2.5-vl \\
      --videos videos --out served.jsonl --concurrency 16
  r-avst-predict --model runs/avst_zero --videos videos --out preds.jsonl --shard 2/4
  r-avst-score --predictions qwen.jsonl q3.jsonl

The shards of one --out that lie in one folder are joined by the last one that ends, or by the same command without --shard.
"""
LISTED: Final = 3  # checkpoints of a family in --help


class PredictOptionError(ValueError):
    """An option that cannot be used; the message names it and says what to do."""


class NothingToAskError(ValueError):
    """No question of the data set can be asked; the message says why and what to do."""


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=DESCRIPTION + "\n" + "\n".join(_described_families()),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_run(parser.add_argument_group("run"))
    add_backend_options(parser.add_argument_group("model"))
    add_answer_options(parser.add_argument_group("answers"))
    add_media_options(parser.add_argument_group("videos"))
    add_model_options(parser.add_argument_group("--backend transformers"))
    _add_model_run(parser.add_argument_group("--backend transformers: questions at once"))
    add_server_options(parser.add_argument_group("--backend openai"))
    _add_server_run(parser.add_argument_group("--backend openai: questions at once"))
    return parser


def _described_families() -> Iterator[str]:
    yield "families, and the space in which their models write boxes:"
    for own in FAMILIES.values():
        yield f"  {own.name:<14} {own.space:<9} {'hears' if own.hears else '':<6} {', '.join(own.checkpoints[:LISTED])}"


def _add_run(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--model", required=True, metavar="ID", help="on the Hub, in a folder, or its name on the server")
    group.add_argument("--dataset", default="r-avst", help="folder of r-avst-build, or user/name (default: %(default)s)")
    group.add_argument("--split", default="test", help="default: %(default)s")
    group.add_argument("--videos", type=Path, required=True, metavar="DIR", help="of the files, VIDEO_ID.mp4")
    group.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON lines")
    group.add_argument("--limit", type=positive, metavar="N", help="ask the first N questions only")
    group.add_argument("--shard", type=shard, default=WHOLE, metavar="I/N", help="the questions of every N-th video")
    group.add_argument("--retry-failed", action="store_true", help="ask again what failed in earlier runs")


def add_backend_options(group: "argparse._ArgumentGroup") -> None:
    """How the model is reached that ``--model`` names, which every program adds with a word of its own."""
    group.add_argument("--revision", default="main", help="of a model on the Hub (default: %(default)s)")
    group.add_argument("--backend", choices=("transformers", "openai"), default="transformers", help="default: %(default)s")


def add_answer_options(group: "argparse._ArgumentGroup") -> None:
    """In what form answers are asked for, and how they are written."""
    group.add_argument(
        "--family", choices=FAMILIES, help="default: what the model's configuration says; generic behind a server"
    )
    group.add_argument("--coordinate-space", choices=FORM_SPACES, help="of the boxes asked for (default: the family's)")
    group.add_argument("--box-every", type=positive, default=1, metavar="S", help="seconds between boxes asked for")
    group.add_argument("--decimals", type=whole_number, metavar="N", help="of coordinates (default: 1, in norm1000 0)")
    group.add_argument("--max-new-tokens", type=positive, default=2048, metavar="N", help="default: %(default)s")
    group.add_argument(
        "--temperature", type=not_negative, default=0.0, metavar="T", help="0 (default) takes the likeliest token"
    )
    group.add_argument("--seed", type=whole_number, default=0, metavar="N", help="of drawn tokens (default: %(default)s)")


def add_media_options(group: "argparse._ArgumentGroup") -> None:
    """What a model is given of a video."""
    group.add_argument("--fps", type=not_negative, default=2.0, metavar="N", help="frames a second (default: %(default)s)")
    group.add_argument("--max-frames", type=positive, default=128, metavar="N", help="of a video (default: %(default)s)")
    group.add_argument("--min-pixels", type=positive, default=3136, metavar="N", help="of a frame (default: %(default)s)")
    group.add_argument("--max-pixels", type=positive, default=12_845_056, metavar="N", help="default: %(default)s")
    group.add_argument(
        "--audio", choices=("auto", "on", "off"), default="auto", help="auto: what hears is given the sound, so it can be"
    )
    group.add_argument("--decoder", choices=DECODERS, default="pyav", help="default: %(default)s")


def add_model_options(group: "argparse._ArgumentGroup") -> None:
    """How a model is run here."""
    group.add_argument(
        "--dtype",
        choices=("auto", "bfloat16", "float16", "float32"),
        default="auto",
        help="auto: bfloat16 on a GPU, float32 without one",
    )
    group.add_argument("--attn", metavar="NAME", help="attention, as transformers names it")
    group.add_argument(
        "--device-map", metavar="MAP", help="auto spreads a model over GPUs; with accelerate launch it is a GPU a process"
    )


def _add_model_run(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--batch-size", type=positive, default=1, metavar="N", help="questions at once (default: 1)")
    group.add_argument("--readers", type=whole_number, default=2, metavar="N", help="threads that read videos ahead")
    group.add_argument(
        "--engine", choices=("here", "ray"), default="here", help="ray spreads the questions over a Ray cluster"
    )
    group.add_argument("--ray-address", metavar="HOST:PORT", help="of the cluster; the default starts one on this machine")
    group.add_argument("--ray-workers", type=positive, default=1, metavar="N", help="each holds the model (default: 1)")
    group.add_argument("--ray-gpus", type=not_negative, default=1.0, metavar="N", help="of a worker (default: 1)")


def add_server_options(group: "argparse._ArgumentGroup") -> None:
    """Which server is asked, and how."""
    group.add_argument("--base-url", metavar="URL", help="default: $OPENAI_BASE_URL, or OpenAI's own")
    group.add_argument(
        "--send",
        choices=("frames", "video", "url"),
        default="frames",
        help="images with their times (default), the file, or an address of it; how a server samples a file is its affair",
    )
    group.add_argument("--timeout", type=not_negative, default=300.0, metavar="S", help="of an answer (default: 300)")
    group.add_argument("--max-attempts", type=positive, default=6, metavar="N", help="of a question (default: 6)")
    group.add_argument("--extra-body", type=json_object, default={}, metavar="JSON", help="more fields of a request")


def _add_server_run(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--video-url", metavar="PREFIX", help="of --send url; the default is file:// and the path")
    group.add_argument("--concurrency", type=positive, default=8, metavar="N", help="questions at once (default: 8)")


def shard(text: str) -> Shard:
    """A shard on a command line: ``2/4``."""
    index, _, count = text.partition("/")
    try:
        return Shard(whole_number(index), whole_number(count))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no shard like 2/4: {error}") from None


def json_object(text: str) -> dict[str, Any]:
    """A JSON object on a command line."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"no JSON ({error})") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError("it should be a JSON object, as '{\"top_k\": 1}'")
    return found
