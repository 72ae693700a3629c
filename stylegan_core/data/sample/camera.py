"""The camera of the sample: which part of a flat picture each frame shows, and that part, interpolated.

Pixel centres lie on whole numbers: the centre of the top left pixel is (0, 0).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""(2, 3): takes (x, y, 1) in a frame's pixels to (x, y) in those of a filmed picture."""

Coefficients = NDArray[np.float64]
"""(H, W, C): coefficients of the cubic spline through the pixels of a picture."""

_KEY_FRAMES_UNIT = (6 / 47, 41 / 47)
_ZOOM = 0.14
_PICTURE_OF_FRAME = 32 / 15
_ASPECT = 1.6


def filmed_width_px(width_px: int, height_px: int) -> int:
    """Width that the filmed photograph is enlarged to, so that a frame of this size shows about a fifth of it."""
    return round(_PICTURE_OF_FRAME * max(width_px, _ASPECT * height_px))


def camera_path(frames: int, frame_size: tuple[int, int], picture_size: tuple[int, int]) -> list[Matrix]:
    """From the upper left down, along the lower edge and up again on the right, while zooming in by a seventh.

    Args:
        frames: of the shot, at least 2.
        frame_size: height and width, px.
        picture_size: height and width of the filmed picture, px.
    Returns:
        One matrix a frame, from the frame to the picture.
    """
    last = np.array([frame_size[1], frame_size[0]]) - 1.0
    picture_last = np.array([picture_size[1], picture_size[0]]) - 1.0
    # Half a frame and a hundredth more, so that no frame shows what lies beyond the picture.
    margin = np.minimum(0.5, last / picture_last / 2 + 0.01)
    matrices = []
    for index in range(frames):
        time_unit = index / (frames - 1)
        scale = 1 - _ZOOM * time_unit
        along = np.array([0.5 - 0.5 * math.cos(math.pi * time_unit), math.sin(0.95 * math.pi * time_unit)])
        centre = (margin + (1 - 2 * margin) * along) * picture_last
        matrices.append(np.column_stack([scale * np.eye(2), centre - scale * last / 2]))
    return matrices


def key_frame_numbers(frames: int) -> tuple[int, int]:
    """Numbers (from 1) of the two painted frames of a shot of so many frames."""
    first, last = (round(position * (frames - 1)) + 1 for position in _KEY_FRAMES_UNIT)
    return first, last


def spline_coefficients(picture: NDArray[np.uint8]) -> Coefficients:
    """Cubic spline coefficients of an (H, W, C) picture, a channel at a time, (H, W, C) float64."""
    from scipy.ndimage import spline_filter

    planes = [
        spline_filter(picture[..., i].astype(np.float64), order=3, mode="mirror") for i in range(picture.shape[2])
    ]
    return np.stack(planes, axis=-1)


def film(
    coefficients: Coefficients,
    matrix: Matrix,
    height_px: int,
    width_px: int,
    outside: Literal["mirror", "constant"] = "mirror",
) -> NDArray[np.float64]:
    """Looks at a picture through the camera, sub-pixel exactly: the cubic spline through its pixels, evaluated.

    Args:
        coefficients: (H, W, C), see ``spline_coefficients``.
        matrix: frame to picture.
        height_px: of the frame.
        width_px: of the frame.
        outside: what is seen outside of the picture: the picture mirrored, or zero.
    Returns:
        (height, width, C), neither rounded nor clipped.
    """
    from scipy.ndimage import map_coordinates

    (a, b, shift_x), (c, d, shift_y) = matrix
    rows, columns = np.mgrid[:height_px, :width_px].astype(np.float64)
    where = [c * columns + d * rows + shift_y, a * columns + b * rows + shift_x]
    channels = [
        map_coordinates(coefficients[..., i], where, order=3, mode=outside, prefilter=False)
        for i in range(coefficients.shape[2])
    ]
    return np.stack(channels, axis=-1)
