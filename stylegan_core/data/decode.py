"""Decodes source pictures once, into a cache that survives an interruption: one file per picture, named by digest."""

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
from stylegan_core.data.manifest import Box
from stylegan_core.data.resize import shrink
from stylegan_core.data.sources import DecodedFacts, Source
from stylegan_core.data.splits import typical_corner
from stylegan_core.data.store import SAMPLE_TYPES, Samples, to_samples
from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.convert import to_working
from stylegan_core.frames.colour.source_space import source_space_of
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.hashing import sha256_of

_log = logging.getLogger(__name__)

_DECODING_MODULES = ("choices.py", "decode.py", "manifest.py", "resize.py", "sources.py", "splits.py", "store.py")
_DECODING_PACKAGES = (
    *("openimageio", "opencolorio", "openexr", "imagecodecs", "pillow", "simplejpeg", "numpy"),
    "opencv-contrib-python-headless",
)


@dataclass(frozen=True)
class DecodeSettings:
    """How pictures are decoded and what is refused.

    Attributes:
        working_space: of the store.
        sample_type: of the store.
        min_side_px: a picture with a shorter side is refused.
        max_megapixels: a picture that declares more is refused, before it is decoded.
        resize_px: the shorter side of larger pictures is scaled down to this; None keeps every size.
        resize_filter: how pictures are scaled down.
        ocio_config: the OpenColorIO config that defines the spaces, see ``load_config``.
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


def decode(source: Source, settings: DecodeSettings, folder: Path) -> Source:
    """Decodes one picture, or finds it in the cache. Never raises for a bad picture: its facts hold the refusal.

    Args:
        source: of the role "mask": its alpha channel is read where that is not opaque everywhere, else its grey level,
            as numbers without colour management.
        settings: see there.
        folder: of the cache.
    Returns:
        The source with its facts.
    """
    return replace(source, facts=_facts_of(source, settings, folder))


def _facts_of(source: Source, settings: DecodeSettings, folder: Path) -> DecodedFacts:
    if source.refusal:
        return DecodedFacts(refusal=source.refusal)
    path, is_mask = source.path, source.role == "mask"
    try:
        sha256, size_bytes = sha256_of(path), path.stat().st_size
    except OSError as error:
        return DecodedFacts(refusal=f"cannot be read: {error.strerror or error}")
    key = json.dumps([_code_digest(), sha256, path.suffix.lower(), source.space, is_mask, asdict(settings)])
    name = hashlib.sha256(key.encode()).hexdigest()
    entry = folder / name[:2] / name
    known = _read_entry(entry, source.keep)
    if known is not None:
        return replace(known, sha256=sha256, size_bytes=size_bytes)
    try:
        facts, samples = _decode_file(path, source.space, settings, is_mask)
    except (OSError, MemoryError) as error:  # of the machine, not of the picture: not cached
        return DecodedFacts(sha256, size_bytes, refusal=f"cannot be read: {error or type(error).__name__}")
    _write_entry(entry, facts, samples if source.keep else None)
    cached = entry if source.keep and samples is not None else None
    return replace(facts, sha256=sha256, size_bytes=size_bytes, cached=cached)


def load_samples(facts: DecodedFacts, sample_type: str) -> Samples:
    """The samples of a picture that ``decode`` kept, (H, W, 3), or (H, W, 1) for a mask.

    Raises:
        OSError: the cached file no longer exists.
        ValueError: the cached file is damaged.
    """
    if facts.cached is None:
        raise ValueError("the samples of this picture are not in the cache: its source does not keep them")
    with facts.cached.open("rb") as file:
        head = json.loads(file.readline())
        body = file.read()
    if hashlib.sha256(body).hexdigest() != head["body"]:
        raise ValueError(f"{facts.cached} is damaged: delete it and run prepare again")
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


def _decode_file(
    path: Path, space: str, settings: DecodeSettings, is_mask: bool
) -> tuple[DecodedFacts, Samples | None]:
    try:
        picture = read_picture(path, min_side_px=settings.min_side_px, max_megapixels=settings.max_megapixels)
        ocio, found = settings.ocio_config, ""
        if is_mask:
            unit = _mask_unit(picture)
        else:
            found = source_space_of(picture, space, path=path, ocio=ocio).name
            unit = to_working(picture, source_space=found, working_space=settings.working_space, ocio=ocio)
    except UnreadablePictureError as error:
        return DecodedFacts(refusal=error.reason), None
    except ValueError as error:  # a decoder's error for one bad picture must not end the stage
        return DecodedFacts(refusal=f"cannot be decoded: {error}"), None
    if settings.resize_px is not None:
        encoding = "linear_rec709" if is_mask else settings.working_space
        unit = shrink(unit, settings.resize_px, settings.resize_filter, space=encoding, ocio=ocio)
    warnings = list(picture.warnings)
    if picture.pixels.dtype.kind == "f" and not np.isfinite(picture.pixels[..., : picture.colour_channels]).all():
        warnings.append("holds pixels that are not numbers or infinite: taken as black, or as the largest value")
    samples = to_samples(unit, settings.sample_type)
    height, width = samples.shape[:2]
    facts = DecodedFacts(
        width_px=width,
        height_px=height,
        pixels_sha256=_pixels_digest(picture.pixels),
        colour=found,
        translucent=_is_translucent(picture),
        mask_box=_mask_box(samples[..., 0]) if is_mask else None,
        corner=typical_corner(samples),
        warnings=tuple(warnings),
    )
    return facts, samples


def _read_entry(entry: Path, keep: bool) -> DecodedFacts | None:
    """The cached facts; None if there are none, the wanted samples are missing, or the file is truncated."""
    try:
        with entry.open("rb") as file:
            head = json.loads(file.readline())
            expected = int(head["body_bytes"])
            whole = entry.stat().st_size - file.tell() == expected
            known = _parse_facts(head["facts"])
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


def _parse_facts(document: dict[str, Any]) -> DecodedFacts:
    box = document["mask_box"]
    return DecodedFacts(
        **{**document, "mask_box": None if box is None else Box(*box), "warnings": tuple(document["warnings"])}
    )


def _write_entry(entry: Path, facts: DecodedFacts, samples: Samples | None) -> None:
    body = b"" if samples is None else samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()
    kept = {name: value for name, value in asdict(facts).items() if name not in ("cached", "sha256", "size_bytes")}
    head: dict[str, Any] = {"facts": kept, "shape": None if samples is None else samples.shape}
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


def _mask_box(mask: npt.NDArray[Any]) -> Box | None:
    """The box around what an (H, W) mask marks by more than half; None if that is nothing."""
    half = 0.5 if mask.dtype == np.float16 else np.iinfo(mask.dtype).max // 2
    rows, columns = np.flatnonzero((mask > half).any(axis=1)), np.flatnonzero((mask > half).any(axis=0))
    if not len(rows):
        return None
    x, y = int(columns[0]), int(rows[0])
    return Box(x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1)


def _pixels_digest(pixels: npt.NDArray[Any]) -> str:
    head = f"{pixels.dtype.str}{pixels.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(pixels).tobytes()).hexdigest()


@cache
def _code_digest() -> str:
    """SHA-256 over the code that decides how a file becomes samples and facts: a change of it decodes again."""
    digest = hashlib.sha256()
    for source in decoding_code():
        digest.update(source.read_bytes())
    for package in _DECODING_PACKAGES:
        try:
            digest.update(f"{package} {version(package)}".encode())
        except PackageNotFoundError:
            digest.update(package.encode())
    return digest.hexdigest()


def decoding_code() -> list[Path]:
    """The modules that ``decode`` depends on, but for ``storage``, which only reads and writes bytes."""
    data = Path(__file__).parent
    return [*(data / name for name in _DECODING_MODULES), *sorted((data.parent / "frames").rglob("*.py"))]
