"""Temporal smoother: blends the outputs for neighbouring frames; what windows share is computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.decoded_frame import DecodedFrame
from stylegan_core.inference.render.flow_blend import WarpedNeighbour, blended, motion_proxy
from stylegan_core.motion.optical_flow import LEAST_PX, Flow, Grey, consistent, search_motion
from stylegan_core.motion.warp import Floats
from stylegan_core.storage.lru_arrays import LruArrays


class TemporalSmoother:
    """Blends outputs over windows; one thread at a time may use it.

    The result depends on the window of a frame alone: outputs for neighbours are kept for speed, and computed again
    where a chunk begins.
    """

    def __init__(self, settings: FrameSettings) -> None:
        """Keeps nothing yet.

        Args:
            settings: of the job.
        """
        self._weight, self._space = settings.blend_weight, settings.working_space
        window = 2 * settings.blend_frames + 1
        self._outputs: LruArrays[Pixels] = LruArrays(window + 1)
        self._greys: LruArrays[Grey] = LruArrays(window + 1)
        self._motions: LruArrays[Floats] = LruArrays(2 * window)

    def smooth(self, frame: DecodedFrame, run: Callable[[DecodedFrame], Pixels], run_key: Hashable) -> Pixels:
        """The output for a frame, blended with those for the neighbours in its window.

        Args:
            frame: one view of a frame.
            run: the network, a view to (H, W, 3) in the working space.
            run_key: identifies what ``run`` does.
        """

        def output(view: DecodedFrame) -> Pixels:
            return self._outputs.get((view.key, view.averaged_with, run_key), lambda: run(view))

        own = output(frame)
        if min(own.shape[:2]) < LEAST_PX:
            return own
        grey = self._grey(frame)
        neighbours = [
            WarpedNeighbour(output(other), other.before_unit, self._grey(other), self._flow(frame, other))
            for other in frame.window
        ]
        return blended(own, frame.before_unit, grey, neighbours, self._weight)

    def _grey(self, frame: DecodedFrame) -> Grey:
        return self._greys.get(frame.key, lambda: motion_proxy(frame.before_unit, self._space))

    def _flow(self, frame: DecodedFrame, other: DecodedFrame) -> Flow:
        there, back = self._motion(frame, other), self._motion(other, frame)
        return Flow(there, consistent(there, back))

    def _motion(self, frame: DecodedFrame, other: DecodedFrame) -> Floats:
        return self._motions.get((frame.key, other.key), lambda: search_motion(self._grey(frame), self._grey(other)))
