"""Colour in and out of a model's working space, and carrying what a network changed over to the source exactly.

The one place where ranges and colour spaces of pictures are converted. "srgb" is sRGB's encoding (IEC 61966-2-1) of
[0, 1]; "linear_rec709" is scene-linear light of the same primaries, which may exceed 1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylegan_core.frames.icc import from_linear, is_srgb, profile_problem, to_linear
from stylegan_core.frames.picture import Picture

WORKING_SPACES = ("srgb", "linear_rec709")
SOURCE_SPACES = ("auto", *WORKING_SPACES)
REC709_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)

Pixels = NDArray[Any]
Unit = NDArray[np.float32]


def describe_source_space(picture: Picture, source_space: str = "auto") -> str:
    """What a picture's colours are taken for, to be said aloud: "icc", "srgb" or "linear_rec709".

    Raises:
        ValueError: an unknown ``source_space``.
    """
    return _resolve(source_space, picture.pixels.dtype, picture.icc_profile, picture.colour_channels)


def to_working(
    picture_or_pixels: Picture | Pixels,
    icc_profile: bytes | None = None,
    *,
    source_space: str = "auto",
    working_space: str = "srgb",
) -> Unit:
    """Converts a picture to a model's working space.

    Args:
        picture_or_pixels: a picture, which brings its own profile, or (H, W, 1 to 4) uint8, uint16 or unit-range
            floats with straight alpha last if there are 2 or 4 channels.
        icc_profile: of pixels, not of a picture.
        source_space: "auto": the ICC profile if it is usable, else sRGB for integers and linear Rec.709 for floats;
            or one of WORKING_SPACES, against whatever the file says.
        working_space: one of WORKING_SPACES.
    Returns:
        (H, W, 3) float32; grey is replicated, alpha dropped. "srgb" is clipped to [0, 1], the range that a model
        knows: ``carry_over`` brings back what lay outside.
    Raises:
        ValueError: an unknown space.
    """
    _check_working_space(working_space)
    if isinstance(picture_or_pixels, Picture):
        picture, icc_profile = picture_or_pixels, picture_or_pixels.icc_profile
    else:
        picture = Picture(picture_or_pixels, has_alpha=picture_or_pixels.shape[2] in (2, 4))
    pixels = picture.pixels
    colour_channels = picture.colour_channels
    space = _resolve(source_space, pixels.dtype, icc_profile, colour_channels)
    unit = _to_unit(pixels[..., :colour_channels])
    if picture.alpha_associated:
        alpha = _to_unit(pixels[..., -1:])
        unit /= np.where(alpha > 0, alpha, np.float32(1))
    if space == "icc" and icc_profile is not None and not is_srgb(icc_profile):
        unit, space = to_linear(unit, icc_profile), "linear_rec709"
    elif space == "icc":
        space = "srgb"
    if unit.shape[2] == 1:
        unit = np.repeat(unit, 3, axis=2)
    if space != working_space:
        unit = srgb_to_linear(unit) if working_space == "linear_rec709" else linear_to_srgb(unit)
    return np.clip(unit, 0, 1) if working_space == "srgb" else unit


def from_working(
    rgb_unit: Unit,
    icc_profile: bytes | None = None,
    *,
    source_space: str = "auto",
    working_space: str = "srgb",
    sample_type: str = "uint8",
) -> Unit:
    """Converts from a model's working space to a source's own encoding.

    Args:
        rgb_unit: (H, W, 3) float32 in ``working_space``.
        icc_profile: the source's.
        source_space: as in ``to_working``.
        working_space: one of WORKING_SPACES.
        sample_type: the source's, which decides "auto" where there is no profile.
    Returns:
        (H, W, 3) float32, unit range, not clipped; three equal channels for a grey profile.
    Raises:
        ValueError: an unknown space.
    """
    _check_working_space(working_space)
    space = _resolve(source_space, np.dtype(sample_type), icc_profile, 1)
    profile = icc_profile if space == "icc" and icc_profile is not None and not is_srgb(icc_profile) else None
    encoding = "linear_rec709" if profile is not None else "srgb" if space == "icc" else space
    if encoding != working_space:
        rgb_unit = srgb_to_linear(rgb_unit) if working_space == "srgb" else linear_to_srgb(rgb_unit)
    return rgb_unit if profile is None else from_linear(rgb_unit, profile)


def carry_over(
    picture: Picture,
    before_unit: Unit,
    after_unit: Unit,
    *,
    strength: float = 1.0,
    mask_unit: NDArray[np.float32] | None = None,
    source_space: str = "auto",
    working_space: str = "srgb",
) -> Picture:
    """Source + strength * mask * (D(after) - D(before)), D being ``from_working``.

    What the network leaves alone, strength 0 and mask 0 keep every bit, colours outside the working space included.
    Grey stays grey (by the Rec.709 luma of the change), alpha stays as it is.

    Args:
        picture: the source.
        before_unit: (H, W, 3) float32, what ``to_working`` gave.
        after_unit: (H, W, 3) float32, what the network made of it.
        strength: 0 keeps the source, 1 is the network's picture.
        mask_unit: (H, W) or (H, W, 1) in [0, 1], how much of the change each pixel gets; None is all.
        source_space: as in ``to_working``.
        working_space: as in ``to_working``.
    Returns:
        The picture with new pixels, rounded to the source's type.
    Raises:
        ValueError: sizes that differ, or a network output that is not finite.
    """
    height, width = picture.pixels.shape[:2]
    for name, array in (("before", before_unit), ("after", after_unit)):
        if array.shape != (height, width, 3):
            raise ValueError(f"{name} has shape {array.shape}, the picture needs {(height, width, 3)}")
    if not np.isfinite(after_unit).all():
        raise ValueError("the network's output is not finite (NaN or infinite)")
    if mask_unit is not None and mask_unit.shape not in ((height, width), (height, width, 1)):
        raise ValueError(f"the mask has shape {mask_unit.shape}, the picture needs {(height, width)}")
    if strength == 0:
        return picture
    pixels, colour_channels = picture.pixels, picture.colour_channels
    usable = picture.icc_profile
    if usable is not None and profile_problem(usable, colour_channels) is not None:
        usable = None
    spaces = {
        "source_space": source_space,
        "working_space": working_space,
        "sample_type": pixels.dtype.name,
    }
    change = from_working(after_unit, usable, **spaces) - from_working(before_unit, usable, **spaces)
    # Conversions of equal colours are equal, so what the network left alone changes by exactly 0.
    if colour_channels == 1:
        change = (change @ REC709_LUMA)[..., None]
    change *= np.float32(strength)
    if mask_unit is not None:
        change *= mask_unit.reshape(height, width, 1).astype(np.float32)
    if picture.alpha_associated:
        change *= _to_unit(pixels[..., -1:])
    result = pixels.copy()
    result[..., :colour_channels] = _add(pixels[..., :colour_channels], change)
    return replace(picture, pixels=result)


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


def _resolve(source_space: str, sample_type: np.dtype[Any], icc_profile: bytes | None, colour_channels: int) -> str:
    if source_space not in SOURCE_SPACES:
        raise ValueError(f"unknown source space {source_space!r}; known: {', '.join(SOURCE_SPACES)}")
    if source_space != "auto":
        return source_space
    if icc_profile is not None and profile_problem(icc_profile, colour_channels) is None:
        return "icc"
    return "srgb" if sample_type.kind == "u" else "linear_rec709"


def _check_working_space(working_space: str) -> None:
    if working_space not in WORKING_SPACES:
        raise ValueError(f"unknown working space {working_space!r}; known: {', '.join(WORKING_SPACES)}")


def _to_unit(pixels: Pixels) -> Unit:
    unit = pixels.astype(np.float32)
    if pixels.dtype.kind == "u":
        unit /= np.iinfo(pixels.dtype).max
    return unit


def _add(pixels: Pixels, change: Unit) -> Pixels:
    """Adds a unit-range change in float32 and rounds to the pixels' type; a change of 0 keeps every bit."""
    if pixels.dtype.kind != "u":
        moved: Pixels = (pixels.astype(np.float32) + change).astype(pixels.dtype)
        return moved
    most = np.iinfo(pixels.dtype).max
    exact: Unit = pixels.astype(np.float32) + change * np.float32(most)
    return np.clip(np.rint(exact), 0, most).astype(pixels.dtype)
