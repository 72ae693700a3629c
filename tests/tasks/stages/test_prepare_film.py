"""Pairs of film frames: a linear EXR before, a 10-bit DPX or 16-bit TIFF after, through prepare."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from stylegan_core.frames.base.bit_depth import from_codes
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from tests.stylegan_core.frames.pictures.film_files import half, others, planes, plate, save_exr
from tests.tasks.prepared import read, run

LIGHT = np.nan_to_num(plate(), nan=0, posinf=1, neginf=0)


@pytest.mark.parametrize("suffix", [".dpx", ".tif"])
def test_a_linear_plate_and_an_encoded_painting(workplace: Path, suffix: str) -> None:
    for name in ("before", "after"):
        (workplace / name).mkdir()
    for index in range(3):
        save_exr(workplace / f"before/{index}.exr", ({}, planes(half(LIGHT[:, index:])) | others(70, 52 - index)))
        codes = np.clip(LIGHT[:, index:] * 1023, 0, 1023).astype(np.uint16)
        write_picture(workplace / f"after/{index}{suffix}", Picture(from_codes(codes, 10), bits=10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # arrays that cannot be written to make some libraries complain
        report = run(source="pairs", content="before", style="after", working_space="srgb")
    assert report["refused"] == []
    manifest, store = read()
    by_path = manifest.set_index("path")["sample"]
    prepared = store.sample(by_path["before/0.exr"]) / np.float32(255)
    light = np.clip(half(LIGHT).astype(np.float32), 0, 1)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    dark = light.max(axis=2) < 0.9  # what lies near a network's range may be compressed
    assert np.abs(prepared - encoded)[dark].max() < 0.01
    painting = store.sample(by_path[f"after/0{suffix}"]) / np.float32(255)
    assert np.abs(painting - np.clip(LIGHT, 0, 1)).max() < 0.01
