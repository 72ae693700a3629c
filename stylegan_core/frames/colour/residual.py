"""What becomes of light that a working space could not hold, when a network has changed what it could (ADR 8)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Unit = NDArray[np.float32]

_NOISE = np.float32(2**-13)
"""Smaller residuals come of rounding in conversions; half an 11-bit code."""
_FLOOR = np.float32(2**-9)
"""Keeps the gain of near-black samples, whose ratio is noise, close to 1."""


def carried_change(source: Unit, before: Unit, after: Unit, *, logarithmic: bool, replaced: Unit | None = None) -> Unit:
    """The change that a source gets where a network made ``after`` of ``before``.

    What the working space held of a source is exchanged: there the result is ``after``. What it did not hold, the
    residual ``source - before`` (highlights above its range, colours outside of its gamut), darkens in proportion and
    is never amplified. In logarithmic encodings adding is scaling, and the residual is left as it is.

    Args:
        source: (..., 3) in its own encoding, with straight alpha.
        before: what the network saw, decoded to that encoding.
        after: what it made, decoded alike.
        logarithmic: whether equal steps of the encoding are equal ratios of light.
        replaced: (..., 1) in [0, 1], how much of the source another picture takes the place of: so much goes without
            a residual.
    Returns:
        Like ``source``, to be added to it; 0 where ``after`` equals ``before``.
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
    # 1 where nothing changed, exactly; per channel, so that a tinted highlight is tinted at any brightness.
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
