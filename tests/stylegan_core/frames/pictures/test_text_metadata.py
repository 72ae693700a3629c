"""Text metadata in every format: added to existing metadata, without a change of pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import OpenEXR
import pytest
import tifffile
from PIL import Image

from stylegan_core.frames.base.sniff import SUFFIX_FORMATS
from stylegan_core.frames.formats.xmp import with_texts
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.frames.pictures.text_metadata import read_text_metadata, with_text_metadata

TEXTS = {"stylereel:model": "sha256:0123", "stylereel:input": 'Ä "plate" <1> & more'}
PIXELS = np.arange(24 * 16 * 3, dtype=np.uint8).reshape(24, 16, 3)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="theirs"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIX_FORMATS if suffix != ".mxr"])
def test_texts_come_back_and_give_way_to_new_ones(tmp_path: Path, suffix: str) -> None:
    plain, first, second = (tmp_path / f"{name}{suffix}" for name in "abc")
    write_picture(plain, Picture(PIXELS))
    assert read_text_metadata(plain) == {}
    picture = read_picture(plain)
    write_picture(first, with_text_metadata(picture, TEXTS))
    assert read_text_metadata(first) == TEXTS
    again = read_picture(first)
    if suffix not in (".jpg", ".jpeg", ".webp"):
        assert np.array_equal(again.pixels, picture.pixels)
    write_picture(second, with_text_metadata(again, {"stylereel:model": "other"}))
    assert read_text_metadata(second) == {"stylereel:model": "other"}
    write_picture(second, again)  # what is not new is kept as all metadata is
    assert read_text_metadata(second) == TEXTS


def test_other_programs_read_them(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", with_text_metadata(Picture(PIXELS), TEXTS))
    with Image.open(tmp_path / "a.png") as image:
        assert image.text == TEXTS
    write_picture(tmp_path / "a.exr", with_text_metadata(Picture(PIXELS), TEXTS))
    header = OpenEXR.File(str(tmp_path / "a.exr")).header()
    assert {name: header[name] for name in TEXTS} == TEXTS
    write_picture(tmp_path / "a.jpg", with_text_metadata(Picture(PIXELS), TEXTS))
    with Image.open(tmp_path / "a.jpg") as image:
        described = ElementTree.fromstring(image.info["xmp"]).find(".//{*}Description")
    assert described is not None
    assert set(described.attrib.values()) >= set(TEXTS.values())


def test_what_a_packet_says_already_stays(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", PIXELS, photometric="rgb", software="Theirs", extratags=[(700, 1, len(XMP), XMP, True)]
    )
    picture = read_picture(tmp_path / "a.tif")
    write_picture(tmp_path / "b.tif", picture)
    write_picture(tmp_path / "c.tif", with_text_metadata(picture, TEXTS))
    with tifffile.TiffFile(tmp_path / "b.tif") as plain, tifffile.TiffFile(tmp_path / "c.tif") as stamped:
        assert plain.pages[0].tags[700].value == XMP
        packet = stamped.pages[0].tags[700].value
        assert b'dc:format="theirs"' in packet
        assert packet.count(b'rdf:about="uuid:1"') == 2
        assert stamped.pages[0].tags["Software"].value == "Theirs"
        assert np.array_equal(stamped.asarray(), PIXELS)
    assert read_text_metadata(tmp_path / "c.tif") == TEXTS
    assert with_texts(b"no packet at all", TEXTS) == b"no packet at all"


def test_a_dpx_keeps_its_own_user_data(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.dpx", Picture(PIXELS))
    plain = (tmp_path / "a.dpx").read_bytes()
    user = b"studio".ljust(32, b"\x00") + b"our own data"
    content = bytearray(plain[:2048] + user + plain[2048:])
    for at, value in ((4, 2048 + len(user)), (32, len(user)), (808, 2048 + len(user))):
        content[at : at + 4] = value.to_bytes(4, "big")
    (tmp_path / "b.dpx").write_bytes(content)
    picture = read_picture(tmp_path / "b.dpx")
    write_picture(tmp_path / "c.dpx", with_text_metadata(picture, TEXTS))
    write_picture(tmp_path / "d.dpx", with_text_metadata(read_picture(tmp_path / "c.dpx"), TEXTS))
    for name in ("c.dpx", "d.dpx"):
        assert (tmp_path / name).read_bytes()[2048 : 2048 + len(user)] == user
        assert np.array_equal(read_picture(tmp_path / name).pixels, PIXELS)
    assert (tmp_path / "c.dpx").stat().st_size == (tmp_path / "d.dpx").stat().st_size


def test_equal_pictures_give_equal_files(tmp_path: Path) -> None:
    for suffix in (".png", ".tif", ".exr", ".dpx", ".jpg", ".webp"):
        files = [tmp_path / f"{name}{suffix}" for name in "ab"]
        for file in files:
            write_picture(file, with_text_metadata(Picture(PIXELS), TEXTS))
        assert files[0].read_bytes() == files[1].read_bytes()


def test_names_of_another_form(tmp_path: Path) -> None:
    for name in ("model", "stylereel:", "stylereel:a b", "other:model"):
        with pytest.raises(ValueError, match="not a name of a text"):
            with_text_metadata(Picture(PIXELS), {name: "x"})
    assert with_text_metadata(replace(Picture(PIXELS), metadata=None), {}).metadata is not None
