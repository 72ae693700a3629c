"""Curved brush strokes of several sizes, after Hertzmann 1998, "Painterly Rendering with Curved Brush Strokes".

The direction of a stroke comes from a smoothed structure tensor (Kyprianidis and Kang 2011) instead of the bare
gradient, and each stroke has bristles. All decisions use whole numbers or exactly rounded operations, so the
painting is the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Floats = NDArray[np.float64]

_FRACTION_BITS = 4
_SHORTEST_STEPS = 3
_CURVATURE = 0.5
_RELIEF = 5.0
_CHROMA = 1.25


@dataclass(frozen=True)
class Brush:
    """One layer of strokes.

    Attributes:
        radius_px: half the width of a stroke.
        longest_steps: largest number of points of a stroke, a radius apart.
        tolerance: mean difference to the reference above which a cell gets a stroke, in codes.
        colour_jitter: standard deviation of a stroke's lightness around the reference, in codes.
    """

    radius_px: int
    longest_steps: int
    tolerance: float
    colour_jitter: float


BRUSHES = (Brush(12, 9, 0.0, 7.0), Brush(6, 10, 14.0, 7.0), Brush(3, 10, 17.0, 5.0), Brush(2, 9, 22.0, 4.0))
"""From the largest to the smallest."""


def scaled_brushes(factor: float, brushes: tuple[Brush, ...] = BRUSHES) -> tuple[Brush, ...]:
    """Brushes for a picture that is larger by ``factor``: each radius is scaled, to 1 px at least."""
    by_radius: dict[int, Brush] = {}
    for brush in brushes:
        radius_px = max(1, round(brush.radius_px * factor))
        by_radius.setdefault(radius_px, replace(brush, radius_px=radius_px))
    return tuple(by_radius.values())


def paint_in_strokes(rgb: Rgb, *, brushes: tuple[Brush, ...] = BRUSHES, seed: int = 0) -> Rgb:
    """Paints a picture, from large strokes to small ones where detail is missing.

    Args:
        rgb: (H, W, 3) uint8, sRGB.
        brushes: the layers, painted in this order.
        seed: of the order and the colour jitter of the strokes.
    Returns:
        (H, W, 3) uint8.
    """
    import cv2

    rng = np.random.Generator(np.random.PCG64(seed))
    rgb = np.ascontiguousarray(rgb)
    canvas = np.empty_like(rgb)
    for layer, brush in enumerate(brushes):
        # 8-bit blurs of OpenCV are computed in fixed point: equal with and without vector instructions.
        reference = cv2.GaussianBlur(rgb, (0, 0), max(0.6, 0.4 * brush.radius_px)).astype(np.uint8)
        if layer == 0:
            canvas[:] = cv2.GaussianBlur(rgb, (0, 0), 2.0 * brush.radius_px)
        difference = np.abs(reference.astype(np.int64) - canvas).sum(axis=-1)
        start = _starts(difference, brush, first=layer == 0)
        start = start[rng.permutation(len(start))]
        paths, lengths = _trace(start, reference, difference, _tangents(rgb, max(3, brush.radius_px)), brush)
        _draw(canvas, paths, lengths, reference[start[:, 1], start[:, 0]], brush, rng)
    return canvas


def _tangents(rgb: Rgb, radius_px: int) -> Floats:
    """Unit vectors along the edges, (H, W, 2): the minor axis of the structure tensor of luminance, smoothed."""
    import cv2

    grey = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    dx = cv2.Sobel(grey, cv2.CV_16S, 1, 0).astype(np.int64)
    dy = cv2.Sobel(grey, cv2.CV_16S, 0, 1).astype(np.int64)
    xx, xy, yy = (_box_thrice(product, radius_px) for product in (dx * dx, dx * dy, dy * dy))
    # Doubled angle of the gradient; its half by the half-angle formulas, which need square roots alone.
    difference, twice = (xx - yy).astype(np.float64), 2.0 * xy
    length = np.sqrt(difference * difference + twice * twice)
    cosine = np.divide(difference, length, out=np.ones_like(length), where=length > 0)
    gradient_x = np.sqrt(np.maximum(0.0, (1 + cosine) / 2))
    gradient_y = np.where(twice < 0, -1.0, 1.0) * np.sqrt(np.maximum(0.0, (1 - cosine) / 2))
    return np.stack([-gradient_y, gradient_x], axis=-1)


def _box_thrice(plane: NDArray[np.int64], radius_px: int) -> NDArray[np.int64]:
    """Three box sums after each other, nearly Gaussian, exact in whole numbers."""
    for _ in range(3):
        for axis in (0, 1):
            border = [(0, 0), (0, 0)]
            border[axis] = (radius_px + 1, radius_px)
            sums = np.cumsum(np.pad(plane, border, mode="edge"), axis=axis)
            first = np.arange(plane.shape[axis])
            plane = sums.take(first + 2 * radius_px + 1, axis) - sums.take(first, axis)
    return plane


def _starts(difference: NDArray[np.int64], brush: Brush, *, first: bool) -> NDArray[np.int64]:
    """The worst pixel (x, y) of each cell that is worse than the brush tolerates, (N, 2)."""
    cell = max(2, brush.radius_px)
    height, width = difference.shape
    rows, columns = -(-height // cell), -(-width // cell)
    padded = np.full((rows * cell, columns * cell), -1, np.int64)
    padded[:height, :width] = difference
    cells = padded.reshape(rows, cell, columns, cell).transpose(0, 2, 1, 3).reshape(rows, columns, cell * cell)
    worst = cells.argmax(axis=-1)
    x = np.arange(columns)[None, :] * cell + worst % cell
    y = np.arange(rows)[:, None] * cell + worst // cell
    bad = np.ones((rows, columns), bool)
    if not first:
        bad = np.maximum(cells, 0).sum(axis=-1) > 3 * brush.tolerance * cell * cell
    return np.stack([x[bad], y[bad]], axis=-1)


def _trace(
    start: NDArray[np.int64], reference: Rgb, difference: NDArray[np.int64], tangent: Floats, brush: Brush
) -> tuple[Floats, NDArray[np.int64]]:
    """Follows the tangents from all starts at once, in one direction.

    Returns:
        (N, P, 2) points x, y in px; and the number of points of each stroke.
    """
    height, width = reference.shape[:2]
    colour = reference[start[:, 1], start[:, 0]].astype(np.int64)
    points = np.repeat(start[:, None].astype(np.float64), brush.longest_steps + 1, axis=1)
    lengths = np.ones(len(start), np.int64)
    alive = np.ones(len(start), bool)
    direction = np.zeros((len(start), 2))
    at = start.astype(np.float64)
    for step in range(1, brush.longest_steps + 1):
        column = np.clip(np.rint(at[:, 0]), 0, width - 1).astype(np.int64)
        row = np.clip(np.rint(at[:, 1]), 0, height - 1).astype(np.int64)
        if step > _SHORTEST_STEPS:
            off = np.abs(reference[row, column].astype(np.int64) - colour).sum(axis=-1)
            alive &= off <= difference[row, column] + 12
        here = tangent[row, column]
        here = np.where((here * direction).sum(axis=-1, keepdims=True) < 0, -here, here)
        if step > 1:
            here = _CURVATURE * here + (1 - _CURVATURE) * direction
        direction = here / np.maximum(1e-9, np.sqrt((here * here).sum(axis=-1, keepdims=True)))
        at = np.where(alive[:, None], at + brush.radius_px * direction, at)
        points[:, step] = at
        lengths += alive
    return points, lengths


def _draw(
    canvas: Rgb, points: Floats, lengths: NDArray[np.int64], colours: Rgb, brush: Brush, rng: np.random.Generator
) -> None:
    """Draws opaque strokes with bristles, in order; changes ``canvas``."""
    import cv2

    count, bristles = len(points), _bristle_count(brush)
    tone = rng.normal(0, brush.colour_jitter, (count, 1)) + rng.normal(0, 0.4 * brush.colour_jitter, (count, 3))
    grey = (colours.astype(np.int64) @ [77, 151, 28])[:, None] / 256
    base = np.clip(np.rint(grey + _CHROMA * (colours - grey) + tone), 0, 255)
    relief = np.rint(rng.normal(0, _RELIEF, (count, bristles, 1)))
    shades = np.clip(base[:, None] + relief, 0, 255).tolist()
    lines = _bristle_lines(points, lengths, bristles, brush.radius_px, rng)
    paths = _fixed_point(points)
    widths = 2 * brush.radius_px - 1, 2 if brush.radius_px > 3 else 1
    for stroke, (colour, length) in enumerate(zip(base.tolist(), lengths.tolist(), strict=True)):
        cv2.polylines(canvas, [paths[stroke, :length]], False, colour, widths[0], cv2.LINE_AA, _FRACTION_BITS)
        for line, shade in zip(lines[stroke, :, :length], shades[stroke], strict=True):
            cv2.polylines(canvas, [line], False, shade, widths[1], cv2.LINE_AA, _FRACTION_BITS)


def _bristle_count(brush: Brush) -> int:
    return round(1.2 * brush.radius_px) if brush.radius_px > 1 else 0


def _bristle_lines(
    points: Floats, lengths: NDArray[np.int64], bristles: int, radius_px: int, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Lines beside each stroke's path, with uneven ends, (N, bristles, P, 2) in fixed point."""
    count = len(points)
    steps = np.diff(points, axis=1)
    last = np.arange(count), lengths - 1
    along = np.concatenate([steps, steps[:, -1:]], axis=1) / radius_px
    along[last] = along[last[0], np.maximum(lengths - 2, 0)]
    normal = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    sides = np.linspace(-0.85, 0.85, bristles) + rng.uniform(-0.15, 0.15, (count, bristles))
    ends = rng.uniform(-0.5, 0.9, (count, bristles, 2))
    lines = points[:, None] + radius_px * sides[..., None, None] * normal[:, None]
    lines[:, :, 0] -= radius_px * ends[..., :1] * along[:, None, 0]
    lines[last[0], :, last[1]] += radius_px * ends[..., 1:] * along[last][:, None]
    return _fixed_point(lines)


def _fixed_point(points: Floats) -> NDArray[np.int32]:
    """Coordinates in px as OpenCV's drawing takes them."""
    return np.rint(points * (1 << _FRACTION_BITS)).astype(np.int32)
