"""Where crops of a prepared picture may lie: outside its held-out box, and where a style picture is painted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stylegan_core.data.manifest import Box, ManifestError, ManifestRow
from stylegan_core.data.store import Samples, SampleStore

_MIN_PAINTED = 0.25
"""Least painted share of a crop from a masked style picture, where the mask has such a place."""


@dataclass(frozen=True)
class CropPicture:
    """A picture, its style version and mask where it has them, and where crops may lie.

    Attributes:
        content: (H, W, 3) samples.
        style: (H, W, 3) samples of its style version, or None.
        mask: (H, W, 1) samples, which part of ``style`` is painted; None is all of it.
        guide: (H, W, 4) samples, its guide and the confidence, or None.
        corners: (R, 4) of x, y, width, height: the disjoint rectangles of allowed top left corners.
        masked_corners: flat indexes (y * width + x) of the allowed corners, instead, where there is a mask.
    """

    content: Samples
    style: Samples | None = None
    mask: Samples | None = None
    guide: Samples | None = None
    corners: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 4), np.int64))
    masked_corners: npt.NDArray[np.int64] | None = None

    def corner(self, position_unit: float) -> tuple[int, int]:
        """The allowed corner (x, y) at this position in [0, 1) of all of them."""
        if self.masked_corners is not None:
            index = int(position_unit * len(self.masked_corners))
            y, x = divmod(int(self.masked_corners[index]), self.content.shape[1])
            return x, y
        counts = self.corners[:, 2] * self.corners[:, 3]
        index = int(position_unit * counts.sum())
        for (x, y, width, _), count in zip(self.corners.tolist(), counts.tolist(), strict=True):
            if index < count:
                return x + index % width, y + index // width
            index -= count
        raise AssertionError(f"position_unit must lie in [0, 1), got {position_unit}")


def refuse_small(rows: Iterable[ManifestRow], side: int) -> None:
    """Raises if a picture is smaller than a crop.

    Raises:
        ManifestError: it names the first few.
    """
    small = [f"{r.path} ({r.width_px} x {r.height_px})" for r in rows if min(r.width_px, r.height_px) < side]
    if small:
        more = f" and {len(small) - 5} more" if len(small) > 5 else ""
        raise ManifestError(
            f"smaller than the training crops of {side} px: {', '.join(small[:5])}{more}; lower crop_px, or raise "
            "prepare.min_side_px so that prepare refuses them"
        )


def open_picture(
    store: SampleStore,
    content: ManifestRow,
    style: ManifestRow | None,
    side: int,
    guides: Mapping[int, Samples] | None = None,
) -> CropPicture:
    """The picture of a manifest's row, and where crops of ``side`` pixels may lie in it.

    Args:
        store: the prepared pictures.
        content: row of the picture, of either domain where it is drawn alone.
        style: row of its style version, or None.
        side: of the crops, pixels.
        guides: guides by index in the store.
    Raises:
        ManifestError: the two halves differ in size, or no crop avoids the held-out box or holds a painted pixel.
    """
    samples = store.sample_of(content)
    height, width = samples.shape[:2]
    style_samples = store.sample_of(style) if style else None
    if style and style_samples is not None and style_samples.shape != samples.shape:
        raise ManifestError(f"{style.path} and {content.path} differ in size: run the stage prepare again")
    boxes = [row.held_out for row in (content, style) if row and row.held_out]
    allowed = [Box(0, 0, width - side + 1, height - side + 1)]
    for box in boxes:
        # A crop touches the box if its corner lies less than a side before it, or inside it.
        shadow = Box(box.x - side + 1, box.y - side + 1, box.width + side - 1, box.height + side - 1)
        allowed = [rest for rectangle in allowed for rest in _without(rectangle, shadow)]
    if not allowed:
        raise ManifestError(
            f"no crop of {side} px in {content.path} ({width} x {height}) avoids its held-out box {boxes[0]}: "
            "lower crop_px or prepare.validation_fraction"
        )
    corners = np.asarray(allowed, np.int64)
    guide = None if content.sample is None else (guides or {}).get(content.sample)
    if style is None or style.mask_sample is None:
        return CropPicture(samples, style_samples, guide=guide, corners=corners)
    mask = store.sample(style.mask_sample)
    masked_corners = _painted_corners(mask[..., 0], corners, side, style.path)
    return CropPicture(samples, style_samples, mask, guide, corners, masked_corners)


def _painted_corners(mask: Samples, corners: npt.NDArray[np.int64], side: int, path: str) -> npt.NDArray[np.int64]:
    """Flat indexes of the allowed corners whose crop is painted enough."""
    height, width = mask.shape
    full = 1.0 if mask.dtype == np.float16 else float(np.iinfo(mask.dtype).max)
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = np.cumsum(np.cumsum(mask / full, axis=0, dtype=np.float64), axis=1)
    share = (sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]) / side**2
    allowed = np.zeros(share.shape, bool)
    for x, y, w, h in corners.tolist():
        allowed[y : y + h, x : x + w] = True
    share = np.where(allowed, share, 0.0)
    if share.max() < 1.0 / side**2:
        raise ManifestError(f"no crop of {side} px outside the held-out box of {path} holds a pixel of its mask")
    y, x = np.nonzero(share >= min(_MIN_PAINTED, 0.5 * float(share.max())))
    return np.asarray(y * width + x, np.int64)


def _without(rectangle: Box, hole: Box) -> list[Box]:
    """The part of ``rectangle`` outside ``hole`` as disjoint rectangles."""
    x0, y0 = rectangle.x, rectangle.y
    x1, y1 = x0 + rectangle.width, y0 + rectangle.height
    left, right = max(x0, min(hole.x, x1)), max(x0, min(hole.x + hole.width, x1))
    top, bottom = max(y0, min(hole.y, y1)), max(y0, min(hole.y + hole.height, y1))
    parts = [
        Box(x0, y0, x1 - x0, top - y0),
        Box(x0, bottom, x1 - x0, y1 - bottom),
        Box(x0, top, left - x0, bottom - top),
        Box(right, top, x1 - right, bottom - top),
    ]
    return [part for part in parts if part.width > 0 and part.height > 0]
