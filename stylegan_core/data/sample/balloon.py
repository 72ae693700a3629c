"""The object that moves in front of the filmed photograph: a hot-air balloon with a photograph on its envelope."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stylegan_core.data.sample.camera import Matrix

_SUPERSAMPLING = 3
_BORDER_PX = 4

# Shape in units of the envelope's width, from the axis and from the top.
_HEIGHT = 1.5
_EQUATOR = 0.5
_MOUTH = 1.2
_MOUTH_HALF_WIDTH = 0.12
_BASKET_TOP = 1.33
_BASKET_HALF_WIDTH = 0.09
_ROPE_HALF_WIDTH = 0.012
_GORES = 12

# The dahlia of the photograph "flower", in units of its width.
_FLOWER_CENTRE = (0.475, 0.345)
_FLOWER_HALF_SIDE = 0.27

_BASKET_COLOUR = (104.0, 68.0, 38.0)
_ROPE_COLOUR = (70.0, 60.0, 55.0)


def draw_balloon(photograph: NDArray[np.uint8], height_px: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draws the balloon upright, with a transparent border.

    Args:
        photograph: (H, W, 3) uint8, wrapped around the envelope.
        height_px: of the balloon without its border.
    Returns:
        Its colours, (H, W, 3) uint8, which go on where it is transparent; and its coverage, (H, W) uint8, smooth.
    """
    from scipy.ndimage import distance_transform_edt

    unit_px = height_px / _HEIGHT
    width_px = math.ceil(unit_px) + 2 * _BORDER_PX
    rows = (np.arange((height_px + 2 * _BORDER_PX) * _SUPERSAMPLING) + 0.5) / _SUPERSAMPLING - _BORDER_PX
    columns = (np.arange(width_px * _SUPERSAMPLING) + 0.5) / _SUPERSAMPLING - width_px / 2
    y, x = np.meshgrid(rows / unit_px, columns / unit_px, indexing="ij")
    half_width = _half_width(y)
    envelope = np.abs(x) <= half_width
    ropes, basket = _ropes(x, y), _basket(x, y)
    colours = _envelope_colours(photograph, x, y, half_width)
    colours[ropes] = _ROPE_COLOUR
    weave = 1 + 0.18 * np.sign(np.sin(150 * x) * np.sin(170 * y))
    colours[basket] = (weave[..., None] * np.asarray(_BASKET_COLOUR))[basket]
    solid = envelope | ropes | basket
    # Colours go on beyond the outline, so that neither interpolation nor brush meets an undefined background there.
    nearest = distance_transform_edt(~solid, return_distances=False, return_indices=True)
    filled = _reduce(colours[nearest[0], nearest[1]])
    coverage = _reduce(solid[..., None].astype(np.float64) * 255)[..., 0]
    return _codes(filled), _codes(coverage)


def balloon_path(frames: int, width_px: int, height_px: int, object_size: tuple[int, int]) -> list[Matrix]:
    """The balloon drifts from the right to the left, sways, and comes a little nearer.

    Args:
        frames: of the shot, at least 2.
        width_px: of a frame.
        height_px: of a frame.
        object_size: height and width of the drawn balloon, px.
    Returns:
        One (2, 3) matrix a frame, from the frame's pixels to those of the drawn balloon.
    """
    matrices = []
    for index in range(frames):
        time_unit = index / (frames - 1)
        centre_x = (0.84 - 0.68 * time_unit) * (width_px - 1)
        centre_y = (0.50 - 0.10 * math.sin(2 * math.pi * time_unit)) * (height_px - 1)
        angle = math.radians(7.0) * math.sin(3 * math.pi * time_unit + 0.5)
        scale = 1.25 - 0.3 * time_unit
        cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
        linear = np.array([[cosine, sine], [-sine, cosine]])
        middle = (np.array([object_size[1], object_size[0]]) - 1) / 2
        matrices.append(np.column_stack([linear, middle - linear @ [centre_x, centre_y]]))
    return matrices


def _half_width(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half the envelope's width at each height: a half circle above, tapered below; negative outside."""
    above = np.sqrt(np.maximum(0.0, _EQUATOR**2 - (y - _EQUATOR) ** 2))
    taper = 1 - ((y - _EQUATOR) / (_MOUTH - _EQUATOR)) ** 2
    below = _MOUTH_HALF_WIDTH + (0.5 - _MOUTH_HALF_WIDTH) * taper
    inside = (y >= 0) & (y <= _MOUTH)
    return np.where(inside, np.where(y < _EQUATOR, above, below), -1.0)


def _ropes(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    down = (y - _MOUTH) / (_BASKET_TOP - _MOUTH)
    rope_x = _MOUTH_HALF_WIDTH + (_BASKET_HALF_WIDTH - _MOUTH_HALF_WIDTH) * down - _ROPE_HALF_WIDTH
    hanging: NDArray[np.bool_] = (down > 0) & (down <= 1) & (np.abs(np.abs(x) - rope_x) <= _ROPE_HALF_WIDTH)
    return hanging


def _basket(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    woven: NDArray[np.bool_] = (y > _BASKET_TOP) & (y <= _HEIGHT) & (np.abs(x) <= _BASKET_HALF_WIDTH)
    return woven


def _envelope_colours(
    photograph: NDArray[np.uint8], x: NDArray[np.float64], y: NDArray[np.float64], half_width: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The photograph around the envelope, with seams between its gores, lit from the upper left."""
    from scipy.ndimage import map_coordinates

    across = np.clip(x / np.maximum(half_width, 1e-6), -1, 1)
    longitude = np.arcsin(across) / (math.pi / 2)
    side = _FLOWER_HALF_SIDE * photograph.shape[1]
    at_x = _FLOWER_CENTRE[0] * photograph.shape[1] + side * longitude
    at_y = _FLOWER_CENTRE[1] * photograph.shape[1] + side * (y - 0.55) / 0.6
    planes = photograph.transpose(2, 0, 1).astype(np.float64)
    colours = np.stack([map_coordinates(plane, [at_y, at_x], order=1, mode="mirror") for plane in planes], axis=-1)
    light = 0.62 + 0.5 * np.clip(0.8 * np.sqrt(1 - across**2) - 0.45 * across + 0.25 * (_EQUATOR - y), 0, 1)
    to_seam = np.abs((longitude * _GORES / 2 + 0.5) % 1 - 0.5)
    light = light * np.where(to_seam < 0.05, 0.78, 1.0)
    return colours * light[..., None]


def _reduce(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each block of supersampled pixels."""
    height, width, channels = picture.shape
    side = _SUPERSAMPLING
    blocks = picture.reshape(height // side, side, width // side, side, channels)
    mean: NDArray[np.float64] = blocks.mean(axis=(1, 3))
    return mean


def _codes(picture: NDArray[np.float64]) -> NDArray[np.uint8]:
    codes: NDArray[np.uint8] = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return codes
