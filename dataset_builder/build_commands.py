"""What `r-avst-build synthetic`, `folder` and `unav100` do: options in, a data set and what is told of it out."""

import argparse
import json
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .build_from_videos import Run
from .build_from_videos import Source
from .build_from_videos import Stages
from .build_from_videos import build_from_videos
from .build_from_videos import describe_build
from .build_from_videos import estimate
from .build_from_videos import run_one_stage
from .build_from_videos import write_rows
from .file_contents import with_contents
from .line_files import put_text
from .pipeline import run_here
from .ray_engine import OnRay
from .records import CardText
from .records import VideoRow
from .sources import against_truth
from .sources import card_texts
from .sources.folder import read_folder
from .sources.synthetic import VIDEO_FOLDER
from .sources.synthetic import make_world
from .sources.synthetic import source_rows
from .sources.truth_server import TruthServer
from .sources.unav100 import read_unav_rows
from .stages.boxes import BoxStage
from .stages.boxes import check_installed
from .stages.captions import CaptionStage
from .stages.filter import FilterStage
from .stages.quality import QualityStage
from .stages.questions import QuestionStage
from .work_folder import ROWS
from .work_folder import Failed
from .work_folder import read_rows

TRUTH = "truth.jsonl"
AGAINST_TRUTH = "against_truth.json"

CAPTIONS = "captions"
ANSWERS = "answers.jsonl"


def build_synthetic(options: argparse.Namespace) -> str:
    """Makes the world in the work folder and builds from it; captions are answered from the truth unless a server is given.

    Raises:
        BuildError, StageError: as `build_from_videos`.
    """
    videos = options.work / VIDEO_FOLDER
    truth = make_world(options.work, options.videos, options.seed)
    write_rows(truth, options.work / TRUTH)
    told = {"kind": "synthetic", "videos": options.videos, "seed": options.seed}
    source = Source(source_rows(truth), (), card_texts.SYNTHETIC, told)
    if options.base_url is not None:
        said = _build(options, source, videos)
    else:
        subjects = {event.caption or "": event.subjects for row in truth for event in row.events}
        with TruthServer(subjects) as server:
            options.base_url = server.base_url
            said = _build(options, source, videos)
    return said if options.dry_run else "\n".join([said, *_against_truth(options.work, truth)])


def _against_truth(work: Path, truth: Sequence[VideoRow]) -> Iterator[str]:
    """How right the boxes are, once there are any; also written into the work folder."""
    path = work / "boxes" / ROWS
    if path.is_file():
        measured = against_truth.measure(read_rows(path), truth)
        put_text(work / AGAINST_TRUTH, json.dumps(measured, indent=1) + "\n")
        yield against_truth.describe(measured)


def build_folder(options: argparse.Namespace) -> str:
    """Builds from a user's own videos.

    Raises:
        LineError: a line of the events is not of the form it should be.
        BuildError, StageError, VideoError: as `build_from_videos` and `read_folder`.
    """
    rows, told = read_folder(options.videos, options.events, options.seed, options.test_share)
    text = CardText(options.licence, card_texts.FOLDER)
    failed = (*_failed(told["unreadable"]), *_failed(told["events_outside"]))
    return _build(options, Source(rows, failed, text, {"kind": "folder", **told}), options.videos)


def build_unav100(options: argparse.Namespace) -> str:
    """Builds from UnAV-100's videos.

    Raises:
        UnavError, LineError: the annotations or the captions are not of the form they should be.
        BuildError, StageError, VideoError: as `build_from_videos` and `read_unav_rows`.
    """
    rows, told = read_unav_rows(options.annotations, options.videos, options.captions)
    missing = dict.fromkeys(told["missing"], f"there is no such file in {options.videos}")
    failed = (*_failed(missing), *_failed(told["unreadable"]), *_failed(told["other_duration"]))
    return _build(options, Source(rows, failed, card_texts.UNAV100, {"kind": "unav100", **told}), options.videos)


def _failed(reasons: Mapping[str, str]) -> tuple[Failed, ...]:
    return tuple(Failed(video_id, "", reason) for video_id, reason in reasons.items())


def _build(options: argparse.Namespace, source: Source, videos: Path) -> str:
    stages = stages_of(options, videos)
    if options.engine == "local":  # the workers of a cluster have packages of their own
        check_installed(options.backend)
    engine = OnRay(options.ray_address, options.ray_workers) if options.engine == "ray" else run_here
    run = Run(options.work, engine, options.retry_failed)
    if options.dry_run:
        return estimate(source, stages)
    source = replace(source, rows=with_contents(source.rows, videos, options.work))
    if options.only:
        return run_one_stage(options.only, source, stages, run)
    return describe_build(build_from_videos(source, stages, run, options.out), options.out)


def stages_of(options: argparse.Namespace, videos: Path) -> Stages:
    """The five stages with the options of a command line.

    Raises:
        StageError: an option makes no sense.
    """
    return Stages(_filter(options), _captions(options), _boxes(options, videos), _questions(options), _quality(options))


def _filter(options: argparse.Namespace) -> FilterStage:
    return FilterStage(
        duration_edges=tuple(options.durations),
        min_duration=options.min_duration,
        min_event=options.min_event,
        merge_overlapping=options.merge,
        max_events=options.max_events,
        min_ratio=options.min_ratio,
        balance=options.balance,
        seed=options.seed,
    )


def _captions(options: argparse.Namespace) -> CaptionStage:
    return CaptionStage(
        cache=options.work / CAPTIONS / ANSWERS,
        model=options.caption_model,
        base_url=options.base_url,
        workers=options.caption_workers,
        timeout=options.timeout,
        temperature=options.temperature,
        structured=options.structured,
        price_in=options.price_in,
        price_out=options.price_out,
    )


def _boxes(options: argparse.Namespace, videos: Path) -> BoxStage:
    return BoxStage(
        videos=videos.resolve(),  # the workers of a cluster stand in folders of their own
        backend=options.backend,
        decoder=options.decoder,
        detector=options.detector,
        tracker=options.tracker,
        box_threshold=options.box_threshold,
        text_threshold=options.text_threshold,
        detect_every=options.detect_every,
        frames_per_second=options.frames_per_second,
        dtype=options.dtype,
        device=options.device,
        gpus=_gpus(options),
    )


def _questions(options: argparse.Namespace) -> QuestionStage:
    return QuestionStage(balance_tasks=options.balance_tasks, max_per_event=options.max_per_event, seed=options.seed)


def _quality(options: argparse.Namespace) -> QualityStage:
    return QualityStage(
        max_answer_tokens=options.max_answer_tokens, ratings=options.ratings, keep_at_least=options.keep_at_least
    )


def _gpus(options: argparse.Namespace) -> float:
    if options.ray_gpus is not None:
        return float(options.ray_gpus)
    return 0.0 if options.device == "cpu" or options.backend == "synthetic" else 1.0


COMMANDS = {"synthetic": build_synthetic, "folder": build_folder, "unav100": build_unav100}
