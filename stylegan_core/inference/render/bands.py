"""Renders a large picture in bands of rows, so that only the samples of its file are in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.colour.source_space import SourceSpace
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.job.frame_settings import FrameSettings, Precision
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
from stylegan_core.networks.guide import PICTURE_CHANNELS
from stylegan_core.recipes.base import BaseRecipe, Conditions

ROWS_AT_ONCE = 128
"""Colour conversions need many times the memory of what they convert."""


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


@dataclass(frozen=True)
class PictureRows:
    """Rows of a picture in a model's working space.

    Attributes:
        picture: in its own samples.
        to_working: converts a picture of some of its rows.
    """

    picture: Picture
    to_working: Callable[[Picture], Pixels]

    @property
    def height_px(self) -> int:
        """Rows."""
        return self.picture.height_px

    @property
    def width_px(self) -> int:
        """Columns."""
        return self.picture.width_px

    def unit(self, first: int, last: int) -> Pixels:
        """(last - first, W, 3) float32.

        Raises:
            UnreadablePictureError: a pixel is infinite or not a number.
        """
        unit = np.empty((last - first, self.width_px, 3), np.float32)
        for begin in range(first, last, ROWS_AT_ONCE):
            end = min(last, begin + ROWS_AT_ONCE)
            unit[begin - first : end - first] = self.to_working(rows_of(self.picture, begin, end))
        if not np.isfinite(unit).all():
            raise UnreadablePictureError("it holds pixels that are infinite or not a number")
        return unit


def picture_rows(picture: Picture, space: SourceSpace, settings: FrameSettings) -> PictureRows:
    """Rows of a picture in the working space of a job's model.

    Args:
        picture: as it was read.
        space: its colour space.
        settings: of the job.
    """
    convert = partial(
        to_working, source_space=space.name, working_space=settings.working_space, ocio=settings.colour_config
    )
    return PictureRows(picture, convert)


def rows_of(picture: Picture, first: int, last: int) -> Picture:
    """A picture of some rows, which shares the memory of the whole."""
    return replace(picture, pixels=picture.pixels[first:last], other_views=())


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
