"""Memory for frames in flight: given out in the order in which frames are wanted, before their size is known."""

from __future__ import annotations

import threading
from collections.abc import Callable

_POLL_S = 0.1


class MemoryBudget:
    """Bounds what frames hold from their decoding on; any thread may ask.

    A frame's size is known when it is decoded, not before: it is taken for that of the one decoded last, and the very
    first frame is decoded alone. In order, since whoever holds room may wait for an earlier frame.
    """

    def __init__(self, most_bytes: int) -> None:
        """All of it is free.

        Args:
            most_bytes: of all frames together; one alone may take more.
        """
        self._most_bytes = most_bytes
        self._changed = threading.Condition()
        self._sizes: dict[str, int] = {}
        self._expected_bytes, self._decoding = 0, 0
        self._tickets, self._next = 0, 0

    def ticket(self) -> int:
        """A place in the queue, for ``enter``."""
        with self._changed:
            self._tickets += 1
            return self._tickets - 1

    def acquire(self, ticket: int, gives_up: Callable[[], bool]) -> None:
        """Waits for its turn and for room.

        Args:
            ticket: every one that was given out has to come.
            gives_up: asked while waiting.
        """
        with self._changed:
            while not (ticket == self._next and self._has_room()) and not gives_up():
                self._changed.wait(_POLL_S)
            self._next = max(self._next, ticket + 1)
            self._decoding += 1
            self._changed.notify_all()

    def decoded(self, name: str | None, size_bytes: int = 0) -> None:
        """Tells how much a frame that entered holds; None is nothing: it is done, or failed."""
        with self._changed:
            self._decoding -= 1
            if name is not None:
                self._sizes[name] = self._expected_bytes = size_bytes
            self._changed.notify_all()

    def release(self, name: str) -> None:
        """Gives a frame's room back, once."""
        with self._changed:
            self._sizes.pop(name, None)
            self._changed.notify_all()

    def _has_room(self) -> bool:
        held_bytes = sum(self._sizes.values())
        if not held_bytes and not self._decoding:
            return True
        if not self._expected_bytes:
            return not self._decoding
        return held_bytes + (self._decoding + 1) * self._expected_bytes <= self._most_bytes
