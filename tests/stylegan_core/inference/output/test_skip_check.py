import hashlib
import os

import pytest

from stylegan_core.inference.output.skip_check import RecordIndex
from stylegan_core.storage.file_state import FileState
from stylegan_core.storage.frame_record import FrameRecord
from stylegan_core.storage.records import RecordWriter, read_records


@pytest.fixture
def done(tmp_path):
    source, made, mask = tmp_path / "in.png", tmp_path / "out.png", tmp_path / "mask.png"
    for path in (source, made, mask):
        path.write_bytes(path.name.encode())
    return source, made, mask


def record_of(source, made, mask=None, *, model="m", settings="s"):
    return FrameRecord(
        "a/f.png",
        made=FileState.of(made),
        source=FileState.of(source),
        mask=mask and FileState.of(mask),
        model=model,
        settings=settings,
        job="j",
        context={"commit": "c"},
    )


def check(records, source, made, mask=None, *, model="m", settings="s", checksum=False):
    return RecordIndex(records).check(
        "a/f.png", made=made, source=source, mask=mask, model=model, settings=settings, checksum=checksum
    )


def test_a_recorded_frame_is_done_and_its_record_survives_the_file(tmp_path, done):
    source, made, mask = done
    with RecordWriter(tmp_path) as writer:
        writer.append(record_of(source, made, mask))
    records = read_records(tmp_path)
    kept = check(records, source, made, mask)
    assert kept is records[0]
    assert kept.source.sha256 == hashlib.sha256(b"in.png").hexdigest()
    assert check(records, source, made, mask, checksum=True) is not None


@pytest.mark.parametrize("changed", ["source", "made", "mask"])
def test_a_changed_file_of_equal_size_is_noticed(done, changed):
    source, made, mask = done
    records = [record_of(source, made, mask)]
    path = {"source": source, "made": made, "mask": mask}[changed]
    path.write_bytes(b"x" * path.stat().st_size)
    os.utime(path, ns=(1, 1))
    assert check(records, source, made, mask) is None


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_missing_file_is_noticed(done, gone):
    records = [record_of(*done)]
    done[gone].unlink()
    assert check(records, *done) is None


def test_another_model_setting_or_mask_is_noticed(done):
    source, made, mask = done
    records = [record_of(source, made)]
    assert check(records, source, made) is not None
    assert check(records, source, made, model="n") is None
    assert check(records, source, made, settings="t") is None
    assert check(records, source, made, mask) is None
    assert check([record_of(source, made, mask)], source, made) is None
    assert check([], source, made) is None


def test_touched_files_are_hashed_once_and_the_new_times_are_returned(done):
    source, made, _ = done
    records = [record_of(source, made)]
    os.utime(source, ns=(5, 5))
    kept = check(records, source, made)
    assert kept is not None
    assert kept is not records[0]
    assert kept.source.mtime_ns == 5
    assert kept.source.sha256 == records[0].source.sha256


def test_sizes_and_times_are_trusted_without_checksum(done):
    source, made, _ = done
    records = [record_of(source, made)]
    status = source.stat()
    source.write_bytes(b"x" * status.st_size)
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert check(records, source, made) is not None
    assert check(records, source, made, checksum=True) is None


def test_only_the_newest_record_counts(done):
    source, made, _ = done
    first = record_of(source, made, settings="old")
    made.write_bytes(b"another")
    second = record_of(source, made, settings="new")
    assert check([first, second], source, made, settings="new") is second
    assert check([first, second], source, made, settings="old") is None
