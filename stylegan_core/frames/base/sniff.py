"""Format sniffing: the format of a picture file by its first bytes, and the size in its header before decoding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stylegan_core.frames.base.errors import UnreadablePictureError

FORMATS = ("png", "jpeg", "webp", "tiff", "exr", "dpx")
SUFFIX_FORMATS = {
    ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".tif": "tiff", ".tiff": "tiff",
    ".exr": "exr", ".sxr": "exr", ".mxr": "exr", ".dpx": "dpx",
}  # fmt: skip
_SUPPORTED = "supported formats: PNG, JPEG, WebP, TIFF, EXR, DPX"
_SIGNATURES: tuple[tuple[str, tuple[tuple[int, bytes], ...]], ...] = (
    ("png", ((0, b"\x89PNG\r\n\x1a\n"),)),
    ("jpeg", ((0, b"\xff\xd8\xff"),)),
    ("webp", ((0, b"RIFF"), (8, b"WEBP"))),
    ("tiff", ((0, b"II*\x00"),)),
    ("tiff", ((0, b"MM\x00*"),)),
    ("tiff", ((0, b"II+\x00"),)),
    ("tiff", ((0, b"MM\x00+"),)),
    ("exr", ((0, b"\x76\x2f\x31\x01"),)),
    ("dpx", ((0, b"SDPX"),)),
    ("dpx", ((0, b"XPDS"),)),
)
"""Format, and the bytes at certain offsets that identify it."""
# Common unsupported formats, for the error message.
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
class PictureHeader:
    """What the header of a picture file declares.

    Attributes:
        width_px: columns as stored, before any EXIF orientation.
        height_px: rows as stored.
        frames: pages of a TIFF, frames of an animation; only the first is read.
    """

    width_px: int
    height_px: int
    frames: int = 1


CheckSize = Callable[[PictureHeader], None]
"""Called with the declared size as soon as it is known; raises if a picture of that size must not be decoded."""


def sniff(head: bytes) -> str:
    """The format by content, one of FORMATS.

    Args:
        head: the first bytes of the file, at least 64 if it has them.
    Raises:
        UnreadablePictureError: the file is empty, text, or in another format.
    """
    if not head:
        raise UnreadablePictureError("the file is empty (0 bytes)")
    for picture_format, signature in _SIGNATURES:
        if all(head[offset : offset + len(magic)] == magic for offset, magic in signature):
            return picture_format
    raise UnreadablePictureError(_refusal(head))


def _refusal(head: bytes) -> str:
    """Why a file of no supported format is refused."""
    for offset, magic, words in _KNOWN_UNSUPPORTED:
        if head[offset : offset + len(magic)] == magic:
            return f"it is {words}; {_SUPPORTED}"
    text = head.lstrip()
    reasons = (
        (head.startswith(b"version https://git-lfs"), "it is a Git LFS pointer: the picture was not downloaded"),
        (text[:9].lower().startswith((b"<!doctype", b"<html")), "it is an HTML page, not a picture"),
        (text.startswith((b"<svg", b"<?xml")), f"it is XML or SVG text, not a picture; {_SUPPORTED}"),
        (not head.strip(b"\x00"), "it starts with zero bytes only: an incomplete or lost copy"),
        (b"PNG" in head[:8] or head.startswith(b"\x89PN"), "its PNG signature is damaged (copied as text?)"),
        (_is_text(head), "it is a text file, not a picture"),
    )
    return next(
        (reason for applies, reason in reasons if applies), f"it is not a picture of a known format; {_SUPPORTED}"
    )


def _is_text(head: bytes) -> bool:
    for encoding in ("utf-8", "utf-16"):
        # The end of the head may split a multi-byte character.
        for end in range(4):
            try:
                words = head[: len(head) - end].decode(encoding)
            except UnicodeDecodeError:
                continue
            return all(letter.isprintable() or letter.isspace() for letter in words)
    return False
