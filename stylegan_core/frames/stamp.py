"""Provenance in a file's own metadata: what made it, so that a copy still answers where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stylegan_core.frames.attributes import read_attributes, with_attributes
from stylegan_core.frames.picture import Picture

_PREFIX = "stylereel:"


def stamp(picture: Picture, facts: Mapping[str, str]) -> Picture:
    """A picture that carries facts when it is written; equal facts give equal bytes.

    Args:
        picture: any.
        facts: each a line, by a name of letters, digits and underscores.
    """
    texts = {_PREFIX + name: " ".join(text.split()) for name, text in facts.items() if text}
    return with_attributes(picture, texts) if texts else picture


def read_stamp(path: Path) -> dict[str, str]:
    """The facts in a picture file; none if it has none.

    Raises:
        UnreadablePictureError: it is no picture, or its headers are damaged.
        OSError: it cannot be read.
    """
    return {name.removeprefix(_PREFIX): text for name, text in read_attributes(path).items()}
