"""Text metadata of picture files, stored in the way of each format.

EXR: string attributes of the header. DPX: the end of the user data. PNG: iTXt chunks. TIFF, JPEG and WebP: XMP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from stylegan_core.frames.base.sniff import sniff
from stylegan_core.frames.formats import xmp
from stylegan_core.frames.formats.dpx import dpx
from stylegan_core.frames.formats.exr.headers import read_headers
from stylegan_core.frames.formats.exr.read import reader
from stylegan_core.frames.pictures.metadata import Metadata, png_texts, read_metadata
from stylegan_core.frames.pictures.picture import Picture

_PREFIX = "stylereel:"
_DPX_HEAD_BYTES = 1 << 20


def with_text_metadata(picture: Picture, texts: Mapping[str, str]) -> Picture:
    """Adds texts to the metadata of a picture.

    Args:
        picture: any.
        texts: of one line each, by names of the form "stylereel:NAME", NAME of letters, digits, "_", "." and "-". They
            replace all earlier ones in the file.
    Raises:
        ValueError: a name has another form.
    """
    xmp.with_texts(None, texts)
    metadata = picture.metadata or Metadata()
    return replace(picture, metadata=replace(metadata, texts=tuple({**dict(metadata.texts), **texts}.items())))


def read_text_metadata(path: Path) -> dict[str, str]:
    """The texts named "stylereel:..." in a file's metadata.

    Args:
        path: a picture file of any supported format.
    Raises:
        UnreadablePictureError: it is not a picture, or its headers are damaged.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(512)
        picture_format = sniff(head)
        if picture_format == "exr":
            parts = read_headers(reader(file.fileno()))[1]
            names = [a.name for part in parts for a in part.attributes if a.name.startswith(_PREFIX)]
            found = {name: part.text(name) for name in names for part in parts if part.text(name) is not None}
            return {name: text for name, text in found.items() if text is not None}
        if picture_format == "dpx":
            return dpx.read_texts(head + file.read(_DPX_HEAD_BYTES))
        metadata = read_metadata(picture_format, head + file.read())
    texts = png_texts(metadata) if picture_format == "png" else xmp.read_texts(metadata.xmp)
    return {name: text for name, text in texts.items() if name.startswith(_PREFIX)}
