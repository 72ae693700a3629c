"""Diagnosis of this machine: versions, devices, precision, back ends, free disk, and known incompatibilities."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.version import Version

from stylegan_core.storage.cache import cache_folder
from tasks.project.disks import free_space
from tasks.project.sync import stale_code
from tasks.shared.versioning import project_root

Verdict = Literal["ok", "note", "wrong"]

_VERSIONS = ("stylereel", "torch", "torchvision", "lightning", "prefect", "mlflow", "dvc", "openimageio", "av", "numpy")
_LOW_DISK_BYTES = 5_000_000_000


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        topic: what was examined.
        verdict: "wrong" is a known breakage, "note" is information.
        text: the result, and what to do if it is wrong.
    """

    topic: str
    verdict: Verdict
    text: str


def examine() -> list[Finding]:
    """Examines everything; takes a few seconds, since torch is imported."""
    return [
        *known_breakages(_installed()),
        _versions(),
        *_devices(),
        _back_ends(),
        *_programs(),
        _disk(project_root(), "project"),
        _disk(cache_folder(), "cache"),
        *_project(project_root()),
    ]


def known_breakages(installed: dict[str, str]) -> list[Finding]:
    """Checks for versions that fail without a message.

    Args:
        installed: version of each installed distribution, by its name in lower case with hyphens.
    """
    findings = []
    fastapi, sqlalchemy = installed.get("fastapi"), installed.get("sqlalchemy")
    if fastapi and not Version("0.139") <= Version(fastapi) < Version("0.150"):
        findings.append(
            Finding("fastapi", "wrong", f"with {fastapi} Prefect flows may not start: install fastapi>=0.139,<0.150")
        )
    if sqlalchemy and not Version("2.0") <= Version(sqlalchemy) < Version("2.1"):
        findings.append(
            Finding(
                "sqlalchemy", "wrong", f"with {sqlalchemy} scheduled runs are not created: install sqlalchemy>=2.0,<2.1"
            )
        )
    wheels = sorted(name for name in installed if name.startswith("opencv-") and "python" in name)
    if len(wheels) != 1:
        have = ", ".join(wheels) or "none"
        findings.append(
            Finding(
                "opencv",
                "wrong",
                f"{have} are installed in one folder: uninstall all, then install opencv-contrib-python-headless",
            )
        )
    elif wheels[0] != "opencv-contrib-python-headless":
        findings.append(
            Finding("opencv", "wrong", f"{wheels[0]} lacks xphoto: replace it with opencv-contrib-python-headless")
        )
    python = Version(platform.python_version())
    if not Version("3.11") <= python < Version("3.14"):
        findings.append(Finding("python", "wrong", f"{python}: 3.11, 3.12 or 3.13 is needed"))
    return findings or [Finding("packages", "ok", "none of the known breakages: fastapi, sqlalchemy, OpenCV wheels")]


def _installed() -> dict[str, str]:
    return {
        d.metadata["Name"].lower().replace("_", "-"): d.version
        for d in importlib.metadata.distributions()
        if d.metadata["Name"]
    }


def _versions() -> Finding:
    found = _installed()
    listed = ", ".join(f"{name} {found[name]}" for name in _VERSIONS if name in found)
    return Finding(
        "versions", "ok", f"Python {platform.python_version()}, {listed}, on {platform.platform(terse=True)}"
    )


def _devices() -> list[Finding]:
    import torch

    threads = torch.get_num_threads()
    findings = [Finding("cpu", "ok", f"{os.cpu_count()} cores, {threads} used by torch, {_cpu_precision()}")]
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        precision = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
        gigabytes = about.total_memory / 1e9
        findings.append(Finding("cuda", "ok", f"{about.name}, {gigabytes:.0f} GB, trains in {precision}"))
    if getattr(torch.backends, "mps", None) and torch.backends.mps.is_available():
        findings.append(Finding("mps", "ok", "Apple GPU"))
    if len(findings) == 1:
        findings.append(
            Finding(
                "gpu", "note", "none: keyframe and unpaired train in minutes on this CPU, other recipes take longer"
            )
        )
    return findings


def _cpu_precision() -> str:
    from stylegan_core.training.hardware import cpu_has_bf16

    return "trains in bf16" if cpu_has_bf16() else "trains in fp32 (no AMX, so bf16 is slower)"


def _back_ends() -> Finding:
    import torch

    listed = ["torch"]
    listed += [name for name in ("onnxruntime", "openvino", "tensorrt") if name in _installed()]
    has_onednn: Callable[[], bool] = torch.backends.mkldnn.is_available
    return Finding("back ends", "ok", ", ".join(listed) + ("" if has_onednn() else ", no oneDNN"))


def _programs() -> list[Finding]:
    if shutil.which("git") is None:
        return [Finding("git", "wrong", "not on the PATH: install git, which DVC and lineage need")]
    return []


def _disk(folder: Path, name: str) -> Finding:
    disk = free_space(name, folder)
    low = disk.free_bytes < _LOW_DISK_BYTES
    return Finding(f"disk ({name})", "note" if low else "ok", disk.describe() + (": low, delete files" if low else ""))


def _project(root: Path) -> list[Finding]:
    if not (root / "params.yaml").is_file():
        return [Finding("project", "note", "no project in this folder: `stylereel init FOLDER` creates one")]
    from stylegan_core.config import load_params
    from stylegan_core.settings import SettingsError

    try:
        params = load_params(root / "params.yaml")
    except SettingsError as error:
        return [Finding("params.yaml", "wrong", str(error))]
    findings = [Finding("project", "ok", f"{root}, source {params.prepare.source}, recipe {params.train().recipe}")]
    if stale := stale_code(root):
        findings.append(
            Finding("code", "note", f"stylereel changed since {', '.join(stale)} last ran: run `stylereel sync`")
        )
    if sys.prefix == sys.base_prefix:
        findings.append(
            Finding("environment", "note", "not a virtual environment: make sure that `python` in dvc.yaml is this one")
        )
    return findings
