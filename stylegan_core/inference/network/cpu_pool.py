"""Pictures side by side on a CPU, each on one core: half the processor time of a small picture on all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_CORES = torch.get_num_threads()  # read once: threads of a pool are told to use one


def map_one_core_each(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Results in order; torch runs each call on one core.

    One item alone runs on one core too: what a picture becomes must not depend on which others came with it.

    Args:
        function: may use torch.
        items: pictures, say.
    """
    return [*_pool(cores()).map(function, items)]


def cores() -> int:
    """That pictures may share."""
    return _CORES


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    everyone = threading.Barrier(workers + 1)

    def alone() -> None:
        torch.set_num_threads(1)  # of this thread, and of all that begin later
        torch.get_num_threads()  # settles it: else a thread takes, at its first parallel work, what was set last
        everyone.wait()

    pool = ThreadPoolExecutor(workers, thread_name_prefix="picture", initializer=alone)
    for _ in range(workers):
        pool.submit(lambda: None)
    everyone.wait()
    torch.set_num_threads(workers)  # of the caller and of all that begin later; the pool's stay as they are
    return pool
