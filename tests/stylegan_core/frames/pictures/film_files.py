"""Film frames that the tests make with other libraries than the code under test uses, and read back with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813
import skimage.data

HEIGHT, WIDTH = 70, 52
"""Of the frames: more rows than the largest block of lines but DWAB's, and no multiple of it."""


def plate(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(H, W, 3) float32 scene-linear light of a photograph, with a highlight of 16, some infinity and some NaN."""
    light = (skimage.data.astronaut()[40 : 40 + height, 150 : 150 + width] / np.float32(255)) ** np.float32(2.2)
    light[3, 5:9] = 16
    light[4, 2], light[5, 3, 0], light[6, 4] = np.inf, -np.inf, np.nan
    return light


def half(pixels: np.ndarray) -> np.ndarray:
    """As float16, with a NaN that carries a message."""
    halves = pixels.astype(np.float16)
    halves.view(np.uint16)[6, 5, 0] = 0x7E33
    return halves


def planes(pixels: np.ndarray, names: str = "RGB", prefix: str = "") -> dict[str, np.ndarray]:
    """Channels by name; OpenEXR wants each of them contiguous."""
    return {prefix + name: np.ascontiguousarray(pixels[..., index]) for index, name in enumerate(names)}


def others(height: int = HEIGHT, width: int = WIDTH) -> dict[str, np.ndarray]:
    """Channels that are no colours: depth, a layer, object numbers."""
    rng = np.random.default_rng(5)
    depth = rng.normal(100, 30, (height, width)).astype(np.float32)
    depth[0, 0] = np.inf
    return {
        "Z": depth,
        "diffuse.R": rng.random((height, width)).astype(np.float16),
        "id": rng.integers(0, 1 << 32, (height, width), dtype=np.uint32),
    }


def save_exr(path: Path, *parts: tuple[dict[str, Any], dict[str, np.ndarray]]) -> Path:
    """Writes an EXR of parts, each (header, channels)."""
    plain = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION}
    made = [OpenEXR.Part(plain | header, dict(channels), header.get("name", "")) for header, channels in parts]
    OpenEXR.File(made).write(str(path))
    return path


def load_exr(path: Path) -> list[tuple[dict[str, str], dict[str, np.ndarray]]]:
    """Each part's header, as words, and channels."""
    file = OpenEXR.File(str(path), separate_channels=True)
    return [
        (
            {name: _words(value) for name, value in part.header.items()},
            {name: channel.pixels for name, channel in part.channels.items()},
        )
        for part in file.parts
    ]


def _words(value: Any) -> str:
    if isinstance(value, OpenEXR.TileDescription):
        return f"{value.xSize} x {value.ySize}, {value.mode}, {value.roundingMode}"
    return repr(value)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are equal in type and in every bit, NaN and signs of zero included."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def save_with_oiio(path: Path, pixels: np.ndarray, **attributes: Any) -> Path:
    """Writes one picture with OpenImageIO; ``_`` in names of attributes stands for ``:``."""
    kind = {"float16": "half", "float32": "float"}.get(pixels.dtype.name, pixels.dtype.name)
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], kind)
    for name, value in attributes.items():
        spec[name.replace("_", ":")] = value
    output = oiio.ImageOutput.create(str(path))
    assert output is not None, oiio.geterror()
    assert output.open(str(path), spec), oiio.geterror()
    assert output.write_image(np.ascontiguousarray(pixels)), output.geterror()
    output.close()
    return path


def load_with_oiio(path: Path) -> np.ndarray:
    """(H, W, C) of the first picture in a file, in its own type; alpha as it is stored."""
    config = oiio.ImageSpec()
    config["oiio:UnassociatedAlpha"] = 1
    source = oiio.ImageInput.open(str(path), config)
    assert source is not None, oiio.geterror()
    spec = source.spec()
    pixels = np.asarray(source.read_image(0, 0, 0, spec.nchannels, spec.format))
    source.close()
    return pixels
