"""Predicted and true boxes over the playing video: `r-avst-space --dataset r-avst --predictions preds.jsonl`."""

# Absolute imports, so that the file also runs by its path, as it does in a Space; heavy ones in the functions.
import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from r_avst.dataset_builder.dataset_folder import BuildError
from r_avst.dataset_builder.hub_names import HUB_NAME
from r_avst.dataset_builder.page_server import serve_videos
from r_avst.dataset_builder.video import VIDEO_SUFFIXES
from r_avst.dataset_builder.video import PyAVMissingError
from r_avst.dataset_builder.video import find_videos
from r_avst.metrics.avst_metrics.word_vectors import WordVectorsError
from r_avst.metrics.benchmark import BenchmarkError
from r_avst.metrics.option_types import positive
from r_avst.metrics.predictions import PredictionError
from r_avst.space.browse import Browse
from r_avst.space.browse import load_browse
from r_avst.space.uploads import Limits
from r_avst.training.plans import make_plan
from r_avst.training.predict_options import add_answer_options
from r_avst.training.predict_options import add_backend_options
from r_avst.training.predict_options import add_media_options
from r_avst.training.predict_options import add_model_options
from r_avst.training.predict_options import add_server_options

if TYPE_CHECKING:
    import gradio as gr

    from r_avst.space.ask import Asker
    from r_avst.space.exports import Exports

PROGRAM: Final = "r-avst-space"
SETTINGS: Final = Path(__file__).with_name("space.json")
"""Of a published Space: ``{"arguments": [...]}``, what it is started with."""
DESCRIPTION = """\
Shows the questions of a data set in the browser: the video with its true boxes and those of any number of models over it,
spans, sound and frame IoU on a timeline, scores and answers. With --model, questions can be asked about uploaded videos.

Predictions are the files that r-avst-predict writes and r-avst-score reads; each file is a model, named by the file.
Keys: space plays, arrows go by frames, with shift by annotated seconds, 1 to 9 show and hide objects, n and p go through
the questions, c compares two models.
"""
EPILOG = """\
examples:
  r-avst-space --synthetic
  r-avst-space --dataset r-avst --videos videos --predictions qwen.jsonl omni.jsonl
  r-avst-space --dataset user/r-avst --videos user/r-avst-videos --model Qwen/Qwen2.5-VL-7B-Instruct
  r-avst-space --synthetic --model my-model --backend openai --base-url http://localhost:8000/v1 --family qwen2.5-vl
"""


class SpaceError(ValueError):
    """Something that keeps the page from being served; the message says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script `r-avst-space`, and the program of a published Space."""
    options = make_parser().parse_args(arguments if arguments is not None else own_arguments(sys.argv[1:]))
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="r-avst-space-") as scratch:
            serve(options, Path(scratch))
    except KeyboardInterrupt:
        return 0
    except (BenchmarkError, BuildError, PredictionError, PyAVMissingError, SpaceError, WordVectorsError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    return 0


def own_arguments(given: Sequence[str]) -> Sequence[str]:
    """What was given, or else what a published Space says in its `space.json`.

    Raises:
        SystemExit: the file is not what `r-avst-publish` writes.
    """
    if given or not SETTINGS.is_file():
        return given
    try:
        arguments = json.loads(SETTINGS.read_text(encoding="utf-8"))["arguments"]
    except (KeyError, TypeError, ValueError) as error:
        raise SystemExit(f"{PROGRAM}: {SETTINGS}: it should be {{'arguments': [...]}} ({error})") from None
    return [str(argument) for argument in arguments]


def _as_interrupt(*_: Any) -> None:
    """Ended by a service, the temporary folder goes as it goes after Ctrl-C."""
    raise KeyboardInterrupt


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _add_data(parser.add_argument_group("what is shown"))
    _add_page(parser.add_argument_group("the page"))
    model = parser.add_argument_group("asking a model about uploaded videos")
    model.add_argument("--model", metavar="ID", help="on the Hub, in a folder, or its name on the server")
    add_backend_options(model)
    _add_limits(model)
    add_answer_options(parser.add_argument_group("answers"))
    add_media_options(parser.add_argument_group("frames of uploaded videos"))
    add_model_options(parser.add_argument_group("--backend transformers"))
    add_server_options(parser.add_argument_group("--backend openai"))
    return parser


def _add_data(group: "argparse._ArgumentGroup") -> None:
    data = group.add_mutually_exclusive_group()
    data.add_argument("--dataset", default="r-avst", help="folder of r-avst-build, or user/name (default: %(default)s)")
    data.add_argument("--synthetic", action="store_true", help="a small made-up data set with three stand-ins for models")
    group.add_argument("--split", default="test", help="default: %(default)s")
    group.add_argument(
        "--videos", default="videos", metavar="DIR", help="of VIDEO_ID.mp4, or user/name on the Hub (default: %(default)s)"
    )
    group.add_argument("--predictions", type=Path, nargs="+", default=[], metavar="FILE", help="JSON lines; each is a model")
    group.add_argument(
        "--word-vectors",
        default="exact",
        metavar="WHICH",
        help='with which names are matched: "exact" for none (default), or as in r-avst-score --help',
    )


def _add_page(group: "argparse._ArgumentGroup") -> None:
    host = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")  # in a Space it is set
    group.add_argument("--host", default=host, help="0.0.0.0 lets others in your network look (default: %(default)s)")
    group.add_argument("--port", type=positive, help="default: the first free one from 7860 on")


def _add_limits(group: "argparse._ArgumentGroup") -> None:
    own = Limits()
    group.add_argument("--max-seconds", type=positive, default=own.seconds, metavar="S", help="default: %(default)s")
    group.add_argument("--max-megabytes", type=positive, default=own.megabytes, metavar="MB", help="default: %(default)s")
    group.add_argument("--max-side", type=positive, default=own.side, metavar="PIXELS", help="default: %(default)s")


# --- loading ----------------------------------------------------------------------------------------------------------


def load(options: argparse.Namespace, scratch: Path) -> Browse:
    """What is shown.

    Raises:
        ValueError: of this package's own classes, for everything that a user can set right.
    """
    if not options.synthetic:
        folder = video_folder(options.videos)
        videos = find_videos(folder) if folder else {}
        return load_browse(options.dataset, options.split, options.predictions, videos, options.word_vectors)
    from r_avst.space.synthetic_example import write_example

    example = write_example(scratch / "example")
    predictions = [*example.predictions, *options.predictions]
    videos = find_videos(example.videos)
    return load_browse(str(example.dataset), "test", predictions, videos, options.word_vectors)


def video_folder(given: str) -> Path | None:
    """The folder of the videos; those of a data set on the Hub are downloaded once. None where the default is not there.

    Raises:
        SpaceError: there is no such folder or data set.
    """
    if Path(given).is_dir():
        return Path(given)
    if not HUB_NAME.fullmatch(given):
        if given == "videos":
            return None
        raise SpaceError(f"--videos {given}: there is no such folder; it takes a folder of files named VIDEO_ID.mp4")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    patterns = [f"**{suffix}" for suffix in VIDEO_SUFFIXES]
    try:
        return Path(snapshot_download(given, repo_type="dataset", allow_patterns=patterns)).resolve()
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise SpaceError(f"--videos {given}: neither a folder nor a data set on the Hub ({error})") from None


def load_asker(options: argparse.Namespace) -> "tuple[Asker | None, str]":
    """Who answers questions about uploads, or why nobody does.

    Raises:
        SpaceError: a model was asked for that cannot be had.
    """
    if not options.model:
        return None, f"No model is loaded. Start the page with one: {PROGRAM} --model ID (see --help)."
    from r_avst.space.ask import open_asker

    try:
        return open_asker(make_plan(options)), ""
    except ModuleNotFoundError as error:
        raise SpaceError(f"--model {options.model}: it needs more packages ({error}): pip install 'r-avst[train]'") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise SpaceError(f"--model {options.model}: {error}") from None


# --- serving ----------------------------------------------------------------------------------------------------------


def serve(options: argparse.Namespace, scratch: Path) -> None:
    """Serves the page until it is interrupted.

    Raises:
        ValueError: of this package's own classes, for everything that a user can set right.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(scratch / "uploads")  # read when the components are made
    from r_avst.space.exports import Exports

    browse = load(options, scratch)
    asker, unavailable = load_asker(options)
    limits = Limits(options.max_seconds, options.max_megabytes, options.max_side)
    folder = scratch / "exports"
    exports = Exports(folder)
    try:
        page = make_page(browse, exports, asker, unavailable, limits, scratch)
        url = launch(page, options.host, options.port, limits.megabytes * 1_000_000 if asker else 1, folder)
        serve_videos(page.app, browse.videos)
        print("\n".join(described(browse, url)), flush=True)
        page.block_thread()
    finally:
        exports.close()


def make_page(
    browse: Browse, exports: "Exports", asker: "Asker | None", unavailable: str, limits: Limits, scratch: Path
) -> "gr.Blocks":
    """The page, not launched yet."""
    import gradio as gr

    from r_avst.space.ask import add_ask_tab
    from r_avst.space.browse_page import add_browse_tab
    from r_avst.space.browse_page import playable_view

    page = gr.Blocks(
        title="R-AVST: boxes over the playing video", fill_width=True, analytics_enabled=False, delete_cache=(600, 3600)
    )
    with page:
        with gr.Tab("Browse"):
            add_browse_tab(browse, exports)
        with gr.Tab("Ask"):
            add_ask_tab(asker, limits, scratch, unavailable, playable_view(exports), forget=exports.forget)
    return page


def launch(page: "gr.Blocks", host: str, port: int | None, upload_bytes: int, folder: Path) -> str:
    """Serves in the background; of this machine's files it gives out those in ``folder`` and what the page is made of.

    Returns:
        The address.

    Raises:
        SpaceError: the address is taken or is none of this machine.
    """
    from r_avst.space.overlay import PAGE

    style = (PAGE / "page.css").read_text(encoding="utf-8")  # Gradio would confine what it is given as CSS to the tabs
    try:
        _, url, _ = page.launch(
            server_name=host,
            server_port=port,
            allowed_paths=[str(folder.absolute())],
            head=f"<style>{style}</style>",
            max_file_size=upload_bytes,
            share=False,
            ssr_mode=False,
            footer_links=[],
            quiet=True,
            prevent_thread_lock=True,
        )
    except (OSError, OverflowError) as error:
        raise SpaceError(f"the page cannot be served at {host}:{port or 7860} ({error}): give another --port") from None
    return str(url)


def described(browse: Browse, url: str) -> list[str]:
    """What is served, for a terminal."""
    known = set(browse.rows["video_id"])
    found = sum(name in browse.videos for name in known)
    models = ", ".join(own.name for own in browse.models) or "no predictions"
    return [
        *browse.notes,
        f"{browse.dataset}: {len(browse.questions):,} questions, {found:,} of {len(known):,} videos found; {models}",
        f"Open {url} ; Ctrl-C ends it",
    ]


if __name__ == "__main__":
    sys.exit(main())
