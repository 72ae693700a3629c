"""Writing pictures: independent readers get back every bit, metadata and profiles; a failure leaves the old file."""

from __future__ import annotations

import errno
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from stylegan_core.frames.pictures import encode, encode_tiff
from stylegan_core.frames.pictures.encode import convert_samples, write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture

RNG = np.random.default_rng(11)
RGBA = RNG.integers(0, 256, (19, 23, 4), dtype=np.uint8)
RGBA16 = RNG.integers(0, 65536, (19, 23, 4), dtype=np.uint16)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def channels_of(pixels: np.ndarray, channels: int) -> np.ndarray:
    return pixels[..., :channels] if channels >= 3 else pixels[..., 4 - channels :]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_8_bit_png_as_pillow_reads_it(tmp_path: Path, channels: int) -> None:
    pixels = channels_of(RGBA, channels)
    write_picture(tmp_path / "a.png", Picture(pixels, has_alpha=channels in (2, 4)))
    with Image.open(tmp_path / "a.png") as image:
        image.verify()
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
        assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_as_libpng_reads_it(tmp_path: Path, channels: int) -> None:
    pixels = channels_of(RGBA16, channels)
    write_picture(tmp_path / "a.png", Picture(pixels, has_alpha=channels in (2, 4)))
    read = imagecodecs.png_decode((tmp_path / "a.png").read_bytes())
    assert read.dtype == np.uint16
    assert np.array_equal(read.reshape(pixels.shape), pixels)


@pytest.mark.parametrize("sample_type", ["uint8", "uint16", "float16", "float32"])
@pytest.mark.parametrize(
    ("channels", "associated"), [(1, False), (2, False), (3, False), (4, False), (2, True), (4, True)]
)
def test_tiff_as_tifffile_reads_it(tmp_path: Path, sample_type: str, channels: int, associated: bool) -> None:
    has_alpha = channels in (2, 4)
    pixels = channels_of(convert_samples(RGBA16, sample_type), channels)
    path = tmp_path / "a.tif"
    write_picture(path, Picture(pixels, has_alpha=has_alpha, alpha_associated=associated))
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        assert page.dtype == np.dtype(sample_type)
        assert np.array_equal(page.asarray().reshape(pixels.shape), pixels)
        assert tuple(page.extrasamples) == (((1 if associated else 2),) if has_alpha else ())
    again = read_picture(path)
    assert np.array_equal(again.pixels, pixels)
    assert again.alpha_associated == associated


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_close_and_keeps_full_chroma(tmp_path: Path, channels: int) -> None:
    ramp = np.linspace(0, 255, 64 * 64).reshape(64, 64)
    pixels = np.stack([ramp, ramp.T, ramp[::-1]], axis=-1)[..., :channels].astype(np.uint8)
    write_picture(tmp_path / "a.jpg", Picture(pixels))
    with Image.open(tmp_path / "a.jpg") as image:
        assert np.abs(np.asarray(image).reshape(pixels.shape).astype(int) - pixels).max() <= 8
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * channels


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_webp(tmp_path: Path, channels: int) -> None:
    Image.fromarray(RGBA).save(tmp_path / "source.webp", lossless=True, exact=True)
    source = read_picture(tmp_path / "source.webp")
    pixels = channels_of(RGBA, channels)
    write_picture(tmp_path / "a.webp", replace(source, pixels=pixels, has_alpha=channels in (2, 4), icc_profile=SRGB))
    with Image.open(tmp_path / "a.webp") as image:
        colours = np.repeat(pixels[..., :1], 3, axis=2) if channels <= 2 else pixels[..., :3]
        assert np.array_equal(np.asarray(image)[..., :3], colours)
        assert image.mode == ("RGBA" if channels in (2, 4) else "RGB")
        assert image.info["icc_profile"] == SRGB
    write_picture(tmp_path / "lossy.webp", Picture(np.full((32, 32, 3), 99, np.uint8)))
    assert np.abs(np.asarray(Image.open(tmp_path / "lossy.webp")).astype(int) - 99).max() <= 3


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
def test_profiles_of_any_length_are_kept(tmp_path: Path, suffix: str) -> None:
    long_profile = SRGB[:128] + RNG.bytes(150_000)  # three segments of a JPEG; no reader looks inside
    for profile in (SRGB, long_profile):
        write_picture(tmp_path / f"a{suffix}", Picture(RGBA[..., :3], icc_profile=profile))
        with Image.open(tmp_path / f"a{suffix}") as image:
            assert image.info["icc_profile"] == profile
    assert read_picture(tmp_path / f"a{suffix}").icc_profile == long_profile


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_equal_pictures_are_equal_files(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        write_picture(tmp_path / f"{name}{suffix}", Picture(RGBA[..., :3], icc_profile=SRGB))
    first = (tmp_path / f"a{suffix}").read_bytes()
    assert first == (tmp_path / f"b{suffix}").read_bytes()
    assert b"202" not in first.replace(SRGB, b"") or suffix != ".tif"  # no date of writing


def test_a_source_of_the_wrong_suffix_keeps_its_name(tmp_path: Path) -> None:
    Image.fromarray(RGBA).save(tmp_path / "a.jpg", "png")
    write_picture(tmp_path / "out" / "a.jpg", read_picture(tmp_path / "a.jpg"))
    written = read_picture(tmp_path / "out" / "a.jpg")
    assert written.format == "jpeg"
    assert written.warnings == ()
    assert not written.has_alpha


def test_samples_that_a_format_lacks_are_converted_by_value(tmp_path: Path) -> None:
    levels = np.array([[[0.0], [0.5], [1.0], [7.0], [-1.0], [np.nan], [np.inf]]], np.float32)
    write_picture(tmp_path / "a.png", Picture(levels))
    assert read_picture(tmp_path / "a.png").pixels.ravel().tolist() == [0, 32768, 65535, 65535, 0, 0, 65535]
    for value in range(256):
        wide = convert_samples(np.array([[[value]]], np.uint8), "uint16")
        assert wide.item() == value * 257
        assert convert_samples(wide, "uint8").item() == value


def test_associated_alpha_becomes_straight_where_the_format_wants_it(tmp_path: Path) -> None:
    straight = np.array([[[200, 100, 50, 255], [200, 100, 50, 128], [9, 9, 9, 0]]], np.uint8)
    stored = straight.copy()
    stored[0, 1, :3] = np.rint(straight[0, 1, :3] * (128 / 255))
    write_picture(tmp_path / "a.png", Picture(stored, has_alpha=True, alpha_associated=True))
    assert np.abs(read_picture(tmp_path / "a.png").pixels.astype(int) - straight).max() <= 1


@pytest.mark.parametrize(
    ("name", "pixels"), [("a.gif", RGBA), ("a", RGBA), ("a.png", RGBA[..., 0]), ("a.png", RGBA[:0])]
)
def test_what_cannot_be_written_is_a_clear_error(tmp_path: Path, name: str, pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must end in" if name != "a.png" else "expected an array of shape"):
        write_picture(tmp_path / name, Picture(pixels))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="float64"):
        write_picture(tmp_path / "a.png", Picture(RGBA.astype(np.float64)))
    with pytest.raises(ValueError, match="too large"):
        write_picture(tmp_path / "a.webp", Picture(np.zeros((1, 16_384, 3), np.uint8)))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_failure_leaves_the_old_file_and_no_temporary(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a{suffix}"
    write_picture(path, Picture(RGBA))
    before = path.read_bytes()

    def truncate(temporary: Path, *_: object) -> None:
        temporary.write_bytes(before[:100])
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(encode, "write_tiff" if suffix == ".tif" else "_write_bytes", truncate)
    with pytest.raises(OSError, match="no space left"):
        write_picture(path, Picture(255 - RGBA))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_tiff_that_a_full_disk_cut_short_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = encode_tiff._write

    def cut_short(path: Path, *rest: Any) -> None:
        write(path, *rest)
        path.write_bytes(path.read_bytes()[:-200])

    monkeypatch.setattr(encode_tiff, "_write", cut_short)
    with pytest.raises(OSError, match="truncated"):
        write_picture(tmp_path / "a.tif", Picture(RGBA))
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_are_written_to_the_temporary_folder(tmp_path: Path) -> None:
    write_picture(tmp_path / "out" / "a.png", Picture(RGBA), temporary_folder=tmp_path / "out" / ".stylereel")
    assert (tmp_path / "out" / ".stylereel").is_dir()
    assert not list((tmp_path / "out" / ".stylereel").iterdir())


def test_a_png_is_no_larger_than_twice_pillows(tmp_path: Path) -> None:
    import skimage.data

    photograph = skimage.data.astronaut()
    write_picture(tmp_path / "a.png", Picture(photograph))
    file = io.BytesIO()
    Image.fromarray(photograph).save(file, "png")
    assert (tmp_path / "a.png").stat().st_size < 1.3 * len(file.getvalue())
