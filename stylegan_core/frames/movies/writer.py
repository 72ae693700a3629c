"""Movie writer: encodes frames with the source's colours, times, timecode, tags and other tracks."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path

import av
from av.video.reformatter import ColorRange

from stylegan_core.frames.base.frame_planes import Plane
from stylegan_core.frames.movies.encoding import ENCODERS, PARAMETERS, MovieEncoding, MovieWriteError, loses_range
from stylegan_core.frames.movies.other_tracks import OtherTracks
from stylegan_core.frames.movies.planes import SWSCALE, is_rgb, video_frame
from stylegan_core.frames.movies.probe import MovieInfo
from stylegan_core.storage.atomic import write_atomically
from stylegan_core.storage.stop_errors import writing_stops

_WITHOUT_TAGS = (".mxf", ".avi")
_OF_THE_CONTAINER = ("major_brand", "minor_version", "compatible_brands", "encoder")

TimedPlanes = tuple[int, str, tuple[Plane, ...]]
"""Presentation time in ``MovieInfo.time_base``, pixel format and planes of a frame."""


def assemble_movie(
    path: Path,
    frames: Iterable[TimedPlanes],
    info: MovieInfo,
    encoding: MovieEncoding,
    *,
    keep_tracks: bool = True,
    tags: dict[str, str] | None = None,
    temporary_folder: Path | None = None,
) -> tuple[str, ...]:
    """Encodes a movie one frame at a time; writes the whole file or none.

    Args:
        path: of the movie.
        frames: in ascending order of time.
        info: of the source; the movie gets its colours, rate, timecode, tags and tracks.
        encoding: from ``choose_encoding``.
        keep_tracks: whether to copy sound, subtitles and data, packet by packet.
        tags: further tags for the container.
        temporary_folder: on the file system of ``path``.

    Returns:
        What could not be kept, as messages.

    Raises:
        OSError: it cannot be written; ``path`` is unchanged.
        MovieWriteError: there is no frame, or the encoder refuses.
    """
    dropped: list[str] = []

    def write(temporary: Path) -> None:
        try:
            dropped.extend(_encode(temporary, frames, info, encoding, keep_tracks, tags or {}))
        except av.error.FFmpegError as error:
            if writing_stops(error):
                raise
            raise MovieWriteError(f"{path.name} cannot be encoded as {encoding.codec}: {error.strerror}") from error

    write_atomically(path, write, temporary_folder)
    return tuple(dropped)


def _encode(
    path: Path,
    frames: Iterable[TimedPlanes],
    info: MovieInfo,
    encoding: MovieEncoding,
    keep_tracks: bool,
    tags: dict[str, str],
) -> list[str]:
    dropped = _dropped_metadata(path, info, encoding, tags)
    options = {"movflags": "+use_metadata_tags+write_colr"} if path.suffix.lower() in (".mp4", ".mov", ".m4v") else {}
    with ExitStack() as opened:
        container = opened.enter_context(av.open(str(path), "w", options=options))
        kept = {name: text for name, text in info.metadata.items() if name.lower() not in _OF_THE_CONTAINER}
        container.metadata.update({**kept, **tags})
        stream = _add_video(container, info, encoding)
        tracks = None
        if keep_tracks and info.codec:
            tracks = opened.enter_context(closing(OtherTracks(info.path, path, container)))
            dropped += tracks.dropped
        empty = True
        for pts, pix_fmt, planes in frames:
            empty = False
            frame = _encoder_frame(pix_fmt, planes, info, encoding, loses_range(path, info))
            frame.pts, frame.time_base = pts, info.time_base
            container.mux(stream.encode(frame))
            if tracks is not None:
                tracks.copy_until(float(pts * info.time_base))
        if empty:
            raise MovieWriteError("there is no frame to make a movie of")
        container.mux(stream.encode(None))
        if tracks is not None:
            tracks.copy_until(None)
    return dropped


def _dropped_metadata(path: Path, info: MovieInfo, encoding: MovieEncoding, tags: dict[str, str]) -> list[str]:
    dropped = []
    if tags and path.suffix.lower() in _WITHOUT_TAGS:
        dropped.append(f"provenance tags: {path.suffix} holds no custom tags")
    if info.hdr and encoding.codec not in PARAMETERS:
        dropped.append(f"HDR mastering metadata: not supported here for {encoding.codec}")
    return dropped


def _colour_attributes(info: MovieInfo) -> list[tuple[str, int]]:
    """PyAV's names and FFmpeg's numbers of the colour properties that the source has tagged."""
    names = ("color_range", "colorspace", "color_primaries", "color_trc")
    return [(name, value) for name, value in zip(names, info.colour, strict=True) if value]


def _add_video(
    container: av.container.OutputContainer, info: MovieInfo, encoding: MovieEncoding
) -> av.video.stream.VideoStream:
    stream = container.add_stream(ENCODERS[encoding.codec], rate=info.rate)
    stream.width, stream.height, stream.pix_fmt = info.width_px, info.height_px, encoding.pix_fmt
    stream.options, stream.time_base = dict(encoding.options), info.time_base
    context = stream.codec_context
    context.time_base, context.framerate = info.time_base, info.rate
    for name, value in _colour_attributes(info):
        setattr(context, name, value)
    if info.aspect:
        context.sample_aspect_ratio = info.aspect
    if info.timecode:
        stream.metadata["timecode"] = info.timecode
    if info.rotation:
        stream.set_display_rotation(info.rotation)
    return stream


def _encoder_frame(
    pix_fmt: str, planes: tuple[Plane, ...], info: MovieInfo, encoding: MovieEncoding, to_limited: bool
) -> av.VideoFrame:
    """A frame in the encoder's pixel format; ``to_limited`` converts full-range codes to limited range."""
    frame = video_frame(pix_fmt, planes)
    if pix_fmt != encoding.pix_fmt:
        frame = _reformatted(frame, pix_fmt, encoding.pix_fmt, info)
    if to_limited:
        frame = frame.reformat(src_color_range=ColorRange.JPEG, dst_color_range=ColorRange.MPEG)
    for name, value in _colour_attributes(info):  # some encoders read them from the frames only
        setattr(frame, name, value)
    return frame


def _reformatted(frame: av.VideoFrame, pix_fmt: str, target: str, info: MovieInfo) -> av.VideoFrame:
    if is_rgb(pix_fmt) == is_rgb(target):
        return frame.reformat(format=target)
    matrix = SWSCALE[info.matrix]
    ranges = [ColorRange.JPEG, ColorRange.JPEG if info.full_range else ColorRange.MPEG]
    if not is_rgb(pix_fmt):
        ranges.reverse()
    return frame.reformat(
        format=target,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=ranges[0],
        dst_color_range=ranges[1],
    )
