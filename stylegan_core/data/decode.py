"""Decodes source pictures once, into a cache that survives a kill: one file per picture, named by its digest."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stylegan_core.data.choices import Filter
from stylegan_core.data.resize import shrink
from stylegan_core.data.splits import typical_corner
from stylegan_core.data.store import SAMPLE_TYPES, Samples, to_samples
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.colour.source_space import source_space_of
from stylegan_core.frames.pictures.picture import Picture, UnreadablePictureError, read_picture
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.hashing import sha256_of

_log = logging.getLogger(__name__)

_DECODING_PACKAGES = ("openimageio", "opencolorio", "imagecodecs", "numpy")


@dataclass(frozen=True)
class DecodeSettings:
    """How pictures are decoded and what is refused.

    Attributes:
        working_space: of the store.
        sample_type: of the store.
        min_side_px: a picture with a shorter side is refused.
        max_megapixels: a picture that declares more is refused, before it is decoded.
        resize_px: the shorter side of larger pictures is scaled down to this; None keeps all as they are.
        resize_filter: how.
        ocio_config: that knows the spaces, see ``load_config``.
        ocio: its digest, where a space needs it.
    """

    working_space: str = "srgb"
    sample_type: str = "uint8"
    min_side_px: int = 1
    max_megapixels: float = 200.0
    resize_px: int | None = None
    resize_filter: Filter = "area"
    ocio_config: str | None = None
    ocio: str | None = None


@dataclass(frozen=True)
class Decoded:
    """What is known of one source picture.

    Attributes:
        sha256: of the file; empty if it could not be read.
        size_bytes: of the file.
        refusal: why the picture is refused, in words; empty if it is good.
        width_px: after EXIF orientation, and of the samples.
        height_px: after EXIF orientation, and of the samples.
        content: digest of the decoded pixels: equal for copies, whatever their names, metadata and lossless format.
        colour: how the colours were read, for the report.
        translucent: the picture has an alpha channel that is not opaque everywhere.
        painted: ``x,y,w,h`` of a mask's painted part; empty if nothing is painted, or for other pictures.
        corner: which is most like the whole in detail: 0 top left, 1 top right, 2 bottom left, 3 bottom right.
        warnings: what a person should know, in words.
        cached: the file with the samples; None if they were not asked for.
    """

    sha256: str = ""
    size_bytes: int = 0
    refusal: str = ""
    width_px: int = 0
    height_px: int = 0
    content: str = ""
    colour: str = ""
    translucent: bool = False
    painted: str = ""
    corner: int = 0
    warnings: tuple[str, ...] = ()
    cached: Path | None = None


def decode(path: Path, space: str, settings: DecodeSettings, folder: Path, *, mask: bool, keep: bool) -> Decoded:
    """Decodes one picture, or finds it in the cache. Never raises for a bad picture: it is refused.

    Args:
        path: the picture.
        space: how its colours are read, see ``source_space_of``.
        settings: see there.
        folder: of the cache.
        mask: read it as a mask: its alpha channel where that is not opaque everywhere, else its grey level, as
            numbers without colour management.
        keep: the samples are wanted, not only the facts.
    """
    try:
        sha256, size_bytes = sha256_of(path), path.stat().st_size
    except OSError as error:
        return Decoded(refusal=f"cannot be read: {error.strerror or error}")
    key = json.dumps([_code_digest(), sha256, path.suffix.lower(), space, mask, asdict(settings)])
    name = hashlib.sha256(key.encode()).hexdigest()
    entry = folder / name[:2] / name
    known = _read_entry(entry, keep)
    if known is not None:
        return replace(known, sha256=sha256, size_bytes=size_bytes)
    try:
        made, samples = _decode_file(path, space, settings, mask)
    except (OSError, MemoryError) as error:  # of the machine, not of the picture: not remembered
        return Decoded(sha256, size_bytes, refusal=f"cannot be read: {error or type(error).__name__}")
    made = replace(made, sha256=sha256, size_bytes=size_bytes)
    _write_entry(entry, made, samples if keep else None)
    return replace(made, cached=entry if keep and samples is not None else None)


def load_samples(decoded: Decoded, sample_type: str) -> Samples:
    """The samples of a picture that ``decode`` kept, (H, W, 3), or (H, W, 1) for a mask.

    Raises:
        OSError: the cache was emptied meanwhile.
        ValueError: the cached file is damaged.
    """
    if decoded.cached is None:
        raise ValueError("this picture was decoded without keeping its samples")
    with decoded.cached.open("rb") as file:
        head = json.loads(file.readline())
        body = file.read()
    if hashlib.sha256(body).hexdigest() != head["body"]:
        raise ValueError(f"{decoded.cached} is damaged: delete it and run prepare again")
    kind = np.dtype(SAMPLE_TYPES[sample_type]).newbyteorder("<")
    samples: Samples = np.frombuffer(body, kind).reshape(head["shape"])
    return samples.astype(kind.newbyteorder("="), copy=False)


def trim_cache(folder: Path, limit_bytes: int) -> None:
    """Removes the oldest cached pictures until the cache takes at most ``limit_bytes``."""
    entries = sorted((p.stat().st_mtime_ns, p.stat().st_size, p) for p in folder.glob("??/*") if p.is_file())
    total = sum(size for _, size, _ in entries)
    for _, size, path in entries:
        if total <= limit_bytes:
            return
        path.unlink(missing_ok=True)
        total -= size


def _decode_file(path: Path, space: str, settings: DecodeSettings, mask: bool) -> tuple[Decoded, Samples | None]:
    try:
        picture = read_picture(path, min_side_px=settings.min_side_px, max_megapixels=settings.max_megapixels)
        ocio, found = settings.ocio_config, ""
        if mask:
            unit = _mask_unit(picture)
        else:
            found = source_space_of(picture, space, path=path, ocio=ocio).name
            unit = to_working(picture, source_space=found, working_space=settings.working_space, ocio=ocio)
    except UnreadablePictureError as error:
        return Decoded(refusal=error.reason), None
    except ValueError as error:  # a decoder's words for one bad picture must not end the stage
        return Decoded(refusal=f"cannot be decoded: {error}"), None
    if settings.resize_px is not None:
        encoding = "linear_rec709" if mask else settings.working_space
        unit = shrink(unit, settings.resize_px, settings.resize_filter, space=encoding, ocio=ocio)
    warnings = list(picture.warnings)
    if picture.pixels.dtype.kind == "f" and not np.isfinite(picture.pixels[..., : picture.colour_channels]).all():
        warnings.append("holds pixels that are not numbers or infinite: taken as black, or as the largest value")
    samples = to_samples(unit, settings.sample_type)
    height, width = samples.shape[:2]
    made = Decoded(
        width_px=width,
        height_px=height,
        content=_content_digest(picture.pixels),
        colour=found,
        translucent=_is_translucent(picture),
        painted=_painted_box(samples[..., 0]) if mask else "",
        corner=typical_corner(samples),
        warnings=tuple(warnings),
    )
    return made, samples


def _read_entry(entry: Path, keep: bool) -> Decoded | None:
    """The cached facts; None if there are none, or no samples although they are wanted, or the file is torn."""
    try:
        with entry.open("rb") as file:
            head = json.loads(file.readline())
            expected = int(head["body_bytes"])
            whole = entry.stat().st_size - file.tell() == expected
            known = Decoded(**{**head["facts"], "warnings": tuple(head["facts"]["warnings"])})
            if keep and whole and expected and hashlib.sha256(file.read()).hexdigest() != head["body"]:
                whole = False
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError):
        _log.warning("a cached picture is damaged and is decoded again: %s", entry)
        return None
    if not whole or (keep and not expected and not known.refusal):
        return None
    return replace(known, cached=entry if keep and expected else None)


def _write_entry(entry: Path, made: Decoded, samples: Samples | None) -> None:
    body = b"" if samples is None else samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()
    facts = {name: value for name, value in asdict(made).items() if name not in ("cached", "sha256", "size_bytes")}
    head: dict[str, Any] = {"facts": facts, "shape": None if samples is None else samples.shape}
    head |= {"body": hashlib.sha256(body).hexdigest(), "body_bytes": len(body)}
    write_bytes_atomically(entry, json.dumps(head).encode() + b"\n" + body)


def _mask_unit(picture: Picture) -> npt.NDArray[np.float32]:
    pixels = picture.pixels
    scale = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind == "u" else 1.0
    if _is_translucent(picture):
        grey = pixels[..., -1:].astype(np.float32)
    else:
        grey = pixels[..., : picture.colour_channels].astype(np.float32).mean(axis=-1, keepdims=True)
    unit: npt.NDArray[np.float32] = np.clip(grey / np.float32(scale), 0.0, 1.0)
    return unit


def _is_translucent(picture: Picture) -> bool:
    if not picture.has_alpha:
        return False
    opaque = np.iinfo(picture.pixels.dtype).max if picture.pixels.dtype.kind == "u" else 1.0
    return bool((picture.pixels[..., -1] < opaque).any())


def _painted_box(mask: npt.NDArray[Any]) -> str:
    """``x,y,w,h`` around what is painted by more than half; empty if nothing is."""
    half = 0.5 if mask.dtype == np.float16 else np.iinfo(mask.dtype).max // 2
    rows, columns = np.flatnonzero((mask > half).any(axis=1)), np.flatnonzero((mask > half).any(axis=0))
    if not len(rows):
        return ""
    return f"{columns[0]},{rows[0]},{columns[-1] - columns[0] + 1},{rows[-1] - rows[0] + 1}"


def _content_digest(pixels: npt.NDArray[Any]) -> str:
    head = f"{pixels.dtype.str}{pixels.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(pixels).tobytes()).hexdigest()


@cache
def _code_digest() -> str:
    """Of everything that decides how a file becomes samples, so that an update of the tool decodes afresh."""
    digest = hashlib.sha256()
    data = Path(__file__).parent
    own = [data / name for name in ("decode.py", "resize.py", "store.py")]
    for source in [*own, *sorted((data.parent / "frames").rglob("*.py"))]:
        digest.update(source.read_bytes())
    for package in _DECODING_PACKAGES:
        try:
            digest.update(f"{package} {version(package)}".encode())
        except PackageNotFoundError:
            digest.update(package.encode())
    return digest.hexdigest()
