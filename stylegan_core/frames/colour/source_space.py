"""Source space: the colour space of a picture, as requested, from its tags, by file rules, or by its sample type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.profiles.icc import is_srgb, profile_problem
from stylegan_core.frames.profiles.ocio import PINNED_CONFIG, config_name, load_config
from stylegan_core.frames.profiles.primaries import space_of_primaries

OWN_SPACES = ("srgb", "linear_rec709")
"""Spaces that ``convert`` handles itself, exactly and without OpenColorIO."""

_IDS = {"srgb_rec709_scene": "srgb", "srgb_rec709_display": "srgb", "lin_rec709_scene": "linear_rec709"}
"""Interop IDs (Academy Color Interop Forum, 2024) of ``OWN_SPACES``; the config resolves the others."""

_VIDEO = "srgb"
_DPX_VIDEO = ("unspecified video", "smpte 274m", "itu-r 709", "itu-r 601 625", "itu-r 601 525", "ntsc", "pal")
_DPX_LOG = ("printing density", "logarithmic")
"""Transfer characteristics of DPX (SMPTE 268M-2003), as ``dpx_colour_tags`` names them."""
# Rec.709 video is treated as displayed: stills that other tools extract from a movie hold the same codes untagged.
_TRANSFERS: dict[str, str] = {
    **dict.fromkeys(("bt709", "smpte170m", "bt470bg", "bt470m", "bt2020-10", "bt2020-12"), _VIDEO),
    **dict.fromkeys(_DPX_VIDEO, _VIDEO),
    **dict.fromkeys(("iec61966-2-1", "srgb", "gamma22", "gamma28"), _VIDEO),
    **dict.fromkeys(("smpte2084", "pq"), "pq_rec2020_display"),
    **dict.fromkeys(("arib-std-b67", "hlg"), "hlg_rec2020_display"),
    "linear": "linear_rec709",
}
"""Colour space for each transfer characteristic (ITU-T H.273), by FFmpeg's names."""
_CICP_TRANSFERS = {1: "bt709", 6: "smpte170m", 8: "linear", 13: "srgb", 16: "smpte2084", 18: "arib-std-b67"}
_CICP_P3 = 12
_FILM_LOG_SPACES = ("Cineon", "cineon", "lg10")


@dataclass(frozen=True)
class SourceSpace:
    """The colour space in which a picture is read.

    Attributes:
        name: "srgb", "linear_rec709", "icc" (its own profile), "linear:..." or a space of the config.
        reason: how it was determined, as a message.
    """

    name: str
    reason: str

    def describe(self) -> str:
        """A message for the log."""
        return f"colours are read as {space_label(self.name)} ({self.reason})"


def source_space_of(
    picture: Picture, requested: str = "auto", *, path: Path | None = None, ocio: str | None = None
) -> SourceSpace:
    """Determines the colour space of a picture.

    In this order: the requested space; an ICC profile; colour tags in the header; a file rule of the user's own config
    (the built-in config's rules are guesses by suffix); for untagged pictures linear Rec.709 for floats, sRGB for
    integers.

    Args:
        picture: as read.
        requested: "auto", "srgb", "linear_rec709", "icc", or a space of the config.
        path: of the picture, for file rules.
        ocio: the config, see ``load_config``.
    Raises:
        ValueError: the requested space does not exist.
    """
    profile = picture.icc_profile
    usable = profile is not None and profile_problem(profile, picture.colour_channels) is None
    if requested == "icc" and not usable:
        raise ValueError("the source space icc requires a picture with a usable ICC profile")
    if requested != "auto":
        return SourceSpace(known_space(requested, ocio), "as requested")
    if profile is not None and usable:
        return SourceSpace("srgb" if is_srgb(profile) else "icc", "from its ICC profile")
    return _from_header(picture, ocio) or _from_file_rule(path, ocio) or _default(picture)


def _from_file_rule(path: Path | None, ocio: str | None) -> SourceSpace | None:
    if path is None or config_name(ocio) == PINNED_CONFIG:
        return None
    config = load_config(ocio)
    name = config.file_rule(path)
    return None if name is None else SourceSpace(name, f"from a file rule of {config.name}")


def _default(picture: Picture) -> SourceSpace:
    if str(picture.colour_tags.get("transfer")).lower() in _DPX_LOG:
        return SourceSpace("srgb", "its header says film log without naming the curve: set --source-space")
    if picture.format == "movie":
        return SourceSpace("srgb", "default for untagged movies")
    if picture.pixels.dtype.kind == "f":
        return SourceSpace("linear_rec709", "default for untagged floating-point samples")
    return SourceSpace("srgb", "default for untagged integer samples")


def _from_header(picture: Picture, ocio: str | None) -> SourceSpace | None:
    tags, floats = picture.colour_tags, picture.pixels.dtype.kind == "f"
    readers: tuple[tuple[str, Callable[[object], str | None]], ...] = (
        ("colorInteropID", lambda value: _by_id(str(value), ocio)),
        ("acesImageContainerFlag", lambda value: "lin_ap0_scene" if value in (1, "1") else None),
        ("chromaticities", lambda value: space_of_primaries(_numbers(value)) if floats else None),
        ("cicp", lambda value: _by_cicp(_numbers(value))),
        ("transfer", lambda value: _by_transfer(str(value), ocio)),
    )
    for tag, reader in readers:
        if tag in tags and (name := reader(tags[tag])) is not None:
            return SourceSpace(known_space(name, ocio), f"from its {tag}")
    return None


def known_space(name: str, ocio: str | None) -> str:
    """The full name of a colour space that the user named.

    Raises:
        ColourError: the config has no such space.
    """
    if name in (*OWN_SPACES, "icc") or name.startswith("linear:"):
        return name
    return load_config(ocio).find(name)


def _by_id(value: str, ocio: str | None) -> str | None:
    if value in _IDS:
        return _IDS[value]
    return value if value not in ("", "unknown", "data") and load_config(ocio).has(value) else None


def _by_cicp(numbers: Sequence[float]) -> str | None:
    if len(numbers) < 2:
        return None
    primaries, transfer = int(numbers[0]), int(numbers[1])
    if primaries == _CICP_P3 and transfer == 13:
        return "srgb_p3d65_scene"
    return _TRANSFERS.get(_CICP_TRANSFERS.get(transfer, ""))


def _by_transfer(value: str, ocio: str | None) -> str | None:
    word = value.strip().lower()
    if word in _DPX_LOG:
        config = load_config(ocio)
        return next((name for name in _FILM_LOG_SPACES if config.has(name)), None)
    return _TRANSFERS.get(word)


def _numbers(value: object) -> list[float]:
    return [float(number) for number in value] if isinstance(value, Sequence) and not isinstance(value, str) else []


def space_label(name: str) -> str:
    """The name of a colour space for messages."""
    words = {"srgb": "sRGB", "linear_rec709": "linear Rec.709", "icc": "the space of its ICC profile"}
    return words.get(name, "linear light with its own primaries" if name.startswith("linear:") else name)
