"""A CPU thread pool, one picture per core: half the processor time of a small picture on all cores."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_one_core_each(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Results in order; torch runs each call on one core.

    A single item runs on one core too: a result must not depend on the other items of the call.

    Args:
        function: may use torch.
        items: such as pictures.
    """
    return [*_pool(cores()).map(function, items)]


@lru_cache(maxsize=1)
def cores() -> int:
    """Number of cores that pictures are distributed over: torch's threads at the first call.

    Later calls do not ask torch again, because a thread of the pool would get its own number, one.
    """
    return torch.get_num_threads()


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    everyone = threading.Barrier(workers + 1)

    def alone() -> None:
        torch.set_num_threads(1)  # of this thread, and of threads that start later
        torch.get_num_threads()  # fixes it: otherwise a thread adopts the latest value at its first parallel work
        everyone.wait()

    pool = ThreadPoolExecutor(workers, thread_name_prefix="picture", initializer=alone)
    for _ in range(workers):
        pool.submit(lambda: None)
    everyone.wait()
    torch.set_num_threads(workers)  # of the caller and of threads that start later; the pool's do not change
    return pool
