"""Shots that judge `keyframe` and its peers: real clips of which every frame is painted, two of them as key frames.

    python benchmarks/keyframe_shots.py $DATA WORK [--clips tennis running_car car-turn] [--painters washes strokes]

Each clip of $DATA/video is reduced to at most 432 px a row, and its first 40 frames are taken. A painter paints all of
them, with the palette of the first key frame. WORK/CLIP-PAINTER has `plates/`, `truth/` with every painted frame, and
`painted/` with the two that a method may see, at a quarter and three quarters of the shot. All three name a frame
`shot.NNNN.png`.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from painters import PAINTERS, paint
from PIL import Image

Rgb = NDArray[np.uint8]

WIDTH_PX = 432
FRAMES = 40
KEYS_UNIT = (1 / 4, 3 / 4)
CLIPS = ("tennis", "running_car", "car-turn")


def read_clip(folder: Path) -> list[Rgb]:
    """The first frames of a clip, (H, W, 3), at most WIDTH_PX wide, with even sides."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".png"))[:FRAMES]
    if len(paths) < FRAMES:
        raise SystemExit(f"{folder} has {len(paths)} frames, a shot needs {FRAMES}")
    frames = []
    for path in paths:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        if picture.width > WIDTH_PX:
            size = (WIDTH_PX, 2 * round(picture.height * WIDTH_PX / picture.width / 2))
            picture = picture.resize(size, Image.Resampling.BOX)
        frames.append(np.asarray(picture))
    return frames


def write_shot(plates: list[Rgb], painter: str, folder: Path) -> None:
    """Writes plates, truth and key frames; a shot that is there is made again."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("plates", "painted", "truth"):
        (folder / name).mkdir(parents=True)
    keys = {round(position * (len(plates) - 1)) for position in KEYS_UNIT}
    for number, plate in enumerate(plates):
        painting = Image.fromarray(paint(painter, plate, palette_of=plates[min(keys)]))
        Image.fromarray(plate).save(folder / "plates" / f"shot.{number:04d}.png")
        painting.save(folder / "truth" / f"shot.{number:04d}.png")
        if number in keys:
            painting.save(folder / "painted" / f"shot.{number:04d}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the trial data folder")
    parser.add_argument("work", type=Path, help="the shots; outside the repository")
    parser.add_argument("--clips", nargs="+", choices=CLIPS, default=list(CLIPS))
    parser.add_argument("--painters", nargs="+", choices=sorted(PAINTERS), default=["washes", "strokes"])
    arguments = parser.parse_args()
    for clip in arguments.clips:
        plates = read_clip(arguments.data / "video" / clip / "frames")
        for painter in arguments.painters:
            write_shot(plates, painter, arguments.work / f"{clip}-{painter}")
            print(f"{clip}-{painter}: {len(plates)} frames, {plates[0].shape[1]} x {plates[0].shape[0]} px", flush=True)


if __name__ == "__main__":
    main()
