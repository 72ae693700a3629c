"""Known camera motion over a flat picture.

Pixel centres lie on whole numbers: the centre of the top left pixel is (0, 0).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""(2, 3): takes (x, y, 1) in one picture's pixels to (x, y) in another's."""


class MotionError(ValueError):
    """A motion file cannot be used; the message names the file and the reason."""


@dataclass(frozen=True)
class CameraMotion:
    """The part of the picture that every frame of a shot shows.

    Attributes:
        to_world: for each frame number the matrix from its pixels to those of the filmed picture.
    """

    to_world: dict[int, Matrix]

    def knows(self, frames: Iterable[int]) -> bool:
        """Whether all ``frames`` have a matrix."""
        return all(frame in self.to_world for frame in frames)

    def between(self, source: int, target: int) -> Matrix:
        """The matrix from the pixels of frame ``source`` to those of frame ``target`` that show the same point.

        Raises:
            KeyError: a frame has no matrix.
        """
        return compose(inverse(self.to_world[target]), self.to_world[source])


def parse_matrices(document: dict[str, Any], where: str) -> dict[int, Matrix]:
    """The matrices of ``{"1": [[a, b, tx], [c, d, ty]], ...}`` by frame number.

    Args:
        document: parsed JSON.
        where: the file, for messages.
    Raises:
        MotionError: a matrix is not 2 x 3 or has no inverse.
        ValueError, TypeError, AttributeError: the JSON has another form.
    """
    matrices = {int(number): np.array(matrix, dtype=np.float64) for number, matrix in document.items()}
    for number, matrix in matrices.items():
        if matrix.shape != (2, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:, :2])) < 1e-12:
            raise MotionError(f"{where}: the matrix of frame {number} is not 2 x 3 with an inverse")
    return matrices


def inverse(matrix: Matrix) -> Matrix:
    """The inverse of an affine matrix."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def compose(second: Matrix, first: Matrix) -> Matrix:
    """The composition of two affine matrices: ``first``, then ``second``."""
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])
