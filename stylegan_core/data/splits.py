"""Splits by content, and areas of style frames that are held out for validation."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from stylegan_core.data.manifest import Box


def split_by_hash(sha256: str, validation_fraction: float, test_fraction: float) -> str:
    """The split of a picture: a function of its content alone, so that added files change no other split.

    Args:
        sha256: hexadecimal digest of the picture's content.
        validation_fraction: expected share of "validation", [0, 1).
        test_fraction: expected share of "test", [0, 1).
    Returns:
        "train", "validation" or "test".
    """
    digest = hashlib.sha256(f"split:{sha256}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2.0**64
    if position < test_fraction:
        return "test"
    return "validation" if position < test_fraction + validation_fraction else "train"


def held_out_box(corner: int, width: int, height: int, fraction: float, area: Box | None = None) -> Box | None:
    """A box in a corner of a picture, held out for validation.

    Args:
        corner: 0 top left, 1 top right, 2 bottom left, 3 bottom right.
        width: of the picture, pixels.
        height: of the picture, pixels.
        fraction: of the area that is held out, about; 0 holds nothing out.
        area: the painted part of the picture; the corner is one of its corners. None is the whole picture.
    Returns:
        A box with the proportions of the area; None if the fraction is 0 or the area is under 4 pixels wide or high.
    """
    frame = area or Box(0, 0, width, height)
    if fraction <= 0 or min(frame.width, frame.height) < 4:
        return None
    side = math.sqrt(fraction)
    box_width = min(frame.width - 1, max(1, round(frame.width * side)))
    box_height = min(frame.height - 1, max(1, round(frame.height * side)))
    x = frame.x + (frame.width - box_width if corner % 2 else 0)
    y = frame.y + (frame.height - box_height if corner // 2 else 0)
    return Box(x, y, box_width, box_height)


def typical_corner(samples: npt.NDArray[Any]) -> int:
    """The corner whose detail (mean absolute difference of neighbours) is nearest to the whole picture's.

    A corner of plain sky would rate any network well, and a corner with all of the detail would be missing in training.

    Args:
        samples: (H, W, C), any type.
    Returns:
        0 top left, 1 top right, 2 bottom left, 3 bottom right; a third of each side counts as the corner.
    """
    grey = samples.mean(axis=-1, dtype=np.float32)
    if min(grey.shape) < 6:
        return 0
    detail = np.abs(np.diff(grey, axis=0))[:, 1:] + np.abs(np.diff(grey, axis=1))[1:]
    height, width = (side // 3 for side in detail.shape)
    corners = [detail[rows, columns].mean() for rows in (slice(height), slice(-height, None))
               for columns in (slice(width), slice(-width, None))]  # fmt: skip
    return int(np.argmin(np.abs(np.array(corners) - detail.mean())))
