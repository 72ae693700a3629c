"""Pictures side by side: each on one core, whatever the caller has."""

from __future__ import annotations

import threading

import torch

from stylegan_core.inference.network.cpu_pool import cores, map_one_core_each


def test_each_picture_has_one_core_and_the_caller_keeps_its_own() -> None:
    before, together = torch.get_num_threads(), threading.Barrier(cores(), timeout=60)

    def threads(_: int) -> int:
        together.wait()  # every worker of the pool gets one
        torch.ones(1 << 16).add(1).relu()  # parallel work, at which a thread would take another number
        return torch.get_num_threads()

    assert map_one_core_each(threads, range(cores())) == [1] * cores()
    assert torch.get_num_threads() == before


def test_results_come_in_order() -> None:
    assert map_one_core_each(lambda item: item * item, range(20)) == [item * item for item in range(20)]
