"""`attributes` on faces with one attribute, smiling: does an independent classifier agree, and does the rest stay?

    python benchmarks/attributes_smile.py $DATA WORK [--results docs/results.json]

Every fifth of the 150 + 150 grey faces in $DATA/faces_smile64 is held out; the model and the classifier learn from the
others. The classifier, small networks of another architecture with their own augmentations, decides whether the
held-out faces smile before and after the edit. The baseline adds the mean smiling face minus the mean other face,
once in full and once as much of it as leaves the faces as near to their sources as the model's edits are.

WORK lies outside the repository and keeps the checkpoints: the same command resumes a stopped run.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from attributes_trial import Pictures, edited, grid, mean_difference, publish, train, write_labelled
from PIL import Image

if TYPE_CHECKING:
    from torch import nn

HELD_OUT_EVERY, HELD_OUT_FIRST = 5, 2
CLASSIFIER_STEPS, CLASSIFIERS = 500, 2
COMMAND = "python benchmarks/attributes_smile.py $DATA WORK"

Flags = npt.NDArray[np.int64]


def faces(folder: Path) -> tuple[Pictures, Flags]:
    """All faces, and whether they smile."""
    found = [
        (path, smiles) for name, smiles in (("smile", 1), ("nosmile", 0)) for path in sorted((folder / name).iterdir())
    ]
    pictures = []
    for path, _ in found:
        with Image.open(path) as opened:
            pictures.append(np.asarray(opened.convert("RGB"), np.float32) / 255.0)
    return np.stack(pictures), np.asarray([smiles for _, smiles in found])


def train_classifier(pictures: Pictures, smiles: Flags, seed: int) -> nn.Module:
    """A classifier of grey faces: turned, shifted, scaled, mirrored, brightened and noisy while it learns."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.manual_seed(seed)
    widths = (16, 32, 64, 64)
    layers: list[nn.Module] = []
    for before, after in zip((1, *widths), widths, strict=False):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU(), nn.BatchNorm2d(after)]
    classifier = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.5), nn.Linear(widths[-1] * 16, 1))
    optimizer = torch.optim.AdamW(classifier.parameters(), 1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=CLASSIFIER_STEPS)
    grey, truth = torch.from_numpy(pictures[..., 0]), torch.from_numpy(smiles).float()
    for _ in range(CLASSIFIER_STEPS):
        chosen = torch.randint(len(grey), (64,))
        seen = grey[chosen, None] * 2 - 1
        angle, scale = (torch.rand(64) - 0.5) * 0.35, 1 + (torch.rand(64) - 0.5) * 0.25
        mirror = torch.where(torch.rand(64) < 0.5, -1.0, 1.0)
        shift = (torch.rand(64, 2) - 0.5) * 0.25
        rows = (
            torch.stack([mirror * scale * angle.cos(), -scale * angle.sin(), shift[:, 0]], dim=1),
            torch.stack([mirror * scale * angle.sin(), scale * angle.cos(), shift[:, 1]], dim=1),
        )
        places = F.affine_grid(torch.stack(rows, dim=1), [64, 1, 64, 64], align_corners=False)
        seen = F.grid_sample(seen, places, padding_mode="reflection", align_corners=False)
        seen = seen * (1 + (torch.rand(64, 1, 1, 1) - 0.5) * 0.8) + (torch.rand(64, 1, 1, 1) - 0.5) * 0.5
        logits = classifier(seen + 0.05 * torch.randn_like(seen))[:, 0]
        loss = F.binary_cross_entropy_with_logits(logits, truth[chosen] * 0.9 + 0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return classifier.eval()


def seen_smiling(classifiers: list[nn.Module], pictures: Pictures) -> npt.NDArray[np.bool_]:
    """(N,) mean answer of the classifiers for the faces and their mirror images."""
    import torch

    grey = torch.from_numpy(pictures.mean(axis=3))[:, None] * 2 - 1
    with torch.no_grad():
        logits = sum(classifier(seen)[:, 0] for classifier in classifiers for seen in (grey, grey.flip(3)))
    return (logits > 0).numpy()


def astronaut() -> Pictures:
    """(1, 64, 64, 3), the face of the built-in photograph, cut and grey as the faces are."""
    from stylegan_core.data.sample.photographs import load_photograph

    left, top, side = ASTRONAUT_PX
    face = Image.fromarray(load_photograph("astronaut")[top : top + side, left : left + side]).convert("L")
    grey = np.asarray(face.resize((64, 64), Image.Resampling.BOX), np.float32) / 255.0
    return np.repeat(grey[None, ..., None], 3, axis=3)


ASTRONAUT_PX = (177, 74, 93)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the trial data folder")
    parser.add_argument("work", type=Path, help="checkpoints, models and pictures; outside the repository")
    parser.add_argument("--results", type=Path, help="docs/results.json, to publish the figures")
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    os.environ["STYLEREEL_CACHE_DIR"] = str(work / "cache")
    from stylegan_core.metrics.psnr import psnr_db
    from stylegan_core.metrics.ssim import ssim
    from stylegan_core.metrics.swd import patch_swd
    from stylegan_core.recipes.attributes import Recipe

    pictures, smiles = faces(arguments.data / "faces_smile64")
    held_out = np.arange(len(pictures)) % HELD_OUT_EVERY == HELD_OUT_FIRST
    known, known_smiles = pictures[~held_out], smiles[~held_out]
    sources, had = pictures[held_out], smiles[held_out]
    write_labelled(known, known_smiles[:, None], ["smiling"], work)
    model, seconds = train(work, Recipe.presets["two_cores"])
    print(f"trained in {seconds:.0f} s")
    classifiers = [train_classifier(known, known_smiles, seed) for seed in range(CLASSIFIERS)]

    wish = 1.0 - 2.0 * had  # the opposite of what a face has
    made = edited(model, sources, wish[:, None].tolist())
    met = edited(model, sources, (-wish)[:, None].tolist())
    direction = mean_difference(known, known_smiles)

    def added(amount: float) -> Pictures:
        return np.clip(sources + amount * wish[:, None, None, None] * direction, 0, 1).astype(np.float32)

    nearness_db = psnr_db(list(made), list(sources))
    amounts = np.geomspace(0.05, 4, 60)
    as_near = min(amounts, key=lambda amount: abs(psnr_db(list(added(amount)), list(sources)) - nearness_db))
    figures = {"judge/held_out_accuracy": float((seen_smiling(classifiers, sources) == (had == 1)).mean())}
    for suffix, edits in (
        ("", made),
        ("_unedited", sources),
        ("_mean_difference", added(1.0)),
        ("_mean_difference_as_near", added(float(as_near))),
    ):
        agrees = seen_smiling(classifiers, edits) == (wish > 0)
        figures |= {
            f"edit/agreement{suffix}": float(agrees.mean()),
            f"edit/agreement_added{suffix}": float(agrees[wish > 0].mean()),
            f"edit/agreement_removed{suffix}": float(agrees[wish < 0].mean()),
            f"edit/source_psnr_db{suffix}": psnr_db(list(edits), list(sources)),
            f"edit/source_ssim{suffix}": ssim(list(edits), list(sources)),
            f"edit/swd_added{suffix}": patch_swd(list(edits[wish > 0]), list(sources[had == 1])),
        }
    kept = seen_smiling(classifiers, met) == (wish < 0)
    figures |= {
        "unchanged/psnr_db": psnr_db(list(edited(model, sources, np.zeros((len(sources), 1)).tolist())), list(sources)),
        "met_wish/psnr_db": psnr_db(list(met), list(sources)),
        "met_wish/agreement": float(kept.mean()),
    }
    for name, value in figures.items():
        print(f"{name:48} {value:.4f}")

    some = [*np.flatnonzero(had == 0)[::4], *np.flatnonzero(had == 1)[::4]]
    strengths = (-1.0, -0.5, 0.5, 1.0, 1.5)
    by_strength = {s: edited(model, sources[some], [[s]] * len(some)) for s in strengths}
    shown = [
        [s[i] for s in (*list(by_strength.values())[:2], sources[some], *list(by_strength.values())[2:])]
        for i in range(len(some))
    ]
    grid([[row[k] for row in shown] for k in range(len(strengths) + 1)], work / "held_out.png", zoom=2)
    face = astronaut()
    steps = np.linspace(-1, 1, 7)
    np.save(work / "astronaut.npy", np.concatenate([edited(model, face, [[s]]) for s in steps]))
    grid([list(np.load(work / "astronaut.npy"))], work / "astronaut.png", zoom=2)
    if arguments.results:
        publish(figures, "faces_smile64/", COMMAND, arguments.results)


if __name__ == "__main__":
    main()
