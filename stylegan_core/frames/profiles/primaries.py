"""RGB primaries: linear RGB of any primaries and white point to linear Rec.709 (SMPTE RP 177-1993, Bradford)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Unit = NDArray[np.float32]
Chromaticities = tuple[float, ...]
"""x and y of red, green, blue and white: eight numbers, as EXR headers hold them."""

REC709: Chromaticities = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
KNOWN: dict[str, Chromaticities] = {
    "linear_rec709": REC709,
    "lin_ap0_scene": (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767),
    "lin_ap1_scene": (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767),
    "lin_rec2020_scene": (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    "lin_p3d65_scene": (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.3290),
}
"""Named linear spaces by their primaries: our own name, or an interop ID (Academy Color Interop Forum, 2024)."""
_XYZ = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
_SAME_XY = 5e-4
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_LINEAR = "linear:"


def space_of_primaries(chromaticities: Sequence[float]) -> str | None:
    """The linear space with these primaries: a key of ``KNOWN``, else "linear:" and the eight numbers.

    Args:
        chromaticities: x and y of red, green, blue and white.
    Returns:
        None if they are not valid primaries.
    """
    if len(chromaticities) != 8 or not np.isfinite(chromaticities).all():
        return None
    for name, known in KNOWN.items():
        if np.abs(np.subtract(chromaticities, known)).max() < _SAME_XY:
            return name
    name = _LINEAR + ",".join(f"{number:.7g}" for number in chromaticities)
    try:
        matrix = to_rec709(name)
    except (np.linalg.LinAlgError, ZeroDivisionError, FloatingPointError):
        return None
    return name if np.isfinite(matrix).all() and np.linalg.cond(matrix) < 1e4 else None


def is_by_primaries(space: str) -> bool:
    """Whether a space is named by its primaries: "linear:" and eight numbers, see ``space_of_primaries``."""
    return space.startswith(_LINEAR)


@lru_cache(maxsize=16)
def to_rec709(space: str) -> NDArray[np.float64]:
    """The (3, 3) matrix from a space of ``space_of_primaries`` to linear Rec.709, for colours as columns.

    White is adapted, except for CIE XYZ: its numbers are colours as measured, and EXR files store them unadapted.
    """
    numbers = tuple(float(number) for number in space.removeprefix(_LINEAR).split(","))
    if np.abs(np.subtract(numbers[:6], _XYZ)).max() < _SAME_XY:
        return np.linalg.inv(_to_xyz(REC709)).astype(np.float64)
    white, target_white = _xyz(numbers[6:]), _xyz(REC709[6:])
    cones = np.diag((_BRADFORD @ target_white) / (_BRADFORD @ white))
    adapt = np.linalg.inv(_BRADFORD) @ cones @ _BRADFORD
    found: NDArray[np.float64] = np.linalg.inv(_to_xyz(REC709)) @ adapt @ _to_xyz(numbers)
    return found


def _to_xyz(chromaticities: Chromaticities) -> NDArray[np.float64]:
    red, green, blue, white = (chromaticities[at : at + 2] for at in (0, 2, 4, 6))
    # Scaled by x + y + z rather than y: the Z primary of XYZ itself has y = 0.
    columns = np.array([[x, y, 1 - x - y] for x, y in (red, green, blue)]).T
    scaled: NDArray[np.float64] = columns * np.linalg.solve(columns, _xyz(white))
    return scaled


def _xyz(xy: Sequence[float]) -> NDArray[np.float64]:
    x, y = xy
    return np.array([x / y, 1.0, (1 - x - y) / y])
