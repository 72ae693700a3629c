"""The receptive field of a network, measured by running it instead of reading its layers.

NaN propagates through every sum and product, even NaN * 0: pixels that a block of NaN reaches depend on it,
whatever the weights are.
Araujo, Norris and Sim 2019, Computing Receptive Fields of Convolutional Neural Networks (doi 10.23915/distill.00021),
derive the field layer by layer, which networks with skips or warps do not allow.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from stylegan_core.recipes.base import BaseRecipe, Conditions

LARGEST_GRID_PX = 256
"""Eight downsamplings by 2, more than any generator has."""
LARGEST_RADIUS_PX = 2048
"""Tiles are useless for networks with a larger field."""
TOLERANCE = 1e-5
"""Permitted difference of a tile to the whole, relative to the largest output: rounding in another order."""
_GRID_FLOOR_PX = 8
_STRIP_PX = 32
_INSIDE_PX = 64
_WORKSPACE = 1.8
"""Ratio of peak memory to the largest layer's input and output: padded copies, skips."""


@dataclass(frozen=True)
class ReceptiveField:
    """The geometry that tiles must respect to equal the whole picture.

    Attributes:
        radius_px: pixels farther than this from a tile with borders on the grid do not influence it.
        grid_px: tile borders are multiples of this, so that downsamplings align.
    """

    radius_px: int
    grid_px: int

    @property
    def halo_px(self) -> int:
        """The radius, rounded up to the grid."""
        return -(-self.radius_px // self.grid_px) * self.grid_px


_known: WeakKeyDictionary[BaseRecipe, dict[tuple[object, ...], ReceptiveField | None]] = WeakKeyDictionary()


def receptive_field(recipe: BaseRecipe, conditions: Conditions | None = None) -> ReceptiveField | None:
    """The field of a recipe under ``conditions``, cached; None if an output pixel depends on the whole picture.

    Args:
        recipe: in evaluation mode.
        conditions: on the recipe's device, labels of one row.
    """
    given = conditions or Conditions()
    found = _known.setdefault(recipe, {})
    key = _key(given)
    if key not in found:
        found[key] = _compute(recipe, given)
    return found[key]


def bytes_per_pixel(recipe: BaseRecipe, conditions: Conditions | None = None) -> int:
    """Working memory of the network in fp32 per input pixel, estimated from the largest layer.

    Args:
        recipe: in evaluation mode.
        conditions: as in ``receptive_field``.
    """
    given, most, here = conditions or Conditions(), 0, threading.get_ident()

    def watch(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal most
        if threading.get_ident() != here:  # another picture in the same network
            return
        tensors = [each for each in (*inputs, output) if isinstance(each, Tensor)]
        most = max(most, sum(each.numel() * each.element_size() for each in tensors))

    leaves = [module for module in recipe.networks.modules() if not any(module.children())]
    handles = [module.register_forward_hook(watch) for module in leaves]
    side_px = 64
    try:
        with _plain(recipe) as device:
            recipe.translate(torch.zeros(1, recipe.input_channels, side_px, side_px, device=device), given)
    finally:
        for handle in handles:
            handle.remove()
    return max(48, int(_WORKSPACE * most) // side_px**2)


def device_of(recipe: BaseRecipe) -> torch.device:
    """The device of the recipe's weights."""
    return next((parameter.device for parameter in recipe.parameters()), torch.device("cpu"))


def _key(conditions: Conditions) -> tuple[object, ...]:
    labels = None if conditions.labels is None else tuple(conditions.labels.flatten().tolist())
    codes = conditions.style_codes is not None, conditions.styles is not None
    return conditions.direction, conditions.strength, labels, codes


def _compute(recipe: BaseRecipe, conditions: Conditions) -> ReceptiveField | None:
    with _plain(recipe) as device:
        radius_px = 0
        for axis in (3, 2):
            reach_px = _reach_px(recipe, conditions, axis, device)
            if reach_px is None:
                return None
            radius_px = max(radius_px, reach_px)
        grid_px = _GRID_FLOOR_PX
        for axis in (3, 2):
            grid = _grid_px(recipe, conditions, axis, radius_px, device)
            if grid is None:
                return None
            grid_px = max(grid_px, grid)
    return ReceptiveField(radius_px, grid_px)


@contextlib.contextmanager
def _plain(recipe: BaseRecipe) -> Iterator[torch.device]:
    """Disables autocast and TF32 within the context."""
    device = device_of(recipe)
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        if device.type == "cuda":
            stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
        yield device


def _reach_px(recipe: BaseRecipe, conditions: Conditions, axis: int, device: torch.device) -> int | None:
    """How far a block of NaN that covers a whole grid cell spreads beyond its ends; None: everywhere."""
    margin_px = LARGEST_GRID_PX
    while margin_px <= LARGEST_RADIUS_PX:
        content = _noise(recipe.input_channels, 2 * margin_px + LARGEST_GRID_PX, axis, device)
        content.narrow(axis, margin_px, LARGEST_GRID_PX).fill_(torch.nan)
        lost = recipe.translate(content, conditions).isnan().any(dim=1)[0].any(dim=3 - axis)  # (length * scale,)
        touched = lost.nonzero().flatten()
        if not len(touched):  # the content has no influence, or an operation drops NaN: unreliable
            return None
        first, last = int(touched[0]) // recipe.scale, int(touched[-1]) // recipe.scale
        reach_px = max(margin_px - first, last - (margin_px + LARGEST_GRID_PX - 1), 0)
        if reach_px < margin_px:
            return reach_px
        margin_px *= 2
    return None


def _grid_px(recipe: BaseRecipe, conditions: Conditions, axis: int, radius_px: int, device: torch.device) -> int | None:
    """The finest grid on which a part that is translated alone equals the same part of the whole.

    None if there is none: the output depends on the position in the picture, or an operation drops NaN.
    """
    content = _noise(recipe.input_channels, 4 * LARGEST_GRID_PX + 2 * radius_px, axis, device)
    whole = recipe.translate(content, conditions)
    allowed = TOLERANCE * max(1.0, float(whole.abs().max()))
    grid_px = 1
    while grid_px <= LARGEST_GRID_PX:
        halo_px = -(-radius_px // grid_px) * grid_px
        kept_px = max(_INSIDE_PX, grid_px)
        part = recipe.translate(content.narrow(axis, grid_px, kept_px + 2 * halo_px), conditions)
        made = part.narrow(axis, halo_px * recipe.scale, kept_px * recipe.scale)
        expected = whole.narrow(axis, (grid_px + halo_px) * recipe.scale, kept_px * recipe.scale)
        if float((made - expected).abs().max()) <= allowed:
            return grid_px
        grid_px *= 2
    return None


def _noise(channels: int, length_px: int, axis: int, device: torch.device) -> Tensor:
    """(1, channels, H, W) in [-1, 1], a strip along ``axis``; the same on every machine."""
    shape = (1, channels, _STRIP_PX, length_px) if axis == 3 else (1, channels, length_px, _STRIP_PX)
    return (torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1).to(device)
