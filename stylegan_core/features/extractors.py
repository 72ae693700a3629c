"""Loads a feature extractor by name: a fixed random filter bank, or VGG19 where its weights exist."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch

from stylegan_core.features import random_filters, vgg
from stylegan_core.features.random_filters import RandomFilters
from stylegan_core.features.vgg import Vgg19, load_vgg19

ExtractorName = Literal["random_filters", "vgg19"]

LAYERS: dict[ExtractorName, tuple[str, ...]] = {"random_filters": random_filters.LAYERS, "vgg19": vgg.LAYERS}
"""Names of the layers of each extractor, fine to coarse."""


@lru_cache(maxsize=4)
def load_extractor(name: ExtractorName, weights: Path | None, device: torch.device) -> RandomFilters | Vgg19:
    """An extractor on ``device``, created once per process.

    It is not part of a recipe: a model folder must not contain VGG19, and inference must not need it.

    Args:
        name: of the extractor.
        weights: of VGG19, see ``load_vgg19``.
        device: that it runs on.
    Raises:
        WeightsError: VGG19's weights are missing or damaged.
    """
    extractor = load_vgg19(weights) if name == "vgg19" else RandomFilters()
    extractor = extractor.to(device).eval()
    return extractor
