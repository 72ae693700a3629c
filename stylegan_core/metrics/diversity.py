"""Diversity of a set of pictures; it is low where a generator's outputs hardly depend on its input (mode collapse)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from stylegan_core.metrics.pictures import Floats

COLLAPSED_BELOW = 0.1
"""Ratio under which outputs count as collapsed. Of photographs, oil paintings, grey versions and blurs keep 0.8 to 1.1
and white sheets with a little ink 0.3; one picture for all, or one of a few, has 0."""

_SIDE = 8
_LEAST = 0.01  # of the references, under three 8-bit codes: less means copies of one picture


def spread(pictures: Sequence[Floats]) -> float:
    """Mean distance of a picture to the nearest other: root mean square over 8 x 8 areas' mean colours.

    The nearest, not all others: a generator that always returns one of a few pictures has no spread.

    Args:
        pictures: (H, W, 3) in [0, 1] each, of any sizes; two at least.
    Raises:
        ValueError: there are fewer than two.
    """
    if len(pictures) < 2:
        raise ValueError(f"a spread needs two pictures or more: got {len(pictures)}")
    coarse = np.stack([_coarse(picture) for picture in pictures])  # (N, 192)
    distances = np.sqrt(np.mean((coarse[:, None] - coarse[None]) ** 2, axis=2))  # (N, N)
    np.fill_diagonal(distances, np.inf)
    return float(distances.min(axis=1).mean())


def diversity(outputs: Sequence[Floats], references: Sequence[Floats]) -> float | None:
    """The spread of outputs over that of references: about 1 where outputs differ as much, 0 where all are equal.

    Coarse colours are compared, so that neither grain nor brushwork counts as diversity.

    Args:
        outputs: of different inputs, (H, W, 3) in [0, 1] each.
        references: the inputs, or the truths.
    Returns:
        The ratio; None where there are fewer than two, or where the references themselves hardly differ.
    """
    if min(len(outputs), len(references)) < 2:
        return None
    expected = spread(references)
    return spread(outputs) / expected if expected >= _LEAST else None


def _coarse(picture: Floats) -> npt.NDArray[np.float64]:
    small = cv2.resize(np.asarray(picture, np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64).reshape(-1)
