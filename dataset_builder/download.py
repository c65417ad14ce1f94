"""Downloads the videos that a data set needs: `r-avst-videos --dataset r-avst --out videos`."""

# Absolute imports, so that the file also runs by its path.
import argparse
import re
import shutil
import sys
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate
from tqdm import tqdm

from r_avst.dataset_builder.downloads.fetching import Pace
from r_avst.dataset_builder.downloads.fetching import SourceError
from r_avst.dataset_builder.downloads.fetching import VideoSource
from r_avst.dataset_builder.downloads.fetching import fetch_videos
from r_avst.dataset_builder.downloads.hub import ANYWHERE
from r_avst.dataset_builder.downloads.hub import ARCHIVE
from r_avst.dataset_builder.downloads.hub import UNAV_VIDEOS
from r_avst.dataset_builder.downloads.hub import open_hub
from r_avst.dataset_builder.downloads.video_folder import IN_PLACE
from r_avst.dataset_builder.downloads.video_folder import REPORT
from r_avst.dataset_builder.downloads.video_folder import Outcome
from r_avst.dataset_builder.downloads.video_folder import Status
from r_avst.dataset_builder.downloads.video_folder import VideoFolder
from r_avst.dataset_builder.downloads.video_folder import VideoFolderError
from r_avst.dataset_builder.downloads.video_folder import report_of
from r_avst.dataset_builder.downloads.wanted import GAP
from r_avst.dataset_builder.downloads.wanted import WantedError
from r_avst.dataset_builder.downloads.wanted import WantedVideo
from r_avst.dataset_builder.downloads.wanted import wanted_of_dataset
from r_avst.dataset_builder.downloads.wanted import wanted_of_list
from r_avst.dataset_builder.downloads.wanted import wanted_of_unav
from r_avst.dataset_builder.downloads.youtube import MAX_HEIGHT
from r_avst.dataset_builder.downloads.youtube import WATCH_PAGE
from r_avst.dataset_builder.downloads.youtube import YoutubeVideos
from r_avst.dataset_builder.video import PyAVMissingError
from r_avst.metrics.option_types import not_negative
from r_avst.metrics.option_types import whole_number

DESCRIPTION = """\
Downloads the videos that a data set needs, as OUT/VIDEO_ID.mp4, and reports which are available, removed, private or of
another duration than the annotations say. One video that fails stops nothing. A run that was stopped goes on when the same
command is given again; files that are there are left alone.

Three ways to have the videos:

  from a data set on the Hub that holds them (the default; ttgeng233/UnAV-100 for R-AVST's and UnAV-100's)
    --layout says where in it a video is: `anywhere` finds VIDEO_ID.mp4 in any folder, `videos/{video_id}.mp4` names the
    place, `archive:raw_videos.zip` reads them out of an archive (zip or tar, also in parts: 'archive:videos.zip.*').
    Of a zip only the wanted videos are downloaded, a tar is downloaded whole.
  from YouTube (--from-youtube)
    It needs pip install 'r-avst[videos]', a JavaScript runtime such as deno, and ffmpeg for more than 360 lines.
    UnAV-100's videos are cuts of at most 60 s. YouTube has the whole ones: where the report says other_duration, the file
    does not fit the annotations. Please mind the rights of the videos and the site's terms.
  by hand
    Put the files into OUT, or folders in it, as VIDEO_ID.mp4. Then --check reports what is there.
"""
EPILOG = """\
examples:
  r-avst-videos --dataset r-avst --out videos
  r-avst-videos --unav unav100_annotations.json --out videos --layout 'archive:raw_videos*.zip'
  r-avst-videos --dataset r-avst --out videos --from-youtube --max-height 480 --rate-limit 2M
  r-avst-videos --dataset r-avst --out videos --from-youtube --retry-failed
  r-avst-videos --dataset r-avst --out videos --check
"""
YOUTUBE_PAUSE = 2.0
HUB_PAUSE = 0.0
LISTED = 20
INTERRUPTED = 130
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script `r-avst-videos`."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except (OSError, PyAVMissingError, SourceError, VideoFolderError, WantedError) as error:
        tqdm.write(f"r-avst-videos: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        tqdm.write("r-avst-videos: stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="r-avst-videos",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    wanted = parser.add_mutually_exclusive_group()
    wanted.add_argument("--dataset", default="r-avst", help="folder of r-avst-build, or user/name (default: %(default)s)")
    wanted.add_argument("--unav", type=Path, metavar="FILE", help="all videos of UnAV-100's annotation JSON")
    wanted.add_argument("--ids", type=Path, metavar="FILE", help="a text file with one video id a line")
    parser.add_argument("--out", type=Path, default=Path("videos"), metavar="DIR", help="default: %(default)s")
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--from-hub",
        default=UNAV_VIDEOS,
        metavar="REPO",
        help="a data set on the Hub with the videos (default: %(default)s)",
    )
    way.add_argument("--from-youtube", action="store_true", help="by yt-dlp")
    way.add_argument("--check", action="store_true", help="download nothing, report what is there")
    parser.add_argument(
        "--tolerance",
        type=not_negative,
        default=0.5,
        metavar="S",
        help="seconds that a duration may differ (default: %(default)s)",
    )
    _add_download_options(parser)
    return parser


def _add_download_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--retry-failed", action="store_true", help="try again what failed in earlier runs")
    parser.add_argument(
        "--retries", type=whole_number, default=3, metavar="N", help="of a video without an answer (default: %(default)s)"
    )
    parser.add_argument(
        "--pause",
        type=not_negative,
        metavar="S",
        help=f"seconds between two videos, give or take a half (default: YouTube {YOUTUBE_PAUSE:g}, Hub {HUB_PAUSE:g})",
    )
    hub = parser.add_argument_group("from the Hub")
    hub.add_argument("--layout", type=_layout, default=ANYWHERE, help="see above (default: %(default)s)")
    youtube = parser.add_argument_group("from YouTube")
    youtube.add_argument("--max-height", type=whole_number, default=MAX_HEIGHT, metavar="LINES", help="default: %(default)s")
    youtube.add_argument("--rate-limit", type=_bytes, metavar="BYTES", help="a second, such as 500K or 2M (default: none)")
    youtube.add_argument("--cookies", type=Path, metavar="FILE", help="of a browser that is signed in, in Netscape's form")
    youtube.add_argument(
        "--url", type=_address, default=WATCH_PAGE, help="another site that has the videos by id (default: %(default)s)"
    )


def _run(options: argparse.Namespace) -> None:
    wanted = _wanted(options)
    options.out.mkdir(parents=True, exist_ok=True)
    folder = VideoFolder(options.out, options.tolerance)
    there = {
        video.video_id: folder.check(video) for video in tqdm(wanted, desc="looking at files", unit="video", leave=False)
    }
    if options.check:
        _report(folder, [there[video.video_id] for video in wanted], "check", {})
        return
    source = _source(options)
    details = dict(source.details())
    if options.retry_failed:
        folder.forget_failures(source.name, wanted)
    known = there | {name: own for name, own in folder.failures(source.name).items() if _is_missing(there.get(name))}
    try:
        for outcome in _fetched(wanted, known, source, folder, _pace(options)):
            known[outcome.video_id] = outcome
    finally:
        _report(folder, [known[video.video_id] for video in wanted], source.name, details)
    if not any(own.status is Status.UNREACHABLE for own in known.values()):
        shutil.rmtree(folder.partial, ignore_errors=True)


def _is_missing(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.status is Status.MISSING


def _fetched(
    wanted: Sequence[WantedVideo], known: dict[str, Outcome], source: VideoSource, folder: VideoFolder, pace: Pace
) -> Iterable[Outcome]:
    todo = [video for video in wanted if _is_missing(known[video.video_id])]
    fetched = fetch_videos(todo, source, folder, pace)
    return tqdm(fetched, total=len(todo), desc=f"from {source.name}", unit="video", disable=not todo)


def _wanted(options: argparse.Namespace) -> list[WantedVideo]:
    if options.unav is not None:
        return wanted_of_unav(options.unav)
    if options.ids is not None:
        return wanted_of_list(options.ids)
    return wanted_of_dataset(options.dataset)


def _source(options: argparse.Namespace) -> VideoSource:
    if options.from_youtube:
        return YoutubeVideos(options.url, options.max_height, options.rate_limit, options.cookies)
    return open_hub(options.from_hub, options.layout)


def _pace(options: argparse.Namespace) -> Pace:
    usual = YOUTUBE_PAUSE if options.from_youtube else HUB_PAUSE
    return Pace(usual if options.pause is None else options.pause, options.retries)


# --- the report -------------------------------------------------------------------------------------------------------


def _report(folder: VideoFolder, outcomes: Sequence[Outcome], source: str, details: dict[str, Any]) -> None:
    report = report_of(outcomes, source, details)
    folder.write_report(report)
    tqdm.write(describe(outcomes, folder.path))


def describe(outcomes: Sequence[Outcome], folder: Path) -> str:
    """The outcomes as a table for a terminal, and the first of those that are not as they should be."""
    counts = [(str(status), sum(own.status is status for own in outcomes)) for status in Status]
    table = tabulate([row for row in counts if row[1]], headers=("status", "videos"), tablefmt="simple_outline")
    odd = [own for own in outcomes if own.status is not Status.AVAILABLE]
    lines = [f"  {ascii(own.video_id)[1:-1]}: {own.status}: {ascii(own.reason)[1:-1]}" for own in odd[:LISTED]]
    more = [f"  ... and {len(odd) - LISTED} more"] if len(odd) > LISTED else []
    there = sum(own.status in IN_PLACE for own in outcomes)
    return "\n".join([f"{folder}: {there} of {len(outcomes)} videos; all in {folder / REPORT}", table, *lines, *more])


# --- options ----------------------------------------------------------------------------------------------------------


def _bytes(text: str) -> int:
    number = re.fullmatch(r"([1-9][0-9]*)([KM]?)", text.upper(), re.ASCII)
    if number is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of bytes such as 500K or 2M")
    return int(number[1]) * _UNITS[number[2]]


def _layout(text: str) -> str:
    if text != ANYWHERE and not text.startswith(ARCHIVE) and text.count(GAP) != 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither {ANYWHERE}, {ARCHIVE}PATTERN nor a path with one {GAP}")
    return text


def _address(text: str) -> str:
    if not text.startswith(("http://", "https://")) or GAP not in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no address with {GAP} in it, such as https://site/{GAP}.mp4")
    return text


if __name__ == "__main__":
    sys.exit(main())
