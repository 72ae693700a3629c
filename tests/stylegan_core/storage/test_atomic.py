"""Atomic writing: the old file or the new one, never a part, never a leftover."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stylegan_core.storage import atomic
from stylegan_core.storage.atomic import defer_folder_syncs, write_atomically, write_bytes_atomically
from stylegan_core.storage.cache import cache_folder


def test_the_whole_file_or_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.tmp.png"
    write_bytes_atomically(path, b"old")

    def fail(temporary: Path) -> None:
        assert temporary.suffix == ".png"
        assert temporary.parent == path.parent
        assert temporary != path
        temporary.write_bytes(b"ne")
        assert path.read_bytes() == b"old"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]
    write_bytes_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_the_cache_lies_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    assert cache_folder("train", "key") == tmp_path / "cache" / "train" / "key"
    assert (tmp_path / "cache" / "train" / "key").is_dir()


def test_folders_are_synced_at_once_or_left_to_the_caller_of_this_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(atomic, "fsync_folder", synced.append)
    with defer_folder_syncs() as deferred:
        for name in ("a/1", "a/2", "b/3"):
            write_bytes_atomically(tmp_path / name, b"x")
        other = threading.Thread(target=write_bytes_atomically, args=(tmp_path / "c/4", b"x"))
        other.start()
        other.join()
        assert deferred == {tmp_path / "a", tmp_path / "b"}
        assert synced == [tmp_path / "c"]
    write_bytes_atomically(tmp_path / "a/5", b"x")
    assert synced == [tmp_path / "c", tmp_path / "a"]
