"""Large pictures in tiles with a halo: exact for a network whose output pixels depend on a window of the input."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import math
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from stylegan_core.inference.network.receptive_field import (
    ReceptiveField,
    bytes_per_pixel,
    device_of,
    receptive_field,
)
from stylegan_core.recipes.base import BaseRecipe, Conditions

logger = logging.getLogger(__name__)

MOST_WHOLE_PX = 1 << 22
"""Larger pictures are translated in tiles: 2048 x 2048 takes 5 GB with a 64-channel network."""
TILE_BYTES = 512 << 20
"""Working memory of a tile on a CPU: with the input and output of an 8K frame, less than 2 GB in total."""
MOST_TILE_PX = 1 << 20
"""Largest tile of a small network: larger ones only make bands of rows larger."""

Translate = Callable[[Tensor], Tensor]

FAST_TILE_BYTES = 48 << 20
"""Working memory of a fast tile: the process keeps blocks of this size, so the next tile needs no fresh pages.

A 1080p frame through a guided `keyframe` network of 16 channels takes 3.2 s of one core instead of 4.7 s.
"""
FAST_WHOLE_PX = 1 << 18
"""Pictures up to this are never tiled for speed."""
MOST_OVERHEAD = 1.6
"""Largest ratio of the area that a fast tile reads to the area that it outputs: at 1.7 a 540p frame is no faster."""
_LEAST_FAST_PX = 256
_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES = -3, 16 << 20
_LEAST_INSIDE_PX = 64
"""Least inner side of a tile: smaller ones would be mostly halo."""


APPROXIMATE = ReceptiveField(radius_px=128, grid_px=32)
"""Geometry of approximate tiles, for networks that depend on the whole picture."""
APPROXIMATE_AREA_PX = 1 << 20
"""Area of an approximate tile, the same on every machine: the pixels depend on it."""


class OutOfMemoryError(RuntimeError):
    """A picture does not fit into memory, not even in the smallest tiles."""


class TileSpan(NamedTuple):
    """A tile's extent along one side: the pixels that it outputs, and those that it reads.

    Attributes:
        begin: first pixel of the output.
        end: one after the last.
        first: first pixel of the input, a multiple of the grid.
        last: one after the last.
    """

    begin: int
    end: int
    first: int
    last: int


def spans(side_px: int, most_px: int, window: ReceptiveField) -> list[TileSpan]:
    """Tiles along a side, nearly all of one size, so that back ends compile or tune for one size.

    Args:
        side_px: of the picture.
        most_px: largest input of a tile; raised to the least that outputs anything.
        window: the network's.
    """
    halo_px, grid_px = window.halo_px, window.grid_px
    most_px = max(most_px, least_px(window))
    if side_px <= most_px:
        return [TileSpan(0, side_px, 0, side_px)]
    inside_px = (most_px - 2 * halo_px) // grid_px * grid_px
    count = max(2, -(-(side_px - 2 * halo_px) // inside_px))
    step_px = -(-(side_px - 2 * halo_px) // (count * grid_px)) * grid_px
    count = max(2, -(-(side_px - 2 * halo_px) // step_px))
    size_px, found = step_px + 2 * halo_px, []
    for index in range(count - 1):
        first = index * step_px
        found.append(TileSpan(first + halo_px if index else 0, first + halo_px + step_px, first, first + size_px))
    first = min((count - 1) * step_px, max(0, side_px - size_px) // grid_px * grid_px)
    found.append(TileSpan((count - 1) * step_px + halo_px, side_px, first, side_px))
    return found


def tile_grid(
    height: int, width: int, most_area_px: int, window: ReceptiveField
) -> tuple[list[TileSpan], list[TileSpan]]:
    """Rows and columns of tiles with a limited input area and small halos.

    Args:
        height: of the picture.
        width: of the picture.
        most_area_px: of a tile, with its halo.
        window: the network's.
    """
    most_px = math.isqrt(max(1, most_area_px))
    columns = spans(width, max(most_px, most_area_px // height), window)
    widest = max(column.last - column.first for column in columns)
    return spans(height, max(most_px, most_area_px // widest), window), columns


def least_px(window: ReceptiveField) -> int:
    """The least side of a tile's input."""
    return 2 * window.halo_px + -(-max(_LEAST_INSIDE_PX, window.grid_px) // window.grid_px) * window.grid_px


def translate_tiles(
    translate: Translate, content: Tensor, window: ReceptiveField, *, most_area_px: int, scale: int = 1
) -> Tensor:
    """Translates tile by tile.

    Args:
        translate: (N, C, h, w) to (N, 3, h * scale, w * scale).
        content: (N, C, H, W).
        window: of ``translate``.
        most_area_px: largest input area, of all pictures of the batch together.
        scale: output side over input side.

    Returns:
        (N, 3, H * scale, W * scale), equal to the whole picture's except for rounding.
    """
    height, width = content.shape[-2:]
    rows, columns = tile_grid(height, width, most_area_px // len(content), window)
    result: Tensor | None = None
    for row in rows:
        for column in columns:
            made = translate(content[..., row.first : row.last, column.first : column.last])
            if result is None:
                result = made.new_empty((*made.shape[:2], height * scale, width * scale))
            result[..., row.begin * scale : row.end * scale, column.begin * scale : column.end * scale] = made[
                ...,
                (row.begin - row.first) * scale : (row.end - row.first) * scale,
                (column.begin - column.first) * scale : (column.end - column.first) * scale,
            ]
    assert result is not None
    return result


class Tiling:
    """Tiling of one network's pictures; keeps what it learned about memory."""

    def __init__(
        self,
        *,
        approximate: bool = False,
        most_whole_px: int = MOST_WHOLE_PX,
        tile_bytes: int | None = None,
        fast: bool = False,
    ) -> None:
        """Starts with estimates of the memory.

        Args:
            approximate: also tile networks that depend on the whole picture; seams may be visible.
            most_whole_px: larger pictures are tiled.
            tile_bytes: working memory of a tile; None is ``TILE_BYTES``, or half of what a GPU has free.
            fast: also tile smaller pictures if torch runs a small network on a CPU, which is faster.
        """
        self.approximate, self.most_whole_px, self.tile_bytes = approximate, most_whole_px, tile_bytes
        self._fast, self._fast_area_px = fast, -1
        self._tilers: dict[ReceptiveField, Tiler] = {}
        self._lock = threading.RLock()  # concurrent pictures determine it once

    def tiler(self, recipe: BaseRecipe, conditions: Conditions) -> Tiler | None:
        """The tiler of a network; None if it depends on the whole picture.

        Args:
            recipe: on the device that it will run on.
            conditions: of the translation, labels of one row.
        """
        with self._lock:
            window = receptive_field(recipe, conditions) or (APPROXIMATE if self.approximate else None)
            if window is None:
                return None
            if window not in self._tilers:
                most_bytes = self.tile_bytes or _affordable_bytes(device_of(recipe))
                area_px = min(MOST_TILE_PX, most_bytes // bytes_per_pixel(recipe, conditions))
                if fast_px := self._fast_px(recipe, conditions):
                    area_px = fast_px
                self._tilers[window] = Tiler(window, area_px)
            return self._tilers[window]

    def translate(self, recipe: BaseRecipe, conditions: Conditions, run: Translate, content: Tensor) -> Tensor:
        """One batch, whole or in tiles.

        Args:
            recipe: what ``run`` runs, for its receptive field.
            conditions: of the translation, labels of one row.
            run: (N, C, h, w) to (N, 3, h * scale, w * scale).
            content: (N, C, H, W), sides that any network takes.

        Raises:
            OutOfMemoryError: the picture fits neither whole nor in the smallest tiles.
        """
        area_px = content.shape[-2] * content.shape[-1]
        large = area_px > self.most_whole_px or (area_px > FAST_WHOLE_PX and self._fast_px(recipe, conditions))
        tiler = self.tiler(recipe, conditions) if large else None
        if tiler is None:
            try:
                return run(content)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            if len(content) > 1:
                singles = [content[at : at + 1] for at in range(len(content))]
                return torch.cat([self.translate(recipe, conditions, run, each) for each in singles])
            self.most_whole_px = min(self.most_whole_px, area_px - 1)
            tiler = self.tiler(recipe, conditions)
        if tiler is None:
            raise OutOfMemoryError(
                "not enough memory for a picture of this size, and the network depends on the whole picture: "
                "--tiles approximate divides it with possible seams"
            )
        return tiler.translate(run, content, scale=recipe.scale)

    def _fast_px(self, recipe: BaseRecipe, conditions: Conditions) -> int:
        """Area of fast tiles; 0 if larger tiles are cheaper."""
        with self._lock:
            if self._fast_area_px < 0:
                self._fast_area_px = 0
                if self._fast and self.tile_bytes is None and device_of(recipe).type == "cpu":
                    area_px = FAST_TILE_BYTES // bytes_per_pixel(recipe, conditions)
                    side_px = math.isqrt(area_px)
                    # Computed only if halos can be small enough for such a tile: it takes time.
                    window = receptive_field(recipe, conditions) if side_px >= _LEAST_FAST_PX else None
                    if window is not None and side_px**2 <= MOST_OVERHEAD * (side_px - 2 * window.halo_px) ** 2:
                        self._fast_area_px = area_px
        return self._fast_area_px


class Tiler:
    """Tiles as large as memory allows; after an out-of-memory error smaller ones, with the same pixels."""

    def __init__(self, window: ReceptiveField, most_area_px: int) -> None:
        """Begins with the largest tiles.

        Args:
            window: of the network; tiles of ``APPROXIMATE`` are never made smaller, which would change the pixels.
            most_area_px: that are read at once.
        """
        self.window = window
        self.most_area_px = APPROXIMATE_AREA_PX if window == APPROXIMATE else max(most_area_px, least_px(window) ** 2)

    def rows(self, height: int, width: int) -> list[TileSpan]:
        """The rows of tiles that a picture of this size would be divided into."""
        return tile_grid(height, width, self.most_area_px, self.window)[0]

    def translate(self, translate: Translate, content: Tensor, *, scale: int = 1) -> Tensor:
        """As ``translate_tiles``.

        Raises:
            OutOfMemoryError: the smallest tiles do not fit either.
        """
        while True:
            try:
                return translate_tiles(translate, content, self.window, most_area_px=self.most_area_px, scale=scale)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            self._shrink(content)  # outside the handler, where the error no longer references tensors

    def _shrink(self, content: Tensor) -> None:
        height, width = content.shape[-2:]
        least_area_px = min(least_px(self.window), height) * min(least_px(self.window), width) * len(content)
        tried_px = min(self.most_area_px, height * width * len(content))
        if tried_px <= least_area_px or self.window is APPROXIMATE:
            raise OutOfMemoryError(
                f"not enough memory for a tile of {least_px(self.window)} px, the least size for this network"
            )
        self.most_area_px = max(tried_px // 2, least_area_px)
        if content.device.type == "cuda":
            torch.cuda.empty_cache()
        logger.info("out of memory: continuing with tiles of %d px", math.isqrt(self.most_area_px))


def _affordable_bytes(device: torch.device) -> int:
    if device.type != "cuda":
        return TILE_BYTES
    return int(torch.cuda.mem_get_info(device)[0]) // 2


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that an allocation failed, on a CPU or a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")
    )


@lru_cache(maxsize=1)
def return_large_blocks() -> None:
    """Makes glibc return the blocks of tiles to the system when they are freed, which avoids heap fragmentation.

    It saves a third of the memory of an 8K frame. Fresh pages slow small frames down, so only large ones use it.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES)
