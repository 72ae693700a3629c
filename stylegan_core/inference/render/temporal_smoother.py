"""Steadies the answers of a network along the windows of its frames; what neighbours share is computed once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from numpy.typing import NDArray

from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.temporal_window import FrameView
from stylegan_core.inference.render.flow_blend import WarpedNeighbour, blended, motion_proxy
from stylegan_core.motion.optical_flow import LEAST_PX, Flow, Grey, consistent, search_motion
from stylegan_core.motion.warp import Floats

_KEPT_BYTES = 512 << 20
"""Of answers, and of motions, beside what one window needs."""

Array = TypeVar("Array", bound=NDArray)  # type: ignore[type-arg]


class TemporalSmoother:
    """Blends answers over windows; its calls come from one thread.

    What a frame becomes depends on its window alone: answers to neighbours are kept for speed, and computed anew where
    a chunk begins.
    """

    def __init__(self, settings: FrameSettings) -> None:
        """Keeps nothing yet.

        Args:
            settings: of the job.
        """
        self._weight, self._space = settings.blend_weight, settings.working_space
        window = 2 * settings.blend_frames + 1
        self._answers: _LruArrays[Pixels] = _LruArrays(window + 1)
        self._greys: _LruArrays[Grey] = _LruArrays(window + 1)
        self._motions: _LruArrays[Floats] = _LruArrays(2 * window)

    def steadied(
        self, frame: FrameView, window: Sequence[FrameView], paint: Callable[[Pixels], Pixels], who: Hashable
    ) -> Pixels:
        """The answer to a frame, blended with those to its neighbours.

        Args:
            frame: to answer.
            window: its neighbours, of the same size, in the order of their frames.
            paint: (H, W, 3) in the working space to the same.
            who: names what ``paint`` does.
        """

        def answer(seen: FrameView) -> Pixels:
            return self._answers.get((seen.name, who), lambda: paint(seen.before_unit))

        own = answer(frame)
        if min(own.shape[:2]) < LEAST_PX:
            return own
        grey = self._grey(frame)
        neighbours = [
            WarpedNeighbour(answer(other), other.before_unit, self._grey(other), self._flow(frame, other))
            for other in window
        ]
        return blended(own, frame.before_unit, grey, neighbours, self._weight)

    def _grey(self, seen: FrameView) -> Grey:
        return self._greys.get(seen.name, lambda: motion_proxy(seen.before_unit, self._space))

    def _flow(self, frame: FrameView, other: FrameView) -> Flow:
        there, back = self._motion(frame, other), self._motion(other, frame)
        return Flow(there, consistent(there, back))

    def _motion(self, frame: FrameView, other: FrameView) -> Floats:
        return self._motions.get((frame.name, other.name), lambda: search_motion(self._grey(frame), self._grey(other)))


class _LruArrays(Generic[Array]):
    """The arrays that were asked for last."""

    def __init__(self, least: int) -> None:
        self._least, self._bytes = least, 0
        self._arrays: OrderedDict[Hashable, Array] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Array]) -> Array:
        if key in self._arrays:
            self._arrays.move_to_end(key)
            return self._arrays[key]
        made = self._arrays[key] = make()
        self._bytes += made.nbytes
        while self._bytes > _KEPT_BYTES and len(self._arrays) > self._least:
            self._bytes -= self._arrays.popitem(last=False)[1].nbytes
        return made
