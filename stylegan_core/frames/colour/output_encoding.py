"""Output encoding: how a result is stored if not like its source, as requested or as its file format expects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stylegan_core.frames.base.sniff import SUFFIX_FORMATS
from stylegan_core.frames.colour.source_space import OWN_SPACES, SourceSpace, known_space, space_label
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.profiles.ocio import load_config
from stylegan_core.frames.profiles.primaries import KNOWN, is_by_primaries

SAME = "source"
_EIGHT_BIT = ("jpeg", "webp")
_INTEGER = ("png", "dpx", *_EIGHT_BIT)


@dataclass(frozen=True)
class OutputEncoding:
    """How a result is stored that differs from its source.

    Attributes:
        space: a name of a ``SourceSpace``.
        sample_type: numpy's name of the type.
        alpha_associated: whether colours are multiplied by alpha.
        colour_tags: colour tags of the file.
    """

    space: str
    sample_type: str
    alpha_associated: bool = False
    colour_tags: tuple[tuple[str, object], ...] = ()

    def describe(self) -> str:
        """A message for the log."""
        return f"results are converted to {space_label(self.space)}; strength 0 is then not bit-exact"


def choose_output_encoding(
    picture: Picture, source: SourceSpace, output: str | Path, requested: str = SAME, *, ocio: str | None = None
) -> OutputEncoding | None:
    """Chooses the encoding of a picture's result.

    Args:
        picture: the source.
        source: its colour space.
        output: file name of the result; its suffix is its format.
        requested: "source", or a colour space.
        ocio: the config, see ``load_config``.
    Returns:
        None to store it like the source, which alone keeps unchanged samples bit-exact. Otherwise the requested space;
        by default, linear light becomes sRGB in integer formats, and sRGB becomes linear light in EXR.
    Raises:
        ValueError: the requested space does not exist.
    """
    format_ = SUFFIX_FORMATS.get(Path(output).suffix.lower(), picture.format)
    if requested == SAME:
        space = source.name if format_ == picture.format else _expected(source.name, format_, ocio)
    else:
        space = known_space(requested, ocio)
    if space == source.name:
        return None
    return OutputEncoding(space, _sample_type(picture, format_), format_ == "exr", _tags(space, format_, ocio))


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
    """The tags of a space in an EXR header; other formats have none."""
    if format_ != "exr":
        return ()
    if is_by_primaries(space):
        return (("chromaticities", tuple(float(number) for number in space.removeprefix("linear:").split(","))),)
    if space == "linear_rec709":
        return (("colorInteropID", "lin_rec709_scene"), ("chromaticities", KNOWN["linear_rec709"]))
    named = "srgb_rec709_scene" if space == "srgb" else load_config(ocio).interop_id(space)
    tags: tuple[tuple[str, object], ...] = (("colorInteropID", named),) if named else ()
    return (*tags, ("chromaticities", KNOWN[named])) if named in KNOWN else tags
