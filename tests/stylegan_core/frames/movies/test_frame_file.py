"""A frame's file gives its planes back, and a change reaches them where it is and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.movies.frame_file import read_movie_frame, write_movie_frame
from stylegan_core.frames.movies.planes import changed_planes, planes_of, video_frame
from tests.stylegan_core.frames.movies.sample_movies import random_planes

FORMATS = ("yuv420p", "yuv422p10le", "yuv444p12le", "yuva444p10le", "gbrp", "gbrp10le", "gbrap", "gray10le")


def same(left, right):
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_every_sample_comes_back(tmp_path, pix_fmt):
    planes = random_planes(pix_fmt, 1, 63, 47)
    write_movie_frame(tmp_path / "f.mkv", pix_fmt, planes)
    name, found = read_movie_frame(tmp_path / "f.mkv")
    assert name == pix_fmt
    assert same(found, planes)
    first = (tmp_path / "f.mkv").read_bytes()
    write_movie_frame(tmp_path / "f.mkv", pix_fmt, planes)
    assert (tmp_path / "f.mkv").read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["f.mkv"]


def test_damage_is_reported(tmp_path):
    write_movie_frame(tmp_path / "f.mkv", "yuv422p10le", random_planes("yuv422p10le", 1))
    content = bytearray((tmp_path / "f.mkv").read_bytes())
    for at in range(len(content) * 2 // 3, len(content) * 2 // 3 + 20):
        content[at] ^= 0x33
    (tmp_path / "f.mkv").write_bytes(content)
    with pytest.raises(UnreadablePictureError, match="damaged"):
        read_movie_frame(tmp_path / "f.mkv")


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", ["bt709", "bt601", "bt2020"])
@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv444p10le", "yuv420p", "yuv422p10le", "gbrp10le", "yuva444p10le"])
def test_a_change_of_the_picture_is_that_change_of_the_planes(pix_fmt, matrix, full_range):
    grey = [np.full_like(plane, np.iinfo(plane.dtype).max // 2 if plane.dtype == np.uint8 else 512)
            for plane in random_planes(pix_fmt, 2)]  # fmt: skip
    before = planes_of(video_frame(pix_fmt, tuple(grey)), matrix, full_range)
    assert changed_planes(before, before.rgb.copy()) is before.planes
    wanted = before.rgb.astype(np.float64)
    most = np.iinfo(before.rgb.dtype).max
    wanted[:24, :32] += np.array([0.20, -0.15, 0.10]) * most
    changed = changed_planes(before, np.rint(wanted).astype(before.rgb.dtype))
    after = planes_of(video_frame(pix_fmt, changed), matrix, full_range).rgb.astype(np.float64)
    assert np.abs(after - wanted)[2:20, 2:28].max() < 0.02 * most
    for plane, old in zip(changed, before.planes, strict=True):
        height, width = plane.shape
        assert np.array_equal(plane[height // 2 :], old[height // 2 :])
        assert np.array_equal(plane[:, width // 2 :], old[:, width // 2 :])
    if pix_fmt.startswith("yuva"):
        assert np.array_equal(changed[3], before.planes[3])


def test_codes_beyond_the_range_stay_where_nothing_changes():
    planes = tuple(plane.copy() for plane in random_planes("yuv420p", 3))
    planes[0][:4], planes[1][:4] = 255, 1  # beyond white and below the least chroma of limited range
    before = planes_of(video_frame("yuv420p", planes), "bt709", False)
    rgb = before.rgb.copy()
    rgb[30:] //= 2
    changed = changed_planes(before, rgb)
    assert np.array_equal(changed[0][:30], planes[0][:30])
    assert np.array_equal(changed[1][:15], planes[1][:15])
    assert not np.array_equal(changed[0][30:], planes[0][30:])
