"""A movie that cannot be written is refused before frames are made for it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stylegan_core.frames.movies.preview_writer import write_preview
from stylegan_core.inference.job.movie_paths import frames_folder
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.planning.request import Request
from stylegan_core.inference.planning.selection.movies import (
    check_movie_of_pictures,
    check_rate,
    choose_movie_frames,
    exact_rate,
    movie_target,
)
from stylegan_core.inference.planning.selection.output_names import OutputNames


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        *((23.976, "24000/1001"), (23.98, "24000/1001"), (29.97, "30000/1001"), (59.94, "60000/1001")),
        *((24.0, "24"), (3.0, "3"), (12.5, "25/2"), (48.0, "48")),
    ],
)
def test_rates_are_what_broadcasters_mean(fps: float, rate: str) -> None:
    assert exact_rate(fps) == Fraction(rate)
    assert movie_target(Request("in", "a.mov", fps=fps)).rate == rate


def test_mxf_takes_rates_of_film_and_television(tmp_path: Path) -> None:
    for name, rate in (("a.mxf", "24000/1001"), ("a.mxf", "25"), ("a.mov", "15"), ("a.mkv", "45000/1499")):
        check_rate(tmp_path / name, Fraction(rate))
    for rate in ("15", "45000/1499", "25000/1001"):
        with pytest.raises(PlanError, match=r"a\.mxf: \.mxf supports the rates of film and television, not "):
            check_rate(tmp_path / "a.mxf", Fraction(rate))


def test_a_movie_of_pictures_has_a_quality_where_its_codec_has_one(tmp_path: Path) -> None:
    check_movie_of_pictures(movie_target(Request(tmp_path, tmp_path / "a.mp4", quality=20)))
    check_movie_of_pictures(movie_target(Request(tmp_path, tmp_path / "a.mov", codec="h264", quality=20)))
    with pytest.raises(PlanError, match=r"a\.mov is written as prores"):
        check_movie_of_pictures(movie_target(Request(tmp_path, tmp_path / "a.mov", quality=20)))


@pytest.mark.parametrize(
    ("name", "codec", "quality", "fps", "message"),
    [
        ("b.mov", "dnxhd", None, 24.0, r"DNxHR frames are at least 256 x 120 px"),
        ("b.mov", "prores", 20, 24.0, r"--quality 20: must be 0 \(best\) to 51, and requires h264 or hevc"),
        ("b.mkv", None, 20, 24.0, None),
        ("b.mxf", "prores", None, 15.0, r"\.mxf supports the rates of film and television, not 15"),
    ],
)
def test_a_movie_that_cannot_be_written_is_refused_before_its_frames_are_made(
    tmp_path: Path, name: str, codec: str | None, quality: int | None, fps: float, message: str | None
) -> None:
    source = tmp_path / "a.mp4"
    write_preview([np.zeros((64, 96, 3), np.uint8)] * 3, source, fps=fps)

    def choose() -> int:
        request = Request(source, tmp_path / name, codec=codec, quality=quality)
        movie = movie_target(request)
        tasks, _ = choose_movie_frames(request, OutputNames(frames_folder(movie.path)), movie)
        return len(tasks)

    if message is None:
        assert choose() == 3
        return
    with pytest.raises(PlanError, match=message):
        choose()
