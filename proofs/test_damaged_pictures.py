"""500 damaged copies of real pictures among good ones, in all formats: detectable damage is named, the rest is done.

The reference is independent: Pillow, imagecodecs (libpng, libjpeg-turbo, libwebp), OpenEXR, and the checksums in PNG.
What one of them refuses must be named; what none of them refuses may pass, but never in part. For DPX, which has no
checksum, the reference is its declared size.
"""

from __future__ import annotations

import io
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813
import pytest
from PIL import Image, ImageFile

from stylegan_core.data.sample.photographs import list_photographs, load_photograph
from stylegan_core.frames.base.sniff import FORMATS as KNOWN_FORMATS

DAMAGED = 500
SEED = int(os.environ.get("STYLEREEL_PROOF_SEED", "20"))
FORMATS = ("png", "jpg", "tif", "webp", "exr", "dpx")
ANY_SUFFIX = FORMATS[:4]
"""Formats that are read with each other's suffixes, with a warning."""
EXR_COMPRESSIONS = (OpenEXR.ZIP_COMPRESSION, OpenEXR.PIZ_COMPRESSION, OpenEXR.NO_COMPRESSION, OpenEXR.ZIPS_COMPRESSION)


def test_every_format_is_damaged_here():
    assert {{"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix) for suffix in FORMATS} == set(KNOWN_FORMATS)


def encoded_film(pixels, suffix, kind):
    """Half EXR of one of the compressions, 10-bit DPX of either byte order."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a.{suffix}"
        if suffix == "exr":
            header = {"compression": EXR_COMPRESSIONS[kind % len(EXR_COMPRESSIONS)], "type": OpenEXR.scanlineimage}
            OpenEXR.File(header, {"RGB": (pixels / 255.0).astype(np.float16)}).write(path)
        else:
            spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], 3, "uint16")
            spec["oiio:BitsPerSample"] = 10
            spec["oiio:Endian"] = ("little", "big")[kind % 2]
            target = oiio.ImageOutput.create(path)
            assert target.open(path, spec)
            assert target.write_image(pixels.astype(np.uint16) * 257)
            assert target.close()
        return Path(path).read_bytes()


def encoded(pixels, suffix, kind=0):
    if suffix in ("exr", "dpx"):
        return encoded_film(pixels, suffix, kind)
    stream, picture = io.BytesIO(), Image.fromarray(pixels)
    options = {
        "png": {"format": "PNG"},
        "jpg": {"format": "JPEG", "quality": 92},
        "tif": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
        "webp": {"format": "WEBP", "quality": 90},
    }
    picture.save(stream, **options[suffix])
    return stream.getvalue()


def truncated(content, suffix, rng):
    return content[: int(len(content) * rng.uniform(0.02, 0.95))]


def damaged_header(content, suffix, rng):
    changed = bytearray(content)
    for at in rng.sample(range(min(24, len(content))), 8):
        changed[at] ^= rng.randrange(1, 256)
    return bytes(changed)


def empty(content, suffix, rng):
    return b""


def zeroed(content, suffix, rng):
    """All zeros, or zeros from a random position on, as a file system leaves after a power cut."""
    keep = 0 if rng.random() < 0.5 else int(len(content) * rng.uniform(0.1, 0.9))
    return content[:keep] + bytes(len(content) - keep)


def text(content, suffix, rng):
    return b"<html><body>503 Service Unavailable</body></html>\n" * rng.randrange(1, 40)


def huge(content, suffix, rng):
    """Declares a size that exceeds the memory of any machine; checksums are right."""
    side = 60_000
    if suffix == "png":
        header = bytearray(content[12:29])
        header[4:12] = struct.pack(">II", side, side)
        return content[:12] + bytes(header) + struct.pack(">I", zlib.crc32(header)) + content[33:]
    if suffix == "jpg":
        at = next(i for i in range(len(content)) if content[i : i + 2] in (b"\xff\xc0", b"\xff\xc2"))
        return content[: at + 5] + struct.pack(">HH", side, side) + content[at + 9 :]
    if suffix == "tif":
        changed, (first,) = bytearray(content), struct.unpack("<I", content[4:8])
        (count,) = struct.unpack("<H", content[first : first + 2])
        for at in range(first + 2, first + 2 + 12 * count, 12):
            if struct.unpack("<H", content[at : at + 2])[0] in (256, 257):
                changed[at + 2 : at + 12] = struct.pack("<HII", 4, 1, side)
        return bytes(changed)
    if suffix == "exr":
        at = content.index(b"dataWindow\0box2i\0") + 17 + 4 + 8
        return content[:at] + struct.pack("<ii", side - 1, side - 1) + content[at + 8 :]
    if suffix == "dpx":
        order = ">" if content[:4] == b"SDPX" else "<"
        return content[:772] + struct.pack(f"{order}II", side, side) + content[780:]
    at = content.index(b"\x9d\x01\x2a")  # start code of a VP8 key frame; 14 bits a side
    return content[: at + 3] + struct.pack("<HH", 16383, 16383) + content[at + 7 :]


def flipped(content, suffix, rng):
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 3, 20])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


CERTAIN = (truncated, empty, text, huge)
"""Damage that must always be named; other damage must be named where the reference detects it."""


def reference_refuses(content, suffix):
    """Whether an independent decoder or a checksum refuses the bytes."""
    if content[:8] == b"\x89PNG\r\n\x1a\n" and not png_checksums_hold(content):
        return True
    if suffix == "dpx":
        return content[:4] not in (b"SDPX", b"XPDS")
    decode = {
        "png": imagecodecs.png_decode,
        "jpg": imagecodecs.jpeg8_decode,
        "webp": imagecodecs.webp_decode,
        "tif": None,
    }.get(suffix)
    try:
        if suffix == "exr":
            read_exr(content)
            return False
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
        if decode is not None:
            decode(content)
    except Exception:
        return True
    return False


def read_exr(content):
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(content)
        file.flush()
        return OpenEXR.File(file.name).channels()["RGB"].pixels


def png_checksums_hold(content):
    at, last = 8, b""
    while at + 12 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        last, end = content[at + 4 : at + 8], at + 8 + length
        if content[end : end + 4] != struct.pack(">I", zlib.crc32(content[at + 4 : end])):
            return False
        at = end + 4
    return last == b"IEND" and at == len(content)


def codes(path):
    """(H, W, 3), as codes of 8 bit, by content."""
    if path.suffix in (".exr", ".dpx"):
        return oiio.ImageBuf(str(path)).get_pixels("float")[:, :, :3] * 255
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), float)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Good pictures with damaged copies among them: (folder, damaged names that must be named, others, good names)."""
    rng, where = random.Random(SEED), tmp_path_factory.mktemp("pictures")
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    goods, kinds = {}, (truncated, damaged_header, empty, zeroed, text, huge, flipped, flipped, flipped, truncated)
    sources = []
    for at, name in enumerate(list_photographs()):
        pixels = load_photograph(name, 192)
        for suffix in FORMATS:
            sources.append((f"{name}-{suffix}", suffix, encoded(pixels, suffix, at)))
            goods[f"good/{name}.{suffix}"] = sources[-1][2]
        other = ANY_SUFFIX[(at + 1) % 4]  # a wrong suffix is no damage: it gives a warning, and the picture is done
        goods[f"good/{name}-wrong.{ANY_SUFFIX[at % 4]}"] = encoded(pixels, other)
    must, may = {}, {}
    for number in range(DAMAGED):
        name, suffix, content = sources[rng.randrange(len(sources))]
        kind = kinds[number % len(kinds)]
        damaged = kind(content, suffix, rng)
        path = f"damaged/{number:03d}-{kind.__name__}-{name}.{suffix}"
        certain = kind in CERTAIN or reference_refuses(damaged, suffix)
        (must if certain else may)[path] = damaged
    for path, content in {**goods, **must, **may}.items():
        (where / path).parent.mkdir(exist_ok=True)
        (where / path).write_bytes(content)
    return where, set(must), set(may), set(goods)


def test_damaged_pictures_among_good_ones(folder, tiny_model_folder, tmp_path):
    where, must, may, goods = folder
    output = tmp_path / "out"
    run = subprocess.run(
        [sys.executable, "-m", "flows", "stylize", where, output, "--model", tiny_model_folder, "--json"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert run.returncode == 1, run.stderr[-3000:]
    report = json.loads(run.stdout)
    failed = {Path(f["path"]).relative_to(where).as_posix(): f["reason"] for f in report["failed"]}
    assert all(failed.values())
    assert not (overlooked := sorted(must - set(failed))), f"damaged, but not named: {overlooked}"
    assert not (wronged := sorted(goods & set(failed))), f"good, but refused: {wronged}"
    assert set(failed) <= must | may
    assert all(name in run.stderr for name in failed), "all are listed at the end"
    there = {path.relative_to(output).as_posix() for path in output.rglob("*.*") if ".stylereel" not in path.parts}
    assert there == (goods | may) - set(failed)
    for name in there:
        assert not reference_refuses((output / name).read_bytes(), name.rpartition(".")[2]), f"{name} is not whole"
    for name in goods:
        before, after = codes(where / name), codes(output / name)
        assert before.shape == after.shape
        assert 0.5 < np.abs(before - after).mean() < 128
    warned = {Path(w["path"]).relative_to(where).as_posix() for w in report["warnings"]}
    assert {name for name in goods if "-wrong." in name} <= warned
    assert not list((output / ".stylereel" / "temporary").iterdir())
    more, passed = len(set(failed) & may), len(may - set(failed))
    print(f"{len(must)} of {DAMAGED} are detectable, all named; {more} more were named, {passed} pass")
    assert len(must) > DAMAGED * 0.8
