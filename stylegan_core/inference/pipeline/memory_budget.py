"""FIFO memory budget for the frames in flight; a frame's size is known only after it is decoded."""

from __future__ import annotations

import threading
from collections.abc import Callable

from stylegan_core.inference.job.spec import Job

BYTES_PER_PIXEL = 64
"""Of a frame in flight: source, float32 before and after, and the temporaries of blending back and encoding."""
_MIXING_BYTES, _WEIGHT_BYTES, _PICTURE_BYTES, _NEIGHBOUR_BYTES, _BLEND_BYTES, _GUIDE_BYTES = 36, 4, 12, 16, 24, 72
_FILTERED_GUIDE_BYTES = 24
_POLL_S = 0.1


def bytes_per_pixel(job: Job) -> int:
    """Memory of one pixel of a frame in flight."""
    settings, total = job.settings, BYTES_PER_PIXEL
    regions, blended = settings.regions, 2 * settings.blend_frames + 1
    if settings.window_frames:  # its neighbours, which frames share
        total += _NEIGHBOUR_BYTES * (2 * settings.window_frames + 1)
    if settings.blend_frames:  # their outputs, and the temporaries of a blend
        total += _BLEND_BYTES * blended
    if any(frame.guides for frame in job.frames):  # the guide, the network's input, and a flow to each key frame
        total += _GUIDE_BYTES * blended + _FILTERED_GUIDE_BYTES * 2 * settings.filter_frames
    if not regions:
        return total
    pictures = sum(region.shows_picture for region in regions)
    return total + _MIXING_BYTES + _WEIGHT_BYTES * (len(regions) + 1) + _PICTURE_BYTES * pictures


class MemoryBudget:
    """Bounds the memory of frames from decoding on. Thread-safe.

    The size of a frame is expected to be that of the frame decoded last; the very first frame is decoded alone. Memory
    is granted in order, because a frame that has it may wait for an earlier frame.
    """

    def __init__(self, most_bytes: int) -> None:
        """All of it is free.

        Args:
            most_bytes: of all frames together; a single frame may exceed it.
        """
        self._most_bytes = most_bytes
        self._changed = threading.Condition()
        self._sizes: dict[str, int] = {}
        self._expected_bytes, self._decoding = 0, 0
        self._tickets, self._next = 0, 0

    def ticket(self) -> int:
        """A place in the queue, for ``acquire``."""
        with self._changed:
            self._tickets += 1
            return self._tickets - 1

    def acquire(self, ticket: int, *, stopped: Callable[[], bool]) -> None:
        """Waits for its turn and for memory; then call ``hold`` or ``cancel``.

        Args:
            ticket: every ticket must be used.
            stopped: ends the wait if it is true; polled.
        """
        with self._changed:
            while not (ticket == self._next and self._is_free()) and not stopped():
                self._changed.wait(_POLL_S)
            self._next = max(self._next, ticket + 1)
            self._decoding += 1
            self._changed.notify_all()

    def hold(self, name: str, size_bytes: int) -> None:
        """Turns what was acquired into the memory of a decoded frame, until ``release``."""
        with self._changed:
            self._decoding -= 1
            self._sizes[name] = self._expected_bytes = size_bytes
            self._changed.notify_all()

    def cancel(self) -> None:
        """Gives back what was acquired: there is no frame to hold."""
        with self._changed:
            self._decoding -= 1
            self._changed.notify_all()

    def release(self, name: str) -> None:
        """Frees the memory of a frame; does nothing if it holds none."""
        with self._changed:
            self._sizes.pop(name, None)
            self._changed.notify_all()

    def _is_free(self) -> bool:
        held_bytes = sum(self._sizes.values())
        if not held_bytes and not self._decoding:
            return True
        if not self._expected_bytes:
            return not self._decoding
        return held_bytes + (self._decoding + 1) * self._expected_bytes <= self._most_bytes
