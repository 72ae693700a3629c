"""Two styles over one frame: is the surface in each region nearest its own style?

    python benchmarks/perceptual_styles.py $DATA WORK --styles drawn
    python benchmarks/regions.py WORK [--results docs/results.json] [--picture docs/results/regions.jpg]

Takes two of the models that perceptual_styles.py trained, and stylizes photographs of the scikit-image and
scikit-learn wheels by the ordinary `stylize`, with a region a style: a mask with a curved edge, softened, and its
inverse. Squares of 64 px that lie wholly inside one region, away from the soft edge, are measured by the style distance
of perceptual_styles.py. Baselines: the untouched frame, and Reinhard's colour transfer in each region.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from drawn_styles import draw
from numpy.typing import NDArray
from perceptual_styles import Floats, StyleEvaluator, grid, publish_picture, read_unit, sample_photographs
from PIL import Image

FEATHER_PX = 6.0
AWAY_PX = 18  # three deviations of the soft edge
SQUARE_PX, STEP_PX = 64, 32
FRAME_PX = (384, 256)


def curved_mask(height_px: int, width_px: int) -> NDArray[np.bool_]:
    """The left part of a frame, up to a wave."""
    rows, columns = np.mgrid[:height_px, :width_px]
    edge: NDArray[np.bool_] = columns < width_px * (0.5 + 0.1 * np.sin(2 * np.pi * rows / height_px))
    return edge


def squares_inside(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Top left corners of the squares that lie in the mask, away from its edge."""
    import cv2

    kernel = np.ones((2 * AWAY_PX + 1, 2 * AWAY_PX + 1), np.uint8)
    # The frame's border is no edge of the region.
    inner = cv2.erode(mask.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1).astype(bool)
    height, width = mask.shape
    return [
        (top, left)
        for top in range(0, height - SQUARE_PX + 1, STEP_PX)
        for left in range(0, width - SQUARE_PX + 1, STEP_PX)
        if inner[top : top + SQUARE_PX, left : left + SQUARE_PX].all()
    ]


def share_of_own(
    frames: Sequence[Floats], masks: Sequence[NDArray[np.bool_]], evaluator: StyleEvaluator
) -> tuple[float, float]:
    """Share of squares nearest their region's style, over all regions and in the worse one.

    Args:
        frames: stylized.
        masks: a region each, in the order of the evaluator's styles.
        evaluator: of two styles.
    """
    shares, counts = [], []
    for index, mask in enumerate(masks):
        corners = squares_inside(mask)
        right = [
            evaluator.distances(frame[top : top + SQUARE_PX, left : left + SQUARE_PX])[:, 2].argmin() == index
            for frame in frames
            for top, left in corners
        ]
        shares.append(float(np.mean(right)))
        counts.append(len(right))
    return float(np.average(shares, weights=counts)), min(shares)


def stylized(work: Path, names: tuple[str, str], frames: Sequence[Floats], masks: Sequence[NDArray[np.bool_]]) -> Path:
    """Writes frames, masks and the file of regions, and stylizes them; the folder of the results."""
    from flows.runners.local_runner import LocalRunner
    from stylegan_core.inference.planning.request import Request
    from tasks.stylize.stylize import stylize_directory

    folder = work / "regions"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "frames").mkdir(parents=True)
    for index, frame in enumerate(frames):
        Image.fromarray(np.rint(frame * 255).astype(np.uint8)).save(folder / "frames" / f"photo.{index + 1:04d}.png")
    entries = []
    for name, mask in zip(names, masks, strict=True):
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{name}.png")
        entries.append({"where": f"{name}.png", "model": str(work / name / "models" / "all"), "feather_px": FEATHER_PX})
    (folder / "regions.yaml").write_text(json.dumps(entries))  # JSON is YAML
    asked = Request.of(
        source=folder / "frames",
        output=folder / "out",
        model=work / names[0] / "models" / "all",
        regions=folder / "regions.yaml",
    )
    stylize_directory(asked, LocalRunner(), preview=None).raise_if_failed()
    return folder / "out"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="of perceptual_styles.py --styles drawn")
    parser.add_argument("--pair", nargs=2, default=("mosaic", "dabs"), help="two of the drawn styles")
    parser.add_argument("--results", type=Path, help="record the figures there, such as docs/results.json")
    parser.add_argument("--picture", type=Path, help="write the grid there too")
    arguments = parser.parse_args()
    os.environ["STYLEREEL_CACHE_DIR"] = str(arguments.work.absolute() / "cache")
    from stylegan_core.metrics.baselines import colour_statistics, reinhard

    work = arguments.work.absolute() / "drawn"
    left, right = arguments.pair
    evaluator = StyleEvaluator({name: draw(name).astype(np.float32) / 255 for name in (left, right)})
    frames = sample_photographs(*FRAME_PX)
    mask = curved_mask(*frames[0].shape[:2])
    masks = (mask, ~mask)
    out = stylized(work, (left, right), frames, masks)
    made = [read_unit(out / f"photo.{index + 1:04d}.png") for index in range(len(frames))]
    first, second = (colour_statistics([style]) for style in evaluator.styles.values())
    recoloured = [np.where(mask[..., None], reinhard(frame, first), reinhard(frame, second)) for frame in frames]
    record = {}
    for kind, shown in (("perceptual", made), ("reinhard", recoloured), ("unstylized", frames)):
        overall, worse = share_of_own(shown, masks, evaluator)
        record |= {f"regions/{kind}/nearest_own": overall, f"regions/{kind}/nearest_own_worse_region": worse}
    squares = len(frames) * sum(len(squares_inside(region)) for region in masks)
    print(squares, "squares;", json.dumps({k: round(v, 3) for k, v in record.items()}))
    table = [frames, made]
    grid(table, arguments.work / "regions.png")
    if arguments.picture:
        publish_picture(arguments.work / "regions.png", arguments.picture)
    if arguments.results:
        from stylegan_core.report.results import Result, record_results

        facts = {
            "recipe": "perceptual", "status": "measured", "unit": "1", "seed": 0, "date": "2026-11-20",
            "machine": "2 CPU cores, one thread", "command": "python benchmarks/regions.py WORK",
        }  # fmt: skip
        record_results(arguments.results, [Result(name=k, value=v, **facts) for k, v in record.items()])


if __name__ == "__main__":
    main()
