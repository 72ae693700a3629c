"""The sample's painter: OpenCV's oil painting (xphoto, after Holzmann's intensity-mode filter)."""

from __future__ import annotations

import numpy as np


def paint_in_oil(rgb: np.ndarray, stroke_px: int = 5) -> np.ndarray:
    """Paints a picture: each pixel takes the mean colour of the commonest brightness around it.

    Args:
        rgb: (H, W, 3) uint8, sRGB.
        stroke_px: radius of the neighbourhood, which sets the size of the strokes.
    Returns:
        (H, W, 3) uint8.
    Raises:
        RuntimeError: the installed OpenCV has no xphoto.
    """
    import cv2

    if not hasattr(cv2, "xphoto"):
        raise RuntimeError("this OpenCV has no xphoto: have opencv-contrib-python-headless alone (stylereel doctor)")
    painted: np.ndarray = cv2.xphoto.oilPainting(np.ascontiguousarray(rgb[..., ::-1]), stroke_px, 1)
    return np.ascontiguousarray(painted[..., ::-1])
