"""Frames as the network sees them, with those of their windows: each is read once for all that ask for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, replace

from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.colour.source_space import SourceSpace
from stylegan_core.frames.pictures.picture import Picture, UnreadablePictureError
from stylegan_core.inference.job.frame_settings import FrameSettings
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.network.tiling import MOST_WHOLE_PX
from stylegan_core.inference.network.translate import Pixels
from stylegan_core.inference.reading.colour import space_of
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.storage.file_state import FileState

_READERS = 2
"""Frames that are read at the same time."""
_KEPT_BYTES = 512 << 20
"""Of frames that are kept, beside what one window needs."""


@dataclass(frozen=True)
class LoadedFrame:
    """A frame that was read.

    Attributes:
        picture: with its other views.
        space: that it is in.
        state: the file as it was read.
        views: (H, W, 3) float32 in the working space, of each view; without rows if it is painted in bands.
    """

    picture: Picture
    space: SourceSpace
    state: FileState
    views: tuple[Pixels, ...]


@dataclass(frozen=True)
class FrameView:
    """A view of a frame, by a name that tells it from all others.

    Attributes:
        name: digest of its file, its place in a movie, and which view it is.
        before_unit: (H, W, 3) float32 in the working space.
    """

    name: str
    before_unit: Pixels


def in_bands(pixels: int, settings: FrameSettings) -> bool:
    """Whether a frame of so many pixels is too large to be held as a whole beside its samples.

    Regions and windows need whole frames.
    """
    return pixels > MOST_WHOLE_PX and not settings.regions and not settings.blend_frames


def load_frame(frame: FrameTask, sources: FrameReader, settings: FrameSettings) -> LoadedFrame:
    """Reads a frame.

    Raises:
        UnreadablePictureError: the file is damaged, or changed while it was read.
        OSError: it cannot be read.
    """
    picture, state = sources.read(frame)
    space = space_of(picture, settings, sources.path(frame))
    pixels = (picture.pixels, *picture.other_views)
    rows = 0 if in_bands(picture.height_px * picture.width_px, settings) else picture.height_px
    views = tuple(
        to_working(
            replace(picture, pixels=view[:rows], other_views=()),
            source_space=space.name,
            working_space=settings.working_space,
            ocio=settings.colour_config,
        )
        for view in pixels
    )
    return LoadedFrame(picture, space, state, views)


class WindowReader:
    """Reads frames and their windows; several threads may share it. It keeps what the next frames will ask for."""

    def __init__(self, sources: FrameReader, settings: FrameSettings) -> None:
        """Reads nothing yet.

        Args:
            sources: of the job.
            settings: of the job.
        """
        self._sources, self._settings = sources, settings
        self._kept: OrderedDict[tuple[str, int | None, str | None], Future[LoadedFrame]] = OrderedDict()
        self._least, self._bytes = 2 * settings.blend_frames + 1 + _READERS, 0
        self._lock = threading.Lock()

    def load_frame(self, frame: FrameTask) -> LoadedFrame:
        """``see``, once for all that ask; raises as it does."""
        key = (frame.input, frame.index, frame.missing)
        with self._lock:
            known = self._kept.get(key)
            if known is not None:
                self._kept.move_to_end(key)
            else:
                future: Future[LoadedFrame] = Future()
                self._kept[key] = future
        if known is not None:
            return known.result()
        try:
            seen = load_frame(frame, self._sources, self._settings)
            future.set_result(seen)
        except BaseException as error:
            with self._lock:
                self._kept.pop(key, None)  # another attempt may succeed
            future.set_exception(error)
            raise
        with self._lock:
            self._bytes += _bytes_of(seen)
            self._forget()
        return seen

    def _forget(self) -> None:
        """What was asked for longest ago, where there is more than can be kept."""
        for key, future in list(self._kept.items()):
            if self._bytes <= _KEPT_BYTES or len(self._kept) <= self._least:
                return
            if future.done():
                del self._kept[key]
                self._bytes -= _bytes_of(future.result())

    def window(
        self, frame: FrameTask, seen: LoadedFrame
    ) -> tuple[list[tuple[FrameView, ...]], tuple[FileState | None, ...]]:
        """Of each view of a frame its neighbours', and the files of the window as ``Job.auxiliary_files`` lists them.

        A neighbour that cannot be read, or has another size or number of views, is left out.
        """
        views: list[list[FrameView]] = [[] for _ in seen.views]
        files: list[FileState | None] = []
        for beside in frame.window:
            neighbour = FrameTask(input=beside.input, output=frame.output, index=beside.index)
            try:
                other = self.load_frame(neighbour)
            except (UnreadablePictureError, OSError):
                if beside.input != frame.input:
                    files.append(_state_of_damaged(self._sources, neighbour))
                continue
            if beside.input != frame.input:
                files.append(other.state)
            if [view.shape for view in other.views] == [view.shape for view in seen.views]:
                for view, found in zip(views, glimpses(neighbour, other), strict=True):
                    view.append(found)
        return [tuple(view) for view in views], tuple(files)


def glimpses(frame: FrameTask, seen: LoadedFrame) -> list[FrameView]:
    """A glimpse of each view of a frame."""
    place = f"{seen.state.sha256}:{frame.index}:{frame.missing == 'black'}"
    return [FrameView(f"{place}:{view}", unit) for view, unit in enumerate(seen.views)]


def _bytes_of(seen: LoadedFrame) -> int:
    picture = seen.picture
    return sum(array.nbytes for array in (picture.pixels, *picture.other_views, *seen.views))


def _state_of_damaged(sources: FrameReader, frame: FrameTask) -> FileState | None:
    try:
        return FileState.of(sources.path(frame))
    except OSError:
        return None
