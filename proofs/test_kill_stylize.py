"""SIGKILL during stylize at 50 random moments: no partial file under a final name, a rerun ends with every frame."""

from __future__ import annotations

import multiprocessing
import random
import time

import pytest

from stylegan_core.storage.hashing import sha256_of
from stylegan_core.storage.records import read_records

KILLS = 50
FRAMES = 400
RECORD_BYTES = 600
pytestmark = pytest.mark.timeout(1700)


@pytest.fixture(scope="module")
def start():
    """Starts the command line in a process forked from one that has done its imports: 20 starts in a minute."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["flows.cli.stylize", "stylegan_core.recipes.keyframe", "tasks.stylize.stylize"])

    def started(plates, output, model, strength):
        arguments = ["stylize", str(plates), str(output), "--model", str(model), "--back-end", "torch"]
        arguments += ["--strength", strength]
        code = f"import sys; sys.argv = {['stylereel', *arguments, '--chunk-frames', '16', '--no-preview']}\n"
        # A function of the language: what is defined in this file cannot be imported there.
        process = server.Process(target=exec, args=(code + "from flows.cli.main import main\nmain()",))
        process.start()
        return process

    return started


def finish(process):
    process.join(300)
    assert process.exitcode == 0


def recorded_bytes(output):
    """The size of the records: cheap to poll many times a second, unlike their content."""
    return sum(path.stat().st_size for path in (output / ".stylereel").glob("records-*.jsonl"))


def kill_at_a_random_moment(process, output, before, rng):
    """Kills some frames and some milliseconds after the start; False if the process had ended by itself."""
    after_frames, after_s = rng.choice([0, 1, 2, 3, 5, 8, 11]), rng.random() * 0.1
    while process.is_alive():
        if (output / ".stylereel").exists() and recorded_bytes(output) >= before + after_frames * RECORD_BYTES:
            break
        time.sleep(0.001)
    time.sleep(after_s)
    running = process.is_alive()
    process.kill()
    process.join()
    return running


def test_sigkill_at_random_moments(start, make_plates, outputs, tiny_model_folder, tmp_path, seed):
    plates, rng = make_plates(FRAMES), random.Random(seed)
    expected = []
    for strength in ("1.0", "0.5"):
        reference = tmp_path / f"reference-{strength}"
        finish(start(plates, reference, tiny_model_folder, strength))
        expected.append(outputs(reference))
        assert len(expected[-1]) == FRAMES
    output, seen, killed = tmp_path / "out", [], 0
    for phase, strength in enumerate(("1.0", "0.5")):  # a fresh run, then one that replaces every frame
        allowed = expected[: phase + 1]
        for _ in range(KILLS // 2):
            before = recorded_bytes(output)
            process = start(plates, output, tiny_model_folder, strength)
            running = kill_at_a_random_moment(process, output, before, rng)
            killed += running
            there = outputs(output)
            for name, content in there.items():
                assert any(content == whole[name] for whole in allowed), f"{name} is partial after kill {killed}"
            assert phase == 0 or len(there) == FRAMES, "a frame that was done is gone"
            if phase == 0:
                for record in read_records(output):
                    assert sha256_of(output / record.frame) == record.made.sha256, "recorded before it was in place"
            seen.append(len(there) if phase == 0 else sum(there[n] == allowed[1][n] for n in there))
            if not running:  # before its moment came
                break
        finish(start(plates, output, tiny_model_folder, strength))
        assert outputs(output) == expected[phase]
        assert not list((output / ".stylereel" / "temporary").iterdir())
    print(f"{killed} kills; frames of the run in place after each: {seen}")
    assert killed >= KILLS - 1, "the run ended before the last kills: more frames are needed"
    assert len(set(seen)) >= KILLS // 2, "the moments were not spread over the run"
