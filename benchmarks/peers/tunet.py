"""A peer of `keyframe`: TuNet on a CPU, a U-Net that is trained on pairs of crops of the key frames.

    git clone https://github.com/emlcpfx/tunet PEER    (commit 3d216b0, Apache 2.0; needs albumentations and lpips)
    python benchmarks/peers/tunet.py PEER SHOT OUT --minutes 8 [--threads 2]

Its train.py with base/base.yaml runs for so many minutes; its inference.py makes the frames from the latest checkpoint.
What differs from that file: crops are as large as the shot allows, at most 256 px, instead of 512 px, previews are off,
and no worker process loads the two key frames. The loss is the file's, L1. OUT/peer/ has the configuration and model.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from pathlib import Path

from PIL import Image
from ruamel.yaml import YAML
from shot import Rgb, Shot, read_frames, write_frame
from timed import run_for

SAVE_EVERY_STEPS = 20
LARGEST_CROP_PX, CROP_MULTIPLE_PX = 256, 16
STEPS = re.compile(r"Step (\d+)")


def write_pictures(pictures: dict[int, Rgb], folder: Path) -> None:
    folder.mkdir(parents=True)
    for number, picture in pictures.items():
        Image.fromarray(picture).save(folder / f"shot_{number:04d}.png")


def write_config(shot: Shot, width: int, work: Path) -> Path:
    """Writes the folders of key frames and what differs from the peer's base configuration."""
    keys = {number: shot.plates[number] for number in shot.painted}
    write_pictures(keys, work / "src")
    write_pictures(shot.painted, work / "dst")
    write_pictures(shot.plates, work / "plates")
    shortest_px = min(next(iter(shot.plates.values())).shape[:2])
    crop_px = min(LARGEST_CROP_PX, shortest_px) // CROP_MULTIPLE_PX * CROP_MULTIPLE_PX
    folders = {"src_dir": str(work / "src"), "dst_dir": str(work / "dst"), "output_dir": str(work / "model")}
    config = {
        "data": {**folders, "resolution": crop_px},
        "model": {"model_size_dims": width},
        "dataloader": {"num_workers": 0},
        "logging": {"log_interval": SAVE_EVERY_STEPS, "preview_batch_interval": 0},
        "saving": {"save_iterations_interval": SAVE_EVERY_STEPS},
    }
    path = work / "shot.yaml"
    YAML().dump(config, path)
    return path


def made_frames(folder: Path) -> dict[int, Rgb]:
    """The frames under the names that ``read_frames`` knows."""
    for path in folder.glob("*_tunet_*.png"):
        path.rename(folder / f"shot.{path.stem.rpartition('_')[2]}.png")
    return read_frames(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", type=Path, help="its code")
    parser.add_argument("shot", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, required=True, help="of training, on idle cores")
    parser.add_argument("--width", type=int, default=64, help="channels of the first layer; 64 is the peer's default")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    peer, out = arguments.peer.resolve(), arguments.out.resolve()
    work = out / "peer"
    shutil.rmtree(work, ignore_errors=True)
    config = write_config(Shot.read(arguments.shot), arguments.width, work)
    train = [sys.executable, peer / "train.py", "--config", config]
    trained_s = run_for(train, arguments.minutes, work, arguments.threads)
    (model,) = (work / "model").glob("*_latest.pth")
    begun_s = time.monotonic()
    infer = [sys.executable, peer / "inference.py", "--checkpoint", model, "--input_dir", work / "plates"]
    infer += ["--output_dir", work / "frames", "--device", "cpu"]
    run_for(infer, 60.0, work, arguments.threads)
    for number, picture in made_frames(work / "frames").items():
        write_frame(out, number, picture)
    saved = [int(step) for log in work.rglob("*.log") for step in STEPS.findall(log.read_text())]
    print(f"{max(saved, default=0)} steps in {trained_s:.0f} s, then frames in {time.monotonic() - begun_s:.0f} s")


if __name__ == "__main__":
    main()
