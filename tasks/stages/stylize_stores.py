"""Stores of the stage stylize in the user's cache: one folder per shot, model and settings."""

from __future__ import annotations

import shutil
from pathlib import Path

from stylegan_core.storage.state_folder import STATE_FOLDER

KEPT_STORES = 3
"""Stores of a shot in the cache: those of the latest models and settings."""


def newest_first(stores: Path) -> list[Path]:
    """The stores of a shot, by the last change of their state folders; those without one come last."""

    def changed_ns(store: Path) -> int:
        try:
            return (store / STATE_FOLDER).stat().st_mtime_ns
        except OSError:  # another run is deleting it
            return 0

    return sorted((path for path in stores.iterdir() if path.is_dir()), key=changed_ns, reverse=True)


def trim_stores(current: Path) -> None:
    """Deletes the older stores of the shot of ``current``; a store that another run works in is kept."""
    import filelock

    stores = newest_first(current.parent)
    for old in [path for path in stores if path != current][KEPT_STORES - 1 :]:
        try:
            with filelock.FileLock(old / STATE_FOLDER / "lock", timeout=0):
                shutil.rmtree(old, ignore_errors=True)
        except (filelock.Timeout, OSError):
            continue
