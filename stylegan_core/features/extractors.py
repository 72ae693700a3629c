"""Loads a feature extractor by name: a trained network where its weights exist, or a fixed random filter bank."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from stylegan_core.choices import ExtractorName
from stylegan_core.features import efficientnet_lite0, random_filters, vgg, vgg16_hed
from stylegan_core.features.random_filters import RandomFilters

LAYERS: dict[ExtractorName, tuple[str, ...]] = {
    "random_filters": random_filters.LAYERS,
    "vgg19": vgg.LAYERS,
    "efficientnet_lite0": efficientnet_lite0.LAYERS,
    "vgg16_hed": vgg16_hed.LAYERS,
}
"""Names of the layers of each extractor, fine to coarse."""


class Extractor(Protocol):
    """A frozen network: pictures to features by layer, in fp32, or in bf16 under autocast.

    Attributes:
        name: as in figures and settings.
        layers: names, fine to coarse.
    """

    name: str
    layers: tuple[str, ...]

    def __call__(self, pictures: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """The requested layers, (N, C, h, w) each, of (N, 3, H, W) in [-1, 1]; differentiable in the pictures.

        Raises:
            ValueError: a layer has no such name.
        """


@lru_cache(maxsize=8)
def load_extractor(name: ExtractorName, weights: Path | None, device: torch.device) -> Extractor:
    """An extractor on ``device``, created once per process.

    It is not part of a recipe: a model folder must not contain it, and inference must not need it. Do not register it
    as a submodule.

    Args:
        name: of the extractor.
        weights: of VGG19, see ``load_vgg19``; None for the others.
        device: that it runs on.
    Raises:
        WeightsError: the trained weights are missing or damaged.
    """
    extractor: torch.nn.Module
    if name == "vgg19":
        extractor = vgg.load_vgg19(weights)
    elif name == "efficientnet_lite0":
        extractor = efficientnet_lite0.load_efficientnet_lite0()
    elif name == "vgg16_hed":
        extractor = vgg16_hed.load_vgg16_hed()
    else:
        extractor = RandomFilters()
    loaded: Extractor = extractor.to(device).eval()
    return loaded


def check_layers(setting: str, extractor: ExtractorName, layers: Sequence[str]) -> None:
    """Refuses names that are no layers of an extractor, and an empty list.

    Args:
        setting: whose value the layers are, for the message.
        extractor: its name.
        layers: their names.
    Raises:
        ValueError: a layer does not exist, or there is none.
    """
    known = LAYERS[extractor]
    if not layers or any(layer not in known for layer in layers):
        given = ", ".join(layers) or "none"
        raise ValueError(f"{setting} of {extractor} must be some of {', '.join(known)}; got {given}")
