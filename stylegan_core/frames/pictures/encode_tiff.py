"""Writes TIFF losslessly with OpenImageIO, with the metadata of the source file."""

from __future__ import annotations

import errno
import os
import shutil
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import OpenImageIO as oiio  # noqa: N813
from numpy.typing import NDArray

from stylegan_core.frames.base.bit_depth import array_type, to_codes
from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.formats.tiff.directory import put_xmp, replace_pixels
from stylegan_core.frames.formats.tiff.extra_channels import join_channels
from stylegan_core.frames.formats.tiff.validate import validate_tiff
from stylegan_core.frames.pictures.metadata import Metadata
from stylegan_core.frames.pictures.picture import Picture

Pixels = NDArray[Any]
_FULL_DISK_BYTES = 1 << 20
_COMPRESSION = "lzw"  # 0.2 s at 1080p; OpenImageIO takes 1.4 s for "zip", whatever its level, for 2 % less
_LOSSLESS = frozenset({"none", "lzw", "zip", "packbits", "zstd", "lzma"})


def write_tiff(path: Path, picture: Picture) -> None:
    """Writes a TIFF.

    Samples with fewer bits than their type are stored uncompressed and without gaps.

    Args:
        path: of the file.
        picture: with contiguous pixels and upright metadata.
    Raises:
        OSError: the file cannot be written.
    """
    pixels, bits, other = picture.pixels, picture.bits, (picture.metadata or Metadata()).other_channels
    whole = join_channels(pixels, other)
    fewer = bits is not None and bits != pixels.dtype.itemsize * 8 and array_type(bits) == pixels.dtype
    spec = _spec(picture)
    if whole is not None and other is not None:
        pixels = whole
        spec.nchannels, spec.channelnames = whole.shape[2], other.names
        spec.alpha_channel = other.own[-1] if picture.has_alpha else -1
    if fewer:
        # OpenImageIO writes the metadata around one pixel, which is then replaced by the real ones.
        spec.width = spec.height = spec.full_width = spec.full_height = 1
        spec["planarconfig"], spec["compression"] = "contig", "none"
    _write(path, pixels[:1, :1] if fewer else pixels, spec)
    if fewer and bits is not None:
        replace_pixels(path, to_codes(pixels, bits), bits)
    if picture.metadata is not None and picture.metadata.xmp is not None:
        put_xmp(path, picture.metadata.xmp)
    # Closing the file does not report a full disk, so check the file itself.
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            validate_tiff(content, lambda _: None)
    except UnreadablePictureError as error:
        _fail(path, error.reason)
    except ValueError:  # an empty file cannot be mapped
        _fail(path, "")


def _spec(picture: Picture) -> oiio.ImageSpec:
    pixels, metadata = picture.pixels, picture.metadata or Metadata()
    height, width, channels = pixels.shape
    sample_type = {"float16": "half", "float32": "float", "uint32": "uint"}.get(pixels.dtype.name, pixels.dtype.name)
    spec = oiio.ImageSpec(width, height, channels, sample_type)
    spec.channelnames = (("Y", "A") if channels <= 2 else ("R", "G", "B", "A"))[:channels]
    spec.alpha_channel = channels - 1 if picture.has_alpha else -1
    # Otherwise the time of writing is stored, and equal pictures are not equal files.
    spec["DateTime"] = ""
    for name, kind, value in metadata.attributes:
        spec.attribute(name, oiio.TypeDesc(kind), value)
    spec["Orientation"] = 1
    for name, side in (("Exif:PixelXDimension", width), ("Exif:PixelYDimension", height)):
        if spec.getattribute(name) is not None:
            spec[name] = side
    if picture.icc_profile is not None:
        profile = np.frombuffer(picture.icc_profile, np.uint8)
        spec.attribute("ICCProfile", oiio.TypeDesc(f"uint8[{len(profile)}]"), profile)
    if picture.has_alpha and not picture.alpha_associated:
        spec["oiio:UnassociatedAlpha"] = 1
    if sample_type == "half":
        spec["tiff:half"] = 1  # otherwise it is written as float
    compression = str(spec.get_string_attribute("compression"))
    spec["compression"] = compression if compression in _LOSSLESS else _COMPRESSION
    return spec


def _write(path: Path, pixels: Pixels, spec: oiio.ImageSpec) -> None:
    output = oiio.ImageOutput.create("tiff")
    if output is None:
        raise ValueError(f"this build of OpenImageIO cannot write TIFF: {oiio.geterror()}")
    if not output.open(str(path), spec):
        _fail(path, output.geterror())
    if not output.write_image(pixels) or not output.close():
        _fail(path, output.geterror())
    output.geterror()  # closing complains about an empty EXIF directory (OpenImageIO 3.2 with libtiff 4.7)


def _fail(path: Path, problem: str) -> NoReturn:
    full = shutil.disk_usage(path.parent).free < _FULL_DISK_BYTES
    number = errno.ENOSPC if full else errno.EIO
    raise OSError(number, f"the picture cannot be written: {problem.strip() or os.strerror(number)}", str(path))
