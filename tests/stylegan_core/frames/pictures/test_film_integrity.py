"""Damaged EXR, DPX and TIFF: refused with a reason in words, never a crash, never a picture of another size."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from stylegan_core.frames.base.bit_depth import from_codes
from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from tests.stylegan_core.frames.pictures.film_files import half, others, planes, plate, save_exr

HEIGHT, WIDTH = 24, 20
RAMP = np.arange(HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3)
COMPRESSIONS = ("NO", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44A", "DWAA", "HTJ2K32")


def encode(folder: Path, name: str) -> bytes:
    path = folder / f"whole.{name.partition('-')[0]}"
    light = half(plate(HEIGHT, WIDTH))
    if name.startswith("exr"):
        compression = getattr(OpenEXR, f"{name.partition('-')[2]}_COMPRESSION")
        channels = planes(light) | {"Z": others(HEIGHT, WIDTH)["Z"]}
        save_exr(path, ({"compression": compression, "name": "a"}, channels), ({"name": "b"}, others(HEIGHT, WIDTH)))
    elif name.startswith("dpx"):
        write_picture(path, Picture(from_codes(RAMP % 1024, 10), bits=10))
    else:
        write_picture(path, Picture(from_codes(RAMP % 4096, 12), bits=12))
    return path.read_bytes()


NAMES = [*(f"exr-{name}" for name in COMPRESSIONS), "dpx", "tif"]


def attempt(path: Path, content: bytes) -> np.ndarray | str:
    path.write_bytes(content)
    try:
        return read_picture(path).pixels
    except UnreadablePictureError as error:
        assert error.reason  # noqa: PT017  # some of these files are readable
        assert "\n" not in error.reason  # noqa: PT017
        return error.reason


@pytest.mark.parametrize("name", NAMES)
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path, name: str) -> None:
    content = encode(tmp_path, name)
    assert not isinstance(attempt(tmp_path / "a", content), str)
    ends = [*range(0, 64, 3), *range(64, len(content), len(content) // 40), *range(len(content) - 8, len(content))]
    for length in ends:
        assert isinstance(attempt(tmp_path / "a", content[:length]), str), f"cut at {length} of {len(content)}"


@pytest.mark.parametrize("name", NAMES)
def test_flipped_bits_never_crash_and_never_change_the_size_unnoticed(tmp_path: Path, name: str) -> None:
    content = encode(tmp_path, name)
    chosen = np.random.default_rng(3).choice(len(content) * 8, 200, replace=False)
    refused = 0
    for bit in chosen:
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        result = attempt(tmp_path / "a", bytes(changed))
        refused += isinstance(result, str)
    # Only ZIP has a checksum of the pixels; of the other part's, no pixel is unpacked.
    assert refused >= {"exr-ZIP": 50, "exr-ZIPS": 50, "dpx": 0, "tif": 0}.get(name, 5)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("exr")])
def test_zeros_in_an_exr(tmp_path: Path, name: str) -> None:
    content = encode(tmp_path, name)
    half_lost = content[: len(content) // 2] + bytes(len(content) - len(content) // 2)
    assert isinstance(attempt(tmp_path / "a", half_lost), str)
    assert "zero" in str(attempt(tmp_path / "a", bytes(len(content))))


def test_an_unfinished_exr_says_so(tmp_path: Path) -> None:
    content = bytearray(save_exr(tmp_path / "a.exr", ({}, planes(half(plate(64, 8))))).read_bytes())
    spec = read_picture(tmp_path / "a.exr").metadata
    assert spec is not None
    assert spec.exr is not None
    offsets = struct.pack("<4Q", *(chunk.offset for chunk in spec.exr.structure.chunks))
    at = content.index(offsets)
    content[at + 16 : at + 32] = bytes(16)
    assert "unfinished: 2 of 4" in str(attempt(tmp_path / "a.exr", bytes(content)))
    content[at + 16 : at + 32] = offsets[:8] * 2
    assert "same pixels" in str(attempt(tmp_path / "a.exr", bytes(content)))


@pytest.mark.parametrize("name", ["exr-ZIP", "dpx", "tif"])
def test_a_wrong_suffix_is_a_warning(tmp_path: Path, name: str) -> None:
    content = encode(tmp_path, name)
    (tmp_path / "a.png").write_bytes(content)
    picture = read_picture(tmp_path / "a.png")
    assert picture.pixels.shape == (HEIGHT, WIDTH, 3)
    assert "although its name ends in .png" in picture.warnings[0]


def test_declared_sizes_are_checked_before_anything_is_unpacked(tmp_path: Path) -> None:
    for name in ("exr-ZIP", "dpx", "tif"):
        (tmp_path / "a").write_bytes(encode(tmp_path, name))
        with pytest.raises(UnreadablePictureError, match="more than the limit"):
            read_picture(tmp_path / "a", max_megapixels=0.0001)
        with pytest.raises(UnreadablePictureError, match="too small"):
            read_picture(tmp_path / "a", min_side_px=21)
