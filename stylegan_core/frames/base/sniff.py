"""What a file says that it is: its format by content, and the size that it declares before a pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from stylegan_core.frames.base.errors import UnreadablePictureError

FORMATS = ("png", "jpeg", "webp", "tiff", "exr", "dpx")
SUFFIX_FORMATS = {
    ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".tif": "tiff", ".tiff": "tiff",
    ".exr": "exr", ".sxr": "exr", ".mxr": "exr", ".dpx": "dpx",
}  # fmt: skip
_SUPPORTED_WORDS = "PNG, JPEG, WebP, TIFF, EXR and DPX are read"

# Formats that people do hand in, so that the refusal can name them.
_KNOWN_UNSUPPORTED = (
    (0, b"GIF8", "a GIF"),
    (0, b"BM", "a BMP"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"%PDF", "a PDF"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x80\x2a\x5f\xd7", "a Cineon picture"),
    (0, b"\xd7\x5f\x2a\x80", "a Cineon picture"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (0, b"#?RADIANCE", "a Radiance HDR picture"),
    (4, b"ftypheic", "a HEIC picture"),
    (4, b"ftypheix", "a HEIC picture"),
    (4, b"ftypmif1", "a HEIF picture"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftyp", "a movie"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM movie"),
)


@dataclass(frozen=True)
class Declared:
    """What the header of a picture file declares.

    Attributes:
        width_px: columns as stored, before any EXIF orientation.
        height_px: rows as stored.
        frames: pages of a TIFF, frames of an animation; only the first is read.
    """

    width_px: int
    height_px: int
    frames: int = 1


def sniff(head: bytes) -> str:
    """The format by content, one of FORMATS.

    Args:
        head: the file's first bytes, 64 or more if it has them.
    Raises:
        UnreadablePictureError: the file is empty, text, or in another format.
    """
    if not head:
        raise UnreadablePictureError("the file is empty (0 bytes)")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "tiff"
    if head.startswith(b"\x76\x2f\x31\x01"):
        return "exr"
    if head[:4] in (b"SDPX", b"XPDS"):
        return "dpx"
    for offset, magic, words in _KNOWN_UNSUPPORTED:
        if head[offset : offset + len(magic)] == magic:
            raise UnreadablePictureError(f"it is {words}; {_SUPPORTED_WORDS}")
    if head.startswith(b"version https://git-lfs"):
        raise UnreadablePictureError("it is a Git LFS pointer: the picture itself was not downloaded")
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        raise UnreadablePictureError("it is an HTML page, not a picture")
    if head.lstrip().startswith((b"<svg", b"<?xml")):
        raise UnreadablePictureError(f"it is XML or SVG text, not a picture; {_SUPPORTED_WORDS}")
    if not head.strip(b"\x00"):
        raise UnreadablePictureError("it starts with zero bytes only: an unfinished or lost copy")
    if b"\x89PNG"[1:] in head[:8] or head.startswith(b"\x89PN"):
        raise UnreadablePictureError("its PNG signature is damaged (copied as text?)")
    if _is_text(head):
        raise UnreadablePictureError("it is a text file, not a picture")
    raise UnreadablePictureError(f"it is not a picture in a format known here; {_SUPPORTED_WORDS}")


def _is_text(head: bytes) -> bool:
    for encoding in ("utf-8", "utf-16"):
        # A multi-byte character may be cut at the end of the head.
        for end in range(4):
            try:
                words = head[: len(head) - end].decode(encoding)
            except UnicodeDecodeError:
                continue
            return all(letter.isprintable() or letter.isspace() for letter in words)
    return False
