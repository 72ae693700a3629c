"""Prefetches the next batch while the current one is used."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from stylegan_core.data.batch import Batch


class Sampler(Protocol):
    """A source of batches; ``batch`` is a pure function of the step, and may be called from any thread."""

    def batch(self, step: int) -> Batch:
        """The batch of ``step``, on the CPU."""
        ...


class Prefetcher:
    """Returns the sampler's batches; after each call it prefetches the following one on a thread.

    Args:
        sampler: source of the batches.
        stride: distance between consecutive requested steps.
    """

    def __init__(self, sampler: Sampler, stride: int = 1) -> None:
        self._sampler, self._stride = sampler, stride
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._next: tuple[int, Future[Batch]] | None = None

    def batch(self, step: int) -> Batch:
        """The batch of ``step``."""
        if self._next is not None and self._next[0] == step:
            current = self._next[1].result()
        else:
            current = self._sampler.batch(step)
        following = step + self._stride
        self._next = (following, self._pool.submit(self._sampler.batch, following))
        return current

    def close(self) -> None:
        """Ends the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)
