"""What a movie is beside its pixels: every frame's time, rate, colours, timecode and other tracks."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import av

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.base.frame_planes import bits_of
from stylegan_core.frames.movies.ffv1_checksum import a_slice_is_whole
from stylegan_core.frames.movies.hdr_metadata import hdr_of, left_out
from stylegan_core.frames.movies.planes import MATRICES, is_rgb, planar_format

MOVIE_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".mxf", ".avi", ".webm")
_UNSPECIFIED = 2
_FULL = 2
_HD_ROWS = 720


_LOOK_AT = 10


@dataclass(frozen=True)
class MovieInfo:
    """A movie, read once without decoding more than a frame.

    Attributes:
        path: the file.
        width_px: columns as stored.
        height_px: rows as stored.
        pts: presentation time of each frame in ``time_base``, ascending.
        time_base: seconds of a tick.
        rate: frames a second, of the container.
        codec: FFmpeg's name, such as "prores".
        profile: of the codec, or None.
        pix_fmt: as decoded.
        bits: of a sample.
        matrix: "bt709", "bt601", "bt2020" or "smpte240m", as tagged or, untagged, as its size has it.
        full_range: whether codes span all of the depth.
        colour: FFmpeg's numbers of range, matrix, primaries and transfer, as tagged (2 is unspecified; range 0).
        aspect: of a pixel; None is not said.
        rotation: degrees that players turn it by.
        timecode: of the first frame, or None.
        metadata: tags of the file.
        tracks: type and codec of the others, such as ("audio", "aac").
        warnings: what a user should hear.
        checksums: whether every frame has some that tell damage.
        hdr: of the display that it was graded on, see ``hdr_of``.
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

    @property
    def constant_rate(self) -> bool:
        """Whether all frames last equally long."""
        steps = {b - a for a, b in pairwise(self.pts)}
        return not steps or max(steps) - min(steps) <= 1


def is_movie(path: Path) -> bool:
    """Whether a name is a movie's."""
    return path.suffix.lower() in MOVIE_SUFFIXES


def probe_movie(path: Path) -> MovieInfo:
    """Reads a movie's packets, and decodes its first frame; once while it stays as it is.

    Raises:
        UnreadablePictureError: it is no movie, has no picture track, or is damaged at its beginning.
        OSError: the file is missing or cannot be read at all.
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
            return _facts(path, container)
    except av.error.FFmpegError as error:
        # FFmpeg says "input/output error" of a Matroska file that was cut in its header too.
        if isinstance(error, OSError) and error.errno in (2, 5, 13, 21) and not _can_be_read(path):
            raise
        raise UnreadablePictureError(f"it is no movie that FFmpeg reads: {error.strerror}", path) from error


def _facts(path: Path, container: av.container.InputContainer) -> MovieInfo:
    if not container.streams.video:
        raise UnreadablePictureError("it has no picture track", path)
    stream = container.streams.video[0]
    pts: list[int] = []
    checksums, packets = False, 0
    for packet in container.demux(stream):
        packets += packet.size > 0
        if packet.pts is None or not packet.size or packet.is_discard:
            continue
        # One that holds shows that there are checksums; the first frames may be the damaged ones.
        if not checksums and len(pts) < _LOOK_AT and stream.codec_context.codec.name == "ffv1":
            checksums = a_slice_is_whole(bytes(packet))
        pts.append(packet.pts)
    pts.sort()
    if not pts:
        raise UnreadablePictureError("its picture track holds no frames", path)
    if promised := _broken_promise(stream, packets, pts):
        raise UnreadablePictureError(f"truncated: it promises {promised}", path)
    container.seek(pts[0], stream=stream)
    frame = next(container.decode(stream), None)
    if frame is None:
        raise UnreadablePictureError("its first frame cannot be decoded", path)
    context, warnings = stream.codec_context, []
    colour = tuple(
        int(own if own not in (None, 0, _UNSPECIFIED) else declared or 0)
        for own, declared in (
            (frame.color_range, context.color_range),
            (frame.colorspace, context.colorspace),
            (frame.color_primaries, context.color_primaries),
            (frame.color_trc, context.color_trc),
        )
    )
    pix_fmt = str(frame.format.name)
    matrix = MATRICES.get(colour[1])
    if matrix is None:
        matrix = "bt709" if stream.height >= _HD_ROWS else "bt601"
        if not is_rgb(planar_format(pix_fmt)) and not pix_fmt.startswith("gray"):
            warnings.append(f"says no colour matrix; {matrix} is taken by its size")
    if frame.interlaced_frame:
        warnings.append("is interlaced; its fields are stylized as one picture, and a movie of them says progressive")
    rotation = int(frame.rotation)
    if rotation:
        warnings.append(f"is turned by {rotation} degrees by players; it is stylized as it is stored")
    if lost := left_out(frame.side_data):
        warnings.append(f"has {' and '.join(lost)} in its frames, which cannot be kept")
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(24)
    others = [s for s in container.streams if s.index != stream.index]
    codes = [s.metadata.get("timecode") for s in (stream, *others)] + [container.metadata.get("timecode")]
    assert stream.time_base is not None
    return MovieInfo(
        path=path,
        width_px=stream.width,
        height_px=stream.height,
        pts=tuple(pts),
        time_base=stream.time_base,
        rate=Fraction(rate),
        codec=context.codec.name,
        profile=context.profile,
        pix_fmt=pix_fmt,
        bits=max(8, bits_of(pix_fmt)),
        matrix=matrix,
        full_range=colour[0] == _FULL or pix_fmt.startswith("yuvj") or is_rgb(planar_format(pix_fmt)),
        colour=(colour[0], colour[1], colour[2], colour[3]),
        aspect=stream.sample_aspect_ratio,
        rotation=rotation,
        timecode=next((code for code in codes if code), None),
        metadata=dict(container.metadata),
        tracks=tuple((s.type, s.codec_context.name if s.codec_context else "data") for s in others),
        warnings=tuple(warnings),
        checksums=checksums,
        hdr=hdr_of(frame.side_data),
    )


def _broken_promise(stream: av.VideoStream, packets: int, pts: list[int]) -> str | None:
    """What the header says of the length and the file does not hold, in words."""
    if stream.frames > packets + 1:
        return f"{stream.frames} frames, and {packets} are there"
    said = stream.metadata.get("DURATION", "")  # Matroska's, of this track
    if said.count(":") != 2 or len(pts) < 2 or stream.time_base is None:
        return None
    hours, minutes, seconds = said.split(":")
    promised_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    longest = max(b - a for a, b in pairwise(pts))
    there_s = float((pts[-1] + longest) * stream.time_base)
    if promised_s > there_s + float(longest * stream.time_base):
        return f"{promised_s:.2f} s, and {there_s:.2f} s are there"
    return None


def frame_count(path: Path) -> int:
    """How many frames a movie has; 0 if it cannot be read."""
    try:
        return len(probe_movie(path).pts)
    except (UnreadablePictureError, OSError):
        return 0
