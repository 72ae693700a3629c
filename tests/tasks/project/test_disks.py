"""Free space, measured in one place for doctor, status and notifications."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tasks.project.disks import free_space


def test_free_space_is_that_of_the_folders_disk(tmp_path: Path) -> None:
    disk, usage = free_space("the project", tmp_path), shutil.disk_usage(tmp_path)
    assert (disk.name, disk.folder, disk.total_bytes) == ("the project", tmp_path, usage.total)
    assert abs(disk.free_bytes - usage.free) < usage.total / 10
    assert disk.describe().endswith(f"at {tmp_path}")


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        free_space("the cache", tmp_path / "missing")
