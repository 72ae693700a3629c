"""File states: what counts as unchanged, and the form in records."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from stylegan_core.storage import file_state
from stylegan_core.storage.file_state import FileState


def test_the_state_is_that_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"picture")
    os.utime(path, ns=(5, 7))
    expected = FileState(7, 7, hashlib.sha256(b"picture").hexdigest())
    assert FileState.of(path) == expected
    monkeypatch.setattr(file_state, "_LARGE_BYTES", 1)  # the digest of large files is cached
    assert FileState.of(path) == expected == FileState.of(path)
    assert FileState.parse(expected.as_list()) == expected


@pytest.mark.parametrize("value", [None, [], [1, 2], [1, 2, 3], ["1", 2, "a"], [1, 2, "a", 4], {"size": 1}])
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        FileState.parse(value)


def test_a_touched_file_is_unchanged_and_has_its_new_time(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"picture")
    state = FileState.of(path)
    assert state.unchanged(path, checksum=False) is state
    os.utime(path, ns=(5, 7))
    assert state.unchanged(path, checksum=False) == FileState(7, 7, state.sha256)
    path.write_bytes(b"another")
    assert state.unchanged(path, checksum=False) is None
    os.utime(path, ns=(state.mtime_ns, state.mtime_ns))
    assert state.unchanged(path, checksum=False) is state
    assert state.unchanged(path, checksum=True) is None
    path.unlink()
    assert state.unchanged(path, checksum=True) is None
