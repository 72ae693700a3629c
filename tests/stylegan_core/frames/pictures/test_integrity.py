"""Damage: every flipped bit that a checksum covers, every truncation, and nothing ever but a reason or a picture."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.pictures.read import read_picture

PHOTOGRAPH = skimage.data.astronaut()[40:64, 180:212]
ENCODINGS = {
    "png": ("png", {}),
    "baseline": ("jpeg", {"quality": 85}),
    "progressive": ("jpeg", {"quality": 85, "progressive": True}),
    "lossy": ("webp", {"quality": 85}),
    "lossless": ("webp", {"lossless": True}),
    "raw": ("tiff", {}),
    "lzw": ("tiff", {"compression": "tiff_lzw"}),
    "deflate": ("tiff", {"compression": "tiff_deflate"}),
    "packbits": ("tiff", {"compression": "packbits"}),
}


def encode(name: str) -> bytes:
    kind, options = ENCODINGS[name]
    file = io.BytesIO()
    Image.fromarray(PHOTOGRAPH).save(file, kind, **options)
    return file.getvalue()


def attempt(path: Path, content: bytes) -> np.ndarray | str:
    path.write_bytes(content)
    try:
        return read_picture(path).pixels
    except UnreadablePictureError as error:
        assert error.reason  # noqa: PT017  # some of these files are readable
        return error.reason


def flip(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path, name: str) -> None:
    content = encode(name)
    whole = attempt(tmp_path / "a", content)
    for length in [*range(0, 64), *range(64, len(content), 37), *range(len(content) - 16, len(content))]:
        result = attempt(tmp_path / "a", content[:length])
        whole_tiff = ENCODINGS[name][0] == "tiff" and np.array_equal(result, whole)  # its last bytes can be padding
        assert isinstance(result, str) or whole_tiff


def test_no_flipped_bit_of_a_png_gets_through(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(PHOTOGRAPH[:3, :3]).save(file, "png", dpi=(72, 72))
    content = file.getvalue()
    assert not isinstance(attempt(tmp_path / "a", content), str)
    for bit in range(len(content) * 8):
        assert isinstance(attempt(tmp_path / "a", flip(content, bit)), str), f"bit {bit} went unnoticed"


@pytest.mark.parametrize("name", [name for name in ENCODINGS if name != "png"])
def test_flipped_bits_never_crash_and_never_change_the_size_unnoticed(tmp_path: Path, name: str) -> None:
    content = encode(name)
    chosen = np.random.default_rng(3).choice(len(content) * 8, 200, replace=False)
    refused = 0
    for bit in chosen:
        result = attempt(tmp_path / "a", flip(content, int(bit)))
        refused += isinstance(result, str)
    # What the format lets a reader tell; a JPEG's or WebP's stream is valid after most flips.
    assert refused >= {"deflate": 190, "progressive": 50, "lzw": 20, "baseline": 20}.get(name, 2)


@pytest.mark.parametrize("name", ["raw", "lzw", "deflate", "packbits"])
def test_a_tiff_that_lies_about_its_size_is_refused(tmp_path: Path, name: str) -> None:
    content = encode(name)
    for tag, true in ((256, 32), (257, 24)):
        at = content.index(struct.pack("<HHI", tag, 4 if b"\x00\x01\x04\x00" in content else 3, 1)) + 8
        assert struct.unpack_from("<H", content, at)[0] == true
        for lie in (true - 1, true + 1, true - 8, true * 2):
            changed = content[:at] + struct.pack("<H", lie) + content[at + 2 :]
            assert isinstance(attempt(tmp_path / "a", changed), str)


def test_a_jpeg_with_data_left_over_is_refused(tmp_path: Path) -> None:
    content = encode("baseline")
    assert content.endswith(b"\xff\xd9")
    assert "more data" in str(attempt(tmp_path / "a", content[:-2] + bytes(range(1, 9)) + content[-2:]))


def test_a_jpeg_with_a_lost_sector_is_mostly_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()[:256, :256]).save(file, "jpeg", quality=90)
    content = file.getvalue()
    starts = range(1024, len(content) - 1024, 1024)
    lost = [content[:start] + bytes(512) + content[start + 512 :] for start in starts]
    refused = sum(isinstance(attempt(tmp_path / "a", each), str) for each in lost)
    # Zeros are valid codes: now and then they take exactly as many blocks as were lost.
    assert refused > 0.8 * len(lost)


def test_a_trailer_after_the_end_does_no_harm(tmp_path: Path) -> None:
    for name in ("png", "baseline", "progressive", "raw"):
        content = encode(name)
        whole = attempt(tmp_path / "a", content)
        assert np.array_equal(attempt(tmp_path / "a", content + b"a phone's trailer" * 9), whole)


def test_fill_bytes_and_restart_markers_of_a_jpeg_are_fine(tmp_path: Path) -> None:
    content = encode("baseline")
    whole = attempt(tmp_path / "a", content)
    at = content.index(b"\xff\xdb")
    assert np.array_equal(attempt(tmp_path / "a", content[:at] + b"\xff\xff" + content[at:]), whole)
    for size in range(8, 25):  # the last byte of data ends on any bit
        file = io.BytesIO()
        Image.fromarray(PHOTOGRAPH[:, :size]).save(file, "jpeg", quality=70)
        filled = file.getvalue()[:-2] + b"\xff\xff\xff\xd9"
        assert np.array_equal(attempt(tmp_path / "a", filled), attempt(tmp_path / "a", file.getvalue()))
    file = io.BytesIO()
    Image.fromarray(PHOTOGRAPH).save(file, "jpeg", quality=85, restart_marker_blocks=2)
    assert np.array_equal(attempt(tmp_path / "a", file.getvalue()), whole)


def test_a_big_tiff_and_the_other_byte_order_are_read(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    for options in ({"bigtiff": True}, {"byteorder": ">"}, {"bigtiff": True, "byteorder": ">"}):
        tifffile.imwrite(tmp_path / "a.tif", PHOTOGRAPH, photometric="rgb", rowsperstrip=5, **options)
        assert np.array_equal(read_picture(tmp_path / "a.tif").pixels, PHOTOGRAPH)
        content = (tmp_path / "a.tif").read_bytes()
        assert isinstance(attempt(tmp_path / "a.tif", content[:-40]), str)
