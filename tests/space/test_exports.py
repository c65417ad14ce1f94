"""Annotated videos have their boxes on the right frames and places; jobs are shared, limited, kept, named and stopped."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from written_videos import number_in
from written_videos import write_numbered

from r_avst.dataset_builder.video import read_frames
from r_avst.dataset_builder.video import shown_times
from r_avst.space.burnt_boxes import MODEL_STYLES
from r_avst.space.burnt_boxes import TRUE_STYLE
from r_avst.space.burnt_boxes import Colour
from r_avst.space.exports import Exports
from r_avst.space.exports import Job
from r_avst.space.exports import write_annotated
from r_avst.space.scenes import Layer
from r_avst.space.scenes import Scene
from r_avst.space.scenes import ShownObject
from r_avst.space.scenes import ShownTrack

CLOSE = 2  # pixels
SECONDS = 6


def true_box(second: int) -> tuple[float, float, float, float]:
    return (20.0 + 20 * second, 60.0, 160.0 + 20 * second, 100.0)


def said_box(second: int) -> tuple[float, float, float, float]:
    return (25.0 + 20 * second, 105.0, 165.0 + 20 * second, 150.0)


def write_grey(
    path: Path,
    ticks: Sequence[int] = range(60),
    tick: Fraction = Fraction(1, 10),
    size: tuple[int, int] = (320, 180),
    codec: str = "libx264",
    rotation: float = 0,
) -> Path:
    """A grey film, in which nothing looks like a box."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.time_base = *size, "yuv420p", tick
        if rotation:
            stream.set_display_rotation(rotation)
        for shown in ticks:
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 90, np.uint8), format="rgb24")
            frame.pts, frame.time_base = shown, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def scene(frame: tuple[int, int] = (320, 180)) -> Scene:
    """Boxes of the truth and of a model that jump each second, and nothing in second 3."""
    layers = []
    for name, box in (("truth", true_box), ("model", said_box)):
        frames = tuple((float(second), (box(second),) if second != 3 else ()) for second in range(SECONDS))
        layers.append(Layer(name, name == "truth", None, (ShownTrack(0, "dog", frames),), (), {}, "", ()))
    return Scene("q", "v", "spatial", "", (), "?", 6.0, frame, None, 0.0, (ShownObject("dog", True),), tuple(layers))


def edges(line: NDArray[np.uint8], colour: Colour) -> tuple[float, float] | None:
    """The first and the last pixel of a line that look like a colour."""
    wanted, found = np.array(colour, float), line.astype(float)
    wanted, found = wanted - wanted.mean(), found - found.mean(axis=1, keepdims=True)  # a held line is fainter
    like = (found @ wanted) / (np.linalg.norm(found, axis=1) * np.linalg.norm(wanted) + 1e-9)
    places = np.flatnonzero((like > 0.9) & (np.linalg.norm(found, axis=1) > 25))
    return (float(places[0]), float(places[-1])) if places.size else None


def check_boxes(video: Path, annotated: Path, scale: float = 1.0) -> None:
    times = shown_times(video)
    assert shown_times(annotated) == pytest.approx(times, abs=1e-4)
    for time_shown, frame in zip(times, read_frames(annotated, shown_times(annotated), "pyav"), strict=True):
        second = int(time_shown + 1e-3)
        for box, style in ((true_box(second), TRUE_STYLE), (said_box(second), MODEL_STYLES[0])):
            x1, y1, x2, y2 = (edge * scale for edge in box)
            found = edges(frame.image[round(y1 + y2) // 2], style.colour)
            if second == 3:
                assert found is None
                continue
            assert found == pytest.approx((x1, x2), abs=CLOSE), (time_shown, style)
            assert found_lines(frame.image, x1, x2, (y1, y2), style.colour), (time_shown, style)


def found_lines(image: NDArray[np.uint8], x1: float, x2: float, wanted: tuple[float, float], colour: Colour) -> bool:
    """Whether the upper and the lower edge are where they should be, in some column: a model's may have a gap."""
    top, bottom = wanted
    for column in range(round(x2) - 12, round(x2) - 4):
        part = image[round(top) - 4 : round(bottom) + 5, column]
        if (found := edges(part, colour)) and abs(found[0] - 4) <= CLOSE and abs(found[1] - 4 - (bottom - top)) <= CLOSE:
            return True
    return False


@pytest.mark.parametrize(
    ("name", "ticks", "tick"),
    [
        ("even.mp4", range(60), Fraction(1, 10)),
        ("film.mp4", range(140), Fraction(1001, 24_000)),
        ("uneven.mkv", (0, 1, 2, 5, 9, 10, 14, 19, 20, 21, 29, 30, 34, 39, 40, 41, 55, 59), Fraction(1, 10)),
    ],
)
def test_boxes_are_on_the_right_frames_within_two_pixels(
    tmp_path: Path, name: str, ticks: tuple[int, ...], tick: Fraction
) -> None:
    video = write_grey(tmp_path / name, ticks, tick)
    write_annotated(video, scene(), ["truth", "model"], [0], tmp_path / "out.mp4", lambda _: None)
    check_boxes(video, tmp_path / "out.mp4")


def test_boxes_are_scaled_to_a_video_of_another_size(tmp_path: Path) -> None:
    video = write_grey(tmp_path / "large.mp4", size=(640, 360))
    write_annotated(video, scene(), ["truth", "model"], [0], tmp_path / "out.mp4", lambda _: None)
    check_boxes(video, tmp_path / "out.mp4", 2.0)


def test_boxes_are_upright_in_a_turned_video(tmp_path: Path) -> None:
    video = write_grey(tmp_path / "turned.mp4", size=(180, 320), rotation=90)
    write_annotated(video, scene(), ["truth", "model"], [0], tmp_path / "out.mp4", lambda _: None)
    check_boxes(video, tmp_path / "out.mp4")


def test_an_odd_size_moves_no_box(tmp_path: Path) -> None:
    video = write_grey(tmp_path / "odd.mkv", codec="ffv1", size=(321, 181))
    write_annotated(video, scene((321, 181)), ["truth", "model"], [0], tmp_path / "out.mp4", lambda _: None)
    check_boxes(video, tmp_path / "out.mp4")


def test_only_chosen_layers_and_objects_are_drawn(tmp_path: Path) -> None:
    video = write_grey(tmp_path / "film.mp4", range(5))
    for layers, objects, expected in (
        (["truth"], [0], (True, False)),
        (["model"], [0], (False, True)),
        (["truth"], [], (False, False)),
    ):
        write_annotated(video, scene(), layers, objects, tmp_path / "out.mp4", lambda _: None)
        (frame,) = read_frames(tmp_path / "out.mp4", [0.0], "pyav")
        found = [
            edges(frame.image[row], style.colour) is not None for row, style in ((80, TRUE_STYLE), (127, MODEL_STYLES[0]))
        ]
        assert tuple(found) == expected


# --- jobs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def exports(tmp_path: Path) -> Iterator[Exports]:
    own = Exports(tmp_path / "exports", kept=2, waiting=2)
    yield own
    own.close()


@pytest.fixture(scope="module")
def minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("minutes")
    return write_numbered(folder / "long.mp4", range(6000), size=(320, 180), options={"preset": "ultrafast"})


@pytest.fixture
def long_video(minutes: Path, tmp_path: Path) -> Path:
    """A minute and more to write anew."""
    return shutil.copyfile(minutes, tmp_path / "long.mp4")


def finished(ask: Callable[[], Job], seconds: float = 60) -> Job:
    """Asks, as the page does, until there is a file or an error."""
    end = time.monotonic() + seconds
    while (job := ask()).file is None and job.error is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    return job


def test_a_request_is_one_job_and_another_is_another(tmp_path: Path, exports: Exports) -> None:
    video = write_grey(tmp_path / "film.mp4")
    first = exports.annotated(video, scene(), ["truth", "model"], [0])
    same = exports.annotated(video, scene(), ("model", "truth"), {0})
    assert first.job == same.job
    assert exports.annotated(video, scene(), ["truth"], [0]).job != first.job
    done = finished(lambda: exports.annotated(video, scene(), ["truth", "model"], [0]))
    assert (done.job, done.done, done.error) == (first.job, 1.0, None)
    assert done.file is not None
    assert exports.annotated(video, scene(), ["truth", "model"], [0]) == done
    check_boxes(video, done.file)


def test_what_the_scene_does_not_have_makes_no_other_job(tmp_path: Path, exports: Exports) -> None:
    video = write_grey(tmp_path / "film.mp4", range(5))
    jobs = [exports.annotated(video, scene(), ["truth", f"junk{junk}"], [0, 5 + junk, -1]) for junk in range(20)]
    assert {job.error for job in jobs} == {None}
    assert {job.job for job in jobs} == {exports.annotated(video, scene(), ["truth"], [0]).job}


def test_a_playable_copy_has_no_boxes(tmp_path: Path, exports: Exports) -> None:
    video = write_numbered(tmp_path / "old.avi", range(5), codec="mpeg4", options={})
    done = finished(partial(exports.playable, video))
    assert done.file is not None
    (frame,) = read_frames(done.file, [0.0], "pyav")
    assert number_in(frame.image) == 0
    assert edges(frame.image[80], TRUE_STYLE.colour) is None


def test_a_video_that_changed_is_another_request(tmp_path: Path, exports: Exports) -> None:
    video = write_numbered(tmp_path / "film.mp4", range(5))
    first = finished(partial(exports.playable, video))
    write_numbered(video, range(7))
    second = finished(partial(exports.playable, video))
    assert first.job != second.job
    assert second.file is not None
    assert len(shown_times(second.file)) == 7


def test_the_oldest_files_go(tmp_path: Path, exports: Exports) -> None:
    videos = [write_numbered(tmp_path / f"{number}.mp4", range(5)) for number in range(4)]
    jobs = [finished(partial(exports.playable, video)) for video in videos]
    assert [job.file.is_file() for job in jobs if job.file] == [False, False, True, True]
    assert len(list((tmp_path / "exports").iterdir())) == 2
    again = finished(partial(exports.playable, videos[0]))
    assert again.file is not None
    assert again.file.is_file()


def write_noise(path: Path) -> Path:
    path.write_bytes(np.random.default_rng(0).bytes(20_000))
    return path


def test_what_is_no_video_is_named_without_its_folder_and_may_be_asked_for_again(tmp_path: Path, exports: Exports) -> None:
    write_noise(tmp_path / "noise.mp4")
    for _ in range(2):
        failed = finished(partial(exports.playable, tmp_path / "noise.mp4"))
        assert failed.file is None
        assert failed.error is not None
        assert failed.error.startswith("noise.mp4: it cannot be opened as a video")
        assert str(tmp_path) not in failed.error
    assert list((tmp_path / "exports").iterdir()) == []
    assert exports.playable(tmp_path / "gone.mp4").error == "gone.mp4: it cannot be read (No such file or directory)"


def test_the_oldest_failures_that_nobody_asks_about_go(tmp_path: Path, exports: Exports, long_video: Path) -> None:
    broken = [write_noise(tmp_path / f"noise{number}.mp4") for number in range(3)]
    whole = [write_numbered(tmp_path / f"{number}.mp4", range(5)) for number in range(3)]
    for one, other in zip(broken, whole, strict=True):
        exports.playable(one)
        finished(partial(exports.playable, other))
    exports.playable(long_video)  # what begins anew waits behind it
    assert [exports.playable(one).error is None for one in broken] == [True, False, False]
    assert len(list((tmp_path / "exports").glob("[!.]*"))) == 2


def test_a_fault_of_our_own_ends_the_job_with_its_name(tmp_path: Path, exports: Exports) -> None:
    video = write_numbered(tmp_path / "film.mp4", range(5))
    wrong = scene(frame=(0, 0))
    failed = finished(lambda: exports.annotated(video, wrong, ["truth"], [0]))
    assert failed.error is not None
    assert failed.error.startswith("ZeroDivisionError")


def test_too_many_at_once_are_sent_away(tmp_path: Path, exports: Exports, long_video: Path) -> None:
    running, waiting = exports.playable(long_video), exports.annotated(long_video, scene(), ["truth"], [0])
    refused = exports.annotated(long_video, scene(), ["model"], [0])
    assert refused.error == "2 videos are being written for others; try again in some minutes"
    assert exports.playable(long_video).job == running.job
    assert exports.annotated(long_video, scene(), ["truth"], [0]) == waiting


def test_progress_is_seen_and_closing_stops_and_leaves_no_half_file(
    tmp_path: Path, exports: Exports, long_video: Path
) -> None:
    done = finished(partial(exports.playable, write_numbered(tmp_path / "short.mp4", range(5))))
    requests = (
        partial(exports.playable, long_video),
        partial(exports.annotated, long_video, scene(), ["truth"], [0]),
    )
    assert [request().file for request in requests] == [None, None]
    end = time.monotonic() + 30
    while not 0.02 < requests[0]().done < 1:
        assert time.monotonic() < end
        time.sleep(0.02)
    begun = time.monotonic()
    exports.close()
    assert time.monotonic() - begun < 3
    assert list((tmp_path / "exports").iterdir()) == [done.file]
    for request in requests:
        assert "being closed" in (request().error or "")
        assert request().error == "the page is being closed; try again when it is back"


# --- forgotten --------------------------------------------------------------------------------------------------------


def made(folder: Path) -> set[Path]:
    """All files, half written ones too."""
    return set((folder / "exports").iterdir())


def test_the_files_of_a_forgotten_video_go_and_no_others(tmp_path: Path, exports: Exports) -> None:
    own, other = (write_numbered(tmp_path / name, range(5)) for name in ("own.mp4", "other.mp4"))
    requests = [partial(exports.playable, own), partial(exports.playable, other)]
    files = [finished(request).file for request in requests]
    exports.forget(tmp_path / "of nobody.mp4")
    assert made(tmp_path) == set(files)
    exports.forget(own)
    assert made(tmp_path) == {files[1]}
    assert requests[1]().file == files[1]
    assert finished(requests[0]).file == files[0]


def test_what_waits_for_a_forgotten_video_is_cancelled(tmp_path: Path, exports: Exports, long_video: Path) -> None:
    own, other = (write_numbered(tmp_path / name, range(5)) for name in ("own.mp4", "other.mp4"))
    exports.playable(long_video)
    assert exports.playable(own).error is None
    assert exports.playable(other).error is not None
    exports.forget(own)
    assert exports.playable(other).error is None
    exports.forget(long_video)
    assert made(tmp_path) - {finished(partial(exports.playable, other)).file} == set()


def test_a_job_ends_when_its_video_is_forgotten(tmp_path: Path, exports: Exports, long_video: Path) -> None:
    end = time.monotonic() + 30
    while not made(tmp_path):
        assert exports.playable(long_video).error is None
        assert time.monotonic() < end
        time.sleep(0.02)
    exports.forget(long_video)
    while made(tmp_path):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_forgetting_at_any_moment_leaves_no_file(tmp_path: Path, exports: Exports) -> None:
    videos = [write_numbered(tmp_path / f"{number}.mp4", range(3)) for number in range(25)]
    for number, video in enumerate(videos):
        exports.playable(video)
        time.sleep(number / 500)
        exports.forget(video)
    exports.close()
    assert made(tmp_path) == set()


# --- killed -----------------------------------------------------------------------------------------------------------

KILLED = """
import sys, time
from pathlib import Path
from r_avst.space.exports import Exports
exports = Exports(Path(sys.argv[2]))
while exports.playable(Path(sys.argv[1])).done < 0.02:
    time.sleep(0.02)
print("half", flush=True)
time.sleep(60)
"""


def test_a_kill_leaves_nothing_that_looks_complete_and_the_next_start_clears_up(tmp_path: Path, long_video: Path) -> None:
    folder = tmp_path / "exports"
    command = [sys.executable, "-c", KILLED, str(long_video), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "half\n"
        running.kill()
    assert list(folder.glob("[!.]*")) == []
    (folder / "notes.txt").write_text("of somebody")
    (folder / "own.mp4").write_text("of somebody")
    Exports(folder).close()
    assert sorted(path.name for path in folder.iterdir()) == ["notes.txt", "own.mp4"]
