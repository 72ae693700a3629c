"""Lists the pictures that prepare reads, and defines ``Source``, the form of a picture until it is stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from stylegan_core.data.manifest import Box
from stylegan_core.frames.sequences.listing import list_pictures

_FOLDERS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}

Role = Literal["collection", "pair", "shot", "mask"]


class SourceError(ValueError):
    """A source is missing or empty, or sources do not fit together; the message says which and what to do."""


@dataclass(frozen=True)
class DecodedFacts:
    """What decoding found out about a picture; the cache keeps it with the samples.

    Attributes:
        sha256: of the file; empty if it could not be read.
        size_bytes: of the file.
        refusal: why the picture is refused, in words; empty if it is good.
        width_px: after EXIF orientation, and of the samples.
        height_px: after EXIF orientation, and of the samples.
        pixels_sha256: of the decoded pixels: equal for copies, whatever their names, metadata and lossless format.
        colour: how the colours were read, for the report.
        translucent: the picture has an alpha channel that is not opaque everywhere.
        mask_box: around what a mask marks by more than half; None if that is nothing, and for other pictures.
        corner: which is most like the whole in detail: 0 top left, 1 top right, 2 bottom left, 3 bottom right.
        warnings: for the report, in words.
        cached: the file with the samples; None if the source does not keep them.
    """

    sha256: str = ""
    size_bytes: int = 0
    refusal: str = ""
    width_px: int = 0
    height_px: int = 0
    pixels_sha256: str = ""
    colour: str = ""
    translucent: bool = False
    mask_box: Box | None = None
    corner: int = 0
    warnings: tuple[str, ...] = ()
    cached: Path | None = None


@dataclass(frozen=True)
class Source:
    """A picture from its listing to the store; ``decode`` and ``select`` return it with their fields filled.

    Attributes:
        path: where it is read.
        display_path: its path in the manifest and in messages, from ``PathDisplay``.
        group: the listing that it belongs to, in words; ``max_bad_fraction`` holds for each group.
        role: what it is listed as; a "mask" gets no row of the manifest.
        domain: "content", "style" or "truth"; empty for a mask.
        space: how its colours are read.
        keep: its samples go into the store.
        shot: name of its shot, or empty.
        frame: number in its shot, or None.
        pair: id that it shares with its other half, or empty.
        masked: for a mask, ``display_path`` of the style frame that it belongs to.
        name: its path below the folder that was listed, for labels and folders of splits.
        listed_split: split that its folder or data set names; empty leaves it to ``select``.
        labels: its attributes, as the manifest holds them.
        refusal: why it cannot be used, where that is known before it is decoded, in words.
        facts: from ``decode``.
        split: from ``select``.
        held_out: from ``select``: area kept for validation, or None.
        mask: from ``select``: the mask of a style frame, or None.
    """

    path: Path
    display_path: str
    group: str
    role: Role
    domain: str
    space: str = "auto"
    keep: bool = True
    shot: str = ""
    frame: int | None = None
    pair: str = ""
    masked: str = ""
    name: str = ""
    listed_split: str = ""
    labels: str = ""
    refusal: str = ""
    facts: DecodedFacts = field(default_factory=DecodedFacts)
    split: str = ""
    held_out: Box | None = None
    mask: Source | None = None


@dataclass(frozen=True)
class PathDisplay:
    """How paths appear in the manifest and in messages: relative to the project where they lie inside.

    Attributes:
        project: the project's root.
        moved: (folder while prepare runs, folder afterwards), for files that prepare copies into its output.
    """

    project: Path
    moved: tuple[tuple[Path, Path], ...] = ()

    def with_moved(self, current: Path, final: Path) -> PathDisplay:
        """A copy that shows files of the folder ``current`` as files of ``final``."""
        return PathDisplay(self.project, (*self.moved, (current, final)))

    def show(self, path: Path) -> str:
        """``path`` for the manifest: relative to the project if inside, with forward slashes."""
        # Neither links nor ".." are resolved: a linked data folder is named as the user named it, and a folder next to
        # the project has the same name in another clone.
        absolute, project = path.absolute(), self.project.absolute()
        for current, final in self.moved:
            if absolute.is_relative_to(current.absolute()):
                absolute = final.absolute() / absolute.relative_to(current.absolute())
        return absolute.relative_to(project).as_posix() if absolute.is_relative_to(project) else absolute.as_posix()


def list_collection(folder: Path, domain: str, space: str, display: PathDisplay) -> list[Source]:
    """The pictures of a folder and its sub-folders as one collection.

    Args:
        folder: of the collection.
        domain: "content" or "style".
        space: how its colours are read.
        display: how paths are shown.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no pictures.
    """
    group = f"the {domain} collection {display.show(folder)}"
    return [
        Source(frame.path, display.show(frame.path), group, "collection", domain, space, name=frame.relative.as_posix())
        for frame in list_pictures(folder)
    ]


def list_pairs(
    content: Path,
    style: Path,
    content_space: str,
    style_space: str,
    display: PathDisplay,
    *,
    shot: str = "",
    prefix: str = "",
) -> list[Source]:
    """Content and style pictures of two folders, matched by their paths below them without suffixes.

    Args:
        content: folder of the content pictures.
        style: folder of the style pictures.
        content_space: how the colours of content pictures are read.
        style_space: how the colours of style pictures are read.
        display: how paths are shown.
        shot: the shot that they help to train, or empty.
        prefix: of the pair ids.

    Raises:
        FileNotFoundError: there is no such folder.
        SourceError: pictures have no partner, or two share a name.
    """
    contents, styles = by_name(content, display), by_name(style, display)
    unmatched = [display.show(p) for name, p in contents.items() if name not in styles]
    unmatched += [display.show(p) for name, p in styles.items() if name not in contents]
    if unmatched:
        raise SourceError(
            f"no partner of the same name in the other folder: {abbreviate(unmatched)} "
            f"({display.show(content)} and {display.show(style)} are matched by name, whatever the suffix)"
        )
    # These words are keys of report.json.
    groups = (f"the pictures before, {display.show(content)}", f"the pictures after, {display.show(style)}")
    sources = []
    for name in contents:
        pair = f"{prefix}{name}"
        for path, group, domain, space in (
            (contents[name], groups[0], "content", content_space),
            (styles[name], groups[1], "style", style_space),
        ):
            shown, own = display.show(path), f"{name}{path.suffix}"
            sources.append(Source(path, shown, group, "pair", domain, space, shot=shot, pair=pair, name=own))
    return sources


def split_by_folders(sources: Iterable[Source]) -> list[Source]:
    """The sources with the splits that their topmost folders name: train, val or validation, test.

    Raises:
        SourceError: a picture lies in none of these.
    """
    split = [replace(source, listed_split=_FOLDERS.get(source.name.split("/")[0].lower(), "")) for source in sources]
    if unknown := [source.display_path for source in split if not source.listed_split]:
        raise SourceError(
            "prepare.split is folders: put each picture into a folder train, val, validation or test; "
            f"these lie in none: {abbreviate(unknown)}"
        )
    return split


def abbreviate(names: Iterable[str], limit: int = 5) -> str:
    """The first few names, and how many more there are, for a message."""
    listed = list(names)
    return ", ".join(listed[:limit]) + (f" and {len(listed) - limit} more" if len(listed) > limit else "")


def by_name(folder: Path, display: PathDisplay) -> dict[str, Path]:
    """The pictures of a folder and its sub-folders by their paths below it without suffixes.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no pictures.
        SourceError: two share a name.
    """
    found: dict[str, Path] = {}
    for frame in list_pictures(folder):
        name = frame.relative.with_suffix("").as_posix()
        if name in found:
            raise SourceError(
                f"{display.show(found[name])} and {display.show(frame.path)} have the same name without their "
                "suffixes, so that their partner is not clear: rename or remove one"
            )
        found[name] = frame.path
    return found
