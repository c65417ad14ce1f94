"""The transformers backend on tiny random models, loaded from folders as the real ones are."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from held_tensors import held
from moving_square import frames
from safetensors.torch import load_file
from safetensors.torch import save_file
from tiny_models import write_tiny_detector
from tiny_models import write_tiny_tracker

from r_avst.dataset_builder.grounding.backend import Image
from r_avst.dataset_builder.grounding.grounding_dino import GroundingDino
from r_avst.dataset_builder.grounding.grounding_dino import detections
from r_avst.dataset_builder.grounding.grounding_dino import load_grounding_dino
from r_avst.dataset_builder.grounding.grounding_dino import prompt
from r_avst.dataset_builder.grounding.pretrained import PRECISIONS
from r_avst.dataset_builder.grounding.pretrained import device_of
from r_avst.dataset_builder.grounding.sam_memory import boxes_of
from r_avst.dataset_builder.grounding.transformers_backend import StreamedSession
from r_avst.dataset_builder.grounding.transformers_backend import TransformersBackend
from r_avst.dataset_builder.grounding.transformers_backend import load_transformers
from r_avst.dataset_builder.stages.boxes import DTYPES
from r_avst.dataset_builder.stages.stage import StageError
from r_avst.metrics.avst_metrics.overlap import Box

WIDTH, HEIGHT = 160, 90
SQUARE, OTHER = (10.0, 20.0, 40.0, 50.0), (60.0, 0.0, 150.0, 80.0)


@pytest.fixture(scope="module")
def detector_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_detector(tmp_path_factory.mktemp("detector"))


@pytest.fixture(scope="module")
def tracker_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_tracker(tmp_path_factory.mktemp("tracker"))


@pytest.fixture(scope="module")
def detector(detector_folder: Path) -> GroundingDino:
    return load_grounding_dino(str(detector_folder), 0.0, 0.0, "cpu", "float32")


@pytest.fixture(scope="module")
def backend(detector: GroundingDino, tracker_folder: Path) -> TransformersBackend:
    return load_transformers(detector, str(tracker_folder), "cpu", "float32")


@pytest.fixture
def masks(backend: TransformersBackend) -> Iterator[list[dict[int, torch.Tensor]]]:
    """What the tracker makes of each frame: its mask logits by object, the last run of a frame last."""
    made: list[dict[int, torch.Tensor]] = []
    hook = backend.model.register_forward_hook(
        lambda _, __, output: made.append(dict(zip(output.object_ids, output.pred_masks.clone(), strict=True)))
    )
    yield made
    hook.remove()


# --- detector ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("Dog", "dog."),
        ("  A red  CAR. ", "a red car."),
        ("St. Bernard", "st bernard."),
        ("who? me", "who me."),
        ("French horn\n", "french horn."),
        ("dog.cat", "dog cat."),
    ],
)
def test_a_prompt_is_lower_case_with_one_dot_at_its_end(phrase: str, text: str) -> None:
    assert prompt(phrase) == text


@pytest.mark.parametrize("phrase", ["", " ", "...", "? ."])
def test_a_phrase_without_a_word_is_refused(phrase: str, detector: GroundingDino) -> None:
    with pytest.raises(ValueError, match="names nothing that could be looked for"):
        detector.detect(next(frames(1, WIDTH, HEIGHT)), [phrase])


def test_a_phrase_that_is_too_long_is_named(detector: GroundingDino) -> None:
    with pytest.raises(ValueError, match=r"^'dog dog .* has 303 tokens; Grounding DINO reads 256$"):
        detector.detect(next(frames(1, WIDTH, HEIGHT)), ["cat", "dog " * 300])


def test_a_phrase_finds_the_same_alone_and_among_longer_ones(detector: GroundingDino) -> None:
    image = next(frames(1, WIDTH, HEIGHT))
    phrases = ["dog", "a white rabbit-man, a red car", "woman's guitar"]
    together = detector.detect(image, phrases)
    for phrase, own in zip(phrases, together, strict=True):
        (alone,) = detector.detect(image, [phrase])
        assert len(alone) == len(own) > 0
        for one, other in zip(alone, own, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-4)
    assert together[0] != together[1]


def test_more_phrases_than_fit_a_batch_all_get_their_answer(detector: GroundingDino) -> None:
    image = next(frames(1, WIDTH, HEIGHT))
    phrases = ["dog", "car", "man"] * 4
    found = detector.detect(image, phrases)
    assert len(found) == 12
    assert [len(own) for own in found] == [len(own) for own in found[:3]] * 4
    assert detector.detect(image, []) == []


def test_detections_lie_in_the_frame_the_best_first(detector: GroundingDino) -> None:
    for own in detector.detect(next(frames(1, WIDTH, HEIGHT)), ["dog", "red car"]):
        assert own
        assert [one.score for one in own] == sorted((one.score for one in own), reverse=True)
        for x1, y1, x2, y2 in (one.box for one in own):
            assert 0 <= x1 < x2 <= WIDTH
            assert 0 <= y1 < y2 <= HEIGHT


def test_boxes_are_clamped_and_those_outside_left_out() -> None:
    boxes = torch.tensor([[-5.0, 10.0, 20.0, 95.0], [165.0, 0.0, 170.0, 10.0], [0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 5.0, 9.0]])
    found = detections(boxes, torch.tensor([0.5, 0.9, 0.75, 0.8]), WIDTH, HEIGHT)
    assert [(one.box, one.score) for one in found] == [((0, 0, 10, 10), 0.75), ((0, 10, 20, 90), 0.5)]


@pytest.mark.parametrize(("box_threshold", "text_threshold"), [(0.4, 0.3), (0.0, 0.9), (0.9, 0.0), (0.0, 1.0)])
def test_a_box_needs_a_token_above_one_threshold_and_a_word_of_the_phrase_above_the_other(
    detector_folder: Path, box_threshold: float, text_threshold: float
) -> None:
    detector = load_grounding_dino(str(detector_folder), box_threshold, text_threshold, "cpu", "float32")
    image = next(frames(1, WIDTH, HEIGHT))
    encoded = detector._processor(images=image, text="red car.", return_tensors="pt")
    with torch.inference_mode():
        scores = detector._model(**encoded).logits.sigmoid()[0]
    tokens = detector._processor.tokenizer.convert_ids_to_tokens(encoded["input_ids"][0].tolist())
    assert tokens == ["[CLS]", "red", "car", ".", "[SEP]"]
    expected = sorted(
        row[:5].max().item() for row in scores if row[:5].max() > box_threshold and row[1:3].max() > text_threshold
    )
    found = sorted(one.score for one in detector.detect(image, ["Red car"])[0])
    assert found == pytest.approx(expected, abs=1e-4)


# --- tracker ----------------------------------------------------------------------------------------------------------


def whole_clip(backend: TransformersBackend, images: list[Image]) -> Any:
    """transformers' own session of a clip that it holds in full; nothing is pruned."""
    return backend.processor.init_video_session(video=images, inference_device="cpu")


def give(backend: TransformersBackend, session: Any, frame: int, boxes: dict[int, Box]) -> None:
    backend.processor.add_inputs_to_inference_session(
        session, frame_idx=frame, obj_ids=list(boxes), input_boxes=[[list(box) for box in boxes.values()]]
    )


def test_streamed_masks_are_those_of_the_whole_clip(
    backend: TransformersBackend, masks: list[dict[int, torch.Tensor]]
) -> None:
    images = list(frames(40, WIDTH, HEIGHT))
    whole = whole_clip(backend, images)
    give(backend, whole, 0, {1: SQUARE, 2: OTHER})
    expected = [output.pred_masks for output in backend.model.propagate_in_video_iterator(whole, start_frame_idx=0)]
    masks.clear()
    session = backend.start(WIDTH, HEIGHT)
    for frame, image in enumerate(images):
        session.step(image)
        if not frame:
            session.add({1: SQUARE, 2: OTHER})
    assert len(masks) == len(expected) == 40
    assert all(torch.equal(torch.stack(list(own.values())), other) for own, other in zip(masks, expected, strict=True))
    assert not torch.equal(expected[-1], expected[-2])


def test_an_object_added_later_disturbs_no_other_and_has_the_masks_of_a_clip_of_its_own(
    backend: TransformersBackend, masks: list[dict[int, torch.Tensor]]
) -> None:
    def run(added: dict[int, dict[int, Box]]) -> list[dict[int, torch.Tensor]]:
        session, made = backend.start(WIDTH, HEIGHT), []
        for frame, image in enumerate(frames(30, WIDTH, HEIGHT)):
            session.step(image)
            if frame in added:
                assert list(session.add(added[frame])) == list(added[frame])
            made.append(masks[-1] if masks else {})
        masks.clear()
        return made

    together = run({0: {4: SQUARE}, 5: {0: OTHER, 7: SQUARE}})
    for number, alone in ((4, run({0: {4: SQUARE}})), (0, run({5: {0: OTHER}})), (7, run({5: {7: SQUARE}}))):
        start = 0 if number == 4 else 5
        for frame in range(start, 30):
            assert torch.allclose(together[frame][number], alone[frame][number], atol=1e-4), (number, frame)
    assert [sorted(own) for own in together] == [[4]] * 5 + [[0, 4, 7]] * 25


def test_an_object_that_is_found_again_starts_from_its_new_box(
    backend: TransformersBackend, masks: list[dict[int, torch.Tensor]]
) -> None:
    images = list(frames(12, WIDTH, HEIGHT))
    session = backend.start(WIDTH, HEIGHT)
    for frame, image in enumerate(images):
        session.step(image)
        if not frame:
            session.add({3: SQUARE, 5: SQUARE})
        if frame == 8:
            before = masks[-1]
            assert list(session.add({3: OTHER})) == [3]
            again = masks[-1]
    assert torch.equal(again[5], before[5])
    fresh = backend.start(WIDTH, HEIGHT)
    fresh.step(images[8])
    fresh.add({3: OTHER})
    assert torch.allclose(again[3], masks[-1][3], atol=1e-5)


def test_without_objects_a_step_finds_nothing(backend: TransformersBackend) -> None:
    session = backend.start(WIDTH, HEIGHT)
    assert [session.step(image) for image in frames(3, WIDTH, HEIGHT)] == [{}] * 3


def test_the_caller_s_boxes_are_left_as_they_are(backend: TransformersBackend) -> None:
    session = backend.start(WIDTH, HEIGHT)
    session.step(next(frames(1, WIDTH, HEIGHT)))
    boxes = {1: SQUARE, 2: OTHER}
    session.add(boxes)
    assert boxes == {1: SQUARE, 2: OTHER}


def test_a_session_comes_to_hold_no_more(backend: TransformersBackend) -> None:
    session, sizes = backend.start(WIDTH, HEIGHT), []
    for frame, image in enumerate(frames(140, WIDTH, HEIGHT)):
        session.step(image)
        if frame % 5 == 0:
            session.add({1 + frame % 2: SQUARE})
        sizes.append(held(session._session))
    assert max(sizes[100:140]) == max(sizes[60:100]) > 100_000


def test_bfloat16_tracks_and_detects_nearly_the_same(detector_folder: Path, tracker_folder: Path) -> None:
    made = []
    for precision in PRECISIONS:
        detector = load_grounding_dino(str(detector_folder), 0.0, 0.0, "cpu", precision)
        session = load_transformers(detector, str(tracker_folder), "cpu", precision).start(WIDTH, HEIGHT)
        images = list(frames(3, WIDTH, HEIGHT))
        session.step(images[0])
        session.add({1: SQUARE})
        made.append(([session.step(image)[1] for image in images[1:]], detector.detect(images[0], ["dog"])))
    (boxes, found), (low_boxes, low_found) = made
    assert None not in boxes
    assert len(found) == len(low_found)
    assert np.allclose(np.array(boxes), np.array(low_boxes), atol=16)


def test_the_precisions_are_those_that_the_stage_offers() -> None:
    assert tuple(PRECISIONS) == DTYPES


@pytest.mark.parametrize(
    ("rows", "columns", "box"),
    [
        (slice(2, 5), slice(1, 8), (1, 2, 8, 5)),
        (slice(3, 4), slice(6, 7), (6, 3, 7, 4)),
        (slice(None), slice(None), (0, 0, 12, 9)),
        (slice(0, 0), slice(0, 0), None),
    ],
)
def test_the_box_of_a_mask_holds_its_last_pixels(rows: slice, columns: slice, box: Box | None) -> None:
    mask = torch.zeros(1, 9, 12, dtype=torch.bool)
    mask[0, rows, columns] = True
    assert boxes_of(mask) == [box]


# --- memory -----------------------------------------------------------------------------------------------------------

MEASURE = """
import sys
from moving_square import frames
from peak_memory import peak_memory
from r_avst.dataset_builder.grounding.grounding_dino import load_grounding_dino
from r_avst.dataset_builder.grounding.tracking import TrackRules, follow
from r_avst.dataset_builder.grounding.transformers_backend import load_transformers
detector, tracker, number = sys.argv[1:]
backend = load_transformers(load_grounding_dino(detector, 0.0, 0.0, "cpu", "float32"), tracker, "cpu", "float32")
for places in follow(backend, frames(int(number), 160, 90), ["dog"], TrackRules(0.5, 2, 10)):
    pass
print(peak_memory())
"""


def peak(detector: Path, tracker: Path, number: int) -> float:
    """Peak resident memory, in MB, of a process that follows two things through so many frames."""
    command = [sys.executable, "-c", MEASURE, str(detector), str(tracker), str(number)]
    path = {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=path, capture_output=True, text=True, check=True)
    return float(done.stdout)


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_the_number_of_frames(detector_folder: Path, tracker_folder: Path) -> None:
    short, long = (peak(detector_folder, tracker_folder, number) for number in (20, 200))
    assert long < 1.05 * short  # 1.08 when nothing is forgotten


# --- loading ----------------------------------------------------------------------------------------------------------


def copy_without(folder: Path, target: Path, left_out: list[str]) -> Path:
    """A copy of a model's folder that lacks some of its weights."""
    shutil.copytree(folder, target)
    weights = load_file(target / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if name not in left_out}
    save_file(kept, target / "model.safetensors", metadata={"format": "pt"})
    return target


def test_a_model_that_is_not_there_is_named_with_what_to_do(detector: GroundingDino, tmp_path: Path) -> None:
    for name in ("nobody/no-such-model", str(tmp_path / "absent")):
        with pytest.raises(StageError, match=rf"^{name}: cannot be loaded .*the name of a model on the Hub or a folder"):
            load_grounding_dino(name, 0.4, 0.3, "cpu", "float32")
        with pytest.raises(StageError, match=rf"^{name}: cannot be loaded .*the name of a model on the Hub or a folder"):
            load_transformers(detector, name, "cpu", "float32")


def test_a_model_of_another_kind_is_refused(detector: GroundingDino, detector_folder: Path, tracker_folder: Path) -> None:
    with pytest.raises(StageError, match=r"it is a sam2_video model, wanted is grounding-dino or mm-grounding-dino"):
        load_grounding_dino(str(tracker_folder), 0.4, 0.3, "cpu", "float32")
    with pytest.raises(StageError, match=r"it is a grounding-dino model, wanted is sam2_video"):
        load_transformers(detector, str(detector_folder), "cpu", "float32")


def test_a_checkpoint_that_lacks_weights_is_refused(detector: GroundingDino, tracker_folder: Path, tmp_path: Path) -> None:
    short = copy_without(tracker_folder, tmp_path / "short", ["no_object_pointer"])
    with pytest.raises(StageError, match="its checkpoint lacks 1 weights, the first is no_object_pointer"):
        load_transformers(detector, str(short), "cpu", "float32")


def test_a_truncated_checkpoint_is_refused(detector: GroundingDino, tracker_folder: Path, tmp_path: Path) -> None:
    cut = copy_without(tracker_folder, tmp_path / "cut", [])
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(StageError, match=f"^{cut}: cannot be loaded"):
        load_transformers(detector, str(cut), "cpu", "float32")


def test_a_folder_with_a_broken_config_is_refused(detector: GroundingDino, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nonsense"}))
    with pytest.raises(StageError, match=f"^{tmp_path}: cannot be loaded"):
        load_transformers(detector, str(tmp_path), "cpu", "float32")


def test_a_device_that_is_not_here_is_named() -> None:
    assert device_of("cpu") == torch.device("cpu")
    assert device_of("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(StageError, match=r"^device nonsense: cannot be used"):
        device_of("nonsense")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_here_is_named() -> None:
    with pytest.raises(StageError, match=r"^device cuda: cannot be used"):
        device_of("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_tracks_as_the_cpu_does(detector: GroundingDino, backend: TransformersBackend, tracker_folder: Path) -> None:
    there = load_transformers(detector, str(tracker_folder), "cuda", "float32")
    sessions: list[StreamedSession] = [backend.start(WIDTH, HEIGHT), there.start(WIDTH, HEIGHT)]
    for frame, image in enumerate(frames(8, WIDTH, HEIGHT)):
        places = [session.step(image) if frame else session.step(image) or session.add({1: SQUARE}) for session in sessions]
        assert np.allclose(np.array(places[0][1]), np.array(places[1][1]), atol=2)
