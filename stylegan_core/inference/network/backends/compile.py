"""Compiles or converts a recipe's network under fixed conditions for a back end."""

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
"""Packages that each back end requires in addition to torch."""
PRECISIONS: dict[BackEnd, tuple[Precision, ...]] = {
    "torch": ("fp32", "bf16", "fp16"),
    "compiled": ("fp32", "bf16", "fp16"),
    "openvino": ("fp32", "bf16"),
    "onnxruntime": ("fp32",),
}
_MOST_SHAPES = 6
"""Number of converted networks to keep, one for each picture size, since fixed sizes run fastest."""

_PADDED_TO_PX, _LEAST_TRACED_PX = 256, 64
"""Networks pad internally to a divisor of the first: none has more than eight downsamplings by 2."""
MOST_TOGETHER_PX = 1 << 18
"""Largest number of pixels of a batch on a GPU."""


class BackEndError(RuntimeError):
    """A back end cannot run the network here; the message states the reason or what to install."""


def missing_packages(back_end: BackEnd) -> list[str]:
    """Packages of a back end that are not installed."""
    return [package for package in PACKAGES[back_end] if importlib.util.find_spec(package) is None]


def pictures_at_once(height: int, width: int, device: str) -> int:
    """Batch size for a picture size: always the same, since the order of sums depends on it.

    On a CPU one picture for each core, each alone (see ``map_one_core_each``): a batch would exceed the caches.
    """
    return max(1, MOST_TOGETHER_PX // max(1, height * width)) if device.startswith("cuda") else cores()


def runner(recipe: BaseRecipe, conditions: Conditions, back_end: BackEnd, precision: Precision) -> Translate:
    """(N, C, h, w) in [-1, 1] to (N, 3, h * scale, w * scale), for sides that the network takes.

    Args:
        recipe: in evaluation mode; on the CPU for openvino and onnxruntime.
        conditions: the same for every picture.
        back_end: converted at the first picture of each size.
        precision: of the convolutions; outputs are always fp32.

    Raises:
        BackEndError: a package is missing, or the back end does not support the precision.
    """
    if precision not in PRECISIONS[back_end]:
        raise BackEndError(f"{back_end} supports precision {' or '.join(PRECISIONS[back_end])}, not {precision}")
    if missing := missing_packages(back_end):
        raise BackEndError(f"{back_end} requires {', '.join(missing)}: pip install {' '.join(missing)}")
    if back_end == "torch":
        return network(recipe, conditions, precision)
    if back_end == "compiled":
        return _compiled(recipe, conditions, precision)
    convert = _openvino if back_end == "openvino" else _onnxruntime
    return _Converted(FixedNetwork(recipe, conditions), convert, precision)


class FixedNetwork(nn.Module):
    """A recipe's network with built-in conditions, as converters require it."""

    def __init__(self, recipe: BaseRecipe, conditions: Conditions) -> None:
        super().__init__()
        self.recipe, self._conditions = recipe, conditions

    def forward(self, content: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] to (N, 3, H * scale, W * scale)."""
        return self.recipe.translate(content, for_each(self._conditions, len(content)))


def _compiled(recipe: BaseRecipe, conditions: Conditions, precision: Precision) -> Translate:
    whole = torch.compile(FixedNetwork(recipe, conditions), dynamic=False)
    low = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)

    def run(content: Tensor) -> Tensor:
        # No inference mode: the compiler would convert its tensors to normal ones, and trace twice.
        with torch.no_grad(), torch.autocast(content.device.type, low, enabled=low is not None):
            made: Tensor = whole(content)
            return made.float()

    return run


_Run = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


class _Converted:
    """A network in another engine, one picture at a time, converted for each new size."""

    def __init__(
        self, fixed: FixedNetwork, convert: Callable[[FixedNetwork, Tensor, Precision], _Run], precision: Precision
    ) -> None:
        self._fixed, self._convert, self._precision = fixed.eval(), convert, precision
        self._lock = threading.Lock()
        self._runs: OrderedDict[tuple[int, ...], _Run] = OrderedDict()

    def __call__(self, content: Tensor) -> Tensor:
        run = self._for(content[:1])
        # Each alone: a batch is another size, and these engines use all cores for one picture.
        pictures = content.cpu().contiguous().numpy()  # (N, C, h, w)
        made = [torch.from_numpy(run(pictures[at : at + 1])) for at in range(len(pictures))]
        return torch.cat(made).to(content.device)

    def _for(self, example: Tensor) -> _Run:
        size = tuple(example.shape)
        with self._lock:  # pictures come from several threads
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
                    raise BackEndError(f"the network cannot be converted: {first}") from error
            if len(self._runs) > _MOST_SHAPES:
                self._runs.popitem(last=False)
        self._runs.move_to_end(size)
        return self._runs[size]


def exported(fixed: FixedNetwork, example: Tensor) -> torch.export.ExportedProgram:
    """The exported graph for pictures of one size; nothing is computed."""
    with torch.no_grad():
        return torch.export.export(fixed, (torch.zeros(example.shape),))


def openvino_properties(precision: Precision) -> dict[str, str | int | bool]:
    """OpenVINO's settings for one picture per core: concurrent calls run on one core each."""
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "NUM_STREAMS": cores(),
        "INFERENCE_NUM_THREADS": cores(),
        "ENABLE_CPU_PINNING": False,  # concurrent processes would all pin the first core
    }


def converted_openvino(fixed: FixedNetwork, example: Tensor) -> Any:
    """Converts a network to OpenVINO for pictures of one size.

    It is traced with a small picture that leaves the same remainders, so that the network's own padding is the same: a
    trace takes a tenth of a second, ``torch.export`` with its imports many times that.

    Raises:
        ValueError: the traced network has another output size than the model.
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
        raise ValueError(f"the network traced at {list(small.shape[2:])} returns {given[2:]} for {[height, width]}")
    return converted


def _alike(side_px: int) -> int:
    """The least side for tracing with the same remainder as ``side_px`` for every multiple that networks pad to."""
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
