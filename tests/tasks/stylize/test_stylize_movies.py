"""Movies through the whole of stylize: exact where nothing changes, resumed frame by frame, never half a file."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from flows.runners.local_runner import LocalRunner
from stylegan_core.frames.movies.probe import probe_movie
from stylegan_core.frames.movies.reader import MovieReader
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.inference.output.skip_check import frames_to_make
from stylegan_core.inference.planning.request import Request
from tasks.shared.errors import UsageError
from tasks.stylize.stylize import plan_request, stylize_directory
from tests.stylegan_core.frames.movies import sample_movies as movies


@pytest.fixture
def stylized(tiny_model_folder, tmp_path):
    def make(source, output, **options):
        asked = Request.of(source, output, model=tiny_model_folder, **{"device": "cpu", "back_end": "torch", **options})
        return stylize_directory(asked, LocalRunner())

    return make


def test_a_movie_at_strength_0_is_the_movie(tmp_path, stylized):
    source, output = tmp_path / "in.mkv", tmp_path / "out" / "made.mkv"
    movies.make_movie(source, "ffv1", "yuv422p10le", audio="aac")
    report = stylized(source, output, strength=0.0)
    assert (report.made, report.preview) == (movies.COUNT, output)
    before, after = MovieReader(source), MovieReader(output)
    for index in range(movies.COUNT):
        planes = zip(before.read(index).planes, after.read(index).planes, strict=True)
        assert all(np.array_equal(a, b) for a, b in planes)
    assert movies.packets(output, "audio") == movies.packets(source, "audio")
    assert probe_movie(output).metadata["STYLEREEL:RECIPE"] == "keyframe"


def test_a_movie_is_stylized_and_a_second_run_does_nothing(tmp_path, stylized):
    source, output = tmp_path / "in.mp4", tmp_path / "made.mp4"
    movies.make_movie(source, "libx264", "yuv420p")
    assert stylized(source, output).made == movies.COUNT
    before, after = MovieReader(source).read(5).rgb.astype(int), MovieReader(output).read(5).rgb.astype(int)
    assert np.abs(before - after).mean() > 3
    times = output.stat().st_mtime_ns
    report = stylized(source, output)
    assert (report.made, report.skipped) == (0, movies.COUNT)
    assert output.stat().st_mtime_ns == times
    assert stylized(source, output, strength=0.5).made == movies.COUNT
    assert output.stat().st_mtime_ns != times


def test_a_frame_that_is_gone_is_made_again_alone(tmp_path, stylized, tiny_model_folder):
    source, output = tmp_path / "in.mkv", tmp_path / "made.mkv"
    movies.make_movie(source, "ffv1", "yuv420p")
    stylized(source, output)
    first = output.read_bytes()
    kept = sorted((tmp_path / ".made.mkv.frames").glob("*.mkv"))
    assert len(kept) == movies.COUNT
    kept[4].unlink()
    asked = Request.of(source, output, model=tiny_model_folder, device="cpu", back_end="torch")
    assert frames_to_make(plan_request(asked)[0].job) == [kept[4].name]
    assert stylized(source, output).made == 1
    assert output.read_bytes() == first


def test_a_damaged_frame_is_named_and_the_movie_waits(tmp_path, stylized):
    source, output = tmp_path / "in.mkv", tmp_path / "made.mkv"
    movies.make_movie(source, "ffv1", "yuv420p", options={"level": "3", "slicecrc": "1", "g": "1"})
    content = bytearray(source.read_bytes())
    at = content.find(packet := movies.packets(source, "video")[4])
    for offset in range(len(packet) // 2, len(packet) // 2 + 60):
        content[at + offset] ^= 0x55
    source.write_bytes(content)
    report = stylized(source, output)
    assert (report.made, [failure.reason for failure in report.failed]) == (movies.COUNT - 1, ["frame 5 is damaged"])
    assert report.preview is None
    assert not output.exists()


def test_frames_of_a_movie_as_pictures_and_pictures_as_a_movie(tmp_path, stylized):
    source = tmp_path / "in.mkv"
    frames = movies.make_movie(source, "ffv1", "gbrp10le")
    report = stylized(source, tmp_path / "out" / "shot.####.png", frames="3-6", strength=0.0)
    assert (report.made, report.failed) == (4, ())
    picture = read_picture(tmp_path / "out/shot.0003.png")
    green = np.rint(frames[2][0] / 1023 * 65535)
    assert picture.pixels.dtype == np.uint16
    assert np.abs(picture.pixels[..., 1] - green).max() <= 1
    movie = tmp_path / "again.mov"
    assert stylized(tmp_path / "out" / "shot.####.png", movie, strength=0.0, fps=25.0).made == 4
    facts = probe_movie(movie)
    assert (len(facts.pts), facts.rate, facts.codec, facts.bits) == (4, 25, "prores", 10)
    shown, wanted = MovieReader(movie).read(0).rgb / 65535, picture.pixels / 65535
    assert np.abs(shown.mean((0, 1)) - wanted.mean((0, 1))).max() < 0.01  # chroma is shared by two pixels
    assert np.abs(shown - wanted).mean() < 0.05


@pytest.mark.parametrize(("codec", "pix_fmt"), [("prores_ks", "yuva444p10le"), ("qtrle", "argb")])
def test_pictures_of_a_movie_have_its_levels_and_its_alpha(tmp_path, stylized, codec, pix_fmt):
    source = tmp_path / "in.mov"
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 4), np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(source), "w") as write:
        stream = write.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for _ in range(2):
            write.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgba").reformat(format=pix_fmt)))
        write.mux(stream.encode(None))
    assert stylized(source, tmp_path / "out" / "a.####.png", limit=1, strength=0.0).made == 1
    picture = read_picture(tmp_path / "out/a.0001.png")
    with av.open(str(source)) as read:
        wanted = next(read.decode(video=0))
        wanted = wanted.to_ndarray(format="rgba64le" if picture.pixels.dtype == np.uint16 else "rgba")
    assert picture.has_alpha
    assert not picture.alpha_associated
    difference = np.abs(picture.pixels.astype(float) - wanted) / np.iinfo(picture.pixels.dtype).max
    assert difference[..., 3].max() < 2e-3  # FFmpeg widens 10 bits to 16 by a shift
    assert difference[..., :3].max() < 0.02
    movie = tmp_path / "made.mov"
    assert stylized(source, movie, strength=0.0).made == 2
    assert MovieReader(movie).read(0).pix_fmt.startswith("yuva")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": "5-20"}, "no frame 11-20: its numbers are 1 to 10"),
        ({"codec": "ffv1"}, "supports h264, hevc here"),
        ({"quality": 70}, "0 \\(best\\) to 51"),
        ({"output": "out.webm"}, "end in|ends in"),
        ({"output": "in.mp4"}, "replace its own input"),
    ],
)
def test_wrong_calls_say_what_to_do(tmp_path, stylized, options, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    movies.make_movie(Path("in.mp4"), "libx264", "yuv420p")
    output = options.pop("output", "out.mp4")
    with pytest.raises(UsageError, match=message):
        stylized(tmp_path / "in.mp4", tmp_path / output, **options)


def test_a_users_own_movie_is_not_replaced(tmp_path, stylized):
    movies.make_movie(tmp_path / "in.mp4", "libx264", "yuv420p")
    (tmp_path / "mine.mp4").write_bytes(b"mine")
    with pytest.raises(UsageError, match="stylereel did not make"):
        stylized(tmp_path / "in.mp4", tmp_path / "mine.mp4")
    assert (tmp_path / "mine.mp4").read_bytes() == b"mine"
    assert stylized(tmp_path / "in.mp4", tmp_path / "mine.mp4", overwrite=True).made == movies.COUNT


def test_a_part_of_a_movie_begins_at_its_own_timecode(tmp_path, stylized):
    source, output = tmp_path / "in.mov", tmp_path / "made.mov"
    movies.make_movie(source, "prores_ks", "yuv422p10le", timecode="01:00:00:22", audio="pcm_s16le")
    assert stylized(source, output, frames="4-8", strength=0.0).made == 5
    facts = probe_movie(output)
    assert (facts.timecode, len(facts.pts), facts.pts[0]) == ("01:00:01:01", 5, 0)
    assert [kind for kind, _ in facts.tracks] == ["data"]  # that of the timecode
