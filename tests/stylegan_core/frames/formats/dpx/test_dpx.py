"""DPX against OpenImageIO and FFmpeg: all depths and packings, headers kept, what is not the picture kept."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from stylegan_core.frames.base.bit_depth import from_codes
from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.formats.dpx.dpx import new_source, write_dpx
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from tests.stylegan_core.frames.pictures.film_files import load_with_oiio, save_with_oiio

PACKINGS = {"Packed": 0, "Filled, method A": 1, "Filled, method B": 2}


def codes_of(bits: int, channels: int, width: int = 37, height: int = 11) -> np.ndarray:
    codes = np.random.default_rng(bits).integers(0, 1 << bits, (height, width, channels))
    return codes.astype(np.uint8 if bits == 8 else np.uint16)


@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_what_openimageio_writes(tmp_path: Path, channels: int, bits: int, packing: str, order: str) -> None:
    for width in (36, 37):  # its lines follow each other without a gap, which 37 pixels tell
        codes = codes_of(bits, channels, width)
        source = tmp_path / "a.dpx"
        options = {"oiio_BitsPerSample": bits, "dpx_Packing": packing, "oiio_Endian": order}
        save_with_oiio(source, from_codes(codes, bits), **options)
        picture = read_picture(source)
        assert np.array_equal(picture.pixels, from_codes(codes, bits))
        assert picture.bits == (bits if bits in (10, 12) else None)
        write_picture(tmp_path / "b.dpx", picture)
        written, whole = (tmp_path / "b.dpx").read_bytes(), source.read_bytes()
        start = struct.unpack_from(">I" if order == "big" else "<I", whole, 4)[0]
        assert len(written) == len(whole)
        assert written[:start] == whole[:start]
        assert np.array_equal(load_with_oiio(tmp_path / "b.dpx"), load_with_oiio(source))
        write_picture(tmp_path / "b.dpx", replace(picture, pixels=picture.pixels[::-1]))
        assert np.array_equal(load_with_oiio(tmp_path / "b.dpx"), load_with_oiio(source)[::-1])


@pytest.mark.parametrize("method", [0, 1, 2])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_ffmpeg_reads_what_is_written(tmp_path: Path, channels: int, bits: int, method: int) -> None:
    if bits == 10 and method == 0:
        pytest.skip("FFmpeg does not read packed 10-bit DPX")
    codes = codes_of(bits, channels)
    source = new_source(*codes.shape, bits)
    header = bytearray(source.before)
    struct.pack_into(">H", header, 804, method)
    source = replace(source, before=bytes(header), packing=replace(source.packing, method=method))
    write_dpx(tmp_path / "a.dpx", from_codes(codes, bits), source, {})
    with av.open(str(tmp_path / "a.dpx")) as movie:
        decoded = next(movie.decode(video=0)).to_ndarray()
    assert np.array_equal(decoded.reshape(codes.shape), codes)


def test_the_header_and_all_around_the_picture_is_kept(tmp_path: Path) -> None:
    codes = codes_of(10, 3)
    save_with_oiio(tmp_path / "a.dpx", from_codes(codes, 10), oiio_BitsPerSample=10, oiio_Endian="big")
    content = bytearray((tmp_path / "a.dpx").read_bytes())
    content[260:268] = b"Project1"
    content[1664:1666] = b"KK"  # film: manufacturer
    struct.pack_into(">I", content, 1920, 0x10111213)  # time code
    content[801], content[802] = 3, 1  # transfer: logarithmic, colorimetric: printing density
    user = b"studio".ljust(32, b"\x00") + b"our own data"
    struct.pack_into(">I", content, 32, len(user))
    # A second element, alpha alone, after the first; all offsets move by the user data.
    image = struct.unpack_from(">I", content, 4)[0]
    struct.pack_into(">I", content, 4, image + len(user))
    struct.pack_into(">H", content, 770, 2)
    content[852 : 852 + 72] = content[780 : 780 + 72]
    content[852 + 20] = 4
    struct.pack_into(">I", content, 780 + 28, image + len(user))
    struct.pack_into(">I", content, 852 + 28, len(content) + len(user))
    struct.pack_into(">I", content, 16, len(content) + len(user) + 9)
    whole = bytes(content[:image]) + user + bytes(content[image:]) + b"the alpha"
    (tmp_path / "b.dpx").write_bytes(whole)
    picture = read_picture(tmp_path / "b.dpx")
    assert np.array_equal(picture.pixels, from_codes(codes, 10))
    assert picture.layers == ("element 2",)
    assert picture.colour_tags["transfer"] == "logarithmic"
    write_picture(tmp_path / "c.dpx", replace(picture, pixels=picture.pixels[:, ::-1]))
    written = (tmp_path / "c.dpx").read_bytes()
    start = image + len(user)
    assert len(written) == len(whole)
    assert written[:start] == whole[:start]
    assert written.endswith(b"the alpha")
    assert np.array_equal(read_picture(tmp_path / "c.dpx").pixels, picture.pixels[:, ::-1])


def test_changed_samples_are_rounded_to_the_depth_of_the_file(tmp_path: Path) -> None:
    save_with_oiio(tmp_path / "a.dpx", from_codes(codes_of(10, 3), 10), oiio_BitsPerSample=10)
    picture = read_picture(tmp_path / "a.dpx")
    moved = np.minimum(picture.pixels, 65000).astype(np.uint16) + np.uint16(50)
    write_picture(tmp_path / "b.dpx", replace(picture, pixels=moved))
    wanted = from_codes(np.rint(moved / 65535 * 1023).astype(np.uint16), 10)
    assert np.array_equal(read_picture(tmp_path / "b.dpx").pixels, wanted)


def test_a_picture_of_another_size_keeps_the_headers(tmp_path: Path) -> None:
    save_with_oiio(tmp_path / "a.dpx", from_codes(codes_of(10, 3), 10), oiio_BitsPerSample=10, oiio_Endian="big")
    content = bytearray((tmp_path / "a.dpx").read_bytes())
    content[260:268] = b"Project1"
    (tmp_path / "a.dpx").write_bytes(content)
    picture = read_picture(tmp_path / "a.dpx")
    larger = np.repeat(np.repeat(picture.pixels, 2, axis=0), 2, axis=1)
    write_picture(tmp_path / "b.dpx", replace(picture, pixels=larger))
    back = read_picture(tmp_path / "b.dpx")
    assert back.bits == 10
    assert np.array_equal(back.pixels, larger)
    assert np.array_equal(load_with_oiio(tmp_path / "b.dpx") >> 6, larger >> 6)
    written = (tmp_path / "b.dpx").read_bytes()
    assert written[260:268] == b"Project1"
    assert struct.unpack_from(">I", written, 16)[0] == len(written)


def test_pictures_of_other_formats_become_plain_files(tmp_path: Path) -> None:
    for channels in (1, 3, 4):
        sixteen = codes_of(16, channels, 36)
        write_picture(tmp_path / "a.dpx", Picture(sixteen, has_alpha=channels == 4))
        assert np.array_equal(load_with_oiio(tmp_path / "a.dpx"), sixteen)
        assert np.array_equal(read_picture(tmp_path / "a.dpx").pixels, sixteen)
    ten = from_codes(codes_of(10, 3), 10)
    write_picture(tmp_path / "b.dpx", Picture(ten, bits=10))
    assert read_picture(tmp_path / "b.dpx").bits == 10
    assert np.array_equal(load_with_oiio(tmp_path / "b.dpx") >> 6, ten >> 6)
    write_picture(tmp_path / "c.dpx", Picture(np.full((4, 4, 2), 7, np.uint8), has_alpha=True))
    assert read_picture(tmp_path / "c.dpx").pixels.shape == (4, 4, 1)


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (800, b"\x64", "kind 100"),
        (803, b"\x20", "of 32 bits"),
        (806, b"\x00\x01", "run-length"),
        (780, b"\x00\x00\x00\x01", "signed"),
        (770, b"\x00\x09", "9 picture elements"),
        (772, b"\xff\xff\xff\xff", "impossible size"),
        (808, b"\x7f\xff\xff\xff", "where its pixels are"),
    ],
)
def test_headers_that_cannot_be_read(tmp_path: Path, at: int, value: bytes, words: str) -> None:
    save_with_oiio(tmp_path / "a.dpx", codes_of(16, 3), oiio_Endian="big")
    content = bytearray((tmp_path / "a.dpx").read_bytes())
    content[at : at + len(value)] = value
    (tmp_path / "a.dpx").write_bytes(content)
    with pytest.raises(UnreadablePictureError, match=words):
        read_picture(tmp_path / "a.dpx")
