"""Provenance tags in a file's metadata: what made it, readable from any copy of the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.text_metadata import read_text_metadata, with_text_metadata

_PREFIX = "stylereel:"
_MOVIES = frozenset({"mov", "mp4", "matroska", "mxf", "avi", "nut"})


def provenance_tags(picture: Picture, facts: Mapping[str, str]) -> Picture:
    """Adds provenance to the metadata of a picture; equal facts give equal bytes.

    Args:
        picture: any.
        facts: one line each, by a name of letters, digits and underscores.
    """
    texts = {_PREFIX + name: " ".join(text.split()) for name, text in facts.items() if text}
    return with_text_metadata(picture, texts) if texts else picture


def movie_tags(facts: Mapping[str, str]) -> dict[str, str]:
    """Provenance as tags for a movie's container."""
    return {_PREFIX + name: text for name, text in facts.items() if text}


def read_provenance_tags(path: Path) -> dict[str, str]:
    """The provenance tags of a picture or movie; empty without any.

    Raises:
        UnreadablePictureError: it is neither, or its headers are damaged.
        OSError: it cannot be read.
    """
    try:
        texts = read_text_metadata(path)
    except UnreadablePictureError:
        tags = _tags_of_movie(path)
        if tags is None:
            raise
        texts = tags
    return {name.removeprefix(_PREFIX): text for name, text in texts.items() if name.startswith(_PREFIX)}


def _tags_of_movie(path: Path) -> dict[str, str] | None:
    """Tags of a movie container, in lower case (Matroska stores capitals); None if it is not a movie."""
    import av

    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if _MOVIES.isdisjoint(container.format.name.split(",")):  # FFmpeg decodes text files as pictures of letters
                return None
            return {name.lower(): text for name, text in container.metadata.items()}
    except av.FFmpegError:
        return None
