"""The validation set: held-out areas of style frames and pairs, and held-out pictures of collections."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from stylegan_core.data.crops import pair_rows, signed, stored_rows
from stylegan_core.data.manifest import Box, Manifest, ManifestRow, parse_labels
from stylegan_core.data.store import Samples, SampleStore

_log = logging.getLogger(__name__)

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class ValidationArea:
    """An area that training does not see, with context around it.

    Attributes:
        name: path of its content picture.
        content: (1, 3, H, W) in [-1, 1]: the area and its context.
        style: the same pixels painted, or None where there is no pair.
        mask_unit: (1, 1, H, W) in [0, 1], which part is painted; None is all of it.
        box: the area itself, in pixels of ``content``; figures are taken on it alone.
        attribute_change: (1, L) in [-1, 1], 1 adds an attribute and -1 removes it; None without attributes.
        guide: (1, 4, H, W) in [-1, 1], guide of ``content`` and its confidence; None if there is none.
    """

    name: str
    content: Tensor
    style: Tensor | None
    mask_unit: Tensor | None
    box: Box
    attribute_change: Tensor | None = None
    guide: Tensor | None = None

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
    manifest: Manifest,
    *,
    paired: bool,
    shots: Sequence[str] = (),
    labels: Sequence[str] = (),
    guides: Mapping[int, Samples] | None = None,
    context_px: int = 64,
    side_px: int = 256,
    limit: int = 16,
) -> ValidationSet:
    """Collects what to validate on; the same for the same prepared data, with nothing random.

    Args:
        store: the prepared pictures.
        manifest: its rows.
        paired: held-out boxes of key frames and pairs of the split "validation". A recipe without pairs is validated
            on them too where every style picture has its pair; else on pictures of that split, or, where so few
            pictures are there that none is in it, of the split "train", which is logged.
        shots: only these shots; empty is every one.
        labels: attributes that the recipe edits: one of them is changed in each area, by turns.
        guides: guides of the pictures by index in the store, see ``training_guides``; None: the recipe takes none.
        context_px: pixels around a held-out box that the network sees too, where the picture has them.
        side_px: side of the centre crop of a picture of a collection; smaller pictures are taken whole.
        limit: pictures of a collection at the most, evenly spread.
    """
    held, trained = stored_rows(manifest, "validation", shots), stored_rows(manifest, "train", shots)
    styles = [row for row in (*held, *trained) if row.domain == "style"]
    if paired or (styles and all(row.pair for row in styles)):
        boxed = [(content, style) for content, style in pair_rows(trained) if style.held_out]
        areas = [_area(store, content, style, style.held_out, context_px, guides) for content, style in boxed]
        whole = _spread(pair_rows(held), limit)
        areas += [_area(store, content, style, _centre(content, side_px), 0, guides) for content, style in whole]
        if paired or areas:
            return ValidationSet(_with_changes([content for content, _ in (*boxed, *whole)], areas, labels))
    contents = _spread(_of_domain("content", held, trained), limit)
    references = _spread(_of_domain("style", held, trained), limit) if styles else []
    return ValidationSet(
        _with_changes(contents, [_area(store, row, None, _centre(row, side_px), 0) for row in contents], labels),
        tuple(_tensor(store.sample_of(row), _centre(row, side_px)) for row in references),
    )


def _area(
    store: SampleStore,
    content: ManifestRow,
    style: ManifestRow | None,
    box: Box | None,
    context_px: int,
    guides: Mapping[int, Samples] | None = None,
) -> ValidationArea:
    width, height = content.width_px, content.height_px
    box = box or Box(0, 0, width, height)
    left, top = max(0, box.x - context_px), max(0, box.y - context_px)
    right, bottom = min(width, box.x + box.width + context_px), min(height, box.y + box.height + context_px)
    cut = Box(left, top, right - left, bottom - top)
    mask_sample = style.mask_sample if style else None
    guide = guides.get(content.sample) if guides and content.sample is not None else None
    return ValidationArea(
        name=content.path,
        content=_tensor(store.sample_of(content), cut),
        style=_tensor(store.sample_of(style), cut) if style else None,
        mask_unit=None if mask_sample is None else _tensor(store.sample(mask_sample), cut).add(1.0).mul(0.5),
        box=Box(box.x - left, box.y - top, box.width, box.height),
        guide=None if guide is None else _tensor(guide, cut),
    )


def _with_changes(
    rows: Sequence[ManifestRow], areas: Sequence[ValidationArea], labels: Sequence[str]
) -> tuple[ValidationArea, ...]:
    """The areas with a change each: an attribute that its picture has is removed, one that it lacks is added."""
    if not labels:
        return tuple(areas)
    changed = []
    for index, (row, area) in enumerate(zip(rows, areas, strict=True)):
        change, which = torch.zeros(1, len(labels)), index % len(labels)
        change[0, which] = -1.0 if parse_labels(row.labels).get(labels[which], False) else 1.0
        changed.append(replace(area, attribute_change=change))
    return tuple(changed)


def _tensor(picture: Samples, box: Box) -> Tensor:
    crop = picture[box.y : box.y + box.height, box.x : box.x + box.width]
    planes: Tensor = signed(np.ascontiguousarray(crop.transpose(2, 0, 1)))
    return torch.unsqueeze(planes, 0)


def _of_domain(domain: str, held: Sequence[ManifestRow], trained: Sequence[ManifestRow]) -> list[ManifestRow]:
    if chosen := [row for row in held if row.domain == domain]:
        return chosen
    _log.warning("no %s picture is held out: validating on pictures that training sees", domain)
    return [row for row in trained if row.domain == domain]


def _centre(row: ManifestRow, side_px: int) -> Box:
    width, height = min(row.width_px, side_px), min(row.height_px, side_px)
    return Box((row.width_px - width) // 2, (row.height_px - height) // 2, width, height)


def _spread(items: list[_Item], limit: int) -> list[_Item]:
    """At most ``limit`` of the items, evenly spread, in order."""
    if len(items) <= limit:
        return items
    return [items[index * len(items) // limit] for index in range(limit)]
