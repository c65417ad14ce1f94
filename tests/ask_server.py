"""Serves the tab Ask alone, for tests: `python tests/ask_server.py FOLDER --seconds 2` prints its address.

Without ``--model`` a stand-in answers that types for so many seconds; with it a checkpoint does.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

LIMITS = (30, 5, 640)  # seconds, megabytes, pixels
SETTINGS = {"fps": 2.0}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--model", default=None)
    options = parser.parse_args()
    os.environ["GRADIO_TEMP_DIR"] = str(options.folder / "uploads")  # read when gradio makes its components
    url, page = served_page(options)
    print(url, flush=True)
    page.block_thread()


def served_page(options: argparse.Namespace) -> tuple[str, Any]:
    import gradio as gr

    from r_avst.space.app import launch
    from r_avst.space.ask import add_ask_tab
    from r_avst.space.browse_page import playable_view
    from r_avst.space.exports import Exports
    from r_avst.space.uploads import Limits

    exports = Exports(options.folder / "exports")
    page = gr.Blocks(analytics_enabled=False, delete_cache=(600, 3600))
    with page, gr.Tab("Ask"):
        add_ask_tab(
            _asker(options), Limits(*LIMITS), options.folder, "nobody", playable_view(exports), forget=exports.forget
        )
    return launch(page, "127.0.0.1", None, LIMITS[1] * 1_000_000, options.folder / "exports"), page


def _asker(options: argparse.Namespace) -> Any:
    from typing_backend import FORM
    from typing_backend import TypingBackend

    from r_avst.space.ask import Asker
    from r_avst.space.ask import open_asker

    if options.model is None:
        return Asker("typing model", TypingBackend(options.seconds), FORM, SETTINGS, 1)
    from r_avst.training.plans import make_plan
    from r_avst.training.predict_options import make_parser

    given = [
        "--model",
        options.model,
        "--videos",
        ".",
        "--out",
        "unused.jsonl",
        "--max-new-tokens",
        "12",
        "--max-frames",
        "4",
    ]
    return open_asker(make_plan(make_parser().parse_args([*given, "--max-pixels", "3136"])))


if __name__ == "__main__":
    sys.exit(main())
