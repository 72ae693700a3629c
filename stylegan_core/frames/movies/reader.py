"""Any frame of a movie, exactly: decoded forward from a key frame and told by its time, never by a seek alone."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator
from pathlib import Path

import av

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.base.frame_planes import FramePlanes
from stylegan_core.frames.movies.ffv1_checksum import slices_are_whole
from stylegan_core.frames.movies.planes import planes_of
from stylegan_core.frames.movies.probe import MovieInfo, probe_movie

_POSITIONS = 4
"""Places that are decoded from side by side: one for each chunk at work."""
_KEPT = 12
_KEPT_BYTES = 256 << 20
"""Decoded frames that are kept for threads that come in another order; of large ones fewer."""
_REACH = 96
"""Frames that are decoded and passed over rather than sought."""


class MovieReader:
    """Frames of one movie by their index; several threads may share it."""

    def __init__(self, path: Path, facts: MovieInfo | None = None) -> None:
        """Opens nothing yet but to read the facts.

        Args:
            path: the movie.
            facts: of it, if they are known.

        Raises:
            UnreadablePictureError: it is no movie.
            OSError: it cannot be read.
        """
        self.facts = facts or probe_movie(path)
        self._lock = threading.Lock()
        self._positions: list[_Position] = []
        self._kept: OrderedDict[int, av.VideoFrame] = OrderedDict()

    def read(self, index: int) -> FramePlanes:
        """A frame.

        Args:
            index: from 0, in order of presentation.

        Raises:
            UnreadablePictureError: it is damaged, or lies beyond the end; says its number, which begins at 1.
        """
        if not 0 <= index < len(self.facts.pts):
            raise UnreadablePictureError(f"it has {len(self.facts.pts)} frames, no frame {index + 1}")
        with self._lock:
            if index not in self._kept:
                self._decode(index)
            frame = self._kept[index]
        return planes_of(frame, self.facts.matrix, self.facts.full_range)  # side by side

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            for position in self._positions:
                position.close()
            self._positions.clear()
            self._kept.clear()

    def _decode(self, index: int) -> None:
        near = [p for p in self._positions if p.at <= index < p.at + _REACH]
        position = max(near, key=lambda p: p.at, default=None)
        if position is None:
            if len(self._positions) >= _POSITIONS:
                self._positions.pop(0).close()
            position = _Position(self.facts, index)
        else:
            self._positions.remove(position)
        try:
            for at, frame in position.frames:
                position.at = at + 1
                if frame is not None and index - at < _KEPT:
                    self._keep(at, frame)
                elif at == index:
                    self._positions.append(position)
                    raise UnreadablePictureError(f"frame {index + 1} is damaged")
                if at == index:
                    break
                if at > index:
                    raise UnreadablePictureError(f"frame {index + 1} is damaged: the decoder leaves it out")
            else:
                raise UnreadablePictureError(f"frame {index + 1} is damaged: the movie ends before it")
        except av.error.FFmpegError as error:
            position.close()
            raise UnreadablePictureError(f"frame {index + 1} is damaged: {error.strerror}") from error
        self._positions.append(position)

    def _keep(self, at: int, frame: av.VideoFrame) -> None:
        self._kept[at] = frame
        most = max(2, min(_KEPT, _KEPT_BYTES // (6 * frame.width * frame.height)))
        while len(self._kept) > most:
            self._kept.popitem(last=False)


class _Position:
    """One decoder on its way through a movie."""

    def __init__(self, facts: MovieInfo, index: int) -> None:
        self._container = av.open(str(facts.path), metadata_errors="replace")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self._facts = facts
        self.at = index
        self._damaged: set[int] = set()
        self.frames = self._decoded(index)

    def close(self) -> None:
        self.frames.close()
        self._container.close()

    def _decoded(self, index: int) -> Generator[tuple[int, av.VideoFrame | None], None, None]:
        pts = self._facts.pts
        wanted = {at: number for number, at in enumerate(pts)}
        if index:
            self._container.seek(pts[index], stream=self._stream, backward=True)
        began = False
        for number, frame in self._numbered(wanted):
            if not began and number > index:  # the seek went too far: some containers have no exact index
                self._container.seek(pts[0], stream=self._stream, backward=True)
                yield from (found for found in self._numbered(wanted) if found[0] >= index)
                return
            began = True
            if number >= index:
                yield number, frame

    def _numbered(self, wanted: dict[int, int]) -> Generator[tuple[int, av.VideoFrame | None], None, None]:
        """Frames from here on with their index; None is a damaged one."""
        for packet in self._container.demux(self._stream):
            if self._facts.checksums and packet.pts in wanted and not slices_are_whole(bytes(packet)):
                self._damaged.add(wanted[packet.pts])
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:  # its frame is left out, which tells whose it was
                continue
            for frame in frames:
                number = wanted.get(frame.pts)
                if number is not None:
                    yield number, None if frame.is_corrupt or number in self._damaged else frame
