"""Frames that each family's own processor resizes once, as it would have done itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_families import BARE_TEMPLATE
from tiny_families import load_processor
from tiny_families import pictures
from tiny_families import tiny_family
from tiny_families import write_box_video
from written_videos import write_numbered
from written_videos import write_video

from r_avst.dataset_builder.video import VideoError
from r_avst.dataset_builder.video import read_frames
from r_avst.training.clips import MediaSettings
from r_avst.training.families import FAMILIES
from r_avst.training.families.frames import with_other_text
from r_avst.training.tiny_models import VL_TEMPLATE

SETTINGS = MediaSettings(fps=2.0, max_frames=6, min_pixels=784, max_pixels=250 * 250, audio=False, decoder="pyav")
RESIZING = ["internvl", "qwen3-vl", "videollama3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames")


@pytest.mark.parametrize("size", [(320, 180), (180, 320), (250, 250)])
@pytest.mark.parametrize("name", RESIZING)
def test_frames_are_to_the_bit_what_the_processor_makes_of_the_source(
    folder: Path, name: str, size: tuple[int, int]
) -> None:
    video = write_numbered(folder / f"{size[0]}x{size[1]}.mp4", range(32), size=size)
    family, processor = FAMILIES[name], load_processor(tiny_family(folder, name))
    clip = family.read(processor, video, SETTINGS)
    number = len(clip.frames)
    source = np.stack([frame.image for frame in read_frames(video, [k / clip.fps for k in range(number)], "pyav")])
    pixels = {"shortest_edge": SETTINGS.min_pixels * number, "longest_edge": SETTINGS.max_pixels * number}
    own: dict[str, Any] = {
        "qwen3-vl": {"size": pixels, "cap_pixels_per_frame": False},
        "videollama3": {"size": {**pixels, "shortest_edge": SETTINGS.min_pixels}},  # it counts the least for a frame
        "internvl": {},
    }[name]
    whole = processor.video_processor(
        torch.from_numpy(source).permute(0, 3, 1, 2), do_sample_frames=False, return_tensors="pt", **own
    )
    values = whole["pixel_values_videos"][0] if name == "internvl" else whole["pixel_values_videos"]
    sample = family.encode(processor, clip, "hello", SETTINGS)
    ours = sample["pixel_values" if name == "internvl" else "pixel_values_videos"]
    assert torch.equal(ours, values)
    assert clip.processed_size == family.processed_size(processor, size, number, SETTINGS)
    assert np.abs(pictures(sample, processor)[:number] - clip.frames).max() < 1e-3


@pytest.mark.parametrize("template", [VL_TEMPLATE, BARE_TEMPLATE], ids=["bracketed", "bare"])
def test_each_patch_of_qwen3_vl_stands_in_one_pair_of_brackets(folder: Path, template: str) -> None:
    """Published templates write brackets around a video; transformers' processor adds its own and leaves those."""
    family, processor = FAMILIES["qwen3-vl"], load_processor(tiny_family(folder, "qwen3-vl"))
    processor.chat_template = template
    video = write_box_video(folder / "brackets.mp4", (64, 56), (10, 10, 40, 40), frames=4)
    clip = family.read(processor, video, SETTINGS)
    sample = family.encode(processor, clip, "hello", SETTINGS)
    pads = "<|video_pad|>" * (int(sample["video_grid_thw"][0, 1:].prod()) // 4)
    patches = "".join(f"<{time} seconds><|vision_start|>{pads}<|vision_end|>" for time in ("0.2", "1.2"))
    whole = f"<|im_start|>user\n{patches}hello<|im_end|>\n<|im_start|>assistant\n"
    assert processor.tokenizer.decode(sample["input_ids"][0]) == whole
    chats = [family.chat(processor, clip, text) for text in ("hello", "where is it?")]
    other = with_other_text(processor, sample, *chats)
    assert other is not None
    assert torch.equal(other["input_ids"], family.encode(processor, clip, "where is it?", SETTINGS)["input_ids"])


@pytest.mark.parametrize("name", RESIZING)
def test_a_lone_frame_is_a_clip(folder: Path, name: str) -> None:
    video = write_box_video(folder / "lone.mp4", (64, 56), (10, 10, 40, 40), frames=1)
    family, processor = FAMILIES[name], load_processor(tiny_family(folder, name))
    clip = family.read(processor, video, SETTINGS)
    assert len(clip.frames) == 1
    assert family.encode(processor, clip, "hello", SETTINGS)["input_ids"].ndim == 2


@pytest.mark.parametrize("name", ["qwen3-vl", "videollama3"])
def test_frames_too_narrow_for_a_model_are_named(folder: Path, name: str) -> None:
    video = write_video(folder / "narrow.mp4", 1604, 4, 2)
    with pytest.raises(VideoError, match=r"narrow\.mp4: frames of 1604 x 4 are not for this model"):
        FAMILIES[name].read(load_processor(tiny_family(folder, name)), video, SETTINGS)


@pytest.mark.parametrize("name", RESIZING)
def test_a_file_that_is_no_video_is_named(folder: Path, name: str) -> None:
    (folder / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        FAMILIES[name].read(load_processor(tiny_family(folder, name)), folder / "broken.mp4", SETTINGS)
