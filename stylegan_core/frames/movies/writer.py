"""Puts a movie together from frames: the source's codec, depth, colours, times, timecode and other tracks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import ColorRange

from stylegan_core.frames.base.frame_planes import Plane, bits_of
from stylegan_core.frames.movies.frame_file import STORED
from stylegan_core.frames.movies.hdr_metadata import encoder_options
from stylegan_core.frames.movies.planes import SWSCALE, is_rgb, video_frame
from stylegan_core.frames.movies.probe import MovieInfo
from stylegan_core.storage.atomic import write_atomically

logger = logging.getLogger(__name__)

CONTAINERS = {
    ".mp4": ("h264", "hevc"), ".m4v": ("h264", "hevc"), ".mov": ("prores", "dnxhd", "h264", "hevc"),
    ".mkv": ("ffv1", "h264", "hevc", "prores", "dnxhd"), ".mxf": ("dnxhd", "prores"), ".avi": ("ffv1", "h264"),
}  # fmt: skip
"""Codecs that a container takes here; the first is its own where the source's does not fit."""
ENCODERS = {"h264": "libx264", "hevc": "libx265", "prores": "prores_ks", "dnxhd": "dnxhd", "ffv1": "ffv1"}
CODECS = tuple(ENCODERS)

_PIXELS = {
    "h264": ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray", "gray10le"),
    "hevc": (
        *("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le", "yuv422p12le"),
        *("yuv444p12le", "gbrp", "gbrp10le", "gbrp12le", "gray", "gray10le", "gray12le"),
    ),
    "prores": ("yuv422p10le", "yuv444p10le", "yuva444p10le"),
    "dnxhd": ("yuv422p", "yuv422p10le", "yuv444p10le", "gbrp10le"),
}
"""What each encoder takes; ffv1 takes all that is read."""
_OF_PICTURES = {"h264": "yuv420p", "hevc": "yuv420p10le", "prores": "yuv422p10le", "dnxhd": "yuv422p10le"}
"""What players expect of movies made of pictures."""
_PRORES_PROFILES = {"Proxy": "proxy", "LT": "lt", "Standard": "standard", "HQ": "hq", "4444": "4444", "XQ": "4444xq"}
_DNXHR_PROFILES = {
    "yuv422p": "dnxhr_hq", "yuv422p10le": "dnxhr_hqx", "yuv444p10le": "dnxhr_444", "gbrp10le": "dnxhr_444",
}  # fmt: skip
_PARAMETERS = {"h264": "x264-params", "hevc": "x265-params"}
_CRF = 12
_WITHOUT_TAGS = (".mxf", ".avi")
_WITHOUT_RANGE = ".avi"
_LOSSLESS = ("ffv1", "ffvhuff", "huffyuv", "magicyuv", "png", "qtrle", "r210", "rawvideo", "utvideo", "v210", "v410")
_OF_THE_CONTAINER = ("major_brand", "minor_version", "compatible_brands", "encoder")
_LEAST_DNXHR_PX = (256, 120)


class MovieWriteError(ValueError):
    """A movie cannot be written as asked; the message says what can be."""


@dataclass(frozen=True)
class MovieForm:
    """How a movie is encoded.

    Attributes:
        codec: one of ``CODECS``.
        pix_fmt: that the encoder gets.
        options: of the encoder.
    """

    codec: str
    pix_fmt: str
    options: dict[str, str]


def movie_form(
    path: Path, facts: MovieInfo, pix_fmt: str, codec: str | None = None, quality: int | None = None
) -> MovieForm:
    """The source's codec and depth where the container takes them; else the container's own, at equal depth or more.

    Args:
        path: of the movie to write; its suffix chooses the container.
        facts: of the source.
        pix_fmt: of the frames, planar.
        codec: asked for; None is settled here.
        quality: constant rate factor of H.264 and H.265, 0 (most) to 51; None is near lossless.

    Raises:
        MovieWriteError: the container is unknown, or takes no such codec.
    """
    takes = CONTAINERS.get(path.suffix.lower())
    if takes is None:
        raise MovieWriteError(f"{path.name}: movies are written with a name that ends in {', '.join(CONTAINERS)}")
    if codec is not None and codec not in takes:
        raise MovieWriteError(f"{path.suffix} takes {', '.join(takes)} here, not {codec}")
    chosen = codec or (facts.codec if facts.codec in takes else takes[0])
    fitting = _OF_PICTURES.get(chosen, pix_fmt) if not facts.codec else _nearest(chosen, pix_fmt)
    if chosen == "dnxhd" and (facts.width_px < _LEAST_DNXHR_PX[0] or facts.height_px < _LEAST_DNXHR_PX[1]):
        raise MovieWriteError("DNxHR frames are at least {} x {} px: --codec prores".format(*_LEAST_DNXHR_PX))
    if quality is not None and chosen not in _PARAMETERS:
        raise MovieWriteError(f"--quality is of h264 and hevc; {chosen} has none")
    return MovieForm(chosen, fitting, _options(chosen, fitting, facts, _CRF if quality is None else quality))


def told_of_codec(path: Path, facts: MovieInfo, codec: str | None = None) -> list[str]:
    """What a user should hear before a movie is made in another codec than the source's, or in another range.

    Args:
        path: of the movie to write.
        facts: of the source.
        codec: asked for, or None.
    """
    suffix, told = path.suffix.lower(), []
    if codec is None and facts.codec not in (takes := CONTAINERS[suffix]):
        loses = takes[0] != "ffv1" and facts.codec in _LOSSLESS
        better = "loses detail, which a name that ends in .mkv does not" if loses else "takes its place"
        reason = f"{suffix} does not take here" if facts.codec in CODECS else "is not written"
        told.append(f"is {facts.codec}, which {reason}; {takes[0]} {better}")
    if _range_is_lost(path, facts):
        told.append(f"has codes of full range, which {suffix} cannot say; they become limited range")
    return told


def _range_is_lost(path: Path, facts: MovieInfo) -> bool:
    """Whether players would take codes of full range for limited ones."""
    return path.suffix.lower() == _WITHOUT_RANGE and facts.full_range and not is_rgb(facts.pix_fmt)


def _nearest(codec: str, pix_fmt: str) -> str:
    """The format itself, or the one that loses least."""
    known = _PIXELS.get(codec)
    if codec == "ffv1" and pix_fmt in STORED:
        return STORED[pix_fmt]
    if known is None or pix_fmt in known:
        return pix_fmt
    own = av.VideoFormat(pix_fmt)
    bits, components = bits_of(pix_fmt), len(own.components)

    def loss(name: str) -> tuple[bool, bool, bool, int]:
        other = av.VideoFormat(name)
        coarse = other.chroma_width(64) < own.chroma_width(64) or other.chroma_height(64) < own.chroma_height(64)
        fewer = len(other.components) < min(3, components) or (components == 4 and len(other.components) < 4)
        return fewer, bits_of(name) < bits, coarse, other.chroma_width(64) + bits_of(name)

    return min(known, key=loss)


def _options(codec: str, pix_fmt: str, facts: MovieInfo, quality: int) -> dict[str, str]:
    if codec in _PARAMETERS:
        said = ["log-level=error"] if codec == "hevc" else []
        said += [more] if (more := encoder_options(codec, facts.hdr)) else []
        parameters = {_PARAMETERS[codec]: ":".join(said)} if said else {}
        return {"crf": str(quality), "preset": "fast", **parameters}
    if codec == "prores":
        if pix_fmt.startswith(("yuv444", "yuva444")):
            profile = "4444xq" if facts.profile == "XQ" else "4444"
            return {"profile": profile, "alpha_bits": "16" if "a" in pix_fmt else "0"}
        return {"profile": _PRORES_PROFILES.get(facts.profile or "", "hq"), "vendor": "apl0"}
    if codec == "dnxhd":
        return {"profile": _DNXHR_PROFILES[pix_fmt]}
    return {"level": "3", "slicecrc": "1"}


def assemble_movie(
    path: Path,
    frames: Iterable[tuple[int, str, tuple[Plane, ...]]],
    facts: MovieInfo,
    form: MovieForm,
    *,
    keep_tracks: bool = True,
    tags: dict[str, str] | None = None,
    temporary_folder: Path | None = None,
) -> tuple[str, ...]:
    """Encodes a movie, whole or not at all, one frame at a time.

    Args:
        path: of the movie.
        frames: time in ``facts.time_base``, pixel format and planes of each, ascending.
        facts: of the source, whose colours, rate, timecode, tags and tracks it gets.
        form: how it is encoded.
        keep_tracks: copy sound, subtitles and data, packet by packet.
        tags: more of them, for the container.
        temporary_folder: on the file system of ``path``.

    Returns:
        What could not be kept, in words.

    Raises:
        OSError: it cannot be written; ``path`` is then as it was.
        MovieWriteError: no frame, or the encoder refuses.
    """
    left: list[str] = []

    def write(temporary: Path) -> None:
        try:
            left.extend(_encode(temporary, frames, facts, form, keep_tracks, tags or {}))
        except av.error.FFmpegError as error:
            if isinstance(error, OSError) and error.errno in (5, 28, 122, 30):
                raise
            raise MovieWriteError(f"{path.name} cannot be encoded as {form.codec}: {error.strerror}") from error

    write_atomically(path, write, temporary_folder)
    return tuple(left)


def _encode(
    path: Path,
    frames: Iterable[tuple[int, str, tuple[Plane, ...]]],
    facts: MovieInfo,
    form: MovieForm,
    keep_tracks: bool,
    tags: dict[str, str],
) -> list[str]:
    left: list[str] = []
    options = {"movflags": "+use_metadata_tags+write_colr"} if path.suffix.lower() in (".mp4", ".mov", ".m4v") else {}
    with ExitStack() as opened:
        container = opened.enter_context(av.open(str(path), "w", options=options))
        kept = {name: text for name, text in facts.metadata.items() if name.lower() not in _OF_THE_CONTAINER}
        container.metadata.update({**kept, **tags})
        stream = container.add_stream(ENCODERS[form.codec], rate=facts.rate)
        stream.width, stream.height, stream.pix_fmt = facts.width_px, facts.height_px, form.pix_fmt
        stream.options, stream.time_base = dict(form.options), facts.time_base
        context = stream.codec_context
        context.time_base, context.framerate = facts.time_base, facts.rate
        narrow = _range_is_lost(path, facts)
        wanted = [*zip(("color_range", "colorspace", "color_primaries", "color_trc"), facts.colour, strict=True)]
        for name, value in wanted:
            if value:
                setattr(context, name, value)
        if facts.aspect:
            context.sample_aspect_ratio = facts.aspect
        if facts.timecode:
            stream.metadata["timecode"] = facts.timecode
        if facts.rotation:
            stream.set_display_rotation(facts.rotation)
        if tags and path.suffix.lower() in _WITHOUT_TAGS:
            left.append(f"what says how it was made: {path.suffix} holds no tags but its own")
        if facts.hdr and form.codec not in _PARAMETERS:
            left.append(f"what it says of the display that it was graded on: {form.codec} cannot hold it here")
        tracks = None
        if keep_tracks and facts.codec:
            tracks = opened.enter_context(closing(_Tracks(facts.path, path, container, left)))
        first: int | None = None
        for pts, pix_fmt, planes in frames:
            first = pts if first is None else first
            frame = video_frame(pix_fmt, planes)
            if pix_fmt != form.pix_fmt:
                frame = _reformatted(frame, pix_fmt, form.pix_fmt, facts)
            if narrow:
                frame = frame.reformat(src_color_range=ColorRange.JPEG, dst_color_range=ColorRange.MPEG)
            for name, value in wanted:  # some encoders take them from the frames alone
                if value:
                    setattr(frame, name, value)
            frame.pts, frame.time_base = pts, facts.time_base
            container.mux(stream.encode(frame))
            if tracks is not None:
                tracks.copy_until(float(pts * facts.time_base))
        if first is None:
            raise MovieWriteError("there is no frame to make a movie of")
        container.mux(stream.encode(None))
        if tracks is not None:
            tracks.copy_until(None)
    return left


def _reformatted(frame: av.VideoFrame, pix_fmt: str, wanted: str, facts: MovieInfo) -> av.VideoFrame:
    if is_rgb(pix_fmt) == is_rgb(wanted):
        return frame.reformat(format=wanted)
    matrix = SWSCALE[facts.matrix]
    ranges = [ColorRange.JPEG, ColorRange.JPEG if facts.full_range else ColorRange.MPEG]
    if not is_rgb(pix_fmt):
        ranges.reverse()
    return frame.reformat(
        format=wanted,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=ranges[0],
        dst_color_range=ranges[1],
    )


class _Tracks:
    """The other tracks of the source, copied beside the pictures as time goes on."""

    def __init__(self, source: Path, path: Path, container: av.container.OutputContainer, left: list[str]) -> None:
        self._container, self._input = container, av.open(str(source), metadata_errors="replace")
        self._copies: dict[int, av.stream.Stream] = {}
        chapters = self._input.chapters()
        container.set_chapters(chapters)
        for stream in self._input.streams:
            if stream.type == "data" and (stream.metadata.get("timecode") or chapters):
                continue  # the muxer writes those tracks itself
            if stream.type not in ("audio", "subtitle"):
                if stream.index != self._input.streams.video[0].index:
                    left.append(f"a {stream.type} track")
                continue
            name = stream.codec_context.name
            if path.suffix.lower() == ".mxf" and not name.startswith("pcm"):
                left.append(f"the {stream.type} track: MXF takes PCM sound, not {name}")
                continue
            try:
                copy = container.add_stream_from_template(stream)
            except (ValueError, av.error.FFmpegError) as error:
                left.append(f"the {stream.type} track ({name}): {error}")
                continue
            copy.metadata.update(stream.metadata)
            copy.disposition = stream.disposition
            self._copies[stream.index] = copy
        streams = [stream for stream in self._input.streams if stream.index in self._copies]
        self._packets: Iterator[av.Packet] = iter(self._input.demux(streams) if streams else ())
        self._waiting: av.Packet | None = None

    def close(self) -> None:
        """Closes the source."""
        self._input.close()

    def copy_until(self, second: float | None) -> None:
        """Copies packets up to a time; None is all that are left."""
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


def facts_of_pictures(
    width_px: int, height_px: int, count: int, rate: Fraction, *, bits: int = 8, timecode: str | None = None
) -> MovieInfo:
    """Of a movie that is made of pictures: BT.709, limited range.

    Args:
        width_px: of the frames.
        height_px: of the frames.
        count: of frames.
        rate: frames a second.
        bits: of a sample.
        timecode: of the first frame.
    """
    return MovieInfo(
        path=Path(), width_px=width_px, height_px=height_px, pts=tuple(range(count)), time_base=1 / rate, rate=rate,
        codec="", profile=None, pix_fmt="", bits=bits, matrix="bt709", full_range=False, colour=(1, 1, 1, 1),
        aspect=None, rotation=0, timecode=timecode, metadata={}, tracks=(), warnings=(),
    )  # fmt: skip
