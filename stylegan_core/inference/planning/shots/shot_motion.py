"""Motion of a shot: coarse flow between its frames and its key frames, read and computed as far as it is wanted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from stylegan_core.inference.planning.shots.timeline import TimelineFrame
from stylegan_core.motion.guide_chain import FlowPair, adjacent_flow, chain_flows
from stylegan_core.motion.optical_flow import Grey

_THREADS = 2
"""That read frames."""

SizedProxy = tuple[Grey, tuple[int, int]]
"""The proxy of a frame, and the frame's height and width."""


class ShotMotion:
    """Flows between the frames of one shot and its key frames; each frame is read at most once."""

    def __init__(self, numbers: Sequence[int], proxy: Callable[[int], SizedProxy | None]) -> None:
        """Reads nothing yet.

        Args:
            numbers: of the existing frames of the shot, in order.
            proxy: reads a frame, in any thread; None: it cannot be read, or is too small to search motion in.
        """
        self._numbers, self._read = tuple(numbers), proxy
        self._proxies: dict[int, SizedProxy | None] = {}
        self._steps: dict[tuple[int, int], FlowPair] = {}

    def flows(self, key: int, wanted: set[int]) -> Iterator[tuple[int, FlowPair]]:
        """Flows from frames to a key frame and back, in proxy pixels, by the frames' numbers.

        A frame that cannot be read or has another size than the key frame has none, and is left out of the chain.

        Args:
            key: number of the key frame.
            wanted: numbers of frames of the shot, without the key frame's.
        """
        later = [number for number in self._numbers if key < number <= max(wanted, default=key)]
        earlier = [number for number in reversed(self._numbers) if min(wanted, default=key) <= number < key]
        self._read_frames([key, *earlier, *later] if wanted else [])
        start = self._proxies.get(key)
        if start is None:
            return
        for side in (earlier, later):
            chain = [key, *(number for number in side if self._size(number) == start[1])]
            greys = [found[0] for number in chain if (found := self._proxies[number]) is not None]
            steps = (self._step(a, b) for a, b in pairwise(chain))
            for number, flow in zip(chain[1:], chain_flows(greys, steps), strict=True):
                if number in wanted:
                    yield number, flow

    def _read_frames(self, numbers: Sequence[int]) -> None:
        unread = [number for number in numbers if number not in self._proxies]
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="motion") as pool:
            self._proxies.update(zip(unread, pool.map(self._read, unread), strict=True))

    def _size(self, number: int) -> tuple[int, int] | None:
        found = self._proxies[number]
        return None if found is None else found[1]

    def _step(self, first: int, second: int) -> FlowPair:
        """Flow from one frame to the next of a chain; chains of both directions share it."""
        if first > second:
            return self._step(second, first).reversed
        if (first, second) not in self._steps:
            one, other = self._proxies[first], self._proxies[second]
            assert one is not None
            assert other is not None
            self._steps[first, second] = adjacent_flow(one[0], other[0])
        return self._steps[first, second]


def nearest_keys(number: int, keys: Sequence[int], each_side: int) -> list[int]:
    """Key frames that guide a frame, in order: itself alone if it is one, else the nearest on each side.

    Args:
        number: of the frame.
        keys: numbers of the key frames of its shot, in order.
        each_side: how many on each side.
    """
    if number in keys:
        return [number]
    earlier = [key for key in keys if key < number]
    later = [key for key in keys if key > number]
    return [*earlier[-each_side:], *later[:each_side]]


def chain_sources(
    key: int, frames: Mapping[int, TimelineFrame], state: Callable[[TimelineFrame], object], common: object
) -> dict[int, str]:
    """Digest of the files that the flow between each frame of a shot and a key frame is computed from.

    Args:
        key: number of the key frame.
        frames: of the shot, in order of their numbers.
        state: name, size and time of a frame's file, as JSON values.
        common: what the proxies depend on in addition, as JSON values.
    Returns:
        By number, without the key frame.
    """
    start = json.dumps([common, state(frames[key])])
    numbers, found = sorted(frames), dict[int, str]()
    for side in ([n for n in numbers if n < key][::-1], [n for n in numbers if n > key]):
        digest = hashlib.sha256(start.encode())
        for number in side:
            digest.update(json.dumps(state(frames[number])).encode())
            found[number] = digest.hexdigest()[:32]
    return found
