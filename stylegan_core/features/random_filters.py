"""A fixed bank of random filters over an image pyramid: features that need no trained weights.

Ustyuzhaninov et al. 2017, What Does It Take to Generate Natural Textures? (arXiv 1606.00021): Gram matrices of random
filters of several sizes describe textures about as well as those of a trained network. Here a pyramid stands in for
their largest filters, and the filters are whitened for natural pictures: otherwise coarse brightness would dominate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

LAYERS = tuple(f"block{block}_conv{conv}" for block in range(1, 6) for conv in (1, 2))
"""Names of the layers, fine to coarse: block *n* sees the picture at 1 / 2**(n - 1) of its size."""

_SIZES_PX = (1, 3, 5, 7)
_FILTERS_A_SIZE = 16
_NEIGHBOUR_CORRELATION = 0.95
_CHANNEL_CORRELATION = 0.9
_DEVIATION = 0.5  # of natural pictures in [-1, 1]
_NOISE = 0.02  # share of the variance below which a pattern counts as noise, and is not amplified


class RandomFilters(nn.Module):
    """(N, 3, H, W) in [-1, 1] to named layers; the same filters on every machine, and no gradient to them.

    In each block ``conv1`` is filters of 1, 3, 5 and 7 px on colours, with thresholds of their own, and ``conv2`` mixes
    3 x 3 of its responses; both end in ReLU. Responses to natural pictures have a deviation of about 1.

    Args:
        seed: of the draws.
    """

    name = "random_filters"
    layers = LAYERS

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        rng = np.random.Generator(np.random.Philox(key=[seed, 1606]))
        for size in _SIZES_PX:
            self._keep(f"filters_{size}_px", _whitened_filters(rng, size))
            self._keep(f"thresholds_{size}_px", rng.uniform(-1.0, 1.0, _FILTERS_A_SIZE))
        width = len(_SIZES_PX) * _FILTERS_A_SIZE
        mixing = rng.standard_normal((width, width, 3, 3))
        mixing -= mixing.mean(axis=(1, 2, 3), keepdims=True)  # what all responses share carries little information
        self._keep("mixing", mixing * np.sqrt(2.0 / (9 * width)))

    def forward(self, pictures: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """The requested layers; blocks that none of them needs are not computed.

        Args:
            pictures: (N, 3, H, W) in [-1, 1], sides of at least 16 px for block 5.
            layers: some of ``LAYERS``.
        Returns:
            (N, 64, H / 2**(n - 1), W / 2**(n - 1)) each, 0 or more.
        Raises:
            ValueError: a layer has no such name, or the picture is too small for it.
        """
        if unknown := [name for name in layers if name not in LAYERS]:
            raise ValueError(f"random_filters has no layer {unknown[0]!r}; its layers are {', '.join(LAYERS)}")
        found: dict[str, Tensor] = {}
        last = max((int(name[5]) for name in layers), default=0)
        if min(pictures.shape[-2:]) < 2 ** (last - 1):
            size_px = f"{pictures.shape[3]} x {pictures.shape[2]} px"
            raise ValueError(f"block {last} needs sides of at least {2 ** (last - 1)} px, got {size_px}")
        for block in range(1, last + 1):
            first, second = f"block{block}_conv1", f"block{block}_conv2"
            if block > 1:
                pictures = F.avg_pool2d(pictures, 2)
            if first in layers or second in layers:
                found[first] = self._colours(pictures)
            if second in layers:
                padded = F.pad(found[first], (1, 1, 1, 1), mode="replicate")
                found[second] = F.relu(F.conv2d(padded, self.get_buffer("mixing")))
        return {name: found[name] for name in layers}

    def _colours(self, pictures: Tensor) -> Tensor:
        responses = []
        for size in _SIZES_PX:
            border = size // 2
            padded = F.pad(pictures, (border, border, border, border), mode="replicate") if border else pictures
            filters, thresholds = self.get_buffer(f"filters_{size}_px"), self.get_buffer(f"thresholds_{size}_px")
            responses.append(F.conv2d(padded, filters, thresholds))
        return F.relu(torch.cat(responses, dim=1))

    def _keep(self, name: str, values: NDArray[np.float64]) -> None:
        self.register_buffer(name, torch.from_numpy(values).float(), persistent=False)


def _whitened_filters(rng: np.random.Generator, size_px: int) -> NDArray[np.float64]:
    """(K, 3, size, size): random directions in the space where patches of natural pictures are white."""
    positions = np.stack(np.meshgrid(np.arange(size_px), np.arange(size_px), indexing="ij"), axis=-1).reshape(-1, 2)
    distances_px = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    channels = _CHANNEL_CORRELATION + (1.0 - _CHANNEL_CORRELATION) * np.eye(3)
    covariance = _DEVIATION**2 * np.kron(channels, _NEIGHBOUR_CORRELATION**distances_px)
    # The symmetric root is unique, whatever signs and order a library gives the eigenvectors.
    variances, patterns = np.linalg.eigh(covariance)
    whitening = patterns @ np.diag((variances + _NOISE * _DEVIATION**2) ** -0.5) @ patterns.T
    directions = rng.standard_normal((_FILTERS_A_SIZE, 3 * size_px**2))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    filters: NDArray[np.float64] = (directions @ whitening).reshape(_FILTERS_A_SIZE, 3, size_px, size_px)
    return filters
