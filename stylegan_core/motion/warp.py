"""Sampling positions of known motion, which of them lie in a picture, and pictures sampled there below the pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stylegan_core.motion.camera import Matrix

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Points = NDArray[np.float64]
"""(2, H, W): x and y of each pixel of a frame in another picture, px."""


def sampling_grid(matrix: Matrix, height_px: int, width_px: int) -> Points:
    """The position of each pixel of a target frame in the source picture.

    Args:
        matrix: target's pixels to the source's.
        height_px: of the target.
        width_px: of the target.
    Returns:
        (2, H, W): x and y in the source, px.
    """
    y, x = np.mgrid[:height_px, :width_px].astype(np.float64)
    points: Points = np.tensordot(matrix[:, :2], np.stack([x, y]), axes=1) + matrix[:, 2, None, None]
    return points


def inside(points: Points, size: tuple[int, int], margin_px: float = 0.0) -> Mask:
    """Which points lie in a picture.

    Args:
        points: (2, H, W) x and y, px.
        size: height and width of the picture, px.
        margin_px: border of the picture that counts as outside.
    Returns:
        (H, W).
    """
    x, y = points
    # A frame warped onto itself is fully visible: the rounding of an inverse must not lose its border.
    slack = margin_px - 1e-6
    mask: Mask = (x >= slack) & (y >= slack) & (x <= size[1] - 1 - slack) & (y <= size[0] - 1 - slack)
    return mask


def sample(picture: Floats, points: Points) -> Floats:
    """The cubic spline through the pixels of a picture, evaluated at points.

    OpenCV's warps round coordinates to 1/32 px, which is more than the flicker of a slow pan; this does not round.

    Args:
        picture: (H, W, C).
        points: (2, H', W') x and y, px, such as a ``sampling_grid``.
    Returns:
        (H', W', C); outside of the picture it is mirrored.
    """
    from scipy.ndimage import map_coordinates

    x, y = points
    channels = [map_coordinates(picture[..., i], [y, x], order=3, mode="mirror") for i in range(picture.shape[2])]
    return np.stack(channels, axis=-1).astype(np.float32)
