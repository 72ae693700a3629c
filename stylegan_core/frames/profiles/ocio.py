"""Colour spaces by name through OpenColorIO 2: a pinned built-in ACES config, or the user's own.

PyOpenColorIO is imported only when a config is loaded: ``colour.convert`` handles sRGB and linear Rec.709 itself.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PINNED_CONFIG = "ocio://studio-config-v4.0.0_aces-v2.0_ocio-v2.5"
"""The default if neither a config is given nor $OCIO is set. ``ocio://default`` would change with the library."""

VIEW = "view:"
"""Prefix of display-referred spaces: "view:DISPLAY/VIEW"; the config's defaults replace a missing view or display."""

_OWN = {
    "srgb": ("srgb_rec709_scene", "srgb_texture", "sRGB - Texture", "Utility - sRGB - Texture"),
    "linear_rec709": ("lin_rec709_scene", "lin_rec709", "lin_srgb", "Utility - Linear - Rec.709"),
}
"""Names that configs use for our own spaces, newest first."""
_NAMED = 12
_LOG_LIKE = ("log", "hdr-video")
_PROBE_LIGHT = (0.02, 0.18, 0.5, 0.8)
Unit = NDArray[np.float32]


class ColourError(ValueError):
    """A config, or a space in it, is missing or unusable; the message says what to do."""


@dataclass(frozen=True, eq=False)
class ColourConfig:
    """A loaded OpenColorIO config. Thread-safe.

    Attributes:
        name: path or ``ocio://`` address.
        digest: SHA-256 of the config and of its look-up tables.
    """

    name: str
    digest: str
    _config: Any = field(repr=False)

    def space_names(self) -> list[str]:
        """All colour spaces, by their full names."""
        return list(self._config.getColorSpaceNames())

    def find(self, name: str) -> str:
        """The full name of a space given by name, alias, role or interop ID, or of a view.

        Raises:
            ColourError: the config has no such space.
        """
        if name.startswith(VIEW):
            return VIEW + "/".join(self._view(name))
        space = self._config.getColorSpace(name)
        if space is None:
            space = self._config.findColorSpaceForID(name)
        if space is None:
            raise ColourError(f"{self.name} has no colour space {name!r}{self._alternatives(name)}")
        return str(space.getName())

    def has(self, name: str) -> bool:
        """Whether the config has a space; see ``find``."""
        try:
            self.find(name)
        except ColourError:
            return False
        return True

    def file_rule(self, path: str | Path) -> str | None:
        """The space that the config's file rules give for a path; None if only the default rule matches."""
        text = Path(path).as_posix()
        if self._config.filepathOnlyMatchesDefaultRule(text):
            return None
        found = self._config.getColorSpaceFromFilepath(text)
        space = found[0] if isinstance(found, tuple) else found
        return self.find(space) if space and self.has(space) else None

    def is_logarithmic(self, name: str) -> bool:
        """Whether equal steps of a space's codes are equal ratios of light: camera logs, ACEScct, PQ."""
        if name.startswith(VIEW):
            return False
        space = self._config.getColorSpace(self.find(name))
        return space is not None and str(space.getEncoding()).lower() in _LOG_LIKE

    def is_linear(self, name: str) -> bool:
        """Whether a space's values are proportional to light."""
        if name.startswith(VIEW):
            return False
        space = self._config.getColorSpace(self.find(name))
        return space is not None and str(space.getEncoding()).lower() in ("scene-linear", "display-linear")

    def interop_id(self, name: str) -> str | None:
        """A space's interop ID in the list of the Academy Color Interop Forum, for other programs; None without one."""
        space = None if name.startswith(VIEW) else self._config.getColorSpace(self.find(name))
        return None if space is None else str(space.getInteropID()) or None

    def convert(self, rgb: Unit, source: str, target: str) -> Unit:
        """Converts pixels, in place if they are contiguous.

        Args:
            rgb: (..., 3) float32, finite.
            source: space of ``rgb``: of the config, a view, "srgb" or "linear_rec709".
            target: space to convert to.
        Returns:
            The converted pixels; ``rgb`` itself, changed, if it was contiguous float32.
        Raises:
            ColourError: a space is missing, or cannot be inverted where this is needed.
        """
        result = np.ascontiguousarray(rgb, np.float32)
        for step in _steps(self, source, target):
            step.applyRGB(result)
        return result

    def round_trip_error(self, source: str, target: str) -> float:
        """The largest error of greys of 2 to 80 % light after a round trip to ``target``, in codes of ``source``.

        Raises:
            ColourError: ``target`` cannot be inverted.
        """
        grey = np.repeat(np.array(_PROBE_LIGHT, np.float32)[:, None], 3, axis=1)
        start = self.convert(grey, "linear_rec709", source)
        there = self.convert(start.copy(), source, target)
        return float(np.abs(self.convert(there, target, source) - start).max())

    def scene_linear(self) -> str:
        """The space of the role scene_linear.

        Raises:
            ColourError: the config has no such role.
        """
        if not self._config.hasRole("scene_linear"):
            raise ColourError(f"{self.name} has no role scene_linear, which views require here")
        return self.find("scene_linear")

    def _view(self, name: str) -> tuple[str, str]:
        display, _, view = name.removeprefix(VIEW).partition("/")
        display = display or str(self._config.getDefaultDisplay())
        displays = list(self._config.getDisplaysAll())
        if display not in displays:
            raise ColourError(f"{self.name} has no display {display!r}; it has: {', '.join(displays)}")
        view = view or str(self._config.getDefaultView(display))
        views = list(self._config.getViews(display))
        if view not in views:
            raise ColourError(f"{self.name} has no view {view!r} of {display}; it has: {', '.join(views)}")
        return display, view

    def _alternatives(self, name: str) -> str:
        names = self.space_names()
        words = {one.lower(): one for one in names}
        words |= {alias.lower(): one.getName() for one in self._config.getColorSpaces() for alias in one.getAliases()}
        if near := difflib.get_close_matches(name.lower(), words, cutoff=0.6):
            return f"; did you mean {' or '.join(dict.fromkeys(words[one] for one in near))}?"
        more = "" if len(names) <= _NAMED else f" and {len(names) - _NAMED} more"
        return f"; its spaces are: {', '.join(names[:_NAMED])}{more}"


def config_name(requested: str | Path | None = None) -> str:
    """The name of the config to use: ``requested``, else $OCIO, else the pinned built-in; files as absolute paths."""
    name = str(requested or os.environ.get("OCIO", "").strip() or PINNED_CONFIG)
    return name if name.startswith("ocio://") else str(Path(name).expanduser().absolute())


def load_config(requested: str | Path | None = None) -> ColourConfig:
    """The config of ``config_name``; cached until its file changes.

    Raises:
        ColourError: it is missing or not a config.
    """
    name = config_name(requested)
    mtime_ns = 0
    if not name.startswith("ocio://"):
        try:
            mtime_ns = Path(name).stat().st_mtime_ns
        except OSError as error:
            origin = "" if requested else " ($OCIO)"
            raise ColourError(f"the OpenColorIO config {name}{origin} cannot be read: {error.strerror}") from error
    return _load(name, mtime_ns)


@lru_cache(maxsize=16)
def _load(name: str, _mtime_ns: int) -> ColourConfig:
    import PyOpenColorIO as ocio  # noqa: N813

    try:
        config = ocio.Config.CreateFromFile(name)
        config.validate()
        return ColourConfig(name, _digest(config), config)
    except ocio.Exception as error:
        raise ColourError(f"{name} is not a usable OpenColorIO config: {_first_line(error)}") from error


@lru_cache(maxsize=256)
def _steps(config: ColourConfig, source: str, target: str) -> tuple[Any, ...]:
    """The CPU processors of a conversion, in order."""
    import PyOpenColorIO as ocio  # noqa: N813

    try:
        processors = _processors(ocio, config, source, target)
        depth, exact = ocio.BIT_DEPTH_F32, ocio.OPTIMIZATION_LOSSLESS
        steps = [one.getOptimizedCPUProcessor(depth, depth, exact) for one in processors]
    except ocio.Exception as error:
        raise ColourError(f"{config.name} cannot convert {source} to {target}: {_first_line(error)}") from error
    return tuple(step for step in steps if not step.isNoOp())


def _processors(ocio: Any, config: ColourConfig, source: str, target: str) -> list[Any]:
    start, end = _in_config(config, source), _in_config(config, target)
    if source == target or (start is not None and start == end):
        return []
    views = [name for name in (source, target) if name.startswith(VIEW)]
    if len(views) == 2 or (views and (start is None or end is None)):
        linear = config.scene_linear()
        return [*_processors(ocio, config, source, linear), *_processors(ocio, config, linear, target)]
    if start is None and end is None:
        return _processors(ocio, load_config(PINNED_CONFIG), source, target)
    if start is None:  # none of our names is in the config: use the library's built-in space
        return [ocio.Config.GetProcessorFromBuiltinColorSpace(_built_in_name(source), config._config, end)]
    if end is None:
        return [ocio.Config.GetProcessorToBuiltinColorSpace(config._config, start, _built_in_name(target))]
    return [_config_processor(ocio, config, start, end)]


def _config_processor(ocio: Any, config: ColourConfig, start: str, end: str) -> Any:
    """The processor between two spaces of a config, at most one of them a view."""
    if end.startswith(VIEW):
        return config._config.getProcessor(_view_transform(ocio, config, end, start, ocio.TRANSFORM_DIR_FORWARD))
    if start.startswith(VIEW):
        return config._config.getProcessor(_view_transform(ocio, config, start, end, ocio.TRANSFORM_DIR_INVERSE))
    return config._config.getProcessor(start, end)


def _view_transform(ocio: Any, config: ColourConfig, view: str, scene: str, direction: Any) -> Any:
    display, name = config._view(view)
    return ocio.DisplayViewTransform(src=scene, display=display, view=name, direction=direction)


def _in_config(config: ColourConfig, name: str) -> str | None:
    """The config's name of a space; None for one of our own spaces that the config lacks."""
    if name not in _OWN:
        return config.find(name)
    return next((config.find(word) for word in _OWN[name] if config.has(word)), None)


def _built_in_name(own: str) -> str:
    return load_config(PINNED_CONFIG).find(_OWN[own][0])


def _digest(config: Any) -> str:
    """SHA-256 of a config's text and of the files that its transforms refer to."""
    digest = hashlib.sha256(config.serialize().encode())
    text = re.findall(r"<FileTransform>\s*\{[^}]*?src:\s*([^,}\n]+)", config.serialize())
    folders = [Path(config.getWorkingDir() or ".")]
    folders += [folders[0] / path for path in config.getSearchPaths()]
    for name in sorted({one.strip().strip("\"'") for one in text}):
        place = next((folder / name for folder in folders if (folder / name).is_file()), None)
        digest.update(name.encode() + b"\0" + (place.read_bytes() if place else b""))
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rpartition(" failed. ")[2]
