"""Measures the statistics of a network's instance norm layers over chosen frames, in bounded memory.

A layer's statistics depend on those of all layers before it. If all frames fit into memory, each layer pools them
over all frames in one pass; otherwise the frames are streamed through in tiles once for each layer, up to that layer.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from stylegan_core.inference.network.norm_statistics import (
    Statistics,
    fixed_norm,
    freeze,
    instance_norms,
    norm_layers,
    replace_layer,
)
from stylegan_core.inference.network.receptive_field import (
    ReceptiveField,
    bytes_per_pixel,
    device_of,
    receptive_field,
)
from stylegan_core.inference.network.tiling import MOST_TILE_PX, TILE_BYTES, TileSpan, return_large_blocks, tile_grid
from stylegan_core.inference.network.translate import Pixels, for_each, pad_to_network, signed_from_unit
from stylegan_core.recipes.base import BaseRecipe, Conditions

logger = logging.getLogger(__name__)

MOST_FRAMES = 5
MOST_PIXELS = 1 << 22
"""Largest number of pixels of all measured frames, unless more are requested: two at 1080p, one at 4K."""
WHOLE_BYTES = 6 << 30
"""Working memory for ``MOST_PIXELS`` in one pass, the same as for translating such a frame without tiles."""

Progress = Callable[[int, int], None]


class Rows(Protocol):
    """A picture that is read in bands of rows."""

    @property
    def height_px(self) -> int:
        """Rows."""

    @property
    def width_px(self) -> int:
        """Columns."""

    def unit(self, first: int, last: int) -> Pixels:
        """(last - first, W, 3) float32 in the model's working space."""


def choose_frames(count: int, pixels: int, wanted: int | None = None) -> list[int]:
    """Indices of the frames of a shot to measure: evenly spaced, without its first and last.

    Args:
        count: frames of the shot.
        pixels: of one frame.
        wanted: their number; None: as many as ``MOST_FRAMES`` and ``MOST_PIXELS`` allow.
    """
    most = min(count, wanted or max(1, min(MOST_FRAMES, MOST_PIXELS // max(1, pixels))))
    return [(2 * index + 1) * count // (2 * most) for index in range(most)]


def measure(
    recipe: BaseRecipe,
    pictures: Sequence[Callable[[], Rows]],
    conditions: Conditions | None = None,
    *,
    whole_bytes: int = WHOLE_BYTES,
    tile_bytes: int | None = None,
    progress: Progress | None = None,
) -> Statistics:
    """Statistics of every instance norm layer over all pictures together, at full resolution.

    One pass for each layer costs half as many forward passes as there are layers.

    Args:
        recipe: in evaluation mode, on the device that computes.
        pictures: each opens one picture; with one pass for each layer, pictures are opened again in each pass.
        conditions: as the pictures will be translated.
        whole_bytes: limit of the working memory of a single pass.
        tile_bytes: working memory of a tile; None: ``TILE_BYTES``.
        progress: called with the number of passes that are done, and of all.
    """
    given = conditions or Conditions()
    layers = norm_layers(recipe, given)
    if not layers:
        return Statistics({})
    first, working = pictures[0](), bytes_per_pixel(recipe, given)
    with torch.inference_mode():
        found: dict[str, Tensor] | None = None
        if len(pictures) * first.height_px * first.width_px * working <= whole_bytes:
            opened = [first, *(open_picture() for open_picture in pictures[1:])]
            if len({(each.height_px, each.width_px) for each in opened}) == 1:
                units = np.stack([picture.unit(0, picture.height_px) for picture in opened])
                found = _pooled(recipe, [*layers], units, given)
            del opened
        del first
        if found is None:
            area_px = min(MOST_TILE_PX, (tile_bytes or TILE_BYTES) // working)
            found = _layer_by_layer(recipe, layers, pictures, given, area_px, progress)
    return Statistics(found)


def frozen_field(recipe: BaseRecipe, conditions: Conditions) -> ReceptiveField | None:
    """The receptive field with frozen norm layers, which without freezing depend on the whole picture.

    The layers are frozen to statistics of noise; the field does not depend on the values.

    Args:
        recipe: in evaluation mode.
        conditions: of the translation.
    Returns:
        None: there are no such layers, or other parts depend on the whole picture.
    """
    layers = [*norm_layers(recipe, conditions)]
    if not layers:
        return None
    noise = np.random.Generator(np.random.Philox(0)).random((1, 64, 64, 3), np.float32)
    with torch.inference_mode():
        frozen = freeze(recipe, Statistics(_pooled(recipe, layers, noise, conditions)))
    return receptive_field(frozen, conditions)


class _Moments:
    """Mean and sum of squared deviations, updated with each piece.

    Chan, Golub and LeVeque 1979, Updating Formulae and a Pairwise Algorithm for Computing Sample Variances.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor | None = None
        self.squares: Tensor | None = None

    def add(self, values: Tensor) -> None:
        """Adds (N, C, h, w), fp32 or narrower."""
        values = values.float()
        count = values.shape[0] * values.shape[2] * values.shape[3]
        near = values.mean(dim=(0, 2, 3))
        centred = values - near[:, None, None]
        offset = centred.sum(dim=(0, 2, 3), dtype=torch.float64) / count
        squares = centred.square_().sum(dim=(0, 2, 3), dtype=torch.float64) - count * offset.square()
        mean = near.double() + offset
        if self.mean is None or self.squares is None:
            self.count, self.mean, self.squares = count, mean, squares
            return
        total, apart = self.count + count, mean - self.mean
        self.mean = self.mean + apart * (count / total)
        self.squares = self.squares + squares + apart.square() * (self.count * count / total)
        self.count = total

    def result(self) -> Tensor:
        """(2, C) mean and variance, float64, on the CPU."""
        assert self.mean is not None
        assert self.squares is not None
        return torch.stack([self.mean, self.squares / self.count]).cpu()


class _PooledNorm(nn.Module):
    """An instance norm with the pooled statistics of all pictures of the batch."""

    def __init__(self, norm: nn.InstanceNorm2d) -> None:
        super().__init__()
        self.norm = norm
        self.found = torch.empty(0)

    def forward(self, values: Tensor) -> Tensor:
        moments = _Moments()
        moments.add(values)
        self.found = moments.result()
        return fixed_norm(self.norm, self.found).to(values.device)(values)  # type: ignore[no-any-return]


def _pooled(recipe: BaseRecipe, layers: Sequence[str], units: Pixels, conditions: Conditions) -> dict[str, Tensor]:
    copied = copy.deepcopy(recipe)
    measuring = {name: _PooledNorm(norm) for name, norm in instance_norms(copied).items() if name in layers}
    for name, norm in measuring.items():
        replace_layer(copied, name, norm)
    content = pad_to_network(signed_from_unit(units, device_of(recipe)))
    copied.translate(content, for_each(conditions, len(content)))
    return {name: measuring[name].found for name in layers}


def _layer_by_layer(
    recipe: BaseRecipe,
    layers: dict[str, int],
    pictures: Sequence[Callable[[], Rows]],
    conditions: Conditions,
    area_px: int,
    progress: Progress | None,
) -> dict[str, Tensor]:
    """Statistics of each layer, with the layers before it frozen to theirs."""
    window = frozen_field(recipe, conditions)
    if window is None:
        logger.warning("the network depends on the whole picture beyond its norm layers: measuring without tiles")
    return_large_blocks()
    frozen, found = copy.deepcopy(recipe), dict[str, Tensor]()
    for done, (name, stride) in enumerate(layers.items()):
        moments = _Moments()
        for open_picture in pictures:
            for content, rows, columns in _tiles(open_picture(), window, area_px, device_of(recipe)):
                values = _input_of(frozen, name, content, conditions)
                moments.add(values[..., _inside(rows, stride), _inside(columns, stride)])
        found[name] = moments.result()
        replace_layer(frozen, name, fixed_norm(instance_norms(frozen)[name], found[name]))
        if progress is not None:
            progress(done + 1, len(layers))
    return found


@dataclass(frozen=True)
class _Side:
    """A span, and whether it ends at the end of the picture."""

    span: TileSpan
    is_last: bool


def _tiles(
    picture: Rows, window: ReceptiveField | None, area_px: int, device: torch.device
) -> Iterator[tuple[Tensor, _Side, _Side]]:
    height, width = picture.height_px, picture.width_px
    if window is None:
        rows, columns = [TileSpan(0, height, 0, height)], [TileSpan(0, width, 0, width)]
    else:
        rows, columns = tile_grid(height, width, area_px, window)
    for row in rows:
        band = signed_from_unit(picture.unit(row.first, row.last)[None], device)
        for column in columns:
            content = pad_to_network(band[..., column.first : column.last])
            yield content, _Side(row, row.end == height), _Side(column, column.end == width)


def _inside(side: _Side, stride: int) -> slice:
    """The span without its halo at a layer's stride; with padding at the end of the picture."""
    begin, end, first, _ = side.span
    return slice((begin - first) // stride, None if side.is_last else (end - first) // stride)


class _Reached(Exception):  # noqa: N818  (not an error)
    """The layer's input is known: the rest of the network need not run."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = values


def _input_of(recipe: BaseRecipe, name: str, content: Tensor, conditions: Conditions) -> Tensor:
    def stop(_: nn.Module, inputs: tuple[Any, ...]) -> NoReturn:
        raise _Reached(inputs[0])

    handle = recipe.networks.get_submodule(name).register_forward_pre_hook(stop)
    try:
        recipe.translate(content, conditions)
    except _Reached as reached:
        return reached.values
    finally:
        handle.remove()
    raise AssertionError(f"{name} did not run, though it did before")
