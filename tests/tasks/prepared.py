"""What the tests of prepare share: small pictures, a run of the stage, and reading what it wrote."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from stylegan_core.config import parse_params
from stylegan_core.data.store import SampleStore
from tasks.stages.prepare import prepare

SIDE = 32
NUMBERS = ("size_bytes", "width_px", "height_px", "frame", "sample", "mask_sample")


def pixels(seed, width=SIDE, height=SIDE):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def save(path, picture, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)
    return path


def run(**prepare_section):
    return run_params({"prepare": {"min_side_px": 8, **prepare_section}})


def run_params(document):
    return prepare(parse_params(document), Path("data/prepared")).model_dump(mode="json")


def read(output=Path("data/prepared")):
    return read_table(output / "manifest.csv"), SampleStore.open(output / "store")


def read_table(path):
    """manifest.csv as a table, read by pandas alone: numbers may be missing, texts may be empty."""
    table = pd.read_csv(path, dtype="string", keep_default_na=False)
    numbers = {name: table[name].replace("", pd.NA).astype("Int64") for name in NUMBERS}
    return table.assign(**numbers)


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
