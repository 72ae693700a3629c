"""What is put together is the source's movie: codec, depth, colours, times, timecode, sound, and no half of a file."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from stylegan_core.frames.movies.encoding import MovieWriteError, choose_encoding, encoding_warnings
from stylegan_core.frames.movies.probe import info_of_pictures, probe_movie
from stylegan_core.frames.movies.reader import MovieReader
from stylegan_core.frames.movies.writer import assemble_movie
from tests.stylegan_core.frames.movies import sample_movies as movies

HDR = (1, 9, 9, 16)  # limited range, BT.2020, PQ


def assembled(source, path, codec=None):
    reader = MovieReader(source)
    info = reader.info
    frames = ((pts, reader.read(at).pix_fmt, reader.read(at).planes) for at, pts in enumerate(info.pts))
    dropped = assemble_movie(path, frames, info, choose_encoding(path, info, reader.read(0).pix_fmt, codec))
    reader.close()
    return info, probe_movie(path), dropped


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix", "colour", "options"),
    [
        ("libx264", "yuv420p", ".mp4", (1, 1, 1, 1), {}),
        ("libx264", "yuv422p10le", ".mp4", (2, 5, 5, 6), {}),
        ("libx265", "yuv420p10le", ".mp4", HDR, {"x265-params": "log-level=none"}),
        ("prores_ks", "yuv422p10le", ".mov", HDR, {"profile": "lt"}),
        ("prores_ks", "yuva444p10le", ".mov", (1, 1, 1, 1), {"profile": "4444"}),
        ("dnxhd", "yuv422p10le", ".mov", (1, 1, 1, 1), {"profile": "dnxhr_hqx"}),
        ("dnxhd", "yuv422p", ".mxf", (1, 1, 1, 1), {"profile": "dnxhr_hq"}),
        ("ffv1", "yuv422p10le", ".mkv", HDR, {}),
    ],
)
def test_the_codec_depth_and_colours_are_kept(tmp_path, codec, pix_fmt, suffix, colour, options):
    size = {"width": 256, "height": 128} if codec == "dnxhd" else {}
    source = tmp_path / f"source{suffix}"
    movies.make_movie(source, codec, pix_fmt, colour=colour, options=options, **size)
    before, after, dropped = assembled(source, tmp_path / f"made{suffix}")
    assert dropped == ()
    same = ("codec", "profile", "pix_fmt", "bits", "matrix", "full_range", "colour", "rate", "width_px", "height_px")
    assert {name: getattr(after, name) for name in same} == {name: getattr(before, name) for name in same}
    assert after.colour == colour
    seconds = [[float(pts * info.time_base) for pts in info.pts] for info in (before, after)]
    assert seconds[0] == pytest.approx(seconds[1], abs=1e-3)
    one, other = MovieReader(source).read(6), MovieReader(tmp_path / f"made{suffix}").read(6)
    difference = np.abs(one.planes[0].astype(float) - other.planes[0]).mean() / (1 << one.bits)
    assert difference == 0 if codec == "ffv1" else difference < 0.02
    if pix_fmt.startswith("yuva"):
        assert np.abs(one.planes[3].astype(float) - other.planes[3]).max() <= 1


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix", "audio"),
    [("libx264", "yuv420p", ".mp4", "aac"), ("prores_ks", "yuv422p10le", ".mov", "pcm_s16le"),
     ("ffv1", "yuv420p", ".mkv", "aac")],
)  # fmt: skip
def test_sound_is_copied_packet_by_packet(tmp_path, codec, pix_fmt, suffix, audio):
    source, made = tmp_path / f"source{suffix}", tmp_path / f"made{suffix}"
    movies.make_movie(source, codec, pix_fmt, audio=audio)
    assert len(movies.packets(source, "audio")) > 3
    assembled(source, made)
    assert movies.packets(made, "audio") == movies.packets(source, "audio")


def test_timecode_tags_and_variable_times_are_kept(tmp_path):
    movies.make_movie(tmp_path / "a.mov", "prores_ks", "yuv422p10le", timecode="01:02:03:04")
    _, after, _ = assembled(tmp_path / "a.mov", tmp_path / "b.mov")
    assert (after.timecode, after.metadata["title"]) == ("01:02:03:04", "a tiny movie")
    times = [0, 40, 80, 200, 240, 280, 300, 400, 440, 500]
    for suffix, codec in ((".mkv", "ffv1"), (".mp4", "libx264")):
        movies.make_movie(tmp_path / f"v{suffix}", codec, "yuv420p", times=times)
        _, after, _ = assembled(tmp_path / f"v{suffix}", tmp_path / f"w{suffix}")
        assert [round(float(pts * after.time_base) * 1000) for pts in after.pts] == times


def test_what_a_container_does_not_take_is_reported(tmp_path):
    movies.make_movie(tmp_path / "a.mp4", "libx264", "yuv420p", audio="aac", width=256, height=128)
    _, after, dropped = assembled(tmp_path / "a.mp4", tmp_path / "b.mxf")
    assert after.codec == "dnxhd"
    assert len(dropped) == 1
    assert "PCM" in dropped[0]
    info = after
    with pytest.raises(MovieWriteError, match="mp4 takes h264, hevc here, not ffv1"):
        choose_encoding(tmp_path / "c.mp4", info, "yuv420p", "ffv1")
    with pytest.raises(MovieWriteError, match="must end in"):
        choose_encoding(tmp_path / "c.gif", info, "yuv420p")


def test_another_codec_than_the_sources_is_reported_with_any_loss_of_detail(tmp_path):
    movies.make_movie(tmp_path / "a.mov", "v210", "yuv422p10le")
    info = probe_movie(tmp_path / "a.mov")
    assert encoding_warnings(tmp_path / "b.mov", info) == [
        "is v210, which cannot be written; prores loses detail, a .mkv output does not"
    ]
    assert encoding_warnings(tmp_path / "b.mkv", info) == ["is v210, which cannot be written; the output is ffv1"]
    assert encoding_warnings(tmp_path / "b.mov", info, "h264") == []
    movies.make_movie(tmp_path / "a.mp4", "libx264", "yuv420p")
    info = probe_movie(tmp_path / "a.mp4")
    assert encoding_warnings(tmp_path / "b.mp4", info) == []
    assert encoding_warnings(tmp_path / "b.mxf", info) == [
        "is h264, which .mxf does not take here; the output is dnxhd"
    ]


def test_codes_of_full_range_look_alike_in_a_container_that_cannot_say_so(tmp_path):
    source, made = tmp_path / "a.avi", tmp_path / "b.avi"
    movies.make_movie(source, "mjpeg", "yuvj420p", colour=(2, 5, 2, 2))
    before, after, _ = assembled(source, made)
    assert before.full_range
    assert not after.full_range
    assert "converting to limited range" in encoding_warnings(made, before)[1]
    one, other = MovieReader(source).read(3), MovieReader(made).read(3)
    assert np.abs(one.planes[0].astype(float) * 219 / 255 + 16 - other.planes[0]).max() <= 1
    assert np.abs((one.planes[1].astype(float) - 128) * 224 / 255 + 128 - other.planes[1]).max() <= 1.5


def test_nothing_is_left_of_a_movie_that_breaks_off(tmp_path):
    info = info_of_pictures(64, 48, 4, Fraction(24))

    def frames():
        yield 0, "gbrp", movies.random_planes("gbrp", 0)
        raise RuntimeError("a frame is gone")

    with pytest.raises(RuntimeError, match="gone"):
        assemble_movie(tmp_path / "m.mov", frames(), info, choose_encoding(tmp_path / "m.mov", info, "gbrp"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MovieWriteError, match="no frame"):
        assemble_movie(tmp_path / "m.mov", iter(()), info, choose_encoding(tmp_path / "m.mov", info, "gbrp"))
    assert list(tmp_path.iterdir()) == []


def test_pictures_become_what_players_show(tmp_path):
    info = info_of_pictures(64, 48, 6, Fraction(24000, 1001), bits=16)
    grey = tuple(np.full((48, 64), code, np.uint16) for code in (40000, 20000, 50000))  # green, blue, red
    for suffix, pix_fmt in ((".mp4", "yuv420p"), (".mov", "yuv422p10le")):
        path = tmp_path / f"m{suffix}"
        encoding = choose_encoding(path, info, "gbrp16le")
        assemble_movie(path, ((at, "gbrp16le", grey) for at in range(6)), info, encoding)
        made = probe_movie(path)
        assert (made.pix_fmt, made.colour, made.rate) == (pix_fmt, (1, 1, 1, 1), Fraction(24000, 1001))
        planes = MovieReader(path).read(3)
        shown = planes.rgb[24, 32].astype(float) / np.iinfo(planes.rgb.dtype).max
        assert np.abs(shown - np.array([50000, 40000, 20000]) / 65535).max() < 0.02


def test_rotation_chapters_languages_and_quality(tmp_path):
    plain, source, made = tmp_path / "plain.mp4", tmp_path / "source.mp4", tmp_path / "made.mp4"
    movies.make_movie(plain, "libx264", "yuv420p", audio="aac")
    with av.open(str(plain)) as read, av.open(str(source), "w") as write:
        copies = {stream.index: write.add_stream_from_template(stream) for stream in read.streams}
        copies[0].set_display_rotation(90)
        copies[1].metadata["language"] = "swe"
        write.set_chapters(
            [{"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}}]
        )
        for packet in read.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                write.mux(packet)
    before, after, dropped = assembled(source, made)
    assert dropped == ()
    assert abs(before.rotation) == 90
    assert after.rotation == before.rotation
    with av.open(str(made)) as container:
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["one"]
        assert container.streams.audio[0].metadata["language"] == "swe"
    encoding = choose_encoding(made, after, "yuv420p", quality=30)
    assert encoding.options["crf"] == "30"
    assert choose_encoding(made, after, "yuv420p").options["crf"] == "12"
    with pytest.raises(MovieWriteError, match="prores has none"):
        choose_encoding(tmp_path / "m.mov", after, "yuv420p", "prores", quality=30)
