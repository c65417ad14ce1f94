"""What a model sees and is told, read back out of the numbers and the text that it is given."""

import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seeing_model import SeeingModel
from tiny_families import FAMILY_WRITERS
from tiny_families import load_processor
from tiny_families import tiny_family
from tiny_families import write_box_video
from written_videos import number_in
from written_videos import shift_packets
from written_videos import write_numbered

from r_avst.training.answer_form import AnswerForm
from r_avst.training.answer_form import read_answer
from r_avst.training.asking import Ask
from r_avst.training.asking import Reply
from r_avst.training.clips import MediaSettings
from r_avst.training.families import FAMILIES
from r_avst.training.model_backend import Decoding
from r_avst.training.model_backend import ModelBackend

NAMES = sorted(FAMILY_WRITERS)
BOXES = {
    (640, 360): (120, 40, 333, 271),
    (202, 360): (20, 200, 91, 330),
    (500, 500): (251, 10, 480, 123),
}
"""Landscape, portrait and square, of sides that no patch divides; the box in each, in source pixels."""
DECODING = Decoding(max_new_tokens=200, batch_size=1, temperature=0.0, seed=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


def media(max_frames: int, audio: bool) -> MediaSettings:
    return MediaSettings(2.0, max_frames, min_pixels=784, max_pixels=300 * 300, audio=audio, decoder="pyav")


def asked(folder: Path, name: str, video: Path, size: tuple[int, int], **options: Any) -> tuple[SeeingModel, Reply]:
    """A question put to a model that looks, by the one path that r-avst-predict takes too."""
    family = FAMILIES[name]
    processor = load_processor(tiny_family(folder, name))
    space = options.get("space", family.space)
    form = AnswerForm(space, 1, 0 if space == "norm1000" else 1)
    model = SeeingModel(processor)
    settings = media(options.get("max_frames", 8), options.get("audio", False))
    backend = ModelBackend(model, processor, family, settings, form, DECODING)
    (reply,) = backend.answers([Ask("q", "spatial", "Where is the red box?", video, size, 3.0)])
    assert isinstance(reply, Reply), reply
    return model, reply


# --- boxes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["published", "model", "norm1000"])
@pytest.mark.parametrize("size", BOXES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", NAMES)
def test_a_box_comes_back_where_it_was_drawn(folder: Path, name: str, size: tuple[int, int], space: str) -> None:
    video = write_box_video(folder / f"{size[0]}x{size[1]}.mp4", size, BOXES[size])
    chosen: dict[str, Any] = {} if space == "published" else {"space": space}
    model, reply = asked(folder, name, video, size, **chosen)
    seen = model.seen[0].shape[2], model.seen[0].shape[1]
    assert reply.processed_size == (seen if reply.coordinate_space == "model" else None)
    form = AnswerForm(reply.coordinate_space, 1, 0 if reply.coordinate_space == "norm1000" else 1)
    parsed = read_answer(reply.text, form, reply.frame_size, reply.processed_size or seen)
    assert parsed.problems == ()
    ((_, *edges),) = parsed.answer.tracks[0].rows
    assert edges == pytest.approx(BOXES[size], abs=1.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_box_read_in_another_space_is_elsewhere(folder: Path, name: str) -> None:
    """The test above could not fail if spaces were alike on its videos."""
    size = (640, 360)
    video = write_box_video(folder / "640x360.mp4", size, BOXES[size])
    _, reply = asked(folder, name, video, size)
    other = AnswerForm("source", 1, 1)
    ((_, *edges),) = read_answer(reply.text, other, size, size).answer.tracks[0].rows
    assert max(abs(a - b) for a, b in zip(edges, BOXES[size], strict=True)) > 20


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_shows_the_box(folder: Path, name: str) -> None:
    size = (640, 360)
    model, reply = asked(folder, name, write_box_video(folder / "640x360.mp4", size, BOXES[size]), size)
    first = model.seen[0][0]
    assert len(reply.frame_times) == 6
    assert all(np.abs(picture - first).max() < 3 for picture in model.seen[0])


# --- times ------------------------------------------------------------------------------------------------------------

TICK = Fraction(1, 10)
VARIABLE = (0, 1, 2, 7, 8, 9, 14, 15, 21, 22, 23, 24, 33, 34, 35, 36, 43, 44, 45, 51, 52)
"""Tenths of a second at which a picture comes on screen."""


def numbered(folder: Path, kind: str) -> tuple[Path, list[float]]:
    """A video of numbered pictures, and the second at which each comes on screen after the first."""
    path = folder / f"{kind}.mp4"
    ticks = VARIABLE if kind == "variable" else tuple(range(52))
    if not path.exists():
        plain = write_numbered(folder / f"{kind}-plain.mp4", ticks, TICK)
        shift_packets(path, (plain, 5 if kind == "late" else 0))
    return path, [float(tick * TICK) for tick in ticks]


def told_times(name: str, model: SeeingModel) -> list[float]:
    """What the model is told of time: by words before frames, or by the seconds between two places of its positions."""
    prompt, inputs = model.prompts[0], model.inputs[0]
    if name.startswith("qwen2.5"):
        step = inputs["video_second_per_grid" if name == "qwen2.5-omni" else "second_per_grid_ts"][0]
        return [number * float(step) for number in range(int(inputs["video_grid_thw"][0, 0]))]
    if name == "internvl":
        line = re.search(r"from these seconds of the video: ([^a-z]+)\.\n", prompt)
        assert line is not None
        return [float(number) for number in line[1].split(", ")]
    pattern = {"qwen3-vl": r"<(\d+\.\d) seconds>", "videollama3": r"Time (\d+\.\d)s:"}[name]
    return [float(number) for number in re.findall(pattern, prompt)]


def sound_before(model: SeeingModel) -> list[int]:
    """How many tokens of sound stand before the first token of each patch of frames."""
    media = re.findall(r"<\|(VIDEO|AUDIO)\|>", model.prompts[0])
    places = [place for place, medium in enumerate(media) if medium == "VIDEO"]
    size = len(places) // int(model.inputs[0]["video_grid_thw"][0, 0])
    return [media[:place].count("AUDIO") for place in places[::size]]


@pytest.mark.parametrize("max_frames", [11, 4])
@pytest.mark.parametrize("kind", ["variable", "late", "plain"])
def test_patches_stand_among_the_sound_of_their_seconds(folder: Path, kind: str, max_frames: int) -> None:
    """An Omni is given two seconds of patches, then the sound of these; the tiny one has five tokens of sound a second."""
    video, _ = numbered(folder, kind)
    model, reply = asked(folder, "qwen2.5-omni", video, (320, 180), max_frames=max_frames, audio=True)
    assert sound_before(model) == [int(time // 2) * 2 * 5 for time in reply.frame_times[::2]]
    assert model.prompts[0].count("<|AUDIO|>") == 26


@pytest.mark.parametrize("max_frames", [11, 4])
@pytest.mark.parametrize("kind", ["variable", "late", "plain"])
@pytest.mark.parametrize(("name", "audio"), [*((name, False) for name in NAMES), ("qwen2.5-omni", True)])
def test_the_times_told_are_those_of_the_frames(folder: Path, name: str, audio: bool, kind: str, max_frames: int) -> None:
    video, shown = numbered(folder, kind)
    model, reply = asked(folder, name, video, (320, 180), max_frames=max_frames, audio=audio)
    times = reply.frame_times
    assert len(times) == max_frames
    numbers = [number_in(np.clip(picture, 0, 255).astype(np.uint8)) for picture in model.seen[0]]
    ends = [*shown[1:], 60.0]
    for time, number in zip(times, numbers, strict=False):
        assert number is not None
        assert shown[number] - 1e-6 <= time < ends[number]
    # A last frame without a partner is shown twice.
    together = 2 if name.startswith("qwen") else 1
    padded = [*times, *times[-1:] * (-len(times) % together)]
    assert numbers[len(times) :] == numbers[len(times) - 1 : len(times)] * (len(padded) - len(times))
    pairs = [padded[start : start + together] for start in range(0, len(padded), together)]
    # Qwen3-VL names the middle of two frames, Qwen2.5 places them at the first; words have one decimal.
    meant = [sum(pair) / len(pair) if name == "qwen3-vl" else pair[0] for pair in pairs]
    rounding = 1e-3 if name.startswith("qwen2.5") else 0.05 + 1e-9
    assert told_times(name, model) == pytest.approx(meant, abs=rounding)
    assert all(later > earlier for earlier, later in pairwise(meant))
