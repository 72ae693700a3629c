"""Formats and precisions of an export: ONNX or OpenVINO, in fp32, with two-byte weights, or quantized to int8.

Quantization: Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference (arXiv 1712.05877), after training, by NNCF.
"""

from __future__ import annotations

import importlib.util
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from stylegan_core.inference.network.backends.openvino_runtime import (
    import_openvino,
    openvino_core,
    quiet_imports,
    without_bars,
)

ExportPrecision = Literal["fp32", "fp16", "bf16", "int8"]
EXPORT_PRECISIONS: tuple[ExportPrecision, ...] = ("fp32", "fp16", "bf16", "int8")
SUFFIXES = (".onnx", ".xml")
"""ONNX, and OpenVINO's, whose weights are in a second file with the suffix .bin."""
_LEAST_HALVED = 256
"""Least number of values of a constant that is stored in two bytes each."""

Arrays = Mapping[str, npt.NDArray[Any]]
Files = dict[str, bytes]
"""Content of each file of an export, by suffix."""


def required_packages(suffix: str, precision: ExportPrecision) -> tuple[str, ...]:
    """Packages that an export in this format and precision requires, in addition to torch."""
    wanted = ("onnx", "onnxscript", "onnxruntime", *(("openvino",) if suffix == ".xml" else ()))
    return (*wanted, "nncf") if precision == "int8" else wanted


def missing_packages(suffix: str, precision: ExportPrecision) -> list[str]:
    """Those of ``required_packages`` that are not installed."""
    return [package for package in required_packages(suffix, precision) if importlib.util.find_spec(package) is None]


def convert(content: bytes, suffix: str, precision: ExportPrecision, calibration: Sequence[Arrays] = ()) -> Files:
    """Converts an ONNX network to another format and precision.

    Args:
        content: the ONNX file, in fp32.
        suffix: one of ``SUFFIXES``.
        precision: int8 keeps the output layers in fp32.
        calibration: inputs by name, typical of the use, for int8.
    """
    if precision in ("fp16", "bf16"):
        content = _with_two_byte_constants(content, precision)
    if suffix == ".onnx":
        return {suffix: _quantized_onnx(content, calibration) if precision == "int8" else content}
    openvino = import_openvino()
    network = openvino_core().read_model(content)
    if precision == "int8":
        network = _quantize(network, calibration, _output_layers_openvino(network))
    with tempfile.TemporaryDirectory(prefix="stylereel-export-") as folder:
        file = Path(folder) / "network.xml"
        openvino.save_model(network, file, compress_to_fp16=precision == "fp16")
        return {".xml": file.read_bytes(), ".bin": file.with_suffix(".bin").read_bytes()}


def runner_of(files: Files, precision: ExportPrecision) -> Callable[[Arrays], npt.NDArray[np.float32]]:
    """A function that runs exported files: inputs by name to the output pictures."""
    if ".onnx" in files:
        import onnxruntime  # type: ignore[import-untyped]  # it has none

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(files[".onnx"], options, providers=["CPUExecutionProvider"])
        return lambda feed: session.run(None, dict(feed))[0]
    core = openvino_core()
    network = core.read_model(files[".xml"], files[".bin"])
    hint = {"INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"}
    request = core.compile_model(network, "CPU", hint).create_infer_request()
    return lambda feed: request.infer(dict(feed))[0].copy()


def psnr_db(made: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """PSNR of pictures in [-1, 1]; infinite if they are equal."""
    error = float(np.mean(np.square((made.astype(np.float64) - expected) / 2)))
    return -10 * math.log10(error) if error > 0 else math.inf


def _with_two_byte_constants(content: bytes, precision: Literal["fp16", "bf16"]) -> bytes:
    """The network with constants of two bytes, which runtimes widen when they load it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_model_from_string(content)
    graph, kind = model.graph, TensorProto.FLOAT16 if precision == "fp16" else TensorProto.BFLOAT16
    casts = []
    for constant in graph.initializer:
        values = numpy_helper.to_array(constant)
        if constant.data_type != TensorProto.FLOAT or values.size < _LEAST_HALVED:
            continue
        name = constant.name
        if precision == "fp16":
            half = numpy_helper.from_array(np.clip(values, -65504, 65504).astype(np.float16), name + "_half")
        else:
            bits = values.view(np.uint32)
            nearest = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
            half = helper.make_tensor(name + "_half", kind, values.shape, nearest.tobytes(), raw=True)
        constant.CopyFrom(half)
        casts.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT, name=name + "_wide"))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    result: bytes = model.SerializeToString()
    return result


def _quantized_onnx(content: bytes, calibration: Sequence[Arrays]) -> bytes:
    import onnx

    model = onnx.load_model_from_string(content)
    quantized: bytes = _quantize(model, calibration, _output_layers_onnx(model)).SerializeToString()
    return quantized


def _quantize(network: Any, calibration: Sequence[Arrays], in_fp32: Sequence[str]) -> Any:
    import_openvino()
    with quiet_imports():  # imported before the context below: the import sets its logger's level
        import nncf
    with quiet_imports(), without_bars():
        return nncf.quantize(
            network,
            nncf.Dataset(list(calibration)),
            subset_size=len(calibration),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(names=list(in_fp32)),
        )


def _output_layers_openvino(network: Any) -> list[str]:
    """Convolutions that no other follows: quantized, their codes would be those of the picture."""
    found, seen, ahead = [], set(), [result.input_value(0).get_node() for result in network.get_results()]
    while ahead:
        node = ahead.pop()
        if (name := node.get_friendly_name()) in seen:
            continue
        seen.add(name)
        if "Convolution" in node.get_type_name():
            found.append(name)
        else:
            ahead += [node.input_value(at).get_node() for at in range(node.get_input_size())]
    return found


def _output_layers_onnx(model: Any) -> list[str]:
    makers = {name: node for node in model.graph.node for name in node.output}
    found, seen, ahead = [], set(), [output.name for output in model.graph.output]
    while ahead:
        name = ahead.pop()
        if name in seen or name not in makers:
            continue
        seen.add(name)
        node = makers[name]
        if "Conv" in node.op_type:
            found.append(node.name)
        else:
            ahead += node.input
    return found
