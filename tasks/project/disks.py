"""Free space of the disks that a project writes to: its own, that of the cache and that of DVC's storage."""

from __future__ import annotations

import configparser
import shutil
from dataclasses import dataclass
from pathlib import Path

from stylegan_core.storage.cache import cache_folder
from tasks.shared.versioning import dvc_settings


@dataclass(frozen=True)
class Disk:
    """A disk.

    Attributes:
        name: what the project keeps on it.
        folder: on it.
        free_bytes: that the user may still write.
        total_bytes: size of the disk.
    """

    name: str
    folder: Path
    free_bytes: int
    total_bytes: int

    def describe(self) -> str:
        """Free space and folder."""
        return f"{self.free_bytes / 1e9:.1f} GB free of {self.total_bytes / 1e9:.0f} at {self.folder}"


def free_space(name: str, folder: Path) -> Disk:
    """Free space at a folder.

    Raises:
        OSError: there is no such folder, or its share does not answer.
    """
    usage = shutil.disk_usage(folder)
    return Disk(name, folder, usage.free, usage.total)


def disks(root: Path) -> list[Disk]:
    """The disks of a project; one that holds several of its folders counts once."""
    places = {"the project": root, "the cache": cache_folder()}
    if storage := dvc_storage(root):
        places["DVC's storage"] = storage
    found: dict[int, Disk] = {}
    for name, folder in places.items():
        try:
            device, disk = folder.stat().st_dev, free_space(name, folder)
        except OSError:  # an unmounted share: the stage that needs it reports that
            continue
        found.setdefault(device, disk)
    return list(found.values())


def dvc_storage(root: Path) -> Path | None:
    """Folder of DVC's default remote, else its nearest parent that exists; None: there is none, or it is a server."""
    try:
        config = dvc_settings(root)
        name = config.get("core", "remote", fallback="")
        url = config.get(f"'remote \"{name}\"'", "url", fallback="")
    except (configparser.Error, UnicodeDecodeError):
        return None
    if not url or "://" in url:
        return None
    folder = (root / ".dvc" / url).resolve()
    return next(path for path in (folder, *folder.parents) if path.exists())
