"""Two runs into one folder at once: one job is shared or refused, of two jobs one is refused; outputs never mix."""

from __future__ import annotations

import collections
import random
import time

import pytest

from stylegan_core.storage.records import read_records

FRAMES = 96
ROUNDS = 8
MODEL = ("--back-end", "torch", "--model")
"""A fixed back end: frames are compared byte for byte."""
pytestmark = pytest.mark.timeout(1700)


@pytest.fixture(scope="module")
def plates(make_plates):
    return make_plates(FRAMES)


@pytest.fixture
def expected(call, outputs, plates, tiny_model_folder, tmp_path):
    found = {}
    for strength in ("1.0", "0.5"):
        folder = tmp_path / f"reference-{strength}"
        assert call("stylize", plates, folder, *MODEL, tiny_model_folder, "--strength", strength)[0] == 0
        found[strength] = outputs(folder)
    return found


def test_two_jobs_at_once_never_mix(begin, call, outputs, plates, expected, tiny_model_folder, tmp_path, seed):
    rng, output, refused = random.Random(seed), tmp_path / "out", 0
    for _ in range(ROUNDS):
        both = {}
        for strength in rng.sample(["1.0", "0.5"], 2):
            both[strength] = begin(
                "stylize", plates, output, *MODEL, tiny_model_folder, "--strength", strength, "--chunk-frames", 8
            )
            time.sleep(rng.choice([0.0, 0.3, 1.0]))
        said = {strength: process.communicate(timeout=600)[1] for strength, process in both.items()}
        codes = {strength: process.returncode for strength, process in both.items()}
        assert set(codes.values()) <= {0, 2}, said
        assert 0 in codes.values(), said
        won = [strength for strength, code in codes.items() if code == 0]
        for strength, code in codes.items():
            assert code == 0 or "another run works on" in said[strength]
        refused += 2 - len(won)
        # Where both ran, one started after the other had ended: the folder has the frames of the last.
        assert outputs(output) in [expected[strength] for strength in won], "a mixture"
        assert call("verify", output)[0] == 0
    print(f"{refused} of {ROUNDS} second runs were refused")
    assert refused >= ROUNDS // 2, "the runs rarely overlapped"


def test_workers_of_one_job_share_it(begin, call, outputs, plates, expected, tiny_model_folder, tmp_path):
    output = tmp_path / "shared"
    code, out, err = call("plan", plates, output, *MODEL, tiny_model_folder, "--chunk-frames", 8)
    assert code == 0, err
    job = out.strip()
    workers = [begin("work", job) for _ in range(3)]
    printed = [worker.communicate(timeout=600) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], printed
    assert outputs(output) == expected["1.0"]
    made = collections.Counter(record.frame for record in read_records(output))
    assert len(made) == FRAMES
    assert set(made.values()) == {1}
    writers = {path.name for path in (output / ".stylereel").glob("records-*")}
    print(f"{len(writers)} of 3 workers made frames: {[text[0].splitlines()[0] for text in printed]}")
    assert len(writers) >= 2, "one was done before the others began: more frames are needed"
    assert call("verify", output)[0] == 0


def test_the_same_stylize_twice_refuses_the_second(begin, call, outputs, plates, expected, tiny_model_folder, tmp_path):
    output = tmp_path / "same"
    asked = ("stylize", plates, output, *MODEL, tiny_model_folder, "--chunk-frames", 8)
    first = begin(*asked)
    while first.poll() is None and not (output / ".stylereel").exists():
        time.sleep(0.01)
    second = begin(*asked)
    first.communicate(timeout=600)
    said = second.communicate(timeout=600)[1]
    assert first.returncode == 0
    assert second.returncode in (0, 2)
    assert second.returncode == 0 or "another run works on" in said
    assert outputs(output) == expected["1.0"]
    made = collections.Counter(record.frame for record in read_records(output))
    assert len(made) == FRAMES
    assert set(made.values()) == {1}
