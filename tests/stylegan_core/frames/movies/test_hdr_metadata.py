"""What a movie says of its mastering display is what was written, and stays with H.264 and H.265."""

from __future__ import annotations

import pytest

from stylegan_core.frames.movies.encoding import choose_encoding
from stylegan_core.frames.movies.hdr_metadata import encoder_options
from stylegan_core.frames.movies.probe import probe_movie
from stylegan_core.frames.movies.reader import MovieReader
from stylegan_core.frames.movies.writer import assemble_movie
from tests.stylegan_core.frames.movies import sample_movies as movies

DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
HDR = (1, 9, 9, 16)


@pytest.fixture
def graded(tmp_path):
    path = tmp_path / "hdr.mp4"
    parameters = f"log-level=none:master-display={DISPLAY}:max-cll=1000,400"
    movies.make_movie(path, "libx265", "yuv420p10le", colour=HDR, options={"x265-params": parameters})
    return path


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "hevc"), (".mp4", "h264"), (".mkv", "hevc")])
def test_the_mastering_display_is_kept(tmp_path, graded, suffix, codec):
    reader = MovieReader(graded)
    info = reader.info
    assert info.hdr == {"master-display": DISPLAY, "max-cll": "1000,400"}
    made = tmp_path / f"made{suffix}"
    frames = [(pts, reader.read(at).pix_fmt, reader.read(at).planes) for at, pts in enumerate(info.pts)]
    assert assemble_movie(made, frames, info, choose_encoding(made, info, "yuv420p10le", codec)) == ()
    assert (probe_movie(made).hdr, probe_movie(made).colour) == (info.hdr, HDR)
    dropped = assemble_movie(
        tmp_path / "m.mov", frames, info, choose_encoding(tmp_path / "m.mov", info, "yuv420p10le", "prores")
    )
    assert len(dropped) == 1
    assert "HDR mastering metadata" in dropped[0]


def test_encoders_get_their_own_names():
    assert encoder_options("hevc", {"max-cll": "1,2"}) == "max-cll=1,2"
    assert (
        encoder_options("h264", {"master-display": DISPLAY, "max-cll": "1,2"}) == f"mastering-display={DISPLAY}:cll=1,2"
    )
    assert encoder_options("h264", {}) == ""
