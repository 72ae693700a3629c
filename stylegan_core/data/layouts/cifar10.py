"""CIFAR-10's binary version: 32 px pictures of ten classes in files of 10,000 (Krizhevsky 2009)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from stylegan_core.data.layouts.unpacking import Unpacked, build_once
from stylegan_core.data.manifest import format_labels
from stylegan_core.data.sources import PathDisplay, Source, SourceError
from stylegan_core.storage.hashing import sha256_of

_SIDE_PX = 32
_RECORD_BYTES = 1 + 3 * _SIDE_PX * _SIDE_PX
_META = "batches.meta.txt"
_TEST = "test_batch"


@dataclass(frozen=True)
class UnpackedCifar10(Unpacked):
    """Unpacked CIFAR-10.

    Attributes:
        classes: class names in order.
        class_indices: by batch file, the class of each of its pictures, an index into ``classes``.
    """

    classes: tuple[str, ...]
    class_indices: Mapping[str, Sequence[int]]

    def dump(self) -> dict[str, object]:
        """The classes as a JSON object."""
        return {"classes": list(self.classes), "of": dict(self.class_indices)}

    @classmethod
    def parse(cls, files: Path, facts: Mapping[str, Any]) -> Self:
        """The pictures in ``files`` with the classes in ``facts``."""
        return cls(files, tuple(facts["classes"]), facts["of"])


def unpack_cifar10(folder: Path) -> UnpackedCifar10:
    """Writes each picture as ``BATCH/NUMBER.png``; numbers count from 0 in each batch file.

    Args:
        folder: with ``data_batch_*.bin``, ``test_batch.bin`` and ``batches.meta.txt``, or with the folder
            ``cifar-10-batches-bin`` that holds them.

    Raises:
        FileNotFoundError: a file is missing.
        SourceError: a file is not a CIFAR-10 batch.
    """
    inner = folder / "cifar-10-batches-bin"
    inner = inner if inner.is_dir() else folder
    batches = sorted([*inner.glob("data_batch_*.bin"), *inner.glob(f"{_TEST}.bin")])
    if not any(batch.stem != _TEST for batch in batches) or not (inner / _META).is_file():
        raise FileNotFoundError(
            f"{folder} is not a binary CIFAR-10 folder: expected data_batch_*.bin, test_batch.bin and {_META}"
        )
    classes = [line.strip() for line in (inner / _META).read_text(encoding="utf-8").splitlines() if line.strip()]
    for batch in batches:
        _check(batch, len(classes))

    def build(files: Path) -> UnpackedCifar10:
        indices = {batch.stem: _unpack(batch, files / batch.stem) for batch in batches}
        return UnpackedCifar10(files, tuple(classes), indices)

    recipe = [Path(__file__).read_text(encoding="utf-8"), classes, [[b.stem, sha256_of(b)] for b in batches]]
    return build_once("cifar10", recipe, UnpackedCifar10, build)


def list_cifar10(
    folder: Path, unpacked: UnpackedCifar10, domain: str, space: str, display: PathDisplay
) -> list[Source]:
    """Every picture with its class as a label, ``cat=1``; the test batch is the split "test".

    Args:
        folder: the data set.
        unpacked: of ``unpack_cifar10``.
        domain: "content".
        space: how its colours are read.
        display: how paths are shown; it names the unpacked files.
    """
    group = f"the {domain} collection {display.show(folder)}"
    classes = ["_".join(name.split()) for name in unpacked.classes]
    sources = []
    for batch, members in unpacked.class_indices.items():
        for index, member in enumerate(members):
            path = unpacked.files / batch / f"{index:05}.png"
            sources.append(
                Source(
                    path,
                    display.show(path),
                    group,
                    "collection",
                    domain,
                    space,
                    name=f"{batch}/{path.name}",
                    listed_split="test" if batch == _TEST else "",
                    labels=format_labels({classes[member]: True}),
                )
            )
    return sources


def _check(batch: Path, classes: int) -> None:
    size = batch.stat().st_size
    if size == 0 or size % _RECORD_BYTES:
        raise SourceError(
            f"{batch} has {size} bytes, which is not a multiple of {_RECORD_BYTES}: it is damaged or not a batch"
        )
    records = np.fromfile(batch, np.uint8).reshape(-1, _RECORD_BYTES)
    if (most := int(records[:, 0].max())) >= classes:
        counted = Counter(records[:, 0].tolist())[most]
        raise SourceError(f"{batch} has {counted} pictures of class {most}, but {_META} names {classes} classes")


def _unpack(batch: Path, folder: Path) -> list[int]:
    folder.mkdir()
    records = np.fromfile(batch, np.uint8).reshape(-1, _RECORD_BYTES)
    planes = records[:, 1:].reshape(-1, 3, _SIDE_PX, _SIDE_PX)
    for index, picture in enumerate(planes):
        path = folder / f"{index:05}.png"
        if not cv2.imwrite(str(path), picture[::-1].transpose(1, 2, 0)):  # planes reversed: OpenCV writes BGR
            raise OSError(f"{path} cannot be written: is the disk full?")
    return [int(member) for member in records[:, 0]]
