"""Reads a picture file, by its content, into straight pixels with everything that writing it again needs.

A file is refused with a reason rather than returned with pixels that its own checksums, its size or its decoder
contradict. What no format can tell (a flipped bit inside a valid JPEG or WebP stream) stays invisible here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813
from numpy.typing import NDArray

from stylegan_core.frames.base.bit_depth import from_codes, held_in
from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.base.sniff import FORMATS, SUFFIX_FORMATS, CheckSize, PictureHeader, sniff
from stylegan_core.frames.formats.dpx.dpx import dpx_colour_tags, dpx_warnings, read_dpx
from stylegan_core.frames.formats.exr.read import (
    Window,
    exr_colour_tags,
    exr_layers,
    exr_warnings,
    exr_windows,
    read_exr,
)
from stylegan_core.frames.formats.tiff.extra_channels import take_out
from stylegan_core.frames.pictures.encode import encode_picture_file, tell_once
from stylegan_core.frames.pictures.integrity import validate
from stylegan_core.frames.pictures.metadata import (
    Metadata,
    png_colour_tags,
    png_profile,
    read_metadata,
    tiff_attributes,
)
from stylegan_core.frames.profiles.icc import profile_problem

if TYPE_CHECKING:
    from stylegan_core.frames.base.frame_planes import FramePlanes

__all__ = ["FORMATS", "SUFFIX_FORMATS", "Picture", "UnreadablePictureError", "Window", "read_picture", "write_picture"]

Pixels = NDArray[Any]
_NAMED = 8
_IN_WORDS = {
    "png": "a PNG", "jpeg": "a JPEG", "webp": "a WebP", "tiff": "a TIFF", "exr": "an EXR", "dpx": "a DPX",
}  # fmt: skip
_PALETTE = 3
_TRIPLE_BITS = 24
_HEAD_BYTES = 512
# A file is at most this much larger than the pixels that its largest allowed picture can hold.
_MAX_BYTES_PER_PIXEL = 16
_MAX_OVERHEAD_BYTES = 64 << 20


@dataclass(frozen=True)
class Picture:
    """A picture in memory.

    Attributes:
        pixels: (H, W, C), C in 1..4 (grey, grey + alpha, RGB, RGB + one), in the file's own type (uint8, uint16,
            uint32, float16, float32) and encoding, EXIF orientation applied. Those of an EXR cannot be written to.
        format: one of FORMATS: what the content is, whatever the name says.
        has_alpha: whether the last channel is alpha.
        alpha_associated: whether colours are stored multiplied by alpha (EXR, some TIFFs); otherwise they are straight.
            They stay as they are stored, so that nothing is lost; ``colour.to_working`` undoes it.
        icc_profile: the embedded profile's bytes.
        spec: metadata for ``write_picture``, opaque; None for a picture that came from no file.
        warnings: what a user should hear about the file.
        other_views: (H, W, C) each, the same picture through the other eyes of a stereo file.
        windows: (left, top, display width, display height) of each view in a file with windows; empty in others.
        colour_tags: what the file says of its colours beside a profile, raw.
        layers: names of what passes through beside the pixels.
        movie: a movie frame's own planes.
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
    windows: tuple[Window, ...] = ()
    colour_tags: Mapping[str, object] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    bits: int | None = None
    movie: FramePlanes | None = None

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
        path: a PNG, TIFF, JPEG, WebP, EXR or DPX file.
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

    PNG, TIFF, EXR and DPX keep every bit that they can hold, JPEG is quality 95 without chroma subsampling, WebP is
    quality 95, lossless where the source was. Metadata and ICC profile are kept, orientation is reset, and a stale
    thumbnail is dropped. An EXR or DPX whose picture keeps its size is the source file around new samples.

    Args:
        path: ends in one of SUFFIX_FORMATS.
        picture: what to write; its ``pixels`` may have been replaced.
        temporary_folder: where the temporary lies (same file system); default: beside ``path``.
    Raises:
        ValueError: an unknown suffix, or pixels that are no picture.
        UnreadablePictureError: an EXR whose other layers are needed changed since it was read.
        OSError: the disk is full or the folder cannot be written; ``path`` is then as it was.
    """
    if picture.layers and SUFFIX_FORMATS.get(path.suffix.lower(), picture.format) != picture.format:
        some = ", ".join(picture.layers[:_NAMED]) + (" ..." if len(picture.layers) > _NAMED else "")
        tell_once(path, f"its format does not hold the source's other layers, which are left out: {some}")
    encode_picture_file(
        path,
        picture.pixels,
        has_alpha=picture.has_alpha,
        alpha_associated=picture.alpha_associated,
        icc_profile=picture.icc_profile,
        metadata=picture.spec,
        other_views=picture.other_views,
        bits=picture.bits,
        colour_tags=picture.colour_tags,
        temporary_folder=temporary_folder,
    )


def _read(path: Path, min_side_px: int, max_megapixels: float) -> Picture:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    picture_format = sniff(head)
    status = path.stat()
    # An EXR may hold many more channels than its picture; they stay where they are.
    most_bytes = max_megapixels * 1e6 * _MAX_BYTES_PER_PIXEL + _MAX_OVERHEAD_BYTES
    if status.st_size > most_bytes and picture_format != "exr":
        raise UnreadablePictureError(
            f"the file is too large: {status.st_size / 1e6:.0f} MB, for pictures of up to {max_megapixels:g} megapixels"
        )

    def check_size(header: PictureHeader) -> None:
        width, height = header.width_px, header.height_px
        if width * height > max_megapixels * 1e6:
            raise UnreadablePictureError(
                f"it declares {width} x {height} px, more than the limit of {max_megapixels:g} megapixels"
            )
        if min(width, height) < min_side_px:
            raise UnreadablePictureError(f"it is too small: {width} x {height} px, at least {min_side_px} are needed")

    readers = {"exr": _read_exr, "dpx": _read_dpx}
    picture = readers.get(picture_format, _read_still)(path, picture_format, check_size)
    after = path.stat()
    if (after.st_size, after.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
        raise UnreadablePictureError("it changed while it was read: it is still being written")
    return picture


def _read_exr(path: Path, picture_format: str, check_size: CheckSize) -> Picture:
    source = read_exr(path, check_size)
    has_alpha = source.beauties[0].has_alpha
    return Picture(
        pixels=source.originals[0],
        format=picture_format,
        has_alpha=has_alpha,
        alpha_associated=has_alpha,
        spec=Metadata(exr=source),
        warnings=(*_name_warnings(path, picture_format), *exr_warnings(source)),
        other_views=source.originals[1:],
        windows=exr_windows(source),
        colour_tags=exr_colour_tags(source),
        layers=exr_layers(source),
    )


def _read_dpx(path: Path, picture_format: str, check_size: CheckSize) -> Picture:
    pixels, source = read_dpx(path.read_bytes(), check_size)
    bits = source.packing.bits
    return Picture(
        pixels=pixels,
        format=picture_format,
        has_alpha=source.channels == 4,
        spec=Metadata(dpx=source),
        warnings=(*_name_warnings(path, picture_format), *dpx_warnings(source)),
        colour_tags=dpx_colour_tags(source),
        layers=tuple(f"element {number}" for number in range(2, source.elements + 1)),
        bits=bits if bits < pixels.dtype.itemsize * 8 else None,
    )


def _read_still(path: Path, picture_format: str, check_size: CheckSize) -> Picture:
    content = path.read_bytes()
    header = validate(picture_format, content, check_size)
    metadata = read_metadata(picture_format, content)
    profile = png_profile(content) if picture_format == "png" else None
    order = content[:2]
    coded = content if picture_format == "jpeg" else None
    del content  # it can be as large as the pixels
    pixels, spec = _decode(path, picture_format, coded)
    if pixels.shape[:2] != (header.height_px, header.width_px):
        raise UnreadablePictureError("damaged: its size differs from what its header declares")
    stored_profile = spec.getattribute("ICCProfile")
    if picture_format != "png" and stored_profile is not None:
        profile = np.asarray(stored_profile, np.uint8).tobytes()
    bits = _depth(spec) if picture_format == "tiff" else None
    if bits is not None:
        codes = pixels >> (pixels.dtype.itemsize * 8 - bits)
        if bits == _TRIPLE_BITS and order == b"MM":
            codes = codes.byteswap() >> (codes.itemsize * 8 - bits)  # OpenImageIO takes these backwards
        pixels = from_codes(codes, bits)
    has_alpha = spec.alpha_channel >= 0
    straight = bool(spec.get_int_attribute("oiio:UnassociatedAlpha", 0))
    upright = orient(pixels, spec.get_int_attribute("Orientation", 1))
    pixels, other = take_out(upright, spec.channelnames, spec.alpha_channel)
    if other is not None and picture_format != "tiff":
        raise UnreadablePictureError(f"unsupported: its channels are {', '.join(spec.channelnames)}")
    return Picture(
        pixels=pixels,
        format=picture_format,
        has_alpha=has_alpha,
        alpha_associated=has_alpha and picture_format == "tiff" and not straight,
        icc_profile=profile,
        spec=replace(metadata, attributes=tiff_attributes(spec), other_channels=other),
        warnings=_warnings(path, picture_format, header, profile, 3 if pixels.shape[2] >= 3 else 1),
        colour_tags=png_colour_tags(metadata),
        layers=() if other is None else other.layers,
        bits=bits,
    )


def _decode(path: Path, picture_format: str, jpeg: bytes | None) -> tuple[Pixels, oiio.ImageSpec]:
    """The first picture in the file, (H, W, C) in its own type, and its metadata; ``jpeg`` is the content of one."""
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
        if str(spec.format) not in ("uint8", "uint16", "uint", "half", "float"):
            raise UnreadablePictureError(f"unsupported: its samples are {spec.format}, not unsigned or float")
        if jpeg is not None:
            return _decode_jpeg(jpeg, spec.nchannels), spec
        pixels = source.read_image(0, 0, 0, spec.nchannels, spec.format)
        problem = source.geterror()
    finally:
        source.close()
    problem = problem or source.geterror()
    if problem or pixels is None:
        reason = _first_line(problem, path)
        kind = "truncated" if "premature end" in reason.lower() or "end of file" in reason.lower() else "damaged"
        raise UnreadablePictureError(f"{kind}: {reason}")
    return np.asarray(pixels), spec


def _decode_jpeg(content: bytes, channels: int) -> Pixels:
    """(H, W, C) uint8, bit for bit OpenImageIO's in 4 ms instead of 9 at 1080p; it also tells of spoilt data."""
    import simplejpeg

    try:
        pixels: Pixels = simplejpeg.decode_jpeg(content, colorspace="GRAY" if channels == 1 else "RGB")
    except ValueError as error:
        reason = str(error).strip().split("\n")[0]
        kind = "truncated" if "premature end" in reason.lower() else "damaged"
        raise UnreadablePictureError(f"{kind}: {reason}") from error
    return pixels


def _depth(spec: oiio.ImageSpec) -> int | None:
    """Bits of a TIFF's samples, if they fill less than their type and are no indices into a palette."""
    bits = spec.get_int_attribute("oiio:BitsPerSample", 0)
    whole = {"uint8": 8, "uint16": 16, "uint": 32}.get(str(spec.format), 0)
    is_palette = spec.get_int_attribute("tiff:PhotometricInterpretation", 0) == _PALETTE
    return bits if 1 < bits < whole and held_in(bits).itemsize * 8 == whole and not is_palette else None


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


def _name_warnings(path: Path, picture_format: str) -> list[str]:
    if SUFFIX_FORMATS.get(path.suffix.lower()) == picture_format:
        return []
    ending = f"its name ends in {path.suffix}" if path.suffix else "its name has no suffix"
    return [f"holds {_IN_WORDS[picture_format]} although {ending}"]


def _warnings(
    path: Path, picture_format: str, header: PictureHeader, profile: bytes | None, colour_channels: int
) -> tuple[str, ...]:
    warnings = _name_warnings(path, picture_format)
    if header.frames > 1:
        parts = "pages" if picture_format == "tiff" else "frames of animation"
        warnings.append(f"has {header.frames} {parts}; only the first is used")
    problem = None if profile is None else profile_problem(profile, colour_channels)
    if problem is not None:
        warnings.append(f"{problem}; it is kept, and not used")
    return tuple(warnings)
