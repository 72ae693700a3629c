"""Encodes pictures and movies as data URIs that together stay within a size limit."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from stylegan_core.report.panels import Pixels, Uint8Pixels, scale_to, to_uint8


@dataclass(frozen=True)
class PictureFile:
    """A picture file in any format that ``frames`` reads.

    Attributes:
        path: the file.
        source_space: how its colours are read, see ``source_space_of``.
        ocio: the config that knows it, see ``load_config``.
    """

    path: Path
    source_space: str = "auto"
    ocio: str | None = None


PictureSource = Pixels | PictureFile
"""Pixels in memory, sRGB in unit range or uint8, or a picture file."""

LADDER = ((1920, 95), (1280, 92), (1280, 85), (1024, 83), (800, 81), (640, 78), (512, 74), (384, 70))
"""(largest width in pixels, WebP quality), from best to smallest."""

_FEWEST_FRAMES = 4
_BASE64 = 4 / 3
_NOT_REDUCIBLE = 40


@dataclass(frozen=True)
class Encoding:
    """How the frames of a slider are stored.

    Attributes:
        width_px: no picture is wider.
        quality: of WebP.
        frames: indices of the frames that are shown, ascending.
    """

    width_px: int
    quality: int
    frames: tuple[int, ...]


def display_pixels(source: PictureSource) -> Uint8Pixels:
    """(H, W, 3) uint8 in sRGB.

    Raises:
        UnreadablePictureError: the file cannot be read as a picture.
    """
    if not isinstance(source, PictureFile):
        return to_uint8(source)
    from stylegan_core.frames.colour.convert import to_working
    from stylegan_core.frames.pictures.read import read_picture

    picture = read_picture(source.path)
    return to_uint8(to_working(picture, source_space=source.source_space, working_space="srgb", ocio=source.ocio))


def webp(pixels: Pixels, *, width_px: int, quality: int) -> bytes:
    """The picture as WebP, at most ``width_px`` wide."""
    shown = to_uint8(pixels)
    if shown.shape[1] > width_px:
        shown = scale_to(shown, width_px, max(1, round(shown.shape[0] * width_px / shown.shape[1])))
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(shown)).save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()


def data_uri(content: bytes, media_type: str) -> str:
    """``content`` as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def picture_uri(source: PictureSource, *, width_px: int = 640, quality: int = 80) -> str:
    """A picture as the data URI of a WebP."""
    return data_uri(webp(display_pixels(source), width_px=width_px, quality=quality), "image/webp")


def spread(count: int, most: int, keep: Collection[int] = ()) -> tuple[int, ...]:
    """At most ``most`` of ``range(count)``, evenly spaced, with the first, the last and as many of ``keep`` as fit."""
    if count <= most:
        return tuple(range(count))
    even = [round(i * (count - 1) / max(1, most - 1)) for i in range(most)]
    for wanted in sorted(keep)[: max(0, most - 2)]:
        if wanted not in even:
            free = [i for i, index in enumerate(even) if index not in keep and index not in (0, count - 1)]
            if free:
                even[min(free, key=lambda i: abs(even[i] - wanted))] = wanted
    return tuple(sorted(set(even)))


def choose_encoding(
    frames: Sequence[Sequence[PictureSource]], *, limit_bytes: int, most_frames: int, keep: Collection[int] = ()
) -> Encoding:
    """The best width, quality and number of frames whose data URIs stay within ``limit_bytes``.

    Three frames are encoded as samples; smaller pictures are preferred to fewer frames.

    Args:
        frames: for each frame its pictures.
        limit_bytes: of all data URIs together.
        most_frames: upper limit of the frames that are shown.
        keep: indices of frames that are shown in any case, such as key frames.
    """
    shown = spread(len(frames), most_frames, keep)
    probes = [[display_pixels(s) for s in frames[i]] for i in {shown[0], shown[len(shown) // 2], shown[-1]}]
    share = 0.0
    for width_px, quality in LADDER:
        sizes = [sum(len(webp(p, width_px=width_px, quality=quality)) for p in probe) for probe in probes]
        # Frames between the samples may need more bytes: a reserve of a tenth.
        share = 1.1 * _BASE64 * max(sizes)
        if share * len(shown) <= limit_bytes:
            return Encoding(width_px, quality, shown)
    fewer = max(_FEWEST_FRAMES, math.floor(limit_bytes / share))
    return Encoding(*LADDER[-1], spread(len(frames), min(fewer, len(shown)), keep))


def movie_uri(path: Path, *, limit_bytes: int) -> str | None:
    """An MP4 as a data URI; one that is too large is encoded again, smaller; None if that is too large as well."""
    size = path.stat().st_size * _BASE64
    if size <= limit_bytes:
        return data_uri(path.read_bytes(), "video/mp4")
    if size > _NOT_REDUCIBLE * limit_bytes:  # a long movie: encoding would take minutes for nothing
        return None
    for width_px, crf in ((720, 27), (480, 32)):
        content = _smaller(path, width_px, crf)
        if len(content) * _BASE64 <= limit_bytes:
            return data_uri(content, "video/mp4")
    return None


def _smaller(path: Path, width_px: int, crf: int) -> bytes:
    """The movie's frames as H.264, at most ``width_px`` wide."""
    import av

    buffer = io.BytesIO()
    with av.open(str(path)) as source, av.open(buffer, "w", format="mp4") as target:
        video = source.streams.video[0]
        scale = min(1.0, width_px / video.width)
        stream = target.add_stream("libx264", rate=video.average_rate or 24)
        stream.width, stream.height = (int(side * scale) // 2 * 2 for side in (video.width, video.height))
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "fast"}
        stream.codec_context.color_range, stream.codec_context.colorspace = 1, 1  # limited range, BT.709
        stream.codec_context.color_primaries, stream.codec_context.color_trc = 1, 1
        for frame in source.decode(video):
            target.mux(stream.encode(frame.reformat(stream.width, stream.height, "yuv420p")))
        target.mux(stream.encode())
    return buffer.getvalue()
