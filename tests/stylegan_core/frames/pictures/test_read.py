"""Reading pictures: exact pixels of every format against Pillow and tifffile, and refusals in words."""

from __future__ import annotations

import pickle
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.read import read_picture

RNG = np.random.default_rng(7)
RGBA = RNG.integers(0, 256, (13, 17, 4), dtype=np.uint8)
RGBA16 = RNG.integers(0, 65536, (13, 17, 4), dtype=np.uint16)


def refusal(path: Path, **limits: float) -> str:
    with pytest.raises(UnreadablePictureError) as caught:
        read_picture(path, **limits)
    assert str(path) in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(
    ("suffix", "channels"),
    [(suffix, channels) for suffix in (".png", ".tif") for channels in (1, 2, 3, 4)] + [(".webp", 3), (".webp", 4)],
)
def test_8_bit_pixels_are_exact_and_alpha_is_straight(tmp_path: Path, suffix: str, channels: int) -> None:
    pixels = RGBA[..., :channels] if channels >= 3 else RGBA[..., 4 - channels :]
    path = tmp_path / f"picture{suffix}"
    options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path, **options)
    picture = read_picture(path)
    assert picture.pixels.dtype == np.uint8
    assert np.array_equal(picture.pixels, pixels)
    assert picture.has_alpha == (channels in (2, 4))
    assert not picture.alpha_associated
    assert picture.format == {".png": "png", ".tif": "tiff", ".webp": "webp"}[suffix]
    assert picture.warnings == ()
    assert picture.colour_channels == (3 if channels >= 3 else 1)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"planarconfig": "separate"}, {"tile": (16, 16)}])
@pytest.mark.parametrize("sample_type", ["uint8", "uint16", "float16", "float32"])
def test_tiff_samples_are_exact(tmp_path: Path, options: dict[str, object], sample_type: str) -> None:
    pixels = (RGBA16[..., :3] / 65535 * (1 if "float" in sample_type else 250)).astype(sample_type)
    stored = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", **options)
    picture = read_picture(tmp_path / "a.tif")
    assert picture.pixels.dtype.name == sample_type
    assert np.array_equal(picture.pixels, pixels)


@pytest.mark.parametrize("extra", ["unassalpha", "assocalpha"])
def test_16_bit_tiff_alpha_stays_as_it_is_stored(tmp_path: Path, extra: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RGBA16, photometric="rgb", extrasamples=[extra])
    picture = read_picture(tmp_path / "a.tif")
    assert np.array_equal(picture.pixels, RGBA16)
    assert picture.has_alpha
    assert picture.alpha_associated == (extra == "assocalpha")


def test_16_bit_png_against_a_chunk_by_chunk_one(tmp_path: Path) -> None:
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in RGBA16[..., :3])
    path = tmp_path / "deep.png"
    path.write_bytes(png(png_header(17, 13, 16, 2), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")))
    assert np.array_equal(read_picture(path).pixels, RGBA16[..., :3])


def test_palette_and_one_bit_pngs_are_expanded(tmp_path: Path) -> None:
    palette = Image.fromarray(RGBA[..., :3]).quantize(16)
    palette.save(tmp_path / "palette.png")
    assert np.array_equal(read_picture(tmp_path / "palette.png").pixels, np.asarray(palette.convert("RGB")))
    Image.fromarray(RGBA[..., 0] > 99).save(tmp_path / "bits.png")
    assert np.array_equal(read_picture(tmp_path / "bits.png").pixels[..., 0], (RGBA[..., 0] > 99) * np.uint8(255))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_as_pillow_decodes_it(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(RGBA[..., :3]).save(path, quality=92, **options)
    difference = read_picture(path).pixels.astype(int) - np.asarray(Image.open(path))
    assert np.abs(difference).max() <= 2  # another build of libjpeg-turbo
    Image.fromarray(RGBA[..., 0]).save(path, quality=92)
    assert read_picture(path).pixels.shape == (13, 17, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
def test_orientation_is_applied_and_reset_on_writing(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(RGBA[..., :3]).save(path, exif=exif, **options)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    picture = read_picture(path)
    assert np.abs(picture.pixels.astype(int) - upright).max() <= (2 if suffix == ".jpg" else 0)
    write_picture(tmp_path / f"out{suffix}", picture)
    with Image.open(tmp_path / f"out{suffix}") as written:
        assert written.getexif().get(0x0112, 1) == 1
        assert written.size == (upright.shape[1], upright.shape[0])
    assert read_picture(tmp_path / f"out{suffix}").pixels.shape == picture.pixels.shape


def test_a_wrong_suffix_is_a_warning(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.tif", "a", "a.exr"):
        Image.fromarray(RGBA).save(tmp_path / name, "png")
        picture = read_picture(tmp_path / name)
        assert picture.format == "png"
        assert np.array_equal(picture.pixels, RGBA)
        assert len(picture.warnings) == 1
        assert picture.warnings[0].startswith("holds a PNG although its name")


def test_a_name_that_openimageio_takes_for_another_reader_is_never_garbage(tmp_path: Path) -> None:
    Image.fromarray(RGBA).save(tmp_path / "a.null", "png")  # its "null" reader makes pixels up
    assert ".null" in refusal(tmp_path / "a.null")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"just some notes\n", "text file"),
        ("Notizen, äöü\n".encode("utf-16"), "text file"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"GIF89a" + bytes(50), "a GIF"),
        (b"\x76\x2f\x31\x01" + bytes(50), "EXR version"),
        (bytes(4096), "zero bytes"),
        (b"\x89PNG\n\x1a\n" + bytes(50), "signature"),
        (bytes(range(128, 256)) * 4, "not a picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    assert words in refusal(tmp_path / "a.png")


def test_limits(tmp_path: Path) -> None:
    Image.fromarray(RGBA).save(tmp_path / "a.png")
    assert refusal(tmp_path / "a.png", min_side_px=14) == "it is too small: 17 x 13 px, at least 14 are needed"
    assert "limit of 0.0001 megapixels" in refusal(tmp_path / "a.png", max_megapixels=0.0001)
    assert read_picture(tmp_path / "a.png", min_side_px=13, max_megapixels=0.000221).width_px == 17


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "webp"])
def test_a_bomb_is_refused_by_its_declared_size(tmp_path: Path, kind: str) -> None:
    huge = 60_000
    if kind == "png":
        content = png(png_header(huge, huge, 8, 2), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    elif kind == "jpeg":
        Image.fromarray(RGBA[..., :3]).save(tmp_path / "a", "jpeg")
        content = (tmp_path / "a").read_bytes()
        at = content.index(b"\xff\xc0") + 5
        content = content[:at] + struct.pack(">HH", huge, huge) + content[at + 4 :]
    elif kind == "tiff":
        tifffile.imwrite(tmp_path / "a", np.zeros((4, 4, 3), np.uint8), photometric="rgb")
        content = bytearray((tmp_path / "a").read_bytes())
        with tifffile.TiffFile(tmp_path / "a") as file:
            for tag in ("ImageWidth", "ImageLength"):
                at = file.pages[0].tags[tag].valueoffset
                content[at : at + 2] = struct.pack("<H", huge)
    else:
        body = b"\x0a\x00\x00\x00" + (16_382).to_bytes(3, "little") * 2
        chunks = b"WEBPVP8X" + struct.pack("<I", 10) + body
        content = b"RIFF" + struct.pack("<I", len(chunks)) + chunks
    (tmp_path / "bomb").write_bytes(content)
    assert "megapixels" in refusal(tmp_path / "bomb")


def test_a_file_far_too_long_for_any_picture_is_not_read(tmp_path: Path) -> None:
    Image.fromarray(RGBA).save(tmp_path / "a.png")
    with (tmp_path / "a.png").open("ab") as file:
        file.truncate(4 << 30)  # sparse
    assert "too large" in refusal(tmp_path / "a.png")


def test_cmyk_and_unusual_samples_are_refused(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.tif"):
        Image.fromarray(RGBA, "CMYK").save(tmp_path / name)
        assert "CMYK" in refusal(tmp_path / name)
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((4, 4, 3), np.int32), photometric="rgb")
    assert "samples" in refusal(tmp_path / "b.tif")


def test_more_than_one_page_is_a_warning(tmp_path: Path) -> None:
    pages = [Image.fromarray(RGBA), Image.fromarray(255 - RGBA)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "a.webp", save_all=True, append_images=pages[1:], lossless=True)
    pages[0].save(tmp_path / "a.png", save_all=True, append_images=pages[1:])
    assert read_picture(tmp_path / "a.tif").warnings == ("has 2 pages; only the first is used",)
    for name in ("a.webp", "a.png"):
        picture = read_picture(tmp_path / name)
        assert picture.warnings == ("has 2 frames of animation; only the first is used",)
        assert np.array_equal(picture.pixels[..., 3], RGBA[..., 3])


def test_a_bad_profile_is_kept_with_a_warning(tmp_path: Path) -> None:
    Image.fromarray(RGBA[..., :3]).save(tmp_path / "a.jpg", icc_profile=b"not a profile" * 20)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.icc_profile == b"not a profile" * 20
    assert picture.warnings == ("its ICC profile is damaged; it is kept, but not used",)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_picture(tmp_path / "nowhere.png")
    with pytest.raises(IsADirectoryError):
        read_picture(tmp_path)


def test_threads_and_pickles(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    paths = []
    for index in range(24):
        path = tmp_path / f"{index}.{('png', 'tif', 'webp')[index % 3]}"
        options = {"lossless": True, "exact": True} if path.suffix == ".webp" else {}
        Image.fromarray(np.roll(RGBA, index, axis=0)).save(path, exif=exif, **options)
        if index % 4 == 0:
            path.write_bytes(path.read_bytes()[:-9])
        paths.append(path)

    def attempt(path: Path) -> np.ndarray | str:
        try:
            return read_picture(path).pixels
        except UnreadablePictureError as error:
            return error.reason

    with ThreadPoolExecutor(4) as pool:
        for index, result in enumerate(pool.map(attempt, paths)):
            if index % 4 == 0:
                assert isinstance(result, str)
            else:
                assert np.array_equal(result, np.roll(RGBA, index, axis=0))
    picture = read_picture(paths[1])
    copy = pickle.loads(pickle.dumps(picture))
    assert copy.metadata == picture.metadata
    assert np.array_equal(copy.pixels, picture.pixels)


def png_header(width: int, height: int, bits: int, colour: int) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    packed = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
