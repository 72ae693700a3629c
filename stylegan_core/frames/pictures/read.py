"""Reads a picture file of any supported format, recognized by its content.

A file is refused with a reason if its checksums, its size or its decoder contradict the pixels. Damage that the format
cannot reveal (a flipped bit inside a valid JPEG or WebP stream) goes unnoticed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.base.sniff import SUFFIX_FORMATS, CheckSize, PictureHeader, sniff
from stylegan_core.frames.formats.dpx.dpx import dpx_colour_tags, dpx_warnings, read_dpx
from stylegan_core.frames.formats.exr.read import exr_colour_tags, exr_layers, exr_warnings, exr_windows, read_exr
from stylegan_core.frames.pictures.decode import decode_picture
from stylegan_core.frames.pictures.metadata import Metadata
from stylegan_core.frames.pictures.picture import Picture

_IN_WORDS = {
    "png": "a PNG", "jpeg": "a JPEG", "webp": "a WebP", "tiff": "a TIFF", "exr": "an EXR", "dpx": "a DPX",
}  # fmt: skip
_HEAD_BYTES = 512
# A file is at most this much larger than the pixels of the largest allowed picture.
_MAX_BYTES_PER_PIXEL = 16
_MAX_OVERHEAD_BYTES = 64 << 20


def read_picture(path: Path, *, min_side_px: int = 1, max_megapixels: float = 200.0) -> Picture:
    """Reads a picture, whatever the suffix of its name.

    Args:
        path: a PNG, TIFF, JPEG, WebP, EXR or DPX file.
        min_side_px: pictures with a shorter side are refused.
        max_megapixels: larger pictures are refused before decoding.
    Raises:
        UnreadablePictureError: empty, not a picture, truncated, damaged, too small, too large, or unsupported.
        OSError: the file is missing or unreadable.
    """
    try:
        return _read(path, min_side_px, max_megapixels)
    except UnreadablePictureError as error:
        raise UnreadablePictureError(error.reason, path) from error


def _read(path: Path, min_side_px: int, max_megapixels: float) -> Picture:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    picture_format = sniff(head)
    before = path.stat()
    # An EXR may hold many more channels than its picture; they are not loaded.
    most_bytes = max_megapixels * 1e6 * _MAX_BYTES_PER_PIXEL + _MAX_OVERHEAD_BYTES
    if before.st_size > most_bytes and picture_format != "exr":
        raise UnreadablePictureError(
            f"the file is too large: {before.st_size / 1e6:.0f} MB, for pictures of up to {max_megapixels:g} megapixels"
        )

    def check_size(header: PictureHeader) -> None:
        width, height = header.width_px, header.height_px
        if width * height > max_megapixels * 1e6:
            raise UnreadablePictureError(
                f"it declares {width} x {height} px, more than the limit of {max_megapixels:g} megapixels"
            )
        if min(width, height) < min_side_px:
            raise UnreadablePictureError(f"it is too small: {width} x {height} px, at least {min_side_px} are needed")

    if picture_format == "exr":
        picture = _read_exr(path, check_size)
    elif picture_format == "dpx":
        picture = _read_dpx(path, check_size)
    else:
        picture = decode_picture(path, picture_format, check_size)
    after = path.stat()
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise UnreadablePictureError("it changed while it was read: it is still being written")
    return replace(picture, warnings=(*_name_warnings(path, picture_format), *picture.warnings))


def _read_exr(path: Path, check_size: CheckSize) -> Picture:
    source = read_exr(path, check_size)
    has_alpha = source.primary_layers[0].has_alpha
    return Picture(
        pixels=source.originals[0],
        format="exr",
        has_alpha=has_alpha,
        alpha_associated=has_alpha,
        metadata=Metadata(exr=source),
        warnings=tuple(exr_warnings(source)),
        other_views=source.originals[1:],
        windows=exr_windows(source),
        colour_tags=exr_colour_tags(source),
        layers=exr_layers(source),
    )


def _read_dpx(path: Path, check_size: CheckSize) -> Picture:
    pixels, source = read_dpx(path.read_bytes(), check_size)
    bits = source.packing.bits
    return Picture(
        pixels=pixels,
        format="dpx",
        has_alpha=source.channels == 4,
        metadata=Metadata(dpx=source),
        warnings=tuple(dpx_warnings(source)),
        colour_tags=dpx_colour_tags(source),
        layers=tuple(f"element {number}" for number in range(2, source.elements + 1)),
        bits=bits if bits < pixels.dtype.itemsize * 8 else None,
    )


def _name_warnings(path: Path, picture_format: str) -> list[str]:
    if SUFFIX_FORMATS.get(path.suffix.lower()) == picture_format:
        return []
    ending = f"its name ends in {path.suffix}" if path.suffix else "its name has no suffix"
    return [f"holds {_IN_WORDS[picture_format]} although {ending}"]
