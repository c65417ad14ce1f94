"""Written clips show and sound as planned: decoded again, and looked at by other means than they were made with."""

import hashlib
import sys
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from r_avst.dataset_builder.sources.synthetic_plan import FPS
from r_avst.dataset_builder.sources.synthetic_plan import WORLD
from r_avst.dataset_builder.sources.synthetic_plan import Plan
from r_avst.dataset_builder.sources.synthetic_plan import plan_video
from r_avst.dataset_builder.sources.synthetic_render import mask_of
from r_avst.dataset_builder.sources.synthetic_render import pictures
from r_avst.dataset_builder.sources.synthetic_render import sound
from r_avst.dataset_builder.sources.synthetic_render import write_clip
from r_avst.dataset_builder.sources.synthetic_render import write_clips
from r_avst.dataset_builder.sources.synthetic_things import SOUNDING
from r_avst.dataset_builder.sources.synthetic_things import THINGS
from r_avst.dataset_builder.sources.synthetic_things import Shape
from r_avst.dataset_builder.video import PyAVMissingError
from r_avst.dataset_builder.video import probe

RATE = 16_000
HERTZ = 10  # of a bin: a window is a tenth of a second
SHAPES: tuple[Shape, ...] = ("square", "circle", "diamond", "triangle", "cross")
SHORT = [plan_video(index, 0) for index in range(0, 90, 3)]
HIDING = next(plan for plan in SHORT if any(len(actor.spans) == 2 for actor in plan.actors))
UNSEEN = next(plan for plan in SHORT if any(scene.unseen for scene in plan.scenes))
TWO_OF_A_NAME = next(plan for plan in SHORT if any(len(scene.seen) > len(set(scene.seen)) for scene in plan.scenes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "videos"
    write_clips([HIDING, UNSEEN, TWO_OF_A_NAME], path)
    return path


def windows(path: Path) -> NDArray[np.float64]:
    """The amplitudes of a clip's sound in each tenth of a second, shape (windows, bins of 10 Hz)."""
    with av.open(str(path)) as container:
        frames = [(int(frame.pts or 0), frame.to_ndarray()[0]) for frame in container.decode(audio=0)]
    samples = np.zeros(frames[-1][0] + len(frames[-1][1]))
    for start, own in frames:
        samples[max(start, 0) : start + len(own)] = own[max(-start, 0) :]
    whole = samples[: len(samples) // 1600 * 1600].reshape(-1, 1600)
    return np.abs(np.fft.rfft(whole)) * 2 / 1600


def steady(plan: Plan, name: str) -> list[tuple[int, bool]]:
    """The frames on which a thing sounds or not as it does on those beside them, since AAC smears edges."""
    thing = next(own for own in SOUNDING if own.name == name)
    sounds = [
        any(actor.thing == thing and actor.drawn(frame) for actor in plan.actors)
        or any(thing in scene.unseen and scene.span[0] <= frame < scene.span[1] for scene in plan.scenes)
        for frame in range(plan.frames)
    ]
    return [(frame, sounds[frame]) for frame in range(1, plan.frames - 1) if len(set(sounds[frame - 1 : frame + 2])) == 1]


@pytest.mark.parametrize("plan", [HIDING, UNSEEN, TWO_OF_A_NAME], ids=["hiding", "unseen", "two of a name"])
def test_a_thing_sounds_while_it_is_seen_or_off_screen_and_at_no_other_time(plan: Plan, folder: Path) -> None:
    amplitudes = windows(folder / f"{plan.video_id}.mp4")
    for thing in SOUNDING:
        for frame, sounds in steady(plan, thing.name):
            found = amplitudes[frame, thing.pitch // HERTZ]
            assert found == pytest.approx(0.2, abs=0.05) if sounds else found < 0.01, (thing.name, frame)


def test_the_loudest_pitch_is_that_of_the_thing_on_screen(folder: Path) -> None:
    amplitudes = windows(folder / f"{HIDING.video_id}.mp4")
    scene = HIDING.scenes[0]
    assert {int(own.argmax()) * HERTZ for own in amplitudes[scene.span[0] + 1 : scene.span[0] + 9]} <= {
        thing.pitch for thing in (*scene.seen, *scene.unseen)
    }


def test_the_loudest_sound_stays_below_full_scale() -> None:
    assert max(np.abs(sound(plan)).max() for plan in SHORT) < 1


@pytest.mark.parametrize("plan", [HIDING, UNSEEN, TWO_OF_A_NAME], ids=["hiding", "unseen", "two of a name"])
def test_every_frame_decodes_to_what_was_drawn(plan: Plan, folder: Path) -> None:
    path = folder / f"{plan.video_id}.mp4"
    with av.open(str(path)) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert {stream.codec_context.name for stream in container.streams} == {"h264", "aac"}
        assert container.start_time == 0
    assert len(decoded) == plan.frames
    assert probe(path).duration == pytest.approx(plan.frames / FPS, abs=0.01)
    apart = [np.abs(found - drawn.astype(np.float64)).mean() for found, drawn in zip(decoded, pictures(plan), strict=True)]
    assert max(apart) < 3


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_of_any_size_touches_all_sides_and_fills_the_middle(shape: Shape) -> None:
    for width in range(12, 21):
        for height in range(12, 21):
            mask = mask_of(shape, width, height)
            sides = [mask[0].sum(), mask[-1].sum(), mask[:, 0].sum(), mask[:, -1].sum()]
            assert mask.shape == (height, width)
            assert min(sides) >= 2
            assert mask[height // 2, width // 2]


def test_all_shapes_are_in_use_and_differ() -> None:
    assert {thing.shape for thing in THINGS} == set(SHAPES)
    assert len({mask_of(shape, 16, 16).tobytes() for shape in SHAPES}) == len(SHAPES)


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path, folder: Path) -> None:
    write_clip(HIDING, tmp_path / "again.mp4")
    assert (tmp_path / "again.mp4").read_bytes() == (folder / f"{HIDING.video_id}.mp4").read_bytes()


def test_without_pyav_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(PyAVMissingError, match=r"pip install 'r-avst\[build\]'"):
        write_clips([HIDING], tmp_path)


def test_only_what_is_missing_is_written_and_nothing_half_done_stays(tmp_path: Path, folder: Path) -> None:
    there, missing = tmp_path / f"{HIDING.video_id}.mp4", tmp_path / f"{UNSEEN.video_id}.mp4"
    there.write_bytes(b"complete")
    part = missing.with_name(f"{missing.name}.part")
    part.write_bytes((folder / missing.name).read_bytes()[:1000] * 500)
    write_clips([HIDING, UNSEEN], tmp_path)
    assert there.read_bytes() == b"complete"
    assert missing.read_bytes() == (folder / missing.name).read_bytes()
    assert sorted(tmp_path.iterdir()) == sorted([there, missing])


def test_a_changed_world_bears_another_number() -> None:
    """If this fails, plans or pictures have changed: raise `WORLD`, then put the new digest here."""
    digest = hashlib.sha256()
    for index in range(0, 18, 2):
        plan = plan_video(index, seed=0)
        digest.update(repr(plan).encode())
        digest.update(b"".join(picture.tobytes() for picture in islice(pictures(plan), 0, None, 20)))
    assert (WORLD, digest.hexdigest()[:16]) == (1, "2099ba83e093cc5d")
