"""The built-in sample: a shot with two painted key frames whose every frame's truth and motion are known.

A photograph is painted once, and the same camera films the photograph and the painting. A balloon, painted once too,
moves in front of both.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stylegan_core.data.sample.balloon import balloon_path, draw_balloon
from stylegan_core.data.sample.brush_strokes import paint_in_strokes, scaled_brushes
from stylegan_core.data.sample.camera import (
    Coefficients,
    Matrix,
    camera_path,
    film,
    filmed_width_px,
    key_frame_numbers,
    spline_coefficients,
)
from stylegan_core.data.sample.painter import paint_in_oil
from stylegan_core.data.sample.photographs import load_photograph
from stylegan_core.storage.atomic import write_atomically, write_bytes_atomically

Painter = Literal["strokes", "oil"]

Rgb = NDArray[np.uint8]

_SHOT_PHOTOGRAPH = "china"
_BALLOON_PHOTOGRAPH = "flower"
_BALLOON_HEIGHT = 0.56
_BALLOON_BRUSH = 0.65
_PAIR_PHOTOGRAPHS = ("astronaut", "coffee", "flower", "motorcycle")
_PHOTOGRAPH_DOMAIN = ("astronaut", "chelsea", "motorcycle", "rocket")
_PAINTING_DOMAIN = ("coffee", "flower", "hubble")
_BRUSH_WIDTH_PX = 480
"""Width of the frames that the brushes have their size for."""


@dataclass(frozen=True)
class Scene:
    """What the camera films, in its photographed or its painted version.

    Attributes:
        background: coefficients of the flat picture.
        balloon: coefficients of the object's colours, which go on beyond its outline.
    """

    background: Coefficients
    balloon: Coefficients

    def render(self, camera: Matrix, balloon: Matrix, mask: NDArray[np.uint8]) -> Rgb:
        """A frame: the background, and before it the balloon where ``mask``, (H, W) in codes, shows it."""
        frame = film(self.background, camera, *mask.shape)
        rows, columns = (slice(found.min(), found.max() + 1) for found in np.nonzero(mask))
        opacity = mask[rows, columns, None] / 255
        shift = balloon[:, :2] @ [columns.start, rows.start]
        box = np.column_stack([balloon[:, :2], balloon[:, 2] + shift])
        front = film(self.balloon, box, *opacity.shape[:2])
        frame[rows, columns] = opacity * front + (1 - opacity) * frame[rows, columns]
        return _codes(frame)


def build_sample(
    folder: Path,
    *,
    frames: int = 48,
    width_px: int = 480,
    height_px: int = 300,
    painter: Painter = "strokes",
    stroke_px: int = 5,
    progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Writes the sample below ``folder``: shot/, pairs/, photograph/ and painting/.

    ``shot`` has plates/, painted/ (two key frames), truth/ (all other frames, painted), masks/ (of the balloon) and
    motion.json. Training uses ``shot/painted`` alone; ``shot/truth`` is for evaluation.

    Args:
        folder: that is written.
        frames: of the shot.
        width_px: of a frame.
        height_px: of a frame.
        painter: strokes paints the photograph and the balloon once, so that strokes move with the scene; oil paints
            each frame by itself.
        stroke_px: radius of the strokes of the painter oil.
        progress: called with a line about what was written.

    Raises:
        FileNotFoundError: a photograph is missing from its wheel.
        RuntimeError: OpenCV lacks the painter oil.
    """
    brushes = scaled_brushes(width_px / _BRUSH_WIDTH_PX)

    def paint(rgb: Rgb) -> Rgb:
        return paint_in_oil(rgb, stroke_px) if painter == "oil" else paint_in_strokes(rgb, brushes=brushes)

    _write_shot(folder / "shot", frames, (height_px, width_px), painter, paint, progress)
    for name in _PAIR_PHOTOGRAPHS:
        other = load_photograph(name, width_px=width_px)
        _write_png(folder / "pairs" / "content" / f"{name}.png", other)
        _write_png(folder / "pairs" / "style" / f"{name}.png", paint(other))
    for name in _PHOTOGRAPH_DOMAIN:
        for index, tile in enumerate(_tiles(load_photograph(name, width_px=3 * width_px // 2), height_px)):
            _write_png(folder / "photograph" / f"{name}.{index}.png", tile)
    for name in _PAINTING_DOMAIN:
        for index, tile in enumerate(_tiles(load_photograph(name, width_px=3 * width_px // 2), height_px)):
            _write_png(folder / "painting" / f"{name}.{index}.png", paint(tile))


def _write_shot(
    folder: Path,
    frames: int,
    size: tuple[int, int],
    painter: Painter,
    paint: Callable[[Rgb], Rgb],
    progress: Callable[[str], None],
) -> None:
    photograph = load_photograph(_SHOT_PHOTOGRAPH, width_px=filmed_width_px(size[1], size[0]))
    balloon, coverage = draw_balloon(load_photograph(_BALLOON_PHOTOGRAPH), round(_BALLOON_HEIGHT * size[0]))
    scene = Scene(spline_coefficients(photograph), spline_coefficients(balloon))
    painted_scene = scene
    if painter == "strokes":
        finer = scaled_brushes(_BALLOON_BRUSH * size[1] / _BRUSH_WIDTH_PX)
        painted_balloon = paint_in_strokes(balloon, brushes=finer)
        painted_scene = Scene(spline_coefficients(paint(photograph)), spline_coefficients(painted_balloon))
        progress("the photograph is painted")
    outline = spline_coefficients(coverage[..., None])
    cameras = camera_path(frames, size, (photograph.shape[0], photograph.shape[1]))
    balloons = balloon_path(frames, size[1], size[0], (balloon.shape[0], balloon.shape[1]))
    for number, (camera, moved) in enumerate(zip(cameras, balloons, strict=True), start=1):
        name = f"shot.{number:04d}.png"
        mask = _codes(film(outline, moved, *size, outside="constant")[..., 0])
        plate = scene.render(camera, moved, mask)
        painted = paint(plate) if painter == "oil" else painted_scene.render(camera, moved, mask)
        _write_png(folder / "masks" / name, mask)
        _write_png(folder / "plates" / name, plate)
        _write_png(folder / ("painted" if number in key_frame_numbers(frames) else "truth") / name, painted)
        progress(f"frame {number} of {frames}")
    motion = {
        "frames": _by_number(cameras),
        "objects": [{"name": "balloon", "masks": "masks", "frames": _by_number(balloons)}],
    }
    write_bytes_atomically(folder / "motion.json", (json.dumps(motion, indent=1) + "\n").encode())


def _by_number(matrices: list[Matrix]) -> dict[str, list[list[float]]]:
    return {str(number): matrix.tolist() for number, matrix in enumerate(matrices, start=1)}


def _codes(values: NDArray[np.float64]) -> Rgb:
    codes: Rgb = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return codes


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
