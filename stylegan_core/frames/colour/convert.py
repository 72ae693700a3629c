"""Colour in and out of a model's working space, and carrying what a network changed over to the source exactly.

The one place where ranges and colour spaces of pictures are converted. "srgb" is sRGB's encoding (IEC 61966-2-1);
"linear_rec709" is scene-linear light of the same primaries, which may exceed 1; other names are spaces and views of an
OpenColorIO config. A model knows [0, 1] of its working space. All functions work on each pixel alone.
"""

from __future__ import annotations

import numpy as np

from stylegan_core.frames.base.samples import Pixels, Unit, make_finite, to_unit
from stylegan_core.frames.colour.source_space import OWN_SPACES, source_space_of
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.profiles.icc import from_linear, to_linear
from stylegan_core.frames.profiles.ocio import VIEW, ColourError, load_config
from stylegan_core.frames.profiles.primaries import is_by_primaries, to_rec709

_LARGEST_LOSS = 0.01  # of light; a network's answer is coarser
REC709_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def working_space_name(name: str, ocio: str | None = None) -> str:
    """The full name of a working space: one of ``OWN_SPACES``, a space of the config, or "view:DISPLAY/VIEW".

    Raises:
        ColourError: there is no such space, or it has no way back.
    """
    if name in OWN_SPACES:
        return name
    config = load_config(ocio)
    full = config.find(name)
    if config.round_trip_error("linear_rec709", full) > _LARGEST_LOSS:
        raise ColourError(f"{full} of {config.name} cannot be a working space: what goes there does not come back")
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
        picture_or_pixels: a picture, which brings its own profile, or (H, W, 1 to 4) uint8, uint16 or unit-range
            floats with straight alpha last if there are 2 or 4 channels.
        icc_profile: of pixels, not of a picture.
        source_space: see ``source_space_of``.
        working_space: see ``working_space_name``.
        ocio: the config that knows them, see ``load_config``.
    Returns:
        (H, W, 3) float32 in [0, 1], the range that a model knows; grey is replicated, alpha dropped. What is not
        finite is 0, or 1 where it is positive infinity. ``carry_over`` brings back what lay outside.
    Raises:
        ValueError: an unknown space.
    """
    picture = _as_picture(picture_or_pixels, icc_profile)
    space = source_space_of(picture, source_space, ocio=ocio).name
    unit = _convert(_straight(picture), space, working_space, picture.icc_profile, ocio)
    if unit.shape[2] == 1:
        unit = np.repeat(unit, 3, axis=2)
    return np.clip(make_finite(unit), 0, 1, out=unit)


def from_working(
    rgb_unit: Unit,
    icc_profile: bytes | None = None,
    *,
    source_space: str = "auto",
    working_space: str = "srgb",
    sample_type: str = "uint8",
    ocio: str | None = None,
) -> Unit:
    """Converts from a model's working space to a source's own encoding.

    Args:
        rgb_unit: (H, W, 3) float32 in ``working_space``.
        icc_profile: the source's.
        source_space: see ``source_space_of``.
        working_space: as in ``to_working``.
        sample_type: the source's, which decides "auto" where there is no profile.
        ocio: as in ``to_working``.
    Returns:
        (H, W, 3) float32, unit range, not clipped; three equal channels for a grey profile.
    Raises:
        ValueError: an unknown space.
    """
    like = Picture(np.zeros((1, 1, 1), sample_type), icc_profile=icc_profile)
    space = source_space_of(like, source_space, ocio=ocio).name
    return _convert(rgb_unit.copy(), working_space, space, icc_profile, ocio)


def srgb_to_linear(encoded: Unit) -> Unit:
    """Decodes sRGB (IEC 61966-2-1), point-symmetric around 0 and continued above 1."""
    magnitude = np.abs(encoded)
    linear = np.where(magnitude <= 0.04045, magnitude / 12.92, ((magnitude + 0.055) / 1.055) ** 2.4)
    return np.copysign(linear, encoded).astype(np.float32)


def linear_to_srgb(linear: Unit) -> Unit:
    """Encodes as sRGB (IEC 61966-2-1), point-symmetric around 0 and continued above 1."""
    magnitude = np.abs(linear)
    encoded = np.where(magnitude <= 0.0031308, magnitude * 12.92, 1.055 * magnitude ** (1 / 2.4) - 0.055)
    return np.copysign(encoded, linear).astype(np.float32)


def to_light(unit: Unit, working_space: str, ocio: str | None = None) -> Unit:
    """(H, W, C) of a working space as numbers proportional to light, for averaging; a view's as sRGB decodes them."""
    if working_space == "srgb" or working_space.startswith(VIEW):
        return srgb_to_linear(unit)
    if working_space == "linear_rec709" or unit.shape[2] != 3:
        return unit
    return _convert(unit.copy(), working_space, "linear_rec709", None, ocio)


def from_light(light: Unit, working_space: str, ocio: str | None = None) -> Unit:
    """The way back of ``to_light``."""
    if working_space == "srgb" or working_space.startswith(VIEW):
        return linear_to_srgb(light)
    if working_space == "linear_rec709" or light.shape[2] != 3:
        return light
    return _convert(light.copy(), "linear_rec709", working_space, None, ocio)


def _straight(picture: Picture) -> Unit:
    """(H, W, 1 or 3) new float32 colours, not multiplied by alpha, finite."""
    unit = to_unit(picture.pixels[..., : picture.colour_channels])
    if picture.alpha_associated:
        unit /= _associated_by(picture)
    return unit if picture.pixels.dtype.kind == "u" else make_finite(unit)


def _associated_by(picture: Picture) -> Unit:
    """(H, W, 1) what colours are multiplied by: alpha; 1 where it is 0, colours then being light of their own."""
    alpha = make_finite(to_unit(picture.pixels[..., -1:]))
    return np.where(alpha > 0, alpha, np.float32(1))


def _as_picture(picture_or_pixels: Picture | Pixels, icc_profile: bytes | None) -> Picture:
    if isinstance(picture_or_pixels, Picture):
        return picture_or_pixels
    return Picture(picture_or_pixels, has_alpha=picture_or_pixels.shape[2] in (2, 4), icc_profile=icc_profile)


def _convert(unit: Unit, source: str, target: str, profile: bytes | None, ocio: str | None) -> Unit:
    """From one space to another, "icc" being the profile's; may change ``unit``. Grey may stay grey."""
    if source == target:
        return unit
    if source == "icc" and profile is not None:
        return _convert(to_linear(unit, profile), "linear_rec709", target, profile, ocio)
    if target == "icc" and profile is not None:
        return from_linear(_convert(unit, source, "linear_rec709", profile, ocio), profile)
    if source in OWN_SPACES and target in OWN_SPACES:
        return srgb_to_linear(unit) if target == "linear_rec709" else linear_to_srgb(unit)
    if unit.shape[2] == 1:
        unit = np.repeat(unit, 3, axis=2)
    for here, there, sign in ((source, target, 1), (target, source, -1)):
        if is_by_primaries(here):
            matrix = np.linalg.matrix_power(to_rec709(here), sign).T.astype(np.float32)
            if sign > 0:
                return _convert(unit @ matrix, "linear_rec709", there, profile, ocio)
            return _convert(unit, there, "linear_rec709", profile, ocio) @ matrix
    return load_config(ocio).convert(unit, source, target)


def _is_logarithmic(space: str, ocio: str | None) -> bool:
    own = space in (*OWN_SPACES, "icc") or is_by_primaries(space)
    return not own and load_config(ocio).is_logarithmic(space)
