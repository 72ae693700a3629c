"""Affine warps by known motion with sub-pixel accuracy, and the mask of pixels that the source shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stylegan_core.motion.camera import Matrix

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


def sampling_grid(matrix: Matrix, height_px: int, width_px: int) -> NDArray[np.float64]:
    """The position of each pixel of a target frame in the source picture.

    Args:
        matrix: target's pixels to the source's.
        height_px: of the target.
        width_px: of the target.
    Returns:
        (2, H, W): x and y in the source, px.
    """
    y, x = np.mgrid[:height_px, :width_px].astype(np.float64)
    points: NDArray[np.float64] = np.tensordot(matrix[:, :2], np.stack([x, y]), axes=1) + matrix[:, 2, None, None]
    return points


def visible(matrix: Matrix, source_size: tuple[int, int], target_size: tuple[int, int], margin_px: float = 0.0) -> Mask:
    """Which pixels of a target frame the source picture shows.

    Args:
        matrix: target's pixels to the source's.
        source_size: height and width, px.
        target_size: height and width, px.
        margin_px: border of the source that counts as not shown.
    Returns:
        (H, W) of the target.
    """
    x, y = sampling_grid(matrix, *target_size)
    # A frame warped onto itself is fully visible: the rounding of an inverse must not lose its border.
    slack = margin_px - 1e-6
    inside: Mask = (x >= slack) & (y >= slack) & (x <= source_size[1] - 1 - slack) & (y <= source_size[0] - 1 - slack)
    return inside


def warp(picture: Floats, matrix: Matrix, target_size: tuple[int, int] | None = None) -> Floats:
    """Warps ``picture`` into a target frame: the cubic spline through its pixels, evaluated at the sampling grid.

    OpenCV's warps round coordinates to 1/32 px, which is more than the flicker of a slow pan; this does not round.

    Args:
        picture: (H, W, C).
        matrix: target's pixels to the picture's.
        target_size: height and width of the target, px; default: the picture's.
    Returns:
        (height, width, C); outside of ``visible`` the picture is mirrored.
    """
    from scipy.ndimage import map_coordinates

    height, width = target_size or picture.shape[:2]
    x, y = sampling_grid(matrix, height, width)
    channels = [map_coordinates(picture[..., i], [y, x], order=3, mode="mirror") for i in range(picture.shape[2])]
    return np.stack(channels, axis=-1).astype(np.float32)
