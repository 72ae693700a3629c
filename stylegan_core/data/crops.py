"""Random training crops from the prepared store: a pure function of the seed and the step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from stylegan_core.data.batch import Batch
from stylegan_core.data.manifest import Box, ManifestError, parse_box
from stylegan_core.data.store import Samples, SampleStore

_MIN_PAINTED = 0.25
"""Least painted share of a crop from a masked key frame, where the mask has such a place."""

_Rng = np.random.Generator
_STREAMS = {"pairs": 0, "content": 1, "style": 2, "unpainted": 3}


@dataclass(frozen=True)
class _Picture:
    """A picture, its painted version and mask where it has them, and where crops may lie.

    ``corners`` is an (R, 4) list of x, y, width, height: the disjoint rectangles of allowed top left corners; for a
    masked picture ``chosen`` holds the flat indexes (y * width + x) of the allowed ones instead.
    """

    before: Samples
    after: Samples | None = None
    mask: Samples | None = None
    corners: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 4), np.int64))
    chosen: npt.NDArray[np.int64] | None = None

    def corner(self, place: float) -> tuple[int, int]:
        """The allowed corner (x, y) at ``place`` in [0, 1) of all of them."""
        if self.chosen is not None:
            y, x = divmod(int(self.chosen[int(place * len(self.chosen))]), self.before.shape[1])
            return x, y
        counts = self.corners[:, 2] * self.corners[:, 3]
        index = int(place * counts.sum())
        for (x, y, width, _), count in zip(self.corners.tolist(), counts.tolist(), strict=True):
            if index < count:
                return x + index % width, y + index // width
            index -= count
        raise AssertionError("place is in [0, 1)")


class CropSampler:
    """Draws batches of random, horizontally flipped crops.

    ``batch(step)`` depends on the arguments below and the step alone, so a resumed run needs only its step. Pictures
    are drawn evenly, whatever their size; crops never touch a held-out box; crops of a masked key frame hold a painted
    part.

    Args:
        store: the prepared pictures.
        manifest: its table.
        content: the recipe needs content crops; always true.
        style: the recipe needs style crops.
        paired: style is the painted version of content: only pairs are drawn, with aligned crops.
        unpainted: add content crops that have no painting, where there are any: from the shots of the pairs.
        crop_px: side of the crops.
        batch_size: crops a batch.
        seed: of the draws; give each process of a distributed run its own.
        shots: only pictures of these shots; empty is every picture.
    Raises:
        ManifestError: there is nothing to draw from, or pictures are too small for ``crop_px``; it names them.
    """

    def __init__(
        self,
        store: SampleStore,
        manifest: pd.DataFrame,
        *,
        content: bool = True,
        style: bool = True,
        paired: bool = False,
        unpainted: bool = False,
        crop_px: int,
        batch_size: int,
        seed: int,
        shots: Sequence[str] = (),
    ) -> None:
        if not content:
            raise ValueError("a recipe that trains on one folder needs content, not style alone")
        self.crop_px, self.batch_size, self.seed = crop_px, batch_size, seed
        rows = training_rows(manifest, shots)
        pools: dict[str, list[dict[str, Any]]] = {}
        if paired:
            pairs = pair_rows(rows)
            pools["pairs"] = [{**before, "after": after} for before, after in pairs]
            if unpainted:
                names = {before["shot"] for before, _ in pairs} - {""}
                free = [r for r in rows if r["domain"] == "content" and not r["pair"]]
                pools["unpainted"] = [r for r in free if r["shot"] in names] if names else free
        else:
            pools["content"] = [r for r in rows if r["domain"] == "content"]
            if style:
                pools["style"] = [r for r in rows if r["domain"] == "style"]
            if unpainted:
                pools["unpainted"] = [r for r in rows if r["domain"] == "content" and not r["pair"]]
        where = f" of {', '.join(shots)}" if shots else ""
        for pool, members in pools.items():
            if not members and pool != "unpainted":
                raise ManifestError(f"the prepared data{where} holds no {pool} to train on")
        _refuse_small([r for members in pools.values() for r in members], crop_px)
        self._pools = {name: [_picture(store, row, crop_px) for row in rows] for name, rows in pools.items() if rows}

    def batch(self, step: int) -> Batch:
        """The batch of ``step``, on the CPU.

        Args:
            step: 0 or more.
        """
        made: dict[str, Tensor] = {}
        for name, pictures in self._pools.items():
            made.update(self._draw(name, pictures, step))
        return Batch(**made)

    def _draw(self, pool: str, pictures: list[_Picture], step: int) -> dict[str, Tensor]:
        # One counter a pool and step: the draws of a pool stay the same when another pool is added.
        rng: _Rng = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, _STREAMS[pool], step, 0]))
        draws = rng.random((self.batch_size, 3))
        side, kind = self.crop_px, pictures[0].before.dtype
        paired = pool == "pairs"
        masked = paired and any(p.mask is not None for p in pictures)
        before = torch.empty((self.batch_size, 3, side, side))
        after = torch.empty_like(before) if paired else None
        mask = torch.ones((self.batch_size, 1, side, side)) if masked else None
        # One crop at a time through a scratch that stays in the processor's cache: four times as fast as a batch.
        planes = np.empty((3, side, side), kind)
        for i, (which, place, turn) in enumerate(draws.tolist()):
            picture = pictures[int(which * len(pictures))]
            x, y = picture.corner(place)
            cut = (slice(y, y + side), slice(x, x + side))
            _copy(picture.before[cut], turn < 0.5, planes)
            _to_signed(planes, before[i])
            if after is not None and picture.after is not None:
                _copy(picture.after[cut], turn < 0.5, planes)
                _to_signed(planes, after[i])
            if mask is not None and picture.mask is not None:
                _copy(picture.mask[cut], turn < 0.5, planes[:1])
                _to_signed(planes[:1], mask[i])
                mask[i].add_(1.0).mul_(0.5)
        if after is None:
            return {pool: before}
        return {"content": before, "style": after} | ({"mask_unit": mask} if mask is not None else {})


def signed(samples: Samples) -> Tensor:
    """Samples of any of the store's types and any shape as float32; the unit range [0, 1] becomes [-1, 1]."""
    result = torch.empty(samples.shape)
    _to_signed(samples, result)
    return result


def _to_signed(samples: Samples, result: Tensor) -> None:
    scale = 2.0 if samples.dtype == np.float16 else 2.0 / float(np.iinfo(samples.dtype).max)
    # torch converts bytes ten times faster than numpy, and knows too little of uint16.
    known = samples if samples.dtype == np.uint8 else samples.astype(np.float32)
    result.copy_(torch.from_numpy(known)).mul_(scale).sub_(1.0)


def training_rows(manifest: pd.DataFrame, shots: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rows of the split "train" that are in the store, of ``shots`` where any are named."""
    return stored_rows(manifest, "train", shots)


def stored_rows(manifest: pd.DataFrame, split: str, shots: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rows of a split that are in the store, of ``shots`` where any are named, in the manifest's order."""
    chosen = manifest[(manifest["split"] == split) & manifest["sample"].notna()]
    if shots:
        chosen = chosen[chosen["shot"].isin(list(shots))]
    return [{str(k): v for k, v in row.items()} for row in chosen.to_dict("records")]


def pair_rows(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(content row, style row) of each pair that has both, by pair id in the rows' order."""
    after = {r["pair"]: r for r in rows if r["domain"] == "style" and r["pair"]}
    return [(r, after[r["pair"]]) for r in rows if r["domain"] == "content" and r["pair"] in after]


def _picture(store: SampleStore, row: dict[str, Any], side: int) -> _Picture:
    before = store.sample(int(row["sample"]))
    height, width = before.shape[:2]
    painted: dict[str, Any] = row.get("after") or {}
    boxes = [box for box in (parse_box(row["held_out"]), parse_box(painted.get("held_out", ""))) if box]
    after = store.sample(int(painted["sample"])) if painted else None
    if after is not None and after.shape != before.shape:
        raise ManifestError(f"{painted['path']} and {row['path']} differ in size: run the stage prepare again")
    allowed = [Box(0, 0, width - side + 1, height - side + 1)]
    for box in boxes:
        # A crop touches the box if its corner lies less than a side before it, or inside it.
        shadow = Box(box.x - side + 1, box.y - side + 1, box.width + side - 1, box.height + side - 1)
        allowed = [rest for rectangle in allowed for rest in _without(rectangle, shadow)]
    if not allowed:
        raise ManifestError(
            f"no crop of {side} px in {row['path']} ({width} x {height}) avoids its held-out box {boxes[0]}: "
            "lower crop_px or prepare.validation_fraction"
        )
    corners = np.asarray(allowed, np.int64)
    if not painted or pd.isna(painted["mask_sample"]):
        return _Picture(before, after, corners=corners)
    mask = store.sample(int(painted["mask_sample"]))
    return _Picture(before, after, mask, corners, _painted_corners(mask[..., 0], corners, side, painted["path"]))


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


def _copy(crop: Samples, flip: bool, planes: Samples) -> None:
    """Copies an (H, W, C) crop to (C, H, W) planes, mirrored if asked; OpenCV does so ten times faster than numpy."""
    if crop.dtype == np.float16:  # only moved, so its bits may pass for integers
        crop, planes = crop.view(np.uint16), planes.view(np.uint16)
    if flip:
        crop = cv2.flip(crop, 1).reshape(crop.shape)
    if len(planes) == 1:
        planes[0] = crop[..., 0]
    else:
        cv2.split(crop, [planes[0], planes[1], planes[2]])


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


def _refuse_small(rows: list[dict[str, Any]], side: int) -> None:
    too_small = [r for r in rows if min(r["width_px"], r["height_px"]) < side]
    small = [f"{r['path']} ({r['width_px']} x {r['height_px']})" for r in too_small]
    if small:
        more = f" and {len(small) - 5} more" if len(small) > 5 else ""
        raise ManifestError(
            f"smaller than the training crops of {side} px: {', '.join(small[:5])}{more}; lower crop_px, or raise "
            "prepare.min_side_px so that prepare leaves them out"
        )
