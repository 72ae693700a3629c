"""Colours of a picture moved to the mean and covariance of another's, by a triangular matrix.

Linear colour transfer after Reinhard et al. 2001 (Color Transfer between Images) and Hertzmann 2001 (Algorithms for
Rendering in Artistic Styles). In opponent axes, lightness first, the Cholesky factor of the covariance says how far
lightness spreads, then which hues go with it, then how far they spread beyond that.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

WIDTH = 9
"""Numbers of ``colour_code``: three means, six of the factor."""

_AXES = torch.tensor(
    [
        [1 / math.sqrt(3), 1 / math.sqrt(3), 1 / math.sqrt(3)],
        [1 / math.sqrt(2), 0.0, -1 / math.sqrt(2)],
        [1 / math.sqrt(6), -2 / math.sqrt(6), 1 / math.sqrt(6)],
    ]
)
"""Rows: lightness, red against blue, magenta against green; orthonormal."""
_FLOOR = 0.025
"""Deviation that is added on every axis: a grey picture's noise must not become colours."""


def colour_code(pictures: Tensor) -> Tensor:
    """(N, 3, H, W) in [-1, 1] to (N, 9): the means on the axes, and the rows of the Cholesky factor."""
    values = _on_axes(pictures)
    mean = values.mean(dim=2)
    centred = values - mean[:, :, None]
    a, b, c = centred.unbind(dim=1)

    def covariance(x: Tensor, y: Tensor) -> Tensor:
        return (x * y).mean(dim=1)

    floor = _FLOOR**2
    aa = torch.sqrt(covariance(a, a) + floor)
    ab, ac = covariance(a, b) / aa, covariance(a, c) / aa
    bb = torch.sqrt((covariance(b, b) - ab.square()).clamp(min=0) + floor)
    bc = (covariance(b, c) - ab * ac) / bb
    cc = torch.sqrt((covariance(c, c) - ac.square() - bc.square()).clamp(min=0) + floor)
    return torch.cat([mean, torch.stack([aa, ab, bb, ac, bc, cc], dim=1)], dim=1)


def whiten(pictures: Tensor) -> Tensor:
    """(N, 3, H, W) on the axes, without mean, and without covariance but for the floor; fp32."""
    code = colour_code(pictures)
    mean, (aa, ab, bb, ac, bc, cc) = code[:, :3], code[:, 3:, None].unbind(dim=1)
    a, b, c = (_on_axes(pictures) - mean[:, :, None]).unbind(dim=1)
    first = a / aa
    second = (b - ab * first) / bb
    third = (c - ac * first - bc * second) / cc
    return torch.stack([first, second, third], dim=1).view_as(pictures)


def recolour(white: Tensor, code: Tensor) -> Tensor:
    """The inverse of ``whiten`` under a code: the picture itself under its own, (N, 3, H, W), not clamped.

    Args:
        white: of ``whiten``.
        code: (N, 9) of ``colour_code``.
    """
    mean, (aa, ab, bb, ac, bc, cc) = code[:, :3], code[:, 3:, None, None].unbind(dim=1)
    # A code beyond the reference's, of a strength above 1, would turn light into dark.
    aa, bb, cc = (spread.clamp(min=_FLOOR) for spread in (aa, bb, cc))
    first, second, third = white.unbind(dim=1)
    moved = torch.stack([aa * first, ab * first + bb * second, ac * first + bc * second + cc * third], dim=1)
    moved = moved + mean[:, :, None, None]
    return (_AXES.to(moved).t() @ moved.flatten(2)).view(white.shape)


def _on_axes(pictures: Tensor) -> Tensor:
    """(N, 3, H * W), fp32."""
    return _AXES.to(pictures.device) @ pictures.float().flatten(2)
