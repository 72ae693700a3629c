"""Layouts of patch discriminators: one, several scales, or one for the whole picture and one a region.

Multi-scale: Wang et al. 2018, High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs (arXiv
1711.11585). Global and local: Iizuka et al. 2017, Globally and Locally Consistent Image Completion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.networks.patch_discriminator import DiscriminatorNorm, PatchDiscriminator

PatchLayout = Literal["patch", "multi_scale", "global_local"]
Layout = Literal["patch", "multi_scale", "global_local", "projected"]
"""``PatchLayout``, and heads on trained features: see ``projected``."""


@dataclass(frozen=True)
class DiscriminatorOutput:
    """Output of a discriminator.

    Attributes:
        logits: (N, 1, h, w) for each part, positive for real.
        features: of the layers of all parts, for feature matching.
    """

    logits: list[Tensor]
    features: list[Tensor]

    def __getitem__(self, pictures: slice) -> DiscriminatorOutput:
        """The output on some of the pictures."""
        return DiscriminatorOutput([part[pictures] for part in self.logits], [part[pictures] for part in self.features])


class Discriminator(nn.Module):
    """Discriminator of one or several patch discriminators, (N, C, H, W) to a ``DiscriminatorOutput``.

    Args:
        in_channels: 3 for a picture; more for a picture after what it was made from (conditional).
        channels: of the first layer of each.
        layers: strided layers; the window of each is 16, 34, 70 px for 1, 2, 3.
        norm: see ``PatchDiscriminator``.
        layout: "patch" is one patch discriminator; "multi_scale" has one for each scale, each at half the size of the
            one before; "global_local" has one for the whole picture and one, with weights of its own, for each region.
        scales: patch discriminators of "multi_scale".
        regions: a side of the grid of "global_local".
        dropout: share of the features of each that are dropped in training.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 32,
        layers: int = 2,
        norm: DiscriminatorNorm = "spectral",
        *,
        layout: PatchLayout = "patch",
        scales: int = 2,
        regions: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.layout, self.regions = layout, regions
        count = {"patch": 1, "multi_scale": scales, "global_local": 1 + regions**2}[layout]
        self.judges = nn.ModuleList(
            PatchDiscriminator(in_channels, channels, layers, norm, dropout=dropout) for _ in range(count)
        )

    def forward(self, pictures: Tensor) -> DiscriminatorOutput:
        """The logits and features of every patch discriminator."""
        logits, features = [], []
        for discriminator, seen in zip(self.judges, self._views(pictures), strict=True):
            *hidden, last = discriminator.features(seen)  # type: ignore[operator]
            logits.append(last)
            features += hidden
        return DiscriminatorOutput(logits, features)

    @property
    def first_part(self) -> tuple[int, int]:
        """Number of features of the first part in the output, and channels of the last of them."""
        first: PatchDiscriminator = self.judges[0]  # type: ignore[assignment]
        return first.hidden_layers, first.hidden_channels

    def freeze(self, layers: int) -> None:
        """Freezes the first ``layers`` convolutions of every patch discriminator.

        FreezeD (Mo et al. 2020, arXiv 2002.10964); the norm that follows one of them is frozen too. Call it before the
        optimizers are made.
        """
        for discriminator in self.judges:
            convolutions = 0
            for module in discriminator.body:  # type: ignore[union-attr]
                convolutions += isinstance(module, nn.Conv2d)
                if convolutions <= layers:
                    module.requires_grad_(False)

    def _views(self, pictures: Tensor) -> list[Tensor]:
        if self.layout == "patch":
            return [pictures]
        if self.layout == "multi_scale":
            views = [pictures]
            while len(views) < len(self.judges):
                views.append(F.avg_pool2d(views[-1], 2))
            return views
        rows = [
            part for row in pictures.tensor_split(self.regions, dim=2) for part in row.tensor_split(self.regions, dim=3)
        ]
        return [pictures, *rows]
