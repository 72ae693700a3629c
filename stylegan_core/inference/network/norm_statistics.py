"""Instance norm with statistics that are fixed for a shot: steady pictures, and tiles that equal the whole.

Instance norm (Ulyanov, Vedaldi and Lempitsky 2016, arXiv 1607.08022) divides by what it finds in the picture, so a
pixel depends on all others, a film flickers with its content, and a tile is normalized unlike the whole. With mean and
variance fixed it is batch norm in evaluation (Ioffe and Szegedy 2015, arXiv 1502.03167): a factor and an offset a
channel, which the convolution before it takes over.
"""

from __future__ import annotations

import copy
import hashlib
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stylegan_core.inference.network.receptive_field import device_of
from stylegan_core.recipes.base import BaseRecipe, Conditions

_STRIDE_PROBE_PX = (32, 256)
_LARGEST_FILE_BYTES = 256 << 20
"""Far above any network's statistics: a movie that is given in their place is not read."""


class StatisticsError(ValueError):
    """Statistics cannot be read, or belong to another model."""


@dataclass(frozen=True)
class Statistics:
    """What the instance norm layers of a network use in place of what they find in each picture.

    Attributes:
        layers: mean and variance of a layer's input, (2, C) float64, by the layer's name, in order of execution.
        model: digest of the model.
        settings: what else they depend on, the directions and colours of a job, in a digest.
        frames: SHA-256 of the files that were measured, by their names.
    """

    layers: dict[str, Tensor]
    model: str = ""
    settings: str = ""
    frames: dict[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of the figures: what decides the pixels."""
        total = hashlib.sha256()
        for name, moments in self.layers.items():
            total.update(name.encode() + b"\0" + moments.numpy().astype("<f8").tobytes())
        return total.hexdigest()


def encode_statistics(statistics: Statistics) -> bytes:
    """The content of a safetensors file; equal statistics give equal bytes."""
    named = {
        "model": statistics.model,
        "settings": statistics.settings,
        "frames": statistics.frames,
        "layers": [*statistics.layers],
    }
    tensors = {name: moments.contiguous() for name, moments in statistics.layers.items()}
    return safetensors.torch.save(tensors, metadata={"statistics": json.dumps(named)})


def decode_statistics(content: bytes) -> Statistics:
    """Reverses ``encode_statistics``.

    Raises:
        StatisticsError: the content is something else.
    """
    try:
        tensors = safetensors.torch.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        named = json.loads(header["__metadata__"]["statistics"])
        layers = {name: tensors[name] for name in named["layers"]}
        if not all(each.ndim == 2 and len(each) == 2 and each.dtype == torch.float64 for each in layers.values()):
            raise ValueError("its tensors are no means and variances")
        return Statistics(layers, named["model"], named["settings"], dict(named["frames"]))
    except (KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise StatisticsError(str(error)) from None


def read_statistics(path: Path) -> Statistics:
    """Reads a file of ``encode_statistics``'s content.

    Raises:
        StatisticsError: the file is missing, or holds something else.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE_BYTES:
            raise StatisticsError("the file is too large")
        return decode_statistics(path.read_bytes())
    except (OSError, StatisticsError) as error:
        raise StatisticsError(f"{path} holds no statistics of a model: {error}") from None


def instance_norms(recipe: BaseRecipe) -> dict[str, nn.InstanceNorm2d]:
    """Layers that look at the picture for their statistics, by their names in ``recipe.networks``."""
    modules = recipe.networks.named_modules()
    norms = {name: m for name, m in modules if isinstance(m, nn.InstanceNorm2d) and not m.track_running_stats}
    return {name: norm for name, norm in norms.items() if name.split(".")[0] in recipe.inference_networks}


def norm_layers(recipe: BaseRecipe, conditions: Conditions | None = None) -> dict[str, int]:
    """Instance norm layers that a translation runs through, in order, with the input pixels between their positions.

    Args:
        recipe: in evaluation mode.
        conditions: what it is directed by; the direction decides which network runs.

    Returns:
        Empty if there are none, or if one runs more than once and so has no statistics of its own.
    """
    here, seen = threading.get_ident(), list[tuple[str, int]]()
    handles = []
    for name, module in instance_norms(recipe).items():

        def watch(_: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
            if threading.get_ident() == here:  # not another picture, on its way through the same network
                seen.append((name, max(1, _STRIDE_PROBE_PX[1] // inputs[0].shape[-1])))

        handles.append(module.register_forward_pre_hook(watch))
    if not handles:
        return {}
    try:
        with torch.inference_mode():
            recipe.translate(torch.zeros(1, 3, *_STRIDE_PROBE_PX, device=device_of(recipe)), conditions or Conditions())
    finally:
        for handle in handles:
            handle.remove()
    return dict(seen) if len(dict(seen)) == len(seen) else {}


def freeze(recipe: BaseRecipe, statistics: Statistics) -> BaseRecipe:
    """A copy whose norm layers use ``statistics``, folded into the convolutions before them where there are any.

    Args:
        recipe: in evaluation mode; stays as it is.
        statistics: of this recipe.

    Raises:
        StatisticsError: they are of other layers.
    """
    frozen = copy.deepcopy(recipe)
    norms = instance_norms(frozen)
    for name, moments in statistics.layers.items():
        if name not in norms or norms[name].num_features != moments.shape[1]:
            raise StatisticsError(f"the statistics are of another model: this one has no norm layer {name} like theirs")
        replace_layer(frozen, name, fixed_norm(norms[name], moments))
    for module in frozen.networks.modules():
        if isinstance(module, nn.Sequential):
            _fold(module)
    return frozen.eval().requires_grad_(False)


def fixed_norm(norm: nn.InstanceNorm2d, moments: Tensor) -> nn.BatchNorm2d:
    """What ``norm`` does to pictures whose statistics are ``moments``, to all pictures.

    Args:
        norm: with or without a factor and offset of its own.
        moments: (2, C) mean and biased variance.
    """
    fixed = nn.BatchNorm2d(norm.num_features, eps=norm.eps, affine=norm.affine)
    mean, variance = moments.float()
    fixed.load_state_dict({"running_mean": mean, "running_var": variance}, strict=False)
    if norm.affine:
        fixed.load_state_dict({"weight": norm.weight, "bias": norm.bias}, strict=False)
    return fixed.to(moments.device).eval().requires_grad_(False)


def replace_layer(recipe: BaseRecipe, name: str, layer: nn.Module) -> None:
    """Puts ``layer`` in the place of a network's layer of this name."""
    where, _, attribute = name.rpartition(".")
    setattr(recipe.networks.get_submodule(where), attribute, layer.to(device_of(recipe)))


def _fold(layers: nn.Sequential) -> None:
    """A fixed norm right after a convolution becomes part of it."""
    for at in range(len(layers) - 1):
        conv, norm = layers[at], layers[at + 1]
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and not norm.training:
            layers[at], layers[at + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
