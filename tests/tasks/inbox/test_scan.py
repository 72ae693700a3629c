"""What is a shot of an inbox, and what is reported instead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.inbox.scan import scan


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "oil" / "sh010").mkdir(parents=True)
    (tmp_path / "oil" / "sh020.MOV").write_bytes(b"")
    (tmp_path / "last" / "sh010").mkdir(parents=True)
    return tmp_path


def test_folders_and_movies_below_a_model_are_shots(inbox: Path) -> None:
    found = scan(inbox)
    assert [shot.name for shot in found.shots] == ["last/sh010", "oil/sh010", "oil/sh020.MOV"]
    assert [shot.model for shot in found.shots] == ["last", "oil", "oil"]
    assert found.problems == {}


def test_hidden_entries_and_those_of_desktops_are_ignored(inbox: Path) -> None:
    (inbox / ".stylereel").mkdir()
    (inbox / "oil" / ".sh030.mov.Xy3").write_bytes(b"")
    (inbox / "oil" / ".hidden").mkdir()
    (inbox / "oil" / "Thumbs.db").write_bytes(b"")
    assert len(scan(inbox).shots) == 3
    assert scan(inbox).problems == {}


def test_other_entries_are_problems_and_do_not_stop_the_rest(inbox: Path) -> None:
    (inbox / "loose.mov").write_bytes(b"")
    (inbox / "broken").symlink_to("nothing")
    (inbox / "oil" / "frame.0001.exr").write_bytes(b"")
    (inbox / "oil" / "notes.txt").write_bytes(b"")
    (inbox / "oil" / "gone.mov").symlink_to("nothing")
    os.mkfifo(inbox / "oil" / "pipe.mov")
    (inbox / "oil" / ("x" * 201)).mkdir()
    (inbox / "oil" / os.fsdecode(b"caf\xe9")).mkdir()
    found = scan(inbox)
    assert len(found.shots) == 3
    assert {name: reason.split(":")[0] for name, reason in found.problems.items()} == {
        "loose.mov": "is not a folder",
        "broken": "is not a folder",
        "oil/frame.0001.exr": "is a single frame",
        "oil/notes.txt": "is neither a folder of frames nor a movie that stylereel reads",
        "oil/gone.mov": "is a link to nothing",
        "oil/pipe.mov": "is not a file or a folder",
        f"oil/{'x' * 50}...": "has a name of more than 200 bytes",
        "oil/caf\\xe9": "has a name that is not UTF-8, as records require",
    }


def test_a_folder_that_cannot_be_listed_is_a_problem(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir

    def refuse(folder: os.PathLike[str]) -> object:
        if Path(folder).name == "oil":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = scan(inbox)
    assert [shot.name for shot in found.shots] == ["last/sh010"]
    assert found.problems == {"oil": "cannot be read: Permission denied"}


def test_a_movie_that_cannot_be_written_in_its_container_becomes_mp4(inbox: Path) -> None:
    (inbox / "oil" / "sh040.webm").write_bytes(b"")
    (inbox / "oil" / "sh050.webm").mkdir()
    names = [shot.output_name for shot in scan(inbox).shots if shot.model == "oil"]
    assert names == ["oil/sh010", "oil/sh020.MOV", "oil/sh040.webm.mp4", "oil/sh050.webm"]
