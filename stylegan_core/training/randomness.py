"""The states of the global random generators, as tensors and JSON."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_everything(seed: int) -> None:
    """Seeds torch (all devices), numpy's and Python's global generators."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@dataclass(frozen=True)
class GeneratorMetadata:
    """The short parts of the generators' states; lists where they were read from JSON.

    Attributes:
        numpy: generator's name, position, whether a Gaussian value is cached, and that value.
        python: version, internal state, and the cached Gaussian value.
    """

    numpy: Sequence[Any]
    python: Sequence[Any]


@dataclass(frozen=True)
class GeneratorStates:
    """States of torch's, numpy's and Python's generators, divided as a checkpoint stores them.

    Attributes:
        tensors: the long parts, by generator.
        metadata: the rest.
    """

    tensors: Mapping[str, Tensor]
    metadata: GeneratorMetadata


def generator_states() -> GeneratorStates:
    """The current states of the global generators."""
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    version, internal, gauss_next = random.getstate()
    tensors = {"torch": torch.get_rng_state(), "numpy": torch.from_numpy(np.asarray(keys).astype(np.int64))}
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    metadata = GeneratorMetadata([name, position, has_gauss, gauss], [version, list(internal), gauss_next])
    return GeneratorStates(tensors, metadata)


def restore_generators(states: GeneratorStates) -> None:
    """Sets the global generators to ``states``."""
    tensors, metadata = states.tensors, states.metadata
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    name, position, has_gauss, gauss = metadata.numpy
    np.random.set_state((name, tensors["numpy"].numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = metadata.python
    random.setstate((version, tuple(internal), gauss_next))


@contextmanager
def preserve_rng() -> Iterator[None]:
    """Restores the states of the global generators at the end of the context."""
    states = generator_states()
    try:
        yield
    finally:
        restore_generators(states)
