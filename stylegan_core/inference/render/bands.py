"""Renders a large picture in bands of rows, so that only the samples of its file are in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stylegan_core.inference.job.frame_settings import Precision
from stylegan_core.inference.network.measure_norm_statistics import Rows, frozen_field, measure
from stylegan_core.inference.network.norm_statistics import freeze
from stylegan_core.inference.network.receptive_field import device_of
from stylegan_core.inference.network.tiling import TileSpan, Tiling, Translate, return_large_blocks
from stylegan_core.inference.network.translate import (
    Pixels,
    network,
    pad_to_network,
    signed_from_unit,
    unit_from_signed,
)
from stylegan_core.inference.reading.picture_rows import ROWS_AT_ONCE
from stylegan_core.networks.guide import PICTURE_CHANNELS
from stylegan_core.recipes.base import BaseRecipe, Conditions


@dataclass(frozen=True)
class Band:
    """Rows of a picture, before and after the network.

    Attributes:
        begin: first row.
        end: one after the last.
        before_unit: (end - begin, W, 3) in the model's working space.
        after_unit: the network's output, of the same shape.
    """

    begin: int
    end: int
    before_unit: Pixels
    after_unit: Pixels


def unchanged_bands(rows: Rows) -> Iterator[Band]:
    """Bands of a picture without a network: before and after are the same."""
    for begin in range(0, rows.height_px, ROWS_AT_ONCE):
        end = min(rows.height_px, begin + ROWS_AT_ONCE)
        before = rows.unit(begin, end)
        yield Band(begin, end, before, before)


def translate_in_bands(
    rows: Rows,
    recipe: BaseRecipe,
    conditions: Conditions,
    tiling: Tiling,
    *,
    precision: Precision = "fp32",
    run: Translate | None = None,
) -> Iterator[Band]:
    """Runs a network that keeps the size on a picture, band by band.

    The statistics of instance norm, unless they are frozen, are measured on this picture first, which takes many times
    as long. A network that depends on the whole picture in another way gets it whole, in one band, unless ``tiling`` is
    approximate.

    Args:
        rows: of the picture, with its guide for a guided recipe.
        recipe: in evaluation mode, on the device that computes.
        conditions: of the network.
        tiling: how it is tiled.
        precision: of the convolutions.
        run: runs ``recipe`` instead of torch.

    Raises:
        OutOfMemoryError: not even the smallest tiles fit.
        UnreadablePictureError: a pixel is infinite or not a number.
    """
    tiler = tiling.tiler(recipe, conditions)
    if tiler is None and frozen_field(recipe, conditions) is not None:
        statistics = measure(recipe, [lambda: rows], conditions, whole_bytes=0, tile_bytes=tiling.tile_bytes)
        recipe, run = freeze(recipe, statistics), None
        tiler = tiling.tiler(recipe, conditions)
    run = run or network(recipe, conditions, precision)
    return_large_blocks()
    height, width, device = rows.height_px, rows.width_px, device_of(recipe)
    spans = [TileSpan(0, height, 0, height)] if tiler is None else tiler.rows(height, width)
    for begin, end, first, last in spans:
        before = rows.unit(first, last)
        content = pad_to_network(signed_from_unit(before[None], device))
        if tiler is None:
            made = tiling.translate(recipe, conditions, run, content)
        else:
            made = tiler.translate(run, content)
        inside = slice(begin - first, end - first)
        yield Band(
            begin, end, before[inside, :, :PICTURE_CHANNELS], unit_from_signed(made[..., inside, :width].float())[0]
        )
