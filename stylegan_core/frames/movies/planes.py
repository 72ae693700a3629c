"""Planes of a movie frame: conversion to RGB, and adding a change of the RGB picture to the planes.

A round trip of Y'CbCr through RGB is not exact: pixels share chroma and codes are rounded. So the planes are kept and
only the change is added: unchanged pixels keep every bit, in any subsampling and depth.
"""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from stylegan_core.frames.base.frame_planes import FramePlanes, Plane, bits_of

_PLANAR = {
    "nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "p010le": "yuv420p10le", "p016le": "yuv420p16le",
    "yuyv422": "yuv422p", "uyvy422": "yuv422p", "rgb24": "gbrp", "bgr24": "gbrp", "rgb0": "gbrp", "bgr0": "gbrp",
    "rgba": "gbrap", "bgra": "gbrap", "0rgb": "gbrp", "0bgr": "gbrp", "argb": "gbrap", "abgr": "gbrap",
    "rgb48le": "gbrp16le", "rgb48be": "gbrp16le",
    "rgba64le": "gbrap16le", "rgba64be": "gbrap16le", "pal8": "gbrap", "yuvj420p": "yuv420p", "yuvj422p": "yuv422p",
    "yuvj444p": "yuv444p", "x2rgb10le": "gbrp10le", "vyu444": "yuv444p",
}  # fmt: skip
"""Packed pixel formats, and the planar formats of the same samples."""
_LUMA = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114), "bt2020": (0.2627, 0.0593), "smpte240m": (0.212, 0.087)}
"""Weights of red and blue in luma (ITU-R BT.709, BT.601, BT.2020; SMPTE 240M)."""
MATRICES = {
    int(Colorspace.ITU709): "bt709", int(Colorspace.ITU601): "bt601", int(Colorspace.FCC): "bt601",
    5: "bt601", int(Colorspace.SMPTE170M): "bt601", int(Colorspace.SMPTE240M): "smpte240m", 9: "bt2020", 10: "bt2020",
}  # fmt: skip
"""Names of matrices by FFmpeg's numbers of colour spaces."""
SWSCALE = {"bt709": 1, "bt601": 5, "bt2020": 9, "smpte240m": 7}
"""The matrices' numbers in FFmpeg's scaler."""


def planar_format(pix_fmt: str) -> str:
    """The planar pixel format of the same samples."""
    return _PLANAR.get(pix_fmt, pix_fmt)


def is_rgb(pix_fmt: str) -> bool:
    """Whether a pixel format holds red, green and blue."""
    return pix_fmt.startswith(("gbr", "bgr", "rgb"))


def planes_of(frame: av.VideoFrame, matrix: str, full_range: bool) -> FramePlanes:
    """The planes and the RGB picture of a decoded frame.

    Args:
        frame: decoded.
        matrix: of its Y'CbCr, see ``FramePlanes``.
        full_range: whether its codes span the whole depth.
    Raises:
        ValueError: its pixel format is not supported.
    """
    name = str(frame.format.name)
    planar = planar_format(name)
    if planar != name:
        frame = VideoReformatter().reformat(frame, format=planar)
    supported = planar.startswith(("yuv", "gbr", "gray")) and not planar.endswith(("be", "f32le", "f16le"))
    if not supported:
        raise ValueError(f"unsupported: its pixel format is {name}")
    bits = bits_of(planar)
    kind = np.uint8 if bits == 8 else np.uint16
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind().itemsize)
        planes.append(rows[:, : plane.width].copy())
    deep = "rgb24" if bits == 8 else "rgb48le"
    if is_rgb(planar) or planar.startswith("gray"):
        rgb = _rgb_of_planes(planar, planes, bits, full_range)
    else:
        converted = VideoReformatter().reformat(  # the frame's own reformatter is shared by threads
            frame,
            format=deep,
            src_colorspace=SWSCALE[matrix],
            dst_colorspace=SWSCALE[matrix],
            src_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
        )
        rgb = np.ascontiguousarray(converted.to_ndarray())
    return FramePlanes(planar, tuple(planes), matrix, full_range, rgb)


def _rgb_of_planes(pix_fmt: str, planes: list[Plane], bits: int, full_range: bool) -> Plane:
    order = (2, 0, 1) if is_rgb(pix_fmt) else (0, 0, 0)
    stacked = np.stack([planes[index] for index in order], axis=2)
    if is_rgb(pix_fmt) and full_range and bits in (8, 16):
        return stacked
    low, high = (0, (1 << bits) - 1) if full_range else (16 << (bits - 8), 235 << (bits - 8))
    most = 255 if bits == 8 else 65535
    unit = (stacked.astype(np.float32) - low) / (high - low)
    return np.rint(np.clip(unit, 0, 1) * most).astype(np.uint8 if bits == 8 else np.uint16)


def changed_planes(source: FramePlanes, rgb: Plane) -> tuple[Plane, ...]:
    """Adds the change of the RGB picture to the planes; where the picture is the same, the planes keep every bit.

    Args:
        source: the frame source.
        rgb: (H, W, 3) of the type of ``source.rgb``, the new picture.
    """
    if np.array_equal(rgb, source.rgb):
        return source.planes
    most = np.iinfo(source.rgb.dtype).max
    change = (rgb.astype(np.float32) - source.rgb.astype(np.float32)) / np.float32(most)  # (H, W, 3)
    top = (1 << source.bits) - 1
    span = np.float32(top if source.full_range else 219 << (source.bits - 8))
    planes = list(source.planes)
    if is_rgb(source.pix_fmt):
        for at, channel in ((0, 1), (1, 2), (2, 0)):
            planes[at] = _added(planes[at], change[..., channel] * span, top)
        return tuple(planes)
    red, blue = _LUMA[source.matrix]
    luma = change @ np.array([red, 1 - red - blue, blue], np.float32)
    planes[0] = _added(planes[0], luma * span, top)
    if source.pix_fmt.startswith("gray"):
        return tuple(planes)
    chroma_span = np.float32(top if source.full_range else 224 << (source.bits - 8))
    for at, channel, weight in ((1, 2, blue), (2, 0, red)):
        difference = (change[..., channel] - luma) / np.float32(2 * (1 - weight))
        planes[at] = _added(planes[at], _shrunk(difference.astype(np.float32), planes[at].shape) * chroma_span, top)
    return tuple(planes)


def video_frame(pix_fmt: str, planes: tuple[Plane, ...]) -> av.VideoFrame:
    """A frame for the encoder, made of planes."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pix_fmt)
    for plane, samples in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size // samples.itemsize), samples.dtype)
        rows[:, : samples.shape[1]] = samples
        plane.update(rows)
    return frame


def _added(plane: Plane, change: NDArray[np.float32], top: int) -> Plane:
    moved = np.rint(change)
    result: Plane = np.clip(plane.astype(np.int32) + moved.astype(np.int32), 0, top).astype(plane.dtype)
    return np.where(moved == 0, plane, result)  # where nothing changed, codes beyond the range stay


def _shrunk(full: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Averages over the pixels that share a chroma sample."""
    if full.shape == shape:
        return full
    vertical, horizontal = -(-full.shape[0] // shape[0]), -(-full.shape[1] // shape[1])
    extra = (shape[0] * vertical - full.shape[0], shape[1] * horizontal - full.shape[1])
    padded = np.pad(full, ((0, extra[0]), (0, extra[1])), mode="edge")
    means: NDArray[np.float32] = padded.reshape(shape[0], vertical, shape[1], horizontal).mean(axis=(1, 3))
    return means
