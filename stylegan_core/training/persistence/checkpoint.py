"""Checkpoints: one safetensors file each, tensors and JSON metadata, the newest two kept."""

from __future__ import annotations

import json
import logging
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stylegan_core.storage.atomic import write_atomically
from stylegan_core.training.persistence.checkpoint_metadata import CheckpointMetadata

log = logging.getLogger(__name__)

_NAME = re.compile(r"checkpoint-(\d{9})\.safetensors")
_KEY = "stylereel"
_KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """Content of a checkpoint file.

    Attributes:
        tensors: by name, on the CPU.
        metadata: plain values of the state.
    """

    tensors: dict[str, Tensor]
    metadata: CheckpointMetadata


class CheckpointError(ValueError):
    """No checkpoint of a run folder can be read; the message names the files."""


def save_checkpoint(folder: Path, step: int, tensors: Mapping[str, Tensor], metadata: CheckpointMetadata) -> Path:
    """Writes ``folder/checkpoint-<step>.safetensors``, whole or not at all, and then removes all but the newest two.

    Args:
        folder: made if it is missing.
        step: steps done.
        tensors: on any device; copied to the CPU.
        metadata: written as JSON; floats come back bit for bit.
    Raises:
        OSError: the disk is full or missing; the earlier checkpoints are unchanged.
    """
    own = {key: tensor.detach().to("cpu", copy=True).contiguous() for key, tensor in tensors.items()}
    # One key: safetensors writes several in random order.
    header = {_KEY: json.dumps({**metadata.dump(), "step": step, "crc32": _checksum(own)})}
    path = folder / f"checkpoint-{step:09d}.safetensors"
    write_atomically(path, lambda temporary: save_file(own, temporary, metadata=header))
    for old in list_checkpoints(folder)[_KEPT:]:
        old.unlink(missing_ok=True)
    for partial in folder.glob(".checkpoint-*.tmp.safetensors"):  # of killed processes
        partial.unlink(missing_ok=True)
    return path


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in ``folder``, newest first; empty if there are none or no such folder."""
    if not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if _NAME.fullmatch(p.name)), key=lambda p: p.name, reverse=True)


def checkpoint_step(path: Path) -> int:
    """Steps done according to the file's name."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path} is not the name of a checkpoint")
    return int(match.group(1))


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest intact checkpoint; None if the folder has none at all.

    Raises:
        CheckpointError: there are checkpoints, and all are damaged.
    """
    damaged: list[str] = []
    for path in list_checkpoints(folder):
        try:
            return _read(path)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            log.warning("%s is damaged (%s): reading the checkpoint before it", path, error)
            damaged.append(path.name)
    if damaged:
        raise CheckpointError(
            f"no checkpoint in {folder} can be read: {', '.join(damaged)}; remove the folder to train from the start"
        )
    return None


def _read(path: Path) -> Checkpoint:
    with safe_open(path, framework="pt", device="cpu") as opened:
        document = json.loads((opened.metadata() or {})[_KEY])
        # Copies: the file is mapped, and may be removed while the tensors live on.
        tensors = {key: opened.get_tensor(key).clone() for key in opened.keys()}  # noqa: SIM118
    if document["crc32"] != _checksum(tensors):
        raise ValueError("wrong checksum")
    return Checkpoint(tensors, CheckpointMetadata.parse(document))


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    value = 0
    for key in sorted(tensors):
        value = zlib.crc32(key.encode(), value)
        flat = tensors[key].reshape(-1)
        if flat.numel():
            value = zlib.crc32(np.ascontiguousarray(flat.view(torch.uint8).numpy()).data, value)
    return value
