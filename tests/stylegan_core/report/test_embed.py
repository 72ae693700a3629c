import base64
import io

import numpy as np
import pytest
from PIL import Image

from stylegan_core.frames.movies.preview_writer import write_preview
from stylegan_core.report.embed import (
    LADDER,
    PictureFile,
    choose_encoding,
    display_pixels,
    movie_uri,
    picture_uri,
    spread,
    webp,
)

NOISE = np.random.default_rng(0)


def noisy(height, width):
    return NOISE.integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height, width):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x / width, y / height, 0.5 + 0 * x], axis=2).astype(np.float32)


def decoded(uri):
    head, content = uri.split(",", 1)
    return head, base64.b64decode(content)


def test_a_picture_is_a_webp_that_looks_the_same():
    head, content = decoded(picture_uri(smooth(90, 160), quality=90))
    shown = np.asarray(Image.open(io.BytesIO(content)), np.float32) / 255.0
    assert head == "data:image/webp;base64"
    assert np.abs(shown - smooth(90, 160)).mean() < 0.01


def test_wide_pictures_are_shrunk_and_narrow_ones_left():
    assert Image.open(io.BytesIO(webp(smooth(300, 600), width_px=200, quality=80))).size == (200, 100)
    assert Image.open(io.BytesIO(webp(smooth(30, 60), width_px=200, quality=80))).size == (60, 30)


def test_files_are_shown_in_srgb(tmp_path):
    codes = np.full((8, 8, 3), 188, np.uint8)
    Image.fromarray(codes).save(tmp_path / "a.png")
    assert np.array_equal(display_pixels(PictureFile(tmp_path / "a.png")), codes)
    linear = display_pixels(PictureFile(tmp_path / "a.png", "linear_rec709"))
    # IEC 61966-2-1: 1.055 * (188 / 255) ** (1 / 2.4) - 0.055 = 0.8739
    assert linear[0, 0].tolist() == [223, 223, 223]


@pytest.mark.parametrize(("count", "most", "keep"), [(5, 8, ()), (100, 10, (33, 34)), (48, 48, (7,)), (9, 2, (4,))])
def test_frames_are_spread_evenly_with_the_ends_and_the_key_frames(count, most, keep):
    chosen = spread(count, most, keep)
    assert len(chosen) == min(count, most)
    assert list(chosen) == sorted(set(chosen))
    assert {0, count - 1} <= set(chosen)
    if most >= len(keep) + 2:
        assert set(keep) <= set(chosen)
    gaps = np.diff(chosen)
    assert gaps.max() <= 2 * max(1, count / most) + 1


def test_encoding_shrinks_first_and_then_drops_frames():
    frames = [(noisy(120, 200), noisy(120, 200)) for _ in range(10)]
    full = choose_encoding(frames, limit_bytes=10**8, most_frames=48)
    assert (full.width_px, full.quality) == LADDER[0]
    assert full.frames == tuple(range(10))
    one = sum(len(picture_uri(p, width_px=LADDER[-1][0], quality=LADDER[-1][1])) for p in frames[0])
    fewer = choose_encoding(frames, limit_bytes=6 * one, most_frames=48, keep={3})
    assert (fewer.width_px, fewer.quality) == LADDER[-1]
    assert 4 <= len(fewer.frames) <= 6
    assert 3 in fewer.frames


def test_the_chosen_encoding_stays_within_the_limit():
    frames = [(noisy(240, 400),) for _ in range(6)]
    limit = 400_000
    encoding = choose_encoding(frames, limit_bytes=limit, most_frames=48)
    sizes = [
        len(picture_uri(frames[i][0], width_px=encoding.width_px, quality=encoding.quality)) for i in encoding.frames
    ]
    assert sum(sizes) <= limit


def test_movies_are_embedded_as_they_are_or_smaller_or_not_at_all(tmp_path):
    import av

    path = tmp_path / "movie.mp4"
    write_preview([noisy(400, 800) for _ in range(6)], path, fps=12.0)
    size = path.stat().st_size
    head, content = decoded(movie_uri(path, limit_bytes=2 * size))
    assert head == "data:video/mp4;base64"
    assert content == path.read_bytes()
    limit = size // 2
    uri = movie_uri(path, limit_bytes=limit)
    assert uri is not None
    assert len(uri) <= limit + 30
    with av.open(io.BytesIO(decoded(uri)[1])) as movie:
        stream = movie.streams.video[0]
        assert stream.width < 800
        assert abs(stream.width / stream.height - 2.0) < 0.02
        assert stream.average_rate == 12
        assert len(list(movie.decode(stream))) == 6
    assert movie_uri(path, limit_bytes=1000) is None
