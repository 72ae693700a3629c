"""The flow of a hot folder: real shots through a tiny model, by looks of separate inboxes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from flows.inbox import look_once, open_inbox
from flows.runners.run_stage import run_stage
from stylegan_core.frames.movies.probe import probe_movie
from stylegan_core.inference.delivery.verify import verify
from stylegan_core.storage.records import read_records
from tasks.inbox.inbox import Inbox
from tasks.shared.errors import InputsFailedError
from tests.stylegan_core.frames.movies.sample_movies import COUNT, make_movie

FRAMES = 5


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.fixture
def project(tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the model ``oil``, and its inbox."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    root = tmp_path / "film"
    shutil.copytree(tiny_model_folder, root / "models" / "oil")
    (root / "params.yaml").write_text("{}\n")
    (tmp_path / "inbox").mkdir()
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def drop(project: Path, noise_picture: Callable[..., Any]) -> Callable[..., Path]:
    """``drop(name)`` puts a shot into the inbox, or adds the frames that it lacks."""

    def make(name: str, frames: int = FRAMES) -> Path:
        shot = project.parent / "inbox" / name
        shot.mkdir(parents=True, exist_ok=True)
        for number in range(1, frames + 1):
            path = shot / f"a.{number:04d}.png"
            if not path.exists():
                cv2.imwrite(str(path), noise_picture(number))
        return shot

    return make


@pytest.fixture
def opened(project: Path) -> Callable[[], Inbox]:
    return lambda: open_inbox(project.parent / "inbox", None, settle_s=0.05, run=run_stage)


def look(opened: Callable[[], Inbox]) -> Any:
    time.sleep(0.06)
    return look_once(opened())


def test_a_folder_and_its_later_frames(project: Path, drop: Callable[..., Path], opened: Callable[[], Inbox]) -> None:
    drop("oil/sh010")
    assert look(opened).finished == []
    assert look(opened).finished == ["oil/sh010"]
    done = project.parent / "done"
    first = outputs(done / "oil/sh010")
    assert sorted(first) == [f"a.{number:04d}.png" for number in range(1, FRAMES + 1)]
    assert not verify(done / "oil/sh010").wrong
    drop("oil/sh010", FRAMES + 2)
    look(opened)
    assert look(opened).finished == ["oil/sh010"]
    assert "made:      2\nbefore:    5" in (done / "oil/sh010.done.txt").read_text()
    assert {name: outputs(done / "oil/sh010")[name] for name in first} == first
    frames = [record.frame for record in read_records(done / "oil/sh010")]
    assert len(frames) == len(set(frames)) == FRAMES + 2, "each frame was made once"


def test_a_movie(project: Path, opened: Callable[[], Inbox]) -> None:
    (project.parent / "inbox/oil").mkdir()
    make_movie(project.parent / "inbox/oil/sh020.mp4", "libx264", "yuv420p")
    look(opened)
    assert look(opened).finished == ["oil/sh020.mp4"]
    assert len(probe_movie(project.parent / "done/oil/sh020.mp4").pts) == COUNT


def test_names_that_mean_patterns_or_movies_elsewhere(
    project: Path, drop: Callable[..., Path], opened: Callable[[], Inbox]
) -> None:
    for name in ("oil/sh@010", "oil/sh.####", "oil/sh010.mov", "oil/sh010.png", "oil/sh 010 é"):
        drop(name, 1)
    look(opened)
    assert len(look(opened).finished) == 5
    assert (project.parent / "done/oil/sh.####/a.0001.png").is_file()


def test_damaged_frames_fail_their_shot_and_broken_links_are_among_them(
    project: Path, drop: Callable[..., Path], opened: Callable[[], Inbox]
) -> None:
    shot = drop("oil/sh010")
    (shot / "a.0002.png").write_bytes(b"text")
    (shot / "a.0006.png").symlink_to("nothing")
    os.mkfifo(drop("oil/sh015") / "a.0009.png")
    drop("oil/sh020")
    look(opened)
    with pytest.raises(InputsFailedError, match=r"1 of 2 shots failed, see their markers in .*done: oil/sh010"):
        look(opened)
    done = project.parent / "done/oil"
    text = (done / "sh010.failed.txt").read_text()
    assert "2 of 6 inputs failed" in text
    assert "a.0006.png: " in text
    assert len(list((done / "sh010").glob("*.png"))) == 4
    assert (done / "sh020.done.txt").is_file()
    assert "a.0009.png, which is not a file" in (done / "sh015.failed.txt").read_text()
    assert look(opened).failed == {}, "not tried again"


def test_files_of_others_in_the_output_are_not_replaced(
    project: Path, drop: Callable[..., Path], opened: Callable[[], Inbox]
) -> None:
    drop("oil/sh010")
    foreign = project.parent / "done/oil/sh010/a.0001.png"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"of an artist")
    look(opened)
    with pytest.raises(InputsFailedError):
        look(opened)
    assert foreign.read_bytes() == b"of an artist"
    assert (project.parent / "done/oil/sh010.failed.txt").is_file()
