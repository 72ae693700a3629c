"""Film files of other programs through stylize: what strength 0 reproduces exactly, and what strength 1 keeps.

    python benchmarks/film_formats.py $DATA [--results docs/results.json]

Every EXR, DPX and TIFF under DATA/exr, DATA/dpx and DATA/tiff goes through the whole path with the default network,
untrained, once at strength 0 and once at strength 1. Every channel of every part is read again with OpenImageIO, in
its own type, and compared bit by bit: at strength 0 all of them, at strength 1 those that are no picture (alpha and
other layers). A file that is refused is named with its reason.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import torch

from flows.runners.local_runner import LocalRunner
from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.inference.planning.request import Request
from stylegan_core.recipes.keyframe import Config, Recipe
from stylegan_core.recipes.model import save_model
from stylegan_core.report.results import Result, record_results
from tasks.stylize.stylize import stylize_directory

FOLDERS = ("exr", "dpx", "tiff")
SUFFIXES = (".exr", ".dpx", ".tif", ".tiff")


def default_model(folder: Path) -> Path:
    """The default network as training begins: exactness does not depend on the weights."""
    config = Config()
    torch.manual_seed(0)
    networks = Recipe(config).networks.state_dict()
    inference = {k: v for k, v in networks.items() if k.split(".")[0] in Recipe.inference_networks}
    save_model(
        folder, recipe="keyframe", config=config, working_space="srgb", sample_type="uint8", steps=1, images_seen=1,
        chosen="last", last=inference, best=inference, networks=networks,
    )  # fmt: skip
    return folder


def channels(path: Path) -> dict[str, np.ndarray]:
    """Every channel of every part, in its own type, as (H, W)."""
    source = oiio.ImageInput.open(str(path))
    if source is None:
        raise OSError(oiio.geterror())
    found: dict[str, np.ndarray] = {}
    part = 0
    while source.seek_subimage(part, 0):
        spec = source.spec()
        for index, name in enumerate(spec.channelnames):
            kind = spec.channelformats[index] if spec.channelformats else spec.format
            plane = source.read_image(part, 0, index, index + 1, kind)
            if plane is None:
                raise OSError(source.geterror())
            found[f"{part}:{name}"] = np.asarray(plane)[..., 0]
        part += 1
    source.close()
    return found


def differing(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    """Names of channels that are not equal in every bit."""
    names = before.keys() | after.keys()
    return {
        name
        for name in names
        if name not in before or name not in after or before[name].tobytes() != after[name].tobytes()
    }


def owned(path: Path, names: set[str]) -> set[str]:
    """Of the channels, those that are the picture: what the model may change."""
    picture = read_picture(path)
    through = set(picture.layers)
    through |= {layer.rpartition(":")[2] for layer in picture.layers}
    plain = {name: name.partition(":")[2] for name in names}
    return {name for name, bare in plain.items() if bare not in through and bare.rpartition(".")[2] != "A"}


def stylize(source: Path, output: Path, model: Path, strength: float) -> None:
    """One folder through the whole path."""
    request = Request.of(source=source, output=output, model=model, strength=strength, overwrite=True)
    stylize_directory(request, LocalRunner(), preview=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder of trial data")
    parser.add_argument("--results", type=Path, help="record the counts there")
    options = parser.parse_args()
    files = [p for folder in FOLDERS for p in sorted((options.data / folder).rglob("*")) if p.suffix in SUFFIXES]
    if not files:
        parser.error(f"{options.data} holds no film files in {', '.join(FOLDERS)}")
    counts = {"files": len(files), "read": 0, "exact": 0, "layers_exact": 0}
    with tempfile.TemporaryDirectory(prefix="stylereel-formats-") as name:
        work = Path(name)
        model = default_model(work / "model")
        for folder in FOLDERS:
            for strength in (0.0, 1.0):
                stylize(options.data / folder, work / f"{folder}-{strength:g}", model, strength)
        for path in files:
            relative = path.relative_to(options.data)
            try:
                read_picture(path)
            except UnreadablePictureError as error:
                print(f"{relative}: refused: {error.reason}")
                continue
            counts["read"] += 1
            inside = Path(*relative.parts[1:])
            before = channels(path)
            lost = differing(before, channels(work / f"{relative.parts[0]}-0" / inside))
            changed = differing(before, channels(work / f"{relative.parts[0]}-1" / inside))
            wrong = changed - owned(path, set(before))
            counts["exact"] += not lost
            counts["layers_exact"] += not wrong
            words = "exact at strength 0" if not lost else f"NOT exact at strength 0: {sorted(lost)}"
            words += f"; {len(before)} channels, {len(changed)} changed at strength 1"
            print(f"{relative}: {words}{f'; WRONGLY: {sorted(wrong)}' if wrong else ''}")
    print(counts)
    if options.results is not None:
        record_results(
            options.results,
            [
                Result(
                    recipe="keyframe", name=f"film/{name}", value=value, status="measured", unit="1",
                    command="python benchmarks/film_formats.py $DATA", seed=0,
                    machine="any", date=datetime.now(UTC).date().isoformat(),
                )
                for name, value in counts.items()
            ],
        )  # fmt: skip


if __name__ == "__main__":
    main()
