"""Which entries of the user's cache are stale."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.project.gc import remove_entry, stale_entries

NOW_S = 2_000_000_000.0
DAY_S = 86400.0


def written(path: Path, days_ago: float, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    for one in (path, path.parent):
        os.utime(one, (NOW_S - days_ago * DAY_S,) * 2)
    return path


def test_an_entry_is_as_old_as_its_newest_file(tmp_path: Path) -> None:
    written(tmp_path / "train/old/checkpoint-1", 50)
    written(tmp_path / "train/old/checkpoint-2", 40)
    written(tmp_path / "train/used/checkpoint-1", 50)
    written(tmp_path / "train/used/checkpoint-2", 2)
    written(tmp_path / "decoded/a.npy", 31, size=5)
    outside = written(tmp_path.parent / f"{tmp_path.name}-outside/file", 90)
    (tmp_path / "linked").symlink_to(outside.parent)
    found = stale_entries(tmp_path, older_than_days=30, now_s=NOW_S)
    assert [entry.path.relative_to(tmp_path).as_posix() for entry in found] == ["decoded/a.npy", "train/old"]
    assert found[0].size_bytes == 5
    assert [round(entry.age_days) for entry in found] == [31, 40]
    for entry in (*found, *found):
        remove_entry(entry)
    assert sorted(path.name for path in (tmp_path / "train").iterdir()) == ["used"]
    assert outside.is_file()
