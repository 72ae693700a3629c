"""The built-in sample: a shot with two painted key frames whose every frame's truth and motion are known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stylegan_core.data.sample.painter import paint_in_oil
from stylegan_core.data.sample.photographs import load_photograph
from stylegan_core.storage.atomic import write_atomically, write_bytes_atomically

_SHOT_PHOTOGRAPH = "china"
_PAIR_PHOTOGRAPHS = ("astronaut", "coffee", "flower", "motorcycle")
_PHOTOGRAPH_DOMAIN = ("astronaut", "chelsea", "motorcycle", "rocket")
_OIL_DOMAIN = ("coffee", "flower", "hubble")
_KEY_FRAMES_UNIT = (6 / 47, 41 / 47)

Matrix = list[list[float]]
"""2 x 3: (x, y, 1) in a frame's pixels to (x, y) in the photograph's, pixel centres on whole numbers."""


def camera_path(
    frames: int, width_px: int, height_px: int, photograph_width_px: int, photograph_height_px: int
) -> list[Matrix]:
    """A slow pan on an arc from the upper left to the lower right, zooming in by a seventh.

    The arc is long enough that two fifths of what the camera sees are in neither key frame.

    Returns:
        One matrix a frame, frame to photograph.
    """
    # The scale is set by a frame of 256 px over a photograph of 640 px and follows other frame sizes.
    base = 256 / width_px
    matrices = []
    for index in range(frames):
        time_unit = index / (frames - 1)
        scale = base * 0.85**time_unit
        centre_x = (0.205 + 0.595 * time_unit) * (photograph_width_px - 1)
        centre_y = (0.5 - 0.29 * math.cos(math.pi * time_unit)) * (photograph_height_px - 1)
        matrices.append(
            [
                [scale, 0.0, centre_x - scale * (width_px - 1) / 2],
                [0.0, scale, centre_y - scale * (height_px - 1) / 2],
            ]
        )
    return matrices


def key_frame_numbers(frames: int) -> tuple[int, int]:
    """Numbers (from 1) of the two painted frames of a shot of so many frames."""
    first, last = (round(position * (frames - 1)) + 1 for position in _KEY_FRAMES_UNIT)
    return first, last


def render_frame(coefficients: np.ndarray, matrix: Matrix, width_px: int, height_px: int) -> np.ndarray:
    """Looks at the photograph through a camera, sub-pixel exactly: the cubic spline through its pixels, evaluated.

    Args:
        coefficients: (H, W, 3) float, cubic spline coefficients of the photograph in [0, 255].
        matrix: frame to photograph.
        width_px: of the frame.
        height_px: of the frame.
    Returns:
        (height, width, 3) uint8.
    """
    from scipy.ndimage import map_coordinates

    (a, b, shift_x), (c, d, shift_y) = matrix
    rows, columns = np.mgrid[:height_px, :width_px].astype(np.float64)
    where = [c * columns + d * rows + shift_y, a * columns + b * rows + shift_x]
    channels = [map_coordinates(coefficients[..., i], where, order=3, mode="mirror", prefilter=False) for i in range(3)]
    rendered: np.ndarray = np.clip(np.rint(np.stack(channels, axis=-1)), 0, 255).astype(np.uint8)
    return rendered


def spline_coefficients(photograph: np.ndarray) -> np.ndarray:
    """Cubic spline coefficients of an (H, W, 3) picture, a channel at a time, (H, W, 3) float64."""
    from scipy.ndimage import spline_filter

    planes = [spline_filter(photograph[..., i].astype(np.float64), order=3, mode="mirror") for i in range(3)]
    return np.stack(planes, axis=-1)


def build_sample(
    folder: Path,
    *,
    frames: int = 48,
    width_px: int = 256,
    height_px: int = 160,
    stroke_px: int = 5,
    progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Writes the sample below ``folder``: shot/{plates,painted,truth,motion.json}, pairs/, photograph/ and oil/.

    Training uses ``shot/painted`` alone; ``shot/truth`` has the style version of every other frame, for evaluation.

    Raises:
        FileNotFoundError: a photograph is missing from its wheel.
        RuntimeError: OpenCV lacks the painter.
    """
    photograph = load_photograph(_SHOT_PHOTOGRAPH)
    coefficients = spline_coefficients(photograph)
    matrices = camera_path(frames, width_px, height_px, photograph.shape[1], photograph.shape[0])
    keys = key_frame_numbers(frames)
    for number, matrix in enumerate(matrices, start=1):
        plate = render_frame(coefficients, matrix, width_px, height_px)
        _write_png(folder / "shot" / "plates" / f"shot.{number:04d}.png", plate)
        role = "painted" if number in keys else "truth"
        _write_png(folder / "shot" / role / f"shot.{number:04d}.png", paint_in_oil(plate, stroke_px))
        progress(f"frame {number} of {frames}")
    motion = {"frames": {str(number): matrix for number, matrix in enumerate(matrices, start=1)}}
    write_bytes_atomically(folder / "shot" / "motion.json", (json.dumps(motion, indent=1) + "\n").encode())
    for name in _PAIR_PHOTOGRAPHS:
        other = load_photograph(name, width_px=width_px)
        _write_png(folder / "pairs" / "content" / f"{name}.png", other)
        _write_png(folder / "pairs" / "style" / f"{name}.png", paint_in_oil(other, stroke_px))
    for name in _PHOTOGRAPH_DOMAIN:
        for index, tile in enumerate(_tiles(load_photograph(name, width_px=3 * width_px // 2), height_px)):
            _write_png(folder / "photograph" / f"{name}.{index}.png", tile)
    for name in _OIL_DOMAIN:
        for index, tile in enumerate(_tiles(load_photograph(name, width_px=3 * width_px // 2), height_px)):
            _write_png(folder / "oil" / f"{name}.{index}.png", paint_in_oil(tile, stroke_px))


def _tiles(picture: np.ndarray, side_px: int) -> list[np.ndarray]:
    """Cuts a picture into whole squares of ``side_px`` (at most its shorter side), left to right, top to bottom."""
    side_px = min(side_px, *picture.shape[:2])
    return [
        picture[top : top + side_px, left : left + side_px]
        for top in range(0, picture.shape[0] - side_px + 1, side_px)
        for left in range(0, picture.shape[1] - side_px + 1, side_px)
    ]


def _write_png(path: Path, rgb: np.ndarray) -> None:
    from PIL import Image

    write_atomically(path, lambda temporary: Image.fromarray(rgb).save(temporary, format="PNG", compress_level=1))
