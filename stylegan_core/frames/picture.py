"""Reads a picture file, by its content, into straight pixels with everything that writing it again needs.

A file is refused with a reason rather than returned with pixels that its own checksums, its size or its decoder
contradict. What no format can tell (a flipped bit inside a valid JPEG or WebP stream) stays invisible here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813
from numpy.typing import NDArray

from stylegan_core.frames.damage import walk
from stylegan_core.frames.declared import FORMATS, SUFFIX_FORMATS, Declared, sniff
from stylegan_core.frames.icc import profile_problem
from stylegan_core.frames.metadata import Metadata, png_profile, read_metadata, tiff_attributes
from stylegan_core.frames.unreadable import UnreadablePictureError
from stylegan_core.frames.writing import encode_picture_file

__all__ = ["FORMATS", "SUFFIX_FORMATS", "Picture", "UnreadablePictureError", "read_picture", "write_picture"]

Pixels = NDArray[Any]
SAMPLE_TYPES = ("uint8", "uint16", "float16", "float32")
_HEAD_BYTES = 512
# A file is at most this much larger than the pixels that its largest allowed picture can hold.
_MAX_BYTES_PER_PIXEL = 16
_MAX_OVERHEAD_BYTES = 64 << 20


@dataclass(frozen=True)
class Picture:
    """A picture in memory.

    Attributes:
        pixels: (H, W, C), C in 1..4 (grey, grey + alpha, RGB, RGB + one), in the file's own type (uint8, uint16,
            float16, float32) and encoding, EXIF orientation already applied.
        format: "png", "tiff", "jpeg" or "webp": what the content is, whatever the name says.
        has_alpha: whether the last channel is alpha.
        alpha_associated: whether colours are stored multiplied by alpha (some TIFFs); otherwise they are straight.
            They stay as they are stored, so that nothing is lost; ``colour.to_working`` undoes it.
        icc_profile: the embedded profile's bytes.
        spec: metadata for ``write_picture``, opaque; None for a picture that came from no file.
        warnings: what a user should hear about the file.
        other_views: (H, W, C) each, the same picture through the other eyes of a stereo file.
        colour_tags: what the file says of its colours beside a profile, raw.
        layers: names of what passes through beside the pixels.
        bits: of a sample in the file, where fewer than its type holds; None is all.
    """

    pixels: Pixels
    format: str = "png"
    has_alpha: bool = False
    alpha_associated: bool = False
    icc_profile: bytes | None = None
    spec: Metadata | None = None
    warnings: tuple[str, ...] = ()
    other_views: tuple[Pixels, ...] = ()
    colour_tags: Mapping[str, object] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    bits: int | None = None

    @property
    def colour_channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return 3 if self.pixels.shape[2] >= 3 else 1

    @property
    def width_px(self) -> int:
        """Columns, after orientation."""
        return int(self.pixels.shape[1])

    @property
    def height_px(self) -> int:
        """Rows, after orientation."""
        return int(self.pixels.shape[0])


def read_picture(path: Path, *, min_side_px: int = 1, max_megapixels: float = 200.0) -> Picture:
    """Reads a picture, whatever its name ends in.

    Args:
        path: a PNG, TIFF, JPEG or WebP file.
        min_side_px: pictures with a shorter side are refused.
        max_megapixels: pictures that declare more are refused before they are decoded.
    Raises:
        UnreadablePictureError: empty, not a picture, truncated, damaged, too small, too large, or unsupported.
        OSError: the file is missing or cannot be read at all.
    """
    try:
        return _read(path, min_side_px, max_megapixels)
    except UnreadablePictureError as error:
        raise UnreadablePictureError(error.reason, path) from error


def write_picture(path: Path, picture: Picture, *, temporary_folder: Path | None = None) -> None:
    """Writes a picture whole or not at all, in the format that the name's suffix says.

    PNG and TIFF keep every bit of 8- and 16-bit samples (TIFF of floats too), JPEG is quality 95 without chroma
    subsampling, WebP is quality 95, lossless where the source was. Metadata and ICC profile are kept, orientation
    is reset, and a stale thumbnail is dropped.

    Args:
        path: ends in .png, .tif, .tiff, .jpg, .jpeg or .webp.
        picture: what to write; its ``pixels`` may have been replaced.
        temporary_folder: where the temporary lies (same file system); default: beside ``path``.
    Raises:
        ValueError: an unknown suffix, or pixels that are no picture.
        OSError: the disk is full or the folder cannot be written; ``path`` is then as it was.
    """
    encode_picture_file(
        path,
        picture.pixels,
        has_alpha=picture.has_alpha,
        alpha_associated=picture.alpha_associated,
        icc_profile=picture.icc_profile,
        metadata=picture.spec,
        temporary_folder=temporary_folder,
    )


def _read(path: Path, min_side_px: int, max_megapixels: float) -> Picture:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    picture_format = sniff(head)
    status = path.stat()
    if status.st_size > max_megapixels * 1e6 * _MAX_BYTES_PER_PIXEL + _MAX_OVERHEAD_BYTES:
        raise UnreadablePictureError(
            f"the file is too large: {status.st_size / 1e6:.0f} MB, for pictures of up to {max_megapixels:g} megapixels"
        )

    def check_size(declared: Declared) -> None:
        width, height = declared.width_px, declared.height_px
        if width * height > max_megapixels * 1e6:
            raise UnreadablePictureError(
                f"it declares {width} x {height} px, more than the limit of {max_megapixels:g} megapixels"
            )
        if min(width, height) < min_side_px:
            raise UnreadablePictureError(f"it is too small: {width} x {height} px, at least {min_side_px} are needed")

    content = path.read_bytes()
    declared = walk(picture_format, content, check_size)
    pixels, spec = _decode(path, picture_format)
    if pixels.shape[:2] != (declared.height_px, declared.width_px):
        raise UnreadablePictureError("damaged: its size differs from what its header declares")
    after = path.stat()
    if (after.st_size, after.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
        raise UnreadablePictureError("it changed while it was read: it is still being written")

    has_alpha = spec.alpha_channel >= 0
    if pixels.shape[2] > 4 or (has_alpha and spec.alpha_channel != pixels.shape[2] - 1):
        raise UnreadablePictureError(f"unsupported: its channels are {', '.join(spec.channelnames)}")
    if pixels.shape[2] == 2 and not has_alpha:
        raise UnreadablePictureError("unsupported: it has two channels, and neither is alpha")
    stored_profile = spec.getattribute("ICCProfile")
    profile = None if stored_profile is None else np.asarray(stored_profile, np.uint8).tobytes()
    profile = png_profile(content) if picture_format == "png" else profile
    metadata = replace(read_metadata(picture_format, content), attributes=tiff_attributes(spec))
    straight = bool(spec.get_int_attribute("oiio:UnassociatedAlpha", 0))
    return Picture(
        pixels=orient(pixels, spec.get_int_attribute("Orientation", 1)),
        format=picture_format,
        has_alpha=has_alpha,
        alpha_associated=has_alpha and picture_format == "tiff" and not straight,
        icc_profile=profile,
        spec=metadata,
        warnings=_warnings(path, picture_format, declared, profile, 3 if pixels.shape[2] >= 3 else 1),
    )


def _decode(path: Path, picture_format: str) -> tuple[Pixels, oiio.ImageSpec]:
    """The first picture in the file, (H, W, C) in its own type, and its metadata."""
    config = oiio.ImageSpec()
    config["oiio:UnassociatedAlpha"] = 1
    oiio.geterror()  # clears what an earlier failure left behind in this thread
    source = oiio.ImageInput.open(str(path), config)
    if source is None:
        raise UnreadablePictureError(f"damaged: {_first_line(oiio.geterror(), path)}")
    try:
        if source.format_name() != picture_format:
            raise UnreadablePictureError(f"its name ends in {path.suffix}, which hides that it is a {picture_format}")
        spec = source.spec().copy()
        if spec.deep or spec.depth != 1 or spec.channelformats:
            raise UnreadablePictureError("unsupported: a deep or volumetric picture, or channels of different types")
        if str(spec.format) not in ("uint8", "uint16", "half", "float"):
            raise UnreadablePictureError(f"unsupported: its samples are {spec.format}, not 8 or 16 bit or float")
        pixels = source.read_image(0, 0, 0, spec.nchannels, spec.format)
        # A truncated JPEG comes back with pixels, and only the error tells.
        problem = source.geterror()
    finally:
        source.close()
    problem = problem or source.geterror()
    if problem or pixels is None:
        reason = _first_line(problem, path)
        kind = "truncated" if "premature end" in reason.lower() or "end of file" in reason.lower() else "damaged"
        raise UnreadablePictureError(f"{kind}: {reason}")
    return np.asarray(pixels), spec


def _first_line(problem: str, path: Path) -> str:
    first = problem.strip().split("\n")[0].replace(f' ("{path}")', "").replace(f"{path}: ", "")
    return first or "its pixels cannot be decoded"


def orient(pixels: Pixels, orientation: int) -> Pixels:
    """Turns stored pixels upright.

    Args:
        pixels: (H, W, C) as stored.
        orientation: the EXIF tag, 1 to 8; anything else is taken for 1, as viewers do.
    Returns:
        (H, W, C), or (W, H, C) for 5 to 8, contiguous.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _warnings(
    path: Path, picture_format: str, declared: Declared, profile: bytes | None, colour_channels: int
) -> tuple[str, ...]:
    warnings = []
    if SUFFIX_FORMATS.get(path.suffix.lower()) != picture_format:
        article = {"png": "a PNG", "jpeg": "a JPEG", "webp": "a WebP", "tiff": "a TIFF"}[picture_format]
        ending = f"its name ends in {path.suffix}" if path.suffix else "its name has no suffix"
        warnings.append(f"holds {article} although {ending}")
    if declared.frames > 1:
        parts = "pages" if picture_format == "tiff" else "frames of animation"
        warnings.append(f"has {declared.frames} {parts}; only the first is used")
    problem = None if profile is None else profile_problem(profile, colour_channels)
    if problem is not None:
        warnings.append(f"{problem}; it is kept, and not used")
    return tuple(warnings)
