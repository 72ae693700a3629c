"""The facades of the trial data: pairs as prepare writes them, their labels, and simple baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Pictures = npt.NDArray[np.float32]
"""(N, H, W, 3) in [0, 1]."""
Labels = npt.NDArray[np.int64]
"""(N, H, W), places in ``LABELS``."""

# The data's label colours, as far as JPEG leaves them exact.
LABELS = {
    "background": (0, 0, 222),
    "wall": (0, 48, 255),
    "window": (0, 128, 255),
    "door": (0, 207, 255),
    "cornice": (32, 255, 224),
    "sill": (112, 255, 143),
    "balcony": (192, 255, 63),
    "blind": (255, 240, 0),
    "decoration": (255, 159, 0),
    "moulding": (255, 80, 0),
    "pillar": (255, 0, 0),
    "shop": (175, 0, 0),
}


def prepare_settings(data: Path, content_half: str, side_px: int) -> dict[str, object]:
    """Section ``prepare``: photographs are the left halves, label maps the right ones, which get no new colours."""
    folder = str(data / "facades")
    maps = "content" if content_half == "right" else "style"
    return {
        "source": "side_by_side",
        "content": folder,
        "content_half": content_half,
        "split": "folders",
        "resize_px": side_px,
        f"{maps}_resize_filter": "nearest",
    }


def pairs(prepared: Path, split: str) -> tuple[list[str], Pictures, Pictures]:
    """Ids, content and style of a split of what prepare left."""
    from stylegan_core.data.crops import pair_rows, stored_rows
    from stylegan_core.data.manifest import read_manifest
    from stylegan_core.data.store import SampleStore

    store = SampleStore.open(prepared / "store")
    rows = pair_rows(stored_rows(read_manifest(prepared / "manifest.csv"), split))

    def side(index: int) -> Pictures:
        return np.stack([store.sample_of(row[index]) for row in rows]).astype(np.float32) / 255.0

    return [content.pair for content, _ in rows], side(0), side(1)


def labels(data: Path, ids: list[str], side_px: int) -> Labels:
    """What each pixel of the label maps means. Not averaged: colours mixed along an edge are another label's."""
    found = []
    for name in ids:
        with Image.open(data / "facades" / f"{name}.jpg") as opened:
            whole = opened.convert("RGB")
        half = whole.crop((whole.width // 2, 0, whole.width, whole.height))
        small = half.resize((side_px, side_px), Image.Resampling.NEAREST)
        found.append(nearest_label(np.asarray(small, np.float32) / 255.0))
    return np.stack(found)


def nearest_label(maps: Pictures) -> Labels:
    """The label whose colour is nearest, (..., H, W, 3) to (..., H, W)."""
    palette = np.asarray(list(LABELS.values()), np.float32) / 255.0
    return np.argmin(np.stack([((maps - colour) ** 2).sum(axis=-1) for colour in palette]), axis=0)


def mean_photograph(photographs: Pictures, count: int) -> Pictures:
    """The same picture for every label map."""
    return np.repeat(photographs.mean(axis=0, keepdims=True), count, axis=0)


def label_colours(photographs: Pictures, known: Labels, asked: Labels) -> Pictures:
    """Each label in the mean colour that it has in the photographs, the best constant for the squared error."""
    colours = np.stack([photographs[known == label].mean(axis=0) for label in range(len(LABELS))])
    return np.asarray(colours[asked], np.float32)


def drawn_facade(seed: int, side_px: int = 128) -> Pictures:
    """A synthetic label map, (H, W, 3)."""
    rng = np.random.default_rng(seed)
    unit = side_px / 128.0
    image = np.empty((side_px, side_px, 3), np.uint8)

    def fill(label: str, left: float, top: float, right: float, bottom: float) -> None:
        columns = slice(max(round(left * unit), 0), max(round(right * unit), 0))
        image[max(round(top * unit), 0) : max(round(bottom * unit), 0), columns] = LABELS[label]

    left, right, roof = float(rng.integers(0, 12)), float(rng.integers(116, 129)), float(rng.integers(4, 20))
    ground = float(rng.integers(116, 126))
    fill("background", 0, 0, 128, 128)
    fill("wall", left, roof, right, ground)
    fill("moulding", left, roof, right, roof + 5)
    floors, columns = int(rng.integers(3, 5)), int(rng.integers(4, 7))
    storey, bay = (ground - roof - 6) / floors, (right - left) / columns
    width, height = bay * rng.uniform(0.42, 0.55), storey * rng.uniform(0.5, 0.6)
    adorned = rng.random(floors) < 0.5
    shop = bool(rng.random() < 0.5)
    door = int(rng.integers(columns))
    for floor in range(floors):
        top = roof + 6 + floor * storey
        last = floor == floors - 1
        for column in range(columns):
            x, y = left + column * bay + (bay - width) / 2, top + (storey - height) / 2
            if last and column == door:
                fill("door", x, y - 1, x + width, ground)
            elif last and shop:
                fill("shop", x - 2, y, x + width + 2, ground - 2)
            else:
                fill("window", x, y, x + width, y + height)
                fill("sill", x - 1, y + height, x + width + 1, y + height + 2)
                if adorned[floor]:
                    fill("cornice", x - 1, y - 4, x + width + 1, y - 1)
                elif not last:
                    fill("blind", x - 2, y, x, y + height)
                    fill("blind", x + width, y, x + width + 2, y + height)
        if not last and floor > 0 and rng.random() < 0.4:
            middle = left + (columns // 2) * bay
            fill("balcony", middle - bay * 0.2, top + storey - 7, middle + bay * 1.2, top + storey - 1)
    fill("moulding", left, ground - storey - 1, right, ground - storey + 1)
    return image.astype(np.float32) / 255.0
