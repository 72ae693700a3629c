"""Lists data sets in the layouts that their authors publish, with splits and labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from stylegan_core.data.choices import Layout
from stylegan_core.data.layouts.cifar10 import UnpackedCifar10, list_cifar10, unpack_cifar10
from stylegan_core.data.layouts.labels import VALUES, label_sources
from stylegan_core.data.layouts.lsun import list_lsun, unpack_lsun
from stylegan_core.data.layouts.unpacking import Unpacked
from stylegan_core.data.manifest import format_labels
from stylegan_core.data.sources import PathDisplay, Source, SourceError, abbreviate, list_collection

_CELEBA_SPLITS = {"0": "train", "1": "validation", "2": "test"}
_IMAGENET_SPLITS = {"train": "train", "val": "validation"}


@dataclass(frozen=True)
class Listed:
    """The pictures of a data set, and warnings (of what, in words)."""

    sources: list[Source]
    warnings: list[tuple[str, str]]


def unpack_layout(layout: Layout, folder: Path) -> Unpacked | None:
    """Unpacks a data set's pictures into files; None where they are files already.

    Raises:
        FileNotFoundError: files of the layout are missing.
        SourceError: a file of the layout is damaged, or needs a package that is not installed.
    """
    if layout == "cifar10":
        return unpack_cifar10(folder)
    return unpack_lsun(folder) if layout == "lsun" else None


def list_layout(layout: Layout, folder: Path, unpacked: Unpacked | None, space: str, display: PathDisplay) -> Listed:
    """The pictures of a content folder in a layout.

    Args:
        layout: see there; "files" is any folder of pictures.
        folder: of the data set.
        unpacked: of ``unpack_layout``.
        space: how its colours are read.
        display: how paths are shown; it names the unpacked files.

    Raises:
        FileNotFoundError: folders or files of the layout are missing.
        ValueError: there are no pictures.
        SourceError: a table of the layout cannot be read.
    """
    if layout == "celeba":
        return _celeba(folder, space, display)
    if layout == "cifar10":
        assert isinstance(unpacked, UnpackedCifar10)
        return Listed(list_cifar10(folder, unpacked, "content", space, display), [])
    if layout == "lsun":
        return Listed(list_lsun(folder, unpacked, "content", space, display), [])
    if layout == "imagenet":
        return Listed(_imagenet(folder, space, display), [])
    pictures = _ffhq_folder(folder) if layout == "ffhq" else folder
    return Listed(list_collection(pictures, "content", space, display), [])


def _ffhq_folder(folder: Path) -> Path:
    """FFHQ (Karras et al. 2019, arXiv 1812.04948): the largest of its sizes that exists, or the folder itself."""
    return next((p for name in ("images1024x1024", "thumbnails128x128") if (p := folder / name).is_dir()), folder)


def _imagenet(folder: Path, space: str, display: PathDisplay) -> list[Source]:
    """ImageNet (Russakovsky et al. 2015, arXiv 1409.0575): ``train/CLASS/*`` and ``val/CLASS/*``."""
    if not (folder / "train").is_dir():
        raise FileNotFoundError(f"{folder} is not an ImageNet folder: expected folders train/CLASS and val/CLASS")
    sources, flat = [], []
    for source in list_collection(folder, "content", space, display):
        split, *below = source.name.split("/")
        if split not in _IMAGENET_SPLITS:
            continue
        if len(below) < 2:
            flat.append(source.display_path)
            continue
        labels = format_labels({"_".join(below[0].split()): True})
        sources.append(replace(source, listed_split=_IMAGENET_SPLITS[split], labels=labels))
    if flat:
        raise SourceError(f"these pictures lie in no class folder such as val/n01440764: {abbreviate(flat)}")
    return sources


def _celeba(folder: Path, space: str, display: PathDisplay) -> Listed:
    """CelebA (Liu et al. 2015, arXiv 1411.7766): aligned pictures, 40 attributes and the partition."""
    pictures = _first(folder, "img_align_celeba", "Img/img_align_celeba")
    attributes = _first(folder, "list_attr_celeba.txt", "Anno/list_attr_celeba.txt")
    partition = _first(folder, "list_eval_partition.txt", "Eval/list_eval_partition.txt")
    listed = list_collection(pictures, "content", space, display)
    sources, warnings = label_sources(listed, dict(_celeba_attributes(attributes)), display.show(attributes))
    splits = dict(_celeba_partition(partition))
    table = display.show(partition)
    split = [
        replace(source, listed_split=splits[source.name])
        if source.name in splits
        else replace(source, refusal=source.refusal or f"has no row in {table}")
        for source in sources
    ]
    return Listed(split, warnings)


def _first(folder: Path, *names: str) -> Path:
    found = next((folder / name for name in names if (folder / name).exists()), None)
    if found is None:
        raise FileNotFoundError(f"{folder} is not a CelebA folder: expected {' or '.join(names)}")
    return found


def _celeba_attributes(path: Path) -> Iterator[tuple[str, dict[str, bool]]]:
    with path.open(encoding="utf-8") as file:
        next(file, "")  # the number of rows
        names = next(file, "").split()
        if not names:
            raise SourceError(f"{path}, line 2: expected the names of the attributes")
        for line, row in enumerate(file, 3):
            name, *values = row.split() or [""]
            if not name:
                continue
            if len(values) != len(names) or not set(values) <= set(VALUES):
                raise SourceError(f"{path}, line {line}: expected a name and {len(names)} values, each 1 or -1")
            yield name, dict(zip(names, (VALUES[value] for value in values), strict=True))


def _celeba_partition(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8") as file:
        for line, row in enumerate(file, 1):
            if not row.strip():
                continue
            name, *value = row.split()
            if len(value) != 1 or value[0] not in _CELEBA_SPLITS:
                raise SourceError(f"{path}, line {line}: expected a name and 0, 1 or 2")
            yield name, _CELEBA_SPLITS[value[0]]
