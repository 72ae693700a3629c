"""Which colour space a picture is in: what was asked for, what the file says, the user's file rules, or its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.profiles.icc import is_srgb, profile_problem
from stylegan_core.frames.profiles.ocio import PINNED_CONFIG, config_name, load_config
from stylegan_core.frames.profiles.primaries import space_of_primaries

OWN_SPACES = ("srgb", "linear_rec709")
"""Spaces that ``colour`` converts itself, exactly and without OpenColorIO."""

_IDS = {"srgb_rec709_scene": "srgb", "srgb_rec709_display": "srgb", "lin_rec709_scene": "linear_rec709"}
"""Interop IDs (Academy Color Interop Forum, 2024) of our own spaces; the config knows the others."""

_VIDEO = "srgb"
_DPX_VIDEO = ("unspecified video", "smpte 274m", "itu-r 709", "itu-r 601 625", "itu-r 601 525", "ntsc", "pal")
_DPX_LOG = ("printing density", "logarithmic")
"""Transfer characteristics of DPX (SMPTE 268M-2003), as ``dpx_colour_tags`` words them."""
# Video in Rec.709 is taken as it is shown: stills that other tools extract from a movie hold the same codes untagged.
_TRANSFERS: dict[str, str] = {
    **dict.fromkeys(("bt709", "smpte170m", "bt470bg", "bt470m", "bt2020-10", "bt2020-12"), _VIDEO),
    **dict.fromkeys(_DPX_VIDEO, _VIDEO),
    **dict.fromkeys(("iec61966-2-1", "srgb", "gamma22", "gamma28"), _VIDEO),
    **dict.fromkeys(("smpte2084", "pq"), "pq_rec2020_display"),
    **dict.fromkeys(("arib-std-b67", "hlg"), "hlg_rec2020_display"),
    "linear": "linear_rec709",
}
"""Transfer characteristics (ITU-T H.273) by ffmpeg's names, with the space that stands for each."""
_CICP_TRANSFERS = {1: "bt709", 6: "smpte170m", 8: "linear", 13: "srgb", 16: "smpte2084", 18: "arib-std-b67"}
_CICP_P3 = 12
_FLOATS, _INTEGERS = "untagged floating-point samples are", "untagged integer samples are"
_FILM_LOG_SPACES = ("Cineon", "cineon", "lg10")


@dataclass(frozen=True)
class SourceSpace:
    """The colour space that a picture is taken to be in.

    Attributes:
        name: for ``colour``: "srgb", "linear_rec709", "icc" (its own profile), "linear:..." or a space of the config.
        why: what says so, in words.
    """

    name: str
    why: str

    def describe(self) -> str:
        """To be said aloud."""
        return f"colours are taken for {in_words(self.name)}: {self.why}"


def source_space_of(
    picture: Picture, asked: str = "auto", *, path: Path | None = None, ocio: str | None = None
) -> SourceSpace:
    """Finds a picture's colour space.

    In this order: what was asked for; an ICC profile; what the header says; a file rule of the user's own config (the
    built-in's rules are guesses by suffix); and for untagged pictures linear Rec.709 of floats, sRGB of integers.

    Args:
        picture: as it was read.
        asked: "auto", "srgb", "linear_rec709", "icc", or a space of the config.
        path: the picture's, for file rules.
        ocio: the config, see ``load_config``.
    Raises:
        ValueError: what was asked for does not exist.
    """
    profile = picture.icc_profile
    usable = profile is not None and profile_problem(profile, picture.colour_channels) is None
    if asked == "icc" and not usable:
        raise ValueError("the source space icc is asked for, and the picture has no usable ICC profile")
    if asked != "auto":
        return SourceSpace(known_space(asked, ocio), "it was asked for")
    if profile is not None and usable:
        return SourceSpace("srgb" if is_srgb(profile) else "icc", "its ICC profile says so")
    floats = picture.pixels.dtype.kind == "f"
    said = _said_by_header(picture.colour_tags, floats, ocio)
    if said is not None:
        return said
    if path is not None and config_name(ocio) != PINNED_CONFIG:
        config = load_config(ocio)
        ruled = config.file_rule(path)
        if ruled is not None:
            return SourceSpace(ruled, f"a file rule of {config.name} says so")
    if str(picture.colour_tags.get("transfer")).lower() in _DPX_LOG:
        return SourceSpace("srgb", "its header says film log, but not which: name it with --source-space")
    if picture.format == "movie":
        return SourceSpace("srgb", "untagged movies are")
    return SourceSpace(*("linear_rec709", _FLOATS) if floats else ("srgb", _INTEGERS))


def _said_by_header(tags: Mapping[str, object], floats: bool, ocio: str | None) -> SourceSpace | None:
    readers: tuple[tuple[str, Callable[[object], str | None]], ...] = (
        ("colorInteropID", lambda value: _by_id(str(value), ocio)),
        ("acesImageContainerFlag", lambda value: "lin_ap0_scene" if value in (1, "1") else None),
        ("chromaticities", lambda value: space_of_primaries(_numbers(value)) if floats else None),
        ("cicp", lambda value: _by_cicp(_numbers(value))),
        ("transfer", lambda value: _by_transfer(str(value), ocio)),
    )
    for tag, reader in readers:
        if tag in tags and (name := reader(tags[tag])) is not None:
            return SourceSpace(known_space(name, ocio), f"its {tag} {'say' if tag.endswith('s') else 'says'} so")
    return None


def known_space(name: str, ocio: str | None) -> str:
    """A colour space that was named, as ``colour`` takes it; names of the config in full.

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


def in_words(name: str) -> str:
    """A colour space's name to be read by a person."""
    words = {"srgb": "sRGB", "linear_rec709": "linear Rec.709", "icc": "those of its ICC profile"}
    return words.get(name, "linear light of its own primaries" if name.startswith("linear:") else name)
