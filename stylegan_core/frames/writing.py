"""Encodes pixels and metadata into a file, in the format that the file's suffix says."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import OpenImageIO as oiio  # noqa: N813
from numpy.typing import NDArray

from stylegan_core.frames.atomic import write_atomically
from stylegan_core.frames.damage import walk
from stylegan_core.frames.declared import SUFFIX_FORMATS
from stylegan_core.frames.png_writing import metadata_chunks, write_png
from stylegan_core.frames.unreadable import UnreadablePictureError

log = logging.getLogger(__name__)

Pixels = NDArray[Any]
LOSSY_QUALITY = 95
_FULL_DISK_BYTES = 1 << 20
_SAMPLE_TYPES = {
    "png": ("uint8", "uint16"),
    "tiff": ("uint8", "uint16", "float16", "float32"),
    "jpeg": ("uint8",),
    "webp": ("uint8",),
}
_LOSSLESS_TIFF = frozenset({"none", "lzw", "zip", "packbits", "zstd", "lzma"})
# True of the file that was read, not of the one that is written.
_STALE = (
    "Orientation",
    "compression",
    "oiio:subimages",
    "oiio:Movie",
    "oiio:LoopCount",
    "oiio:RowsPerChunk",
    "oiio:UnassociatedAlpha",
    "jpeg:ColorSpace",
    "jpeg:subsampling",
    "tiff:Compression",
    "tiff:ColorSpace",
    "tiff:PhotometricInterpretation",
    "tiff:UnassociatedAlpha",
    "tiff:RowsPerStrip",
    "tiff:subfiletype",
    "thumbnail_image",
    "thumbnail_width",
    "thumbnail_height",
    "thumbnail_nchannels",
)


def encode_picture_file(
    path: Path,
    pixels: Pixels,
    *,
    has_alpha: bool = False,
    alpha_associated: bool = False,
    icc_profile: bytes | None = None,
    metadata: oiio.ImageSpec | None = None,
    temporary_folder: Path | None = None,
) -> None:
    """Writes a picture file whole or not at all.

    Args:
        path: the final name; its suffix chooses the format.
        pixels: (H, W, C), C in 1..4, uint8, uint16, float16 or float32 (unit range).
        has_alpha: whether the last channel is alpha.
        alpha_associated: whether colours are multiplied by alpha; kept in TIFF, undone for the others.
        icc_profile: is embedded; None embeds none.
        metadata: attributes to keep; None keeps none.
        temporary_folder: where the temporary lies; default: beside ``path``.
    Raises:
        ValueError: an unknown suffix, or pixels that are no picture.
        OSError: the file cannot be written; ``path`` is then as it was.
    """
    picture_format = SUFFIX_FORMATS.get(path.suffix.lower())
    if picture_format is None:
        raise ValueError(f"{path}: pictures are written with a name that ends in {', '.join(SUFFIX_FORMATS)}")
    if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or 0 in pixels.shape:
        raise ValueError(f"{path}: pixels of shape {pixels.shape} are no picture, (H, W, 1 to 4) is")
    if alpha_associated and picture_format != "tiff":
        pixels, alpha_associated = to_straight(pixels), False
    if picture_format == "jpeg" and pixels.shape[2] in (2, 4):
        log.warning("%s: JPEG has no alpha channel, it is dropped", path)
        pixels, has_alpha = pixels[:, :, :-1], False
    pixels = np.ascontiguousarray(_fit_samples(pixels, picture_format))
    spec = _build_spec(pixels, picture_format, has_alpha, alpha_associated, icc_profile, metadata)
    if picture_format == "png":
        chunks = _png_metadata(spec)
        write_atomically(path, lambda temporary: write_png(temporary, pixels, chunks), temporary_folder)
    else:
        write_atomically(path, lambda temporary: _write(temporary, picture_format, pixels, spec), temporary_folder)


def to_straight(pixels: Pixels) -> Pixels:
    """Divides colours by alpha, the last channel; where alpha is 0 they stay."""
    colours, alpha = pixels[..., :-1].astype(np.float32), pixels[..., -1:].astype(np.float32)
    if pixels.dtype.kind == "u":
        alpha /= np.iinfo(pixels.dtype).max
    straight: Pixels = colours / np.where(alpha > 0, alpha, np.float32(1))
    if pixels.dtype.kind == "u":
        straight = np.clip(np.rint(straight), 0, np.iinfo(pixels.dtype).max)
    return np.concatenate([straight.astype(pixels.dtype), pixels[..., -1:]], axis=-1)


def convert_samples(pixels: Pixels, sample_type: str) -> Pixels:
    """Converts between uint8, uint16, float16 and float32 by value: integers are unit range times their maximum."""
    target = np.dtype(sample_type)
    if pixels.dtype == target:
        return pixels
    unit = pixels.astype(np.float32)
    if pixels.dtype.kind == "u":
        unit /= np.iinfo(pixels.dtype).max
    if target.kind == "u":
        most = np.iinfo(target).max
        unit = np.rint(np.clip(np.nan_to_num(unit, nan=0.0, posinf=1.0, neginf=0.0), 0, 1) * most)
    return unit.astype(target)


def _fit_samples(pixels: Pixels, picture_format: str) -> Pixels:
    allowed = _SAMPLE_TYPES[picture_format]
    if pixels.dtype.name not in _SAMPLE_TYPES["tiff"]:
        raise ValueError(f"pixels of type {pixels.dtype} are no picture, {', '.join(_SAMPLE_TYPES['tiff'])} are")
    return pixels if pixels.dtype.name in allowed else convert_samples(pixels, allowed[-1])


def _build_spec(
    pixels: Pixels,
    picture_format: str,
    has_alpha: bool,
    alpha_associated: bool,
    icc_profile: bytes | None,
    metadata: oiio.ImageSpec | None,
) -> oiio.ImageSpec:
    height, width, channels = pixels.shape
    sample_type = {"float16": "half", "float32": "float"}.get(pixels.dtype.name, pixels.dtype.name)
    spec = oiio.ImageSpec(width, height, channels, sample_type)
    names = ("Y", "A") if channels <= 2 else ("R", "G", "B", "A")
    spec.channelnames = names[:channels]
    spec.alpha_channel = channels - 1 if has_alpha else -1
    source: dict[str, Any] = {}
    if metadata is not None:
        for attribute in metadata.extra_attribs:
            source[attribute.name] = attribute.value
            if attribute.name not in _STALE and not attribute.name.startswith("ICCProfile"):
                spec.attribute(attribute.name, attribute.type, attribute.value)
    spec["Orientation"] = 1
    for name, side in (("Exif:PixelXDimension", width), ("Exif:PixelYDimension", height)):
        if name in source:
            spec[name] = side
    if icc_profile is not None:
        profile = np.frombuffer(icc_profile, np.uint8)
        spec.attribute("ICCProfile", oiio.TypeDesc(f"uint8[{len(profile)}]"), profile)
    if has_alpha and not alpha_associated:
        spec["oiio:UnassociatedAlpha"] = 1
    compression = str(source.get("compression", ""))
    if picture_format == "jpeg":
        spec["compression"] = f"jpeg:{LOSSY_QUALITY}"
        spec["jpeg:subsampling"] = "4:4:4"
    elif picture_format == "webp":
        spec["compression"] = "lossless:20" if source.get("webp:lossless") else f"webp:{LOSSY_QUALITY}"
    elif picture_format == "tiff":
        spec["compression"] = compression if compression in _LOSSLESS_TIFF else "zip"
    return spec


def _png_metadata(spec: oiio.ImageSpec) -> bytes:
    """The metadata chunks that OpenImageIO makes of ``spec``, from a PNG of one pixel."""
    small = spec.copy()
    small.width = small.height = small.full_width = small.full_height = 1
    with tempfile.TemporaryDirectory(prefix="stylereel-") as folder:
        path = Path(folder) / "metadata.png"
        _write(path, "png", np.zeros((1, 1, spec.nchannels), _numpy_type(spec)), small)
        return metadata_chunks(path.read_bytes())


def _numpy_type(spec: oiio.ImageSpec) -> np.dtype[Any]:
    return np.dtype({"half": "float16", "float": "float32"}.get(str(spec.format), str(spec.format)))


def _write(path: Path, picture_format: str, pixels: Pixels, spec: oiio.ImageSpec) -> None:
    output = oiio.ImageOutput.create(picture_format)
    if output is None:
        raise ValueError(f"this build of OpenImageIO cannot write {picture_format}: {oiio.geterror()}")
    if not output.open(str(path), spec):
        _fail(path, output.geterror())
    if not output.write_image(pixels) or not output.close():
        _fail(path, output.geterror())
    # Closing a TIFF reports no full disk, and always reports a failure of its EXIF directory (OpenImageIO 3.2
    # with libtiff 4.7), so look at the file itself.
    try:
        walk(picture_format, path.read_bytes(), lambda declared: None)
    except UnreadablePictureError as error:
        _fail(path, error.reason)


def _fail(path: Path, problem: str) -> NoReturn:
    full = shutil.disk_usage(path.parent).free < _FULL_DISK_BYTES
    number = errno.ENOSPC if full else errno.EIO
    raise OSError(number, f"the picture cannot be written: {problem.strip() or os.strerror(number)}", str(path))
