"""Residual of the working space: light that it cannot hold, and how it follows a network's change (ADR 8)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Unit = NDArray[np.float32]

_NOISE = np.float32(2**-13)
"""Smaller residuals are rounding errors of conversions; half an 11-bit code."""
_FLOOR = np.float32(2**-9)
"""Keeps the gain of near-black samples, whose ratio is noise, close to 1."""


def blend_back_change(
    source: Unit, before: Unit, after: Unit, *, logarithmic: bool, replaced: Unit | None = None
) -> Unit:
    """The change of a source whose working-space part a network changed from ``before`` to ``after``.

    The part inside the working space is replaced by ``after``. The residual ``source - before`` (highlights above the
    range, colours outside the gamut) darkens in proportion and is never amplified. In logarithmic encodings addition
    is a scaling of light, and the residual is unchanged.

    Args:
        source: (..., 3) in its own encoding, with straight alpha.
        before: the network's input, converted to that encoding.
        after: the network's output, converted likewise.
        logarithmic: whether equal steps of the encoding are equal ratios of light.
        replaced: (..., 1) in [0, 1], the share of the source that another picture replaces, without a residual.
    Returns:
        The change to add to ``source``, of its shape; 0 where ``after`` equals ``before``.
    """
    change: Unit = after - before
    if logarithmic and replaced is None:
        return change
    residual = source - before
    residual[np.abs(residual) <= _NOISE] = 0
    if not residual.any():
        return change
    if logarithmic and replaced is not None:
        change -= replaced * residual
        return change
    # Exactly 1 where nothing changed; per channel, so that a highlight keeps its tint at any brightness.
    gain = np.maximum(after, 0)
    gain += _FLOOR
    gain /= np.maximum(before, 0) + _FLOOR
    np.minimum(gain, 1, out=gain)
    if replaced is not None:
        gain *= 1 - replaced
    gain -= 1
    gain *= residual
    change += gain
    return change
