"""A dry run writes nothing; a look-dev sheet shows frames and does not touch the output folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from flows.runners.local_runner import LocalRunner
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.planning.selection.select import evenly_spread
from tasks.shared.errors import InputsFailedError, UsageError
from tasks.stylize.dry_run import dry_run, look_dev, sheet_path
from tasks.stylize.stylize import stylize_directory


@pytest.fixture
def plates(tmp_path: Path, noise_picture: Callable[..., Any]) -> Path:
    folder = tmp_path / "plates"
    folder.mkdir()
    for number in (1, 2, 3, 5, 6, 7, 8):
        cv2.imwrite(str(folder / f"p.{number:04d}.png"), noise_picture(number))
    return folder


@pytest.fixture
def request_of(plates: Path, tiny_model_folder: Path) -> Callable[..., Request]:
    def make(output: str = "out/s_%06d.tif", **options: Any) -> Request:
        options = {"missing": "hold", "precision": "fp32", "back_end": "torch", **options}
        return Request.of(f"{plates}/p.####.png", plates.parent / output, model=tiny_model_folder, **options)

    return make


def listing(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))


def test_a_dry_run_reports_what_would_be_made(request_of: Callable[..., Request], plates: Path, tmp_path: Path) -> None:
    before = listing(tmp_path)
    summary = dry_run(request_of(chunk_frames=3)).summary()
    assert listing(tmp_path) == before
    assert summary.numbers == "frames 1-8, missing 4 (1 of 8)"
    assert summary.held_or_black == 1
    assert (summary.frames, summary.done, summary.to_make, summary.chunks) == (8, 0, 8, 3)
    assert (summary.first, summary.last) == ("s_000001.tif", "s_000008.tif")
    assert summary.recipe == "keyframe"
    assert summary.asked["strength"] == "1"
    assert summary.seconds is None


def test_a_dry_run_counts_finished_frames(request_of: Callable[..., Request], plates: Path, tmp_path: Path) -> None:
    report = stylize_directory(request_of(limit=3), LocalRunner(), preview=None)
    before = listing(tmp_path / "out")
    found = dry_run(request_of())
    assert listing(tmp_path / "out") == before
    assert found.to_make == tuple(f"s_{number:06d}.tif" for number in (4, 5, 6, 7, 8))
    assert found.job.settings == report.job.settings
    with pytest.raises(UsageError, match="missing 4"):
        dry_run(request_of(missing="error"))


@pytest.mark.parametrize("output", ["out", "out/s_%06d.exr", "sheet.png"])
def test_a_sheet_shows_frames_before_and_after(request_of: Callable[..., Request], tmp_path: Path, output: str) -> None:
    sheet = look_dev(request_of(output), LocalRunner(), sheet_path(tmp_path / output), frames=4)
    expected = tmp_path / ("sheet.png" if output == "sheet.png" else "out-look.png")
    assert sheet == expected
    assert not (tmp_path / "out").exists()
    pixels = read_picture(sheet).pixels
    # 4 pairs of 56 x 40 px in two columns, each under its name.
    assert pixels.shape == (2 * (40 + 22) + 6, 2 * (2 * 56 + 6) + 6, 3)
    first = cv2.cvtColor(cv2.imread(str(tmp_path / "plates/p.0001.png")), cv2.COLOR_BGR2RGB)
    assert np.abs(pixels[22:62, :56].astype(int) - first).max() <= 1
    after = pixels[22:62, 62:118].astype(int)
    assert np.abs(after - first).mean() > 2
    assert after.std() > 10


def test_a_sheet_without_a_frame_is_an_error(request_of: Callable[..., Request], plates: Path, tmp_path: Path) -> None:
    for path in plates.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(InputsFailedError, match="no frame could be made"):
        look_dev(request_of("out"), LocalRunner(), tmp_path / "sheet.png", frames=2)
    assert not (tmp_path / "sheet.png").exists()


def test_frames_of_a_look_are_spread_evenly() -> None:
    assert [evenly_spread(10, most) for most in (1, 2, 4, 10, 20)] == [
        [5], [0, 9], [0, 3, 6, 9], list(range(10)), list(range(10))
    ]  # fmt: skip
