"""Random training crops from the prepared store: a pure function of the seed and the step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stylegan_core.data.batch import Batch
from stylegan_core.data.crop_places import CropPicture, open_picture, refuse_small
from stylegan_core.data.manifest import ManifestError, parse_labels
from stylegan_core.data.store import Samples, SampleStore

_Rng = np.random.Generator
_STREAMS = {"pairs": 0, "content": 1, "style": 2, "unpainted": 3, "known": 4}
_ALIGNED = {"pairs": ("content", "style"), "known": ("known_content", "known_style")}
"""Pools that are drawn in pairs, and what the two halves are called in the batch."""


@dataclass(frozen=True)
class _Pool:
    """Pictures that one part of the batch is drawn from, and their attributes, (P, L), where they are asked for."""

    pictures: list[CropPicture]
    labels: Tensor | None


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
        labels: attributes of the content to bring along; one that a picture does not name is 0 there.
        known_fraction: bring this share of the pairs as known ones, at least one; the other pools stay as they are.
            Which pairs is a matter of their names alone, and a larger share holds a smaller one. Key frames that are
            painted in part are not among them.
        zoom_min: crops are cut at a random side of ``crop_px`` times something from here to 1, and enlarged; for a
            masked key frame the larger crop around it holds the painted part. 1 is off.
    Raises:
        ManifestError: there is nothing to draw from, no picture names one of ``labels``, or pictures are too small for
            ``crop_px``; it names them.
    """

    def __init__(  # noqa: PLR0913
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
        labels: Sequence[str] = (),
        known_fraction: float = 0.0,
        zoom_min: float = 1.0,
    ) -> None:
        if not content:
            raise ValueError("a recipe that trains on one folder needs content, not style alone")
        if not 0.0 < zoom_min <= 1.0 or not 0.0 <= known_fraction <= 1.0:
            raise ValueError(f"zoom_min {zoom_min} must lie in (0, 1], known_fraction {known_fraction} in [0, 1]")
        self.crop_px, self.batch_size, self.seed, self._zoom_min = crop_px, batch_size, seed, zoom_min
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
        if known_fraction:
            whole = [pair for pair in pair_rows(rows) if pd.isna(pair[1]["mask_sample"])]
            pools["known"] = [{**before, "after": after} for before, after in _known(whole, known_fraction)]
        where = f" of {', '.join(shots)}" if shots else ""
        for pool, members in pools.items():
            if not members and pool != "unpainted":
                what = "pairs, and known_fraction needs some" if pool == "known" else f"{pool} to train on"
                raise ManifestError(f"the prepared data{where} holds no {what}")
        refuse_small([r for members in pools.values() for r in members], crop_px)
        halves = [half for rows in pools.values() for row in rows for half in (row, row.get("after")) if half]
        self._pictures = len({half["sample"] for half in halves})
        self._pools = {
            name: _Pool(
                [open_picture(store, row, crop_px) for row in rows],
                _label_table(rows, labels) if labels and name in ("pairs", "content") else None,
            )
            for name, rows in pools.items()
            if rows
        }

    @property
    def pictures(self) -> int:
        """How many different pictures batches are drawn from, before and after counted each."""
        return self._pictures

    def batch(self, step: int) -> Batch:
        """The batch of ``step``, on the CPU.

        Args:
            step: 0 or more.
        """
        made: dict[str, Tensor] = {}
        for name, pool in self._pools.items():
            made.update(self._draw(name, pool, step))
        return Batch(**made)

    def _draw(self, name: str, pool: _Pool, step: int) -> dict[str, Tensor]:
        # One counter a pool and step: the draws of a pool stay the same when another pool is added.
        rng: _Rng = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, _STREAMS[name], step, 0]))
        draws = rng.random((self.batch_size, 3))
        windows = self._windows(rng)
        side, pictures = self.crop_px, pool.pictures
        paired = name in _ALIGNED
        masked = paired and any(p.mask is not None for p in pictures)
        before = torch.empty((self.batch_size, 3, side, side))
        after = torch.empty_like(before) if paired else None
        mask = torch.ones((self.batch_size, 1, side, side)) if masked else None
        # One crop at a time through a scratch that stays in the processor's cache: four times as fast as a batch.
        planes = np.empty((3, side, side), pictures[0].before.dtype)
        drawn = [int(which * len(pictures)) for which in draws[:, 0].tolist()]
        for i, (_, place, turn) in enumerate(draws.tolist()):
            picture = pictures[drawn[i]]
            x, y = picture.corner(place)
            left, top, width = windows[i]
            cut = (slice(y + top, y + top + width), slice(x + left, x + left + width))
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
            made = {name: before}
        else:
            made = dict(zip(_ALIGNED[name], (before, after), strict=True))
        if mask is not None:
            made["mask_unit"] = mask
        if pool.labels is not None:
            made["labels"] = pool.labels[drawn]
        return made

    def _windows(self, rng: _Rng) -> list[tuple[int, int, int]]:
        """Of each crop the part that is enlarged: left, top and side. Drawn last, so that no zoom changes nothing."""
        side = self.crop_px
        if self._zoom_min == 1.0:
            return [(0, 0, side)] * self.batch_size
        found = []
        for zoom, across, down in rng.random((self.batch_size, 3)).tolist():
            width = max(1, round(side * (self._zoom_min + (1.0 - self._zoom_min) * zoom)))
            found.append((int(across * (side - width + 1)), int(down * (side - width + 1)), width))
        return found


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


def _known(
    pairs: list[tuple[dict[str, Any], dict[str, Any]]], fraction: float
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The share of the pairs whose names have the lowest digests; at least one, where there is any."""
    if not pairs:
        return []
    ordered = sorted(pairs, key=lambda pair: hashlib.sha256(f"known:{pair[0]['pair']}".encode()).digest())
    return ordered[: max(1, round(fraction * len(pairs)))]


def _label_table(rows: list[dict[str, Any]], labels: Sequence[str]) -> Tensor:
    """(P, L) in {0, 1}: ``labels`` of each row."""
    parsed = [parse_labels(row["labels"]) for row in rows]
    known = sorted({name for row in parsed for name in row})
    if unknown := [name for name in labels if name not in known]:
        raise ManifestError(
            f"no training picture has the label {unknown[0]!r}; known are: {', '.join(known) or 'none'} "
            "(labels come from prepare.labels or from the layout)"
        )
    return torch.tensor([[float(row.get(name, False)) for name in labels] for row in parsed])


def _copy(crop: Samples, flip: bool, planes: Samples) -> None:
    """Copies an (H, W, C) crop to (C, S, S) planes, enlarged and mirrored if need be; OpenCV flips fastest."""
    channels, side = planes.shape[:2]
    if len(crop) != side:
        wide = crop.astype(np.float32) if crop.dtype == np.float16 else crop
        enlarged = cv2.resize(wide, (side, side), interpolation=cv2.INTER_LINEAR)
        crop = enlarged.reshape(side, side, channels).astype(crop.dtype, copy=False)
    if crop.dtype == np.float16:  # only moved, so its bits may pass for integers
        crop, planes = crop.view(np.uint16), planes.view(np.uint16)
    if flip:
        crop = cv2.flip(crop, 1).reshape(crop.shape)
    if channels == 1:
        planes[0] = crop[..., 0]
    else:
        cv2.split(crop, [planes[0], planes[1], planes[2]])
