"""Records: nothing written is lost, nothing torn or changed is believed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stylegan_core.storage import records
from stylegan_core.storage.file_state import FileState
from stylegan_core.storage.hashing import sha256_of
from stylegan_core.storage.records import RecordTail, RecordWriter, newest_by_frame, read_records
from tests.stylegan_core.storage.sample_records import sample_record

MASK = FileState(3, 4, "1" * 64)


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    assert read_records(tmp_path) == []
    with RecordWriter(tmp_path) as writer, RecordWriter(tmp_path) as other:
        writer.append(first := sample_record("ä\nb.png", unknown={"n": 1, "nested": {"list": [1.5, None, True]}}))
        other.append(sample_record("other"))
        writer.append(sample_record("second", mask=MASK, regions=(None, MASK), context={"git_commit": "c"}))
        assert writer.path != other.path
        assert writer.path.parent == tmp_path / ".stylereel"
    found = read_records(tmp_path)
    assert first in found
    assert len(found) == 3
    assert sample_record("second", mask=MASK, regions=(None, MASK), context={"git_commit": "c"}) in found


def test_the_bytes_of_a_record_are_the_published_format(tmp_path: Path) -> None:
    with RecordWriter(tmp_path) as writer:
        writer.append(sample_record("a.png", regions=(MASK, None), context={"git_commit": "c"}, unknown={"later": 1}))
        writer.append(sample_record("b.png", mask=MASK))
    zeros, mask = "0" * 64, f'[3,4,"{"1" * 64}"]'
    made = f'"made":[1,2,"{zeros}"]'
    lines = [
        '{"context":{"git_commit":"c"},"frame":"a.png","job":"j","later":1,'
        f'{made},"mask":null,"model":"m","regions":[{mask},null],"settings":"s","source":[1,2,"{zeros}"]}}',
        '{"context":{},"frame":"b.png","job":"j",'
        f'{made},"mask":{mask},"model":"m","settings":"s","source":[1,2,"{zeros}"]}}',
    ]
    checksums = [hashlib.sha256(line.encode()).hexdigest()[:16] for line in lines]
    assert writer.path.read_text() == "".join(f"{c} {line}\n" for c, line in zip(checksums, lines, strict=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"frame": 1},
        {"made": None},
        {"source": [1, 2]},
        {"mask": "m"},
        {"context": []},
        {"regions": {}},
        {"job": None},
    ],
)
def test_a_line_that_is_no_frame_record_is_skipped(tmp_path: Path, changes: dict[str, object]) -> None:
    text = json.dumps(sample_record("a.png").dump() | changes)
    (tmp_path / ".stylereel").mkdir()
    line = f"{hashlib.sha256(text.encode()).hexdigest()[:16]} {text}\n"
    (tmp_path / ".stylereel" / "records-host-1.jsonl").write_text(line)
    with RecordWriter(tmp_path) as writer:
        writer.append(sample_record("b.png"))
    assert read_records(tmp_path) == [sample_record("b.png")]


def test_a_writer_without_records_leaves_no_file(tmp_path: Path) -> None:
    RecordWriter(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


def test_a_torn_last_line_is_ignored_wherever_it_is_torn(tmp_path: Path) -> None:
    with RecordWriter(tmp_path) as writer:
        writer.append(sample_record(1))
        first = writer.path.stat().st_size
        writer.append(sample_record(2))
    content = writer.path.read_bytes()
    for length in range(first, len(content) - 1):
        writer.path.write_bytes(content[:length])
        assert read_records(tmp_path) == [sample_record(1)]


def test_a_changed_bit_costs_one_record_at_most(tmp_path: Path) -> None:
    with RecordWriter(tmp_path) as writer:
        for number in range(3):
            writer.append(sample_record(number))
    content = writer.path.read_bytes()
    for bit in range(len(content) * 8):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        writer.path.write_bytes(changed)
        found = read_records(tmp_path)
        # A changed line end joins two lines.
        assert len(found) >= 1
        assert all(record in [sample_record(0), sample_record(1), sample_record(2)] for record in found)


def test_a_full_disk_costs_only_the_torn_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with RecordWriter(tmp_path) as writer:
        writer.append(sample_record(1))
        monkeypatch.setattr(records.os, "write", lambda file, line: write(file, line[:9]))
        with pytest.raises(OSError, match="bytes were written"):
            writer.append(sample_record(2))
        monkeypatch.setattr(records.os, "write", write)
        writer.append(sample_record(3))
    assert read_records(tmp_path) == [sample_record(1), sample_record(3)]


def test_threads_share_a_writer(tmp_path: Path) -> None:
    with RecordWriter(tmp_path) as writer, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: writer.append(sample_record(number)), range(40)))
    assert sorted(int(record.frame) for record in read_records(tmp_path)) == list(range(40))


def test_a_killed_writer_keeps_what_it_wrote(tmp_path: Path) -> None:
    program = (
        "import sys, itertools; from pathlib import Path; from stylegan_core.storage.records import RecordWriter\n"
        "from tests.stylegan_core.storage.sample_records import sample_record\n"
        "writer = RecordWriter(Path(sys.argv[1]))\n"
        "for n in itertools.count():\n    writer.append(sample_record(n))\n    print(n, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        seen = [int(child.stdout.readline()) for _ in range(20)]
        child.send_signal(signal.SIGKILL)
    found = [int(record.frame) for record in read_records(tmp_path)]
    assert found == list(range(len(found)))
    assert len(found) >= len(seen)


def test_what_is_not_json_is_refused(tmp_path: Path) -> None:
    with RecordWriter(tmp_path) as writer:
        with pytest.raises(ValueError, match="JSON"):
            writer.append(sample_record(0, unknown={"seconds": float("nan")}))
        writer.append(sample_record(1))
    assert read_records(tmp_path) == [sample_record(1)]


def test_sha256(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000
    (tmp_path / "a").write_bytes(content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_a_tail_gives_each_record_once_and_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    tail = RecordTail(tmp_path)
    assert tail.new() == []
    with RecordWriter(tmp_path) as writer, RecordWriter(tmp_path) as other:
        writer.append(sample_record("a"), sample_record("b"))
        other.append(sample_record("c"))
        assert sorted(record.frame for record in tail.new()) == ["a", "b", "c"]
        assert tail.new() == []
        writer.append(sample_record("d"))
        content = writer.path.read_bytes()
        writer.path.write_bytes(content[:-5])  # it is still being written
        assert tail.new() == []
        writer.path.write_bytes(content[:-1])
        assert tail.new() == [sample_record("d")]
        writer.path.write_bytes(content)
        assert tail.new() == []
        other.append(sample_record("e"))
        assert tail.new() == [sample_record("e")]


def test_records_of_a_group_cost_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RecordWriter(tmp_path) as writer:
        writer.append(sample_record(0))
        synced = []
        monkeypatch.setattr(records.os, "fsync", lambda handle: synced.append(writer.path.stat().st_size))
        writer.append(*(sample_record(number) for number in range(1, 50)))
    assert synced == [writer.path.stat().st_size]
    assert [record.frame for record in read_records(tmp_path)] == [str(number) for number in range(50)]


def test_the_newest_record_of_a_frame_counts() -> None:
    older, newer, other = sample_record("a", job="1"), sample_record("a", job="2"), sample_record("b")
    assert newest_by_frame([older, other, newer]) == {"a": newer, "b": other}
