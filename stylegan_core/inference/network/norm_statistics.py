"""Instance norm with statistics that are fixed for a shot: stable film, and tiles that equal the whole frame.

Instance norm (Ulyanov, Vedaldi and Lempitsky 2016, arXiv 1607.08022) divides by the picture's own statistics, so a
pixel depends on all others, a film flickers with its content, and a tile is normalized differently from the frame.
With mean and variance fixed it is batch norm in evaluation (Ioffe and Szegedy 2015, arXiv 1502.03167): a factor and
an offset for each channel, which the convolution before it can absorb.
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
"""Far more than any network's statistics: a movie that is named by mistake is not read."""


class StatisticsError(ValueError):
    """Statistics cannot be read, or belong to another model."""


@dataclass(frozen=True)
class Statistics:
    """Fixed statistics of a network's instance norm layers.

    Attributes:
        layers: mean and variance of a layer's input, (2, C) float64, by the layer's name, in order of execution.
        model: digest of the model.
        settings: digest of the conditions and colours of the job, which they depend on.
        frames: SHA-256 of the measured files, by name.
    """

    layers: dict[str, Tensor]
    model: str = ""
    settings: str = ""
    frames: dict[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of the values, which determine the pixels."""
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
        StatisticsError: the content is not a statistics file.
    """
    try:
        tensors = safetensors.torch.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        named = json.loads(header["__metadata__"]["statistics"])
        layers = {name: tensors[name] for name in named["layers"]}
        if not all(each.ndim == 2 and len(each) == 2 and each.dtype == torch.float64 for each in layers.values()):
            raise ValueError("its tensors are not means and variances")
        return Statistics(layers, named["model"], named["settings"], dict(named["frames"]))
    except (KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise StatisticsError(str(error)) from None


def read_statistics(path: Path) -> Statistics:
    """Reads a file that ``encode_statistics`` made.

    Raises:
        StatisticsError: the file is missing or is not a statistics file.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE_BYTES:
            raise StatisticsError("the file is too large")
        return decode_statistics(path.read_bytes())
    except (OSError, StatisticsError) as error:
        raise StatisticsError(f"{path} is not a file of norm statistics: {error}") from None


def instance_norms(recipe: BaseRecipe) -> dict[str, nn.InstanceNorm2d]:
    """Layers that compute their statistics from the picture, by their names in ``recipe.networks``."""
    modules = recipe.networks.named_modules()
    norms = {name: m for name, m in modules if isinstance(m, nn.InstanceNorm2d) and not m.track_running_stats}
    return {name: norm for name, norm in norms.items() if name.split(".")[0] in recipe.inference_networks}


def norm_layers(recipe: BaseRecipe, conditions: Conditions | None = None) -> dict[str, int]:
    """Instance norm layers that a translation uses, in order, with their strides in input pixels.

    Args:
        recipe: in evaluation mode.
        conditions: of the translation; the direction selects the network.

    Returns:
        Empty if there are none, or if one runs more than once and therefore has no single statistics.
    """
    here, seen = threading.get_ident(), list[tuple[str, int]]()
    handles = []
    for name, module in instance_norms(recipe).items():

        def watch(_: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
            if threading.get_ident() == here:  # not another picture in the same network
                seen.append((name, max(1, _STRIDE_PROBE_PX[1] // inputs[0].shape[-1])))

        handles.append(module.register_forward_pre_hook(watch))
    if not handles:
        return {}
    try:
        with torch.inference_mode():
            probe = torch.zeros(1, recipe.input_channels, *_STRIDE_PROBE_PX, device=device_of(recipe))
            recipe.translate(probe, conditions or Conditions())
    finally:
        for handle in handles:
            handle.remove()
    return dict(seen) if len(dict(seen)) == len(seen) else {}


def freeze(recipe: BaseRecipe, statistics: Statistics) -> BaseRecipe:
    """A copy whose norm layers use ``statistics``, folded into the preceding convolutions, if any.

    Args:
        recipe: in evaluation mode; not modified.
        statistics: of this recipe.

    Raises:
        StatisticsError: they belong to other layers.
    """
    frozen = copy.deepcopy(recipe)
    norms = instance_norms(frozen)
    for name, moments in statistics.layers.items():
        if name not in norms or norms[name].num_features != moments.shape[1]:
            raise StatisticsError(
                f"the statistics belong to another model: this one has no norm layer {name} like theirs"
            )
        replace_layer(frozen, name, fixed_norm(norms[name], moments))
    for module in frozen.networks.modules():
        if isinstance(module, nn.Sequential):
            _fold(module)
    return frozen.eval().requires_grad_(False)


def fixed_norm(norm: nn.InstanceNorm2d, moments: Tensor) -> nn.BatchNorm2d:
    """A batch norm that does to all pictures what ``norm`` does to pictures with the statistics ``moments``.

    Args:
        norm: with or without a learned factor and offset.
        moments: (2, C) mean and biased variance.
    """
    fixed = nn.BatchNorm2d(norm.num_features, eps=norm.eps, affine=norm.affine)
    mean, variance = moments.float()
    fixed.load_state_dict({"running_mean": mean, "running_var": variance}, strict=False)
    if norm.affine:
        fixed.load_state_dict({"weight": norm.weight, "bias": norm.bias}, strict=False)
    return fixed.to(moments.device).eval().requires_grad_(False)


def replace_layer(recipe: BaseRecipe, name: str, layer: nn.Module) -> None:
    """Replaces a network's layer of this name by ``layer``."""
    where, _, attribute = name.rpartition(".")
    setattr(recipe.networks.get_submodule(where), attribute, layer.to(device_of(recipe)))


def _fold(layers: nn.Sequential) -> None:
    """Folds each fixed norm that follows a convolution into it."""
    for at in range(len(layers) - 1):
        conv, norm = layers[at], layers[at + 1]
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and not norm.training:
            layers[at], layers[at + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
