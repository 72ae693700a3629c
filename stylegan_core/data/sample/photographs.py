"""The real photographs inside the scikit-image and scikit-learn wheels: material of the built-in sample."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

_PHOTOGRAPHS = {
    "china": ("sklearn.datasets", "images/china.jpg"),
    "flower": ("sklearn.datasets", "images/flower.jpg"),
    "astronaut": ("skimage.data", "astronaut.png"),
    "chelsea": ("skimage.data", "chelsea.png"),
    "coffee": ("skimage.data", "coffee.png"),
    "hubble": ("skimage.data", "hubble_deep_field.jpg"),
    "motorcycle": ("skimage.data", "motorcycle_left.png"),
    "rocket": ("skimage.data", "rocket.jpg"),
}


def list_photographs() -> list[str]:
    """Names of the photographs, sorted."""
    return sorted(_PHOTOGRAPHS)


def load_photograph(name: str, width_px: int | None = None) -> np.ndarray:
    """One photograph.

    Args:
        name: one of ``list_photographs()``.
        width_px: resized to this width with its aspect kept; None keeps its size.
    Returns:
        (H, W, 3) uint8, sRGB.
    Raises:
        FileNotFoundError: the installed wheel does not hold the file.
    """
    package, relative = _PHOTOGRAPHS[name]
    path = Path(str(files(package))) / relative
    if not path.is_file():
        raise FileNotFoundError(f"{package} does not hold {relative}: reinstall it from its wheel (stylereel doctor)")
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    if width_px is not None:
        height_px = round(picture.height * width_px / picture.width)
        picture = picture.resize((width_px, height_px), Image.Resampling.LANCZOS)
    return np.asarray(picture)
