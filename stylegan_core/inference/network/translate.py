"""Translates pictures with a trained recipe: value ranges, padding and precision."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stylegan_core.inference.job.frame_settings import Precision
from stylegan_core.inference.network.tiling import Tiling, Translate
from stylegan_core.networks.guide import PICTURE_CHANNELS, with_guide
from stylegan_core.networks.padding import pad_to_multiple
from stylegan_core.recipes.base import BaseRecipe, Conditions

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model

Pixels = npt.NDArray[np.float32]

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def translate_unit(
    model: Model,
    rgb_unit: Pixels,
    *,
    strength: float = 1.0,
    mask_unit: Pixels | None = None,
    precision: Precision = "fp32",
    device: str = "cpu",
    conditions: Conditions | None = None,
) -> Pixels:
    """The stylized picture, in the model's working space.

    Args:
        model: from ``load_model``.
        rgb_unit: (H, W, 3) in [0, 1], in the model's working space; (H, W, 7) with a guide, for guided recipes.
        strength: 0 returns the picture exactly, 1 the network's output.
        mask_unit: (H, W) in [0, 1], where the style applies; None: everywhere.
        precision: of the convolutions; inputs, outputs and the addition are float32 in either.
        device: torch's name of the device; the model is moved there if it is elsewhere.
        conditions: on ``device``, see ``conditions_of``; the recipe applies their strength.
    Returns:
        (H * scale, W * scale, 3) float32, not clipped: a network may overshoot [0, 1] slightly.
    Raises:
        ValueError: a shape is wrong, or strength or a mask is given for a model that changes the size.
    """
    recipe = model.recipe
    if recipe.scale != 1 and (strength != 1.0 or mask_unit is not None):
        raise ValueError(f"strength and masks require a model that keeps the size, this one enlarges by {recipe.scale}")
    after: Pixels = translate_batch_unit(
        recipe, rgb_unit[None], precision=precision, device=device, conditions=conditions
    )[0]
    if strength == 1.0 and mask_unit is None:
        return after
    amount = strength if mask_unit is None else strength * mask_unit[:, :, None]
    picture = rgb_unit[..., :PICTURE_CHANNELS]
    result: Pixels = (picture + amount * (after - picture)).astype(np.float32)
    return result


def translate_batch_unit(
    recipe: BaseRecipe,
    batch_unit: Pixels,
    *,
    precision: Precision = "fp32",
    device: str = "cpu",
    conditions: Conditions | None = None,
    tiling: Tiling | None = None,
    run: Translate | None = None,
) -> Pixels:
    """Translates pictures of one size.

    Args:
        recipe: a recipe of kind TRANSLATE, on any device.
        batch_unit: (N, H, W, 3) in [0, 1], or (N, H, W, 7) with guides, for guided recipes.
        precision: "bf16" runs what torch autocasts in bfloat16.
        device: where to run.
        conditions: on ``device``, labels of one row; None: none.
        tiling: keeps what earlier pictures showed about memory; None: a new one.
        run: the network in a back end; None: torch.
    Returns:
        (N, H * scale, W * scale, 3) float32, not clipped.
    Raises:
        ValueError: ``batch_unit`` has another shape.
    """
    if batch_unit.ndim != 4 or batch_unit.shape[3] not in (PICTURE_CHANNELS, recipe.input_channels):
        raise ValueError(f"expected pictures of shape (N, H, W, {recipe.input_channels}), got {batch_unit.shape}")
    ready(recipe, device)
    signed = signed_from_unit(batch_unit, device)
    translated = translate_signed(recipe, signed, precision=precision, conditions=conditions, tiling=tiling, run=run)
    return unit_from_signed(translated)


def ready(recipe: BaseRecipe, device: str) -> None:
    """Moves a recipe to its device and layout, unless it is there already: threads may be running it."""
    weights = [parameter for parameter in recipe.parameters() if parameter.ndim == 4]
    there = all(weight.device == torch.device(device) for weight in weights)
    if recipe.training or not there or not all(w.is_contiguous(memory_format=torch.channels_last) for w in weights):
        # Convolutions with few channels spend much of their time on layout copies: use one layout throughout.
        recipe.to(device).to(memory_format=torch.channels_last).eval()


def signed_from_unit(batch_unit: Pixels, device: torch.device | str) -> Tensor:
    """(N, H, W, C) in [0, 1] to (N, C, H, W) in [-1, 1] on ``device``, channels last in memory."""
    signed = torch.from_numpy(np.ascontiguousarray(batch_unit, dtype=np.float32)).to(device)
    return signed.mul(2.0).sub_(1.0).permute(0, 3, 1, 2)


def unit_from_signed(signed: Tensor) -> Pixels:
    """(N, 3, H, W) in [-1, 1] to (N, H, W, 3) in [0, 1], on the CPU."""
    return np.ascontiguousarray(signed.add(1.0).mul_(0.5).permute(0, 2, 3, 1).cpu().numpy())


def translate_signed(
    recipe: BaseRecipe,
    content: Tensor,
    *,
    precision: Precision = "fp32",
    conditions: Conditions | None = None,
    tiling: Tiling | None = None,
    run: Translate | None = None,
) -> Tensor:
    """Translates tensors; pads by reflection to a size that any generator takes, and crops again.

    Large pictures are translated in tiles if that gives the same pixels, which bounds the memory.

    Args:
        recipe: on the device of ``content``, in evaluation mode.
        content: (N, C, H, W) in [-1, 1], any size, with the channels that the recipe takes.
        precision: see ``translate_unit``.
        conditions: the same for every picture; masks are applied by the caller.
        tiling: as in ``translate_batch_unit``.
        run: as in ``translate_batch_unit``.
    Returns:
        (N, 3, H * scale, W * scale) float32.
    Raises:
        OutOfMemoryError: the picture fits neither whole nor in the smallest tiles.
    """
    height, width = content.shape[-2:]
    given = conditions or Conditions()
    run = run or network(recipe, given, precision)
    if recipe.guided:  # back ends are traced with all channels
        content = with_guide(content)
    with torch.inference_mode():
        result = (tiling or Tiling()).translate(recipe, given, run, pad_to_network(content))
    return result[..., : height * recipe.scale, : width * recipe.scale].float()


def network(recipe: BaseRecipe, conditions: Conditions, precision: Precision = "fp32") -> Translate:
    """The bare network, (N, C, h, w) in [-1, 1] to (N, 3, h * scale, w * scale), for sides that it takes.

    Args:
        recipe: in evaluation mode.
        conditions: the same for every picture.
        precision: of the convolutions.
    """
    low = _AUTOCAST.get(precision)

    def run(content: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast(content.device.type, low, enabled=low is not None):
            return recipe.translate(content, for_each(conditions, len(content)))

    return run


def for_each(conditions: Conditions, count: int) -> Conditions:
    """``conditions`` whose labels have a row for each of ``count`` pictures."""
    return conditions if conditions.labels is None else replace(conditions, labels=conditions.labels.expand(count, -1))


def pad_to_network(content: Tensor) -> Tensor:
    """(N, C, H, W) extended by reflection to sides that any generator takes, channels last in memory."""
    return pad_to_multiple(content).contiguous(memory_format=torch.channels_last)
