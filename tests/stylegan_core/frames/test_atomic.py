"""Atomic writing: the old file or the new one, never a part, never a leftover."""

from __future__ import annotations

from pathlib import Path

import pytest

from stylegan_core.frames.atomic import write_atomically, write_bytes_atomically
from stylegan_core.frames.cache import cache_folder


def test_the_whole_file_or_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.tmp.png"
    write_bytes_atomically(path, b"old")

    def fail(temporary: Path) -> None:
        assert temporary.suffix == ".png" and temporary.parent == path.parent and temporary != path
        temporary.write_bytes(b"ne")
        assert path.read_bytes() == b"old"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]
    write_bytes_atomically(path, b"new")
    assert path.read_bytes() == b"new" and list(path.parent.iterdir()) == [path]


def test_the_cache_lies_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    assert cache_folder("train", "key") == tmp_path / "cache" / "train" / "key"
    assert (tmp_path / "cache" / "train" / "key").is_dir()
