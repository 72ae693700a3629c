"""Random flipped crops a second: the memory-mapped store against decoding with Pillow in a torch DataLoader.

Both hand out batches of 8 crops of 256 px as (N, 3, H, W) float32 in [-1, 1], from the same pictures, on one core, in
turns. Prints JSON. The bar is 3,000 a second of processor time, which a busy machine does not change much; rates by the
clock are printed too. ``--images FOLDER`` reads your own pictures (JPEG, say) instead of the generated ones.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from stylegan_core.data.crops import CropSampler
from stylegan_core.data.manifest import ManifestRow, as_manifest
from stylegan_core.data.store import SampleStore, StoreWriter

CROP_PX, BATCH, BAR_PER_S = 256, 8, 3000
PICTURES, WIDTH_PX, HEIGHT_PX = 64, 512, 384


class PillowCrops(Dataset[torch.Tensor]):
    """What a folder data set usually does: open, decode, crop, flip, convert, for each crop."""

    def __init__(self, paths: list[Path], length: int) -> None:
        self.paths, self.length = paths, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> torch.Tensor:
        rng = np.random.default_rng(index)
        with Image.open(self.paths[int(rng.integers(len(self.paths)))]) as opened:
            picture = opened.convert("RGB")
        x, y = (int(rng.integers(side - CROP_PX + 1)) for side in picture.size)
        crop = picture.crop((x, y, x + CROP_PX, y + CROP_PX))
        if rng.random() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return torch.from_numpy(np.array(crop)).permute(2, 0, 1).float().div_(127.5).sub_(1.0)


def generated_pictures(folder: Path) -> list[Path]:
    """JPEG files with the detail of photographs: smooth noise at several scales."""
    rng = np.random.default_rng(0)
    paths = []
    for index in range(PICTURES):
        picture = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.float32)
        for octave in range(2, 8):
            noise = rng.random((HEIGHT_PX >> (8 - octave), WIDTH_PX >> (8 - octave), 3)).astype(np.float32)
            picture += cv2.resize(noise, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC) / octave
        path = folder / f"{index:03}.jpg"
        Image.fromarray(np.uint8(np.clip(picture / picture.max(), 0, 1) * 255)).save(path, quality=92)
        paths.append(path)
    return paths


def build_sampler(paths: list[Path], folder: Path) -> CropSampler:
    """The pictures in a store of ours."""
    rows = []
    with StoreWriter(folder, "srgb", "uint8") as writer:
        for path in paths:
            with Image.open(path) as opened:
                pixels = np.asarray(opened.convert("RGB"))
            height_px, width_px = pixels.shape[:2]
            sample = writer.add_samples(pixels)
            rows.append(
                ManifestRow(
                    path.name, width_px=width_px, height_px=height_px, domain="content", split="train", sample=sample
                )
            )
    store = SampleStore.open(folder)
    return CropSampler(store, as_manifest(rows), style=False, crop_px=CROP_PX, batch_size=BATCH, seed=0)


def rate(next_batch: Callable[[], torch.Tensor], batches: int) -> tuple[float, float]:
    """Crops a second of processor time, and by the clock."""
    clock, processor = time.perf_counter(), time.process_time()
    for _ in range(batches):
        assert next_batch().shape == (BATCH, 3, CROP_PX, CROP_PX)
    crops = batches * BATCH
    return crops / (time.process_time() - processor), crops / (time.perf_counter() - clock)


def measure(paths: list[Path], folder: Path, rounds: int, batches: int) -> dict[str, object]:
    """Both rates, in turns, so that a busy machine disturbs both."""
    sampler = build_sampler(paths, folder)
    steps = iter(range(10**9))
    peer_batches = max(2, batches // 8)
    peer: Iterator[torch.Tensor] = iter(
        DataLoader(PillowCrops(paths, (rounds * peer_batches + 1) * BATCH), BATCH, num_workers=0)
    )

    def ours() -> torch.Tensor:
        return sampler.batch(next(steps)).content

    rate(ours, 4)
    next(peer)
    ours_rates, peer_rates = [], []
    for _ in range(rounds):
        ours_rates.append(rate(ours, batches))
        peer_rates.append(rate(lambda: next(peer), peer_batches))
    crops_per_s = statistics.median(processor for processor, _ in ours_rates)
    return {
        "benchmark": "loader",
        "crops_per_s": round(crops_per_s),
        "crops_per_s_by_clock": round(statistics.median(clock for _, clock in ours_rates)),
        "pillow_dataloader_crops_per_s": round(statistics.median(processor for processor, _ in peer_rates)),
        "pillow_dataloader_crops_per_s_by_clock": round(statistics.median(clock for _, clock in peer_rates)),
        "ratio": round(statistics.median(a[0] / b[0] for a, b in zip(ours_rates, peer_rates, strict=True)), 2),
        "bar_crops_per_s": BAR_PER_S,
        "passes": crops_per_s >= BAR_PER_S,
        "crop_px": CROP_PX,
        "batch_size": BATCH,
        "pictures": len(paths),
        "cores": 1,
    }


def main() -> None:
    """Runs the benchmark and prints its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="folder of your own pictures, each at least 256 px wide and high")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--output", type=Path, help="also write the JSON here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = sorted(options.images.glob("*.*"))[:500] if options.images else generated_pictures(folder)
        result = measure(paths, folder / "store", options.rounds, options.batches)
    text = json.dumps(result, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
