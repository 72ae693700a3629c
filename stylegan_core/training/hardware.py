"""Devices and precision: a Lightning Fabric from the settings and the hardware of the machine."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from stylegan_core.threads import usable_cores

if TYPE_CHECKING:
    from lightning.fabric import Fabric

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Machine:
    """What a training computes on; a checkpoint records it, since the result depends on it.

    Attributes:
        accelerator: "cpu", "cuda" or "mps".
        precision: "fp32", "bf16" or "fp16".
        threads: of torch on the CPU.
    """

    accelerator: str
    precision: str
    threads: int


_FABRIC_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def make_fabric(accelerator: str, devices: int, precision: str) -> Fabric:
    """Creates and launches a Fabric.

    Args:
        accelerator: "auto", "cpu", "cuda" or "mps".
        devices: number of processes, one for each device; more than one train data-parallel.
        precision: "fp32", "bf16" or "fp16", see ``resolve_precision``.
    Raises:
        ValueError: the machine has no such accelerator.
    """
    from lightning.fabric import Fabric  # seconds to import: only where training begins

    for name in ("lightning.fabric", "lightning.pytorch"):  # both log the precision
        logging.getLogger(name).setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=resolve_accelerator(accelerator),
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        precision=_FABRIC_PRECISION[precision],
    )
    fabric.launch()
    return fabric


def resolve_accelerator(accelerator: str) -> str:
    """Resolves "auto" to the best accelerator of the machine.

    Raises:
        ValueError: the machine has no such accelerator.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if accelerator == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available[accelerator]:
        there = ", ".join(name for name, present in available.items() if present)
        raise ValueError(f"train.common.accelerator is {accelerator}, but this machine has only: {there}")
    return accelerator


def resolve_precision(precision: str, accelerator: str) -> str:
    """Resolves "auto" to the fastest precision of the hardware.

    Args:
        precision: "auto", "fp32", "bf16" or "fp16".
        accelerator: "cpu", "cuda" or "mps".
    """
    if precision != "auto":
        return precision
    if accelerator == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if accelerator == "cpu":
        return "bf16" if cpu_has_bf16() else "fp32"
    return "fp32"


def cpu_has_bf16() -> bool:
    """Whether the processor trains faster in bf16 than in fp32: it has AMX.

    AVX512-BF16 alone does not help: on a Xeon that hides its AMX, convolutions with gradients took 27 ms, and 15 in
    fp32. Without either bf16 is emulated.
    """
    check = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return check is not None and bool(check())


@contextmanager
def repeatable(threads: int | None = None, *, accelerator: str = "cpu") -> Iterator[int]:
    """Makes torch's results on the CPU depend on its inputs only, within the context.

    Args:
        threads: of torch, since sums are divided among them; None: unchanged.
        accelerator: on CUDA some layers (reflection padding) have no deterministic gradient: speed has priority.
    Yields:
        The number of threads.
    """
    before = torch.get_num_threads()
    deterministic, warn_only = torch.are_deterministic_algorithms_enabled(), _warns_only()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(accelerator == "cpu")
    torch.backends.cudnn.benchmark = accelerator == "cuda"  # crops have one size: the search is worth its time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # slow, only finds bugs
    if threads is not None and threads != before:
        torch.set_num_threads(threads)
    try:
        yield torch.get_num_threads()
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.backends.cudnn.benchmark = benchmark
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def _warns_only() -> bool:
    return bool(torch.is_deterministic_algorithms_warn_only_enabled())


@dataclass(frozen=True)
class Processor:
    """The CPU that a figure was measured on: ratios of the same two programs differ between kinds of CPU.

    Attributes:
        model: its name, from /proc/cpuinfo on Linux.
        instructions: sets that torch's kernels use, such as ("AVX512", "AVX512_BF16", "AMX_BF16").
        cores: logical ones that this process may use.
    """

    model: str
    instructions: tuple[str, ...]
    cores: int


def describe_processor() -> Processor:
    """The CPU of this machine."""
    checks = {
        "VNNI": "_is_vnni_supported",
        "AVX512_BF16": "_is_avx512_bf16_supported",
        "AMX_BF16": "_is_amx_tile_supported",
    }
    found = [name for name, check in checks.items() if getattr(torch.cpu, check, bool)()]
    return Processor(_cpu_model(), (torch.backends.cpu.get_cpu_capability(), *found), usable_cores())


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
