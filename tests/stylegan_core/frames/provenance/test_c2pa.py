"""Signed provenance, read back with C2PA's own reader."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from stylegan_core.frames.movies.preview_writer import write_preview
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.frames.provenance.c2pa import C2paSigner, SigningError, can_embed, read_manifest, sidecar_path
from tests.stylegan_core.frames.provenance.certificates import write_chain

c2pa = pytest.importorskip("c2pa")
pytest.importorskip("cryptography")

FACTS = {"version": "1.2", "model": "ab" * 32, "recipe": "keyframe"}


def picture(folder: Path, name: str) -> Path:
    pixels = np.random.default_rng(1).integers(0, 255, (24, 32, 3), np.uint8)
    write_picture(folder / name, Picture(pixels))
    return folder / name


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_stills_are_signed_and_keep_their_pixels(tmp_path: Path, suffix: str) -> None:
    signer = C2paSigner.load(*write_chain(tmp_path))
    unsigned, source = picture(tmp_path, f"unsigned{suffix}"), picture(tmp_path, "source.png")
    signed = tmp_path / f"signed{suffix}"
    signer.embed(unsigned, signed, FACTS, source)
    assert np.array_equal(read_picture(signed).pixels, read_picture(unsigned).pixels)
    reader = c2pa.Reader(signed)
    assert reader.get_validation_state() == "Valid"
    found = json.loads(reader.json())
    active = found["manifests"][found["active_manifest"]]
    assert [i["title"] for i in active["ingredients"]] == ["source.png"]
    assert "thumbnail" not in active
    (actions,) = [a["data"]["actions"] for a in active["assertions"] if a["label"].startswith("c2pa.actions")]
    assert [action["action"] for action in actions] == ["c2pa.opened", "c2pa.edited"]
    assert actions[1]["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert active["signature_info"]["common_name"] == "Signer"
    assert read_manifest(signed) == (FACTS, "Valid")
    assert read_manifest(unsigned) == ({}, "")


def test_a_changed_file_is_invalid(tmp_path: Path) -> None:
    signer = C2paSigner.load(*write_chain(tmp_path))
    signer.embed(picture(tmp_path, "a.png"), tmp_path / "b.png", FACTS)
    content = bytearray((tmp_path / "b.png").read_bytes())
    content[-30] ^= 1  # in the picture data
    (tmp_path / "b.png").write_bytes(content)
    assert read_manifest(tmp_path / "b.png") == (FACTS, "Invalid")


def test_a_signed_source_stays_in_the_chain_whatever_its_suffix_says(tmp_path: Path) -> None:
    signer = C2paSigner.load(*write_chain(tmp_path))
    signer.embed(picture(tmp_path, "a.png"), tmp_path / "first.png", FACTS)
    signer.embed(picture(tmp_path, "a.png"), tmp_path / "second.png", FACTS, tmp_path / "first.png")
    assert len(json.loads(c2pa.Reader(tmp_path / "second.png").json())["manifests"]) == 2
    picture(tmp_path, "source.jpg").rename(tmp_path / "source.png")
    signer.embed(picture(tmp_path, "a.png"), tmp_path / "third.png", FACTS, tmp_path / "source.png")
    assert read_manifest(tmp_path / "third.png")[1] == "Valid"


@pytest.mark.parametrize("name", ["a.exr", "a.dpx"])
def test_film_formats_have_a_sidecar_manifest(tmp_path: Path, name: str) -> None:
    signer = C2paSigner.load(*write_chain(tmp_path))
    file = tmp_path / name
    assert oiio.ImageBuf(oiio.ImageSpec(16, 8, 3, "half" if name == "a.exr" else "uint16")).write(str(file))
    assert not can_embed(file)
    sidecar_path(file).write_bytes(signer.detached(file, FACTS, file))
    assert sidecar_path(file).name == "a.c2pa"
    assert read_manifest(file) == (FACTS, "Valid")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert read_manifest(file) == (FACTS, "Invalid")


def test_movies_are_signed(tmp_path: Path) -> None:
    signer = C2paSigner.load(*write_chain(tmp_path))
    write_preview([np.full((16, 16, 3), value, np.uint8) for value in (0, 128)], tmp_path / "a.mp4")
    signer.embed(tmp_path / "a.mp4", tmp_path / "b.mp4", FACTS)
    assert read_manifest(tmp_path / "b.mp4") == (FACTS, "Valid")


@pytest.mark.parametrize("kind", ["es384", "ed25519", "ps256"])
def test_other_kinds_of_keys(tmp_path: Path, kind: str) -> None:
    signer = C2paSigner.load(*write_chain(tmp_path, kind))
    assert signer.algorithm == kind
    signer.embed(picture(tmp_path, "a.png"), tmp_path / "b.png", FACTS)
    assert read_manifest(tmp_path / "b.png")[1] == "Valid"


def test_what_cannot_sign_says_why(tmp_path: Path) -> None:
    certificate, key = write_chain(tmp_path)
    (tmp_path / "other").mkdir()
    _, other_key = write_chain(tmp_path / "other")
    (tmp_path / "text.pem").write_text("hello")
    for pair, message in (
        ((tmp_path / "none.pem", key), r"none\.pem cannot be read: No such file"),
        ((tmp_path / "text.pem", key), "does not hold a PEM certificate"),
        ((certificate, tmp_path / "text.pem"), "does not hold a PEM key without a password"),
        ((certificate, other_key), "is not the key of"),
    ):
        with pytest.raises(SigningError, match=message):
            C2paSigner.load(*pair)


def test_a_certificate_that_c2pa_refuses_is_reported_on_loading(tmp_path: Path) -> None:
    with pytest.raises(SigningError, match=r"C2PA does not accept .*es256\.cert\.pem: .*self-signed"):
        C2paSigner.load(*write_chain(tmp_path, alone=True))
