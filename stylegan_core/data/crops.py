"""Random training crops from the prepared store: a pure function of the seed and the step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from stylegan_core.choices import ZoomFilter
from stylegan_core.data.batch import Batch
from stylegan_core.data.crop_positions import CropPicture, open_picture, refuse_small
from stylegan_core.data.manifest import Manifest, ManifestError, ManifestRow, parse_labels
from stylegan_core.data.store import Samples, SampleStore

_INTERPOLATION = {"linear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST_EXACT}
_Rng = np.random.Generator
_STREAMS = {"pairs": 0, "content": 1, "style": 2, "unpainted": 3, "known": 4}
_ALIGNED = {"pairs": ("content", "style"), "known": ("known_content", "known_style")}
"""Pools that are drawn in pairs, and the names of the two halves in the batch."""

_GUIDED = {"pairs": "guide", "unpainted": "unpainted_guide"}
"""Pools whose pictures bring their guides to the batch, and the names of these there."""
_NO_GUIDE = (0.0, 0.0, 0.0, -1.0)

_LABELLED = ("pairs", "content")
"""Pools whose pictures bring their attributes to the batch."""

_PoolRow = tuple[ManifestRow, ManifestRow | None]
"""A picture to draw, and its style version where the pool is drawn in pairs."""


@dataclass(frozen=True)
class _Pool:
    """Pictures that a part of the batch is drawn from, and their attributes, (P, L), where the recipe needs them."""

    pictures: list[CropPicture]
    labels: Tensor | None


@dataclass(frozen=True)
class _Cut:
    """Where a crop lies in its picture, and whether it is mirrored."""

    rows: slice
    columns: slice
    mirrored: bool


class CropSampler:
    """Draws batches of random crops.

    ``batch(step)`` depends on the arguments below and the step alone, so a resumed run needs only its step. Pictures
    are drawn evenly, whatever their size; crops never touch a held-out box; crops of a masked style picture hold a
    painted part.

    Args:
        store: the prepared pictures.
        manifest: its rows.
        content: the recipe needs content crops; always true.
        style: the recipe needs style crops.
        paired: only pairs are drawn, content and style with aligned crops.
        unpainted: add content crops that have no style version, where there are any: from the shots of the pairs.
        crop_px: side of the crops.
        batch_size: crops a batch.
        seed: of the draws; give each process of a distributed run its own.
        shots: only pictures of these shots; empty is every picture.
        labels: attributes of the content to add; one that a picture does not name is 0 there.
        known_fraction: add this share of the pairs as known ones, at least one; the other pools do not change. The
            choice depends on the pair ids alone, and a larger share contains a smaller one. Pairs with a mask are not
            among them.
        zoom_min: crops are cut with a side drawn between ``zoom_min`` and 1 times ``crop_px``, and enlarged; for a
            masked style picture the crop of ``crop_px`` around it holds the painted part. 1 is off.
        mirror: half of the crops are mirrored horizontally.
        content_filter: how content crops are enlarged, with a ``zoom_min`` below 1; nearest for label maps, whose
            colours a mean would mix to other labels'.
        guides: guides by index in the store, see ``training_guides``; None: the recipe takes none.
    Raises:
        ManifestError: there is nothing to draw from, no picture names one of ``labels``, or pictures are too small for
            ``crop_px``; it names them.
    """

    def __init__(  # noqa: PLR0913
        self,
        store: SampleStore,
        manifest: Manifest,
        *,
        content: bool = True,
        style: bool = True,
        paired: bool = False,
        unpainted: bool = False,
        crop_px: int,
        batch_size: int,
        seed: int,
        shots: Sequence[str] = (),
        labels: Sequence[str] = (),
        known_fraction: float = 0.0,
        zoom_min: float = 1.0,
        mirror: bool = True,
        content_filter: ZoomFilter = "linear",
        guides: Mapping[int, Samples] | None = None,
    ) -> None:
        if not content:
            raise ValueError("a recipe that trains on one folder needs content, not style alone")
        if not 0.0 < zoom_min <= 1.0 or not 0.0 <= known_fraction <= 1.0:
            raise ValueError(f"zoom_min {zoom_min} must lie in (0, 1], known_fraction {known_fraction} in [0, 1]")
        self.crop_px, self.batch_size, self.seed, self._zoom_min = crop_px, batch_size, seed, zoom_min
        self._mirror, self._guided, self._content_filter = mirror, guides is not None, content_filter
        rows = stored_rows(manifest, "train", shots)
        pools = _pool_rows(rows, style, paired, unpainted)
        if known_fraction:
            pools["known"] = _known_pairs(pair_rows(rows), known_fraction)
        _check_pools(pools, shots)
        refuse_small((content for members in pools.values() for content, _ in members), crop_px)
        drawn = (row for members in pools.values() for pair in members for row in pair if row)
        self._pictures = len({row.sample for row in drawn})
        self._pools = {
            name: _Pool(
                [open_picture(store, content, style, crop_px, guides) for content, style in members],
                _label_table([row for row, _ in members], labels) if labels and name in _LABELLED else None,
            )
            for name, members in pools.items()
            if members
        }

    @property
    def pictures(self) -> int:
        """How many different pictures batches are drawn from, content and style counted each."""
        return self._pictures

    def batch(self, step: int) -> Batch:
        """The batch of ``step``, on the CPU.

        Args:
            step: 0 or more.
        """
        parts: dict[str, Tensor] = {}
        for name, pool in self._pools.items():
            parts.update(self._draw(name, pool, step))
        return Batch(**parts)

    def _draw(self, name: str, pool: _Pool, step: int) -> dict[str, Tensor]:
        # One counter a pool and step: the draws of a pool stay the same when another pool is added.
        rng: _Rng = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, _STREAMS[name], step, 0]))
        draws = rng.random((self.batch_size, 3))
        windows = self._windows(rng)
        drawn = [int(which * len(pool.pictures)) for which in draws[:, 0].tolist()]
        pictures = [pool.pictures[index] for index in drawn]
        cuts = []
        for picture, (_, position, turn), (left, top, width) in zip(pictures, draws.tolist(), windows, strict=True):
            x, y = picture.corner(position)
            rows, columns = slice(y + top, y + top + width), slice(x + left, x + left + width)
            cuts.append(_Cut(rows, columns, self._mirror and turn < 0.5))
        first = _ALIGNED[name][0] if name in _ALIGNED else name
        zoom: ZoomFilter = "linear" if name == "style" else self._content_filter
        parts = {first: self._crops([p.content for p in pictures], cuts, 3, zoom=zoom)}
        if name in _ALIGNED:
            parts[_ALIGNED[name][1]] = self._crops([p.style for p in pictures], cuts, 3)
            if any(p.mask is not None for p in pool.pictures):
                parts["mask_unit"] = self._crops([p.mask for p in pictures], cuts, 1).add_(1.0).mul_(0.5)
        if name in _GUIDED and self._guided:
            parts[_GUIDED[name]] = self._crops([p.guide for p in pictures], cuts, 4, missing=_NO_GUIDE)
        if pool.labels is not None:
            parts["labels"] = pool.labels[drawn]
        return parts

    def _crops(
        self,
        layers: Sequence[Samples | None],
        cuts: Sequence[_Cut],
        channels: int,
        missing: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        zoom: ZoomFilter = "linear",
    ) -> Tensor:
        """(N, C, S, S) in [-1, 1]; ``missing`` by channel where a picture has no such layer."""
        side = self.crop_px
        crops = torch.tensor(missing[:channels]).view(1, channels, 1, 1).repeat(len(cuts), 1, side, side)
        kinds = [layer.dtype for layer in layers if layer is not None]
        # One crop at a time through a scratch that stays in the processor's cache: four times as fast as a batch.
        planes = np.empty((channels, side, side), kinds[0] if kinds else np.uint8)
        for crop, layer, cut in zip(crops, layers, cuts, strict=True):
            if layer is not None:
                _copy(layer[cut.rows, cut.columns], cut.mirrored, planes, zoom)
                _to_signed(planes, crop)
        return crops

    def _windows(self, rng: _Rng) -> list[tuple[int, int, int]]:
        """The part of each crop that is enlarged: left, top and side. Drawn last: other draws do not depend on it."""
        side = self.crop_px
        if self._zoom_min == 1.0:
            return [(0, 0, side)] * self.batch_size
        found = []
        for zoom, across, down in rng.random((self.batch_size, 3)).tolist():
            width = max(1, round(side * (self._zoom_min + (1.0 - self._zoom_min) * zoom)))
            found.append((int(across * (side - width + 1)), int(down * (side - width + 1)), width))
        return found


def signed(samples: Samples) -> Tensor:
    """Samples of any of the store's types and any shape as float32; the unit range [0, 1] maps to [-1, 1]."""
    result = torch.empty(samples.shape)
    _to_signed(samples, result)
    return result


def _to_signed(samples: Samples, result: Tensor) -> None:
    scale = 2.0 if samples.dtype == np.float16 else 2.0 / float(np.iinfo(samples.dtype).max)
    # torch converts bytes ten times faster than numpy, but supports uint16 too little.
    known = samples if samples.dtype == np.uint8 else samples.astype(np.float32)
    result.copy_(torch.from_numpy(known)).mul_(scale).sub_(1.0)


def stored_rows(manifest: Manifest, split: str, shots: Sequence[str] = ()) -> list[ManifestRow]:
    """Rows of a split that are in the store, of ``shots`` where any are named, in the manifest's order."""
    rows = [row for row in manifest if row.split == split and row.sample is not None]
    return [row for row in rows if row.shot in shots] if shots else rows


def pair_rows(rows: Sequence[ManifestRow]) -> list[tuple[ManifestRow, ManifestRow]]:
    """(content row, style row) of each pair that has both, by pair id in the rows' order."""
    styles = {row.pair: row for row in rows if row.domain == "style" and row.pair}
    return [(row, styles[row.pair]) for row in rows if row.domain == "content" and row.pair in styles]


def _pool_rows(rows: Sequence[ManifestRow], style: bool, paired: bool, unpainted: bool) -> dict[str, list[_PoolRow]]:
    """The rows that each pool of the batch is drawn from."""
    content = [row for row in rows if row.domain == "content"]
    free = [row for row in content if not row.pair]
    pools: dict[str, list[_PoolRow]] = {}
    if paired:
        pairs = pair_rows(rows)
        pools["pairs"] = list(pairs)
        if shots := {row.shot for row, _ in pairs} - {""}:
            free = [row for row in free if row.shot in shots]
    else:
        pools["content"] = _alone(content)
        if style:
            pools["style"] = _alone([row for row in rows if row.domain == "style"])
    if unpainted:
        pools["unpainted"] = _alone(free)
    return pools


def _alone(rows: Sequence[ManifestRow]) -> list[_PoolRow]:
    return [(row, None) for row in rows]


def _known_pairs(pairs: Sequence[tuple[ManifestRow, ManifestRow]], fraction: float) -> list[_PoolRow]:
    """The share of the pairs without masks whose ids have the lowest digests; at least one, where there is any."""
    whole: list[_PoolRow] = [(content, style) for content, style in pairs if style.mask_sample is None]
    ordered = sorted(whole, key=lambda pair: hashlib.sha256(f"known:{pair[0].pair}".encode()).digest())
    return ordered[: max(1, round(fraction * len(ordered)))]


def _check_pools(pools: Mapping[str, Sequence[_PoolRow]], shots: Sequence[str]) -> None:
    where = f" of {', '.join(shots)}" if shots else ""
    for pool, members in pools.items():
        if not members and pool != "unpainted":
            what = "pairs, and known_fraction needs some" if pool == "known" else f"{pool} to train on"
            raise ManifestError(f"the prepared data{where} holds no {what}")


def _label_table(rows: Sequence[ManifestRow], labels: Sequence[str]) -> Tensor:
    """(P, L) in {0, 1}: ``labels`` of each row."""
    parsed = [parse_labels(row.labels) for row in rows]
    known = sorted({name for row in parsed for name in row})
    if unknown := [name for name in labels if name not in known]:
        raise ManifestError(
            f"no training picture has the label {unknown[0]!r}; known are: {', '.join(known) or 'none'} "
            "(labels come from prepare.labels or from the layout)"
        )
    return torch.tensor([[float(row.get(name, False)) for name in labels] for row in parsed])


def _copy(crop: Samples, flip: bool, planes: Samples, zoom: ZoomFilter) -> None:
    """Copies an (H, W, C) crop to (C, S, S) planes, enlarged if it is smaller, and mirrored; OpenCV flips fastest."""
    channels, side = planes.shape[:2]
    if len(crop) != side:
        wide = crop.astype(np.float32) if crop.dtype == np.float16 else crop
        enlarged = cv2.resize(wide, (side, side), interpolation=_INTERPOLATION[zoom])
        crop = enlarged.reshape(side, side, channels).astype(crop.dtype, copy=False)
    if crop.dtype == np.float16:  # only moved, so that its bits can be treated as integers
        crop, planes = crop.view(np.uint16), planes.view(np.uint16)
    if flip:
        crop = cv2.flip(crop, 1).reshape(crop.shape)
    if channels == 1:
        planes[0] = crop[..., 0]
    else:
        cv2.split(crop, list(planes))
