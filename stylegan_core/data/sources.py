"""What prepare reads: each picture with its place in a shot or collection, before any is decoded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from stylegan_core.frames.sequences.listing import list_pictures

_FOLDERS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}

Role = Literal["collection", "pair", "plate", "painted", "truth", "mask"]


class SourceError(ValueError):
    """A source is missing, empty or does not fit together; the message says which and what to do."""


@dataclass(frozen=True)
class Source:
    """One picture to decode.

    Attributes:
        path: where it is read.
        shown: its name in the manifest and in messages.
        group: the listing that it belongs to, in words; ``max_bad_fraction`` holds for each group.
        role: what it is there.
        domain: of its row in the manifest; empty for a mask.
        space: how its colours are read.
        keep: its samples go into the store.
        shot: name of its shot, or empty.
        frame: number in its shot, or None.
        pair: id that it shares with its other half, or empty.
        of: for a mask, ``shown`` of the painted frame that it belongs to.
        name: its path below the folder that was listed, for labels and folders of splits.
        split: its own; empty leaves it to its content.
        labels: its attributes, as the manifest holds them.
        refusal: why it cannot be used, where that is known before it is decoded, in words.
    """

    path: Path
    shown: str
    group: str
    role: Role
    domain: str
    space: str = "auto"
    keep: bool = True
    shot: str = ""
    frame: int | None = None
    pair: str = ""
    of: str = ""
    name: str = ""
    split: str = ""
    labels: str = ""
    refusal: str = ""


@dataclass(frozen=True)
class Place:
    """How paths are shown: relative to the project where they lie inside.

    Attributes:
        project: the project's root.
        moved: (folder as it is read, folder as it is shown), for files that lie elsewhere while prepare runs.
    """

    project: Path
    moved: tuple[tuple[Path, Path], ...] = ()

    def moving(self, read: Path, shown: Path) -> Place:
        """The same, with one more folder that lies elsewhere while prepare runs."""
        return Place(self.project, (*self.moved, (read, shown)))

    def show(self, path: Path) -> str:
        """``path`` for the manifest: relative to the project if inside, with forward slashes."""
        # Neither links nor ".." are resolved: a linked data folder is named as the user named it, and a folder beside
        # the project has the same name in another clone.
        absolute, project = path.absolute(), self.project.absolute()
        for read, shown in self.moved:
            if absolute.is_relative_to(read.absolute()):
                absolute = shown.absolute() / absolute.relative_to(read.absolute())
        return absolute.relative_to(project).as_posix() if absolute.is_relative_to(project) else absolute.as_posix()


def list_collection(folder: Path, domain: str, space: str, place: Place) -> list[Source]:
    """The pictures of a folder and its sub-folders as one collection.

    Args:
        folder: of the collection.
        domain: "content" or "style".
        space: how its colours are read.
        place: how paths are shown.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no pictures.
    """
    group = f"the {domain} collection {place.show(folder)}"
    return [
        Source(frame.path, place.show(frame.path), group, "collection", domain, space, name=frame.relative.as_posix())
        for frame in list_pictures(folder)
    ]


def list_pairs(
    content: Path,
    style: Path,
    content_space: str,
    style_space: str,
    place: Place,
    *,
    shot: str = "",
    prefix: str = "",
) -> list[Source]:
    """Before and after pictures of two folders, matched by their paths below them without suffixes.

    Args:
        content: folder of the pictures before.
        style: folder of the pictures after.
        content_space: how the colours before are read.
        style_space: how the colours after are read.
        place: how paths are shown.
        shot: the shot that they help to train, or empty.
        prefix: of the pair ids.

    Raises:
        FileNotFoundError: there is no such folder.
        SourceError: pictures have no partner, or two share a name.
    """
    before, after = by_name(content, place), by_name(style, place)
    unmatched = [place.show(p) for name, p in before.items() if name not in after]
    unmatched += [place.show(p) for name, p in after.items() if name not in before]
    if unmatched:
        raise SourceError(
            f"no partner of the same name in the other folder: {abbreviate(unmatched)} "
            f"({place.show(content)} and {place.show(style)} are matched by name, whatever the suffix)"
        )
    groups = (f"the pictures before, {place.show(content)}", f"the pictures after, {place.show(style)}")
    sources = []
    for name in before:
        pair = f"{prefix}{name}"
        for path, group, domain, space in (
            (before[name], groups[0], "content", content_space),
            (after[name], groups[1], "style", style_space),
        ):
            shown, own = place.show(path), f"{name}{path.suffix}"
            sources.append(Source(path, shown, group, "pair", domain, space, shot=shot, pair=pair, name=own))
    return sources


def split_by_folders(sources: Iterable[Source]) -> list[Source]:
    """The sources with the splits that their topmost folders name: train, val or validation, test.

    Raises:
        SourceError: a picture lies in none of these.
    """
    placed = [replace(source, split=_FOLDERS.get(source.name.split("/")[0].lower(), "")) for source in sources]
    if unknown := [source.shown for source in placed if not source.split]:
        raise SourceError(
            "prepare.split is folders: put each picture into a folder train, val, validation or test; "
            f"these lie in none: {abbreviate(unknown)}"
        )
    return placed


def abbreviate(names: Iterable[str], limit: int = 5) -> str:
    """The first few names, and how many more there are, for a message."""
    listed = list(names)
    return ", ".join(listed[:limit]) + (f" and {len(listed) - limit} more" if len(listed) > limit else "")


def by_name(folder: Path, place: Place) -> dict[str, Path]:
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
                f"{place.show(found[name])} and {place.show(frame.path)} have the same name without their suffixes, "
                "so that their partner is not clear: rename or remove one"
            )
        found[name] = frame.path
    return found
