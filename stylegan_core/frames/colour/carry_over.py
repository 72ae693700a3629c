"""Carry-over of a network's change to the source; pixels that the network leaves unchanged stay exact (ADR 4)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stylegan_core.frames.base.samples import Unit, add_change, from_unit, make_finite, to_unit
from stylegan_core.frames.colour.convert import (
    REC709_LUMA,
    alpha_factor,
    convert_space,
    is_logarithmic,
    straight_colours,
)
from stylegan_core.frames.colour.output_encoding import OutputEncoding
from stylegan_core.frames.colour.residual import blend_back_change
from stylegan_core.frames.colour.source_space import OWN_SPACES, source_space_of
from stylegan_core.frames.pictures.picture import Picture


def carry_over(
    picture: Picture,
    before_unit: Unit,
    after_unit: Unit,
    *,
    strength: float = 1.0,
    mask_unit: NDArray[np.float32] | None = None,
    source_space: str = "auto",
    working_space: str = "srgb",
    ocio: str | None = None,
    output: OutputEncoding | None = None,
    replaced_unit: NDArray[np.float32] | None = None,
) -> Picture:
    """Source + strength * mask * change, where ``blend_back_change`` gives the change in the source's own encoding.

    Samples that the network leaves unchanged, or with strength 0 or mask 0, or that are not finite, keep every bit,
    also outside the working space. Grey stays grey (by the Rec.709 luma of the change); alpha is unchanged.

    Args:
        picture: the source.
        before_unit: (H, W, 3) float32, from ``to_working``.
        after_unit: (H, W, 3) float32, the network's output; clipped to [0, 1] where the result could hold more.
        strength: 0 keeps the source, 1 is the network's picture.
        mask_unit: (H, W) or (H, W, 1) in [0, 1], the share of the change for each pixel; None is 1 everywhere.
        source_space: as in ``to_working``.
        working_space: as in ``to_working``.
        ocio: as in ``to_working``.
        output: how the result is stored; None stores it like the source, which alone keeps every bit.
        replaced_unit: (H, W) in [0, 1], the share of each pixel that comes from another picture; the source's light
            beyond the working space is dropped in this proportion.
    Returns:
        The picture with new pixels, rounded once to the source's type, or to the output's.
    Raises:
        ValueError: sizes differ, or the network's output is not finite.
    """
    height, width = picture.pixels.shape[:2]
    _check_shapes(height, width, before_unit, after_unit, mask_unit)
    if strength == 0 and output is None:
        return picture
    space = source_space_of(picture, source_space, ocio=ocio).name
    replaced = None if replaced_unit is None else replaced_unit.reshape(height, width, 1)
    change = _change(picture, before_unit, after_unit, space, working_space, ocio, replaced)
    if strength != 1:
        change = _scaled(change, strength, picture, space, ocio)
    if mask_unit is not None:
        change *= mask_unit.reshape(height, width, 1).astype(np.float32)
    colours = picture.pixels[..., : picture.colour_channels]
    if picture.alpha_associated:
        change *= (picture.pixels[..., -1:] > 0) | (colours != 0).any(axis=2, keepdims=True)  # empty pixels stay empty
    if output is not None:
        return _encoded_as(output, picture, change, space, ocio)
    if picture.alpha_associated:
        change *= alpha_factor(picture)
    result = picture.pixels.copy()
    result[..., : picture.colour_channels] = add_change(colours, change, picture.bits)
    return replace(picture, pixels=result)


def _check_shapes(
    height: int, width: int, before_unit: Unit, after_unit: Unit, mask_unit: NDArray[np.float32] | None
) -> None:
    for name, array in (("before", before_unit), ("after", after_unit)):
        if array.shape != (height, width, 3):
            raise ValueError(f"{name} has shape {array.shape}, the picture needs {(height, width, 3)}")
    if not np.isfinite(after_unit).all():
        raise ValueError("the network's output is not finite (NaN or infinite)")
    if mask_unit is not None and mask_unit.shape not in ((height, width), (height, width, 1)):
        raise ValueError(f"the mask has shape {mask_unit.shape}, the picture needs {(height, width)}")


def _scaled(change: Unit, strength: float, picture: Picture, space: str, ocio: str | None) -> Unit:
    """The change times strength; in float encodings a strength above 1 never leads further into negative light."""
    if strength > 1 and picture.pixels.dtype.kind == "f" and not is_logarithmic(space, ocio):
        darkest = np.minimum(change, -np.maximum(straight_colours(picture), 0))
        change = np.maximum(change * np.float32(strength), darkest)
        return change
    change *= np.float32(strength)
    return change


def _change(
    picture: Picture,
    before_unit: Unit,
    after_unit: Unit,
    space: str,
    working_space: str,
    ocio: str | None,
    replaced: Unit | None,
) -> Unit:
    """(H, W, 1 or 3) the change of the straight source, in its own encoding."""
    profile, integers = picture.icc_profile, picture.pixels.dtype.kind == "u"
    # An overshoot is extreme light in a log space and negative light in any; integers are clipped at the end.
    own = working_space in OWN_SPACES and integers
    before, after = before_unit, after_unit if own else np.clip(after_unit, 0, 1)
    if space != working_space:
        before = convert_space(before_unit.copy(), working_space, space, profile, ocio)
        after = convert_space(after.copy() if own else after, working_space, space, profile, ocio)
    # Conversions of equal colours are equal, so unchanged pixels change by exactly 0.
    if space == working_space and integers:
        change: Unit = after - before
    else:
        source = np.broadcast_to(straight_colours(picture), before.shape)
        logarithmic = is_logarithmic(space, ocio)
        change = blend_back_change(source, before, after, logarithmic=logarithmic, replaced=replaced)
        make_finite(change)
    return change if picture.colour_channels == 3 else (change @ REC709_LUMA)[..., None]


def _encoded_as(output: OutputEncoding, picture: Picture, change: Unit, space: str, ocio: str | None) -> Picture:
    """The changed picture in another encoding or sample type."""
    changed = straight_colours(picture) + change
    colours = convert_space(changed, space, output.space, picture.icc_profile, ocio)
    kind = np.dtype(output.sample_type)
    if picture.has_alpha:
        alpha = to_unit(picture.pixels[..., -1:])
        if output.alpha_associated:
            colours *= alpha_factor(picture) if picture.alpha_associated else alpha
        colours = np.concatenate([colours, alpha], axis=2)
    profile = picture.icc_profile if output.space == space else None
    associated = picture.has_alpha and output.alpha_associated
    pixels = from_unit(colours, kind)
    if kind.kind == "f" and picture.pixels.dtype.kind == "f":  # non-finite samples cannot be converted
        with np.errstate(over="ignore"):
            np.copyto(pixels, picture.pixels.astype(kind), where=~np.isfinite(picture.pixels))
    return replace(
        picture,
        pixels=pixels,
        icc_profile=profile,
        alpha_associated=associated,
        colour_tags=dict(output.colour_tags),
        bits=None,
    )
