"""The backend of the package sam2 on a tiny random model, which its own configuration describes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from held_tensors import held
from moving_square import frames
from PIL import Image as Pictures
from tiny_models import write_tiny_detector

pytest.importorskip("sam2", reason="needs the package sam2: pip install 'r-avst[sam2]'")

from tiny_sam2 import tiny_sam2

from r_avst.dataset_builder.grounding.grounding_dino import load_grounding_dino
from r_avst.dataset_builder.grounding.sam2_backend import Sam2Backend
from r_avst.dataset_builder.grounding.sam2_backend import load_sam2
from r_avst.dataset_builder.grounding.tracking import TrackRules
from r_avst.dataset_builder.grounding.tracking import follow
from r_avst.dataset_builder.stages.stage import StageError
from r_avst.metrics.avst_metrics.overlap import Box

WIDTH, HEIGHT = 160, 90
SQUARE, OTHER = (10.0, 20.0, 40.0, 50.0), (60.0, 0.0, 150.0, 80.0)
Masks = list[dict[int, torch.Tensor]]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Sam2Backend:
    detector = load_grounding_dino(str(write_tiny_detector(tmp_path_factory.mktemp("detector"))), 0.0, 0.0, "cpu", "float32")
    return Sam2Backend(detector, tiny_sam2(), "float32")


def stored(state: dict[str, Any], frame: int) -> dict[int, torch.Tensor]:
    """The mask logits of a frame by object, as the predictor keeps them."""
    kinds = {state["obj_idx_to_id"][index]: outputs for index, outputs in state["output_dict_per_obj"].items()}
    return {
        number: outputs[kind][frame]["pred_masks"].clone()
        for number, outputs in kinds.items()
        for kind in ("cond_frame_outputs", "non_cond_frame_outputs")
        if frame in outputs[kind]
    }


def streamed(backend: Sam2Backend, number: int, added: dict[int, dict[int, Box]]) -> Masks:
    session, made = backend.start(WIDTH, HEIGHT), []
    for frame, image in enumerate(frames(number, WIDTH, HEIGHT)):
        session.step(image)
        if frame in added:
            assert list(session.add(added[frame])) == list(added[frame])
        made.append(stored(session._state, frame))
    return made


def test_streamed_masks_are_those_of_the_whole_clip(backend: Sam2Backend, tmp_path: Path) -> None:
    masks = streamed(backend, 40, {0: {1: SQUARE, 2: OTHER}})
    for frame, image in enumerate(frames(40, WIDTH, HEIGHT)):
        Pictures.fromarray(image).save(tmp_path / f"{frame}.jpg")
    state = backend.predictor.init_state(str(tmp_path))
    session = backend.start(WIDTH, HEIGHT)  # for its pixels: JPEG changes those of the files
    pixels = []
    for image in frames(40, WIDTH, HEIGHT):
        session.step(image)
        pixels += session._state["images"].values()
    state |= {"images": torch.stack(pixels), "cached_features": {}}
    for number, box in ((1, SQUARE), (2, OTHER)):
        backend.predictor.add_new_points_or_box(state, 0, number, box=box)
    for frame, _, _ in backend.predictor.propagate_in_video(state):
        whole = stored(state, frame)
        assert whole.keys() == masks[frame].keys() == {1, 2}
        assert all(torch.equal(whole[number], masks[frame][number]) for number in whole), frame
    assert frame == 39
    assert not torch.equal(masks[38][1], masks[39][1])


def test_an_object_added_later_disturbs_no_other_and_has_the_masks_of_a_clip_of_its_own(backend: Sam2Backend) -> None:
    together = streamed(backend, 25, {0: {4: SQUARE}, 5: {0: OTHER, 7: SQUARE}})
    assert [sorted(own) for own in together] == [[4]] * 5 + [[0, 4, 7]] * 20
    for number, start, box in ((4, 0, SQUARE), (0, 5, OTHER), (7, 5, SQUARE)):
        alone = streamed(backend, 25, {start: {number: box}})
        assert all(torch.allclose(together[n][number], alone[n][number], atol=1e-4) for n in range(start, 25)), number


def test_an_object_that_is_found_again_starts_from_its_new_box(backend: Sam2Backend) -> None:
    images = list(frames(9, WIDTH, HEIGHT))
    session, fresh = backend.start(WIDTH, HEIGHT), backend.start(WIDTH, HEIGHT)
    for frame, image in enumerate(images):
        session.step(image)
        if not frame:
            session.add({3: SQUARE, 5: SQUARE})
    before = stored(session._state, 8)
    session.add({3: OTHER})
    fresh.step(images[8])
    fresh.add({3: OTHER})
    again = stored(session._state, 8)
    assert torch.equal(again[5], before[5])
    assert torch.allclose(again[3], stored(fresh._state, 0)[3], atol=1e-5)


def test_a_session_comes_to_hold_no_more(backend: Sam2Backend) -> None:
    session, sizes = backend.start(WIDTH, HEIGHT), []
    for frame, image in enumerate(frames(140, WIDTH, HEIGHT)):
        session.step(image)
        if frame % 5 == 0:
            session.add({1 + frame % 2: SQUARE})
        sizes.append(held(session._state))
    assert max(sizes[100:140]) == max(sizes[60:100]) > 100_000


def test_it_finds_and_follows(backend: Sam2Backend, capfd: pytest.CaptureFixture[str]) -> None:
    places = list(follow(backend, frames(6, WIDTH, HEIGHT), ["dog", "red car"], TrackRules(0.5, 2, 3)))
    assert len(places) == 6
    assert any(own for frame in places for own in frame)
    for x1, y1, x2, y2 in (box for frame in places for own in frame for box in own.values()):
        assert 0 <= x1 < x2 <= WIDTH
        assert 0 <= y1 < y2 <= HEIGHT
    assert capfd.readouterr().err == ""  # no progress bar a frame


def test_a_name_that_the_package_does_not_know_is_refused(backend: Sam2Backend) -> None:
    with pytest.raises(StageError, match=r"^nobody/none: the package sam2 does not know it; it knows .*sam2.1-hiera-large"):
        load_sam2(backend.detector, "nobody/none", "cpu", "float32")


def test_a_model_that_cannot_be_had_is_named_with_what_to_do(backend: Sam2Backend) -> None:
    with pytest.raises(StageError, match=r"^facebook/sam2.1-hiera-tiny: cannot be loaded .*without a network"):
        load_sam2(backend.detector, "facebook/sam2.1-hiera-tiny", "cpu", "float32")
