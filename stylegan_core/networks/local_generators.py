"""Many local generators, with their position as input, and a global one.

After Tang et al. 2020, Local Class-Specific and Global Image-Level Generative Adversarial Networks (arXiv 1912.12215),
with a region of the picture in place of a class; position as input is that of Liu et al. 2018, An Intriguing Failing of
Convolutional Neural Networks and the CoordConv Solution (arXiv 1807.03247).
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.networks.resnet import Norm, Padding, ResidualBlock, activation, apply_in_fp32, convolution

_OVERLAP_SHARE = 4
"""A region reaches so great a part of its side, a quarter, into each of its neighbours."""


class LocalGenerator(nn.Module):
    """Residual of one region, (N, 8, h, w) to fp32 (N, 3, h, w).

    Args:
        channels: of its layers.
        blocks: residual blocks, at full size.
        norm: of the residual blocks.
        padding: how convolutions see past the region's border.
    """

    def __init__(self, channels: int, blocks: int, norm: Norm, padding: Padding) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(3 + 3 + 2, channels, 3, padding),
            activation(norm),
            *(ResidualBlock(channels, norm, padding, gain=0.1) for _ in range(blocks)),
        )
        self.to_rgb = convolution(channels, 3, 3, padding)
        with torch.no_grad():
            self.to_rgb.weight.mul_(0.1)

    def forward(self, seen: Tensor) -> Tensor:
        """Content, the global generator's result and the position, all in [-1, 1], to an unbounded change."""
        return apply_in_fp32(self.to_rgb, self.body(seen))


class LocalGenerators(nn.Module):
    """A generator for the whole picture, and one with weights of its own for each region of a grid.

    Regions overlap; their changes are blended by smooth windows, which sum to 1 at every pixel.

    Args:
        whole: the global generator, with ``encode``, ``stage_channels`` and ``stem``.
        regions: a side of the grid.
        channels: of each local generator.
        blocks: of each local generator.
        norm: of their residual blocks.
        padding: how their convolutions see past a region's border.
    """

    def __init__(
        self,
        whole: nn.Module,
        regions: int = 2,
        *,
        channels: int = 16,
        blocks: int = 2,
        norm: Norm = "none",
        padding: Padding = "reflect",
    ) -> None:
        super().__init__()
        self.whole = whole
        self.regions = regions
        self.locals = nn.ModuleList(LocalGenerator(channels, blocks, norm, padding) for _ in range(regions**2))
        self.stage_channels: tuple[int, ...] = whole.stage_channels  # type: ignore[assignment]

    @property
    def stem(self) -> nn.Module:
        """The global generator's first layer."""
        return self.whole.stem  # type: ignore[return-value]

    def encode(self, content: Tensor, last: int | None = None) -> list[Tensor]:
        """The global generator's features, up to ``last`` if that is given."""
        return self.whole.encode(content, last)  # type: ignore[operator, no-any-return]

    def forward(self, content: Tensor, encoded: list[Tensor] | None = None) -> Tensor:
        """(N, 3, H, W) in [-1, 1] to fp32 (N, 3, H, W), which may overshoot [-1, 1].

        Args:
            content: the input.
            encoded: what ``encode`` returned for it, if that is known already.
        """
        height, width = content.shape[-2:]
        result: Tensor = self.whole(content) if encoded is None else self.whole(content, encoded)
        seen = torch.cat([content.float(), result, _position(content)], dim=1)  # (N, 8, H, W)
        rows, columns = _spans(height, self.regions), _spans(width, self.regions)
        row_windows = _windows(height, self.regions, content.device)
        column_windows = _windows(width, self.regions, content.device)
        changes = torch.zeros_like(result)
        for index, generator in enumerate(self.locals):
            row, column = divmod(index, self.regions)
            (top, bottom), (left, right) = rows[row], columns[column]
            change = generator(seen[..., top:bottom, left:right])
            weight = row_windows[row][top:bottom, None] * column_windows[column][None, left:right]
            changes = changes + F.pad(change * weight, (left, width - right, top, height - bottom))
        return result + changes


def _position(content: Tensor) -> Tensor:
    """(N, 2, H, W), row and column from -1 to 1."""
    count, _, height, width = content.shape
    rows = (2 * torch.arange(height, device=content.device) + 1) / height - 1
    columns = (2 * torch.arange(width, device=content.device) + 1) / width - 1
    grid = torch.stack([rows[:, None].expand(height, width), columns[None, :].expand(height, width)])
    return grid.expand(count, 2, height, width)


def _spans(length_px: int, regions: int) -> list[tuple[int, int]]:
    """First pixel of each region with its overlap, and the one after its last."""
    overlap_px = _overlap_px(length_px, regions)
    edges_px = [length_px * index // regions for index in range(regions + 1)]
    return [
        (edges_px[i] - (overlap_px if i > 0 else 0), edges_px[i + 1] + (overlap_px if i < regions - 1 else 0))
        for i in range(regions)
    ]


def _overlap_px(length_px: int, regions: int) -> int:
    return length_px // (_OVERLAP_SHARE * regions)  # whole numbers all the way: an exporter follows them to other sizes


def _windows(length_px: int, regions: int, device: torch.device) -> list[Tensor]:
    """(length,) weights of each region, 0 outside its span; each inner edge is a smooth step from one to the next."""
    position_px = torch.arange(length_px, device=device) + 0.5
    reach_px = _overlap_px(length_px, regions) + 0.5
    steps = [torch.ones(length_px, device=device)]  # how far each pixel is beyond an edge, 0 to 1
    for index in range(1, regions):
        linear = ((position_px - length_px * index // regions) / (2 * reach_px) + 0.5).clamp(0, 1)
        steps.append(linear * linear * (3 - 2 * linear))
    steps.append(torch.zeros(length_px, device=device))
    return [begun - ended for begun, ended in itertools.pairwise(steps)]
