"""How well painted key frames are warped to the frames of a shot whose motion is known: accuracy, coverage, mistakes.

    python benchmarks/guides.py SHOT [--every 4] [--sheet guides.png]

SHOT is a folder with plates/, painted/ and motion.json, such as `shot` of the built-in sample. The guides are those of
`stylereel stylize --key-frames`. The sheet shows frame, guide and confidence of six frames for the eye.

    reached       share of the frames that a key frame shows, by the known motion
    trust         of the motion, confidence above a half as 0 to 1: mean over the reached pixels
    error_px      distance of the warp from the known motion where it is trusted by half: mean, 95th percentile
    hidden        share of all trust on pixels whose key frame does not show them
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylegan_core.frames.sequences.listing import list_frames
from stylegan_core.inference.planning.shots.shot_motion import ShotMotion, SizedProxy
from stylegan_core.inference.reading.guide_flows import flow_of, kept_values
from stylegan_core.motion.guide import guide_rows
from stylegan_core.motion.guide_chain import FlowPair, chain_proxy
from stylegan_core.motion.guide_map import GuideMap, KeyMotion, map_guide
from stylegan_core.motion.scene import SceneMotion, load_motion

Floats = NDArray[np.float32]


@dataclass
class Tally:
    """Sums over the frames that are measured."""

    pixels: int = 0
    reached: float = 0.0
    trusted: float = 0.0
    hidden: float = 0.0
    trust: float = 0.0
    errors_px: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, found: GuideMap, scene: SceneMotion, frame: int, keys: list[int]) -> None:
        """Measures one frame."""
        size = found.choice.shape
        seen, error_px, hidden = np.zeros(size, bool), np.full(size, np.inf), np.zeros(size, bool)
        rows, columns = np.mgrid[: size[0], : size[1]]
        for index, key in enumerate(keys):
            (x, y), shown = scene.correspond(frame, key, (size[0], size[1]))
            seen |= shown
            offset = found.offsets_px[index]
            if offset is not None:
                here = found.choice == index
                apart = np.hypot(columns + offset[..., 0] - x, rows + offset[..., 1] - y)
                error_px[here & shown] = apart[here & shown]
                hidden |= here & ~shown
        trust = np.maximum(2 * found.confidence_unit - 1, 0)  # below a half the guide is found by appearance
        self.pixels += seen.size
        self.reached += seen.sum()
        self.trusted += trust[seen].sum()
        self.hidden += trust[hidden].sum()
        self.trust += trust.sum()
        self.errors_px.append(error_px[(trust > 0.5) & np.isfinite(error_px)])

    def figures(self) -> dict[str, float]:
        """The figures of all frames together."""
        errors = np.concatenate(self.errors_px)
        return {
            "reached": self.reached / self.pixels,
            "trust": self.trusted / self.reached,
            "error_px_mean": float(errors.mean()),
            "error_px_p95": float(np.percentile(errors, 95)),
            "error_above_1_px": float((errors > 1).mean()),
            "hidden": self.hidden / self.trust,
        }


def main() -> None:
    """Measures a shot and prints its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shot", type=Path)
    parser.add_argument("--every", type=int, default=4, help="measure every n-th frame")
    parser.add_argument("--sheet", type=Path, help="picture of six frames")
    options = parser.parse_args()
    plates, painted = (_pictures(options.shot / name) for name in ("plates", "painted"))
    scene, keys = load_motion(options.shot / "motion.json"), [*painted]
    size = next(iter(plates.values())).shape[:2]
    flows = _flows(plates, keys)
    tally, shown = Tally(), []
    for frame in [number for number in plates if number not in painted][:: options.every]:
        motions = [KeyMotion(plates[key], flows[key].get(frame), abs(frame - key)) for key in keys]
        found = map_guide(plates[frame], motions)
        tally.add(found, scene, frame, keys)
        guide = guide_rows(found, [painted[key] for key in keys], (size[0], size[1]), 0, size[0])
        shown.append(np.concatenate([plates[frame], guide[..., :3], np.repeat(guide[..., 3:], 3, axis=2)], axis=1))
    print(json.dumps({name: round(float(value), 4) for name, value in tally.figures().items()}, indent=1))
    if options.sheet:
        rows = shown[:: max(1, len(shown) // 6)][:6]
        Image.fromarray(np.rint(np.concatenate(rows) * 255).astype(np.uint8)).save(options.sheet)


def _flows(plates: dict[int, Floats], keys: list[int]) -> dict[int, dict[int, FlowPair]]:
    """Flows to each key frame, as a job keeps them."""

    def proxy(number: int) -> SizedProxy | None:
        grey = chain_proxy(plates[number])
        return None if grey is None else (grey, (plates[number].shape[0], plates[number].shape[1]))

    motion = ShotMotion([*plates], proxy)
    return {
        key: {number: flow_of(kept_values(flow)) for number, flow in motion.flows(key, {*plates} - {key})}
        for key in keys
    }


def _pictures(folder: Path) -> dict[int, Floats]:
    numbered = {frame.number: frame.path for frame in list_frames(folder) if frame.number is not None}
    return {
        number: np.asarray(Image.open(path).convert("RGB")).astype(np.float32) / np.float32(255)
        for number, path in sorted(numbered.items())
    }


if __name__ == "__main__":
    main()
