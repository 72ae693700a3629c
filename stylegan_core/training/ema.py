"""Exponential moving average of the inference networks (Karras et al. 2018, arXiv 1710.10196, section 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """Averages of the parameters of some networks; buffers are copied unchanged.

    Args:
        networks: by name, e.g. {"generator": ...}; the average starts as a copy of them.
        decay: share of the old average that a step keeps, in [0, 1), once warmed up.
    """

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self._sources = prefixed_state(networks)
        self.state = {key: tensor.detach().clone() for key, tensor in self._sources.items()}
        """The averaged weights, "<network>.<parameter>"."""
        parameters = {f"{n}.{p}" for n, network in networks.items() for p, _ in network.named_parameters()}
        self._averaged = sorted(k for k, t in self._sources.items() if k in parameters and t.is_floating_point())
        self._copied = sorted(set(self._sources) - set(self._averaged))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Updates the averages with the networks' weights after generator step ``step`` (counted from 0).

        The first steps use a smaller decay, (1 + step) / (10 + step): otherwise a short training would keep a share of
        its random start.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        averages = [self.state[key] for key in self._averaged]
        torch._foreach_lerp_(averages, [self._sources[key] for key in self._averaged], 1.0 - decay)
        for key in self._copied:
            self.state[key].copy_(self._sources[key])

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Replaces the averages by ``state``, which has the same keys."""
        for key, tensor in self.state.items():
            tensor.copy_(state[key])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Gives the networks the averaged weights in the context; restores their own afterwards, bit for bit."""
        with torch.no_grad():
            own = {key: tensor.clone() for key, tensor in self._sources.items()}
            for key, tensor in self._sources.items():
                tensor.copy_(self.state[key])
        try:
            yield
        finally:
            with torch.no_grad():
                for key, tensor in self._sources.items():
                    tensor.copy_(own[key])


def prefixed_state(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The tensors of the networks themselves, not copies, as "<network>.<parameter or buffer>"."""
    return {
        f"{name}.{key}": tensor
        for name, network in networks.items()
        for key, tensor in network.state_dict(keep_vars=False).items()
    }
