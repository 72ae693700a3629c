"""What training is validated on: held-out areas of key frames, and held-out pictures of collections."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stylegan_core.data.crops import pair_rows, signed, stored_rows
from stylegan_core.data.manifest import Box, parse_box, parse_labels
from stylegan_core.data.store import Samples, SampleStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ValidationArea:
    """An area that training does not see, with context around it.

    Attributes:
        name: path of its content picture.
        content: (1, 3, H, W) in [-1, 1]: the area and its context.
        style: the same pixels painted, or None where there is no pair.
        mask_unit: (1, 1, H, W) in [0, 1], which part is painted; None is all of it.
        box: the area itself, in pixels of ``content``; figures are taken on it alone.
        wish: (1, L) in [-1, 1], the change of attributes that it is validated with, or None where there are none.
    """

    name: str
    content: Tensor
    style: Tensor | None
    mask_unit: Tensor | None
    box: Box
    wish: Tensor | None = None

    def inside(self, picture: Tensor) -> Tensor:
        """The part of a (N, C, H, W) picture of ``content``'s size that lies in the box."""
        box = self.box
        return picture[..., box.y : box.y + box.height, box.x : box.x + box.width]


@dataclass(frozen=True)
class ValidationSet:
    """Areas to translate, and style crops to compare with where there are no pairs.

    Attributes:
        areas: in the manifest's order; empty where nothing is held out.
        references: (1, 3, H, W) in [-1, 1] each: held-out crops of the style domain; empty for pairs, and without a
            style domain.
    """

    areas: tuple[ValidationArea, ...]
    references: tuple[Tensor, ...] = ()


def validation_set(
    store: SampleStore,
    manifest: pd.DataFrame,
    *,
    paired: bool,
    shots: Sequence[str] = (),
    labels: Sequence[str] = (),
    context_px: int = 64,
    side_px: int = 256,
    limit: int = 16,
) -> ValidationSet:
    """Collects what to validate on; the same for the same prepared data, with nothing random.

    Args:
        store: the prepared pictures.
        manifest: its table.
        paired: held-out boxes of key frames and pairs of the split "validation". A recipe without pairs is validated
            on them too where every style picture has its pair; else on pictures of that split, or, where so few
            pictures are there that none is in it, of the split "train", which is logged.
        shots: only these shots; empty is every one.
        labels: attributes that the recipe edits: one of them is changed in each area, by turns.
        context_px: pixels around a held-out box that the network sees beside it, where the picture has them.
        side_px: side of the centre crop of a picture of a collection; smaller pictures are taken whole.
        limit: pictures of a collection at the most, evenly spread.
    """
    held, trained = stored_rows(manifest, "validation", shots), stored_rows(manifest, "train", shots)
    styles = [row for row in (*held, *trained) if row["domain"] == "style"]
    if paired or (styles and all(row["pair"] for row in styles)):
        boxed = [pair for pair in pair_rows(trained) if pair[1]["held_out"]]
        areas = [_area(store, before, after, parse_box(after["held_out"]), context_px) for before, after in boxed]
        whole = _spread(pair_rows(held), limit)
        areas += [_area(store, before, after, _centre(before, side_px), 0) for before, after in whole]
        if paired or areas:
            return ValidationSet(_wishing([before for before, _ in (*boxed, *whole)], areas, labels))
    contents = _spread(_of_domain("content", held, trained), limit)
    references = _spread(_of_domain("style", held, trained), limit) if styles else []
    return ValidationSet(
        _wishing(contents, [_area(store, row, None, _centre(row, side_px), 0) for row in contents], labels),
        tuple(_tensor(store.sample(int(row["sample"])), _centre(row, side_px)) for row in references),
    )


def _area(
    store: SampleStore, before: dict[str, Any], after: dict[str, Any] | None, box: Box | None, context_px: int
) -> ValidationArea:
    width, height = int(before["width_px"]), int(before["height_px"])
    box = box or Box(0, 0, width, height)
    left, top = max(0, box.x - context_px), max(0, box.y - context_px)
    right, bottom = min(width, box.x + box.width + context_px), min(height, box.y + box.height + context_px)
    cut = Box(left, top, right - left, bottom - top)
    masked = after is not None and not pd.isna(after["mask_sample"])
    return ValidationArea(
        name=str(before["path"]),
        content=_tensor(store.sample(int(before["sample"])), cut),
        style=_tensor(store.sample(int(after["sample"])), cut) if after else None,
        mask_unit=_tensor(store.sample(int(after["mask_sample"])), cut).add(1.0).mul(0.5) if after and masked else None,
        box=Box(box.x - left, box.y - top, box.width, box.height),
    )


def _wishing(
    rows: Sequence[dict[str, Any]], areas: Sequence[ValidationArea], labels: Sequence[str]
) -> tuple[ValidationArea, ...]:
    """The areas with a wish each: an attribute that its picture has is taken away, one that it lacks is given."""
    if not labels:
        return tuple(areas)
    wishing = []
    for index, (row, area) in enumerate(zip(rows, areas, strict=True)):
        wish, which = torch.zeros(1, len(labels)), index % len(labels)
        wish[0, which] = -1.0 if parse_labels(row["labels"]).get(labels[which], False) else 1.0
        wishing.append(replace(area, wish=wish))
    return tuple(wishing)


def _tensor(picture: Samples, box: Box) -> Tensor:
    crop = picture[box.y : box.y + box.height, box.x : box.x + box.width]
    planes: Tensor = signed(np.ascontiguousarray(crop.transpose(2, 0, 1)))
    return torch.unsqueeze(planes, 0)


def _of_domain(domain: str, held: list[dict[str, Any]], trained: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if chosen := [row for row in held if row["domain"] == domain]:
        return chosen
    _log.warning("no %s picture is held out: validating on pictures that training sees", domain)
    return [row for row in trained if row["domain"] == domain]


def _centre(row: dict[str, Any], side_px: int) -> Box:
    width, height = min(int(row["width_px"]), side_px), min(int(row["height_px"]), side_px)
    return Box((int(row["width_px"]) - width) // 2, (int(row["height_px"]) - height) // 2, width, height)


def _spread(rows: list[Any], limit: int) -> list[Any]:
    """At most ``limit`` of the rows, evenly spread, in order."""
    if len(rows) <= limit:
        return rows
    return [rows[index * len(rows) // limit] for index in range(limit)]
