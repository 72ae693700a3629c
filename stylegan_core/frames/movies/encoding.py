"""Movie encoding: codec, pixel format and encoder options for a container and a source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av

from stylegan_core.frames.base.frame_planes import bits_of
from stylegan_core.frames.movies.frame_file import STORED
from stylegan_core.frames.movies.hdr_metadata import encoder_options
from stylegan_core.frames.movies.planes import is_rgb
from stylegan_core.frames.movies.probe import MovieInfo

CONTAINERS = {
    ".mp4": ("h264", "hevc"), ".m4v": ("h264", "hevc"), ".mov": ("prores", "dnxhd", "h264", "hevc"),
    ".mkv": ("ffv1", "h264", "hevc", "prores", "dnxhd"), ".mxf": ("dnxhd", "prores"), ".avi": ("ffv1", "h264"),
}  # fmt: skip
"""Codecs by container; the first is the default where the source's does not fit."""
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
"""Pixel formats by encoder; ffv1 takes every format that can be read."""
_OF_PICTURES = {"h264": "yuv420p", "hevc": "yuv420p10le", "prores": "yuv422p10le", "dnxhd": "yuv422p10le"}
"""Pixel formats for movies made of pictures, as players expect them."""
_PRORES_PROFILES = {"Proxy": "proxy", "LT": "lt", "Standard": "standard", "HQ": "hq", "4444": "4444", "XQ": "4444xq"}
_DNXHR_PROFILES = {
    "yuv422p": "dnxhr_hq", "yuv422p10le": "dnxhr_hqx", "yuv444p10le": "dnxhr_444", "gbrp10le": "dnxhr_444",
}  # fmt: skip
PARAMETERS = {"h264": "x264-params", "hevc": "x265-params"}
"""Codecs with a quality and HDR metadata, and the option that carries their further parameters."""
_CRF = 12
_WITHOUT_RANGE = ".avi"
_LOSSLESS = ("ffv1", "ffvhuff", "huffyuv", "magicyuv", "png", "qtrle", "r210", "rawvideo", "utvideo", "v210", "v410")
_LEAST_DNXHR_PX = (256, 120)


class MovieWriteError(ValueError):
    """A movie cannot be written with these settings; the message says what is supported."""


@dataclass(frozen=True)
class MovieEncoding:
    """How a movie is encoded.

    Attributes:
        codec: one of ``CODECS``.
        pix_fmt: pixel format for the encoder.
        options: of the encoder.
    """

    codec: str
    pix_fmt: str
    options: dict[str, str]


def choose_encoding(
    path: Path, info: MovieInfo, pix_fmt: str, codec: str | None = None, quality: int | None = None
) -> MovieEncoding:
    """The source's codec and depth if the container takes them, else the container's default at equal depth or more.

    Args:
        path: of the movie to write; its suffix chooses the container.
        info: of the source.
        pix_fmt: of the frames, planar.
        codec: requested; None chooses.
        quality: constant rate factor of H.264 and H.265, 0 (best) to 51; None is near lossless.

    Raises:
        MovieWriteError: the container is unknown, or does not take the codec.
    """
    takes = CONTAINERS.get(path.suffix.lower())
    if takes is None:
        raise MovieWriteError(f"{path.name}: the name of a movie must end in {', '.join(CONTAINERS)}")
    if codec is not None and codec not in takes:
        raise MovieWriteError(f"{path.suffix} takes {', '.join(takes)} here, not {codec}")
    chosen = codec or (info.codec if info.codec in takes else takes[0])
    fitting = _OF_PICTURES.get(chosen, pix_fmt) if not info.codec else _nearest(chosen, pix_fmt)
    if chosen == "dnxhd" and (info.width_px < _LEAST_DNXHR_PX[0] or info.height_px < _LEAST_DNXHR_PX[1]):
        raise MovieWriteError("DNxHR frames are at least {} x {} px: use --codec prores".format(*_LEAST_DNXHR_PX))
    if quality is not None and chosen not in PARAMETERS:
        raise MovieWriteError(f"--quality requires the codec h264 or hevc; {chosen} has none")
    return MovieEncoding(chosen, fitting, _options(chosen, fitting, info, _CRF if quality is None else quality))


def encoding_warnings(path: Path, info: MovieInfo, codec: str | None = None) -> list[str]:
    """Warnings about a movie that is written in another codec or range than its source.

    Args:
        path: of the movie to write.
        info: of the source.
        codec: requested, or None.
    """
    suffix, warnings = path.suffix.lower(), []
    if codec is None and info.codec not in (takes := CONTAINERS[suffix]):
        loses = takes[0] != "ffv1" and info.codec in _LOSSLESS
        reason = f"{suffix} does not take here" if info.codec in CODECS else "cannot be written"
        effect = f"{takes[0]} loses detail, a .mkv output does not" if loses else f"the output is {takes[0]}"
        warnings.append(f"is {info.codec}, which {reason}; {effect}")
    if loses_range(path, info):
        warnings.append(f"has full-range codes, which {suffix} cannot tag; converting to limited range")
    return warnings


def loses_range(path: Path, info: MovieInfo) -> bool:
    """Whether the container cannot tag full range, so that players would take full-range codes for limited ones."""
    return path.suffix.lower() == _WITHOUT_RANGE and info.full_range and not is_rgb(info.pix_fmt)


def _nearest(codec: str, pix_fmt: str) -> str:
    """The pixel format itself if the codec takes it, else the one that loses least."""
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


def _options(codec: str, pix_fmt: str, info: MovieInfo, quality: int) -> dict[str, str]:
    if codec in PARAMETERS:
        parameters = ["log-level=error"] if codec == "hevc" else []
        parameters += [more] if (more := encoder_options(codec, info.hdr)) else []
        more_options = {PARAMETERS[codec]: ":".join(parameters)} if parameters else {}
        return {"crf": str(quality), "preset": "fast", **more_options}
    if codec == "prores":
        if pix_fmt.startswith(("yuv444", "yuva444")):
            profile = "4444xq" if info.profile == "XQ" else "4444"
            return {"profile": profile, "alpha_bits": "16" if "a" in pix_fmt else "0"}
        return {"profile": _PRORES_PROFILES.get(info.profile or "", "hq"), "vendor": "apl0"}
    if codec == "dnxhd":
        return {"profile": _DNXHR_PROFILES[pix_fmt]}
    return {"level": "3", "slicecrc": "1"}
