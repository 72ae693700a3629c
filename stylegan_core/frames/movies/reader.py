"""Exact random access to movie frames: decodes from a key frame and identifies frames by time, not by seeking alone."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator
from pathlib import Path

import av

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.base.frame_planes import FramePlanes
from stylegan_core.frames.movies.ffv1_checksum import all_slices_valid
from stylegan_core.frames.movies.planes import planes_of
from stylegan_core.frames.movies.probe import MovieInfo, probe_movie

_POSITIONS = 4
"""Concurrent decoders: one for each chunk in progress."""
_CACHED = 12
_CACHED_BYTES = 256 << 20
"""Limits of the cache of decoded frames, for threads that read in another order."""
_REACH = 96
"""Frames that a decoder skips by decoding instead of seeking."""


class MovieReader:
    """Reads frames of one movie by index. Thread-safe.

    Attributes:
        info: of the movie.
    """

    def __init__(self, path: Path, info: MovieInfo | None = None) -> None:
        """Probes the movie; decoders are opened by the first ``read``.

        Args:
            path: the movie.
            info: of the movie, if known.

        Raises:
            UnreadablePictureError: it is not a movie.
            OSError: it cannot be read.
        """
        self.info = info or probe_movie(path)
        self._lock = threading.Lock()
        self._positions: list[_Position] = []
        self._cache: OrderedDict[int, av.VideoFrame] = OrderedDict()

    def read(self, index: int) -> FramePlanes:
        """A frame.

        Args:
            index: from 0, in order of presentation.

        Raises:
            UnreadablePictureError: the frame is damaged or beyond the end; the message counts frames from 1.
        """
        if not 0 <= index < len(self.info.pts):
            raise UnreadablePictureError(f"it has {len(self.info.pts)} frames, no frame {index + 1}")
        with self._lock:
            if index not in self._cache:
                self._decode(index)
            frame = self._cache[index]
        return planes_of(frame, self.info.matrix, self.info.full_range)  # outside the lock

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            for position in self._positions:
                position.close()
            self._positions.clear()
            self._cache.clear()

    def _decode(self, index: int) -> None:
        near = [p for p in self._positions if p.at <= index < p.at + _REACH]
        position = max(near, key=lambda p: p.at, default=None)
        if position is None:
            if len(self._positions) >= _POSITIONS:
                self._positions.pop(0).close()
            position = _Position(self.info, index)
        else:
            self._positions.remove(position)
        try:
            for at, frame in position.frames:
                position.at = at + 1
                if frame is not None and index - at < _CACHED:
                    self._add_to_cache(at, frame)
                elif at == index:
                    self._positions.append(position)
                    raise UnreadablePictureError(f"frame {index + 1} is damaged")
                if at == index:
                    break
                if at > index:
                    raise UnreadablePictureError(f"frame {index + 1} is damaged: the decoder skips it")
            else:
                raise UnreadablePictureError(f"frame {index + 1} is damaged: the movie ends before it")
        except av.error.FFmpegError as error:
            position.close()
            raise UnreadablePictureError(f"frame {index + 1} is damaged: {error.strerror}") from error
        self._positions.append(position)

    def _add_to_cache(self, at: int, frame: av.VideoFrame) -> None:
        self._cache[at] = frame
        most = max(2, min(_CACHED, _CACHED_BYTES // (6 * frame.width * frame.height)))
        while len(self._cache) > most:
            self._cache.popitem(last=False)


class _Position:
    """One decoder and its position in the movie."""

    def __init__(self, info: MovieInfo, index: int) -> None:
        self._container = av.open(str(info.path), metadata_errors="replace")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self._info = info
        self.at = index
        self._damaged: set[int] = set()
        self.frames = self._decoded(index)

    def close(self) -> None:
        self.frames.close()
        self._container.close()

    def _decoded(self, index: int) -> Generator[tuple[int, av.VideoFrame | None], None, None]:
        pts = self._info.pts
        numbers = {at: number for number, at in enumerate(pts)}
        if index:
            self._container.seek(pts[index], stream=self._stream, backward=True)
        began = False
        for number, frame in self._numbered(numbers):
            if not began and number > index:  # the seek overshot: some containers have no exact index
                self._container.seek(pts[0], stream=self._stream, backward=True)
                yield from (found for found in self._numbered(numbers) if found[0] >= index)
                return
            began = True
            if number >= index:
                yield number, frame

    def _numbered(self, numbers: dict[int, int]) -> Generator[tuple[int, av.VideoFrame | None], None, None]:
        """The following frames with their indices; None for a damaged one."""
        for packet in self._container.demux(self._stream):
            if self._info.checksums and packet.pts in numbers and not all_slices_valid(bytes(packet)):
                self._damaged.add(numbers[packet.pts])
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:  # its frame is skipped, and missed by its number
                continue
            for frame in frames:
                number = numbers.get(frame.pts)
                if number is not None:
                    yield number, None if frame.is_corrupt or number in self._damaged else frame
