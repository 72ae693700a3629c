"""The transfer function of sRGB; a file of its own, so that training depends on no other code of frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Unit = npt.NDArray[np.float32]


def srgb_to_linear(encoded: Unit) -> Unit:
    """Decodes sRGB (IEC 61966-2-1), point-symmetric around 0 and continued above 1."""
    magnitude = np.abs(encoded)
    linear = np.where(magnitude <= 0.04045, magnitude / 12.92, ((magnitude + 0.055) / 1.055) ** 2.4)
    return np.copysign(linear, encoded).astype(np.float32)


def display_encoded(unit: Unit, working_space: str) -> Unit:
    """A picture in a working space as motion and appearance are searched: sRGB-encoded where the space is linear."""
    return linear_to_srgb(unit) if working_space.startswith("linear") else unit


def linear_to_srgb(linear: Unit) -> Unit:
    """Encodes as sRGB (IEC 61966-2-1), point-symmetric around 0 and continued above 1."""
    magnitude = np.abs(linear)
    encoded = np.where(magnitude <= 0.0031308, magnitude * 12.92, 1.055 * magnitude ** (1 / 2.4) - 0.055)
    return np.copysign(encoded, linear).astype(np.float32)
