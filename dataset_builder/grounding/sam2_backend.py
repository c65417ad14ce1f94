"""SAM 2 from the package `sam2` (PyPI), with the same Grounding DINO; for comparison with the default backend.

Its predictor loads a whole clip before it tracks. Here it is given one frame at a time, and forgets as the default does.
"""

import functools
import sys
import tempfile
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image as Pictures
from sam2 import sam2_video_predictor
from sam2.build_sam import HF_MODEL_ID_TO_FILENAMES
from sam2.utils import misc
from torch import Tensor
from torchvision.transforms import functional
from tqdm import tqdm

from r_avst.metrics.avst_metrics.overlap import Box

from ..stages.stage import StageError
from .backend import Detection
from .backend import Image
from .grounding_dino import GroundingDino
from .pretrained import device_of
from .pretrained import explained
from .pretrained import inference
from .sam_memory import TRACKED
from .sam_memory import boxes_of
from .sam_memory import forget

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as SAM 2 was trained

for module in (misc, sam2_video_predictor):
    module.tqdm = functools.partial(tqdm, disable=True)  # it draws a progress bar for every frame


@dataclass(frozen=True, slots=True)
class Sam2Backend:
    """A detector and a `SAM2VideoPredictor`; safe for threads."""

    detector: GroundingDino
    predictor: Any
    precision: str

    def detect(self, image: Image, phrases: Sequence[str]) -> list[list[Detection]]:
        """The things that fit each phrase, best first."""
        return self.detector.detect(image, phrases)

    def start(self, width: int, height: int) -> "Sam2Session":
        """A session for a clip with frames of this size."""
        return Sam2Session(self.predictor, self.precision, width, height)


def load_sam2(detector: GroundingDino, tracker: str, device: str, precision: str) -> Sam2Backend:
    """The backend with the SAM 2 of that name: one of the eight that Meta has on the Hub, as `facebook/sam2.1-hiera-large`.

    Raises:
        StageError: it cannot be loaded, or the device cannot be used.
    """
    if tracker not in HF_MODEL_ID_TO_FILENAMES:
        raise StageError(f"{tracker}: the package sam2 does not know it; it knows {', '.join(HF_MODEL_ID_TO_FILENAMES)}")
    place = device_of(device)
    with explained(tracker):
        predictor = sam2_video_predictor.SAM2VideoPredictor.from_pretrained(tracker, device=str(place))
    predictor.fill_hole_area = 0  # holes change no box, and filling them needs a compiled extension
    return Sam2Backend(detector, predictor, precision)


class Sam2Session:
    """The predictor's state, fed frame by frame: it holds the current frame and what the memory looks back at."""

    def __init__(self, predictor: Any, precision: str, width: int, height: int) -> None:
        self._predictor = predictor
        self._precision = precision
        self._reach = max(predictor.num_maskmem, predictor.max_obj_ptrs_in_encoder)
        self._frame = -1
        with inference(predictor.device, precision):
            self._state = _empty_state(predictor, width, height)

    def step(self, image: Image) -> dict[int, Box | None]:
        """Moves on to the next frame: where each object is now, None where it is out of sight."""
        self._frame += 1
        self._state["images"] = {self._frame: _pixels(image, self._predictor.image_size)}
        if not self._state["obj_ids"]:
            return {}
        with inference(self._predictor.device, self._precision):
            frames = self._predictor.propagate_in_video(self._state, self._frame, max_frame_num_to_track=0)
            ((_, numbers, masks),) = frames
        self._forget()
        return dict(zip(numbers, boxes_of(masks[:, 0] > 0), strict=True))

    def add(self, boxes: Mapping[int, Box]) -> dict[int, Box | None]:
        """Adds objects by their boxes on the current frame, all at once; those of a known number are found again there."""
        with inference(self._predictor.device, self._precision):
            for number, box in boxes.items():
                self._untrack(number)
                _, numbers, masks = self._predictor.add_new_points_or_box(self._state, self._frame, number, box=box)
            self._predictor.propagate_in_video_preflight(self._state)
        places = dict(zip(numbers, boxes_of(masks[:, 0] > 0), strict=True))
        return {number: places[number] for number in boxes}

    def _untrack(self, number: int) -> None:
        """Lets a known object start again here; tracked to this frame, a box would count as the correction of a mask."""
        if number in self._state["obj_ids"]:
            index = self._state["obj_id_to_idx"][number]
            self._state["frames_tracked_per_obj"][index].pop(self._frame, None)
            self._state["output_dict_per_obj"][index][TRACKED].pop(self._frame, None)

    def _forget(self) -> None:
        for index, outputs in self._state["output_dict_per_obj"].items():
            notes = self._state["point_inputs_per_obj"][index], self._state["frames_tracked_per_obj"][index]
            forget(outputs, notes, self._frame, self._reach)


def _pixels(image: Image, size: int) -> Tensor:
    pixels: Tensor = functional.resize(functional.to_tensor(image), [size, size])
    return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]


def _empty_state(predictor: Any, width: int, height: int) -> dict[str, Any]:
    """The state of a clip without an end, of which no frame is known yet."""
    with tempfile.TemporaryDirectory() as folder:  # the predictor makes states of files only
        Pictures.new("RGB", (width, height)).save(Path(folder) / "0.jpg")
        state: dict[str, Any] = predictor.init_state(folder)
    state |= {"images": {}, "num_frames": sys.maxsize, "cached_features": {}}
    return state
