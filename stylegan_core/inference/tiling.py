"""Large pictures in tiles with a halo: exact for a network whose output pixels depend on a window of the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

GRID_PX = 32
"""Tiles and halos are multiples of this, so that a network's downsamplings fall on the same pixels as in the whole."""


def translate_tiles(
    translate: Callable[[Tensor], Tensor], content: Tensor, *, tile_px: int, halo_px: int, scale: int = 1
) -> Tensor:
    """Translates tile by tile.

    Args:
        translate: (N, 3, h, w) to (N, 3, h * scale, w * scale).
        content: (N, 3, H, W).
        tile_px: side of a tile without its halo, rounded up to the grid.
        halo_px: radius of the window that an output pixel depends on.
        scale: output side over input side.

    Returns:
        (N, 3, H * scale, W * scale), equal to the whole picture's but for rounding in the last bits.
    """
    tile_px, halo_px = _on_grid(tile_px), _on_grid(halo_px)
    height, width = content.shape[-2:]
    result: Tensor | None = None
    for top, bottom, first_row, last_row in _bands(height, tile_px, halo_px):
        for left, right, first_column, last_column in _bands(width, tile_px, halo_px):
            made = translate(content[..., first_row:last_row, first_column:last_column])
            if result is None:
                result = made.new_empty((*made.shape[:2], height * scale, width * scale))
            rows = slice((top - first_row) * scale, (bottom - first_row) * scale)
            columns = slice((left - first_column) * scale, (right - first_column) * scale)
            result[..., top * scale : bottom * scale, left * scale : right * scale] = made[..., rows, columns]
    assert result is not None
    return result


def _bands(side_px: int, tile_px: int, halo_px: int) -> Iterator[tuple[int, int, int, int]]:
    """Begin and end of each tile, and of what is read for it."""
    for begin in range(0, side_px, tile_px):
        end = min(side_px, begin + tile_px)
        yield begin, end, max(0, begin - halo_px), min(side_px, end + halo_px)


def _on_grid(length_px: int) -> int:
    return max(GRID_PX, -(-length_px // GRID_PX) * GRID_PX)
