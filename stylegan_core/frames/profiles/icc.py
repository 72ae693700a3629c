"""ICC profiles to linear Rec.709 light and back in float precision, with Little CMS (ICC.1:2022).

Relative colorimetric, without Little CMS's optimizations: near black of an Adobe RGB picture its resampled 16-bit path
is off by up to 19 of 255 codes, the plain float path by less than a thousandth of a code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from stylegan_core.frames.profiles.matrix_profile import MatrixProfile, measure

Unit = NDArray[np.float32]
_INTENT = imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC
_EXACT = imagecodecs.CMS.FLAGS.NOOPTIMIZE
_D65 = (0.3127, 0.3290, 1.0)
_REC709 = (0.64, 0.33, 1.0, 0.30, 0.60, 1.0, 0.15, 0.06, 1.0)
_COLOUR_SPACES = {b"RGB ": "rgb", b"GRAY": "gray"}
_WORDS = {b"CMYK": "CMYK", b"Lab ": "CIE L*a*b*", b"RGB ": "RGB", b"GRAY": "grey"}
# A quarter of an 8-bit code: profiles this close to sRGB (most are) are treated as sRGB.
_SAME_UNIT = 0.25 / 255
_ROUNDING = 1e-5


@lru_cache(maxsize=64)
def profile_problem(profile: bytes, colour_channels: int) -> str | None:
    """Why a profile cannot be used for pixels of 1 (grey) or 3 (RGB) colour channels; None if it can.

    An RGB profile is valid for a grey picture, too: its three channels are equal then.
    """
    try:
        imagecodecs.cms_profile_validate(profile)
    except RuntimeError:
        return "its ICC profile is damaged"
    space = profile[16:20]
    if space != b"RGB " and (space != b"GRAY" or colour_channels != 1):
        words = _WORDS.get(space, repr(space.decode("latin-1").strip()))
        return f"its ICC profile is for {words} pixels"
    try:
        # Only using a profile reveals that it is truncated, or that it is one-way, as a scanner's may be.
        light = _transform(np.zeros((1, 1, 3 if space == b"RGB " else 1), np.float32), profile, _linear())
        _transform(light, _linear(), profile)
    except RuntimeError:
        return "its ICC profile is damaged, or cannot be used in both directions"
    return None


@lru_cache(maxsize=64)
def is_srgb(profile: bytes) -> bool:
    """Whether a profile is sRGB to within a quarter of an 8-bit code everywhere."""
    if profile[16:20] != b"RGB ":
        return False
    steps = np.linspace(0, 1, 9, dtype=np.float32)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    dark = np.repeat(np.linspace(0, 0.1, 64, dtype=np.float32)[None, :, None], 3, axis=2)
    samples = np.concatenate([lattice, dark], axis=1)
    return bool(np.abs(_transform(samples, profile, _srgb()) - samples).max() < _SAME_UNIT)


def to_linear(unit: NDArray[np.float32], profile: bytes) -> NDArray[np.float32]:
    """Converts (H, W, 1 or 3) from a profile's encoding to (H, W, 3) linear Rec.709; other gamuts exceed [0, 1]."""
    if unit.shape[2] == 1 and profile[16:20] == b"RGB ":
        unit = np.repeat(unit, 3, axis=2)
    fast = _matrix_profile(profile)
    if fast is None:
        return _transform(unit, profile, _linear())
    return _patched(fast.to_linear(unit), unit, lambda rest: _transform(rest, profile, _linear()))


def from_linear(linear: NDArray[np.float32], profile: bytes) -> NDArray[np.float32]:
    """Converts (H, W, 3) linear Rec.709 to (H, W, 3) in a profile's encoding; equal channels for a grey profile."""
    fast = _matrix_profile(profile)
    if fast is not None:
        return _patched(fast.from_linear(linear), linear, lambda rest: _transform(rest, _linear(), profile))
    encoded = _transform(linear, _linear(), profile)
    return encoded if encoded.shape[2] == 3 else np.repeat(encoded, 3, axis=2)


@lru_cache(maxsize=64)
def _matrix_profile(profile: bytes) -> MatrixProfile | None:
    return measure(lambda unit: _transform(unit, profile, _linear())) if profile[16:20] == b"RGB " else None


def _patched(result: Unit, unit: Unit, exact: Callable[[Unit], Unit]) -> Unit:
    """Replaces the pixels whose ``unit`` lies outside [0, 1] by exact conversions, each independent of the others."""
    if unit.min() >= -_ROUNDING and unit.max() <= 1 + _ROUNDING:
        return result
    outside = ((unit < -_ROUNDING) | (unit > 1 + _ROUNDING)).any(axis=2)
    result[outside] = exact(unit[outside][None])[0]
    return result


@lru_cache(maxsize=1)
def _srgb() -> bytes:
    return bytes(imagecodecs.cms_profile("srgb"))


@lru_cache(maxsize=1)
def _linear() -> bytes:
    # Not by Little CMS's sRGB profile, which extends its steep linear part below 0.
    return bytes(imagecodecs.cms_profile("rgb", whitepoint=_D65, primaries=_REC709, gamma=1.0))


def _transform(unit: NDArray[np.float32], source: bytes, target: bytes) -> NDArray[np.float32]:
    space, out_space = _COLOUR_SPACES[source[16:20]], _COLOUR_SPACES[target[16:20]]
    result: NDArray[Any] = imagecodecs.cms_transform(
        np.ascontiguousarray(unit),
        source,
        target,
        colorspace=space,
        outcolorspace=out_space,
        outdtype=np.float32,
        intent=_INTENT,
        flags=_EXACT,
    )
    # Little CMS keeps a grey picture's axis: (H, W, 1, 3)
    return result.reshape(*unit.shape[:2], 1 if out_space == "gray" else 3)
