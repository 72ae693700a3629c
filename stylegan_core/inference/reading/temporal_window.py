"""Temporal windows: a frame with its neighbours, each of which is read once for all frames that need it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import replace

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.reading.decoded_frame import DecodedFrame
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.storage.file_state import FileState

_CONCURRENT_READS = 2
"""Frames that are read at the same time."""
_KEPT_BYTES = 512 << 20
"""Of frames that are kept, in addition to those of one window."""


class WindowReader:
    """Reads frames and their windows, and keeps what the next frames need. Thread-safe."""

    def __init__(self, reader: FrameReader, settings: FrameSettings) -> None:
        """Reads nothing yet.

        Args:
            reader: of the job.
            settings: of the job.
        """
        self._reader = reader
        self._kept: OrderedDict[tuple[str, int | None, str | None], Future[DecodedFrame]] = OrderedDict()
        self._fewest, self._bytes = 2 * settings.window_frames + 1 + _CONCURRENT_READS, 0
        self._lock = threading.Lock()

    def load(self, task: FrameTask) -> DecodedFrame:
        """``FrameReader.load``, once for all frames that need it; raises the same errors."""
        key = (task.input, task.index, task.missing)
        with self._lock:
            known = self._kept.get(key)
            if known is not None:
                self._kept.move_to_end(key)
            else:
                future: Future[DecodedFrame] = Future()
                self._kept[key] = future
        if known is not None:
            return _of_task(known.result(), task)
        try:
            frame = self._reader.load(task)
            future.set_result(frame)
        except BaseException as error:
            with self._lock:
                self._kept.pop(key, None)  # another attempt may succeed
            future.set_exception(error)
            raise
        with self._lock:
            self._bytes += frame.size_bytes
            self._evict()
        return frame

    def with_window(self, frame: DecodedFrame) -> list[DecodedFrame]:
        """The views of a frame with their windows and with the files of the window.

        A neighbour that cannot be read, or has another size or number of views, is not part of the window.

        Args:
            frame: from ``load``, of a task with a window.
        """
        task = frame.task
        windows: list[list[DecodedFrame]] = [[] for _ in frame.views]
        files: list[FileState | None] = []
        for offset in task.window:
            neighbour_task = FrameTask(input=offset.input, output=task.output, index=offset.index, guides=offset.guides)
            try:
                neighbour = self.load(neighbour_task)
            except (UnreadablePictureError, OSError):
                if offset.input != task.input:
                    files.append(_state_of_damaged(self._reader, neighbour_task))
                continue
            if offset.input != task.input:
                files.append(neighbour.source)
            if _shapes(neighbour) == _shapes(frame):
                for window, view in zip(windows, neighbour.views, strict=True):
                    window.append(replace(view, offset=offset.offset))
        return [
            replace(view, window=tuple(window), auxiliary_files=(*view.auxiliary_files, *files))
            for view, window in zip(frame.views, windows, strict=True)
        ]

    def _evict(self) -> None:
        """Forgets the least recently used frames beyond ``_KEPT_BYTES``."""
        for key, future in list(self._kept.items()):
            if self._bytes <= _KEPT_BYTES or len(self._kept) <= self._fewest:
                return
            if future.done():
                del self._kept[key]
                self._bytes -= future.result().size_bytes


def _of_task(frame: DecodedFrame, task: FrameTask) -> DecodedFrame:
    """A frame that was read as the neighbour of another one, as the frame of its own task."""
    others = tuple(replace(view, task=task) for view in frame.other_views)
    return replace(frame, task=task, other_views=others)


def _shapes(frame: DecodedFrame) -> list[tuple[int, int]]:
    return [(view.height_px, view.width_px) for view in frame.views]


def _state_of_damaged(reader: FrameReader, task: FrameTask) -> FileState | None:
    try:
        return FileState.of(reader.path(task))
    except OSError:
        return None
