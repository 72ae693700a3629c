"""Statistics of pictures in the features of an extractor: per channel for kernel distances, Gram matrices for style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stylegan_core.metrics.pictures import Floats

if TYPE_CHECKING:
    from torch import Tensor

    from stylegan_core.choices import ExtractorName

SMALLEST_SIDE_PX = 32
"""The coarsest layers see pictures at a sixteenth or less of their size."""

_VGG = tuple(f"block{block}_conv1" for block in range(1, 6))
STYLE_LAYERS: dict[str, tuple[str, ...]] = {
    "random_filters": tuple(f"block{block}_conv2" for block in range(1, 6)),
    "vgg19": _VGG,
    "efficientnet_lite0": ("stride2", "stride4", "stride8", "stride16", "stride32"),
    "vgg16_hed": _VGG,
}
"""Layers whose Gram matrices are the style; for VGG those of Gatys et al. 2015 (arXiv 1508.06576)."""

_SIGNED = ("efficientnet_lite0",)
"""Extractors whose features are of any sign."""

_DARKEST = 0.01
"""A negligible response, compared with 1 on natural pictures."""


@dataclass(frozen=True)
class FeatureStatistics:
    """What a set of pictures is in the features of one extractor.

    Attributes:
        extractor: its name.
        rows: (N, D) of the pictures: mean and deviation over places of every channel of every layer that was computed.
            Deviations, and means that are never negative, are logarithms.
        grams: (C, C) by layer of ``STYLE_LAYERS``, mean over pictures of the mean over places of products of channels.
    """

    extractor: str
    rows: NDArray[np.float64]
    grams: dict[str, NDArray[np.float64]]


def feature_statistics(pictures: Sequence[Floats], extractor: ExtractorName) -> FeatureStatistics:
    """Statistics of pictures in the features of an extractor, fp32 on the CPU.

    Args:
        pictures: (H, W, 3) in unit range, of any sizes; none at all gives no rows and no grams.
        extractor: its name.
    Raises:
        ValueError: a picture is smaller than ``SMALLEST_SIDE_PX``.
        WeightsError: the extractor's weights are missing.
    """
    import torch

    from stylegan_core.features.extractors import LAYERS, load_extractor

    network = load_extractor(extractor, None, torch.device("cpu"))
    style_layers = STYLE_LAYERS[extractor]
    layers = LAYERS[extractor][: 1 + LAYERS[extractor].index(style_layers[-1])]
    means_of = torch.Tensor.double if extractor in _SIGNED else _log
    rows: list[NDArray[np.float64]] = []
    grams: dict[str, Any] = dict.fromkeys(style_layers, 0.0)
    for picture in pictures:
        height, width = picture.shape[:2]
        if min(height, width) < SMALLEST_SIDE_PX:
            raise ValueError(
                f"{extractor} needs pictures of at least {SMALLEST_SIDE_PX} px a side, got {width} x {height} px"
            )
        signed = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None] * 2.0 - 1.0
        with torch.no_grad():
            found = {name: layer[0].flatten(1) for name, layer in network(signed, layers).items()}  # (C, places)
            parts = [p for f in found.values() for p in (means_of(f.mean(dim=1)), _log(f.std(dim=1, correction=0)))]
            rows.append(torch.cat(parts).numpy())
            for name in style_layers:
                gram = found[name] @ found[name].T / found[name].shape[1]
                grams[name] = grams[name] + gram.double().numpy() / len(pictures)
    table = np.stack(rows) if rows else np.zeros((0, 1))
    return FeatureStatistics(extractor, table, grams if rows else {})


def _log(statistic: Tensor) -> Tensor:
    return (statistic.double() + _DARKEST).log()  # contrasts multiply: outliers weigh less
