"""`attributes` with three attributes at once whose truth is known: drawn on crops of the built-in photographs.

    python benchmarks/attributes_synthetic.py WORK [--results docs/results.json]

The attributes are a brighter top half, a darker bottom half, and glasses drawn on. Every training crop is there once,
with one combination: no pair is ever shown. The test crops come from photographs that training never saw, and since
their plain crops are known, so is what each edit should have made: an edit succeeds if of all eight drawings of its
crop the wanted one is the nearest. The baseline adds the mean picture with the attribute minus the mean without it.

WORK lies outside the repository and keeps the checkpoints: the same command resumes a stopped run.
"""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attributes_trial import Pictures, edited, grid, mean_difference, publish, train, write_labelled

NAMES = ("bright_top", "dark_bottom", "glasses")
SIDE_PX = 64
TRAINING_CROPS, TEST_CROPS = 2000, 64
HELD_BACK = ("chelsea", "coffee")
COMMAND = "python benchmarks/attributes_synthetic.py WORK"
COMBINATIONS = tuple(itertools.product((0, 1), repeat=len(NAMES)))

Flags = npt.NDArray[np.int64]


def glasses() -> npt.NDArray[np.bool_]:
    """(H, W), two rings and what joins them."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    rings = [np.abs(np.hypot(x - centre, y - 32) - 9) < 1.8 for centre in (18.5, 44.5)]
    return rings[0] | rings[1] | ((np.abs(y - 30) < 2) & (x > 27) & (x < 36))


def draw(plain: Pictures, flags: Flags) -> Pictures:
    """Crops (N, H, W, 3) with the attributes that their row of ``flags`` names."""
    drawn = plain.copy()
    half = SIDE_PX // 2
    bright, dark, worn = (flags[:, k] == 1 for k in range(3))
    drawn[bright, :half] = 0.6 * drawn[bright, :half] + 0.4
    drawn[dark, half:] = 0.5 * drawn[dark, half:]
    with_glasses = drawn[worn]
    with_glasses[:, glasses()] = (0.05, 0.05, 0.1)
    drawn[worn] = with_glasses
    return np.rint(drawn * 255.0).astype(np.float32) / 255.0


def crops(photographs: list[str], count: int, rng: np.random.Generator) -> Pictures:
    from stylegan_core.data.sample.photographs import load_photograph

    opened = [load_photograph(name, width_px) for width_px in (128, 192, 256) for name in photographs]
    made = []
    for index in range(count):
        photograph = opened[index % len(opened)]
        y, x = (int(rng.integers(side - SIDE_PX + 1)) for side in photograph.shape[:2])
        made.append(photograph[y : y + SIDE_PX, x : x + SIDE_PX].astype(np.float32) / 255.0)
    return np.stack(made)


def nearest(pictures: Pictures, drawings: Pictures) -> Flags:
    """(N,) which of (8, N, H, W, 3) drawings each picture is the nearest to, as a place in ``COMBINATIONS``."""
    return ((pictures[None] - drawings) ** 2).mean(axis=(2, 3, 4)).argmin(axis=0)


def moved(sources: Pictures, changes: npt.NDArray[np.float64] | Flags, directions: Pictures) -> Pictures:
    """The baseline: each source with (N, L) ``changes`` of the mean differences added."""
    return np.clip(sources + np.einsum("nl,lhwc->nhwc", changes, directions), 0, 1).astype(np.float32)


def measure(edits: Pictures, wanted: Flags, drawings: Pictures) -> dict[str, float]:
    from stylegan_core.metrics.psnr import psnr_db

    truth = drawings[wanted, np.arange(len(edits))]
    return {
        "success": float((nearest(edits, drawings) == wanted).mean()),
        "truth_psnr_db": psnr_db(list(edits), list(truth)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="checkpoints, models and pictures; outside the repository")
    parser.add_argument("--steps", type=int, default=3600)
    parser.add_argument("--results", type=Path, help="docs/results.json, to publish the figures")
    parser.add_argument("--picture", type=Path, help="a grid to publish, such as docs/results/attributes.jpg")
    parser.add_argument("--faces", type=Path, help="WORK of attributes_smile.py, whose astronaut is its first row")
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    os.environ["STYLEREEL_CACHE_DIR"] = str(work / "cache")
    from stylegan_core.data.sample.photographs import list_photographs
    from stylegan_core.metrics.psnr import psnr_db
    from stylegan_core.recipes.attributes import Recipe

    rng = np.random.default_rng(0)
    seen = [name for name in list_photographs() if name not in HELD_BACK]
    flags = rng.integers(2, size=(TRAINING_CROPS, len(NAMES)))
    pictures = draw(crops(seen, TRAINING_CROPS, rng), flags)
    write_labelled(pictures, flags, NAMES, work)
    steps = {"budget_steps": arguments.steps, "lr_decay_start_step": arguments.steps // 2}
    model, seconds = train(
        work,
        {
            **Recipe.presets["two_cores"],
            **steps,
            "lr_decay_end_step": arguments.steps,
            "attributes": list(NAMES),
            "flow_px": 0.0,  # nothing here moves
            "augmentation": "none",  # there are crops enough, and what is drawn has its place and brightness
            "keep_weight": 0.5,
        },
    )
    print(f"trained in {seconds:.0f} s")

    plain = crops(list(HELD_BACK), TEST_CROPS, rng)
    drawings = np.stack([draw(plain, np.tile(c, (TEST_CROPS, 1))) for c in COMBINATIONS])  # (8, N, H, W, 3)
    combinations = np.asarray(COMBINATIONS)
    start = np.arange(TEST_CROPS) % len(COMBINATIONS)
    sources, had = drawings[start, np.arange(TEST_CROPS)], combinations[start]
    directions = np.stack([mean_difference(pictures, flags[:, k]) for k in range(len(NAMES))])
    figures: dict[str, float] = {}
    for k, name in enumerate(NAMES):
        wish = np.zeros((TEST_CROPS, len(NAMES)))
        wish[:, k] = 1 - 2 * had[:, k]
        target = had.copy()
        target[:, k] = 1 - had[:, k]
        wanted = (target * (4, 2, 1)).sum(axis=1)
        made = edited(model, sources, wish.tolist())
        simple = moved(sources, wish, directions)
        for label, pictures_made in (("", made), ("_mean_difference", simple)):
            figures |= {f"{name}/{m}{label}": v for m, v in measure(pictures_made, wanted, drawings).items()}
        figures[f"{name}/truth_psnr_db_unedited"] = psnr_db(
            list(sources), list(drawings[wanted, np.arange(TEST_CROPS)])
        )
    every: dict[str, list[float]] = {}
    for place, combination in enumerate(COMBINATIONS):
        wish = np.tile(2.0 * np.asarray(combination) - 1, (TEST_CROPS, 1))  # whatever the source has: no label is given
        wanted = np.full(TEST_CROPS, place)
        made = edited(model, sources, wish.tolist())
        simple, told = moved(sources, wish, directions), moved(sources, np.asarray(combination) - had, directions)
        for label, pictures_made in (("", made), ("_mean_difference", simple), ("_mean_difference_told_labels", told)):
            for metric, value in measure(pictures_made, wanted, drawings).items():
                every.setdefault(f"all_combinations/{metric}{label}", []).append(value)
    figures |= {name: float(np.mean(values)) for name, values in every.items()}
    figures["unchanged/psnr_db"] = psnr_db(list(edited(model, sources, np.zeros_like(had).tolist())), list(sources))
    for name, value in figures.items():
        print(f"{name:48} {value:.4f}")
    rows = []
    for index in (1, 4, 14, 35):
        wishes = [2.0 * np.asarray(c) - 1 for c in COMBINATIONS]
        made = edited(model, np.repeat(sources[index : index + 1], len(wishes), axis=0), np.stack(wishes).tolist())
        rows.append([sources[index], *made])
    grid(rows, work / "grid.png", zoom=2)
    if arguments.picture:
        faces = [list(np.load(arguments.faces / "astronaut.npy"))] if arguments.faces else []
        grid([*faces, *rows], arguments.picture, zoom=2)
    if arguments.results:
        publish(figures, "synthetic/", COMMAND, arguments.results)


if __name__ == "__main__":
    main()
