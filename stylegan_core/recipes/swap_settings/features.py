"""Terms of ``swap`` on the features of a trained network: settings, and the losses under them."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from stylegan_core.choices import ExtractorName
from stylegan_core.features.extractors import check_layers, load_extractor
from stylegan_core.losses.perceptual import moment_distance, normalized_distance
from stylegan_core.recipes.base import Losses
from stylegan_core.recipes.swap_settings.networks import SwapNetworksConfig


class SwapFeaturesConfig(SwapNetworksConfig):
    """Settings of the style and the content term on features."""

    feature_style_weight: float = Field(
        0.0, ge=0.0, description="weight of the distance of the moments of features between swap and reference"
    )
    extractor: ExtractorName = Field(
        "efficientnet_lite0", description="feature extractor of feature_style_weight and content_weight"
    )
    vgg19_weights: Path | None = Field(None, description="file with torchvision's state dict of VGG19")
    style_layers: tuple[str, ...] = Field(
        ("stride2", "stride4", "stride8", "stride16"),
        description="layers of feature_style_weight, from fine strokes to large shapes",
    )
    content_weight: float = Field(
        0.0, ge=0.0, description="weight of the distance of normalized features between a swap and its content"
    )
    content_layers: tuple[str, ...] = Field(("stride4", "stride8"), description="layers of content_weight")

    @model_validator(mode="after")
    def _layers_exist(self) -> Self:
        if self.feature_style_weight > 0:
            check_layers("style_layers", self.extractor, self.style_layers)
        if self.content_weight > 0:
            check_layers("content_layers", self.extractor, self.content_layers)
        return self

    def extractors(self) -> tuple[ExtractorName, ...]:
        """See ``RecipeConfig``."""
        used = self.feature_style_weight > 0 or self.content_weight > 0
        return tuple(dict.fromkeys((*super().extractors(), *((self.extractor,) if used else ()))))

    def feature_terms(self, swap: Tensor, contents: Tensor, shift: int) -> Losses:
        """The weighted style and content term; none with both weights 0.

        Args:
            swap: (N, 3, H, W) in [-1, 1].
            contents: of the swaps; all features of pictures are computed once.
            shift: by which the contents are rolled to be the references.
        """
        losses: Losses = {}
        style = self.style_layers if self.feature_style_weight > 0 else ()
        content = self.content_layers if self.content_weight > 0 else ()
        layers = tuple(dict.fromkeys((*style, *content)))
        if not layers:
            return losses
        extractor = load_extractor(self.extractor, self.vgg19_weights, swap.device)
        ours = extractor(swap, layers)
        with torch.no_grad():
            kept = extractor(contents, layers)
        if style:
            apart = [moment_distance(ours[layer], kept[layer].roll(shift, dims=0)) for layer in style]
            losses["feature_style"] = self.feature_style_weight * torch.stack(apart).mean()
        if content:
            apart = [normalized_distance(ours[layer], kept[layer]) for layer in content]
            losses["content"] = self.content_weight * torch.stack(apart).mean()
        return losses
