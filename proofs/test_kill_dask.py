"""SIGKILL to two Dask workers at 50 random moments: each costs only the unfinished frames of its chunk."""

from __future__ import annotations

import collections
import random
import time

import psutil
import pytest

from stylegan_core.storage.records import RecordTail, read_records

KILLS = 50
FRAMES = 600
CHUNK_FRAMES = 16
pytestmark = pytest.mark.timeout(1700)


def workers_of(process):
    """The workers: children of the command that run Dask's program."""
    try:
        children = psutil.Process(process.pid).children()
        return [child for child in children if "dask_worker" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def test_sigkill_at_workers(begin, call, make_plates, outputs, tiny_model_folder, tmp_path, seed):
    plates, rng = make_plates(FRAMES), random.Random(seed)
    asked = ("--model", tiny_model_folder, "--back-end", "torch", "--chunk-frames", CHUNK_FRAMES, "--no-preview")
    assert call("stylize", plates, tmp_path / "reference", *asked)[0] == 0
    expected, output, killed, seen = outputs(tmp_path / "reference"), tmp_path / "out", 0, []
    assert len(expected) == FRAMES
    process = begin("stylize", plates, output, *asked, "--runner", "dask", "--workers", 2, "--json")
    tail, recorded = RecordTail(output), 0
    try:
        # A kill needs frames in between: on a fast machine all would be done before the fiftieth.
        while killed < KILLS and process.poll() is None:
            wanted = recorded + rng.choice([0, 1, 2, 3, 5, 8])
            while recorded < wanted and process.poll() is None:
                recorded += len(tail.new())
                time.sleep(0.005)
            time.sleep(rng.random() * 0.1)
            workers = workers_of(process)
            if not workers:
                continue
            victim = rng.choice(workers)
            try:
                victim.kill()
            except psutil.NoSuchProcess:
                continue
            killed += 1
            recorded += len(tail.new())
            seen.append(recorded)
            there = outputs(output)
            for name, content in there.items():
                assert content == expected[name], f"{name} is partial after kill {killed}"
        err = process.communicate(timeout=900)[1]
    finally:
        for child in [*workers_of(process), process]:
            child.kill()
    assert process.returncode == 0, err[-3000:]
    print(f"{killed} kills; frames recorded at each: {seen}")
    assert killed == KILLS, "the run ended before the last kill: more frames are needed"
    assert outputs(output) == expected
    twice = [name for name, n in collections.Counter(r.frame for r in read_records(output)).items() if n > 1]
    assert not twice, f"made again although they were recorded: {twice}"
    assert not list((output / ".stylereel" / "temporary").iterdir())
    assert call("verify", output)[0] == 0
