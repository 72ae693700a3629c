"""Painters that make the painted truth of real clips: oil, strokes and washes.

oil and strokes are the painters of the built-in sample, here for each frame alone, so strokes do not follow the motion.
washes is a third painter that the package does not have: flat colour from a fixed palette, ink lines, paper.

python benchmarks/painters.py washes FRAMES PAINTED
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylegan_core.data.sample.brush_strokes import paint_in_strokes
from stylegan_core.data.sample.painter import paint_in_oil

Rgb = NDArray[np.uint8]
Floats = NDArray[np.float32]

PALETTE_COLOURS = 14
INK_UNIT = np.asarray([0.11, 0.09, 0.14], np.float32)
SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"}


def paint(name: str, rgb: Rgb, palette_of: Rgb | None = None) -> Rgb:
    """Paints a picture.

    Args:
        name: one of ``PAINTERS``.
        rgb: (H, W, 3) uint8, sRGB.
        palette_of: for washes, the picture that gives the palette, such as the first key frame of the clip; default:
            the picture itself, so the colours of a clip's frames then vary.
    Returns:
        (H, W, 3) uint8.
    Raises:
        KeyError: no painter has this name.
    """
    return PAINTERS[name](rgb, rgb if palette_of is None else palette_of)


def paint_in_washes(rgb: Rgb, palette_of: Rgb) -> Rgb:
    """Flat washes in the colours of a palette, dark ink lines (XDoG, Winnemoeller et al. 2012), grain of paper."""
    wash = _flat_colour(rgb, main_colours(palette_of))
    # The paper lies still before the camera, as under a light box: its grain does not depend on the frame.
    grain, pooling = _noise(rgb.shape[:2], 0.8, seed=1), _noise(rgb.shape[:2], 14.0, seed=2)
    wash *= (1 + 0.02 * grain + 0.03 * pooling)[..., None]
    paper = _ink_lines(rgb)[..., None]
    inked = wash * paper + INK_UNIT * (1 - paper)
    return np.clip(np.rint(inked * 255), 0, 255).astype(np.uint8)


def main_colours(rgb: Rgb) -> Floats:
    """The palette of a picture by k-means, (PALETTE_COLOURS, 3) CIELAB."""
    small = cv2.resize(rgb, (160, max(1, 160 * rgb.shape[0] // rgb.shape[1])), interpolation=cv2.INTER_AREA)
    colours = _lab(small).reshape(-1, 3)
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_MAX_ITER + cv2.TERM_CRITERIA_EPS, 60, 0.05)
    labels = np.zeros((len(colours), 1), np.int32)
    centres = cv2.kmeans(colours, PALETTE_COLOURS, labels, stop, 4, cv2.KMEANS_PP_CENTERS)[2]
    return np.asarray(centres, np.float32)


def _flat_colour(rgb: Rgb, colours: Floats) -> Floats:
    """The nearest colour of the palette everywhere, lighter and clearer as water colours are, (H, W, 3) unit range."""
    height, width = rgb.shape[:2]
    smooth = cv2.pyrMeanShiftFiltering(rgb, 6, 18)
    # Decided at twice the size and reduced again, so that the borders of the washes are smooth.
    smooth = cv2.GaussianBlur(cv2.resize(smooth, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC), (0, 0), 2.5)
    distance = np.stack([((_lab(smooth) - colour) ** 2).sum(axis=-1) for colour in colours], axis=-1)
    # The median of equal colours drops specks; the order of the palette is that of lightness.
    order = np.argsort(colours[:, 0])
    chosen = cv2.medianBlur(distance[..., order].argmin(axis=-1).astype(np.uint8), 9)
    paint_lab = colours[order] * np.float32([0.80, 1.4, 1.4]) + np.float32([19, 0, 0])
    paint_rgb = np.clip(cv2.cvtColor(paint_lab[None], cv2.COLOR_LAB2RGB)[0], 0, 1)
    return np.asarray(cv2.resize(paint_rgb[chosen], (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _ink_lines(rgb: Rgb, sigma_px: float = 0.9, sharpness: float = 18.0, steepness: float = 9.0) -> Floats:
    """Extended difference of Gaussians: 1 on paper, 0 in ink, (H, W)."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    grey = cv2.bilateralFilter(grey, -1, 0.12, 3)
    fine, coarse = cv2.GaussianBlur(grey, (0, 0), sigma_px), cv2.GaussianBlur(grey, (0, 0), 1.6 * sigma_px)
    # The threshold follows the surroundings, so that shadows are washed and not filled with ink.
    edges = sharpness * (fine - coarse) + 0.25
    return np.asarray(np.where(edges >= 0, 1.0, 1.0 + np.tanh(steepness * edges)), np.float32)


def _noise(size: tuple[int, int], sigma_px: float, seed: int) -> Floats:
    """Smooth noise of unit variance, (H, W)."""
    noise = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), sigma_px)
    return np.asarray(noise / noise.std(), np.float32)


def _lab(rgb: Rgb) -> Floats:
    return np.asarray(cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def paint_folder(name: str, source: Path, target: Path, palette_of: Path | None = None) -> int:
    """Paints every picture of a folder, into PNG files of the same names; returns their number.

    Args:
        name: of the painter.
        source: folder of pictures.
        target: folder that is written.
        palette_of: picture that gives the palette of all; default: the first of the folder.
    Raises:
        ValueError: the folder has no picture.
    """
    paths = sorted(path for path in source.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ValueError(f"{source}: no pictures")
    reference = _read(palette_of or paths[0])
    target.mkdir(parents=True, exist_ok=True)
    for path in paths:
        Image.fromarray(paint(name, _read(path), reference)).save(target / f"{path.stem}.png")
    return len(paths)


def _read(path: Path) -> Rgb:
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


PAINTERS: dict[str, Callable[[Rgb, Rgb], Rgb]] = {
    "oil": lambda rgb, _: paint_in_oil(rgb, 5),
    "strokes": lambda rgb, _: paint_in_strokes(rgb),
    "washes": paint_in_washes,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("painter", choices=sorted(PAINTERS))
    parser.add_argument("source", type=Path, help="folder of frames")
    parser.add_argument("target", type=Path, help="folder of painted frames, written as PNG")
    parser.add_argument("--palette-of", type=Path, help="picture that gives the palette; default: the first frame")
    given = parser.parse_args()
    print(f"{paint_folder(given.painter, given.source, given.target, given.palette_of)} frames painted")


if __name__ == "__main__":
    main()
