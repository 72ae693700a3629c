"""Composed pictures for reports: four panels, grids with labels, and the difference of two pictures.

All take (H, W, 3) arrays, float in [0, 1] or uint8, and return (H, W, 3) uint8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[Any]
"""(H, W, 3), float in [0, 1] or uint8."""

Uint8Pixels = npt.NDArray[np.uint8]
"""(H, W, 3) uint8."""

GAP_PX = 8
LABEL_HEIGHT_PX = 24
DIFFERENCE_GAIN = 2.0

_PAPER = (250, 250, 249)
_INK = (41, 37, 36)


def to_uint8(picture: Pixels) -> Uint8Pixels:
    """Converts (H, W, 3) float in [0, 1] (clipped, NaN is black) to uint8; uint8 is unchanged, grey replicated.

    Raises:
        ValueError: another shape or type.
    """
    if picture.ndim == 2:
        picture = np.repeat(picture[:, :, None], 3, axis=2)
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"expected a picture of shape (H, W, 3), got {picture.shape}")
    if picture.dtype == np.uint8:
        return picture
    if not np.issubdtype(picture.dtype, np.floating):
        raise ValueError(f"expected uint8 or float in [0, 1], got {picture.dtype}")
    clipped = np.clip(np.nan_to_num(picture.astype(np.float32)), 0.0, 1.0)
    return (clipped * 255.0 + 0.5).astype(np.uint8)


def difference_picture(original: Pixels, result: Pixels, *, gain: float = DIFFERENCE_GAIN) -> Uint8Pixels:
    """``gain`` times the absolute change of each channel: black is unchanged.

    Raises:
        ValueError: the two differ in shape.
    """
    if original.shape != result.shape:
        raise ValueError(f"the pictures differ in shape: {original.shape} and {result.shape}")
    change = np.abs(to_uint8(result).astype(np.float32) - to_uint8(original).astype(np.float32))
    return np.minimum(gain * change + 0.5, 255.0).astype(np.uint8)


def fit(picture: Pixels, width_px: int, height_px: int) -> Uint8Pixels:
    """The picture scaled into a box with its aspect kept, centred on the background colour."""
    pixels = to_uint8(picture)
    scale = min(width_px / pixels.shape[1], height_px / pixels.shape[0])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    scaled = pixels if size == (pixels.shape[1], pixels.shape[0]) else scale_to(pixels, *size)
    box = np.full((height_px, width_px, 3), _PAPER, dtype=np.uint8)
    top, left = (height_px - size[1]) // 2, (width_px - size[0]) // 2
    box[top : top + size[1], left : left + size[0]] = scaled
    return box


def scale_to(picture: Pixels, width_px: int, height_px: int) -> Uint8Pixels:
    """The picture at exactly this size: area averaging to shrink (no aliasing), Lanczos to enlarge."""
    pixels = to_uint8(picture)
    if width_px <= pixels.shape[1] and height_px <= pixels.shape[0]:
        import cv2

        return np.asarray(cv2.resize(pixels, (width_px, height_px), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    enlarged = Image.fromarray(pixels).resize((width_px, height_px), Image.Resampling.LANCZOS)
    return np.asarray(enlarged, dtype=np.uint8)


def picture_grid(
    rows: Sequence[Sequence[Pixels | None]],
    *,
    column_labels: Sequence[str] = (),
    row_labels: Sequence[str] = (),
    cell_width_px: int | None = None,
) -> Uint8Pixels:
    """A grid of pictures with labels above columns and left of rows.

    Args:
        rows: pictures of any sizes, each scaled into a cell; None leaves its cell empty.
        column_labels: one per column, or none.
        row_labels: one per row, or none.
        cell_width_px: width of a cell; default: the first picture's width, whose aspect cells have.

    Raises:
        ValueError: there is no picture, or the number of labels is not that of rows or columns.
    """
    first = next((picture for row in rows for picture in row if picture is not None), None)
    if first is None:
        raise ValueError("a picture grid needs at least one picture")
    columns = max(len(row) for row in rows)
    if column_labels and len(column_labels) != columns:
        raise ValueError(f"{len(column_labels)} column labels for {columns} columns")
    if row_labels and len(row_labels) != len(rows):
        raise ValueError(f"{len(row_labels)} row labels for {len(rows)} rows")
    width = cell_width_px or first.shape[1]
    height = max(1, round(first.shape[0] * width / first.shape[1]))
    left = GAP_PX + (_text_width(row_labels) + GAP_PX if row_labels else 0)
    top = GAP_PX + (LABEL_HEIGHT_PX if column_labels else 0)
    sheet = np.full((top + len(rows) * (height + GAP_PX), left + columns * (width + GAP_PX), 3), _PAPER, dtype=np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            if picture is not None:
                y, x = top + i * (height + GAP_PX), left + j * (width + GAP_PX)
                sheet[y : y + height, x : x + width] = fit(picture, width, height)
    texts = [((left + j * (width + GAP_PX), GAP_PX), text, width) for j, text in enumerate(column_labels)]
    texts += [
        ((GAP_PX, top + i * (height + GAP_PX) + height // 2 - 8), text, left) for i, text in enumerate(row_labels)
    ]
    return _write(sheet, texts)


def four_panel(
    style: Pixels,
    original: Pixels,
    result: Pixels,
    difference: Pixels | None = None,
    *,
    labels: Sequence[str] = ("style", "original", "result", "difference"),
    panel_width_px: int | None = None,
) -> Uint8Pixels:
    """Style, original, result and difference side by side, as in the literature on style transfer.

    Args:
        style: the style picture that was trained on, of any size.
        original: the input frame.
        result: the stylized frame, of the original's size.
        difference: default: ``difference_picture(original, result)``.
        labels: above the panels.
        panel_width_px: width of one panel; default: the original's.

    Raises:
        ValueError: no difference is given and original and result differ in shape.
    """
    if difference is None:
        difference = difference_picture(original, result)
    width = panel_width_px or original.shape[1]
    height = max(1, round(original.shape[0] * width / original.shape[1]))
    panels = [fit(p, width, height) for p in (style, original, result, difference)]
    return picture_grid([panels], column_labels=tuple(labels))


def _font() -> Any:
    return ImageFont.load_default(size=14)  # part of Pillow: the same on every machine


def _text_width(texts: Sequence[str]) -> int:
    font = _font()
    return max(math.ceil(float(font.getlength(text))) for text in texts)


def _write(sheet: Uint8Pixels, texts: Sequence[tuple[tuple[int, int], str, int]]) -> Uint8Pixels:
    """Draws (position, text, maximum width) entries; a text that is too wide is cut with an ellipsis."""
    if not texts:
        return sheet
    picture = Image.fromarray(sheet)
    draw, font = ImageDraw.Draw(picture), _font()
    for position, text, widest in texts:
        shown = text
        while shown and font.getlength(shown) > widest:
            shown = shown[:-2].rstrip() + "…" if len(shown) > 2 else ""
        draw.text(position, shown, fill=_INK, font=font)
    return np.asarray(picture, dtype=np.uint8)
