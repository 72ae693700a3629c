"""Any frame of a movie is the frame that decoding from the start gives, and its file says what it is."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.movies.probe import frame_count, probe_movie
from stylegan_core.frames.movies.reader import MovieReader
from tests.stylegan_core.frames.movies import sample_movies as movies


def decoded(path):
    """The rows of every plane of every frame, without the padding at their ends."""
    with av.open(str(path)) as container:
        return [
            [
                b"".join(
                    bytes(plane)[row * plane.line_size :][: plane.width * (1 if "p10" not in frame.format.name else 2)]
                    for row in range(plane.height)
                )
                for plane in frame.planes
            ]
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix", "options"),
    [
        ("libx264", "yuv420p", ".mp4", {"bf": "3", "g": "5"}),
        ("libx265", "yuv420p10le", ".mp4", {"x265-params": "log-level=none:bframes=3:keyint=5"}),
        ("prores_ks", "yuv422p10le", ".mov", {}),
        ("ffv1", "yuv422p10le", ".mkv", {}),
        ("ffv1", "gbrp10le", ".mkv", {}),
    ],
)
def test_frames_in_any_order_are_those_of_decoding_in_order(tmp_path, codec, pix_fmt, suffix, options):
    path = tmp_path / f"m{suffix}"
    movies.make_movie(path, codec, pix_fmt, options=options)
    expected, reader = decoded(path), MovieReader(path)
    assert len(reader.info.pts) == len(expected) == movies.COUNT
    for index in (7, 2, 9, 0, 3, 8, 1, 5, 4, 6, 9, 0):
        assert [plane.tobytes() for plane in reader.read(index).planes] == expected[index]
    reader.close()


def test_planes_and_colours_are_the_movies_own(tmp_path):
    frames = movies.make_movie(tmp_path / "m.mkv", "ffv1", "yuv420p10le", colour=(2, 9, 9, 16))
    reader = MovieReader(tmp_path / "m.mkv")
    assert all(np.array_equal(a, b) for a, b in zip(reader.read(4).planes, frames[4], strict=True))
    info = reader.info
    assert (info.colour, info.matrix, info.full_range, info.bits) == ((2, 9, 9, 16), "bt2020", True, 10)
    assert info.warnings == ()


def test_rgb_follows_matrix_and_range(tmp_path):
    """A grey of limited range: 16 is black, 235 is white, whatever the matrix."""
    path = tmp_path / "m.mkv"
    movies.make_movie(path, "ffv1", "yuv444p", colour=(1, 1, 1, 1))
    planes = MovieReader(path).read(3)
    luma, cb, cr = (plane.astype(float) for plane in planes.planes)
    red = 1.16438356 * (luma - 16) + 1.79274107 * (cr - 128)  # BT.709, limited range
    assert np.abs(np.clip(red, 0, 255) - planes.rgb[..., 0]).max() <= 1.01
    blue = 1.16438356 * (luma - 16) + 2.11240179 * (cb - 128)
    assert np.abs(np.clip(blue, 0, 255) - planes.rgb[..., 2]).max() <= 1.01


def test_variable_times_timecode_and_sound_are_found(tmp_path):
    times = [0, 40, 80, 200, 240, 280, 300, 400, 440, 500]
    movies.make_movie(tmp_path / "v.mkv", "ffv1", "yuv420p", times=times)
    info = probe_movie(tmp_path / "v.mkv")
    assert [int(pts * info.time_base * 1000) for pts in info.pts] == times
    assert len({after - before for before, after in pairwise(info.pts)}) > 1
    movies.make_movie(tmp_path / "t.mov", "prores_ks", "yuv422p10le", timecode="01:00:00:00", audio="pcm_s16le")
    info = probe_movie(tmp_path / "t.mov")
    assert (info.timecode, info.rate) == ("01:00:00:00", Fraction(24000, 1001))
    assert len({after - before for before, after in pairwise(info.pts)}) == 1
    assert ("audio", "pcm_s16le") in info.tracks
    assert info.metadata["title"] == "a tiny movie"
    assert frame_count(tmp_path / "t.mov") == movies.COUNT
    assert frame_count(tmp_path / "none.mov") == 0


def test_an_untagged_matrix_is_guessed_by_height_with_a_warning(tmp_path):
    movies.make_movie(tmp_path / "m.mkv", "ffv1", "yuv420p", colour=(0, 2, 2, 2))
    info = probe_movie(tmp_path / "m.mkv")
    assert info.matrix == "bt601"
    assert "no colour matrix" in info.warnings[0]


def test_what_is_no_movie_or_ends_early_says_so(tmp_path):
    (tmp_path / "text.mp4").write_text("no movie at all")
    with pytest.raises(UnreadablePictureError, match="not a movie"):
        probe_movie(tmp_path / "text.mp4")
    with pytest.raises(FileNotFoundError):
        probe_movie(tmp_path / "none.mp4")
    movies.make_movie(tmp_path / "m.mkv", "ffv1", "yuv420p")
    reader = MovieReader(tmp_path / "m.mkv")
    with pytest.raises(UnreadablePictureError, match="10 frames, no frame 11"):
        reader.read(10)


def test_a_damaged_frame_is_named_and_the_others_are_read(tmp_path):
    path = tmp_path / "m.mkv"
    movies.make_movie(path, "ffv1", "yuv420p", options={"level": "3", "slicecrc": "1", "g": "1"})
    content = bytearray(path.read_bytes())
    packet = movies.packets(path, "video")[4]
    at = content.find(packet)
    assert at > 0
    for offset in range(len(packet) // 2, len(packet) // 2 + 60):
        content[at + offset] ^= 0x55
    (tmp_path / "bad.mkv").write_bytes(content)
    good, bad = MovieReader(path), MovieReader(tmp_path / "bad.mkv")
    with pytest.raises(UnreadablePictureError, match="frame 5 is damaged"):
        bad.read(4)
    for index in (0, 3, 5, 9):
        assert np.array_equal(bad.read(index).rgb, good.read(index).rgb)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"), [("prores_ks", "yuv422p10le", ".mov"), ("libx264", "yuv420p", ".mp4")]
)
def test_damage_that_only_the_decoder_finds_costs_its_frame_alone(tmp_path, codec, pix_fmt, suffix):
    path, bad = tmp_path / f"m{suffix}", tmp_path / f"bad{suffix}"
    movies.make_movie(path, codec, pix_fmt, options={"g": "1"})
    content, packet = bytearray(path.read_bytes()), movies.packets(path, "video")[4]
    at = content.find(packet)
    content[at : at + len(packet)] = bytes(len(packet))
    bad.write_bytes(content)
    good, reader = MovieReader(path), MovieReader(bad)
    with pytest.raises(UnreadablePictureError, match="frame 5 is damaged"):
        reader.read(4)
    for index in (6, 3, 5, 9):
        assert np.array_equal(reader.read(index).rgb, good.read(index).rgb)


@pytest.mark.parametrize(("codec", "suffix"), [("ffv1", ".mkv"), ("libx264", ".mp4"), ("ffv1", ".avi")])
def test_a_movie_that_was_cut_off_is_refused(tmp_path, codec, suffix):
    path = tmp_path / f"m{suffix}"
    movies.make_movie(path, codec, "yuv420p", options={"g": "1"})
    if suffix == ".mp4":  # its index in front, as for streaming
        with (
            av.open(str(path)) as source,
            av.open(str(tmp_path / "f.mp4"), "w", options={"movflags": "faststart"}) as to,
        ):
            copy = to.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = copy
                    to.mux(packet)
        path = tmp_path / "f.mp4"
    assert len(probe_movie(path).pts) == movies.COUNT
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(UnreadablePictureError, match=r"truncated|not a movie"):
        probe_movie(path)


def test_many_threads_get_their_own_frames(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    path = tmp_path / "m.mp4"
    movies.make_movie(path, "libx264", "yuv420p", options={"bf": "3", "g": "5"})
    expected, reader = decoded(path), MovieReader(path)
    order = [index for _ in range(6) for index in (0, 5, 1, 9, 2, 7, 3, 8, 4, 6)]
    with ThreadPoolExecutor(8) as pool:
        for index, found in zip(order, pool.map(reader.read, order), strict=True):
            assert [plane.tobytes() for plane in found.planes] == expected[index]
