"""Pictures side by side: each on one core, whatever the caller has."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from stylegan_core.inference.network import cpu_pool
from stylegan_core.inference.network.cpu_pool import cores, map_one_core_each


@pytest.fixture
def three_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    monkeypatch.setattr(cpu_pool, "cores", lambda: 3)
    torch.set_num_threads(3)
    cpu_pool._pool.cache_clear()
    yield
    cpu_pool._pool.cache_clear()
    torch.set_num_threads(before)


def test_each_picture_has_one_core_and_the_caller_keeps_its_own(three_cores: None) -> None:
    together = threading.Barrier(cores(), timeout=60)

    def threads(_: int) -> int:
        together.wait()  # every worker of the pool gets one
        torch.ones(1 << 16).add(1).relu()  # parallel work, at which a thread would take another number
        return torch.get_num_threads()

    assert map_one_core_each(threads, range(3)) == [1, 1, 1]
    assert torch.get_num_threads() == 3


def test_results_come_in_order(three_cores: None) -> None:
    assert map_one_core_each(lambda item: item * item, range(20)) == [item * item for item in range(20)]
