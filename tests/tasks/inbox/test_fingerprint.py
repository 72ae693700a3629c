"""A fingerprint changes with every file of a shot, and with nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.inbox.fingerprint import NotAShotError, fingerprint


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    folder = tmp_path / "sh010"
    (folder / "left").mkdir(parents=True)
    for name in ("a.0001.png", "left/a.0001.png"):
        (folder / name).write_bytes(b"1234")
        os.utime(folder / name, ns=(10**18, 10**18))
    return folder


def test_sizes_times_and_names_count(shot: Path) -> None:
    first = fingerprint(shot)
    assert first.count == 2
    assert fingerprint(shot) == first
    os.utime(shot / "left/a.0001.png", ns=(10**18, 10**18 + 1))
    touched = fingerprint(shot)
    (shot / "a.0001.png").write_bytes(b"12345")
    os.utime(shot / "a.0001.png", ns=(10**18, 10**18))
    grown = fingerprint(shot)
    (shot / "a.0001.png").rename(shot / "a.0002.png")
    renamed = fingerprint(shot)
    assert len({one.files for one in (first, touched, grown, renamed)}) == 4


def test_a_hidden_file_is_growth_but_not_a_file_of_the_result(shot: Path) -> None:
    first = fingerprint(shot)
    (shot / ".a.0002.png.Xy3").write_bytes(b"")
    second = fingerprint(shot)
    assert second.files == first.files
    assert second.everything != first.everything


def test_a_folder_without_visible_files_has_no_files(tmp_path: Path) -> None:
    (tmp_path / ".part").write_bytes(b"")
    assert fingerprint(tmp_path).files == ""
    assert fingerprint(tmp_path).count == 0


def test_links_are_followed_but_not_in_circles(shot: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.symlink_to(shot)
    assert fingerprint(linked) == fingerprint(shot)
    before = fingerprint(shot)
    (shot / "left" / "up").symlink_to(shot)
    assert fingerprint(shot) == before


def test_a_link_to_nothing_is_an_entry_whose_repair_is_seen(shot: Path) -> None:
    (shot / "a.0003.png").symlink_to(shot / "missing")
    broken = fingerprint(shot)
    assert broken.count == 3
    (shot / "missing").write_bytes(b"1")
    assert fingerprint(shot).files != broken.files


@pytest.mark.parametrize("name", ["a.0009.png", "left/socket.txt"])
def test_a_fifo_is_refused_without_being_opened(shot: Path, name: str) -> None:
    os.mkfifo(shot / name)
    with pytest.raises(NotAShotError, match=f"holds {name}"):
        fingerprint(shot)


def test_a_movie_is_its_own_file(tmp_path: Path) -> None:
    movie = tmp_path / "sh020.mov"
    movie.write_bytes(b"12")
    first = fingerprint(movie)
    assert first.count == 1
    movie.write_bytes(b"123")
    assert fingerprint(movie).files != first.files
