"""Renders a layer's features as a grey picture: the mean over channels, or a grid of channels."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stylegan_core.features.extractors import Extractor

Arrangement = Literal["mean", "grid"]

_GAP_PX = 1


def layer_features(extractor: Extractor, layer: str, rgb_unit: NDArray[np.float32]) -> Tensor:
    """(C, h, w) features of one picture.

    Args:
        extractor: that has the layer.
        layer: one of ``extractor.layers``.
        rgb_unit: (H, W, 3) in [0, 1], sRGB.
    Raises:
        ValueError: the extractor has no such layer, or the picture is too small for it.
    """
    signed = torch.from_numpy(np.ascontiguousarray(rgb_unit)).permute(2, 0, 1)[None] * 2.0 - 1.0
    with torch.inference_mode():
        features: Tensor = extractor(signed, [layer])[layer][0]
    return features


def feature_picture(features: Tensor, arrangement: Arrangement = "mean", channels: int = 64) -> NDArray[np.uint8]:
    """Features as grey levels: the smallest value is black, the largest white.

    Args:
        features: (C, h, w).
        arrangement: "mean" is the mean over channels, (h, w, 1); "grid" is a near square of channels, row by row, each
            between its own smallest and largest value, with lines of 1 px between them.
        channels: maximum number of channels in a grid, from the first.
    Returns:
        (H, W, 1); flat features are black.
    """
    if arrangement == "mean":
        return _codes(features.mean(dim=0))[..., None]
    shown = [_codes(channel) for channel in features[:channels]]
    columns = math.ceil(math.sqrt(len(shown)))
    rows = math.ceil(len(shown) / columns)
    height, width = shown[0].shape[0] + _GAP_PX, shown[0].shape[1] + _GAP_PX
    sheet = np.zeros((rows * height - _GAP_PX, columns * width - _GAP_PX, 1), np.uint8)
    for index, channel in enumerate(shown):
        top, left = index // columns * height, index % columns * width
        sheet[top : top + channel.shape[0], left : left + channel.shape[1], 0] = channel
    return sheet


def _codes(values: Tensor) -> NDArray[np.uint8]:
    wide = values.double().cpu().numpy()
    low, high = wide.min(), wide.max()
    if high - low < 1e-12:
        return np.zeros(wide.shape, np.uint8)
    codes: NDArray[np.uint8] = np.rint((wide - low) / (high - low) * 255.0).astype(np.uint8)
    return codes
