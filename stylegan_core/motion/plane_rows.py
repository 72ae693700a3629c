"""Rows of a plane or a flow at the size of a larger frame."""

from __future__ import annotations

import cv2
import numpy as np

from stylegan_core.motion.warp import Floats


def plane_rows(plane: Floats, size: tuple[int, int], first: int, last: int) -> Floats:
    """Rows of a plane at a larger size, linear between its pixels.

    Args:
        plane: (h, w) or (h, w, C).
        size: height and width of the frame, px.
        first: row of the frame.
        last: one after the last row.
    Returns:
        (last - first, W) or (last - first, W, C).
    """
    height, width = plane.shape[:2]
    if (height, width) == size:
        return plane[first:last].copy()
    x = ((np.arange(size[1], dtype=np.float32) + 0.5) * np.float32(width / size[1]) - 0.5)[None, :]
    y = ((np.arange(first, last, dtype=np.float32) + 0.5) * np.float32(height / size[0]) - 0.5)[:, None]
    shape = (last - first, size[1])
    x, y = (np.ascontiguousarray(np.broadcast_to(axis, shape)) for axis in (x, y))
    enlarged = cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(enlarged, np.float32)


def offset_rows(offset_px: Floats, size: tuple[int, int], first: int, last: int) -> Floats:
    """Rows of a flow in the pixels of a larger frame.

    Args:
        offset_px: (h, w, 2) x and y, in pixels of its own size.
        size: height and width of the frame, px.
        first: row of the frame.
        last: one after the last row.
    Returns:
        (last - first, W, 2), from each of these rows' pixels.
    """
    scale = np.array([size[1] / offset_px.shape[1], size[0] / offset_px.shape[0]], np.float32)
    return plane_rows(offset_px, size, first, last) * scale
