"""The states of the global random generators, as tensors and JSON."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_everything(seed: int) -> None:
    """Seeds torch (all devices), numpy's and Python's global generators."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def generator_states() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """States of the generators: tensors for a checkpoint and what goes into its JSON."""
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    version, internal, gauss_next = random.getstate()
    tensors = {"torch": torch.get_rng_state(), "numpy": torch.from_numpy(np.asarray(keys).astype(np.int64))}
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    metadata = {"numpy": [name, position, has_gauss, gauss], "python": [version, list(internal), gauss_next]}
    return tensors, metadata


def restore_generators(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Undoes ``generator_states``."""
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    name, position, has_gauss, gauss = metadata["numpy"]
    np.random.set_state((name, tensors["numpy"].numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = metadata["python"]
    random.setstate((version, tuple(internal), gauss_next))


@contextmanager
def preserve_rng() -> Iterator[None]:
    """What is drawn inside the context leaves the generators as they were."""
    tensors, metadata = generator_states()
    try:
        yield
    finally:
        restore_generators(tensors, metadata)
