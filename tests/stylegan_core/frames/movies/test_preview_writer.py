"""Preview movies: sizes, colours and tags as PyAV reads them back."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stylegan_core.frames.movies.preview_writer import write_preview


def flat(colour: tuple[int, int, int], height: int = 32, width: int = 48) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def test_colours_frames_and_tags(tmp_path: Path) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 40), (255, 255, 255), (0, 0, 0)]
    write_preview((flat(colour) for colour in colours), tmp_path / "out" / "a.mp4", fps=25)
    with av.open(str(tmp_path / "out" / "a.mp4")) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, stream.average_rate, stream.frames) == ("h264", "yuv420p", 25, 6)
        # 1 is BT.709, and limited range is 1 too
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        for colour, frame in zip(colours, container.decode(video=0), strict=True):
            rgb = frame.to_ndarray(format="rgb24", src_colorspace="ITU709", dst_colorspace="ITU709")
            assert np.abs(rgb[8:24, 8:40].astype(int) - colour).max() <= 4


@pytest.mark.parametrize(("height", "width"), [(33, 47), (2, 3), (1, 1)])
def test_odd_sizes_are_padded(tmp_path: Path, height: int, width: int) -> None:
    write_preview([flat((9, 99, 199), height, width)] * 2, tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.height, stream.width) == (height + height % 2, width + width % 2)
        assert stream.average_rate == Fraction(24)


def test_equal_pictures_make_equal_files(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_preview([flat((n * 20, 100, 50)) for n in range(5)], tmp_path / name, fps=23.976)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_errors_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no picture"):
        write_preview([], tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="picture 1 has shape"):
        write_preview([flat((0, 0, 0)), flat((0, 0, 0), 16, 16)], tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="uint8"):
        write_preview([np.zeros((4, 4, 3), np.float32)], tmp_path / "a.mp4")  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []
