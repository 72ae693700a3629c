"""`perceptual` on four styles: is each result nearest its own style, by a distance that training never sees?

    python benchmarks/perceptual_styles.py $DATA WORK [--styles drawn] [--results docs/results.json]

Trains a model a style with the preset two_cores on photographs of $DATA/monet2photo: the first four pictures of
$DATA/style_ref/style, or with `--styles drawn` those of drawn_styles.py, which may be shown. Contents are held back:
$DATA/style_ref/content and photographs of the test split.

The style distance of a picture is its zero-mean patch SWD to the style plus its colour SWD to the style, each over its
mean between two different styles, so that both count alike. Neither is a training loss. The nearest style is also found
by statistics of VGG16's features, which the preset does not train on. Baselines: the untouched content, and Reinhard's
colour transfer, for which each style's own statistics are known.

train_s is CPU seconds of all models together: on one thread, the time that an idle core takes.

WORK gets checkpoints (the same command continues), models and pictures; it lies outside of the repository.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from drawn_styles import STYLES, draw
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from stylegan_core.choices import ExtractorName

Floats = NDArray[np.float32]

STYLE_SIDE_PX = 320
CONTENT_SIDE_PX = 256
PUBLISHED_BYTES = 240_000
JUDGE: ExtractorName = "vgg16_hed"
"""An extractor that the preset two_cores does not train on."""
SHIFTED = 5
"""Contents of the shift error."""
SHOWN = ("china", "flower", "chelsea", "coffee")


def read_unit(path: Path, shorter_px: int | None = None) -> Floats:
    """(H, W, 3) in [0, 1], made so small that its shorter side is ``shorter_px``."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    if shorter_px is not None:
        shrink = shorter_px / min(picture.size)
        size = (round(picture.width * shrink), round(picture.height * shrink))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(picture, np.float32) / 255


def style_pictures(data: Path, kind: str) -> dict[str, Floats]:
    """The four styles by name."""
    if kind == "drawn":
        return {name: draw(name).astype(np.float32) / 255 for name in STYLES}
    chosen = sorted((data / "style_ref" / "style").iterdir())[:4]
    return {path.stem: read_unit(path, STYLE_SIDE_PX) for path in chosen}


class StyleEvaluator:
    """Distances of pictures to some styles."""

    def __init__(self, styles: Mapping[str, Floats]) -> None:
        self.styles = dict(styles)
        pairs = list(itertools.permutations(self.styles.values(), 2))
        self._scale = np.mean([self._both(a, b) for a, b in pairs], axis=0)

    def distances(self, picture: Floats) -> Floats:
        """(styles, 3): patch SWD and colour SWD over their mean between styles, and the sum of both."""
        found = np.array([self._both(picture, style) for style in self.styles.values()]) / self._scale
        return np.column_stack([found, found.sum(axis=1)]).astype(np.float32)

    @staticmethod
    def _both(a: Floats, b: Floats) -> tuple[float, float]:
        from stylegan_core.metrics.colour_swd import colour_swd
        from stylegan_core.metrics.swd import patch_swd

        return patch_swd(a, b, projections=16, max_patches=4096), colour_swd(a, b)


def train_style(name: str, style: Floats, data: Path, work: Path, settings: Mapping[str, Any]) -> tuple[Path, float]:
    """Trains one style, or goes on; the model's folder, and CPU seconds."""
    from stylegan_core.config import parse_params
    from tasks.stages.prepare import prepare
    from tasks.stages.train import train_model
    from tasks.stages.training_plan import plan_trainings

    folder = work / name
    (folder / "style").mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(style * 255).astype(np.uint8)).save(folder / "style" / f"{name}.png")
    common = {"seed": 0, "validate_every_steps": 100_000, "sample_every_steps": 100_000}
    content = str(data / "monet2photo" / "photo")
    document = {
        "prepare": {"source": "folders", "content": content, "style": str(folder / "style")},
        "train": {"recipe": "perceptual", "common": common, "perceptual": dict(settings)},
    }
    params = parse_params(document)
    if not (folder / "prepared" / "manifest.csv").is_file():
        prepare(params, folder / "prepared")
    begun_s = time.process_time()
    (job,) = plan_trainings(params, folder / "prepared").jobs
    train_model(job, folder / "prepared", folder / "models", folder / "curves")
    taken_s = time.process_time() - begun_s
    note = folder / "seconds.json"
    if note.is_file():  # what was trained already is not trained again
        taken_s = max(taken_s, json.loads(note.read_text()))
    note.write_text(json.dumps(taken_s))
    return folder / "models" / "all", taken_s


def held_back(data: Path, prepared: Path, count: int) -> dict[str, Floats]:
    """Contents that no training saw, at most 256 px on the shorter side."""
    from stylegan_core.data.manifest import read_manifest

    manifest = read_manifest(prepared / "manifest.csv")
    test = [row.path for row in manifest if row.split == "test" and row.domain == "content"]
    paths = sorted((data / "style_ref" / "content").iterdir())
    paths += [data / "monet2photo" / "photo" / Path(path).name for path in sorted(test)[:count]]
    return {path.stem: read_unit(path, CONTENT_SIDE_PX) for path in paths}


def evaluated(outputs: Mapping[str, Sequence[Floats]], evaluator: StyleEvaluator) -> NDArray[np.float32]:
    """(own style, content, styles, 3) distances of what was made for each style."""
    known: dict[int, Floats] = {}  # the untouched contents are the same pictures for every style

    def distances(picture: Floats) -> Floats:
        if id(picture) not in known:
            known[id(picture)] = evaluator.distances(picture)
        return known[id(picture)]

    return np.array([[distances(picture) for picture in outputs[name]] for name in evaluator.styles])


def figures(distances: NDArray[np.float32]) -> dict[str, float]:
    """Shares of results nearest their own style, by both distances and by each, and the mean distance to it."""
    own = np.arange(len(distances))[:, None]
    nearest = distances.argmin(axis=2)  # (own style, content, 3)
    patch, colour, both = (float((nearest[..., i] == own).mean()) for i in range(3))
    to_own = np.array([distances[i, :, i] for i in range(len(distances))]).mean(axis=(0, 1))
    return {
        "nearest_own": both, "nearest_own_by_patch": patch, "nearest_own_by_colour": colour,
        "own_distance": float(to_own[2]), "own_patch": float(to_own[0]), "own_colour": float(to_own[1]),
    }  # fmt: skip


def nearest_own_by_features(outputs: Mapping[str, Sequence[Floats]], styles: Mapping[str, Floats]) -> float:
    """Share of what was made for each style that is nearest it by statistics of VGG16's features."""
    from stylegan_core.metrics.kernel_distance import picture_statistics

    known = picture_statistics(list(styles.values()), JUDGE)
    hits = []
    for own, name in enumerate(styles):
        rows = picture_statistics(outputs[name], JUDGE)
        nearest = np.linalg.norm(rows[:, None] - known[None], axis=2).argmin(axis=1)
        hits.append(nearest == own)
    return float(np.mean(hits))


def confusion(distances: NDArray[np.float32]) -> NDArray[np.int64]:
    """(own style, nearest style) counts by both distances."""
    nearest = distances[..., 2].argmin(axis=2)
    return np.array([[(row == style).sum() for style in range(len(distances))] for row in nearest])


def grid(rows: Sequence[Sequence[Floats]], path: Path, gap_px: int = 4) -> None:
    """Pictures of one row have one height."""
    lines = []
    for row in rows:
        cells = [np.pad(picture, ((0, gap_px), (0, gap_px), (0, 0)), constant_values=1) for picture in row]
        lines.append(np.concatenate(cells, axis=1))
    width = max(line.shape[1] for line in lines)
    lines = [np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0)), constant_values=1) for line in lines]
    sheet = np.rint(np.clip(np.concatenate(lines), 0, 1) * 255).astype(np.uint8)
    Image.fromarray(sheet).save(path)


def publish_picture(sheet: Path, path: Path) -> None:
    """Writes a grid as a JPEG that is small enough to be committed."""
    with Image.open(sheet) as opened:
        small = opened.resize((opened.width * 4 // 5, opened.height * 4 // 5), Image.Resampling.LANCZOS)
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in (88, 80, 72, 64, 56):
        small.save(path, quality=quality)
        if path.stat().st_size < PUBLISHED_BYTES:
            return


def sample_photographs(width_px: int = 256, height_px: int = 176) -> list[Floats]:
    """Photographs of the wheels, cut to one shape."""
    from stylegan_core.data.sample.photographs import load_photograph

    found = []
    for name in SHOWN:
        picture = load_photograph(name).astype(np.float32) / 255
        shrink = max(width_px / picture.shape[1], height_px / picture.shape[0])
        size = (round(picture.shape[1] * shrink), round(picture.shape[0] * shrink))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        top, left = (small.shape[0] - height_px) // 2, (small.shape[1] - width_px) // 2
        found.append(np.ascontiguousarray(small[top : top + height_px, left : left + width_px]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the trial data folder")
    parser.add_argument("work", type=Path, help="checkpoints, models and pictures, outside of the repository")
    parser.add_argument("--styles", choices=("reference", "drawn"), default="reference")
    parser.add_argument("--only", nargs="+", help="train these styles alone, and measure nothing")
    parser.add_argument("--contents", type=int, default=15, help="held-back photographs besides style_ref/content")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings over the preset's")
    parser.add_argument("--results", type=Path, help="record the figures there, such as docs/results.json")
    parser.add_argument("--picture", type=Path, help="also write the grid there; with --styles drawn it may be shown")
    arguments = parser.parse_args()
    os.environ["STYLEREEL_CACHE_DIR"] = str(arguments.work.absolute() / "cache")
    from ruamel.yaml import YAML

    from stylegan_core.inference.network.translate import translate_unit
    from stylegan_core.metrics.baselines import colour_statistics, reinhard
    from stylegan_core.metrics.shift_error import shift_error
    from stylegan_core.metrics.ssim import ssim
    from stylegan_core.recipes.model import load_model
    from stylegan_core.recipes.perceptual import Recipe

    changes = {key: YAML(typ="safe").load(value) for key, _, value in (item.partition("=") for item in arguments.set)}
    settings = {**Recipe.presets["two_cores"], **changes}
    data, work = arguments.data.absolute(), arguments.work.absolute() / arguments.styles
    styles = style_pictures(data, arguments.styles)
    folders, seconds = {}, {}
    for name in arguments.only or styles:
        folders[name], seconds[name] = train_style(name, styles[name], data, work, settings)
        print(f"{name}: {seconds[name]:.0f} s", flush=True)
    if arguments.only:
        return
    models = {name: load_model(folder) for name, folder in folders.items()}
    contents = held_back(data, work / next(iter(styles)) / "prepared", arguments.contents)
    evaluator = StyleEvaluator(styles)
    statistics = {name: colour_statistics([style]) for name, style in styles.items()}
    outputs = {
        "perceptual": {n: [np.clip(translate_unit(m, c), 0, 1) for c in contents.values()] for n, m in models.items()},
        "reinhard": {n: [reinhard(c, statistics[n]) for c in contents.values()] for n in styles},
        "unstylized": {n: list(contents.values()) for n in styles},
    }
    record: dict[str, float] = {"train_s": sum(seconds.values())}
    few = list(contents.values())[:SHIFTED]
    record["shift_error_codes"] = max(shift_error(partial(translate_unit, model), few) for model in models.values())
    print(f"shift error: {record['shift_error_codes']:.2f} codes, the worst style")
    for kind, made in outputs.items():
        distances = evaluated(made, evaluator)
        found = figures(distances)
        found[f"nearest_own_{JUDGE}"] = nearest_own_by_features(made, styles)
        found["content_ssim"] = float(np.mean([ssim(made[n], list(contents.values())) for n in styles]))
        print(kind, json.dumps({k: round(v, 3) for k, v in found.items()}))
        print(confusion(distances))
        record |= {f"{kind}/{name}": value for name, value in found.items()}
    shown = sample_photographs()
    rows = [shown] + [[np.clip(translate_unit(models[name], photo), 0, 1) for photo in shown] for name in styles]
    side_px = shown[0].shape[0]
    first = [np.ones((side_px, side_px, 3), np.float32)]
    first += [cv2.resize(_square(style), (side_px, side_px), interpolation=cv2.INTER_AREA) for style in styles.values()]
    table = [[corner, *row] for corner, row in zip(first, rows, strict=True)]
    grid(table, work / "grid.png")
    if arguments.picture:
        publish_picture(work / "grid.png", arguments.picture)
    if arguments.results:
        from stylegan_core.report.results import Result, record_results

        drawn = " --styles drawn" if arguments.styles == "drawn" else ""
        facts: dict[str, Any] = {
            "recipe": "perceptual", "status": "measured", "seed": 0,
            "date": time.strftime("%Y-%m-%d"),
            "machine": "2 CPU cores, one thread",
            "command": f"python benchmarks/perceptual_styles.py $DATA WORK{drawn}",
        }  # fmt: skip
        entries = [
            Result(name=f"styles_{arguments.styles}/{key}", value=value, unit="s" if key == "train_s" else "1", **facts)
            for key, value in record.items()
        ]
        record_results(arguments.results, entries)


def _square(picture: Floats) -> Floats:
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    return picture[top : top + side, left : left + side]


if __name__ == "__main__":
    main()
