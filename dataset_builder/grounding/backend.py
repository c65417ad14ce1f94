"""What finds things and what follows them: the protocol that each backend keeps."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from r_avst.metrics.avst_metrics.overlap import Box

Image = NDArray[np.uint8]  # (height, width, 3), RGB


@dataclass(frozen=True, slots=True)
class Detection:
    """A box in source pixels, inside the frame, and how sure the detector is (0..1)."""

    box: Box
    score: float


class TrackSession(Protocol):
    """Follows objects through the frames of one clip. Memory must not grow with the number of frames."""

    def step(self, image: Image) -> dict[int, Box | None]:
        """Moves on to the next frame: where each object is now, None where it is out of sight."""

    def add(self, boxes: Mapping[int, Box]) -> dict[int, Box | None]:
        """Adds objects by their boxes on the current frame, all at once; those of a known number are found again there.

        Returns:
            Where each of the added objects is on the current frame.
        """


class Backend(Protocol):
    """A detector of named things and a tracker of boxes."""

    def detect(self, image: Image, phrases: Sequence[str]) -> list[list[Detection]]:
        """The things that fit each phrase, best first."""

    def start(self, width: int, height: int) -> TrackSession:
        """A session for a clip with frames of this size."""
