"""Projection heads of patch features (Park et al. 2020, Contrastive Learning for Unpaired Image-to-Image Translation).

arXiv 2007.15651.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class PatchProjection(nn.Module):
    """A two-layer perceptron for every feature stage, made at once so that optimizers and checkpoints know it.

    Args:
        stage_channels: channels of the stages that are projected.
        width: of the hidden layer and of the result.
    """

    def __init__(self, stage_channels: Sequence[int], width: int = 256) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(channels, width), nn.ReLU(), nn.Linear(width, width)) for channels in stage_channels
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, features: Sequence[Tensor], positions: Sequence[Tensor]) -> list[Tensor]:
        """Unit vectors of the features at ``positions``.

        Args:
            features: one (N, C, H, W) a stage.
            positions: one (P,) a stage, indices into the H * W positions, row by row.
        Returns:
            One (N, P, width) a stage, of norm 1.
        Raises:
            ValueError: as many features or positions as stages are needed.
        """
        projected = []
        for head, stage, index in zip(self.heads, features, positions, strict=True):
            rows = stage.permute(0, 2, 3, 1).flatten(1, 2).index_select(1, index)  # (N, P, C)
            projected.append(F.normalize(head(rows).float(), dim=-1))
        return projected
