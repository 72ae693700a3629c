"""Provenance in a file's own metadata: what made it, so that a copy still answers where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.text_metadata import read_attributes, with_attributes

_PREFIX = "stylereel:"
_MOVIES = frozenset({"mov", "mp4", "matroska", "mxf", "avi", "nut"})


def provenance_tags(picture: Picture, facts: Mapping[str, str]) -> Picture:
    """A picture that carries facts when it is written; equal facts give equal bytes.

    Args:
        picture: any.
        facts: each a line, by a name of letters, digits and underscores.
    """
    texts = {_PREFIX + name: " ".join(text.split()) for name, text in facts.items() if text}
    return with_attributes(picture, texts) if texts else picture


def movie_tags(facts: Mapping[str, str]) -> dict[str, str]:
    """Facts as the tags of a movie's container."""
    return {_PREFIX + name: text for name, text in facts.items() if text}


def read_stamp(path: Path) -> dict[str, str]:
    """The facts in a picture or movie; none if it has none.

    Raises:
        UnreadablePictureError: it is neither, or its headers are damaged.
        OSError: it cannot be read.
    """
    try:
        texts = read_attributes(path)
    except UnreadablePictureError:
        tags = _tags_of_movie(path)
        if tags is None:
            raise
        texts = tags
    return {name.removeprefix(_PREFIX): text for name, text in texts.items() if name.startswith(_PREFIX)}


def _tags_of_movie(path: Path) -> dict[str, str] | None:
    """Tags of a container, whose names Matroska writes in capitals; None if it is no movie."""
    import av

    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if _MOVIES.isdisjoint(container.format.name.split(",")):  # FFmpeg takes texts for pictures of letters
                return None
            return {name.lower(): text for name, text in container.metadata.items()}
    except av.FFmpegError:
        return None
