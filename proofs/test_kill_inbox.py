"""SIGKILL of two watchers of one hot folder at random moments: each frame is made once, each shot marked once."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import time
from collections import Counter

import pytest

from stylegan_core.inference.delivery.verify import verify
from stylegan_core.storage.hashing import sha256_of
from stylegan_core.storage.records import read_records

KILLS = 25
FRAMES = 200
SETTLE_S = 2
SHOTS = ("sh010", "sh020")
pytestmark = pytest.mark.timeout(1700)


@pytest.fixture
def film(tmp_path, tiny_model_folder, monkeypatch):
    """A project with the model ``oil``."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    shutil.copytree(tiny_model_folder, tmp_path / "film/models/oil")
    (tmp_path / "film/params.yaml").write_text("{}\n")
    return tmp_path / "film"


@pytest.fixture
def inbox(tmp_path, make_plates):
    """An inbox with two shots of different frames."""
    for shot, plates in zip(SHOTS, (make_plates(FRAMES), make_plates(FRAMES // 2)), strict=True):
        shutil.copytree(plates, tmp_path / "inbox/oil" / shot)
    return tmp_path / "inbox"


@pytest.fixture(scope="module")
def start():
    """Starts the command line in a process forked from one that has done its imports."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["flows.inbox", "stylegan_core.recipes.keyframe", "tasks.stylize.stylize"])

    def started(film, inbox, *options):
        arguments = ["stylereel", "inbox", str(inbox), "--settle-s", str(SETTLE_S), "--every-s", "0.2", *options]
        code = f"import os, sys; os.chdir({str(film)!r}); sys.argv = {arguments}\n"
        # A function of the language: what is defined in this file cannot be imported there.
        process = server.Process(target=exec, args=(code + "from flows.cli.main import main\nmain()",))
        process.start()
        return process

    return started


def recorded_bytes(done):
    return sum(path.stat().st_size for path in done.glob("oil/*/.stylereel/records-*.jsonl"))


def markers(done):
    return sorted(path.name for path in done.glob("oil/*.txt"))


def kill_one(watchers, done, rng):
    """SIGKILL to one of the watchers, some records and some milliseconds later; its place in the list."""
    before, records, patience_s = recorded_bytes(done), rng.choice([0, 1, 3, 8, 13]), time.monotonic() + 60
    while recorded_bytes(done) < before + records * 600 and time.monotonic() < patience_s:
        if markers(done) == expected_markers():
            break
        time.sleep(0.001)
    time.sleep(rng.random() * 0.3)
    index = rng.randrange(len(watchers))
    watchers[index].kill()
    watchers[index].join()
    return index


def expected_markers():
    return [f"{shot}.done.txt" for shot in SHOTS]


def wait_until_marked(done, within_s=600):
    until_s = time.monotonic() + within_s
    while markers(done) != expected_markers():
        assert time.monotonic() < until_s, markers(done)
        time.sleep(0.05)


def test_watchers_that_are_killed_at_random_moments(film, inbox, start, tmp_path, seed):
    done, rng = tmp_path / "done", random.Random(seed)
    watchers, seen, killed = [start(film, inbox), start(film, inbox)], [], 0
    try:
        while killed < KILLS and markers(done) != expected_markers():
            index = kill_one(watchers, done, rng)
            killed += 1
            seen.append(sum(len(read_records(done / "oil" / shot)) for shot in SHOTS))
            for shot in SHOTS:
                for record in read_records(done / "oil" / shot):
                    assert sha256_of(done / "oil" / shot / record.frame) == record.made.sha256
            watchers[index] = start(film, inbox)
        wait_until_marked(done)
        records = recorded_bytes(done)
        time.sleep(3 * SETTLE_S)  # looks go on, and find nothing
        assert recorded_bytes(done) == records
        for watcher in watchers:
            watcher.terminate()
            watcher.join(60)
            assert watcher.exitcode == 3
    finally:
        for watcher in watchers:
            watcher.kill()
            watcher.join()
    print(f"{killed} kills; records after each: {seen}")
    assert killed >= KILLS - 5, "the shots were done before the last kills: more frames are needed"
    for shot in SHOTS:
        output, plates = done / "oil" / shot, {path.name for path in (inbox / "oil" / shot).iterdir()}
        times = Counter(record.frame for record in read_records(output))
        assert times == dict.fromkeys(plates, 1), "every frame exactly once"
        assert {path.name for path in output.iterdir() if path.is_file()} == plates
        assert not verify(output).wrong
        assert not list((output / ".stylereel/temporary").glob("*"))
    start_once = start(film, inbox, "--once")
    start_once.join(120)
    assert start_once.exitcode == 0
    assert recorded_bytes(done) == records


def test_a_stop_while_frames_are_made(film, inbox, start, tmp_path):
    done = tmp_path / "done"
    watcher = start(film, inbox)
    try:
        until_s = time.monotonic() + 120
        while recorded_bytes(done) < 2000:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        watcher.terminate()
        watcher.join(60)
        assert watcher.exitcode == 3
        assert markers(done) == []
        assert not verify(done / "oil/sh010").temporaries
        watcher = start(film, inbox)
        wait_until_marked(done)
    finally:
        watcher.kill()
        watcher.join()
    times = Counter(record.frame for record in read_records(done / "oil/sh010"))
    assert set(times.values()) == {1}
    assert len(times) == FRAMES
