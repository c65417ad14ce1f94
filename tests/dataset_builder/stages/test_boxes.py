"""The boxes stage: scripted detections on a real video, and tiny random models on published clips."""

import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from scripted_backend import HEIGHT
from scripted_backend import WIDTH
from scripted_backend import ScriptedBackend
from scripted_backend import Thing
from scripted_backend import moving
from scripted_backend import numbered
from tiny_models import write_tiny_detector
from tiny_models import write_tiny_tracker
from written_videos import write_video

from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import Frame
from r_avst.dataset_builder.records import Instance
from r_avst.dataset_builder.records import ObjectTrack
from r_avst.dataset_builder.records import Subject
from r_avst.dataset_builder.records import Video
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.stages.boxes import OUT_OF_SIGHT
from r_avst.dataset_builder.stages.boxes import BoxError
from r_avst.dataset_builder.stages.boxes import BoxStage
from r_avst.dataset_builder.stages.boxes import grid_times
from r_avst.dataset_builder.stages.boxes import instances_of
from r_avst.dataset_builder.stages.boxes import tracking_times
from r_avst.dataset_builder.stages.boxes import with_boxes
from r_avst.dataset_builder.stages.stage import StageError
from r_avst.dataset_builder.video import VideoError
from r_avst.metrics.avst_metrics.answers import Span
from r_avst.metrics.avst_metrics.overlap import Box

RATE = 4
ALL = range(20)  # frames of the written video, 5 s
DOG = Subject("dog", visible=True, audible=True)
CAT = Subject("cat", visible=True, audible=False)
VOICE = Subject("voice", visible=False, audible=True)
STILL = (10.0, 50.0, 50.0, 90.0)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video of 5 s, four frames a second, each of a brightness that tells its number."""
    folder = tmp_path_factory.mktemp("videos")
    with av.open(str(folder / "numbers.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 2_000_000
        for number in ALL:
            picture = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return folder


def event(span: Span, *subjects: Subject) -> Event:
    return Event("numbers-0", "numbers", span, ("dog barking",), "a dog barks", (), subjects=subjects)


def row_of(*events: Event, file: str = "numbers.mp4") -> VideoRow:
    return VideoRow(Video("numbers", "train", 5.0), file, events)


def boxed(videos: Path, things: Sequence[Thing], *events: Event, **options: Any) -> VideoRow:
    return with_boxes(row_of(*events), BoxStage(videos=videos, **options), ScriptedBackend(things))


def visible(boxes: Mapping[float, Sequence[Box]]) -> tuple[Frame, ...]:
    return tuple(Frame(t, tuple(Instance(box, True) for box in own) or (OUT_OF_SIGHT,)) for t, own in boxes.items())


# --- the grid ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "times"),
    [
        ((0.0, 3.0), [0.0, 1.0, 2.0]),
        ((0.0, 3.001), [0.0, 1.0, 2.0, 3.0]),
        ((1.4, 3.4), [1.4, 2.4]),
        ((0.1, 1.1), [0.1]),
        ((2.345, 4.4), [2.345, 3.345, 4.345]),
        ((1.0, 1.5), [1.0]),
        ((1.0, 1.0), []),
        ((2.0, 1.0), []),
    ],
)
def test_the_grid_has_each_second_before_the_end(span: Span, times: list[float]) -> None:
    assert grid_times(span) == times


@pytest.mark.parametrize("rate", [1, 2, 3, 4, 25])
def test_the_grid_is_every_so_many_th_tracked_frame(rate: int) -> None:
    grid = grid_times((2.345, 7.0))
    times = tracking_times(grid, rate)
    assert times[::rate] == grid
    assert len(times) == rate * (len(grid) - 1) + 1
    assert times == sorted(set(times))


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        ((1.04, 2.06, 30.55, 40.0), (1.0, 2.1, 30.6, 40.0)),
        ((-5.0, -1.0, 400.0, 300.0), (0.0, 0.0, 320.0, 240.0)),
        ((5.0, 5.0, 5.04, 9.0), None),
        ((5.0, 9.01, 8.0, 9.04), None),
        ((330.0, 5.0, 340.0, 9.0), None),
        ((8.0, 5.0, 5.0, 9.0), None),
    ],
)
def test_boxes_are_written_with_one_decimal_inside_the_frame(box: Box, kept: Box | None) -> None:
    assert list(instances_of([box], (WIDTH, HEIGHT))) == ([Instance(kept, True)] if kept else [])


# --- scripted detections on a real video ------------------------------------------------------------------------------


def test_every_subject_has_its_track_in_order_with_a_frame_a_second(videos: Path) -> None:
    dog = moving("dog", STILL, (2.5, 0), ALL)
    row = boxed(videos, [dog], event((0.5, 4.2), VOICE, DOG, CAT))
    voice, found, cat = row.events[0].objects
    assert voice == ObjectTrack("voice", True, ())
    assert found == ObjectTrack("dog", True, visible({n / RATE: [dog.boxes[n]] for n in (2, 6, 10, 14)}))
    assert cat == ObjectTrack("cat", False, visible({0.5: [], 1.5: [], 2.5: [], 3.5: []}))


def test_the_frame_size_is_filled_in_and_the_rest_of_the_row_is_kept(videos: Path) -> None:
    row = row_of(event((0.0, 2.0), DOG), event((1.0, 3.0), VOICE))
    made = with_boxes(row, BoxStage(videos=videos), ScriptedBackend([]))
    assert made.video == replace(row.video, width=WIDTH, height=HEIGHT)
    assert [replace(own, objects=()) for own in made.events] == list(row.events)
    assert made.file == row.file
    assert with_boxes(row_of(), BoxStage(videos=videos), ScriptedBackend([])).video.width == WIDTH


def test_what_is_out_of_sight_for_a_while_is_not_visible_then(videos: Path) -> None:
    dog = moving("dog", STILL, (0, 0), [*range(8), *range(12, 20)])
    (track,) = boxed(videos, [dog], event((0.0, 5.0), DOG)).events[0].objects
    assert track.frames == visible({0.0: [STILL], 1.0: [STILL], 2.0: [], 3.0: [STILL], 4.0: [STILL]})
    assert track.frames[2].instances == (Instance((0.0, 0.0, 0.0, 0.0), False),)


def test_all_instances_of_a_name_are_in_its_track_in_the_order_of_their_numbers(videos: Path) -> None:
    late = (200.0, 50.0, 240.0, 90.0)
    things = [moving("dog", late, (0, 0), range(4, 20)), moving("dog", STILL, (0, 0), ALL)]
    (track,) = boxed(videos, things, event((0.0, 3.0), DOG)).events[0].objects
    assert track.frames == visible({0.0: [STILL], 1.0: [STILL, late], 2.0: [STILL, late]})


def test_each_event_begins_anew_from_its_own_start(videos: Path) -> None:
    dog = moving("dog", STILL, (2.0, 0), ALL)
    first, second = boxed(videos, [dog], event((0.0, 2.0), DOG), event((1.25, 3.0), DOG)).events
    assert first.objects[0].frames == visible({0.0: [dog.boxes[0]], 1.0: [dog.boxes[4]]})
    assert second.objects[0].frames == visible({1.25: [dog.boxes[5]], 2.25: [dog.boxes[9]]})


def test_things_are_looked_for_as_often_as_the_option_says(videos: Path) -> None:
    dog = moving("dog", STILL, (0, 0), range(3, 20))
    for every, first in ((0.5, 1.0), (1.0, 1.0), (2.0, 2.0)):
        (track,) = boxed(videos, [dog], event((0.0, 4.0), DOG), detect_every=every).events[0].objects
        assert next(frame.time for frame in track.frames if frame.instances[0].visible) == first


def test_an_event_that_is_not_in_the_video_is_named(videos: Path) -> None:
    for span in ((3.0, 9.0), (50.0, 60.0)):
        with pytest.raises(BoxError, match=rf"^event numbers-0, {span[0]} to {span[1]} s: .*numbers\.mp4"):
            boxed(videos, [], event(span, DOG))


@pytest.mark.parametrize("end", [4.9, 5.0, 5.5, 6.0])
def test_an_event_may_end_with_the_sound_after_the_picture(videos: Path, end: float) -> None:
    (track,) = boxed(videos, [], event((3.0, end), DOG)).events[0].objects
    assert [frame.time for frame in track.frames] == [3.0, 4.0]


def test_an_empty_event_is_named(videos: Path) -> None:
    with pytest.raises(BoxError, match=r"^event numbers-0, 3.0 to 3.0 s: it is empty"):
        boxed(videos, [], event((3.0, 3.0), DOG))


def test_a_video_that_is_not_there_is_named(videos: Path) -> None:
    with pytest.raises(VideoError, match=re.escape(str(videos / "absent.mp4"))):
        with_boxes(row_of(event((0.0, 1.0), DOG), file="absent.mp4"), BoxStage(videos=videos), ScriptedBackend([]))


def test_the_report_counts_objects_times_and_boxes(videos: Path) -> None:
    things = [moving("dog", STILL, (0, 0), range(8)), moving("dog", (200.0, 50.0, 240.0, 90.0), (0, 0), range(4))]
    rows = [boxed(videos, things, event((0.0, 4.0), DOG, VOICE, CAT)), boxed(videos, things)]
    report = {"objects": 3, "looked_for": 2, "never_visible": 1, "times": 8, "times_visible": 2, "boxes": 3}
    assert BoxStage().report(rows) == report
    assert json.loads(json.dumps(report)) == report


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"backend": "magic"}, "backend 'magic': it is one of transformers, sam2, synthetic"),
        ({"decoder": "mpv"}, "decoder 'mpv': it is one of pyav, decord"),
        ({"dtype": "int8"}, "dtype 'int8': it is one of float32, bfloat16"),
        ({"frames_per_second": 0}, "frames_per_second 0: at least 1"),
        ({"match_iou": 0.0}, "match_iou 0.0: more than 0 and at most 1"),
        ({"match_iou": 1.5}, "match_iou 1.5: more than 0 and at most 1"),
        ({"most_instances": 0}, "most_instances 0: at least 1"),
        ({"detect_every": 0.0}, "detect_every 0.0: a whole number of frames, of 4 a second"),
        ({"detect_every": 0.3}, "detect_every 0.3: a whole number of frames, of 4 a second"),
        ({"detect_every": 0.3, "most_instances": -1}, "most_instances -1: at least 1; detect_every 0.3: a whole"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(StageError, match=f"^{re.escape(reason)}"):
        BoxStage(**options).open()


def test_settings_are_what_the_boxes_depend_on() -> None:
    stage = BoxStage()
    elsewhere = replace(stage, videos=Path("/elsewhere"), device="cpu", gpus=0.0, workers=3)
    assert elsewhere.settings() == stage.settings() == json.loads(json.dumps(stage.settings()))
    others = {"backend": "sam2", "decoder": "decord", "detector": "d", "tracker": "t", "dtype": "bfloat16"}
    numbers = {"box_threshold": 0.1, "text_threshold": 0.1, "detect_every": 2.0, "frames_per_second": 2, "match_iou": 0.4}
    for name, value in {**others, **numbers, "most_instances": 3}.items():
        assert replace(stage, **{name: value}).settings() != stage.settings(), name  # type: ignore[arg-type]


def test_the_defaults_are_the_paper_s() -> None:
    stage = BoxStage()
    assert (stage.name, stage.box_threshold, stage.text_threshold) == ("boxes", 0.4, 0.3)
    assert (stage.detector, stage.tracker) == ("IDEA-Research/grounding-dino-base", "facebook/sam2.1-hiera-large")


@pytest.mark.parametrize(("backend", "extra"), [("transformers", "boxes"), ("sam2", "sam2")])
def test_a_missing_package_is_named_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, backend: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, f"r_avst.dataset_builder.grounding.{backend}_backend", None)
    with pytest.raises(StageError, match=rf"pip install 'r-avst\[{extra}\]'"):
        BoxStage(backend=backend).open()


@pytest.mark.parametrize(("decoder", "package"), [("pyav", "av"), ("decord", "decord")])
def test_a_missing_decoder_stops_the_stage(
    monkeypatch: pytest.MonkeyPatch, videos: Path, decoder: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(StageError, match=r"pip install"):
        boxed(videos, [], event((0.0, 1.0), DOG), decoder=decoder)


@pytest.mark.parametrize("decoder", ["pyav", "decord"])
def test_both_decoders_show_the_same_frames(videos: Path, decoder: str) -> None:
    dog = moving("dog", STILL, (2.5, 0), ALL)
    (track,) = boxed(videos, [dog], event((0.5, 3.0), DOG), decoder=decoder).events[0].objects
    assert track.frames == visible({n / RATE: [dog.boxes[n]] for n in (2, 6, 10)})


def test_a_model_that_cannot_be_had_stops_the_stage(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=f"^{tmp_path}: cannot be loaded"):
        BoxStage(detector=str(tmp_path)).open()


def test_the_stage_is_imported_without_the_models() -> None:
    heavy = ("torch", "transformers", "sam2", "av")
    code = f"import sys, r_avst.dataset_builder.stages.boxes; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


# --- tiny models on published clips -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, clips_folder: Path) -> BoxStage:
    folder = tmp_path_factory.mktemp("models")
    return BoxStage(
        videos=clips_folder,
        detector=str(write_tiny_detector(folder / "detector")),
        tracker=str(write_tiny_tracker(folder / "tracker")),
        box_threshold=0.0,
        text_threshold=0.0,
        frames_per_second=2,
        most_instances=2,
        device="cpu",
    )


def clip_row(file: str) -> VideoRow:
    own = replace(event((0.5, 4.0), DOG, VOICE, Subject("a red rocket", True, False)), video_id=file)
    return VideoRow(Video(file, "test", 5.0), file, (own, replace(own, span=(2.0, 3.5), subjects=(CAT,))))


def check(row: VideoRow) -> None:
    width, height = row.video.width, row.video.height
    assert width
    assert height
    for own in row.events:
        assert [track.name for track in own.objects] == [subject.name for subject in own.subjects]
        for track, subject in zip(own.objects, own.subjects, strict=True):
            assert [frame.time for frame in track.frames] == (grid_times(own.span) if subject.visible else [])
            for one in (one for frame in track.frames for one in frame.instances):
                x1, y1, x2, y2 = one.box
                assert not one.visible or (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height)
                assert one.box == tuple(round(side, 1) for side in one.box)


@pytest.mark.parametrize("file", ["nasa_13013.mp4", "bigbuckbunny.mp4"])
def test_a_published_clip_comes_out_as_a_valid_row(tiny: BoxStage, file: str) -> None:
    row = tiny.open()(clip_row(file))
    check(row)
    assert any(
        one.visible for own in row.events for track in own.objects for frame in track.frames for one in frame.instances
    )


def test_threads_and_copies_of_the_stage_make_the_same_rows(tiny: BoxStage) -> None:
    work = tiny.open()
    rows = [clip_row("nasa_13013.mp4"), clip_row("b.mp4")]
    alone = [work(row) for row in rows]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, rows)) == alone
    assert pickle.loads(pickle.dumps(tiny)).open()(rows[0]) == alone[0]


MEASURE = """
import pickle, sys
from peak_memory import peak_memory
stage, row = pickle.load(sys.stdin.buffer)
made = stage.open()(row)
assert len(made.events[0].objects[0].frames) == row.video.duration
print(peak_memory())
"""


def peak(stage: BoxStage, seconds: int) -> float:
    """Peak resident memory, in MB, of a process that works on a video of that length."""
    write_video(stage.videos / f"{seconds}.mp4", 160, 90, seconds)
    whole = event((0.0, float(seconds)), DOG)
    row = VideoRow(Video("long", "test", seconds), f"{seconds}.mp4", (whole,))
    command = [sys.executable, "-c", MEASURE]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, input=pickle.dumps((stage, row)), capture_output=True, check=True)
    return float(done.stdout)


@pytest.mark.slow
def test_a_video_of_ten_minutes_takes_no_more_memory_than_one_of_a_minute(tiny: BoxStage, tmp_path: Path) -> None:
    stage = replace(tiny, videos=tmp_path, frames_per_second=1, detect_every=5.0)
    assert peak(stage, 600) < 1.1 * peak(stage, 60)
