"""Peers of `unpaired`, `cut` and `cyclegan`: the authors' CUT, FastCUT and CycleGAN, with their own code on a CPU.

    git clone https://github.com/taesungp/contrastive-unpaired-translation PEER    (commit b3ac297; BSD, see LICENSE)
    python benchmarks/unpaired_monet.py $DATA WORK ...    (writes WORK/photo and WORK/monet, the training pictures)
    python benchmarks/peers/unpaired_peers.py PEER WORK $DATA/monet2photo OUT --method cut --epochs 10 [--threads 1]
    python benchmarks/unpaired_monet.py $DATA WORK --pictures OUT --name authors_cut

The authors' train.py runs for so many epochs of the larger folder in batches of one, half of them with a linear decay,
as in their 200 + 200; the budget is thus in steps, and the CPU seconds are printed. Their test.py then translates the
photographs of $DATA/monet2photo that WORK/photo lacks, at 256 px, and four photographs that may be published.

What differs from their defaults: crops of 128 instead of 256 px, cut from the pictures as they are (`--preprocess
crop`; theirs enlarges to 286 px before and reduces whole pictures to the crop in the second half), fewer channels, and
unpaired_stand_ins.py. Losses, weights, learning rates, networks and low-pass filters are theirs. OUT/peer has the
options, the log and the weights.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import time
from pathlib import Path

from PIL import Image
from timed import run_for

STAND_INS = Path(__file__).with_name("unpaired_stand_ins.py")
METHODS = {
    "cut": ["--model", "cut", "--CUT_mode", "CUT"],
    "fast_cut": ["--model", "cut", "--CUT_mode", "FastCUT"],
    "cyclegan": ["--model", "cycle_gan"],
}
SIDE_PX = 256
CROP_PX = 128
SHOWN = ("china", "coffee", "flower", "rocket")
LONGEST_MINUTES = 60.0


def link_folders(work: Path, pictures: Path, root: Path) -> list[Path]:
    """The authors' folders: trainA and trainB are WORK's, testA and testB what they lack; photographs of testA."""
    shutil.rmtree(root, ignore_errors=True)
    found: dict[str, list[Path]] = {}
    for letter, domain in (("A", "photo"), ("B", "monet")):
        (root / f"test{letter}").mkdir(parents=True)
        (root / f"train{letter}").symlink_to(work / domain, target_is_directory=True)
        known = {path.name for path in (work / domain).iterdir()}
        found[letter] = [path for path in sorted((pictures / domain).iterdir()) if path.name not in known]
        for path in found[letter]:
            (root / f"test{letter}" / path.name).symlink_to(path)
    return found["A"]


def write_shown(folder: Path) -> list[Path]:
    """Photographs of the sample, which may be published."""
    from stylegan_core.data.sample.photographs import load_photograph

    paths = []
    for name in SHOWN:
        paths.append(folder / f"{name}.png")
        Image.fromarray(load_photograph(name, SIDE_PX)).save(paths[-1])
    return paths


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", type=Path, help="the authors' code")
    parser.add_argument("work", type=Path, help="photo and monet: the training pictures")
    parser.add_argument("pictures", type=Path, help="photo and monet: all pictures")
    parser.add_argument("out", type=Path)
    parser.add_argument("--method", choices=list(METHODS), required=True)
    parser.add_argument("--epochs", type=int, required=True, help="an even number: half of them decay")
    parser.add_argument("--channels", type=int, default=32, help="of the first layers; the authors' default is 64")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    peer, out = arguments.peer.resolve(), arguments.out.resolve()
    root, work = out / "peer" / "data", arguments.work.resolve()
    held_back = link_folders(work, arguments.pictures.resolve(), root)
    shown = write_shown(root / "testA")
    channels = ["--ngf", str(arguments.channels), "--ndf", str(arguments.channels)]
    common = ["--dataroot", root, "--checkpoints_dir", out / "peer", "--name", "weights", "--gpu_ids", "-1"]
    common += [*METHODS[arguments.method], *channels, "--num_threads", "0"]
    half = str(arguments.epochs // 2)
    train = [sys.executable, STAND_INS, peer / "train.py", *common, "--preprocess", "crop", "--crop_size", str(CROP_PX)]
    train += ["--n_epochs", half, "--n_epochs_decay", half, "--save_epoch_freq", half]
    train += ["--display_id", "-1", "--no_html", "--print_freq", "280"]
    trained_s = run_for(train, LONGEST_MINUTES, out / "peer", arguments.threads)
    trained_cpu_s, begun_s = cpu_s(), time.monotonic()
    test = [sys.executable, STAND_INS, peer / "test.py", *common, "--preprocess", "none", "--num_test", "1000"]
    run_for([*test, "--results_dir", out / "peer"], LONGEST_MINUTES, out / "peer", arguments.threads)
    made = out / "peer" / "weights" / "test_latest" / "images" / "fake_B"
    for path in (*held_back, *shown):
        shutil.copyfile(made / f"{path.stem}.png", out / f"{path.stem}.png")
    steps = 2 * (arguments.epochs // 2) * max(len(list((root / f"train{letter}").iterdir())) for letter in "AB")
    print(f"{steps} steps in {trained_s:.0f} s ({trained_cpu_s:.0f} CPU s), {time.monotonic() - begun_s:.0f} s to test")


if __name__ == "__main__":
    main()
