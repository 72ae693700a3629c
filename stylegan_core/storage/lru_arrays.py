"""The most recently used arrays, in bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from numpy.typing import NDArray

KEPT_BYTES = 512 << 20

Array = TypeVar("Array", bound=NDArray)  # type: ignore[type-arg]


class LruArrays(Generic[Array]):
    """Arrays by key, at least ``fewest`` of them. Thread-safe; two threads may make the same array at the same time."""

    def __init__(self, fewest: int, *, kept_bytes: int = KEPT_BYTES) -> None:
        """Keeps nothing yet.

        Args:
            fewest: arrays that are kept whatever their size.
            kept_bytes: of all arrays; above, the oldest are forgotten until the fewest are left.
        """
        self._fewest, self._most_bytes = fewest, kept_bytes
        self._bytes, self._lock = 0, threading.Lock()
        self._arrays: OrderedDict[Hashable, Array] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Array]) -> Array:
        """The array of a key, made if it is not kept."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
        made = make()
        with self._lock:
            if key not in self._arrays:
                self._arrays[key] = made
                self._bytes += made.nbytes
            while self._bytes > self._most_bytes and len(self._arrays) > self._fewest:
                self._bytes -= self._arrays.popitem(last=False)[1].nbytes
        return made
