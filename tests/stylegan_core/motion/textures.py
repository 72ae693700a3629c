"""Pictures that flow can follow, and flows of one shift."""

import cv2
import numpy as np


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width, 3), np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return (blurred - blurred.min()) / (blurred.max() - blurred.min())


def constant(shift_px: float, height: int = 96, width: int = 128) -> np.ndarray:
    return np.full((height, width, 2), (shift_px, 0.0), np.float32)


def seen(picture: np.ndarray, left_px: int) -> np.ndarray:
    return np.ascontiguousarray(picture[:, left_px : left_px + 128])


def dabs(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Even squares of 4 px with hard edges, (height, width, 3)."""
    colours = np.random.default_rng(seed).random((height // 4 + 1, width // 4 + 1, 3), np.float32)
    return np.ascontiguousarray(np.kron(colours, np.ones((4, 4, 1), np.float32))[:height, :width])
