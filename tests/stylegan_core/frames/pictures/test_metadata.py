"""Metadata survives byte by byte; orientation, size and thumbnails are the only things that change."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.metadata import reset_exif
from stylegan_core.frames.pictures.read import read_picture

PIXELS = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'xmp:Rating="4" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


def exif_of_a_camera() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Maker"
    inner = exif.get_ifd(0x8769)
    inner.update({0x829A: (1, 60), 0x8827: 100, 0x927C: b"PRIVATE NOTES", 0xA434: "Lens", 0xA002: 30, 0xA003: 20})
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 1.0, 2.0)})
    return exif


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_and_xmp_survive(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    options = {"pnginfo": info} if suffix == ".png" else {"xmp": XMP}
    Image.fromarray(PIXELS).save(source, exif=exif_of_a_camera(), **options)
    write_picture(target, read_picture(source))
    with Image.open(target) as image:
        exif = image.getexif()
        assert exif[0x0112] == 1
        assert exif[0x010F] == "Maker"
        inner = exif.get_ifd(0x8769)
        assert inner[0x829A] == (1, 60)
        assert inner[0x8827] == 100
        assert inner[0x927C] == b"PRIVATE NOTES"
        assert (inner[0xA002], inner[0xA003]) == image.size == (20, 30)
        assert exif.get_ifd(0x8825)[2] == (47.0, 1.0, 2.0)
        xmp = image.info["xmp"]
        assert xmp == XMP.replace(b'Orientation="6"', b'Orientation="1"')


def test_exif_and_xmp_move_between_containers(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=exif_of_a_camera(), xmp=XMP)
    for suffix in (".png", ".webp", ".jpeg"):
        write_picture(tmp_path / f"b{suffix}", read_picture(tmp_path / "a.jpg"))
        with Image.open(tmp_path / f"b{suffix}") as image:
            assert image.getexif().get_ifd(0x8769)[0xA434] == "Lens"
            assert b'Rating="4"' in image.info["xmp"]


def test_tiff_keeps_its_tags(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=exif_of_a_camera())
    write_picture(tmp_path / "a.tif", read_picture(tmp_path / "a.jpg"))
    for _ in range(2):  # a TIFF from a JPEG, then a TIFF from a TIFF
        picture = read_picture(tmp_path / "a.tif")
        attributes = {name: value for name, _, value in picture.metadata.attributes}
        assert attributes["Make"] == "Maker"
        assert attributes["Exif:LensModel"] == "Lens"
        assert attributes["ExposureTime"] == pytest.approx(1 / 60)
        write_picture(tmp_path / "a.tif", picture)


def test_png_text_and_resolution_survive(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "Someone")
    info.add_itxt("Title", "Zürich", "de", "Titel")
    info.add_text("Comment", "long " * 99, zip=True)
    info.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
    info.add(b"gAMA", struct.pack(">I", 45455))
    Image.fromarray(PIXELS).save(tmp_path / "a.png", pnginfo=info, dpi=(300, 300), transparency=(1, 2, 3))
    write_picture(tmp_path / "b.png", read_picture(tmp_path / "a.png"))
    with Image.open(tmp_path / "b.png") as image:
        image.load()
        assert image.text["Author"] == "Someone"
        assert image.text["Title"] == "Zürich"
        assert image.text["Comment"] == "long " * 99
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert image.info["gamma"] == pytest.approx(0.45455)
        assert image.info["xmp"] == XMP.replace(b'Orientation="6"', b'Orientation="1"')
        assert image.mode == "RGBA"
        assert "transparency" not in image.info


def test_jpeg_comment_density_and_iptc_survive_without_the_old_thumbnail(tmp_path: Path) -> None:
    def resource(number: int, body: bytes) -> bytes:
        return b"8BIM" + struct.pack(">H", number) + b"\x00\x00" + struct.pack(">I", len(body)) + body

    iptc = resource(1028, b"\x1c\x02\x5a\x00\x04Bern")
    photoshop = b"Photoshop 3.0\x00" + resource(1036, b"old thumbnail!") + iptc
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", comment=b"hello", dpi=(300, 300))
    content = (tmp_path / "a.jpg").read_bytes()
    segment = b"\xff\xed" + struct.pack(">H", len(photoshop) + 2) + photoshop
    (tmp_path / "a.jpg").write_bytes(content[:20] + segment + content[20:])
    write_picture(tmp_path / "b.jpg", read_picture(tmp_path / "a.jpg"))
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.info["comment"] == b"hello"
        assert image.info["dpi"] == (300, 300)
        assert image.info["photoshop"] == {1028: b"\x1c\x02\x5a\x00\x04Bern"}
    assert b"old thumbnail" not in (tmp_path / "b.jpg").read_bytes()


def test_an_exif_thumbnail_is_unlinked() -> None:
    entries = struct.pack("<HHHII", 1, 0x0112, 3, 1, 8)
    exif = b"II*\x00\x08\x00\x00\x00" + entries + struct.pack("<I", 26) + struct.pack("<H", 0) + bytes(4)
    patched = reset_exif(exif, 30, 20)
    assert patched == exif[:18] + struct.pack("<I", 1) + bytes(4) + exif[26:]


@pytest.mark.parametrize("length", range(0, 26))
def test_damaged_exif_is_dropped(length: int) -> None:
    entries = struct.pack(">HHHIHH", 1, 0x0112, 3, 1, 8, 0)
    exif = b"MM\x00*\x00\x00\x00\x08" + entries + bytes(4)
    assert reset_exif(exif[:length], 30, 20) is None
    assert reset_exif(exif, 30, 20) == exif.replace(struct.pack(">HH", 8, 0), struct.pack(">HH", 1, 0))


def test_an_srgb_chunk_and_a_profile_exclude_each_other(tmp_path: Path) -> None:
    from PIL import ImageCms

    info = PngImagePlugin.PngInfo()
    info.add(b"sRGB", b"\x00")
    Image.fromarray(PIXELS).save(tmp_path / "a.png", pnginfo=info)
    picture = read_picture(tmp_path / "a.png")
    write_picture(tmp_path / "b.png", picture)
    assert b"sRGB" in (tmp_path / "b.png").read_bytes()[:80]
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    write_picture(tmp_path / "c.png", type(picture)(picture.pixels, icc_profile=profile, metadata=picture.metadata))
    content = (tmp_path / "c.png").read_bytes()
    assert b"iCCP" in content
    assert b"sRGB\x00" not in content
