"""Decodes a frame: its picture in the working space, its mask, regions, temporal window, guide and temporal filter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.reading.decoded_frame import DecodedFrame
from stylegan_core.inference.reading.frame_filter import FrameFilter
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.inference.reading.guides import GuideReader
from stylegan_core.inference.reading.masks import RegionReader, read_mask
from stylegan_core.inference.reading.refuse_changed import refuse_changed
from stylegan_core.inference.reading.temporal_window import WindowReader
from stylegan_core.storage.file_state import FileState


class FrameDecoder:
    """Decodes the frames of a job. Thread-safe."""

    def __init__(self, job: Job, reader: FrameReader) -> None:
        """Reads nothing yet.

        Args:
            job: whose frames are decoded.
            reader: of its inputs.
        """
        settings = job.settings
        self._reader, self._max_megapixels = reader, job.max_megapixels
        self._windows = WindowReader(reader, settings) if settings.window_frames else None
        self._filter = FrameFilter(job) if settings.filter_frames else None
        self._guides = GuideReader(job, reader) if any(task.guides for task in job.frames) else None
        self._regions = (
            RegionReader(settings.regions, settings.colour, job.max_megapixels) if settings.regions else None
        )

    def decode(self, task: FrameTask) -> DecodedFrame:
        """Reads a frame and everything that the network needs with it.

        Raises:
            UnreadablePictureError: a file is damaged or changed while it was read, or a mask does not fit.
            OSError: a file cannot be read.
        """
        if self._windows is not None:
            frame = self._windows.load(task)
        else:
            frame = self._reader.load(task)
        if task.mask is not None:
            frame = self._with_mask(frame, Path(task.mask))
        if self._regions is not None:
            weights = self._regions.read(task, frame.height_px, frame.width_px)
            views = [replace(view, regions=weights, auxiliary_files=weights.files) for view in frame.views]
            frame = _joined(views)
        if self._windows is not None and task.window:
            frame = _joined(self._windows.with_window(frame))
        if self._guides is not None:
            frame = _joined(self._guides.guided(frame))
        if self._filter is not None and task.window:
            frame = _joined([self._filter.filtered(view) for view in frame.views])
        return frame

    def _with_mask(self, frame: DecodedFrame, path: Path) -> DecodedFrame:
        state = FileState.of(path)
        windows = frame.picture.windows or [None for _ in frame.views]
        masks = [
            read_mask(path, view.height_px, view.width_px, window=window, max_megapixels=self._max_megapixels)
            for view, window in zip(frame.views, windows, strict=True)
        ]
        refuse_changed(path, state)
        return _joined(
            [replace(view, mask_unit=unit, mask=state) for view, unit in zip(frame.views, masks, strict=True)]
        )


def _joined(views: list[DecodedFrame]) -> DecodedFrame:
    """The first view, with the others as its other views."""
    first, *others = views
    return replace(first, other_views=tuple(others))
