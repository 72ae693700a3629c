"""Unpacks pictures from archives and combined pictures once, into the user's cache."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.cache import cache_folder

_log = logging.getLogger(__name__)

_KEPT = 8


@dataclass(frozen=True)
class Unpacked:
    """Unpacked pictures. A layout that has facts about them adds them in a subclass.

    Attributes:
        files: folder of the pictures.
    """

    files: Path

    def dump(self) -> dict[str, object]:
        """The facts as a JSON object, which the cache keeps in facts.json."""
        return {}

    @classmethod
    def parse(cls, files: Path, facts: Mapping[str, Any]) -> Self:  # noqa: ARG003  # for layouts with facts
        """The pictures in ``files`` with ``facts``, as ``dump`` returned them."""
        return cls(files)


U = TypeVar("U", bound=Unpacked)


def build_once(kind: str, recipe: Any, unpacked: type[U], build: Callable[[Path], U]) -> U:
    """Runs ``build`` for ``recipe``, or takes its result from the cache; an interrupted build leaves no result.

    The cache keeps the last ``_KEPT`` results of each kind.

    Args:
        kind: of result, the name of a folder in the cache.
        recipe: everything that decides the result, as JSON values.
        unpacked: class of the result.
        build: fills an empty folder and returns the result in that folder.
    """
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:32]
    root = cache_folder(kind)
    made = root / digest
    if not (made / "facts.json").is_file():
        _log.info("building %s in %s", kind, made)
        part = root / f".{digest}.{os.getpid()}"
        shutil.rmtree(part, ignore_errors=True)
        try:
            (part / "files").mkdir(parents=True)
            facts = build(part / "files").dump()
            os.sync()  # once: syncing each of thousands of small files takes longer than everything else
            write_bytes_atomically(part / "facts.json", json.dumps(facts, sort_keys=True).encode())
            shutil.rmtree(made, ignore_errors=True)
            part.rename(made)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    os.utime(made)
    others = sorted((p for p in root.iterdir() if p.is_dir() and p != made), key=lambda p: p.stat().st_mtime)
    for old in others[: max(0, len(others) + 1 - _KEPT)]:
        shutil.rmtree(old, ignore_errors=True)
    return unpacked.parse(made / "files", json.loads((made / "facts.json").read_bytes()))
