"""Coverage by key frames: the fraction of a frame's pixels that no key frame shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stylegan_core.motion.scene import SceneMotion
from stylegan_core.motion.warp import Mask


def covered(motion: SceneMotion, frame: int, key_frames: Sequence[int], size: tuple[int, int]) -> Mask:
    """Which pixels of ``frame`` show a point that a key frame shows too, of the background or of the same object.

    Args:
        motion: of the shot.
        frame: number of the frame.
        key_frames: numbers of the key frames; without any, no pixel is covered.
        size: height and width of all frames, px.
    Returns:
        (H, W).
    Raises:
        KeyError: a frame's motion is not known.
        MotionError: the mask of an object cannot be used.
    """
    mask = np.zeros(size, dtype=np.bool_)
    for key in key_frames:
        mask |= motion.correspond(frame, key, size)[1]
    return mask


def unseen_fraction(
    motion: SceneMotion, frames: Sequence[int], key_frames: Sequence[int], size: tuple[int, int]
) -> float:
    """Fraction of the pixels of ``frames`` that are in no key frame, in [0, 1].

    Args:
        motion: of the shot.
        frames: numbers of the evaluated frames, at least one.
        key_frames: numbers of the key frames.
        size: height and width of all frames, px.
    Raises:
        ValueError: no frames.
        KeyError: a frame's motion is not known.
        MotionError: the mask of an object cannot be used.
    """
    if not frames:
        raise ValueError("the unseen fraction needs at least one frame")
    return float(np.mean([1.0 - covered(motion, frame, key_frames, size).mean() for frame in frames]))
