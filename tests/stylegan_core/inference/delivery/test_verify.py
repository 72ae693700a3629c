"""Verification of output folders."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from stylegan_core.inference.delivery.verify import NoRecordsError, verify
from stylegan_core.storage.file_state import FileState
from stylegan_core.storage.records import RecordWriter
from tests.stylegan_core.storage.sample_records import sample_record


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Six frames in two folders, all whole."""
    folder = tmp_path / "out"
    with RecordWriter(folder) as writer:
        for number in range(6):
            path = folder / f"sub{number % 2}" / f"f.{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"older" * 20)
            writer.append(sample_record(path.relative_to(folder).as_posix(), made=FileState.of(path)))
            path.write_bytes(b"%d" % number * 100)
            writer.append(sample_record(path.relative_to(folder).as_posix(), made=FileState.of(path)))
    return folder


def test_a_whole_folder(output: Path) -> None:
    verdict = verify(output)
    assert len(verdict.whole) == 6
    assert verdict.wrong == ()
    assert verdict.foreign == ()
    assert verdict.temporaries == ()


def test_every_problem_is_named(output: Path) -> None:
    (output / "sub0/f.0.png").unlink()
    changed = output / "sub1/f.1.png"
    before = changed.stat()
    changed.write_bytes(b"x" + changed.read_bytes()[1:])
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))  # size and time as recorded: only the bytes tell
    (output / "sub0/f.2.png").write_bytes(b"older" * 20)  # what an older record knows is not what was written last
    (output / "sub1/f.3.png").unlink()
    (output / "sub1/f.3.png").mkdir()
    (output / "notes.txt").write_text("mine")
    (output / ".DS_Store").write_text("hidden")
    (output / ".stylereel/temporary").mkdir()
    (output / ".stylereel/temporary/.f.9.tmp.png").write_bytes(b"half")
    verdict = verify(output)
    assert verdict.missing == ("sub0/f.0.png",)
    assert verdict.changed == ("sub0/f.2.png", "sub1/f.1.png")
    assert [(failure.path.name, failure.reason) for failure in verdict.unreadable] == [("f.3.png", "Is a directory")]
    assert verdict.foreign == ("notes.txt",)
    assert verdict.temporaries == (".f.9.tmp.png",)
    assert verdict.whole == ("sub0/f.4.png", "sub1/f.5.png")
    assert [failure.path.name for failure in verdict.wrong] == ["f.0.png", "f.2.png", "f.1.png", "f.3.png"]
    assert json.loads(json.dumps(verdict.as_dict()))["changed"] == list(verdict.changed)


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(NoRecordsError, match="no records"):
        verify(tmp_path)


def test_a_movie_is_checked_with_the_frames_that_it_was_made_of(tmp_path: Path) -> None:
    movie, frames = tmp_path / "out.mkv", tmp_path / ".out.mkv.frames"
    with RecordWriter(frames) as writer:
        frames.mkdir()
        (frames / "0001.mkv").write_bytes(b"frame")
        writer.append(sample_record("0001.mkv", made=FileState.of(frames / "0001.mkv")))
    movie.write_bytes(b"movie")
    said = {"key": "k", "made": FileState.of(movie).as_list(), "movie": str(movie)}
    (frames / ".stylereel/movie.json").write_text(json.dumps(said))
    for output in (movie, frames):
        verdict = verify(output)
        assert verdict.whole == ("0001.mkv",)
        assert verdict.wrong == ()
        assert verdict.foreign == ()
    movie.write_bytes(b"other")
    (problem,) = verify(movie).wrong
    assert (problem.path, problem.reason) == (movie, "differs from what was written")
    assert json.loads(json.dumps(verify(movie).as_dict()))["movie"] == "differs from what was written"
    movie.unlink()
    assert [failure.reason for failure in verify(movie).wrong] == ["missing"]


def test_signatures_next_to_frames_are_not_foreign(output: Path) -> None:
    (output / "sub0/f.0.c2pa").write_bytes(b"manifest")
    (output / "sub0/g.0.c2pa").write_bytes(b"somebody's own")
    assert verify(output).foreign == ("sub0/g.0.c2pa",)
