"""How a result is stored: as its source is, or in the colour space that is asked for or that its format expects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stylegan_core.frames.base.sniff import SUFFIX_FORMATS
from stylegan_core.frames.colour.source_space import OWN_SPACES, SourceSpace, in_words, known_space
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.profiles.ocio import load_config
from stylegan_core.frames.profiles.primaries import KNOWN, is_by_primaries

SAME = "source"
_EIGHT_BIT = ("jpeg", "webp")
_INTEGER = ("png", "dpx", *_EIGHT_BIT)


@dataclass(frozen=True)
class OutputForm:
    """How a result is stored that is not stored as its source is.

    Attributes:
        space: as a source space.
        sample_type: numpy's name of the type.
        alpha_associated: whether colours are multiplied by alpha.
        colour_tags: what the file should say of its colours.
    """

    space: str
    sample_type: str
    alpha_associated: bool = False
    colour_tags: tuple[tuple[str, object], ...] = ()

    def describe(self) -> str:
        """To be said aloud."""
        return f"results are converted to {in_words(self.space)}, so that strength 0 is no longer exact to the bit"


def output_form(
    picture: Picture, source: SourceSpace, output: str | Path, asked: str = SAME, *, ocio: str | None = None
) -> OutputForm | None:
    """Finds how a picture's result is stored.

    Args:
        picture: the source.
        source: its colour space.
        output: the result's name, whose suffix is its format.
        asked: "source", or a colour space.
        ocio: the config, see ``load_config``.
    Returns:
        None: as the source is, which alone keeps unchanged samples to the bit. Otherwise what was asked for; where
        nothing was, floats of linear light become sRGB in a format of integers, and sRGB becomes linear light in EXR.
    Raises:
        ValueError: the space that is asked for does not exist.
    """
    format_ = SUFFIX_FORMATS.get(Path(output).suffix.lower(), picture.format)
    if asked == SAME:
        space = source.name if format_ == picture.format else _expected(source.name, format_, ocio)
    else:
        space = known_space(asked, ocio)
    if space == source.name:
        return None
    return OutputForm(space, _sample_type(picture, format_), format_ == "exr", _tags(space, format_, ocio))


def _expected(source: str, format_: str, ocio: str | None) -> str:
    linear = source == "linear_rec709" or is_by_primaries(source)
    if source not in (*OWN_SPACES, "icc") and not linear:
        linear = load_config(ocio).is_linear(source)
    if linear and format_ in _INTEGER:
        return "srgb"
    return "linear_rec709" if format_ == "exr" and source in ("srgb", "icc") else source


def _sample_type(picture: Picture, format_: str) -> str:
    kind = picture.pixels.dtype
    if format_ == "exr":
        return kind.name if kind.kind == "f" else "float16"
    if format_ in _EIGHT_BIT:
        return "uint8"
    if format_ in _INTEGER:
        return "uint8" if kind.name == "uint8" and format_ == "png" else "uint16"
    return kind.name


def _tags(space: str, format_: str, ocio: str | None) -> tuple[tuple[str, object], ...]:
    """What an EXR header says of a space; the other formats have no words for it."""
    if format_ != "exr":
        return ()
    if is_by_primaries(space):
        return (("chromaticities", tuple(float(number) for number in space.removeprefix("linear:").split(","))),)
    if space == "linear_rec709":
        return (("colorInteropID", "lin_rec709_scene"), ("chromaticities", KNOWN["linear_rec709"]))
    named = "srgb_rec709_scene" if space == "srgb" else load_config(ocio).interop_id(space)
    tags: tuple[tuple[str, object], ...] = (("colorInteropID", named),) if named else ()
    return (*tags, ("chromaticities", KNOWN[named])) if named in KNOWN else tags
