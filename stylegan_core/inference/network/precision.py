"""Chooses the precision of a model: bfloat16 if the hardware has it and its outputs agree with fp32."""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np
import torch

from stylegan_core.inference.job.frame_settings import Precision
from stylegan_core.inference.network.translate import Pixels, translate_batch_unit
from stylegan_core.recipes.base import BaseRecipe

logger = logging.getLogger(__name__)

LARGEST_DIFFERENCE_UNIT = 0.5 / 255
"""Largest permitted RMS difference of bfloat16 on a probe: half a code of an 8-bit picture."""
PROBE_PX = 96


def choose_precision(recipe: BaseRecipe, requested: Precision | Literal["auto"], device: str = "cpu") -> Precision:
    """Resolves "auto"; returns other requests unchanged.

    The result depends only on the model and the machine, not on pictures or time, so that a rerun chooses the
    same and redoes nothing.

    Args:
        recipe: the translator.
        requested: the setting.
        device: that it will run on.
    """
    if requested != "auto":
        return requested
    if not has_bf16(device):
        return "fp32"
    difference = bf16_difference_unit(recipe, device)
    if difference <= LARGEST_DIFFERENCE_UNIT:
        return "bf16"
    logger.info("bf16 differs by %.2f codes of 255 (RMS): using fp32", difference * 255)
    return "fp32"


def bf16_difference_unit(recipe: BaseRecipe, device: str = "cpu") -> float:
    """Root mean square difference of bf16 and fp32 output on a fixed probe picture, in unit range."""
    picture = probe_input(recipe)[None]
    exact = translate_batch_unit(recipe, picture, precision="fp32", device=device)
    rounded = translate_batch_unit(recipe, picture, precision="bf16", device=device)
    return float(np.sqrt(np.mean(np.square(rounded.astype(np.float64) - exact))))


def probe_input(recipe: BaseRecipe, side_px: int = PROBE_PX) -> Pixels:
    """(side, side, C) in [0, 1]: the probe with the channels that a recipe takes; a guide is trusted ever more."""
    picture = probe_unit(side_px)
    if not recipe.guided:
        return picture
    confidence = np.broadcast_to(np.linspace(0, 1, side_px, dtype=np.float32)[:, None, None], (side_px, side_px, 1))
    return np.concatenate([picture, picture[::-1], confidence], axis=2)


def probe_unit(side_px: int = PROBE_PX) -> Pixels:
    """(side, side, 3) in [0, 1]: a colour ramp under waves and noise, the same on every machine."""
    row, column = np.mgrid[0:side_px, 0:side_px] / side_px
    ramp = np.stack([row, column, 1 - row], axis=2)
    waves = 0.2 * np.sin(40 * row * column)[:, :, None]
    noise = np.random.Generator(np.random.Philox(0)).normal(0, 0.05, (side_px, side_px, 3))
    probe: Pixels = np.clip(ramp + waves + noise, 0, 1).astype(np.float32)
    return probe


def has_bf16(device: str = "cpu") -> bool:
    """Whether ``device`` multiplies bfloat16 faster than fp32: not by emulation, nor by AVX512-BF16 without AMX."""
    kind = torch.device(device).type
    if kind == "cuda":
        return bool(torch.cuda.get_device_capability(device)[0] >= 8)
    if kind != "cpu":
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # torch 2.9 and later
    if capabilities is not None:
        found = capabilities()
        return bool(found.get("amx_bf16") or found.get("bf16"))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
