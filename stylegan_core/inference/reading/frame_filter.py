"""Temporal filter of frames: plates and guides averaged with those of their neighbours, for the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.decoded_frame import DecodedFrame, FrameRows, WholeRows
from stylegan_core.inference.reading.motion_picture import display_unit
from stylegan_core.inference.reading.picture_rows import picture_rows
from stylegan_core.motion.guide_chain import FlowPair
from stylegan_core.motion.guide_map import searched_size
from stylegan_core.motion.optical_flow import LEAST_PX, grey_proxy, search_motion
from stylegan_core.motion.temporal_filter import (
    FILTER_SEARCHED_PX,
    NeighbourMotion,
    Rows,
    filtered_guide,
    filtered_plate,
    neighbour_motion,
)
from stylegan_core.motion.warp import Floats
from stylegan_core.storage.lru_arrays import LruArrays

_CONCURRENT_READS = 2
"""Frames that are decoded at the same time."""
_KEPT_BYTES = 32 << 20
"""Of pictures and of flows, in addition to those of one window: what is behind is not needed again."""


Average = Callable[[Rows, Sequence[tuple[NeighbourMotion, Rows]], tuple[int, int], int, int], Floats]
"""``filtered_plate`` or ``filtered_guide``."""


@dataclass(frozen=True)
class AveragedRows(FrameRows):
    """A plate or a guide of a large frame, whose rows are averaged when they are needed.

    Attributes:
        average: what averages it.
        own: its rows.
        neighbours: with their rows.
        size: height and width.
    """

    average: Average
    own: Rows
    neighbours: tuple[tuple[NeighbourMotion, Rows], ...]
    size: tuple[int, int]

    def rows(self, first: int, last: int) -> Pixels:
        """(last - first, W, C)."""
        return self.average(self.own, self.neighbours, self.size, first, last)


class FrameFilter:
    """Averages frames over their windows. Thread-safe.

    The result depends on the window of a frame alone; what windows share is kept for speed.
    """

    def __init__(self, job: Job) -> None:
        """Keeps nothing yet.

        Args:
            job: whose frames are filtered.
        """
        self._job, self._settings = job, job.settings
        kept = 2 * self._settings.window_frames + 1 + _CONCURRENT_READS
        self._displays: LruArrays[Floats] = LruArrays(kept, kept_bytes=_KEPT_BYTES)
        self._flows: LruArrays[Floats] = LruArrays(4 * kept, kept_bytes=_KEPT_BYTES)

    def filtered(self, view: DecodedFrame) -> DecodedFrame:
        """A view of a frame that the network sees filtered, as those of its window that its result is blended with.

        Args:
            view: with its window and its guide.
        """
        if min(searched_size(view.height_px, view.width_px, FILTER_SEARCHED_PX)) < LEAST_PX:
            return replace(view, window=self._blended(view.window))
        # In one order whatever frame is in the middle: sums of floats depend on it.
        members = sorted((view, *view.window), key=lambda member: member.offset)
        filtered = [self._of_window(member, members) for member in (view, *self._blended(view.window))]
        return replace(filtered[0], window=tuple(filtered[1:]))

    def _blended(self, window: Sequence[DecodedFrame]) -> tuple[DecodedFrame, ...]:
        return tuple(member for member in window if abs(member.offset) <= self._settings.blend_frames)

    def _of_window(self, frame: DecodedFrame, members: Sequence[DecodedFrame]) -> DecodedFrame:
        others = [m for m in members if 0 < abs(m.offset - frame.offset) <= self._settings.filter_frames]
        if not others:
            return frame
        size = frame.height_px, frame.width_px
        motions = [(self._motion(frame, other), other) for other in others]
        plates = tuple((motion, self._plate_rows(other)) for motion, other in motions)
        plate: FrameRows = AveragedRows(filtered_plate, self._plate_rows(frame), plates, size)
        guide = frame.guide
        if guide is not None and not frame.task.is_key:
            known = tuple((motion, other.guide.rows) for motion, other in motions if other.guide is not None)
            guide = AveragedRows(filtered_guide, guide.rows, known, size)
        if not frame.in_bands:
            plate = WholeRows(plate.rows(0, size[0]))
            guide = None if guide is None else WholeRows(guide.rows(0, size[0]))
        averaged_with = tuple((other.offset - frame.offset, other.key) for other in others)
        return replace(frame, filtered=plate, averaged_with=averaged_with, guide=guide)

    def _plate_rows(self, frame: DecodedFrame) -> Rows:
        if not frame.in_bands:
            return WholeRows(frame.before_unit).rows
        return picture_rows(frame.picture, frame.space, self._settings).unit

    def _motion(self, frame: DecodedFrame, other: DecodedFrame) -> NeighbourMotion:
        flow = FlowPair(self._flow(frame, other), self._flow(other, frame))
        return neighbour_motion(self._display(frame), self._display(other), flow)

    def _flow(self, frame: DecodedFrame, other: DecodedFrame) -> Floats:
        def searched() -> Floats:
            return search_motion(grey_proxy(self._display(frame)), grey_proxy(self._display(other)))

        return self._flows.get((frame.key, other.key), searched)

    def _display(self, frame: DecodedFrame) -> Floats:
        size = searched_size(frame.height_px, frame.width_px, FILTER_SEARCHED_PX)
        path = self._job.input_path(frame.task)
        shown = partial(display_unit, frame.picture, self._settings, path, size)
        return self._displays.get(frame.key, shown)
