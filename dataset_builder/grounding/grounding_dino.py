"""Grounding DINO from transformers: finds what a phrase names in a picture. Both SAM 2 backends start from its boxes."""

import re
from collections.abc import Sequence
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForZeroShotObjectDetection
from transformers import GroundingDinoProcessor

from .backend import Detection
from .backend import Image
from .pretrained import device_of
from .pretrained import explained
from .pretrained import inference
from .pretrained import pretrained

KINDS = ("grounding-dino", "mm-grounding-dino")
PHRASES_AT_ONCE = 8  # bounds the memory that a caption with many subjects takes
STOPS = re.compile(r"[.?\s]+")  # dots and question marks end a phrase: within one they would make two of it


class GroundingDino:
    """A detector with the paper's two thresholds (data construction, step 3).

    A box counts if some token of the prompt scores more than ``box_threshold`` on it and some token of the phrase itself
    (not the dot, nor what the tokenizer puts around it) more than ``text_threshold``. The phrase is the prompt's only one,
    so there is no text to tell apart: the decoded labels, which are often parts of words, are not used.
    """

    def __init__(self, model: Any, processor: Any, box_threshold: float, text_threshold: float, precision: str) -> None:
        self._model = model
        self._processor = processor
        self._thresholds = (box_threshold, text_threshold)
        self._precision = precision
        self._lock = Lock()  # a tokenizer that pads is not safe for threads
        self._around = [*processor.tokenizer.all_special_ids, processor.tokenizer.convert_tokens_to_ids(".")]

    def detect(self, image: Image, phrases: Sequence[str]) -> list[list[Detection]]:
        """The things that fit each phrase, best first.

        Raises:
            ValueError: a phrase without a word, or too long a one.
        """
        prompts = [prompt(phrase) for phrase in phrases]
        batches = [prompts[start : start + PHRASES_AT_ONCE] for start in range(0, len(prompts), PHRASES_AT_ONCE)]
        return [detections for batch in batches for detections in self._detect(image, batch)]

    def _detect(self, image: Image, prompts: list[str]) -> list[list[Detection]]:
        encoded = self._encode(image, prompts)
        with inference(self._model.device, self._precision):
            outputs = self._model(**encoded)
        box_threshold, text_threshold = self._thresholds
        height, width = image.shape[:2]
        results = self._processor.post_process_grounded_object_detection(
            outputs, threshold=box_threshold, text_threshold=text_threshold, target_sizes=[(height, width)] * len(prompts)
        )
        scores = outputs.logits.sigmoid()
        kept = scores.amax(-1) > box_threshold
        named = self._phrase_scores(scores, encoded["input_ids"]) > text_threshold
        return [
            detections(result["boxes"][own[mask]], result["scores"][own[mask]], width, height)
            for result, own, mask in zip(results, named, kept, strict=True)
        ]

    def _encode(self, image: Image, prompts: list[str]) -> Any:
        """The model's inputs, the picture once a prompt.

        Raises:
            ValueError: a prompt is longer than what the model reads.
        """
        pictures = [image] * len(prompts)
        with self._lock:
            encoded = self._processor(
                images=pictures, text=prompts, padding=True, input_data_format="channels_last", return_tensors="pt"
            )
        lengths, limit = encoded["attention_mask"].sum(1), self._model.config.max_text_len
        if lengths.max() > limit:
            longest = int(lengths.argmax())
            raise ValueError(f"{prompts[longest]!r} has {lengths[longest]} tokens; Grounding DINO reads {limit}")
        return encoded.to(self._model.device)

    def _phrase_scores(self, scores: Tensor, input_ids: Tensor) -> Tensor:
        """The best score of the phrase's own tokens, shape (prompts, queries), of those of all tokens."""
        around = torch.isin(input_ids, torch.tensor(self._around, device=input_ids.device))
        return scores[..., : input_ids.shape[1]].masked_fill(around[:, None], 0).amax(-1)


def load_grounding_dino(
    name: str, box_threshold: float, text_threshold: float, device: str, precision: str
) -> GroundingDino:
    """The detector of that name on the Hub, or in a folder.

    Raises:
        StageError: it cannot be loaded, or the device cannot be used.
    """
    model = pretrained(AutoModelForZeroShotObjectDetection, name, KINDS, device_of(device))
    with explained(name):
        processor = GroundingDinoProcessor.from_pretrained(name)
    return GroundingDino(model, processor, box_threshold, text_threshold, precision)


def prompt(phrase: str) -> str:
    """A phrase as Grounding DINO reads it: lower-case, with one dot, at the end.

    Raises:
        ValueError: there is no word in it.

    >>> prompt("St. Bernard")
    'st bernard.'
    """
    words = STOPS.sub(" ", phrase.lower()).strip()
    if not words:
        raise ValueError(f"{phrase!r} names nothing that could be looked for")
    return f"{words}."


def detections(boxes: Tensor, scores: Tensor, width: int, height: int) -> list[Detection]:
    """Boxes, shape (n, 4), and their scores, shape (n,), best first, clamped to the frame; those outside it left out."""
    limits = torch.tensor([width, height, width, height], device=boxes.device)
    clamped = boxes.float().clamp(min=0).minimum(limits)
    order = scores.float().argsort(descending=True, stable=True)
    rows = zip(clamped[order].tolist(), scores[order].tolist(), strict=True)
    return [Detection((x1, y1, x2, y2), score) for (x1, y1, x2, y2), score in rows if x1 < x2 and y1 < y2]
