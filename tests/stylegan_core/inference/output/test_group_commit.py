"""Frames are recorded in groups, after the sync of their folders; a bad record fails alone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stylegan_core.inference.output import group_commit as commit
from stylegan_core.inference.output.group_commit import GroupCommitter
from stylegan_core.storage.frame_record import FrameRecord
from stylegan_core.storage.records import RecordWriter, read_records
from tests.stylegan_core.storage.sample_records import sample_record


def test_frames_that_wait_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go, events, results = threading.Event(), threading.Event(), [], []

    def sync(folder: Path) -> None:
        events.append(("sync", folder.name))
        begun.set()
        assert go.wait(10)

    plain = RecordWriter.append

    def append(writer: RecordWriter, *records: FrameRecord) -> None:
        events.append(("record", *(record.frame for record in records)))
        plain(writer, *records)

    monkeypatch.setattr(commit, "fsync_folder", sync)
    monkeypatch.setattr(RecordWriter, "append", append)
    with RecordWriter(tmp_path) as writer:
        committer = GroupCommitter(writer)
        futures = [committer.commit([tmp_path / "a"], sample_record(0), results.append)]
        assert begun.wait(10)  # the first is at the disk: the others wait for each other
        futures += [committer.commit([tmp_path / "b"], sample_record(n), results.append) for n in range(1, 9)]
        assert not any(future.done() for future in futures)
        go.set()
        committer.close()
        assert all(future.result(0) is None for future in futures)
        assert results == [None] * 9
    assert events == [("sync", "a"), ("record", "0"), ("sync", "b"), ("record", *map(str, range(1, 9)))]
    assert [int(record.frame) for record in read_records(tmp_path)] == list(range(9))


def test_a_bad_record_fails_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()
    monkeypatch.setattr(commit, "fsync_folder", lambda folder: (begun.set(), go.wait(10)))
    with RecordWriter(tmp_path) as writer:
        committer = GroupCommitter(writer)
        results: dict[str, Exception | None] = {}
        committer.commit([tmp_path], sample_record(0), lambda error: None)
        assert begun.wait(10)
        committer.commit([tmp_path], sample_record(1), lambda error: results.update(good=error))
        committer.commit(
            [tmp_path], sample_record("bad", unknown={"seconds": float("nan")}), lambda error: results.update(bad=error)
        )
        go.set()
        committer.close()
    assert results["good"] is None
    assert isinstance(results["bad"], ValueError)
    assert sorted(record.frame for record in read_records(tmp_path)) == ["0", "1"]


def test_a_full_disk_is_reported_to_every_frame_that_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(writer: RecordWriter, *records: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RecordWriter, "append", full)
    with RecordWriter(tmp_path) as writer:
        committer = GroupCommitter(writer)
        results: list[Exception | None] = []
        for number in range(3):
            committer.commit([tmp_path], sample_record(number), results.append)
        committer.close()
        assert len(results) == 3
        assert all(isinstance(error, OSError) for error in results)


def test_a_callback_may_raise_like_a_task_of_any_pool(tmp_path: Path) -> None:
    def fail(error: Exception | None) -> None:
        raise KeyError("a progress bar, say")

    with RecordWriter(tmp_path) as writer:
        committer = GroupCommitter(writer)
        assert isinstance(committer.commit([tmp_path], sample_record(1), fail).exception(10), KeyError)
        assert committer.commit([tmp_path], sample_record(2), lambda error: None).exception(10) is None
        committer.close()
    assert len(read_records(tmp_path)) == 2
