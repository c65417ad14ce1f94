"""Grounding DINO and SAM 2 from transformers: the default backend."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import Sam2VideoModel
from transformers import Sam2VideoProcessor

from r_avst.metrics.avst_metrics.overlap import Box

from .backend import Detection
from .backend import Image
from .grounding_dino import GroundingDino
from .pretrained import device_of
from .pretrained import explained
from .pretrained import inference
from .pretrained import pretrained
from .sam_memory import GIVEN
from .sam_memory import TRACKED
from .sam_memory import boxes_of
from .sam_memory import forget


@dataclass(frozen=True, slots=True)
class TransformersBackend:
    """A detector, a `Sam2VideoModel` and its processor; safe for threads."""

    detector: GroundingDino
    model: Any
    processor: Any
    precision: str

    def detect(self, image: Image, phrases: Sequence[str]) -> list[list[Detection]]:
        """The things that fit each phrase, best first."""
        return self.detector.detect(image, phrases)

    def start(self, width: int, height: int) -> "StreamedSession":
        """A session for a clip with frames of this size."""
        return StreamedSession(self.model, self.processor, self.precision, width, height)


def load_transformers(detector: GroundingDino, tracker: str, device: str, precision: str) -> TransformersBackend:
    """The backend with the SAM 2 of that name on the Hub, or in a folder.

    Raises:
        StageError: it cannot be loaded, or the device cannot be used.
    """
    model = pretrained(Sam2VideoModel, tracker, ("sam2_video",), device_of(device))
    with explained(tracker):
        processor = Sam2VideoProcessor.from_pretrained(tracker)
    return TransformersBackend(detector, model, processor, precision)


class StreamedSession:
    """SAM 2 fed frame by frame. It keeps the current frame and what the memory attention looks back at, and no more."""

    def __init__(self, model: Any, processor: Any, precision: str, width: int, height: int) -> None:
        self._model = model
        self._processor = processor
        self._precision = precision
        self._size = (height, width)
        self._session = processor.init_video_session(inference_device=model.device)
        self._reach = max(model.config.num_maskmem, model.config.max_object_pointers_in_encoder)
        self._frame = -1
        self._pixels: Tensor | None = None

    def step(self, image: Image) -> dict[int, Box | None]:
        """Moves on to the next frame: where each object is now, None where it is out of sight."""
        self._frame += 1
        encoded = self._processor(images=image, input_data_format="channels_last", return_tensors="pt")
        self._pixels = encoded["pixel_values"][0].to(self._model.device)
        places = self._track() if self._session.get_obj_num() else {}
        self._forget()
        return places

    def add(self, boxes: Mapping[int, Box]) -> dict[int, Box | None]:
        """Adds objects by their boxes on the current frame, all at once; those of a known number are found again there."""
        outputs = self._session.output_dict_per_obj
        known = {number: self._session.obj_id_to_idx(number) for number in self._session.obj_ids}
        tracked = {index: outputs[index][TRACKED].pop(self._frame, None) for index in known.values()}
        for number in boxes.keys() & known.keys():  # tracked to this frame, a box would count as the correction of a mask
            self._session.frames_tracked_per_obj[known[number]].pop(self._frame, None)
        held = {index: own for number, index in known.items() if number not in boxes and (own := tracked[index])}
        for index, own in held.items():  # the model passes over objects that were given on this frame
            outputs[index][GIVEN][self._frame] = own
        self._processor.add_inputs_to_inference_session(
            self._session,
            frame_idx=self._frame,
            obj_ids=list(boxes),
            input_boxes=[[list(box) for box in boxes.values()]],
            original_size=self._size,
        )
        places = self._track()
        for index in held:
            outputs[index][TRACKED][self._frame] = outputs[index][GIVEN].pop(self._frame)
        self._forget()
        return {number: places[number] for number in boxes}

    def _track(self) -> dict[int, Box | None]:
        with inference(self._model.device, self._precision):
            # Without the frame itself, the session would take the frames that it still holds for the whole clip.
            output = self._model(self._session, frame=self._pixels, frame_idx=self._frame)
        (masks,) = self._processor.post_process_masks([output.pred_masks.float()], original_sizes=[self._size])
        return dict(zip(output.object_ids, boxes_of(masks[:, 0]), strict=True))

    def _forget(self) -> None:
        session = self._session
        session.processed_frames = None
        for index, outputs in session.output_dict_per_obj.items():
            notes = session.point_inputs_per_obj[index], session.frames_tracked_per_obj[index]
            forget(outputs, notes, self._frame, self._reach)
            for output in (own for kind in outputs.values() for own in kind.values()):
                output.pop("high_res_masks", None)
