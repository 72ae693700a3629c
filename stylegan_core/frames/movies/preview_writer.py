"""Preview movies: H.264 that every browser plays, with tagged matrix, range and primaries."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from stylegan_core.storage.atomic import write_atomically

_CRF = "18"  # visually lossless


def write_preview(pictures: Iterable[NDArray[np.uint8]], path: Path, *, fps: float = 24.0) -> None:
    """Writes pictures as a movie: H.264, yuv420p, BT.709 matrix, limited range, ready to stream.

    A single thread and no build tag make the bytes reproducible on one machine.

    Args:
        pictures: (H, W, 3) uint8 sRGB, all of one size; read one at a time. An odd side is padded by a copy of its
            last row or column, since 4:2:0 needs even sides.
        path: ends in .mp4.
        fps: frames a second.
    Raises:
        ValueError: no pictures, or pictures of different sizes.
        OSError: the file cannot be written; ``path`` is unchanged.
    """
    remaining = iter(pictures)
    first = next(remaining, None)
    if first is None:
        raise ValueError(f"{path}: there is no picture to make a movie of")
    write_atomically(path, lambda temporary: _encode(chain([first], remaining), temporary, fps))


def _encode(pictures: Iterable[NDArray[np.uint8]], path: Path, fps: float) -> None:
    rate = Fraction(fps).limit_denominator(1001)
    size: tuple[int, ...] | None = None
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=rate)
        for index, picture in enumerate(pictures):
            if size is None:
                size = picture.shape
                if len(size) != 3 or size[2] != 3 or picture.dtype != np.uint8:
                    raise ValueError(f"expected pictures of shape (H, W, 3) and type uint8, got {size} {picture.dtype}")
                stream.height, stream.width = size[0] + size[0] % 2, size[1] + size[1] % 2
                stream.pix_fmt = "yuv420p"
                stream.options = {"crf": _CRF, "preset": "veryfast", "threads": "1"}
                stream.codec_context.color_range = ColorRange.MPEG
                stream.codec_context.colorspace = Colorspace.ITU709
                stream.codec_context.color_primaries = ColorPrimaries.BT709
                stream.codec_context.color_trc = ColorTrc.BT709
            if picture.shape != size:
                raise ValueError(f"picture {index} has shape {picture.shape}, the first has {size}")
            padded = np.pad(picture, ((0, size[0] % 2), (0, size[1] % 2), (0, 0)), mode="edge")
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24").reformat(
                format="yuv420p",
                src_colorspace=Colorspace.ITU709,
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
            )
            frame.pts = index
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
