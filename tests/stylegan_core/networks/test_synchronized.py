"""Two processes, here threads that meet in every reduction, against one that has the batches of both."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from stylegan_core.networks.synchronized import BatchNorm, mean_over_processes, processes
from stylegan_core.recipes.adversary import AdversarialConfig, Adversary

RANKS = 2
NETWORKS: list[nn.Sequential] = []


def pictures() -> Tensor:
    return torch.randn(2 * RANKS, 3, 5, 5, generator=torch.Generator().manual_seed(0)) * 2 + 1


def layers(norm: type[nn.BatchNorm2d]) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3), norm(4), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3))


def penalized(network: nn.Module, seen: Tensor) -> Tensor:
    """A loss with a gradient penalty, which needs gradients of the norm's gradients."""
    seen = seen.clone().requires_grad_()
    logits = network(seen)
    (slope,) = torch.autograd.grad(logits.square().sum(), seen, create_graph=True)
    return logits.square().mean() + 0.01 * slope.square().mean()


class Meeting:
    """``all_reduce`` of threads: each waits for all others, as processes do."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(RANKS, timeout=60)
        self._given: dict[int, Tensor] = {}

    def all_reduce(self, values: Tensor) -> None:
        self._given[threading.get_ident()] = values.detach().clone()
        self._barrier.wait()
        total = torch.stack(list(self._given.values())).sum(dim=0)
        self._barrier.wait()
        with torch.no_grad():
            values.copy_(total)


def train_rank(rank: int) -> dict[str, Tensor]:
    logits = NETWORKS[rank](pictures()[2 * rank : 2 * rank + 2])
    logits.square().mean().backward()
    state = {f"grad{i}": mean_over_processes(p.grad) for i, p in enumerate(NETWORKS[rank].parameters())}
    adversary = Adversary(AdversarialConfig(augmentation="ada", adversarial="hinge", ada_kimg=1.0))
    for certain in (1.0, 1.0, 1.0, 1.0):  # of its reals one is certain and the other is not: not above 0.6 in the mean
        adversary._update_probability([torch.full((2, 1, 3, 3), certain if rank else -certain)], 2)
    low = adversary.probability.clone()
    for _ in range(4):
        adversary._update_probability([torch.ones(2, 1, 3, 3)], 2)
    return state | NETWORKS[rank][1].state_dict() | {"logits": logits, "low": low, "risen": adversary.probability}


def test_two_processes_normalize_and_augment_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan_core.networks.synchronized.processes", lambda: RANKS)
    monkeypatch.setattr("stylegan_core.recipes.adversary.losses.processes", lambda: RANKS)
    monkeypatch.setattr(dist, "all_reduce", Meeting().all_reduce)
    NETWORKS[:] = [layers(BatchNorm) for _ in range(RANKS)]
    with ThreadPoolExecutor(RANKS) as pool:
        found = list(pool.map(train_rank, range(RANKS)))
    whole = layers(nn.BatchNorm2d)
    logits = whole(pictures())
    logits.square().mean().backward()
    for rank, state in enumerate(found):
        torch.testing.assert_close(state["logits"], logits[2 * rank : 2 * rank + 2], rtol=1e-4, atol=1e-5)
        for index, parameter in enumerate(whole.parameters()):
            torch.testing.assert_close(state[f"grad{index}"], parameter.grad, rtol=1e-4, atol=1e-5)
        for key, value in whole[1].state_dict().items():
            torch.testing.assert_close(state[key], value)
        assert state["low"] == 0.0
        assert state["risen"].item() == pytest.approx(4 * 2 * RANKS / 1000)  # a step for every picture of every process


def test_alone_it_is_batch_norm() -> None:
    assert processes() == 1
    assert mean_over_processes(pictures()) is not None
    torch.testing.assert_close(layers(BatchNorm)(pictures()), layers(nn.BatchNorm2d)(pictures()), rtol=0, atol=0)


def test_gradients_of_gradients_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """With both processes' batches equal, the means are those of one: its own arithmetic against torch's."""
    monkeypatch.setattr("stylegan_core.networks.synchronized.processes", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", lambda total: total.mul_(2))
    expected, ours = layers(nn.BatchNorm2d), layers(BatchNorm)
    for network in (expected, ours):
        penalized(network, pictures()).backward()
    for a, b in zip(ours.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-5)
