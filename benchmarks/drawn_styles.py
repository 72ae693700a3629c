"""Four style pictures drawn by code, free to publish: mosaic cells, brush dabs, ink hatching, printed waves.

python benchmarks/drawn_styles.py FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Rgb = NDArray[np.uint8]
Rng = np.random.Generator

SIDE_PX = 320


def mosaic(rng: Rng) -> Rgb:
    """Stone cells of blue, gold and white in dark grout."""
    cell_px, palette = 13, _palette("1d3f8f 2f6fc4 7fb2e5 e9d9a8 d9a521 b5651d f4f1e6")
    grid = np.arange(-1, SIDE_PX // cell_px + 2)
    seeds = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2) * cell_px + rng.uniform(
        0, cell_px, (len(grid) ** 2, 2)
    )
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
    nearest = np.full((2, SIDE_PX, SIDE_PX), np.inf, np.float32)
    owner = np.zeros((SIDE_PX, SIDE_PX), int)
    for index, (x, y) in enumerate(seeds):
        distance = np.hypot(columns - x, rows - y)
        closer = distance < nearest[0]
        nearest[1] = np.where(closer, nearest[0], np.minimum(nearest[1], distance))
        nearest[0], owner[closer] = np.minimum(nearest[0], distance), index
    tone = _smooth(rng, 60)
    centres = np.clip(seeds, 0, SIDE_PX - 1).astype(int)
    levels = tone[centres[:, 1], centres[:, 0]] * (len(palette) - 0.01) + rng.normal(0, 0.7, len(seeds))
    colours = palette[np.clip(levels, 0, len(palette) - 1).astype(int)] + rng.normal(0, 10, (len(seeds), 3))
    shade = 1.08 - 0.25 * nearest[0] / cell_px
    picture = colours[owner] * shade[..., None]
    picture[nearest[1] - nearest[0] < 2.2] = (38, 34, 40)
    return _finished(picture)


def dabs(rng: Rng) -> Rgb:
    """Short strokes of warm paint along a turning field."""
    palette = _palette("7a1f1d c43d1e e8762b f4b03a f9dd7a 5d2a4f 2f6b57")
    angles, tone = 4 * np.pi * _smooth(rng, 90), _smooth(rng, 50)
    canvas = np.full((SIDE_PX, SIDE_PX, 3), (196, 90, 40), np.uint8)
    for _ in range(5200):
        x, y = rng.integers(0, SIDE_PX, 2)
        level = tone[y, x] * (len(palette) - 0.01) + rng.normal(0, 0.6)
        colour = palette[int(np.clip(level, 0, len(palette) - 1))] + rng.normal(0, 14)
        degrees = float(np.degrees(angles[y, x]) + rng.normal(0, 8))
        axes = (int(rng.integers(7, 11)), int(rng.integers(2, 4)))
        cv2.ellipse(canvas, (int(x), int(y)), axes, degrees, 0, 360, np.clip(colour, 0, 255).tolist(), -1, cv2.LINE_AA)
    return canvas


def hatching(rng: Rng) -> Rgb:
    """Ink lines on paper, crossed where it is darker."""
    paper, ink = np.array((243, 236, 220.0)), np.array((30, 28, 52.0))
    tone = _smooth(rng, 70)
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
    wobble = 3 * (_smooth(rng, 40) - 0.5)
    covered = np.zeros((SIDE_PX, SIDE_PX))
    for limit, degrees in ((0.25, 35), (0.5, -40), (0.7, 80)):
        across = columns * np.sin(np.radians(degrees)) + rows * np.cos(np.radians(degrees)) + wobble
        line = np.clip(1.3 - np.abs((across % 5.0) - 2.5), 0, 1)
        covered = np.maximum(covered, line * np.clip((tone - limit) * 8, 0, 1))
    covered = np.maximum(covered, np.clip((tone - 0.9) * 12, 0, 1))
    return _finished(paper + covered[..., None] * (ink - paper) + rng.normal(0, 3, (SIDE_PX, SIDE_PX, 1)))


def waves(rng: Rng) -> Rgb:
    """Flat printed bands of teal, cream and coral with dark outlines."""
    palette = _palette("0f4c5c 2a9d8f f1e3c6 e76f51 f1e3c6 2a9d8f")
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
    height = rows + 16 * np.sin(columns / 24) + 90 * (_smooth(rng, 70) - 0.5) + 5 * np.sin(columns / 9 + rows / 30)
    band = height / 11
    picture = palette[band.astype(int) % len(palette)]
    slope = np.hypot(*np.gradient(band))
    inside = np.minimum(band % 1, 1 - band % 1) / np.maximum(slope, 1e-3)  # distance to the next edge, px
    edge = np.clip(1.6 - inside, 0, 1)[..., None]
    return _finished(picture + edge * (np.array((18, 30, 38.0)) - picture))


STYLES: dict[str, Callable[[Rng], Rgb]] = {"mosaic": mosaic, "dabs": dabs, "hatching": hatching, "waves": waves}


def draw(name: str) -> Rgb:
    """(320, 320, 3) uint8 sRGB, always the same."""
    return STYLES[name](np.random.Generator(np.random.Philox(key=[7, list(STYLES).index(name)])))


def _palette(colours: str) -> NDArray[np.float64]:
    return np.array([[int(colour[i : i + 2], 16) for i in (0, 2, 4)] for colour in colours.split()], np.float64)


def _smooth(rng: Rng, scale_px: int) -> NDArray[np.float32]:
    """A soft field, evenly spread over [0, 1]."""
    field = cv2.GaussianBlur(rng.standard_normal((SIDE_PX, SIDE_PX)), (0, 0), scale_px / 4)
    ranks = field.ravel().argsort().argsort().reshape(field.shape)
    even: NDArray[np.float32] = (ranks / field.size).astype(np.float32)
    return even


def _finished(picture: NDArray[np.floating]) -> Rgb:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in STYLES:
        Image.fromarray(draw(name)).save(folder / f"{name}.png")


if __name__ == "__main__":
    main()
