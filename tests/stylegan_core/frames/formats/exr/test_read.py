"""EXR: every sample that the picture does not own comes out bit for bit, whatever the compression and the layout."""

from __future__ import annotations

import os
import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.formats.exr import codec as exr_codec
from stylegan_core.frames.formats.exr.chunks import read_structure
from stylegan_core.frames.formats.exr.headers import ExrAttribute, ExrChannel, ExrPart, pack_headers
from stylegan_core.frames.formats.exr.layers import find_primary_layers
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from tests.stylegan_core.frames.pictures.film_files import (
    HEIGHT,
    WIDTH,
    half,
    load_exr,
    load_with_oiio,
    others,
    planes,
    plate,
    same_bits,
    save_exr,
)

LOSSLESS = ("NO", "RLE", "ZIPS", "ZIP", "PIZ", "HTJ2K256", "HTJ2K32")
LOSSY = ("PXR24", "B44", "B44A", "DWAA", "DWAB")


def compression(name: str) -> Any:
    return getattr(OpenEXR, f"{name}_COMPRESSION")


def tiles(width: int, height: int) -> dict[str, Any]:
    description = OpenEXR.TileDescription()
    description.xSize, description.ySize = width, height
    return {"type": OpenEXR.tiledimage, "tiles": description}


def changed(picture: Picture, rows: slice = slice(None)) -> Picture:
    """With other colours in some rows; alpha stays."""
    pixels = picture.pixels.copy()
    count = picture.colour_channels
    pixels[rows, :, :count] = np.where(np.isfinite(pixels[rows, :, :count]), pixels[rows, :, :count] * 0.5 + 0.1, 1)
    return replace(picture, pixels=pixels)


@pytest.mark.parametrize("layout", [{}, tiles(16, 32)], ids=["lines", "tiles"])
@pytest.mark.parametrize("name", LOSSLESS)
def test_a_new_picture_leaves_all_else_as_it_was(tmp_path: Path, name: str, layout: dict[str, Any]) -> None:
    header = {"compression": compression(name), "Artist": "someone", **layout}
    alpha = {"A": np.ascontiguousarray(half(plate())[..., 1])}
    source = save_exr(tmp_path / "a.exr", (header, planes(half(plate())) | alpha | others()))
    picture = read_picture(source)
    assert picture.pixels.dtype == np.float16
    assert picture.has_alpha
    assert picture.alpha_associated
    assert set(picture.layers) == {"Z", "diffuse.R", "id"}
    new = changed(picture)
    write_picture(tmp_path / "b.exr", new)
    ((head, before),), ((new_head, after),) = load_exr(source), load_exr(tmp_path / "b.exr")
    assert head == new_head
    for index, channel in enumerate("RGBA"):
        assert same_bits(before[channel], np.ascontiguousarray(picture.pixels[..., index]))
        assert same_bits(after[channel], np.ascontiguousarray(new.pixels[..., index]))
    assert not np.array_equal(before["R"], after["R"])
    assert all(same_bits(before[channel], after[channel]) for channel in ("A", *others()))


@pytest.mark.parametrize("name", LOSSLESS + LOSSY)
def test_an_unchanged_picture_gives_the_same_file(tmp_path: Path, name: str) -> None:
    channels = planes(half(plate())) | others()
    source = save_exr(tmp_path / "a.exr", ({"compression": compression(name)}, channels))
    picture = read_picture(source)
    write_picture(tmp_path / "b.exr", picture)
    assert (tmp_path / "b.exr").read_bytes() == source.read_bytes()
    write_picture(tmp_path / "c.exr", replace(picture, pixels=picture.pixels.copy()))
    assert (tmp_path / "c.exr").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_files_keep_what_did_not_change(tmp_path: Path, name: str) -> None:
    light = np.nan_to_num(plate(400), nan=0, posinf=4, neginf=0)
    source = save_exr(tmp_path / "a.exr", ({"compression": compression(name)}, planes(light) | others(400)))
    picture = read_picture(source)
    assert "loses detail" in " ".join(picture.warnings)
    new = changed(picture, slice(0, 40))
    write_picture(tmp_path / "b.exr", new)
    ((_, before),), ((_, after),) = load_exr(source), load_exr(tmp_path / "b.exr")
    for channel in before:
        assert same_bits(before[channel][256:], after[channel][256:])  # the largest block has 256 lines
        if channel in "RGB":
            wanted = new.pixels[:40, :, "RGB".index(channel)]
            assert np.abs(after[channel][:40] - wanted).max() < 0.3
            assert not np.array_equal(before[channel][:40], after[channel][:40])


def test_bands_and_whole_pictures_give_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channels = planes(half(plate())) | others()
    for layout in ({}, tiles(16, 8)):
        source = save_exr(tmp_path / "a.exr", (layout, channels))
        written = []
        for band_bytes in (1, 20_000, 1 << 30):
            monkeypatch.setattr(exr_codec, "_BAND_BYTES", band_bytes)
            write_picture(tmp_path / "b.exr", changed(read_picture(source)))
            written.append((tmp_path / "b.exr").read_bytes())
        assert written[0] == written[1] == written[2]


def test_memory_stays_near_the_samples_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exr_codec, "_BAND_BYTES", 1 << 20)
    light = np.random.default_rng(0).random((1000, 1500, 3)).astype(np.float16)
    source = save_exr(tmp_path / "a.exr", ({}, planes(light)))
    read_picture(source)  # imports and tables
    tracemalloc.start()
    picture = read_picture(source)
    reading = tracemalloc.get_traced_memory()[1]
    new = replace(picture, pixels=picture.pixels * np.float16(0.5))
    tracemalloc.reset_peak()
    write_picture(tmp_path / "b.exr", new)
    writing = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reading < 1.6 * light.nbytes
    assert writing < 2.9 * light.nbytes
    assert same_bits(load_exr(tmp_path / "b.exr")[0][1]["G"], np.ascontiguousarray(new.pixels[..., 1]))


def test_windows_and_the_whole_header_are_kept(tmp_path: Path) -> None:
    header = {
        "dataWindow": ((-7, 11), (-7 + WIDTH - 1, 11 + HEIGHT - 1)),
        "displayWindow": ((0, 0), (99, 119)),
        "pixelAspectRatio": 2.0,
        "chromaticities": (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329),
        "timeCode": OpenEXR.TimeCode(10, 11, 12, 13, True, False, False, False, False, False, 0, 0, 0, 0, 0, 0, 0, 0),
        "keycode": 7,
    }
    source = save_exr(tmp_path / "a.exr", (header, planes(half(plate()))))
    content = source.read_bytes()
    # An attribute of a type that no library knows, and a name that needs the flag for long ones.
    odd = ExrAttribute("studio.attribute.of.a.name.longer.than.31.letters", "studioBlob", b"\x00\xff\x01")

    def read_at(offset: int, size: int) -> bytes:
        return content[offset : offset + size]

    structure = read_structure(read_at, len(content))
    part = structure.parts[0]
    head = pack_headers(structure.version, [(*part.attributes, odd)])
    moved = len(head) - len(pack_headers(structure.version, [part.attributes]))
    table = struct.pack(f"<{part.chunk_count}Q", *(chunk.offset + moved for chunk in structure.chunks))
    first = structure.chunks[0].offset
    source.write_bytes(head + table + content[first:])
    picture = read_picture(source)
    assert picture.pixels.shape == (HEIGHT, WIDTH, 3)
    assert picture.colour_tags["chromaticities"] == pytest.approx(header["chromaticities"], abs=1e-6)
    write_picture(tmp_path / "b.exr", changed(picture))
    again = (tmp_path / "b.exr").read_bytes()
    assert again[: len(head)] == head
    assert load_exr(source)[0][0] == load_exr(tmp_path / "b.exr")[0][0]


def test_parts_and_views_of_other_windows(tmp_path: Path) -> None:
    left, right = half(plate()), half(plate(60, 40))
    display = {"displayWindow": ((0, 0), (WIDTH - 1, HEIGHT - 1))}  # all parts of a file share it
    parts = (
        ({"name": "rgba.left", "view": "left"}, planes(left) | {"Z": others()["Z"]}),
        ({"name": "rgba.right", "view": "right", **tiles(16, 16)}, planes(right)),
        ({"name": "mist", "view": "left", "compression": OpenEXR.PIZ_COMPRESSION}, {"Y": others()["diffuse.R"]}),
        ({"name": "crypto"}, {"id": others()["id"]}),
    )
    source = save_exr(tmp_path / "a.exr", *((header | display, channels) for header, channels in parts))
    picture = read_picture(source)
    assert same_bits(picture.pixels, left)
    assert same_bits(picture.other_views[0], right)
    assert picture.layers == ("rgba.left:Z", "mist:Y", "crypto:id")
    new_right = picture.other_views[0] * np.float16(0.5)
    new = replace(changed(picture), other_views=(new_right,))
    write_picture(tmp_path / "b.exr", new)
    before, after = load_exr(source), load_exr(tmp_path / "b.exr")
    assert [head for head, _ in before] == [head for head, _ in after]
    assert same_bits(after[0][1]["G"], np.ascontiguousarray(new.pixels[..., 1]))
    assert same_bits(after[1][1]["G"], np.ascontiguousarray(new_right[..., 1]))
    for number, channel in ((0, "Z"), (2, "Y"), (3, "id")):
        assert same_bits(before[number][1][channel], after[number][1][channel])


def test_both_views_of_one_part(tmp_path: Path) -> None:
    right, left = half(plate()), half(plate())[::-1]
    channels = planes(right) | planes(left, prefix="left.") | {"left.Z": others()["Z"]}
    source = save_exr(tmp_path / "a.exr", ({"multiView": ["right", "left"]}, channels))
    picture = read_picture(source)
    assert same_bits(picture.pixels, right)
    assert same_bits(picture.other_views[0], np.ascontiguousarray(left))
    new = replace(picture, other_views=(picture.other_views[0] + np.float16(1),))
    write_picture(tmp_path / "b.exr", new)
    ((_, before),), ((_, after),) = load_exr(source), load_exr(tmp_path / "b.exr")
    assert all(same_bits(before[name], after[name]) for name in ("R", "G", "B", "left.Z"))
    assert same_bits(after["left.R"], np.ascontiguousarray(new.other_views[0][..., 0]))


def test_mixed_types_and_float_pictures(tmp_path: Path) -> None:
    alpha = np.full((HEIGHT, WIDTH), 1 / 3, np.float32)
    source = save_exr(tmp_path / "a.exr", ({}, planes(half(plate())) | {"A": alpha}))
    picture = read_picture(source)
    assert picture.pixels.dtype == np.float32
    write_picture(tmp_path / "b.exr", changed(picture))
    ((_, after),) = load_exr(tmp_path / "b.exr")
    assert after["R"].dtype == np.float16
    assert same_bits(after["A"], alpha)
    source = save_exr(tmp_path / "c.exr", ({}, planes(plate())))
    picture = read_picture(source)
    assert same_bits(picture.pixels, plate())
    write_picture(tmp_path / "d.exr", changed(picture))
    assert same_bits(load_with_oiio(tmp_path / "d.exr"), changed(picture).pixels)


def part(names: str, *, name: str | None = None, view: str | None = None, views: str = "") -> ExrPart:
    texts = {"name": name, "view": view}
    attributes = [ExrAttribute(key, "string", text.encode()) for key, text in texts.items() if text is not None]
    if views:
        listed = b"".join(struct.pack("<i", len(one)) + one.encode() for one in views.split())
        attributes.append(ExrAttribute("multiView", "stringvector", listed))
    channels = tuple(ExrChannel(one, "float16", False, (1, 1)) for one in names.split())
    return ExrPart(tuple(attributes), channels, (0, 0, 9, 9), 3, None, 0, False, 1)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([part("A B G R Z")], [(0, "R G B A")]),
        ([part("B G R diffuse.B diffuse.G diffuse.R")], [(0, "R G B")]),
        ([part("diffuse.B diffuse.G diffuse.R rgba.A rgba.B rgba.G rgba.R")], [(0, "rgba.R rgba.G rgba.B rgba.A")]),
        (
            [part("ViewLayer.Combined.B ViewLayer.Combined.G ViewLayer.Combined.R ViewLayer.Depth.Z")],
            [(0, "ViewLayer.Combined.R ViewLayer.Combined.G ViewLayer.Combined.B")],
        ),
        ([part("x.b x.g x.r")], [(0, "x.r x.g x.b")]),
        ([part("Y")], [(0, "Y")]),
        (
            [part("A B G R left.A left.B left.G left.R", views="right left")],
            [(0, "R G B A"), (0, "left.R left.G left.B left.A")],
        ),
        ([part("B G R", name="depth"), part("B G R", name="beauty")], [(1, "R G B")]),
        ([part("B G R", name="l", view="left"), part("B G R", name="r", view="right")], [(0, "R G B"), (1, "R G B")]),
        # A view without alpha cannot be treated as the main one is.
        ([part("A B G R left.B left.G left.R", views="right left")], [(0, "R G B A")]),
    ],
)
def test_the_picture_among_the_layers(parts: list[ExrPart], expected: list[tuple[int, str]]) -> None:
    assert [(layer.part, " ".join(layer.channels)) for layer in find_primary_layers(parts)] == expected


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        ({"Z": others()["Z"]}, "no colours"),
        ({"R": others()["id"], "G": others()["id"], "B": others()["id"]}, "holds integers"),
    ],
)
def test_what_holds_no_light_is_refused(tmp_path: Path, channels: dict[str, Any], words: str) -> None:
    save_exr(tmp_path / "a.exr", ({}, channels))
    with pytest.raises(UnreadablePictureError, match=words):
        read_picture(tmp_path / "a.exr")


def test_luminance_and_chroma_and_levels_of_detail_are_refused() -> None:
    chroma = tuple(ExrChannel(name, "float16", False, (2, 2)) for name in ("BY", "RY"))
    mixed = replace(part("Y"), channels=(*chroma, *part("Y").channels))
    with pytest.raises(UnreadablePictureError, match="luminance and chroma"):
        find_primary_layers([mixed])
    with pytest.raises(UnreadablePictureError, match="levels of detail"):
        find_primary_layers([replace(part("B G R"), levels=1, tile=(16, 16))])
    with pytest.raises(UnreadablePictureError, match="deep"):
        find_primary_layers([replace(part("B G R"), deep=True)])


def test_other_layers_need_the_source_as_it_was(tmp_path: Path) -> None:
    source = save_exr(tmp_path / "a.exr", ({}, planes(half(plate())) | others()))
    picture = changed(read_picture(source))
    os.utime(source, ns=(1, 1))
    with pytest.raises(UnreadablePictureError, match="it changed while it was in use"):
        write_picture(tmp_path / "b.exr", picture)
    source.unlink()
    with pytest.raises(UnreadablePictureError, match="removed while it was in use"):
        write_picture(tmp_path / "b.exr", picture)
    assert list(tmp_path.iterdir()) == []


def test_pixels_cannot_be_changed_in_place(tmp_path: Path) -> None:
    picture = read_picture(save_exr(tmp_path / "a.exr", ({}, planes(half(plate())))))
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[0, 0] = 0


def test_other_sizes_and_other_formats_become_plain_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = save_exr(tmp_path / "a.exr", ({"Artist": "someone"}, planes(half(plate())) | others()))
    picture = read_picture(source)
    write_picture(tmp_path / "b.exr", replace(picture, pixels=np.repeat(picture.pixels, 2, axis=0)))
    assert "other layers" in caplog.text
    assert same_bits(load_with_oiio(tmp_path / "b.exr")[::2], half(plate()))
    assert load_exr(tmp_path / "b.exr")[0][0]["Artist"] == repr("someone")
    caplog.clear()
    write_picture(tmp_path / "b.tif", picture)
    write_picture(tmp_path / "b2.tif", picture)
    assert caplog.text.count("its format cannot hold the source's other layers") == 1  # of all frames of a sequence
    assert "Z" in caplog.text
    assert "id" in caplog.text
    eight = np.arange(4 * 5 * 4, dtype=np.uint8).reshape(4, 5, 4)
    write_picture(tmp_path / "c.exr", Picture(eight, has_alpha=True))
    back = read_picture(tmp_path / "c.exr")
    assert back.alpha_associated
    assert back.colour_tags == {"colorInteropID": "srgb_rec709_scene"}
    straight = back.pixels[..., :3].astype(np.float32) / back.pixels[..., 3:]
    assert np.abs(straight[1:] * 255 - eight[1:, :, :3]).max() < 0.3
    write_picture(tmp_path / "d.exr", Picture(eight[..., :1]))
    assert load_with_oiio(tmp_path / "d.exr").shape == (4, 5, 1)


def test_what_the_picture_says_of_its_colours_is_written(tmp_path: Path) -> None:
    header = {"chromaticities": (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.33, 0.33)}
    source = save_exr(tmp_path / "a.exr", (header, planes(half(plate()))))
    picture = replace(changed(read_picture(source)), colour_tags={"colorInteropID": "lin_ap1_scene"})
    write_picture(tmp_path / "b.exr", picture)
    ((head, _),) = load_exr(tmp_path / "b.exr")
    assert head["colorInteropID"] == repr("lin_ap1_scene")
    assert "chromaticities" not in head
    assert read_picture(tmp_path / "b.exr").colour_tags == picture.colour_tags
