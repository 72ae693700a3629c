"""Shift error: how a translation changes when its input moves by a pixel (Zhang 2019, arXiv 1904.11486).

A translation that is not shift-equivariant flickers wherever the camera moves. Unlike a warp error it needs no motion
and does not reward blur.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from stylegan_core.metrics.pictures import Floats

BORDER_PX = 32
"""Ignored border, where the picture's edge has an effect; a quarter of the shorter side if that is less."""
MOST_PX = 512
"""Larger pictures are measured in a window of this size in their middle."""
LEAST_PX = 8
"""Smaller pictures have no interior."""
CODES = 255.0
"""Codes of the unit range."""


def shift_error(translate: Callable[[Floats], Floats], contents: Sequence[Floats]) -> float:
    """Root mean square difference between the result of a shifted input and the shifted result.

    Each picture is moved by one pixel to the right and by one down. The input and the moved input are two windows of
    one picture, so that no pixels are invented at the border.

    Args:
        translate: (H, W, 3) in the model's range to (H, W, 3) in unit range.
        contents: pictures in the model's range, each side at least ``LEAST_PX``.
    Returns:
        In 8-bit codes, over the interior of all pictures; 0 is shift-equivariant.
    Raises:
        ValueError: there are no pictures, or one is too small.
    """
    if not contents or any(min(content.shape[:2]) < LEAST_PX for content in contents):
        raise ValueError(f"expected pictures of {LEAST_PX} px or more a side, got {[c.shape[:2] for c in contents]}")
    squares = [square for content in contents for square in _squares(translate, _middle(content))]
    return CODES * math.sqrt(float(np.mean(squares)))


def _squares(translate: Callable[[Floats], Floats], content: Floats) -> list[float]:
    """Mean squared differences for a shift to the right and for one down."""
    height, width = content.shape[0] - 1, content.shape[1] - 1
    border_px = min(BORDER_PX, min(height, width) // 4)
    result = translate(np.ascontiguousarray(content[1:, 1:]))
    expected = result[border_px : height - border_px, border_px : width - border_px]
    found = []
    for down, right in ((0, 1), (1, 0)):
        # What lies at (y, x) in the first window lies at (y + down, x + right) in this one.
        top, left = 1 - down, 1 - right
        moved = translate(np.ascontiguousarray(content[top : top + height, left : left + width]))
        rows = slice(border_px + down, height - border_px + down)
        columns = slice(border_px + right, width - border_px + right)
        found.append(float(np.square(moved[rows, columns] - expected).mean(dtype=np.float64)))
    return found


def _middle(content: Floats) -> Floats:
    top, left = (max(0, side - MOST_PX) // 2 for side in content.shape[:2])
    return content[top : top + MOST_PX, left : left + MOST_PX]
