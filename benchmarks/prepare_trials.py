"""Prepares the data of the trials: the sample, monet2photo and a painted shot.

    python benchmarks/prepare_trials.py $DATA .carry

For each of ``sample``, ``monet2photo`` and ``tennis`` the second folder gets the output of the stage prepare. Two
frames of the tennis shot are painted by the sample's painter, the first and the one in the middle.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stylegan_core.config import parse_params
from stylegan_core.data.sample.painter import paint_in_oil
from stylegan_core.frames.sequences.listing import list_pictures
from tasks.stages.prepare import prepare


def paint_key_frames(plates: Path, painted: Path) -> None:
    """Paints the first frame of a shot and the one in the middle."""
    frames = list_pictures(plates)
    painted.mkdir(parents=True, exist_ok=True)
    for frame in (frames[0], frames[len(frames) // 2]):
        with Image.open(frame.path) as plate:
            rgb = np.asarray(plate.convert("RGB"))
        Image.fromarray(paint_in_oil(rgb)).save(painted / f"{frame.path.stem}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the trial data folder")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    data, output = arguments.data, arguments.output
    plates, painted = data / "video" / "tennis" / "frames", output / "tennis_painted"
    paint_key_frames(plates, painted)
    monet = {"content": str(data / "monet2photo" / "photo"), "style": str(data / "monet2photo" / "monet")}
    trials: dict[str, dict[str, Any]] = {
        "sample": {"prepare": {"source": "sample"}},
        "monet2photo": {"prepare": {"source": "folders", **monet}},
        "tennis": {
            "prepare": {"source": "shots"},
            "shots": [{"name": "tennis", "plates": str(plates), "painted": str(painted)}],
        },
    }
    for name, document in trials.items():
        prepare(parse_params({**document, "train": {"recipe": "keyframe"}}), output / name)
        print(output / name)


if __name__ == "__main__":
    main()
