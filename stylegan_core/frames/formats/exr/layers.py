"""Primary layers of an OpenEXR file: the channels that are its picture, for each view; the others pass through.

Views follow "Storing Multi-View Images in OpenEXR Files": they are named by the attribute ``multiView`` and channels
such as ``left.R``, or by each part's attribute ``view``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.formats.exr.headers import ExrChannel, ExrPart, string_vector

_PRIMARY_NAMES = frozenset({"", "rgba", "rgb", "beauty", "combined", "main", "color", "colour"})
_COLOURS = ("R", "G", "B")
_LUMINANCE, _ALPHA = "Y", "A"
_CHROMA = frozenset({"RY", "BY"})


@dataclass(frozen=True)
class PrimaryLayer:
    """The picture of one view.

    Attributes:
        part: index.
        channels: names in the file, in the order R, G, B (or Y), alpha if there is one.
        has_alpha: whether the last one is alpha.
        view: its name; None in a file without views.
    """

    part: int
    channels: tuple[str, ...]
    has_alpha: bool
    view: str | None


@dataclass(frozen=True)
class _Group:
    """The channels of a layer in one view: their names in the file by their role, such as "R" or "A"."""

    part: int
    layer: str
    view: str | None
    names: dict[str, str]

    @property
    def colours(self) -> tuple[str, ...]:
        if all(colour in self.names for colour in _COLOURS):
            return _COLOURS
        return (_LUMINANCE,) if _LUMINANCE in self.names else ()


def find_primary_layers(parts: Sequence[ExrPart]) -> tuple[PrimaryLayer, ...]:
    """The primary layer of each view, the main view first.

    Args:
        parts: of the file.
    Raises:
        UnreadablePictureError: it has no picture, or one of an unsupported kind (deep, luminance and chroma, integers
            without a scale).
    """
    groups = [group for number, part in enumerate(parts) for group in _groups(number, part)]
    pictures = [group for group in groups if group.colours]
    if not pictures:
        names = [channel.name for part in parts for channel in part.channels]
        raise UnreadablePictureError(f"it has no colours: its channels are {', '.join(names[:8])}")
    views = _views(parts)
    main = min(pictures, key=lambda group: (_rank(parts, group, views), group.part))
    chosen = [_primary_layer(parts, main)]
    for view in views:
        if view != main.view and main.view is not None:
            there = [group for group in pictures if group.view == view]
            others = [group for group in there if _base(parts, group) == _base(parts, main)]
            others = others or (there if len(there) == 1 else [])
            layer = next((_primary_layer(parts, group) for group in others if _alike(parts, main, group)), None)
            chosen += [] if layer is None else [layer]
    return tuple(chosen)


def other_layers(parts: Sequence[ExrPart], layers: Sequence[PrimaryLayer]) -> tuple[str, ...]:
    """Names of all channels that pass through, with their part's name in multi-part files."""
    owned = {(layer.part, name) for layer in layers for name in layer.channels}
    return tuple(
        f"{part.text('name')}:{channel.name}" if len(parts) > 1 else channel.name
        for number, part in enumerate(parts)
        for channel in part.channels
        if (number, channel.name) not in owned
    )


def _views(parts: Sequence[ExrPart]) -> tuple[str, ...]:
    """Names of all views, the main one first."""
    named = [part.text("view") for part in parts]
    listed = [attribute for part in parts if (attribute := part.attribute("multiView")) is not None]
    many = string_vector(listed[0].value) if listed and listed[0].kind == "stringvector" else ()
    return tuple(dict.fromkeys([*many, *(view for view in named if view)]))


def _groups(number: int, part: ExrPart) -> list[_Group]:
    views = _views([part])
    whole_part = part.text("view")
    main = whole_part or (views[0] if views else None)
    groups: dict[tuple[str, str | None], _Group] = {}
    for channel in part.channels:
        *path, name = channel.name.split(".")
        view = main
        if path and path[-1] in views:
            view = path.pop()
        layer = ".".join(path)
        group = groups.setdefault((layer, view), _Group(number, layer, view, {}))
        group.names.setdefault(name if name in (*_CHROMA, _LUMINANCE) else name.upper(), channel.name)
    return list(groups.values())


def _base(parts: Sequence[ExrPart], group: _Group) -> str:
    """The layer's name without its view; in multi-part files with the part's name before it."""
    name = (parts[group.part].text("name") or "") if len(parts) > 1 else ""
    if group.view and name.endswith(group.view):
        name = name.removesuffix(group.view).rstrip("._- ")
    return f"{name}.{group.layer}".strip(".")


def _rank(parts: Sequence[ExrPart], group: _Group, views: Sequence[str]) -> tuple[bool, int, bool, bool]:
    """Sort key, lowest for the most likely picture: main view, a usual name, RGB, not deep."""
    name = _base(parts, group).rpartition(".")[2].lower()
    by_name = 0 if not group.layer and name in _PRIMARY_NAMES else 1 if name in _PRIMARY_NAMES else 2
    other_view = bool(views) and group.view not in (views[0], None)
    return other_view, by_name, group.colours != _COLOURS, parts[group.part].deep


def _alike(parts: Sequence[ExrPart], main: _Group, other: _Group) -> bool:
    """Whether a view's picture has the same channels and types as the main view's."""
    if main.colours != other.colours or (_ALPHA in main.names) != (_ALPHA in other.names):
        return False
    try:
        layers = _primary_layer(parts, main), _primary_layer(parts, other)
    except UnreadablePictureError:
        return False
    types = [[_channel(parts[b.part], name).sample_type for name in b.channels] for b in layers]
    return types[0] == types[1]


def _primary_layer(parts: Sequence[ExrPart], group: _Group) -> PrimaryLayer:
    part = parts[group.part]
    if part.deep:
        raise UnreadablePictureError("it is a deep EXR, with a list of samples in each pixel: flatten it first")
    if part.levels:
        raise UnreadablePictureError("unsupported: a texture with several levels of detail, not a frame")
    if any(channel.sampling != (1, 1) for channel in part.channels):
        subsampled = "luminance and chroma (Y, RY, BY)" if _CHROMA & group.names.keys() else "channels of lower size"
        raise UnreadablePictureError(f"unsupported: it holds {subsampled}: convert it to RGB first")
    has_alpha = _ALPHA in group.names
    names = tuple(group.names[name] for name in (*group.colours, *((_ALPHA,) if has_alpha else ())))
    numbers = [name for name in names if _channel(part, name).sample_type == "uint32"]
    if numbers:
        raise UnreadablePictureError(f"unsupported: its {numbers[0]} holds integers (uint32), not light")
    return PrimaryLayer(group.part, names, has_alpha, group.view)


def _channel(part: ExrPart, name: str) -> ExrChannel:
    return next(channel for channel in part.channels if channel.name == name)
