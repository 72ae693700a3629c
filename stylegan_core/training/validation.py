"""Validation during training: metrics on held-out areas, and sample grids."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stylegan_core.data.validation import ValidationArea, ValidationSet
from stylegan_core.metrics.detail import detail_ratio
from stylegan_core.metrics.diversity import COLLAPSED_BELOW, diversity
from stylegan_core.metrics.mse import mse
from stylegan_core.metrics.psnr import psnr_db
from stylegan_core.metrics.ssim import ssim
from stylegan_core.metrics.swd import SCALES, SIZES, patch_swd
from stylegan_core.networks.padding import pad_to_multiple
from stylegan_core.recipes.base import BaseRecipe, Conditions

_log = logging.getLogger(__name__)

_PATCHES = 8192
_GAP_PX = 4
_PAPER = 250


class Validator:
    """Measures and shows a recipe on held-out areas.

    Args:
        held_out: at least one area.
        rows: largest number of areas in a sample grid.
    """

    def __init__(self, held_out: ValidationSet, rows: int = 4) -> None:
        if not held_out.areas:
            raise ValueError("no area is held out: validation needs at least one")
        self._held_out, self._rows = held_out, rows

    def measure(self, recipe: BaseRecipe) -> dict[str, float]:
        """Metrics of a recipe in evaluation mode, conditioned as in use: on references or attribute changes.

        Returns:
            With pairs: psnr_db, swd and detail_ratio against them. Without: ssim to the content, and swd to the
            held-out style where there is any. ``score`` is the one that decides the best, lower is better: swd, since
            the mean squared error prefers a blur; the mean squared error alone where areas are too small for patches.
            Where there are several areas that differ: diversity of the results over that of the style (or else of
            the contents), and ``collapsed``, 1 where it is so small that the modes have collapsed, which is logged.
        """
        areas = self._held_out.areas
        results = [_unit(area.inside(self._translated(recipe, index))) for index, area in enumerate(areas)]
        figures: dict[str, float] = {}
        if all(area.style is not None for area in areas):
            against = [_unit(area.inside(area.style)) for area in areas if area.style is not None]
            figures["psnr_db"] = psnr_db(results, against)
            figures["detail_ratio"] = detail_ratio(results, against)
            figures |= _diversity(results, against)
        else:
            content = [_unit(area.inside(area.content)) for area in areas]
            against = [_unit(reference) for reference in self._held_out.references]
            figures["ssim"] = ssim(results, content)
            figures |= _diversity(results, content)
        scales = _fitting_scales([*results, *against])
        if against and scales:
            figures["swd"] = patch_swd(results, against, scales=scales, max_patches=_PATCHES)
            return {**figures, "score": figures["swd"]}
        if "psnr_db" in figures:
            pairs = zip(results, against, strict=True)
            return {**figures, "score": float(np.mean([mse(result, truth) for result, truth in pairs]))}
        return {**figures, "score": 1.0 - figures["ssim"]}

    def grid(self, recipe: BaseRecipe) -> npt.NDArray[np.uint8]:
        """Content, result and style (aligned, or a held-out crop) of the first areas, one in each row, (H, W, 3)."""
        rows = []
        for index, area in enumerate(self._held_out.areas[: self._rows]):
            style = self._style(index)
            shown = [area.content, self._translated(recipe, index), *([style] if style is not None else [])]
            rows.append([_unit(picture) for picture in shown])
        return _grid(rows)

    def _translated(self, recipe: BaseRecipe, index: int) -> Tensor:
        """The translated area; the reference, if any, is its style, a style crop or another area."""
        areas, reference = self._held_out.areas, None
        if "styles" in recipe.conditioned_on:
            style = self._style(index)
            reference = areas[(index + 1) % len(areas)].content if style is None else style
        return translate(recipe, areas[index], reference)

    def _style(self, index: int) -> Tensor | None:
        """The style picture of an area: the aligned one, or a held-out style crop."""
        references, style = self._held_out.references, self._held_out.areas[index].style
        return references[index % len(references)] if style is None and references else style


def translate(recipe: BaseRecipe, area: ValidationArea, reference: Tensor | None = None) -> Tensor:
    """(1, 3, H * scale, W * scale) in about [-1, 1], on the recipe's device: the area and its context, translated.

    The area's change of attributes is applied; ``reference``, (1, 3, h, w) in [-1, 1], is the style picture, if any.
    The sides are padded as in translation, see ``networks.padding``, and cropped again.
    """
    device = next(recipe.parameters()).device
    height, width = area.content.shape[-2:]
    conditions = Conditions(
        mask_unit=None if area.mask_unit is None else pad_to_multiple(area.mask_unit.to(device)),
        styles=None if reference is None else reference.to(device),
        labels=None if area.attribute_change is None else area.attribute_change.to(device),
    )
    content = area.content if area.guide is None or not recipe.guided else torch.cat([area.content, area.guide], dim=1)
    result = recipe.translate(pad_to_multiple(content.to(device)), conditions).float()
    return result[..., : height * recipe.scale, : width * recipe.scale]


def _diversity(
    results: Sequence[npt.NDArray[np.float32]], expected: Sequence[npt.NDArray[np.float32]]
) -> dict[str, float]:
    ratio = diversity(results, expected)
    if ratio is None:
        return {}
    collapsed = ratio < COLLAPSED_BELOW
    if collapsed:
        _log.warning(
            "mode collapse: the results of %d pictures have %.0f %% of the expected diversity, the limit is %.0f %%",
            *(len(results), 100 * ratio, 100 * COLLAPSED_BELOW),
        )
    return {"diversity": ratio, "collapsed": float(collapsed)}


def _unit(picture: Tensor) -> npt.NDArray[np.float32]:
    """(1, 3, H, W) in [-1, 1] as (H, W, 3) in [0, 1], clipped."""
    unit = picture[0].detach().to("cpu", torch.float32).mul(0.5).add(0.5).clamp(0.0, 1.0)
    return np.ascontiguousarray(unit.permute(1, 2, 0).numpy())


def _fitting_scales(pictures: Sequence[npt.NDArray[Any]]) -> list[int]:
    side = min((min(p.shape[:2]) for p in pictures), default=0)
    return [scale for scale in SCALES if side // scale >= max(SIZES)]


def _grid(rows: list[list[npt.NDArray[np.float32]]]) -> npt.NDArray[np.uint8]:
    height = max(p.shape[0] for row in rows for p in row) + _GAP_PX
    width = max(p.shape[1] for row in rows for p in row) + _GAP_PX
    columns = max(len(row) for row in rows)
    grid = np.full((len(rows) * height + _GAP_PX, columns * width + _GAP_PX, 3), _PAPER, np.uint8)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            top, left = y * height + _GAP_PX, x * width + _GAP_PX
            grid[top : top + picture.shape[0], left : left + picture.shape[1]] = (picture * 255.0 + 0.5).astype(
                np.uint8
            )
    return grid
