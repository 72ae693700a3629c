"""Chooses the device that a job runs on, and checks that it is there."""

from __future__ import annotations

import torch

from stylegan_core.inference.job.spec import PlanError


def choose_device(requested: str = "auto") -> str:
    """Settles "auto": the first of CUDA, Apple's MPS and the CPU that is there.

    Raises:
        PlanError: what is asked for is not there.
    """
    if requested != "auto":
        _check_there(requested)
        return requested
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_there(device: str) -> None:
    try:
        kind, index = torch.device(device).type, torch.device(device).index or 0
    except RuntimeError as error:
        raise PlanError(f"--device {device}: it is auto, cpu, cuda, cuda:1 or mps") from error
    count = torch.cuda.device_count()
    if kind == "cuda" and index >= count:
        raise PlanError(f"--device {device}: this machine has {count} CUDA devices that torch can use")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise PlanError(f"--device {device}: this machine has none that torch can use")
