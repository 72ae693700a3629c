"""The table of formats in docs/film.md: every cell is measured on files that other libraries wrote.

python -m tests.docs.film_table        updates the table in docs/film.md, between its marks
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import tifffile
from PIL import Image, PngImagePlugin

from stylegan_core.frames.base.bit_depth import from_codes
from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.formats.tiff.directory import replace_pixels
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.frames.pictures.text_metadata import read_text_metadata, with_text_metadata
from tests.stylegan_core.frames.pictures.film_files import (
    half,
    load_exr,
    load_with_oiio,
    others,
    planes,
    plate,
    same_bits,
    save_exr,
    save_with_oiio,
)

PAGE = Path(__file__).parents[2] / "docs" / "film.md"
BEGIN, END = "<!-- formats: begin, made by tests/docs/film_table.py -->", "<!-- formats: end -->"
NONE = "–"


@dataclass(frozen=True)
class Row:
    """One line of the table, cells in words."""

    format: str
    read: str
    write: str
    exact: str
    metadata: str
    alpha: str
    layers: str
    windows: str


@dataclass(frozen=True)
class Case:
    """A kind of file.

    Attributes:
        format: its name in the table.
        suffix: of its files.
        make: writes one.
        said: finds the metadata in a file; None if it is lost.
    """

    format: str
    suffix: str
    make: Callable[[Path], object]
    said: Callable[[Path], object]


LIGHT = np.nan_to_num(plate(), nan=0, posinf=8, neginf=0)
EIGHT = np.clip(LIGHT * 255, 0, 255).astype(np.uint8)
SIXTEEN = np.clip(LIGHT * 65535, 0, 65535).astype(np.uint16)
ALPHA = np.linspace(0, 1, 70 * 52, dtype=np.float32).reshape(70, 52)
DISPLAY = {"displayWindow": ((0, 0), (99, 89)), "Artist": "someone"}
DATA = {**DISPLAY, "dataWindow": ((20, 10), (71, 79))}


def exr(*, kind: type[np.floating] = np.float16, packed: str = "ZIP", **header: Any) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        channels = planes(half(plate()) if kind is np.float16 else plate()) | {"A": ALPHA.astype(kind)} | others()
        save_exr(path, ({**DATA, "compression": getattr(OpenEXR, f"{packed}_COMPRESSION"), **header}, channels))

    return make


def exr_parts(path: Path) -> None:
    first = planes(half(plate())) | {"A": ALPHA.astype(np.float16)}
    save_exr(path, ({**DATA, "name": "rgba"}, first), ({**DISPLAY, "name": "passes"}, others()))


def exr_stereo(path: Path) -> None:
    channels = planes(half(plate())) | planes(half(plate())[::-1], prefix="right.") | others()
    save_exr(path, ({**DATA, "multiView": ["left", "right"]}, channels))


def tiles() -> Any:
    description = OpenEXR.TileDescription()
    description.xSize = description.ySize = 16
    return description


def grey_exr(path: Path) -> None:
    save_exr(path, (DATA, {"Y": half(plate())[..., 0].copy(), **others()}))


def dpx(bits: int, channels: int = 3) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        codes = np.dstack([SIXTEEN, (ALPHA * 65535).astype(np.uint16)])[..., :channels] >> np.uint16(16 - bits)
        stored = codes.astype(np.uint8) if bits == 8 else from_codes(codes, bits)
        save_with_oiio(path, stored, oiio_BitsPerSample=bits, oiio_Endian="big")
        content = bytearray(path.read_bytes())
        content[260:267] = b"someone"  # the field for the project
        content[1664:1666] = b"KK"
        path.write_bytes(content)

    return make


def dpx_said(path: Path) -> object:
    content = path.read_bytes()
    return content[260:267] == b"someone" and content[1664:1666] == b"KK" and struct.unpack(">I", content[4:8])[0]


def tiff(pixels: np.ndarray, bits: int | None = None, *extrasamples: str) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        extra: dict[str, Any] = {"extrasamples": extrasamples} if extrasamples else {}
        kind = "minisblack" if pixels.shape[2] == 1 else "rgb"
        tifffile.imwrite(path, pixels, photometric=kind, extratags=[(315, 2, 8, "someone", True)], **extra)
        if bits is not None:  # no library here writes these
            tifffile.imwrite(path, pixels[:1, :1], photometric=kind, extratags=[(315, 2, 8, "someone", True)])
            replace_pixels(path, pixels >> np.uint16(16 - bits), bits)

    return make


def with_pillow(image: Image.Image, **options: Any) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        exif = Image.Exif()
        exif[315] = "someone"
        if path.suffix == ".png":
            texts = PngImagePlugin.PngInfo()
            texts.add_text("Author", "someone")
            image.save(path, pnginfo=texts)
        else:
            image.save(path, exif=exif, **options)

    return make


def pillow_said(path: Path) -> object:
    with Image.open(path) as image:
        return (image.info.get("Author") or image.getexif().get(315)) == "someone"


def png16(path: Path) -> None:
    pixels = np.dstack([SIXTEEN, (ALPHA * 65535).astype(np.uint16)])
    save_with_oiio(path, pixels, Author="someone", oiio_UnassociatedAlpha=1)


def exr_said(path: Path) -> object:
    return "someone" in str(load_exr(path)[0][0].get("Artist"))


def tiff_said(path: Path) -> object:
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags.get("Artist")  # type: ignore[union-attr]
        return tag is not None and tag.value == "someone"


RGBA8 = np.dstack([EIGHT, (ALPHA * 255).astype(np.uint8)])
MULTIPLIED = np.dstack([(EIGHT * ALPHA[..., None]).astype(np.uint8), RGBA8[..., 3:]])
FIVE = np.dstack([EIGHT, EIGHT[::-1, :, :2]])
CASES = (
    Case("EXR half", ".exr", exr(), exr_said),
    Case("EXR float", ".exr", exr(kind=np.float32), exr_said),
    Case("EXR tiled", ".exr", exr(type=OpenEXR.tiledimage, tiles=tiles()), exr_said),
    Case("EXR of several parts", ".exr", exr_parts, exr_said),
    Case("EXR stereo", ".exr", exr_stereo, exr_said),
    Case("EXR grey", ".exr", grey_exr, exr_said),
    *(Case(f"EXR {name}", ".exr", exr(packed=name), exr_said) for name in ("B44", "DWAA", "DWAB")),
    *(Case(f"DPX {bits} bit", ".dpx", dpx(bits), dpx_said) for bits in (8, 10, 12, 16)),
    Case("DPX 10 bit RGBA", ".dpx", dpx(10, 4), dpx_said),
    Case("TIFF 8 bit", ".tif", tiff(RGBA8, None, "unassalpha"), tiff_said),
    Case("TIFF 8 bit, premultiplied", ".tif", tiff(MULTIPLIED, None, "assocalpha"), tiff_said),
    Case("TIFF with other channels", ".tif", tiff(FIVE, None, "unspecified", "unspecified"), tiff_said),
    Case("TIFF 16 bit", ".tif", tiff(SIXTEEN), tiff_said),
    Case("TIFF 10 bit", ".tif", tiff(SIXTEEN, 10), tiff_said),
    Case("TIFF 32 bit", ".tif", tiff(SIXTEEN.astype(np.uint32) << np.uint32(15)), tiff_said),
    Case("TIFF half", ".tif", tiff(LIGHT.astype(np.float16)), tiff_said),
    Case("TIFF float", ".tif", tiff(LIGHT), tiff_said),
    Case("TIFF grey", ".tif", tiff(SIXTEEN[..., :1]), tiff_said),
    Case("PNG 8 bit", ".png", with_pillow(Image.fromarray(RGBA8)), pillow_said),
    Case("PNG 16 bit", ".png", png16, pillow_said),
    Case("PNG grey", ".png", with_pillow(Image.fromarray(EIGHT[..., 0])), pillow_said),
    Case("JPEG", ".jpg", with_pillow(Image.fromarray(EIGHT), quality=90), pillow_said),
    Case("WebP", ".webp", with_pillow(Image.fromarray(RGBA8), quality=90), pillow_said),
    Case("WebP lossless", ".webp", with_pillow(Image.fromarray(RGBA8), lossless=True, exact=True), pillow_said),
)


def try_case(case: Case, folder: Path) -> Row:
    """Measures one row."""
    source, same, new = (folder / f"{name}{case.suffix}" for name in ("source", "same", "new"))
    case.make(source)
    try:
        picture = read_picture(source)
    except UnreadablePictureError:
        return Row(case.format, "no", NONE, NONE, NONE, NONE, NONE, NONE)
    write_picture(same, replace(picture, pixels=picture.pixels.copy()))
    changed = with_text_metadata(_changed(picture), {"stylereel:model": "0123"})
    write_picture(new, changed)
    back = read_picture(new)
    before, kept, after = _samples(source), _samples(same), _samples(new)
    exact = before.keys() == kept.keys() and all(same_bits(before[name], kept[name]) for name in before)
    error = float(np.abs(_unit(back.pixels) - _unit(changed.pixels)).max())
    unowned = [name for name in before if name not in _owned(picture, before)]
    layers_kept = all(same_bits(before[name], after[name]) for name in unowned)
    said = case.said(new) and read_text_metadata(new) == {"stylereel:model": "0123"}
    alpha = "none"
    if picture.has_alpha:
        same_alpha = np.array_equal(back.pixels[..., -1], picture.pixels[..., -1])
        alpha = ("premultiplied" if picture.alpha_associated else "straight") + (", kept" if same_alpha else ", lossy")
    views = f", {1 + len(picture.other_views)} views stylized" if picture.other_views else ""
    return Row(
        case.format,
        "yes",
        "yes" if error == 0 else "lossy",
        "yes" if exact else "no",
        "kept" if said else "lost",
        alpha,
        (("kept" if layers_kept else "lossy") + views) if unowned else NONE,
        _windows(source, new) if case.suffix == ".exr" else NONE,
    )


def picture_rows() -> list[Row]:
    """One row for each kind of picture file."""
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for number, case in enumerate(CASES):
            place = Path(folder) / str(number)
            place.mkdir()
            rows.append(try_case(case, place))
        return rows


def all_rows() -> list[Row]:
    """The whole table."""
    from tests.docs.film_movies import movie_rows

    return [*picture_rows(), *movie_rows()]


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    heads = ("Format", "Read", "Write", "Exact at strength 0", "Metadata", "Alpha", "Other layers", "Windows")
    lines = [heads, ("---",) * len(heads), *(tuple(vars(row).values()) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def page_with(rows: Sequence[Row]) -> str:
    """docs/film.md with the table put between its marks."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(rows)}\n{END}{after}"


def _changed(picture: Picture) -> Picture:
    def change(pixels: np.ndarray) -> np.ndarray:
        result = pixels.copy()
        colours = result[..., : picture.colour_channels]
        if picture.bits is not None:
            colours[::2] = colours[::-2][: len(colours[::2])]  # codes of the depth
        else:
            colours[::2] = colours[::2] // 2 if pixels.dtype.kind == "u" else colours[::2] * pixels.dtype.type(0.5)
        return result

    return replace(picture, pixels=change(picture.pixels), other_views=tuple(map(change, picture.other_views)))


def _unit(pixels: np.ndarray) -> np.ndarray:
    finite = np.nan_to_num(pixels.astype(np.float64), posinf=0, neginf=0)
    return finite / np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else finite


def _samples(path: Path) -> dict[str, np.ndarray]:
    if path.suffix == ".exr":
        return {f"{n}:{name}": plane for n, (_, part) in enumerate(load_exr(path)) for name, plane in part.items()}
    pixels = load_with_oiio(path)
    return {str(index): pixels[..., index] for index in range(pixels.shape[2])}


def _owned(picture: Picture, samples: dict[str, np.ndarray]) -> set[str]:
    if picture.format != "exr":
        return {name for name in samples if int(name) < picture.pixels.shape[2]}
    layers = {layer.rpartition(":")[2] for layer in picture.layers}
    return {name for name in samples if name.partition(":")[2] not in layers}


def _windows(source: Path, new: Path) -> str:
    heads = [[head for head, _ in load_exr(path)] for path in (source, new)]
    names = ("dataWindow", "displayWindow")
    same = all(one[name] == other[name] for one, other in zip(*heads, strict=True) for name in names if name in one)
    return "kept" if same else "lost"


if __name__ == "__main__":
    PAGE.write_text(page_with(all_rows()), encoding="utf-8")
