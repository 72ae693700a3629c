"""TIFF of 2 to 32 bits, read by value and written back in its depth, against tifffile; floats; extra metadata."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from stylegan_core.frames.base.bit_depth import from_codes, to_codes
from stylegan_core.frames.formats.tiff.directory import pack_bits, replace_pixels
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from tests.stylegan_core.frames.pictures.film_files import load_with_oiio, plate, same_bits


def codes_of(bits: int, channels: int) -> np.ndarray:
    kind = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32
    return np.random.default_rng(bits).integers(0, 1 << bits, (13, 21, channels), dtype=np.uint64).astype(kind)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bits", [2, 4, 6, 8, 10, 12, 14, 16, 24, 32])
def test_every_depth_comes_back(tmp_path: Path, bits: int, channels: int) -> None:
    codes = codes_of(bits, channels)
    source, output = tmp_path / "a.tif", tmp_path / "b.tif"
    whole = bits in (8, 16, 32)
    write_picture(source, Picture(from_codes(codes, bits), has_alpha=channels == 4, bits=None if whole else bits))
    page = tifffile.TiffFile(source).pages[0]
    assert page.bitspersample == bits
    assert page.shape[:2] == codes.shape[:2]
    assert np.array_equal(tifffile.imread(source).reshape(codes.shape), codes)
    picture = read_picture(source)
    assert picture.bits == (None if whole else bits)
    assert picture.has_alpha == (channels == 4)
    assert np.array_equal(to_codes(picture.pixels, bits), codes)
    write_picture(output, replace(picture, pixels=picture.pixels[:, ::-1]))
    assert np.array_equal(tifffile.imread(output).reshape(codes.shape), codes[:, ::-1])


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_planar_and_packed_files_of_other_programs(tmp_path: Path, planar: str) -> None:
    sixteen = codes_of(16, 3)
    stored = sixteen if planar == "contig" else np.ascontiguousarray(sixteen.transpose(2, 0, 1))
    options = {"photometric": "rgb", "planarconfig": planar, "compression": "zlib", "tile": (16, 16)}
    tifffile.imwrite(tmp_path / "a.tif", stored, **options)
    picture = read_picture(tmp_path / "a.tif")
    assert np.array_equal(picture.pixels, sixteen)
    write_picture(tmp_path / "b.tif", picture)
    assert np.array_equal(load_with_oiio(tmp_path / "b.tif"), sixteen)


def test_24_bits_in_either_byte_order(tmp_path: Path) -> None:
    codes = codes_of(24, 3)
    for order in "<>":
        source = tmp_path / "a.tif"
        tifffile.imwrite(source, np.zeros((1, 1, 3), np.uint8), photometric="rgb", byteorder=order)
        replace_pixels(source, codes, 24)
        assert np.array_equal(to_codes(read_picture(source).pixels, 24), codes)
    assert pack_bits(np.array([[0x010203]], np.uint32), 24).tolist() == [[1, 2, 3]]
    assert pack_bits(np.array([[1, 2, 3]], np.uint16), 4).tolist() == [[0x12, 0x30]]


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_floats_keep_every_bit(tmp_path: Path, kind: type[np.floating]) -> None:
    light = plate().astype(kind)
    tifffile.imwrite(tmp_path / "a.tif", light, photometric="rgb")
    picture = read_picture(tmp_path / "a.tif")
    assert same_bits(picture.pixels, light)
    write_picture(tmp_path / "b.tif", picture)
    assert same_bits(tifffile.imread(tmp_path / "b.tif"), light)


def test_many_strips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan_core.frames.formats.tiff.directory._STRIP_BYTES", 100)
    codes = codes_of(10, 3)
    write_picture(tmp_path / "a.tif", Picture(from_codes(codes, 10), bits=10))
    assert len(tifffile.TiffFile(tmp_path / "a.tif").pages[0].dataoffsets) == 13
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), codes)


@pytest.mark.parametrize(
    ("channels", "extra", "own"),
    [(6, ("unspecified", "unassalpha", "unspecified"), (0, 1, 2, 4)), (5, ("unspecified",) * 2, (0, 1, 2))],
)
def test_other_channels_pass_through(
    tmp_path: Path, channels: int, extra: tuple[str, ...], own: tuple[int, ...]
) -> None:
    codes = codes_of(16, channels)
    tifffile.imwrite(tmp_path / "a.tif", codes, photometric="rgb", planarconfig="contig", extrasamples=extra)
    picture = read_picture(tmp_path / "a.tif")
    assert picture.has_alpha == (len(own) == 4)
    assert np.array_equal(picture.pixels, codes[..., own])
    assert len(picture.layers) == channels - len(own)
    write_picture(tmp_path / "b.tif", replace(picture, pixels=picture.pixels[::-1]))
    wanted = codes.copy()
    wanted[..., own] = wanted[::-1, :, own]
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), wanted)
    back = read_picture(tmp_path / "b.tif")
    assert back.has_alpha == picture.has_alpha
    assert np.array_equal(back.pixels, picture.pixels[::-1])
