"""A peer of `keyframe`: ebsynth, run frame by frame as its users do.

    git clone https://github.com/jamriska/ebsynth PEER    (commit 2f5c97c, public domain; PatchMatch is patented)
    cd PEER && g++ src/ebsynth.cpp src/ebsynth_cpu.cpp src/ebsynth_nocuda.cpp -DNDEBUG -O3 -march=native -fopenmp \
        -I include -std=c++11 -o bin/ebsynth
    python benchmarks/peers/ebsynth.py PEER SHOT OUT [--threads 2]

Each frame is synthesized from its nearest key frame. Guides and weights: the plate, the position in the key frame by
composed optical flow (DIS), and the last result warped by the flow, which keeps the result stable (Fišer et al. 2017,
Example-Based Synthesis of Stylized Facial Animations; Jamriška et al. 2019, Stylizing Video by Example).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from shot import Floats, Rgb, Shot, adjacent_flows, flows_to_key, to_unit, write_frame

from stylegan_core.motion.optical_flow import warp_by_flow

Guide = tuple[Rgb, Rgb, float]
"""Of the key frame, of the frame, and its weight."""


def position_map(flow: Floats) -> Rgb:
    """Where each pixel is in the key frame: x and y as red and green, over the whole frame."""
    height, width = flow.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x = (columns + flow[..., 0]) / (width - 1)
    y = (rows + flow[..., 1]) / (height - 1)
    return np.rint(np.stack([x, y, np.zeros_like(x)], axis=-1).clip(0, 1) * 255).astype(np.uint8)


def warped(picture: Rgb, flow: Floats) -> Rgb:
    return np.rint(warp_by_flow(to_unit(picture), flow).clip(0, 1) * 255).astype(np.uint8)


def synthesize(program: Path, painted: Rgb, guides: list[Guide], options: list[str], threads: int) -> Rgb:
    """One frame by one call of the program."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Image.fromarray(painted).save(folder / "style.png")
        command = [str(program), "-style", str(folder / "style.png"), "-output", str(folder / "out.png")]
        for index, (source, target, weight) in enumerate(guides):
            for side, picture in (("source", source), ("target", target)):
                Image.fromarray(picture).save(folder / f"{side}{index}.png")
            command += ["-guide", *(str(folder / f"{side}{index}.png") for side in ("source", "target"))]
            command += ["-weight", str(weight)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        subprocess.run([*command, "-backend", "cpu", *options], check=True, stdout=subprocess.DEVNULL, env=environment)
        with Image.open(folder / "out.png") as opened:
            return np.asarray(opened.convert("RGB"))


def frames_of(key: int, shot: Shot, wanted: list[int] | None, sequential: bool) -> list[int]:
    """The frames that are synthesized from a key frame, from it outwards; all to those wanted where sequential."""
    frames = [t for t in shot.plates if t != key and min(shot.painted, key=lambda k: (abs(k - t), k)) == key]
    if wanted is not None:
        own = [t for t in wanted if t in frames]
        frames = [t for t in frames if t in own or (sequential and any(key < t < w or w < t < key for w in own))]
    return sorted(frames, key=lambda t: abs(t - key))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", type=Path, help="ebsynth, built")
    parser.add_argument("shot", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plate-weight", type=float, default=4.0)
    parser.add_argument("--position-weight", type=float, default=2.0)
    parser.add_argument("--temporal-weight", type=float, default=1.0)
    parser.add_argument("--options", default="", help="more options of the program, in one string")
    parser.add_argument("--frames", type=int, nargs="+", help="only these, and those that they depend on")
    arguments = parser.parse_args()
    begun_s = time.monotonic()
    shot = Shot.read(arguments.shot)
    adjacent = adjacent_flows(shot.plates)
    program = arguments.peer / "bin" / "ebsynth"
    for key, painted in shot.painted.items():
        flows = flows_to_key(shot.plates, key)
        results = {key: painted}
        for frame in frames_of(key, shot, arguments.frames, bool(arguments.temporal_weight)):
            there, _ = flows[frame]
            guides = [
                (shot.plates[key], shot.plates[frame], arguments.plate_weight),
                (position_map(np.zeros_like(there)), position_map(there), arguments.position_weight),
            ]
            if arguments.temporal_weight:
                last = frame - 1 if frame > key else frame + 1
                guides.append((painted, warped(results[last], adjacent[frame, last]), arguments.temporal_weight))
            results[frame] = synthesize(program, painted, guides, arguments.options.split(), arguments.threads)
        for frame, result in results.items():
            write_frame(arguments.out, frame, result)
    print(f"{len(shot.plates)} frames, {time.monotonic() - begun_s:.1f} s")


if __name__ == "__main__":
    main()
