"""The source movie's other tracks (sound, subtitles, chapters), copied packet by packet into the new movie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av


class OtherTracks:
    """Copies the tracks other than the pictures, interleaved with them by time.

    Attributes:
        dropped: what cannot be copied, as messages.
    """

    def __init__(self, source: Path, path: Path, container: av.container.OutputContainer) -> None:
        """Opens the source and adds a track to the new movie for each one that can be copied.

        Args:
            source: the movie to copy from.
            path: final name of the new movie, whose suffix is the container.
            container: the new movie.
        """
        self.dropped: list[str] = []
        self._container, self._input = container, av.open(str(source), metadata_errors="replace")
        self._copies: dict[int, av.stream.Stream] = {}
        chapters = self._input.chapters()
        container.set_chapters(chapters)
        for stream in self._input.streams:
            if stream.type == "data" and (stream.metadata.get("timecode") or chapters):
                continue  # the muxer writes those tracks itself
            self._add(stream, path.suffix.lower())
        streams = [stream for stream in self._input.streams if stream.index in self._copies]
        self._packets: Iterator[av.Packet] = iter(self._input.demux(streams) if streams else ())
        self._waiting: av.Packet | None = None

    def close(self) -> None:
        """Closes the source."""
        self._input.close()

    def copy_until(self, second: float | None) -> None:
        """Copies packets up to a time; None copies all remaining ones."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                return
            if packet.dts is None:
                continue
            if second is not None and float(packet.dts * packet.time_base) > second:
                self._waiting = packet
                return
            packet.stream = self._copies[packet.stream.index]
            self._container.mux(packet)

    def _add(self, stream: av.stream.Stream, suffix: str) -> None:
        if stream.type not in ("audio", "subtitle"):
            if stream.index != self._input.streams.video[0].index:
                self.dropped.append(f"a {stream.type} track")
            return
        name = stream.codec_context.name
        if suffix == ".mxf" and not name.startswith("pcm"):
            self.dropped.append(f"the {stream.type} track: MXF takes PCM sound, not {name}")
            return
        try:
            copy = self._container.add_stream_from_template(stream)
        except (ValueError, av.error.FFmpegError) as error:
            self.dropped.append(f"the {stream.type} track ({name}): {error}")
            return
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        self._copies[stream.index] = copy
