"""The prepared store: decoded pictures in one memory-mapped file, of one working space and sample type."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from stylegan_core.data.manifest import ManifestRow
from stylegan_core.storage.atomic import fsync_folder, write_bytes_atomically

SAMPLE_TYPES: dict[str, type[np.generic]] = {"uint8": np.uint8, "uint16": np.uint16, "half": np.float16}
"""Names of ``prepare.sample_type`` and their numpy types."""

Samples = npt.NDArray[Any]
"""(H, W, C) array of one of ``SAMPLE_TYPES``."""

_ALIGNMENT = 64
_HALF_MAX = 65504.0


class StoreError(ValueError):
    """A store is missing, incomplete or damaged; the message says which and what to do."""


def to_samples(unit: npt.NDArray[np.float32], sample_type: str) -> Samples:
    """Quantizes a picture for the store.

    Args:
        unit: (H, W, C) float32; [0, 1] is the range of the integer types, which clip. Half keeps scene-linear
            values beyond it, up to 65504.
        sample_type: one of ``SAMPLE_TYPES``.
    Returns:
        (H, W, C) of that type; NaN becomes 0.
    """
    clean = np.nan_to_num(unit, nan=0.0, posinf=_HALF_MAX, neginf=-_HALF_MAX)
    if sample_type == "half":
        return np.clip(clean, -_HALF_MAX, _HALF_MAX).astype(np.float16)
    kind = SAMPLE_TYPES[sample_type]
    largest = float(np.iinfo(kind).max)  # type: ignore[type-var]
    samples: Samples = np.rint(np.clip(clean, 0.0, 1.0) * np.float32(largest)).astype(kind)
    return samples


def to_unit(samples: Samples) -> npt.NDArray[np.float32]:
    """(H, W, C) samples of any of ``SAMPLE_TYPES`` as float32, [0, 1] for the integer types."""
    if samples.dtype == np.float16:
        return samples.astype(np.float32)
    return samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)


class StoreWriter:
    """Appends pictures to ``folder/samples.bin``; ``close`` writes ``samples.json``, which completes the store.

    Args:
        folder: created if it is missing; must not hold a store.
        working_space: recorded: the space that the pictures are in.
        sample_type: one of ``SAMPLE_TYPES``.
        ocio: recorded: digest of the OpenColorIO config that defines the space, where it needs one.
    """

    def __init__(self, folder: Path, working_space: str, sample_type: str, ocio: str | None = None) -> None:
        if sample_type not in SAMPLE_TYPES:
            raise StoreError(f"unknown sample type {sample_type!r}; known are: {', '.join(SAMPLE_TYPES)}")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._head: dict[str, Any] = {"working_space": working_space, "sample_type": sample_type}
        self._head |= {"ocio": ocio} if ocio else {}
        self._entries: list[dict[str, int]] = []
        self._digest = hashlib.sha256()
        self._size = 0
        self._file = (folder / "samples.bin").open("xb")

    def add(self, unit: npt.NDArray[np.float32]) -> int:
        """Appends a picture, (H, W, C) float32 in unit range (C is 3, or 1 for a mask); returns its index."""
        return self.add_samples(to_samples(unit, self._head["sample_type"]))

    def add_samples(self, samples: Samples) -> int:
        """Appends a picture that is already of the store's sample type, (H, W, C); returns its index."""
        kind = SAMPLE_TYPES[self._head["sample_type"]]
        if samples.dtype != kind or samples.ndim != 3:
            raise StoreError(f"expected (H, W, C) of {kind.__name__}, got {samples.shape} of {samples.dtype}")
        self._write(bytes(-self._size % _ALIGNMENT))
        height, width, channels = samples.shape
        self._entries.append({"offset": self._size, "height": height, "width": width, "channels": channels})
        self._write(np.ascontiguousarray(samples).astype(samples.dtype.newbyteorder("<"), copy=False).tobytes())
        return len(self._entries) - 1

    def close(self) -> None:
        """Completes the store and syncs it to disk."""
        self._file.flush()
        self._file.close()
        document = {**self._head, "size_bytes": self._size, "sha256": self._digest.hexdigest()}
        document["entries"] = self._entries
        write_bytes_atomically(self._folder / "samples.json", json.dumps(document, indent=0).encode() + b"\n")
        fsync_folder(self._folder)

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self._digest.update(content)
        self._size += len(content)


class SampleStore:
    """A store opened for reading; pictures are views of the mapped file, read on access.

    Attributes:
        working_space: the space that the pictures are in.
        sample_type: one of ``SAMPLE_TYPES``.
        ocio: digest of the OpenColorIO config that defines the space, where it needs one.
        digest: SHA-256 of ``samples.bin``, as written.
    """

    def __init__(self, folder: Path, head: dict[str, Any], mapped: npt.NDArray[np.uint8]) -> None:
        self.folder = folder
        self.working_space: str = head["working_space"]
        self.sample_type: str = head["sample_type"]
        self.ocio: str | None = head.get("ocio")
        self.digest: str = head["sha256"]
        self._entries: list[dict[str, int]] = head["entries"]
        self._mapped = mapped

    @classmethod
    def open(cls, folder: Path) -> SampleStore:
        """Opens the store in ``folder``.

        Raises:
            StoreError: it is missing, incomplete or not a store.
        """
        index, samples = folder / "samples.json", folder / "samples.bin"
        if not index.is_file() or not samples.is_file():
            raise StoreError(f"{folder} holds no prepared store: run the stage prepare first")
        try:
            head = json.loads(index.read_text())
            expected = int(head["size_bytes"])
            known = head["sample_type"] in SAMPLE_TYPES and isinstance(head["entries"], list)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{index} is damaged ({error}): run the stage prepare again") from error
        if not known or samples.stat().st_size != expected:
            raise StoreError(
                f"{samples} does not have {expected} bytes, as samples.json says: run the stage prepare again"
            )
        mapped = np.memmap(samples, np.uint8, "r") if expected else np.zeros(0, np.uint8)
        return cls(folder, head, mapped)

    def __len__(self) -> int:
        return len(self._entries)

    def sample(self, index: int) -> Samples:
        """Picture ``index`` as a read-only (H, W, C) view of the mapped file."""
        if not 0 <= index < len(self._entries):
            raise StoreError(f"{self.folder} has {len(self._entries)} pictures, but index {index} was requested")
        entry = self._entries[index]
        shape = (entry["height"], entry["width"], entry["channels"])
        kind = np.dtype(SAMPLE_TYPES[self.sample_type]).newbyteorder("<")
        view: Samples = np.ndarray(shape, kind, buffer=self._mapped.data, offset=entry["offset"])
        return view

    def sample_of(self, row: ManifestRow) -> Samples:
        """The picture of a row of the manifest, see ``sample``."""
        if row.sample is None:
            raise StoreError(f"{row.path} is not in the store")
        return self.sample(row.sample)

    def unit(self, index: int) -> npt.NDArray[np.float32]:
        """Picture ``index`` as (H, W, C) float32 in unit range."""
        return to_unit(self.sample(index))
