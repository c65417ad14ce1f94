"""What both SAM 2 sessions share: the boxes of masks, and forgetting what the memory attention no longer looks back at."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from r_avst.metrics.avst_metrics.overlap import Box

# Where a session keeps an object's outputs: of frames on which it was given by a box, and of those it was followed to.
GIVEN = "cond_frame_outputs"
TRACKED = "non_cond_frame_outputs"
GIVEN_KEPT = 4  # of the frames on which an object was given, the latest so many; the attention would read all there are


def boxes_of(masks: Tensor) -> list[Box | None]:
    """The boxes around boolean masks of shape (n, height, width); None for an empty one.

    A box ends where its last pixel does, so one pixel has the area 1 by the scores' (x2 - x1)(y2 - y1). torchvision's
    `masks_to_boxes` ends a pixel earlier and has zeros for an empty mask.
    """
    return [_box(rows, columns) for rows, columns in zip(masks.any(2).cpu(), masks.any(1).cpu(), strict=True)]


def _box(rows: Tensor, columns: Tensor) -> Box | None:
    if not rows.any():
        return None
    (top, bottom), (left, right) = (torch.nonzero(line).flatten()[[0, -1]].tolist() for line in (rows, columns))
    return float(left), float(top), float(right + 1), float(bottom + 1)


def forget(outputs: dict[str, dict[int, Any]], notes: Iterable[dict[int, Any]], frame: int, reach: int) -> None:
    """Drops, of one object, what is no longer needed after ``frame``.

    Args:
        outputs: of the model, by `GIVEN` and `TRACKED`, each by frames.
        notes: its inputs and the like by frames, of which only those of the current frame are read.
        frame: the current one.
        reach: how many frames the memory attention looks back.
    """
    _drop_before(outputs[TRACKED], frame - reach)
    for own in notes:
        _drop_before(own, frame)
    for old in sorted(outputs[GIVEN])[:-GIVEN_KEPT]:
        del outputs[GIVEN][old]


def _drop_before(frames: dict[int, Any], first_kept: int) -> None:
    for frame in [frame for frame in frames if frame < first_kept]:
        del frames[frame]
