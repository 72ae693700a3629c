"""Carries what a network changed over to the source, exactly where it changed nothing (ADR 4)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stylegan_core.frames.base.samples import Unit, add_change, from_unit, make_finite, to_unit
from stylegan_core.frames.colour.convert import REC709_LUMA, _associated_by, _convert, _is_logarithmic, _straight
from stylegan_core.frames.colour.output_encoding import OutputForm
from stylegan_core.frames.colour.residual import carried_change
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
    output: OutputForm | None = None,
    replaced_unit: NDArray[np.float32] | None = None,
) -> Picture:
    """Source + strength * mask * change, the change as ``carried_change`` finds it in the source's own encoding.

    What the network leaves alone, strength 0 and mask 0 keep every bit, colours outside the working space included; so
    do samples that are not finite. Grey stays grey (by the Rec.709 luma of the change), alpha stays as it is.

    Args:
        picture: the source.
        before_unit: (H, W, 3) float32, what ``to_working`` gave.
        after_unit: (H, W, 3) float32, what the network made of it; only its [0, 1] counts where the result could hold
            more.
        strength: 0 keeps the source, 1 is the network's picture.
        mask_unit: (H, W) or (H, W, 1) in [0, 1], how much of the change each pixel gets; None is all.
        source_space: as in ``to_working``.
        working_space: as in ``to_working``.
        ocio: as in ``to_working``.
        output: how to store the result; None is as the source is stored, where alone bits are kept.
        replaced_unit: (H, W) in [0, 1], how much of the answer is another picture, which the source's light beyond the
            working space does not belong to.
    Returns:
        The picture with new pixels, rounded once to the source's type, or to the output's.
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
    if strength == 0 and output is None:
        return picture
    space = source_space_of(picture, source_space, ocio=ocio).name
    replaced = None if replaced_unit is None else replaced_unit.reshape(height, width, 1)
    change = _change(picture, before_unit, after_unit, space, working_space, ocio, replaced)
    if strength > 1 and picture.pixels.dtype.kind == "f" and not _is_logarithmic(space, ocio):
        darkest = np.minimum(change, -np.maximum(_straight(picture), 0))  # never further into negative light
        change = np.maximum(change * np.float32(strength), darkest)
    elif strength != 1:
        change *= np.float32(strength)
    if mask_unit is not None:
        change *= mask_unit.reshape(height, width, 1).astype(np.float32)
    colours = picture.pixels[..., : picture.colour_channels]
    if picture.alpha_associated:
        there = (picture.pixels[..., -1:] > 0) | (colours != 0).any(axis=2, keepdims=True)
        change *= there  # nothing is painted where nothing is
    if output is not None:
        return _stored_as(output, picture, change, space, ocio)
    if picture.alpha_associated:
        change *= _associated_by(picture)
    result = picture.pixels.copy()
    result[..., : picture.colour_channels] = add_change(colours, change, picture.bits)
    return replace(picture, pixels=result)


def _change(
    picture: Picture,
    before_unit: Unit,
    after_unit: Unit,
    space: str,
    working_space: str,
    ocio: str | None,
    replaced: Unit | None,
) -> Unit:
    """(H, W, 1 or 3) what is to be added to the straight source, in its own encoding."""
    profile, integers = picture.icc_profile, picture.pixels.dtype.kind == "u"
    # An overshoot is an explosion of light in a log space, negative light in any; integers are clipped at the end.
    own = working_space in OWN_SPACES and integers
    before, after = before_unit, after_unit if own else np.clip(after_unit, 0, 1)
    if space != working_space:
        before = _convert(before_unit.copy(), working_space, space, profile, ocio)
        after = _convert(after.copy() if own else after, working_space, space, profile, ocio)
    # Conversions of equal colours are equal, so what the network left alone changes by exactly 0.
    if space == working_space and integers:
        change: Unit = after - before
    else:
        source = np.broadcast_to(_straight(picture), before.shape)
        logarithmic = _is_logarithmic(space, ocio)
        change = carried_change(source, before, after, logarithmic=logarithmic, replaced=replaced)
        make_finite(change)
    return change if picture.colour_channels == 3 else (change @ REC709_LUMA)[..., None]


def _stored_as(output: OutputForm, picture: Picture, change: Unit, space: str, ocio: str | None) -> Picture:
    """The changed picture in another encoding or sample type."""
    straight = _straight(picture) + change
    colours = _convert(straight, space, output.space, picture.icc_profile, ocio)
    kind = np.dtype(output.sample_type)
    if picture.has_alpha:
        alpha = to_unit(picture.pixels[..., -1:])
        if output.alpha_associated:
            colours *= _associated_by(picture) if picture.alpha_associated else alpha
        colours = np.concatenate([colours, alpha], axis=2)
    profile = picture.icc_profile if output.space == space else None
    associated = picture.has_alpha and output.alpha_associated
    pixels = from_unit(colours, kind)
    if kind.kind == "f" and picture.pixels.dtype.kind == "f":  # no number, no light that could be converted
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
