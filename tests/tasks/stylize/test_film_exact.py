"""Strength 0 and mask 0 are exact for film formats, by the whole path: plan, decode, network, carry over, encode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from flows.runners.local_runner import LocalRunner
from stylegan_core.frames.base.bit_depth import from_codes
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.inference.planning.request import Request
from tasks.stylize.stylize import stylize_directory
from tests.stylegan_core.frames.pictures.film_files import (
    half,
    load_exr,
    load_with_oiio,
    others,
    planes,
    plate,
    same_bits,
    save_exr,
    save_with_oiio,
)

RAMP = (np.arange(70 * 52 * 3, dtype=np.uint32).reshape(70, 52, 3) * 7) % 1024


def make(folder: Path, kind: str) -> Path:
    folder.mkdir()
    path = folder / f"plate.0001.{kind.partition('-')[0]}"
    if kind == "exr":
        alpha = np.ascontiguousarray(half(np.clip(plate(), 0, 1))[..., 0])
        save_exr(path, ({}, planes(half(plate())) | {"A": alpha} | others()))
    elif kind == "dpx":
        save_with_oiio(path, from_codes(RAMP.astype(np.uint16), 10), oiio_BitsPerSample=10)
    elif kind == "tif-12":
        write_picture(path, Picture(from_codes(RAMP.astype(np.uint16), 12), bits=12))
    elif kind == "tif-24":
        write_picture(path, Picture(from_codes(RAMP << np.uint32(13), 24), bits=24))
    else:
        save_with_oiio(path, (RAMP * 61).astype(np.uint16))
    return path


def samples(path: Path) -> dict[str, np.ndarray]:
    if path.suffix == ".exr":
        return {f"{n}:{name}": plane for n, (_, part) in enumerate(load_exr(path)) for name, plane in part.items()}
    return {"all": load_with_oiio(path)}


@pytest.mark.parametrize("kind", ["exr", "dpx", "tif", "tif-12", "tif-24", "png"])
@pytest.mark.parametrize("how", ["strength 0", "mask 0", "half a mask"])
def test_what_is_not_asked_to_change_does_not(tmp_path: Path, tiny_model_folder: Path, kind: str, how: str) -> None:
    source = make(tmp_path / "plates", kind)
    options = {"strength": 0.0} if how == "strength 0" else {"masks": tmp_path / "masks"}
    mask = np.zeros((70, 52, 1), np.uint8)
    mask[:, 26:] = 255 if how == "half a mask" else 0
    (tmp_path / "masks").mkdir()
    write_picture(tmp_path / "masks/mask.0001.png", Picture(mask))
    request = Request.of(source=source.parent, output=tmp_path / "out", model=tiny_model_folder, **options)
    report = stylize_directory(request, LocalRunner(), preview=None)
    assert (report.made, report.failed) == (1, ())
    before, after = samples(source), samples(tmp_path / "out" / source.name)
    assert before.keys() == after.keys()
    for name, plane in before.items():
        if how == "half a mask" and name in ("all", "0:R", "0:G", "0:B"):
            assert same_bits(plane[:, :26].copy(), after[name][:, :26].copy())
            if name in ("all", "0:G"):
                assert not np.array_equal(plane[:, 26:], after[name][:, 26:])
        else:
            assert same_bits(plane, after[name]), name


def test_both_views_of_a_stereo_file_are_stylized(tmp_path: Path, tiny_model_folder: Path) -> None:
    (tmp_path / "plates").mkdir()
    light = np.nan_to_num(plate(), nan=0, posinf=1, neginf=0)
    right, left = half(light), half(light[::-1, ::-1])
    channels = planes(right) | planes(left, prefix="left.") | others()
    source = save_exr(tmp_path / "plates/a.0001.exr", ({"multiView": ["right", "left"]}, channels))
    request = Request.of(source=source.parent, output=tmp_path / "out", model=tiny_model_folder)
    assert stylize_directory(request, LocalRunner(), preview=None).made == 1
    before, after = samples(source), samples(tmp_path / "out/a.0001.exr")
    for name in before:
        changed = name.split(".")[-1] in ("0:R", "0:G", "0:B", "R", "G", "B") and "diffuse" not in name
        assert same_bits(before[name], after[name]) != changed, name


def test_views_of_other_windows_are_stylized_each_in_its_own(tmp_path: Path, tiny_model_folder: Path) -> None:
    (tmp_path / "plates").mkdir()
    light = np.nan_to_num(plate(), nan=0, posinf=1, neginf=0)
    display = {"displayWindow": ((0, 0), (99, 99))}
    source = save_exr(
        tmp_path / "plates/a.0001.exr",
        (display | {"name": "left", "view": "left"}, planes(half(light))),
        (display | {"name": "right", "view": "right"}, planes(half(light[9:, 5:]))),
    )
    request = Request.of(source=source.parent, output=tmp_path / "out", model=tiny_model_folder)
    assert stylize_directory(request, LocalRunner(), preview=None).made == 1
    before, after = samples(source), samples(tmp_path / "out/a.0001.exr")
    assert all(before[name].shape == after[name].shape and not same_bits(before[name], after[name]) for name in before)


def test_a_mask_of_the_display_window_fits_every_view(tmp_path: Path, tiny_model_folder: Path) -> None:
    (tmp_path / "plates").mkdir()
    (tmp_path / "masks").mkdir()
    light = np.nan_to_num(plate(), nan=0, posinf=1, neginf=0)
    display = {"displayWindow": ((0, 0), (59, 79))}
    windows = {"left": (4, 6), "right": (9, -3)}  # the right one begins above the display
    parts = [
        (
            display | {"name": view, "view": view, "dataWindow": ((x, y), (x + 49, y + 69))},
            planes(half(light[:, :50])),
        )
        for view, (x, y) in windows.items()
    ]
    source = save_exr(tmp_path / "plates/a.0001.exr", *parts)
    mask = np.zeros((80, 60, 1), np.uint8)
    mask[40:, 30:] = 255
    write_picture(tmp_path / "masks/a.0001.png", Picture(mask))
    request = Request.of(
        source=source.parent, output=tmp_path / "out", model=tiny_model_folder, masks=tmp_path / "masks"
    )
    assert stylize_directory(request, LocalRunner(), preview=None).made == 1
    before, after = samples(source), samples(tmp_path / "out/a.0001.exr")
    for number, (x, y) in enumerate(windows.values()):
        moved = before[f"{number}:G"] != after[f"{number}:G"]
        inside = np.zeros((70, 50), bool)
        inside[40 - y :, 30 - x :] = True
        assert not moved[~inside].any()
        assert moved[inside].mean() > 0.5


def test_a_warning_that_all_frames_share_is_said_once(
    tmp_path: Path, tiny_model_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "plates").mkdir()
    light = np.nan_to_num(plate(), nan=0, posinf=1, neginf=0)
    for number in range(3):
        header = {"compression": OpenEXR.DWAA_COMPRESSION}
        save_exr(tmp_path / f"plates/a.{number:04d}.exr", (header, planes(half(light))))
    request = Request.of(source=tmp_path / "plates", output=tmp_path / "out", model=tiny_model_folder)
    report = stylize_directory(request, LocalRunner(), preview=None)
    assert len(report.warnings) == 3
    said = [record.getMessage() for record in caplog.records if "loses detail" in record.getMessage()]
    assert len(said) == 1
    assert said[0].endswith("(and 2 more like it)")
