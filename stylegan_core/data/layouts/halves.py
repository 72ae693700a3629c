"""Splits pictures that hold content and style side by side, as pix2pix's data sets do, into pairs of files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from stylegan_core.data.choices import Half
from stylegan_core.data.layouts.unpacking import Unpacked, build_once
from stylegan_core.data.sources import PathDisplay, Source, by_name
from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.storage.hashing import sha256_of


@dataclass(frozen=True)
class UnpackedHalves(Unpacked):
    """Unpacked halves.

    Attributes:
        refusals: why pictures are refused, by name without suffix.
    """

    refusals: Mapping[str, str]

    def dump(self) -> dict[str, object]:
        """The refusals as a JSON object."""
        return dict(self.refusals)

    @classmethod
    def parse(cls, files: Path, facts: Mapping[str, Any]) -> Self:
        """The pictures in ``files`` with the refusals in ``facts``."""
        return cls(files, facts)


def unpack_halves(folder: Path, display: PathDisplay, *, max_megapixels: float) -> UnpackedHalves:
    """Writes both halves of each picture of a folder as PNG, ``left/NAME.png`` and ``right/NAME.png``.

    Samples, ICC profile and metadata are kept.

    Args:
        folder: of the pictures.
        display: how paths are shown.
        max_megapixels: pictures that declare more are refused.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no pictures.
        SourceError: two pictures share a name without their suffixes.
    """
    pictures = by_name(folder, display)

    def build(files: Path) -> UnpackedHalves:
        def split(name: str) -> str:
            return _split_picture(pictures[name], files, name, max_megapixels)

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="halves") as pool:
            reasons = zip(pictures, pool.map(split, pictures), strict=True)
            return UnpackedHalves(files, {name: reason for name, reason in reasons if reason})

    recipe = [Path(__file__).read_text(encoding="utf-8"), max_megapixels, sorted(_digests(pictures.items()))]
    return build_once("halves", recipe, UnpackedHalves, build)


def list_halves(
    folder: Path,
    unpacked: UnpackedHalves,
    content_half: Half,
    content_space: str,
    style_space: str,
    display: PathDisplay,
) -> list[Source]:
    """The halves as pairs; a picture that is refused is listed once, with its reason.

    Args:
        folder: of the pictures.
        unpacked: of ``unpack_halves``.
        content_half: the half that is content.
        content_space: how the colours of content are read.
        style_space: how the colours of style are read.
        display: how paths are shown; it names the unpacked files.
    """
    style_half = "right" if content_half == "left" else "left"
    group = f"the {{}} halves of {display.show(folder)}"
    sources = []
    for pair, path in by_name(folder, display).items():
        name = f"{pair}{path.suffix}"
        if reason := unpacked.refusals.get(pair):
            of = group.format(content_half)
            sources.append(Source(path, display.show(path), of, "pair", "content", name=name, refusal=reason))
            continue
        for half, domain, space in ((content_half, "content", content_space), (style_half, "style", style_space)):
            file = unpacked.files / half / f"{pair}.png"
            of = group.format(half)
            sources.append(Source(file, display.show(file), of, "pair", domain, space, pair=pair, name=name))
    return sources


def _split_picture(path: Path, files: Path, name: str, max_megapixels: float) -> str:
    """Writes the halves of one picture; returns the reason if it is refused, else an empty text."""
    try:
        picture = read_picture(path, max_megapixels=max_megapixels)
    except UnreadablePictureError as error:
        return error.reason
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if picture.pixels.dtype.kind != "u":
        return "holds float samples, which PNG halves cannot hold: use two folders with prepare.source pairs"
    if picture.width_px % 2:
        return f"is {picture.width_px} px wide: an odd width has no two equal halves"
    middle = picture.width_px // 2
    for half, columns in (("left", slice(None, middle)), ("right", slice(middle, None))):
        file = files / half / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_picture(file, replace(picture, pixels=picture.pixels[:, columns], warnings=()))
    return ""


def _digests(pictures: Iterable[tuple[str, Path]]) -> Iterable[tuple[str, str]]:
    for name, path in pictures:
        try:
            yield name, sha256_of(path)
        except OSError as error:  # refused when it is decoded; the recipe changes once it can be read
            yield name, f"unreadable: {error}"
