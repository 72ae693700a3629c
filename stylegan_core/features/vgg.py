"""VGG19's convolutions (Simonyan and Zisserman 2014, Very Deep Convolutional Networks, arXiv 1409.1556), by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.features.weights import WeightsError

_CONVOLUTIONS = (2, 2, 4, 4, 4)
LAYERS = tuple(f"block{b}_conv{c}" for b, count in enumerate(_CONVOLUTIONS, 1) for c in range(1, count + 1))
"""Names of the layers, fine to coarse, each after its ReLU; a block is at half the size of the one before."""

_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


class Vgg19(nn.Module):
    """(N, 3, H, W) in [-1, 1] to named layers; no gradient to the weights, which no model and no checkpoint contains.

    Args:
        weights: torchvision's state dict of VGG19, the whole network or its ``features`` alone.
    Raises:
        WeightsError: a layer is missing or has another shape.
    """

    name = "vgg19"
    layers = LAYERS

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(1, 3, 1, 1), persistent=False)
        in_channels, index = 3, 0
        for block, count in enumerate(_CONVOLUTIONS, start=1):
            out_channels = min(64 * 2 ** (block - 1), 512)
            for conv in range(1, count + 1):
                for kind, shape in (("weight", (out_channels, in_channels, 3, 3)), ("bias", (out_channels,))):
                    tensor = _entry(weights, f"features.{index}.{kind}", shape)
                    self.register_buffer(f"block{block}_conv{conv}_{kind}", tensor, persistent=False)
                in_channels, index = out_channels, index + 2  # torchvision counts ReLUs
            index += 1  # and poolings

    def forward(self, pictures: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """The requested layers; later ones are not computed.

        Args:
            pictures: (N, 3, H, W) in [-1, 1], sides of at least 16 px for block 5.
            layers: some of ``LAYERS``.
        Returns:
            (N, C, H / 2**(n - 1), W / 2**(n - 1)) each, 0 or more; C is 64, 128, 256, 512, 512.
        Raises:
            ValueError: a layer has no such name.
        """
        if unknown := [name for name in layers if name not in LAYERS]:
            raise ValueError(f"vgg19 has no layer {unknown[0]!r}; its layers are {', '.join(LAYERS)}")
        hidden = (0.5 * (pictures + 1.0) - self.get_buffer("mean")) / self.get_buffer("deviation")
        found: dict[str, Tensor] = {}
        for name in LAYERS[: 1 + max((LAYERS.index(layer) for layer in layers), default=-1)]:
            if name.endswith("conv1") and name != LAYERS[0]:
                hidden = F.max_pool2d(hidden, 2)
            weight, bias = self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")
            hidden = F.relu(F.conv2d(hidden, weight, bias, padding=1))
            found[name] = hidden
        return {name: found[name] for name in layers}


def load_vgg19(weights: Path | None = None) -> Vgg19:
    """VGG19 with trained weights.

    Args:
        weights: file with torchvision's state dict, ``.safetensors`` or torch's own format; None uses torchvision's
            cache, or downloads.
    Raises:
        WeightsError: the file is missing, the download failed, or the weights are not VGG19's.
    """
    return Vgg19(_downloaded() if weights is None else _read(weights))


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise WeightsError(f"{path} does not exist: name a file with the state dict of torchvision's vgg19")
    try:
        if path.suffix == ".safetensors":
            import safetensors.torch

            return safetensors.torch.load_file(path)
        found: Any = torch.load(path, map_location="cpu", weights_only=True)  # runs no code from the file
    except Exception as error:  # torch and safetensors raise a dozen types for a damaged file
        # Only the first sentence: torch then suggests an unsafe way to read the file.
        reason = (str(error).split(". ")[0].strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{path} is not a state dict that can be read safely: {reason}") from error
    if not isinstance(found, Mapping):
        raise WeightsError(f"{path} contains {type(found).__name__}, expected a state dict")
    return found


def _downloaded() -> Mapping[str, Tensor]:
    from torchvision.models import VGG19_Weights

    try:
        found: Mapping[str, Tensor] = VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong hash is a RuntimeError
        raise WeightsError(
            f"VGG19's weights are not in torchvision's cache and could not be downloaded ({error}). Get "
            f"{VGG19_Weights.IMAGENET1K_V1.url} on a machine with internet access and name the file, or use the "
            "features random_filters, which need no weights"
        ) from error
    return found


def _entry(weights: Mapping[str, Tensor], key: str, shape: tuple[int, ...]) -> Tensor:
    tensor = weights.get(key, weights.get(key.removeprefix("features.")))
    if tensor is None:
        raise WeightsError(f"these are not VGG19's weights: {key} is missing")
    if tuple(tensor.shape) != shape:
        raise WeightsError(f"these are not VGG19's weights: {key} has shape {tuple(tensor.shape)}, expected {shape}")
    return tensor.detach().float().clone()
