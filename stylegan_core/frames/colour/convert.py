"""Colour conversion between source spaces and a model's working space.

The only place where ranges and colour spaces of pictures are converted. "srgb" is sRGB's encoding (IEC 61966-2-1);
"linear_rec709" is scene-linear light of the same primaries, which may exceed 1; other names are spaces and views of an
OpenColorIO config. A model covers [0, 1] of its working space. All functions treat each pixel independently.
"""

from __future__ import annotations

import numpy as np

from stylegan_core.frames.base.samples import Pixels, Unit, make_finite, to_unit
from stylegan_core.frames.colour.source_space import OWN_SPACES, source_space_of
from stylegan_core.frames.colour.srgb import linear_to_srgb, srgb_to_linear
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.profiles.icc import from_linear, to_linear
from stylegan_core.frames.profiles.ocio import VIEW, ColourError, load_config
from stylegan_core.frames.profiles.primaries import is_by_primaries, to_rec709

_LARGEST_LOSS = 0.01  # of light; the precision of a network's output is lower
REC709_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def working_space_name(name: str, ocio: str | None = None) -> str:
    """The full name of a working space: one of ``OWN_SPACES``, a space of the config, or "view:DISPLAY/VIEW".

    Raises:
        ColourError: the space does not exist, or cannot be inverted.
    """
    if name in OWN_SPACES:
        return name
    config = load_config(ocio)
    full = config.find(name)
    if config.round_trip_error("linear_rec709", full) > _LARGEST_LOSS:
        raise ColourError(f"{full} of {config.name} cannot be a working space: a round trip through it loses colours")
    return full


def to_working(
    picture_or_pixels: Picture | Pixels,
    icc_profile: bytes | None = None,
    *,
    source_space: str = "auto",
    working_space: str = "srgb",
    ocio: str | None = None,
) -> Unit:
    """Converts a picture to a model's working space.

    Args:
        picture_or_pixels: a picture with its own profile, or (H, W, 1 to 4) uint8, uint16 or unit-range
            floats with straight alpha last if there are 2 or 4 channels.
        icc_profile: for pixels; ignored for a picture.
        source_space: see ``source_space_of``.
        working_space: see ``working_space_name``.
        ocio: the config that knows them, see ``load_config``.
    Returns:
        (H, W, 3) float32 in [0, 1], the range of a model; grey is replicated, alpha dropped. NaN and negative
        infinity become 0, positive infinity 1. ``carry_over`` restores what lay outside the range.
    Raises:
        ValueError: an unknown space.
    """
    picture = _as_picture(picture_or_pixels, icc_profile)
    space = source_space_of(picture, source_space, ocio=ocio).name
    unit = convert_space(straight_colours(picture), space, working_space, picture.icc_profile, ocio)
    if unit.shape[2] == 1:
        unit = np.repeat(unit, 3, axis=2)
    return np.clip(make_finite(unit), 0, 1, out=unit)


def to_light(unit: Unit, working_space: str, ocio: str | None = None) -> Unit:
    """Converts (H, W, C) from a working space to linear light, for averaging; views are decoded as sRGB."""
    if working_space == "srgb" or working_space.startswith(VIEW):
        return srgb_to_linear(unit)
    if working_space == "linear_rec709" or unit.shape[2] != 3:
        return unit
    return convert_space(unit.copy(), working_space, "linear_rec709", None, ocio)


def from_light(light: Unit, working_space: str, ocio: str | None = None) -> Unit:
    """The inverse of ``to_light``."""
    if working_space == "srgb" or working_space.startswith(VIEW):
        return linear_to_srgb(light)
    if working_space == "linear_rec709" or light.shape[2] != 3:
        return light
    return convert_space(light.copy(), "linear_rec709", working_space, None, ocio)


def straight_colours(picture: Picture) -> Unit:
    """(H, W, 1 or 3) new float32 colours, divided by alpha if they were multiplied by it; finite."""
    unit = to_unit(picture.pixels[..., : picture.colour_channels])
    if picture.alpha_associated:
        unit /= alpha_factor(picture)
    return unit if picture.pixels.dtype.kind == "u" else make_finite(unit)


def alpha_factor(picture: Picture) -> Unit:
    """(H, W, 1) the factor of associated colours: alpha, or 1 where alpha is 0 and colours are emitted light."""
    alpha = make_finite(to_unit(picture.pixels[..., -1:]))
    return np.where(alpha > 0, alpha, np.float32(1))


def convert_space(unit: Unit, source: str, target: str, profile: bytes | None, ocio: str | None) -> Unit:
    """Converts between colour spaces; may change ``unit`` in place.

    Args:
        unit: (H, W, 1 or 3) float32 in ``source``.
        source: as the name of a ``SourceSpace``, or a working space; "icc" is the space of ``profile``.
        target: likewise.
        profile: ICC profile of the picture, if any.
        ocio: the config, see ``load_config``.
    Returns:
        (H, W, 3) float32 in ``target``; grey may stay (H, W, 1).
    Raises:
        ColourError: a space is unknown or cannot be converted.
    """
    if source == target:
        return unit
    if profile is not None and "icc" in (source, target):
        return _convert_profile(unit, source, target, profile, ocio)
    if source in OWN_SPACES and target in OWN_SPACES:
        return srgb_to_linear(unit) if target == "linear_rec709" else linear_to_srgb(unit)
    if unit.shape[2] == 1:
        unit = np.repeat(unit, 3, axis=2)
    if is_by_primaries(source):
        return convert_space(unit @ _rec709_matrix(source, 1), "linear_rec709", target, profile, ocio)
    if is_by_primaries(target):
        linear = convert_space(unit, source, "linear_rec709", profile, ocio)
        return linear @ _rec709_matrix(target, -1)
    return load_config(ocio).convert(unit, source, target)


def _convert_profile(unit: Unit, source: str, target: str, profile: bytes, ocio: str | None) -> Unit:
    if source == "icc":
        return convert_space(to_linear(unit, profile), "linear_rec709", target, profile, ocio)
    return from_linear(convert_space(unit, source, "linear_rec709", profile, ocio), profile)


def is_logarithmic(space: str, ocio: str | None) -> bool:
    """Whether equal steps of a space's codes are equal ratios of light."""
    own = space in (*OWN_SPACES, "icc") or is_by_primaries(space)
    return not own and load_config(ocio).is_logarithmic(space)


def _rec709_matrix(space: str, power: int) -> Unit:
    """(3, 3) from a space by primaries to linear Rec.709 (power 1) or back (-1), for colours as rows."""
    matrix: Unit = np.linalg.matrix_power(to_rec709(space), power).T.astype(np.float32)
    return matrix


def _as_picture(picture_or_pixels: Picture | Pixels, icc_profile: bytes | None) -> Picture:
    if isinstance(picture_or_pixels, Picture):
        return picture_or_pixels
    return Picture(picture_or_pixels, has_alpha=picture_or_pixels.shape[2] in (2, 4), icc_profile=icc_profile)
