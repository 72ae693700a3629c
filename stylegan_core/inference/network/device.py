"""Chooses the device of a job, and checks that it is available."""

from __future__ import annotations

import torch

from stylegan_core.inference.job.spec import PlanError


def choose_device(requested: str = "auto") -> str:
    """Resolves "auto" to the first available of CUDA, Apple's MPS and the CPU.

    Raises:
        PlanError: the requested device does not exist.
    """
    if requested != "auto":
        _check_available(requested)
        return requested
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_available(device: str) -> None:
    try:
        kind, index = torch.device(device).type, torch.device(device).index or 0
    except RuntimeError as error:
        raise PlanError(f"--device {device} is unknown: use auto, cpu, cuda, cuda:1 or mps") from error
    count = torch.cuda.device_count()
    if kind == "cuda" and index >= count:
        raise PlanError(f"--device {device}: torch finds {count} CUDA devices on this machine")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise PlanError(f"--device {device}: torch finds no MPS device on this machine")
