"""The network of a recipe under fixed conditions, as a function that some back end runs."""

from __future__ import annotations

import importlib.util
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stylegan_core.inference.job.frame_settings import BackEnd, Precision
from stylegan_core.inference.network.backends.openvino_runtime import import_openvino, openvino_core, quiet_imports
from stylegan_core.inference.network.cpu_pool import cores
from stylegan_core.inference.network.tiling import Translate
from stylegan_core.inference.network.translate import for_each, network
from stylegan_core.recipes.base import BaseRecipe, Conditions

PACKAGES: dict[BackEnd, tuple[str, ...]] = {
    "torch": (),
    "compiled": (),
    "openvino": ("openvino",),
    "onnxruntime": ("onnx", "onnxscript", "onnxruntime"),
}
"""What each back end needs beside torch."""
PRECISIONS: dict[BackEnd, tuple[Precision, ...]] = {
    "torch": ("fp32", "bf16", "fp16"),
    "compiled": ("fp32", "bf16", "fp16"),
    "openvino": ("fp32", "bf16"),
    "onnxruntime": ("fp32",),
}
_MOST_SHAPES = 6
"""Sizes that a converted network is kept for; it is converted for each, since fixed sizes run fastest."""

_PADDED_TO_PX, _LEAST_TRACED_PX = 256, 64
"""A network pads inside to a divisor of the first: eight halvings are the most that any has."""
MOST_TOGETHER_PX = 1 << 18
"""Frames of one size are translated together up to this many pixels, on a GPU."""


class BackEndError(RuntimeError):
    """A back end cannot run this network here; the message says why, or what to install."""


def missing_packages(back_end: BackEnd) -> list[str]:
    """What would have to be installed for a back end."""
    return [package for package in PACKAGES[back_end] if importlib.util.find_spec(package) is None]


def pictures_at_once(height: int, width: int, device: str) -> int:
    """How many pictures of a size are translated together: always as many, since a sum's order follows the count.

    On a CPU one a core, each by itself (see ``map_one_core_each``): a batch would not fit into its caches.
    """
    return max(1, MOST_TOGETHER_PX // max(1, height * width)) if device.startswith("cuda") else cores()


def runner(recipe: BaseRecipe, conditions: Conditions, back_end: BackEnd, precision: Precision) -> Translate:
    """(N, 3, h, w) in [-1, 1] to (N, 3, h * scale, w * scale), for sides that the network takes.

    Args:
        recipe: in evaluation mode; on the CPU for openvino and onnxruntime.
        conditions: the same for every picture.
        back_end: what runs it; converted at the first picture of each size.
        precision: of the convolutions; outputs are fp32 in any.

    Raises:
        BackEndError: a package is missing, or the back end knows no such precision.
    """
    if precision not in PRECISIONS[back_end]:
        raise BackEndError(f"{back_end} runs in {' or '.join(PRECISIONS[back_end])}, not in {precision}")
    if missing := missing_packages(back_end):
        raise BackEndError(f"{back_end} needs {', '.join(missing)}: pip install {' '.join(missing)}")
    if back_end == "torch":
        return network(recipe, conditions, precision)
    if back_end == "compiled":
        return _compiled(recipe, conditions, precision)
    convert = _openvino if back_end == "openvino" else _onnxruntime
    return _Converted(FixedNetwork(recipe, conditions), convert, precision)


class FixedNetwork(nn.Module):
    """A recipe's network with its conditions built in: what converters take."""

    def __init__(self, recipe: BaseRecipe, conditions: Conditions) -> None:
        super().__init__()
        self.recipe, self._conditions = recipe, conditions

    def forward(self, content: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] to (N, 3, H * scale, W * scale)."""
        return self.recipe.translate(content, for_each(self._conditions, len(content)))


def _compiled(recipe: BaseRecipe, conditions: Conditions, precision: Precision) -> Translate:
    whole = torch.compile(FixedNetwork(recipe, conditions), dynamic=False)
    low = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)

    def run(content: Tensor) -> Tensor:
        # No inference mode: the compiler would make its tensors normal ones again, and trace twice.
        with torch.no_grad(), torch.autocast(content.device.type, low, enabled=low is not None):
            made: Tensor = whole(content)
            return made.float()

    return run


_Run = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


class _Converted:
    """A network that another engine runs, one picture at a time, converted for each size that comes."""

    def __init__(
        self, fixed: FixedNetwork, convert: Callable[[FixedNetwork, Tensor, Precision], _Run], precision: Precision
    ) -> None:
        self._fixed, self._convert, self._precision = fixed.eval(), convert, precision
        self._lock = threading.Lock()
        self._runs: OrderedDict[tuple[int, ...], _Run] = OrderedDict()

    def __call__(self, content: Tensor) -> Tensor:
        run = self._for(content[:1])
        # Each alone: a batch is another size, and these engines fill all cores with one picture.
        pictures = content.cpu().contiguous().numpy()  # (N, 3, h, w)
        made = [torch.from_numpy(run(pictures[at : at + 1])) for at in range(len(pictures))]
        return torch.cat(made).to(content.device)

    def _for(self, example: Tensor) -> _Run:
        size = tuple(example.shape)
        with self._lock:  # pictures come side by side
            return self._converted(size, example)

    def _converted(self, size: tuple[int, ...], example: Tensor) -> _Run:
        if size not in self._runs:
            with quiet_imports():
                try:
                    self._runs[size] = self._convert(self._fixed, example, self._precision)
                except MemoryError:
                    raise
                except Exception as error:
                    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
                    raise BackEndError(f"this network cannot be converted: {first}") from error
            if len(self._runs) > _MOST_SHAPES:
                self._runs.popitem(last=False)
        self._runs.move_to_end(size)
        return self._runs[size]


def exported(fixed: FixedNetwork, example: Tensor) -> torch.export.ExportedProgram:
    """The graph for pictures of one size; nothing is computed."""
    with torch.no_grad():
        return torch.export.export(fixed, (torch.zeros(example.shape),))


def openvino_properties(precision: Precision) -> dict[str, Any]:
    """A picture a core: threads that call at the same time each get one."""
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "NUM_STREAMS": cores(),
        "INFERENCE_NUM_THREADS": cores(),
        "ENABLE_CPU_PINNING": False,  # processes side by side would all take the first core
    }


def converted_openvino(fixed: FixedNetwork, example: Tensor) -> Any:
    """OpenVINO's form of a network for pictures of one size.

    It is traced over a small picture that leaves the same remainders, so that what a network pads is padded, too: a
    trace takes a tenth of a second, ``torch.export`` many times that, with its imports.

    Raises:
        ValueError: the network is another one at the size of ``example``.
    """
    openvino = import_openvino()
    count, channels, height, width = example.shape
    small = torch.linspace(-1, 1, channels * _alike(height) * _alike(width), device="cpu")
    small = small.reshape(1, channels, _alike(height), _alike(width)).expand(count, -1, -1, -1).contiguous()
    with torch.no_grad():
        traced = torch.jit.trace(fixed, small, check_trace=False)  # type: ignore[no-untyped-call]
    converted = openvino.convert_model(traced, example_input=small)
    converted.reshape(list(example.shape))
    given, expected = list(converted.output(0).shape), [height * fixed.recipe.scale, width * fixed.recipe.scale]
    if given[2:] != expected:
        raise ValueError(f"what was traced at {list(small.shape[2:])} gives {given[2:]} for {[height, width]}")
    return converted


def _alike(side_px: int) -> int:
    """The least side that is worth tracing and leaves the same remainder as ``side_px`` by all that networks pad to."""
    return min(side_px, side_px % _PADDED_TO_PX + (_PADDED_TO_PX if side_px % _PADDED_TO_PX < _LEAST_TRACED_PX else 0))


def _openvino(fixed: FixedNetwork, example: Tensor, precision: Precision) -> _Run:
    network = converted_openvino(fixed, example)
    compiled = openvino_core().compile_model(network, "CPU", openvino_properties(precision))
    own = threading.local()

    def run(picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        (made,) = own.request.infer([picture], share_inputs=True).values()  # outputs are copies
        return made  # type: ignore[no-any-return]

    return run


def _onnxruntime(fixed: FixedNetwork, example: Tensor, _precision: Precision) -> _Run:
    import onnxruntime  # type: ignore[import-untyped]  # it has none

    program = torch.onnx.export(exported(fixed, example), dynamo=True, verbose=False)
    assert program is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    content = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        (made,) = session.run(None, {name: picture})
        return made  # type: ignore[no-any-return]

    return run
