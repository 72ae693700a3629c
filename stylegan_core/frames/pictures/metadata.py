"""Metadata of picture files (EXIF, XMP, texts and others), kept as bytes.

Only outdated values are changed: the orientation is reset, since pixels are upright, the size is corrected, and
thumbnails are dropped. Maker notes stay valid, because nothing is moved.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, replace
from typing import Any

import OpenImageIO as oiio  # noqa: N813

from stylegan_core.frames.formats.dpx.dpx import DpxSource
from stylegan_core.frames.formats.exr.read import ExrSource
from stylegan_core.frames.formats.png_jpeg_webp import jpeg_segments, png_chunks, webp_chunks
from stylegan_core.frames.formats.tiff.directory import read_xmp
from stylegan_core.frames.formats.tiff.extra_channels import OtherChannels

_EXIF_PREFIX = b"Exif\x00\x00"
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\x00"
_EXTENDED_XMP_PREFIX = b"http://ns.adobe.com/xmp/extension/\x00"
_PHOTOSHOP_PREFIX = b"Photoshop 3.0\x00"
_ITXT_PLAIN = b"\x00\x00\x00\x00"  # not compressed, no language, no translated keyword
_PNG_XMP_PREFIX = b"XML:com.adobe.xmp\x00" + _ITXT_PLAIN
_PNG_KEPT = frozenset(
    {b"tEXt", b"zTXt", b"iTXt", b"pHYs", b"tIME", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"}
)
_MAX_UNPACKED_BYTES = 16 << 20
_PHOTOSHOP_THUMBNAILS = frozenset({1033, 1036})
_ORIENTATION, _EXIF_IFD, _EXIF_WIDTH, _EXIF_HEIGHT = 0x0112, 0x8769, 0xA002, 0xA003
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|\s*>\s*))[2-8](?=\s*["'<])""")

# Valid for the file that was read, not for the one that is written.
_STALE = frozenset(
    {
        "Orientation",
        "oiio:BitsPerSample",
        "oiio:ColorSpace",
        "oiio:LoopCount",
        "oiio:Movie",
        "oiio:RowsPerChunk",
        "oiio:UnassociatedAlpha",
        "oiio:subimages",
        "jpeg:ColorSpace",
        "jpeg:subsampling",
        "tiff:ColorSpace",
        "tiff:Compression",
        "tiff:PhotometricInterpretation",
        "tiff:RowsPerStrip",
        "tiff:UnassociatedAlpha",
        "tiff:subfiletype",
    }
)

Attribute = tuple[str, str, int | float | str | tuple[int | float | str, ...]]


@dataclass(frozen=True)
class Metadata:
    """Metadata blocks of a file, opaque to all but the writers.

    Attributes:
        exif: a TIFF structure, without a container's prefix.
        xmp: an XMP packet.
        png: PNG chunks as (type, body), from before and after the picture data.
        jpeg: JPEG segments as (marker, body): comments, extended XMP, IPTC.
        jpeg_density: the 5 bytes of a JFIF header with units and pixels a unit.
        webp_lossless: whether a WebP was lossless.
        attributes: for TIFF, as OpenImageIO names them: (name, type, value).
        exr: the source OpenEXR file.
        dpx: the source DPX file.
        other_channels: extra channels of a TIFF.
        texts: (name, text), see ``text_metadata``.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    png: tuple[tuple[bytes, bytes], ...] = ()
    jpeg: tuple[tuple[int, bytes], ...] = ()
    jpeg_density: bytes | None = None
    webp_lossless: bool = False
    attributes: tuple[Attribute, ...] = ()
    exr: ExrSource | None = None
    dpx: DpxSource | None = None
    other_channels: OtherChannels | None = None
    texts: tuple[tuple[str, str], ...] = ()


def read_metadata(picture_format: str, content: bytes) -> Metadata:
    """Collects the metadata of a PNG, JPEG, WebP or TIFF file whose structure has been validated."""
    if picture_format == "png":
        return _read_png(content)
    if picture_format == "jpeg":
        return _read_jpeg(content)
    if picture_format == "webp":
        return _read_webp(content)
    return Metadata(xmp=read_xmp(content))


def png_profile(content: bytes) -> bytes | None:
    """The ICC profile of a PNG; libpng silently drops profiles that it considers invalid."""
    for kind, body in png_chunks(content):
        if kind == b"iCCP":
            _, _, packed = body.partition(b"\x00")
            return _unpack(packed[1:])
    return None


def png_colour_tags(metadata: Metadata) -> dict[str, object]:
    """Colour tags of a PNG other than its profile: ``cicp``, the four code points of ITU-T H.273."""
    found = [body for kind, body in metadata.png if kind == b"cICP" and len(body) == 4]
    return {"cicp": tuple(found[0])} if found else {}


def tiff_attributes(spec: oiio.ImageSpec) -> tuple[Attribute, ...]:
    """The metadata that OpenImageIO read and can write into a TIFF."""
    kept: list[Attribute] = []
    for attribute in spec.extra_attribs:
        name, kind = attribute.name, str(attribute.type)
        value: Any = attribute.value
        if name in _STALE or name.startswith(("ICCProfile", "thumbnail")):
            continue
        # OpenImageIO's Python reports uint16 and accepts it only as its meaning: a rational or an integer.
        if kind == "uint16[2]" and value[1]:
            kind, value = "float", value[0] / value[1]
        elif kind == "uint16":
            kind = "int"
        kept.append((name, kind, value))
    return tuple(kept)


def upright(metadata: Metadata, width_px: int, height_px: int) -> Metadata:
    """The metadata of upright pixels: orientation 1, the new size, no thumbnail."""
    exif = None if metadata.exif is None else reset_exif(metadata.exif, width_px, height_px)
    xmp = None if metadata.xmp is None else _XMP_ORIENTATION.sub(rb"\g<1>1", metadata.xmp)
    return replace(metadata, exif=exif, xmp=xmp)


def reset_exif(exif: bytes, width_px: int, height_px: int) -> bytes | None:
    """Sets orientation 1 and the size, and unlinks the thumbnail (EXIF 2.32).

    Args:
        exif: a TIFF structure.
        width_px: columns of the upright picture.
        height_px: rows of the upright picture.
    Returns:
        The patched structure, of equal length; None if it is damaged, since it could contain a wrong orientation.
    """
    patched = bytearray(exif)
    order = {b"II": "<", b"MM": ">"}.get(bytes(patched[:2]))
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(order + "I", patched, 4)
        entries, after = _exif_entries(patched, order, first)
        _set_exif(patched, order, entries, _ORIENTATION, 1)
        if _EXIF_IFD in entries:
            (at,) = struct.unpack_from(order + "I", patched, entries[_EXIF_IFD] + 8)
            inner, _ = _exif_entries(patched, order, at)
            _set_exif(patched, order, inner, _EXIF_WIDTH, width_px)
            _set_exif(patched, order, inner, _EXIF_HEIGHT, height_px)
        struct.pack_into(order + "I", patched, after, 0)
    except struct.error:
        return None
    return bytes(patched)


def _exif_entries(exif: bytearray, order: str, at: int) -> tuple[dict[int, int], int]:
    """Offsets of a directory's entries by tag, and of its link to the next directory."""
    (count,) = struct.unpack_from(order + "H", exif, at)
    starts = [at + 2 + 12 * index for index in range(count)]
    return {struct.unpack_from(order + "H", exif, start)[0]: start for start in starts}, at + 2 + 12 * count


def _set_exif(exif: bytearray, order: str, entries: dict[int, int], tag: int, value: int) -> None:
    if tag not in entries:
        return
    at = entries[tag]
    (kind,) = struct.unpack_from(order + "H", exif, at + 2)
    if kind == 3 and value <= 0xFFFF:
        struct.pack_into(order + "IHH", exif, at + 4, 1, value, 0)
    else:
        struct.pack_into(order + "HII", exif, at + 2, 4, 1, value)


def _read_png(content: bytes) -> Metadata:
    exif, xmp, kept = None, None, []
    for kind, body in png_chunks(content):
        if kind == b"eXIf":
            exif = body.removeprefix(_EXIF_PREFIX)
        elif kind == b"iTXt" and body.startswith(b"XML:com.adobe.xmp\x00"):
            xmp = _unpack_itxt(body)
        # ImageMagick stores EXIF, including orientation, in text chunks of this name.
        elif kind in _PNG_KEPT and not body.startswith(b"Raw profile type"):
            kept.append((kind, body))
    return Metadata(exif=exif, xmp=xmp, png=tuple(kept))


def _unpack_itxt(body: bytes) -> bytes | None:
    """The text of an iTXt chunk; None if it is damaged or huge."""
    packed = body[18:19] == b"\x01"
    parts = body[20:].split(b"\x00", 2)  # language, translated keyword, text
    if len(parts) < 3:
        return None
    return _unpack(parts[2]) if packed else parts[2]


def _unpack(packed: bytes) -> bytes | None:
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, _MAX_UNPACKED_BYTES)
    except zlib.error:
        return None
    return content if unpacker.eof else None


def png_texts(metadata: Metadata) -> dict[str, str]:
    """The uncompressed texts of a PNG, by keyword."""
    found = {}
    for kind, body in metadata.png:
        name, separator, text = body.partition(b"\x00" + _ITXT_PLAIN)
        if kind == b"iTXt" and separator:
            found[name.decode("latin-1")] = text.decode("utf-8", "replace")
    return found


def _read_jpeg(content: bytes) -> Metadata:
    exif, xmp, density, kept = None, None, None, []
    for marker, body in jpeg_segments(content):
        if marker == 0xE0 and body.startswith(b"JFIF\x00") and len(body) >= 12:
            density = body[7:12]
        elif marker == 0xE1 and body.startswith(_EXIF_PREFIX):
            exif = body.removeprefix(_EXIF_PREFIX)
        elif marker == 0xE1 and body.startswith(_XMP_PREFIX):
            xmp = body.removeprefix(_XMP_PREFIX)
        elif marker == 0xED and body.startswith(_PHOTOSHOP_PREFIX):
            kept.append((marker, _without_thumbnail(body)))
        elif marker == 0xFE or (marker == 0xE1 and body.startswith(_EXTENDED_XMP_PREFIX)):
            kept.append((marker, body))
    return Metadata(exif=exif, xmp=xmp, jpeg=tuple(kept), jpeg_density=density)


def _without_thumbnail(body: bytes) -> bytes:
    """Drops the thumbnails from Photoshop's image resources; content that cannot be parsed is kept."""
    at, kept = len(_PHOTOSHOP_PREFIX), [_PHOTOSHOP_PREFIX]
    while body[at : at + 4] == b"8BIM" and at + 7 <= len(body):
        (number,) = struct.unpack_from(">H", body, at + 4)
        name = at + 6 + (body[at + 6] | 1) + 1  # a Pascal string, padded to an even length
        if name + 4 > len(body):
            break
        (size,) = struct.unpack_from(">I", body, name)
        end = name + 4 + size + size % 2
        if number not in _PHOTOSHOP_THUMBNAILS:
            kept.append(body[at:end])
        at = end
    return b"".join([*kept, body[at:]])


def _read_webp(content: bytes) -> Metadata:
    exif, xmp, lossless = None, None, False
    for kind, body in webp_chunks(content):
        if kind == b"EXIF":
            exif = body.removeprefix(_EXIF_PREFIX)
        elif kind == b"XMP ":
            xmp = body
        elif kind == b"VP8L":
            lossless = True
    return Metadata(exif=exif, xmp=xmp, webp_lossless=lossless)


def png_blocks(metadata: Metadata, has_profile: bool) -> list[tuple[bytes, bytes]]:
    """The chunks between a PNG's header and its picture data, without the profile."""
    # A profile and an sRGB chunk are mutually exclusive (ISO/IEC 15948).
    ours = tuple({name.partition(":")[0].encode("latin-1") + b":" for name, _ in metadata.texts})
    chunks = [(kind, body) for kind, body in metadata.png if not (has_profile and kind == b"sRGB")]
    chunks = [(kind, body) for kind, body in chunks if not (ours and kind == b"iTXt" and body.startswith(ours))]
    if metadata.exif is not None:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp is not None:
        chunks.append((b"iTXt", _PNG_XMP_PREFIX + metadata.xmp))
    for name, text in metadata.texts:
        chunks.append((b"iTXt", name.encode("latin-1") + b"\x00" + _ITXT_PLAIN + text.encode()))
    return chunks


def jpeg_blocks(metadata: Metadata) -> list[tuple[int, bytes]]:
    """The segments after a JPEG's JFIF header; blocks too long for a segment are dropped."""
    segments = []
    if metadata.exif is not None:
        segments.append((0xE1, _EXIF_PREFIX + metadata.exif))
    if metadata.xmp is not None:
        segments.append((0xE1, _XMP_PREFIX + metadata.xmp))
    return [(marker, body) for marker, body in [*segments, *metadata.jpeg] if len(body) <= 0xFFFD]
