"""LSUN (Yu et al. 2015, arXiv 1506.03365): folders of exported pictures, or its LMDB databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from stylegan_core.data.layouts.unpacking import Unpacked, build_once
from stylegan_core.data.sources import PathDisplay, Source, SourceError, list_collection
from stylegan_core.storage.hashing import sha256_of

_SIGNATURES = ((b"RIFF", ".webp"), (b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"))
_SPLITS = {"val": "validation", "test": "test"}


def unpack_lsun(folder: Path) -> Unpacked | None:
    """Writes each picture of the databases in a folder as ``DATABASE/NUMBER``, with unchanged bytes.

    Args:
        folder: contains folders such as ``church_outdoor_train_lmdb``, or is one.
    Returns:
        None where there is no database: the pictures are files.

    Raises:
        SourceError: the package lmdb is missing, or a database cannot be read.
    """
    databases = _databases(folder)
    if not databases:
        return None
    recipe = [
        Path(__file__).read_text(encoding="utf-8"),
        [[database.name, sha256_of(database / "data.mdb")] for database in databases],
    ]
    try:
        import lmdb
    except ImportError:
        raise SourceError(
            f"{databases[0]} is an LMDB database, which requires a package: run `pip install lmdb`, or export the "
            "pictures into a folder"
        ) from None

    def build(files: Path) -> Unpacked:
        for database in databases:
            try:
                with lmdb.open(str(database), readonly=True, lock=False) as opened, opened.begin() as transaction:
                    _write(transaction.cursor().iternext(keys=False), files / database.name)
            except lmdb.Error as error:
                raise SourceError(f"{database} cannot be read: {error}") from error
        return Unpacked(files)

    return build_once("lsun", recipe, Unpacked, build)


def list_lsun(folder: Path, unpacked: Unpacked | None, domain: str, space: str, display: PathDisplay) -> list[Source]:
    """Every picture; a database or folder such as ``church_outdoor_val_lmdb`` is the split "validation".

    Args:
        folder: the data set.
        unpacked: of ``unpack_lsun``.
        domain: "content".
        space: how its colours are read.
        display: how paths are shown; it names the unpacked files.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no pictures.
    """
    listed = list_collection(unpacked.files if unpacked else folder, domain, space, display)
    group = f"the {domain} collection {display.show(folder)}"
    return [replace(source, group=group, listed_split=_split(source.name)) for source in listed]


def _databases(folder: Path) -> list[Path]:
    folders = [folder, *sorted(p for p in folder.iterdir() if p.is_dir())] if folder.is_dir() else []
    return [candidate for candidate in folders if (candidate / "data.mdb").is_file()]


def _write(values: Iterator[bytes], folder: Path) -> None:
    for index, value in enumerate(values):
        suffix = next((suffix for start, suffix in _SIGNATURES if value.startswith(start)), ".webp")
        # 10,000 a folder: file systems slow down in folders of millions.
        part = folder / f"{index // 10_000:04}"
        part.mkdir(parents=True, exist_ok=True)
        (part / f"{index:08}{suffix}").write_bytes(value)


def _split(name: str) -> str:
    words = name.split("/", maxsplit=1)[0].split("_") if "/" in name else []
    return next((_SPLITS[word] for word in words if word in _SPLITS), "")
