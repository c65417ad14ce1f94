"""Boxes of masks in PNG files: where they end, which parts count, and what is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL import ImageDraw

from r_avst.dataset_builder.sources import masks
from r_avst.dataset_builder.sources.masks import MaskError
from r_avst.dataset_builder.sources.masks import check_shape
from r_avst.dataset_builder.sources.masks import parts_of
from r_avst.dataset_builder.sources.masks import read_mask
from r_avst.dataset_builder.sources.masks import to_frame
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.overlap import Box

SHAPE = (9, 12)


def picture(mode: str, ink: int | tuple[int, ...]) -> Image.Image:
    """A black picture with a rectangle of x 2..5, y 3..4."""
    image = Image.new(mode, SHAPE[::-1], 0)
    ImageDraw.Draw(image).rectangle((2, 3, 5, 4), fill=ink)
    return image


def palette_picture() -> Image.Image:
    """With a palette in which the background, index 0, is not black."""
    image = picture("P", 7)
    image.putpalette([200, 10, 10] * 256)
    return image


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image",
    [
        picture("1", 1),
        picture("L", 255),
        picture("L", 1),
        picture("RGB", (0, 0, 128)),
        picture("RGBA", (255, 255, 255, 255)),
        picture("LA", (255, 0)),
        picture("I;16", 400),
        palette_picture(),
    ],
    ids=lambda image: image.mode,
)
def test_every_kind_of_png_is_read(tmp_path: Path, image: Image.Image) -> None:
    image.save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png")
    expected = np.zeros(SHAPE, dtype=bool)
    expected[3:5, 2:6] = True
    assert np.array_equal(mask.pixels, expected)
    assert (mask.size, mask.values) == ((12, 9), 1)


def test_colours_are_counted_and_all_belong_to_the_mask(tmp_path: Path) -> None:
    image = picture("RGB", (128, 0, 0))
    image.putpixel((11, 8), (0, 128, 0))
    image.save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png")
    assert (mask.values, mask.pixels.sum()) == (2, 9)


def test_a_black_mask_is_empty(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png")
    assert (mask.values, mask.pixels.any()) == (0, False)
    assert parts_of(mask.pixels, 0.5).boxes == ()


def test_what_is_no_png_is_refused_with_its_path(tmp_path: Path) -> None:
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(whole)
    picture("L", 255).save(tmp_path / "jpeg.png", format="JPEG")
    contents = {"empty": b"", "text": b"no picture", "cut": whole.read_bytes()[:900]}
    for name, content in contents.items():
        (tmp_path / f"{name}.png").write_bytes(content)
    for name in (*contents, "jpeg", "absent"):
        with pytest.raises(MaskError, match=f"{name}.png: no PNG that can be read"):
            read_mask(tmp_path / f"{name}.png")


def test_a_picture_too_large_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    Image.new("1", (9000, 8000)).save(tmp_path / "bomb.png")
    with pytest.raises(MaskError, match=r"bomb.png: 9000 x 8000 pixels"):
        read_mask(tmp_path / "bomb.png")


def test_without_pillow_it_is_told_what_to_install(tmp_path: Path) -> None:
    picture("L", 255).save(tmp_path / "mask.png")
    code = """
import sys
sys.modules["PIL"] = None
from pathlib import Path
from r_avst.dataset_builder.sources.masks import PillowMissingError, read_mask
try:
    read_mask(Path(sys.argv[1]))
except PillowMissingError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code, tmp_path / "mask.png"], capture_output=True, text=True, check=True)
    assert "pip install pillow" in ran.stdout


# --- parts ------------------------------------------------------------------------------------------------------------


def drawn(*boxes: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    pixels = np.zeros((20, 30), dtype=bool)
    for x1, y1, x2, y2 in boxes:
        pixels[y1:y2, x1:x2] = True
    return pixels


@pytest.mark.parametrize("box", [(1, 2, 8, 5), (6, 3, 7, 4), (0, 0, 30, 20), (29, 19, 30, 20)])
def test_a_box_ends_after_its_last_pixel(box: tuple[int, int, int, int]) -> None:
    parts = parts_of(drawn(box), 0.0)
    assert parts.boxes == (tuple(map(float, box)),)
    (x1, y1, x2, y2), pixels = parts.boxes[0], drawn(box)
    assert (x2 - x1) * (y2 - y1) == pixels.sum()


def test_the_box_of_a_mask_is_that_of_the_builder_s_other_masks() -> None:
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'r-avst[boxes]'")
    from r_avst.dataset_builder.grounding.sam_memory import boxes_of

    random = np.random.default_rng(0)
    for share in (0.001, 0.01, 0.3):
        pixels = random.random((20, 30)) < share
        (expected,) = boxes_of(torch.from_numpy(pixels)[None])
        assert masks.around(parts_of(pixels, 0.0).boxes) == (() if expected is None else (expected,))


def test_parts_that_touch_at_a_corner_are_one() -> None:
    assert parts_of(drawn((2, 2, 4, 4), (4, 4, 6, 6)), 0.0).boxes == ((2, 2, 6, 6),)
    assert parts_of(drawn((2, 2, 4, 4), (5, 5, 6, 6)), 0.0).boxes == ((2, 2, 4, 4), (5, 5, 6, 6))


@pytest.mark.parametrize(
    ("min_area", "kept", "small"),
    [(0.0, 3, 0), (1 / 600, 3, 0), (1.01 / 600, 2, 1), (16 / 600, 2, 1), (16.01 / 600, 1, 2), (1.0, 1, 2)],
)
def test_parts_under_the_least_area_are_left_out_but_the_largest(min_area: float, kept: int, small: int) -> None:
    parts = parts_of(drawn((0, 0, 1, 1), (4, 4, 8, 8), (10, 10, 20, 20)), min_area)
    assert (len(parts.boxes), parts.small) == (kept, small)
    assert (10, 10, 20, 20) in parts.boxes


# --- frames -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "frame"),
    [
        ((224, 224), (640, 360)),  # pressed
        ((224, 224), (360, 640)),
        ((640, 360), (640, 360)),
        ((640, 360), (1280, 720)),
        ((427, 240), (854, 480)),
        ((426, 240), (854, 480)),  # a pixel off by rounding
        ((1920, 1080), (640, 360)),
    ],
)
def test_a_mask_of_the_whole_frame_passes(mask: Size, frame: Size) -> None:
    check_shape(Path("m.png"), mask, frame)


@pytest.mark.parametrize(
    ("mask", "frame"),
    [((640, 360), (360, 640)), ((640, 480), (640, 360)), ((256, 256), (640, 360)), ((420, 240), (854, 480))],
)
def test_a_mask_of_another_shape_is_refused(mask: Size, frame: Size) -> None:
    with pytest.raises(
        MaskError, match=f"m.png: the mask is {mask[0]} x {mask[1]}, .* {frame[0]} x {frame[1]}, another shape"
    ):
        check_shape(Path("m.png"), mask, frame)


@pytest.mark.parametrize(
    ("box", "mask", "frame", "expected"),
    [
        ((56, 56, 112, 224), (224, 224), (640, 360), (160.0, 90.0, 320.0, 360.0)),
        ((0, 0, 224, 224), (224, 224), (853, 479), (0.0, 0.0, 853.0, 479.0)),
        ((10, 20, 30, 40), (100, 50), (100, 50), (10.0, 20.0, 30.0, 40.0)),
        ((1, 0, 2, 1), (224, 224), (320, 180), (1.4, 0.0, 2.9, 0.9)),
        ((100, 100, 101, 101), (1920, 1080), (19, 11), (0.9, 1.0, 1.0, 1.1)),
    ],
)
def test_a_box_is_scaled_on_each_axis_and_keeps_an_area(box: Box, mask: Size, frame: Size, expected: Box) -> None:
    assert to_frame(box, mask, frame) == expected
