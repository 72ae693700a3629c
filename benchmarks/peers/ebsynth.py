"""A peer of `keyframe`: ebsynth, run frame by frame as its users do.

    git clone https://github.com/jamriska/ebsynth PEER    (commit 2f5c97c, public domain; PatchMatch is patented)
    cd PEER && g++ src/ebsynth.cpp src/ebsynth_cpu.cpp src/ebsynth_nocuda.cpp -DNDEBUG -O3 -march=native -fopenmp \
        -I include -std=c++11 -o bin/ebsynth
    python benchmarks/peers/ebsynth.py PEER SHOT OUT [--threads 2]

Each frame is synthesized from its nearest key frame, or from both around it and cross-faded (--blend). Guides and
weights: the plate, the position in the key frame by composed optical flow (DIS), and the last result warped by the
flow, which keeps the result stable (Fišer et al. 2017, Example-Based Synthesis of Stylized Facial Animations; Jamriška
et al. 2019, Stylizing Video by Example).
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


def frames_of(key: int, shot: Shot, options: argparse.Namespace) -> list[int]:
    """The frames that are synthesized from a key frame, from it outwards; all to those wanted where one needs the last.

    They are those that it is the nearest of; to cross-fade, all up to the next key frame.
    """
    frames = [t for t in shot.plates if t != key and key in sources(t, shot, options.blend)]
    if options.frames is not None:
        own = [t for t in options.frames if t in frames]
        needed = own if options.temporal_weight else []
        frames = [t for t in frames if t in own or any(key < t < w or w < t < key for w in needed)]
    return sorted(frames, key=lambda t: abs(t - key))


def sources(frame: int, shot: Shot, blend: bool) -> dict[int, float]:
    """Key frames of a frame and their shares: the nearest one, or both around it."""
    around = [
        key
        for key in (
            max((k for k in shot.painted if k <= frame), default=None),
            min((k for k in shot.painted if k >= frame), default=None),
        )
        if key is not None
    ]
    if not blend or len(set(around)) == 1:
        return {min(shot.painted, key=lambda k: (abs(k - frame), k)): 1.0}
    first, last = around
    return {first: (last - frame) / (last - first), last: (frame - first) / (last - first)}


def synthesized(key: int, shot: Shot, options: argparse.Namespace) -> dict[int, Rgb]:
    """The key frame itself, and the frames that are made of it."""
    adjacent, flows = adjacent_flows(shot.plates), flows_to_key(shot.plates, key)
    painted = shot.painted[key]
    results = {key: painted}
    for frame in frames_of(key, shot, options):
        there, _ = flows[frame]
        guides = [
            (shot.plates[key], shot.plates[frame], options.plate_weight),
            (position_map(np.zeros_like(there)), position_map(there), options.position_weight),
        ]
        if options.temporal_weight:
            last = frame - 1 if frame > key else frame + 1
            guides.append((painted, warped(results[last], adjacent[frame, last]), options.temporal_weight))
        program = options.peer / "bin" / "ebsynth"
        results[frame] = synthesize(program, painted, guides, options.options.split(), options.threads)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", type=Path, help="ebsynth, built")
    parser.add_argument("shot", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plate-weight", type=float, default=4.0)
    parser.add_argument("--position-weight", type=float, default=2.0)
    parser.add_argument("--temporal-weight", type=float, default=1.0)
    parser.add_argument("--blend", action="store_true", help="cross-fade the results of both key frames around a frame")
    parser.add_argument("--options", default="", help="more options of the program, in one string")
    parser.add_argument("--frames", type=int, nargs="+", help="only these, and those that they depend on")
    arguments = parser.parse_args()
    begun_s = time.monotonic()
    shot = Shot.read(arguments.shot)
    made = {key: synthesized(key, shot, arguments) for key in shot.painted}
    for frame in shot.plates:
        shares = sources(frame, shot, arguments.blend)
        if all(frame in made[key] for key in shares):
            mixed = sum(np.float32(share) * to_unit(made[key][frame]) for key, share in shares.items())
            write_frame(arguments.out, frame, np.rint(mixed * 255).astype(np.uint8))
    print(f"{len(shot.plates)} frames, {time.monotonic() - begun_s:.1f} s")


if __name__ == "__main__":
    main()
