"""A shot as `keyframe_shots.py` writes it, and the motion from each of its frames to a key frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylegan_core.motion.optical_flow import grey_proxy, search_motion, warp_by_flow

Rgb = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Shot:
    """Frames by number, (H, W, 3) uint8.

    Attributes:
        plates: every frame of the input.
        painted: the key frames.
        truth: every frame as its painter paints it; empty where the shot has none.
    """

    plates: dict[int, Rgb]
    painted: dict[int, Rgb]
    truth: dict[int, Rgb]

    @classmethod
    def read(cls, folder: Path) -> Shot:
        return cls(*(read_frames(folder / name) for name in ("plates", "painted", "truth")))


def read_frames(folder: Path) -> dict[int, Rgb]:
    """The PNGs of a folder by the number before their suffix, after a dot where the name has one."""
    frames = {}
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as opened:
            frames[int(path.stem.rpartition(".")[2])] = np.asarray(opened.convert("RGB"))
    return frames


def write_frame(folder: Path, number: int, picture: Rgb) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(folder / f"shot.{number:04d}.png")


def to_unit(picture: Rgb) -> Floats:
    return picture.astype(np.float32) / np.float32(255.0)


def adjacent_flows(plates: dict[int, Rgb]) -> dict[tuple[int, int], Floats]:
    """(H, W, 2) flow from each frame to the one before and the one after, px, by both numbers."""
    greys = {number: grey_proxy(to_unit(plate)) for number, plate in plates.items()}
    pairs = [(a, b) for a in greys for b in (a - 1, a + 1) if b in greys]
    return {(a, b): search_motion(greys[a], greys[b]) for a, b in pairs}


def flows_to_key(plates: dict[int, Rgb], key: int) -> dict[int, tuple[Floats, Floats]]:
    """For each frame the flow to a key frame and the flow of the key frame to it, px.

    Adjacent flows are composed, and each composed flow is refined between the frame and the key frame.
    """
    greys = {number: grey_proxy(to_unit(plate)) for number, plate in plates.items()}
    adjacent = adjacent_flows(plates)
    rest = np.zeros((*greys[key].shape, 2), np.float32)
    found = {key: (rest, rest)}
    for step in (-1, 1):
        frame = key + step
        while (frame, frame - step) in adjacent:
            there, back = found[frame - step]
            nearer, farther = adjacent[frame, frame - step], adjacent[frame - step, frame]
            there, back = nearer + warp_by_flow(there, nearer), back + warp_by_flow(farther, back)
            there = search_motion(greys[frame], greys[key], initial_px=there)
            back = search_motion(greys[key], greys[frame], initial_px=back)
            found[frame] = (there, back)
            frame += step
    return found
