"""Movie probe: frame times, rate, codec, colour tags, timecode and other tracks, without decoding all frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import av

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.base.frame_planes import bits_of
from stylegan_core.frames.movies.ffv1_checksum import has_valid_slice
from stylegan_core.frames.movies.hdr_metadata import hdr_of, unsupported_metadata
from stylegan_core.frames.movies.planes import MATRICES, is_rgb, planar_format

MOVIE_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".mxf", ".avi", ".webm")
_UNSPECIFIED = 2
_FULL = 2
_HD_ROWS = 720
_CHECKSUM_PACKETS = 10
"""Packets to search for checksums; the first frames may be damaged."""


@dataclass(frozen=True)
class MovieInfo:
    """Properties of a movie.

    Attributes:
        path: the file.
        width_px: columns as stored.
        height_px: rows as stored.
        pts: presentation time of each frame in ``time_base``, ascending.
        time_base: seconds of a tick.
        rate: frames a second, of the container.
        codec: FFmpeg's name, such as "prores"; empty for a movie that is made of pictures.
        profile: of the codec, or None.
        pix_fmt: as decoded.
        bits: bits a sample.
        matrix: "bt709", "bt601", "bt2020" or "smpte240m", as tagged; without a tag, by the picture's height.
        full_range: whether codes span the whole depth.
        colour: FFmpeg's numbers of range, matrix, primaries and transfer, as tagged (2 is unspecified; range 0).
        aspect: pixel aspect ratio; None is unspecified.
        rotation: degrees by which players rotate the picture.
        timecode: of the first frame, or None.
        metadata: tags of the file.
        tracks: type and codec of the other tracks, such as ("audio", "aac").
        warnings: messages for the user.
        checksums: whether frames have checksums that reveal damage.
        hdr: mastering display and light level, see ``hdr_of``.
    """

    path: Path
    width_px: int
    height_px: int
    pts: tuple[int, ...]
    time_base: Fraction
    rate: Fraction
    codec: str
    profile: str | None
    pix_fmt: str
    bits: int
    matrix: str
    full_range: bool
    colour: tuple[int, int, int, int]
    aspect: Fraction | None
    rotation: int
    timecode: str | None
    metadata: dict[str, str]
    tracks: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    checksums: bool = False
    hdr: dict[str, str] = field(default_factory=dict)


def is_movie(path: Path) -> bool:
    """Whether a file name has the suffix of a movie."""
    return path.suffix.lower() in MOVIE_SUFFIXES


def probe_movie(path: Path) -> MovieInfo:
    """Reads a movie's packets and decodes its first frame; cached until the file changes.

    Raises:
        UnreadablePictureError: it is not a movie, has no picture track, or its beginning is damaged.
        OSError: the file is missing or unreadable.
    """
    status = path.stat()
    return _probed(path, status.st_size, status.st_mtime_ns)


def _can_be_read(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass
    except OSError:
        return False
    return True


@lru_cache(maxsize=16)
def _probed(path: Path, _size_bytes: int, _mtime_ns: int) -> MovieInfo:
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            return _info(path, container)
    except av.error.FFmpegError as error:
        # FFmpeg reports "input/output error" for a Matroska file that is cut in its header, too.
        if isinstance(error, OSError) and not _can_be_read(path):
            raise
        raise UnreadablePictureError(f"not a movie that FFmpeg can read: {error.strerror}", path) from error


def _info(path: Path, container: av.container.InputContainer) -> MovieInfo:
    if not container.streams.video:
        raise UnreadablePictureError("it has no picture track", path)
    stream = container.streams.video[0]
    pts, checksums = _read_packets(path, container, stream)
    container.seek(pts[0], stream=stream)
    frame = next(container.decode(stream), None)
    if frame is None:
        raise UnreadablePictureError("its first frame cannot be decoded", path)
    colour, pix_fmt = _colour(frame, stream.codec_context), str(frame.format.name)
    matrix, warnings = _matrix(colour[1], pix_fmt, stream.height)
    others = [other for other in container.streams if other.index != stream.index]
    timecodes = [track.metadata.get("timecode") for track in (stream, *others)] + [container.metadata.get("timecode")]
    assert stream.time_base is not None
    return MovieInfo(
        path=path,
        width_px=stream.width,
        height_px=stream.height,
        pts=tuple(pts),
        time_base=stream.time_base,
        rate=Fraction(stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(24)),
        codec=stream.codec_context.codec.name,
        profile=stream.codec_context.profile,
        pix_fmt=pix_fmt,
        bits=max(8, bits_of(pix_fmt)),
        matrix=matrix,
        full_range=colour[0] == _FULL or pix_fmt.startswith("yuvj") or is_rgb(planar_format(pix_fmt)),
        colour=colour,
        aspect=stream.sample_aspect_ratio,
        rotation=int(frame.rotation),
        timecode=next((timecode for timecode in timecodes if timecode), None),
        metadata=dict(container.metadata),
        tracks=tuple((other.type, other.codec_context.name if other.codec_context else "data") for other in others),
        warnings=(*warnings, *_frame_warnings(frame)),
        checksums=checksums,
        hdr=hdr_of(frame.side_data),
    )


def _read_packets(path: Path, container: av.container.InputContainer, stream: av.VideoStream) -> tuple[list[int], bool]:
    """The frames' presentation times, ascending, and whether they have checksums."""
    pts: list[int] = []
    checksums, packets = False, 0
    for packet in container.demux(stream):
        packets += packet.size > 0
        if packet.pts is None or not packet.size or packet.is_discard:
            continue
        # One valid checksum proves that the file was written with them.
        if not checksums and len(pts) < _CHECKSUM_PACKETS and stream.codec_context.codec.name == "ffv1":
            checksums = has_valid_slice(bytes(packet))
        pts.append(packet.pts)
    pts.sort()
    if not pts:
        raise UnreadablePictureError("its picture track holds no frames", path)
    if shortage := _shortage(stream, packets, pts):
        raise UnreadablePictureError(f"truncated: {shortage}", path)
    return pts, checksums


def _colour(frame: av.VideoFrame, context: av.CodecContext) -> tuple[int, int, int, int]:
    """FFmpeg's numbers of range, matrix, primaries and transfer: the frame's if specified, else the stream's."""

    def specified(own: int | None, stream: int | None) -> int:
        return int(own if own not in (None, 0, _UNSPECIFIED) else stream or 0)

    return (
        specified(frame.color_range, context.color_range),
        specified(frame.colorspace, context.colorspace),
        specified(frame.color_primaries, context.color_primaries),
        specified(frame.color_trc, context.color_trc),
    )


def _matrix(tagged: int, pix_fmt: str, height_px: int) -> tuple[str, list[str]]:
    """The matrix of Y'CbCr, and a warning if it is a guess."""
    matrix = MATRICES.get(tagged)
    if matrix is not None:
        return matrix, []
    matrix = "bt709" if height_px >= _HD_ROWS else "bt601"
    if is_rgb(planar_format(pix_fmt)) or pix_fmt.startswith("gray"):
        return matrix, []
    return matrix, [f"has no colour matrix tag; assuming {matrix} by its height"]


def _frame_warnings(frame: av.VideoFrame) -> list[str]:
    warnings = []
    if frame.interlaced_frame:
        warnings.append("is interlaced; both fields are stylized as one picture, and the output is tagged progressive")
    if rotation := int(frame.rotation):
        warnings.append(f"is rotated by {rotation} degrees by players; it is stylized as stored")
    if dropped := unsupported_metadata(frame.side_data):
        warnings.append(f"has {' and '.join(dropped)} in its frames, which cannot be kept")
    return warnings


def _shortage(stream: av.VideoStream, packets: int, pts: list[int]) -> str | None:
    """A message if the file holds less than its header declares."""
    if stream.frames > packets + 1:
        return f"the header declares {stream.frames} frames, the file holds {packets}"
    duration = stream.metadata.get("DURATION", "")  # of this track, in Matroska
    if duration.count(":") != 2 or len(pts) < 2 or stream.time_base is None:
        return None
    hours, minutes, seconds = duration.split(":")
    declared_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    longest = max(b - a for a, b in pairwise(pts))
    held_s = float((pts[-1] + longest) * stream.time_base)
    if declared_s > held_s + float(longest * stream.time_base):
        return f"the header declares {declared_s:.2f} s, the file holds {held_s:.2f} s"
    return None


def frame_count(path: Path) -> int:
    """The number of frames of a movie; 0 if it cannot be read."""
    try:
        return len(probe_movie(path).pts)
    except (UnreadablePictureError, OSError):
        return 0


def info_of_pictures(
    width_px: int, height_px: int, count: int, rate: Fraction, *, bits: int = 8, timecode: str | None = None
) -> MovieInfo:
    """The properties of a movie to make of pictures: BT.709, limited range.

    Args:
        width_px: of the frames.
        height_px: of the frames.
        count: number of frames.
        rate: frames a second.
        bits: bits a sample.
        timecode: of the first frame.
    """
    return MovieInfo(
        path=Path(), width_px=width_px, height_px=height_px, pts=tuple(range(count)), time_base=1 / rate, rate=rate,
        codec="", profile=None, pix_fmt="", bits=bits, matrix="bt709", full_range=False, colour=(1, 1, 1, 1),
        aspect=None, rotation=0, timecode=timecode, metadata={}, tracks=(), warnings=(),
    )  # fmt: skip
