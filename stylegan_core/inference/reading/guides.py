"""Guides of frames: painted key frames, warped to each frame along the motion."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stylegan_core.inference.job.frame_task import GuideKey
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.decoded_frame import DecodedFrame, FrameRows, WholeRows
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.inference.reading.guide_flows import read_flow
from stylegan_core.inference.reading.key_frames import KeyFrame, KeyFrameReader
from stylegan_core.inference.reading.motion_picture import display_unit
from stylegan_core.motion.guide import Painting, guide_rows
from stylegan_core.motion.guide_map import GuideMap, KeyMotion, map_guide, searched_size
from stylegan_core.storage.file_state import FileState

_CONCURRENT_READS = 2
"""Frames that are decoded at the same time."""


@dataclass(frozen=True)
class GuideInRows(FrameRows):
    """The guide of a large frame, whose rows are warped when they are needed.

    Attributes:
        guide_map: of the frame.
        paintings: of its key frames.
        size: height and width of the frame.
    """

    guide_map: GuideMap
    paintings: tuple[Painting, ...]
    size: tuple[int, int]

    def rows(self, first: int, last: int) -> Pixels:
        """(last - first, W, 4) guide and confidence in [0, 1]."""
        return guide_rows(self.guide_map, self.paintings, self.size, first, last)


class GuideReader:
    """Adds guides to frames. Thread-safe."""

    def __init__(self, job: Job, reader: FrameReader) -> None:
        """Reads nothing yet.

        Args:
            job: whose frames are guided.
            reader: of its inputs.
        """
        self._job, self._keys = job, KeyFrameReader(job, reader)
        self._kept: OrderedDict[str, FrameRows | None] = OrderedDict()
        reach = job.settings.window_frames
        self._most_kept = 2 * reach + 1 + _CONCURRENT_READS if reach else 0
        self._lock = threading.Lock()

    def guided(self, frame: DecodedFrame) -> list[DecodedFrame]:
        """The views of a frame, and of the frames in their windows, with their guides and the files of these.

        Raises:
            UnreadablePictureError: a painting or the plate of a key frame is damaged.
            PlanError: a flow is missing: the job was planned for another state folder.
            OSError: a file cannot be read.
        """
        states: dict[Path, FileState] = {}
        views = [self._with_guide(view, frame.task.guides, states) for view in frame.views]
        windows = [
            tuple(self._with_guide(other, other.task.guides, states) for other in view.window) for view in frame.views
        ]
        for neighbour in frame.task.window:  # one that could not be read still names its files
            self._load(neighbour.guides, 0, states)
        files: list[FileState | None] = [states.get(path) for path in self._job.guide_files(frame.task)]
        return [
            replace(view, window=window, auxiliary_files=(*view.auxiliary_files, *files))
            for view, window in zip(views, windows, strict=True)
        ]

    def _with_guide(
        self, view: DecodedFrame, guides: Sequence[GuideKey], states: dict[Path, FileState]
    ) -> DecodedFrame:
        keys = self._load(guides, view.view, states)
        with self._lock:
            if view.key in self._kept:
                return replace(view, guide=self._kept[view.key])
        guide = self._guide(view, guides, keys)
        if self._most_kept:
            with self._lock:
                self._kept[view.key] = guide
                while len(self._kept) > self._most_kept:
                    self._kept.popitem(last=False)
        return replace(view, guide=guide)

    def _load(self, guides: Sequence[GuideKey], view: int, states: dict[Path, FileState]) -> list[KeyFrame]:
        keys = [self._keys.load(guide, view) for guide in guides]
        for key in keys:
            states.update(key.files)
        return keys

    def _guide(self, view: DecodedFrame, guides: Sequence[GuideKey], keys: Sequence[KeyFrame]) -> FrameRows | None:
        """None if no key frame has the frame's size."""
        size = view.height_px, view.width_px
        alike = [(guide, key) for guide, key in zip(guides, keys, strict=True) if key.size == size]
        if not alike:
            return None
        path = self._job.input_path(view.task)
        frame_unit = display_unit(view.picture, self._job.settings, path, searched_size(*size))
        folder = self._job.state_folder
        motions = [
            KeyMotion(
                key.plate_unit,
                read_flow(folder / guide.flow_file, guide.flow) if guide.flow and guide.flow_file else None,
                guide.distance,
            )
            for guide, key in alike
        ]
        guide = GuideInRows(map_guide(frame_unit, motions), tuple(key.painting for _, key in alike), size)
        return guide if view.in_bands else WholeRows(guide.rows(0, size[0]))
