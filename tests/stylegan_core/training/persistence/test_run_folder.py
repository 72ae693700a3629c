import json
import multiprocessing
import os

import numpy as np
import pytest

from stylegan_core.config import parse_params
from stylegan_core.data.manifest import ManifestRow, as_manifest
from stylegan_core.data.store import SampleStore, StoreWriter
from stylegan_core.training.persistence.run_folder import (
    FinishedMark,
    RunFolder,
    RunNotes,
    data_digest,
    run_key,
    trim_runs,
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))


def training(common=None, **config):
    section = {"recipe": "keyframe", "keyframe": config, "common": common or {}}
    return parse_params({"train": section}).trainings()[0]


def key(common=None, data="data", code="code", init=None, **config):
    return run_key(training(common, **config), data, code, init)


def test_what_decides_the_result_decides_the_key():
    base = key()
    assert len(base) == 64
    assert key() == base
    assert key(generator_lr=1e-3) != base
    assert key({"seed": 1}) != base
    assert key({"validate_every_steps": 7}) != base
    assert key(data="other") != base
    assert key(code="other") != base
    assert key(init="0" * 64) != base


def test_the_budget_and_what_concerns_the_process_alone_do_not():
    base = key()
    assert key(budget_steps=99_999) == base
    assert key(budget_images=99_999) == base
    for name, value in {
        "limit_minutes": 3.0,
        "checkpoint_every_s": 5.0,
        "sample_every_steps": 3,
        "weights": "best",
        "model_per_shot": False,
    }.items():
        assert key({name: value}) == base, name


def write_store(folder, pictures):
    with StoreWriter(folder, "srgb", "uint8") as writer:
        for picture in pictures:
            writer.add(picture)
    return SampleStore.open(folder)


def row(index, shot, frame=1, domain="content", split="train", path=None):
    return ManifestRow(
        path or f"{shot}/{frame}.png",
        domain=domain,
        shot=shot,
        frame=frame,
        pair=f"{shot}/{frame}",
        split=split,
        width_px=4,
        height_px=4,
        sample=index,
    )


def test_data_of_another_shot_and_the_place_in_the_store_do_not_count(tmp_path):
    rng = np.random.default_rng(0)
    a, b, c = (rng.random((4, 4, 3), np.float32) for _ in range(3))
    alone = write_store(tmp_path / "alone", [a, b])
    both = write_store(tmp_path / "both", [c, a, b])
    first = as_manifest([row(0, "one", 1), row(1, "one", 2)])
    second = as_manifest([row(1, "one", 1, path="elsewhere/1.png"), row(2, "one", 2), row(0, "two")])
    expected = data_digest(alone, first, ("one",))
    assert data_digest(both, second, ("one",)) == expected
    assert data_digest(both, second) != expected
    other = as_manifest([row(0, "one", 1), row(1, "one", 2, split="validation")])
    assert data_digest(alone, other, ("one",)) != expected
    changed = write_store(tmp_path / "changed", [a, c])
    assert data_digest(changed, first, ("one",)) != expected
    unstored = as_manifest([*first, row(None, "one", 3, split="test")])
    assert data_digest(alone, unstored, ("one",)) == expected


def test_notes_and_the_mark_survive_and_are_cleared():
    folder = RunFolder("a" * 64)
    assert folder.notes() == RunNotes()
    assert folder.finished() is None
    folder.write_notes(RunNotes(mlflow_run_id="x"))
    mark = FinishedMark(budget_steps=5, limit_minutes=None, stopped_by="budget", stage="ab")
    folder.mark_finished(mark)
    again = RunFolder("a" * 64)
    assert again.notes() == RunNotes(mlflow_run_id="x")
    assert again.finished() == mark
    assert json.loads((again.path / "run.json").read_text()) == {"mlflow_run_id": "x"}
    assert json.loads((again.path / "finished.json").read_text()) == {
        "budget_steps": 5,
        "limit_minutes": None,
        "stage": "ab",
        "stopped_by": "budget",
    }
    (again.path / "finished.json").write_text("{half")
    assert again.finished() is None
    again.clear()
    assert list(again.path.iterdir()) == []


def _hold(key, ready, release):
    with RunFolder(key).lock():
        ready.set()
        release.wait(30)


def test_a_second_process_waits(tmp_path):
    context = multiprocessing.get_context("fork")
    ready, release, entered = context.Event(), context.Event(), context.Event()
    holder = context.Process(target=_hold, args=("b" * 64, ready, release))
    holder.start()
    assert ready.wait(30)

    def wait():
        with RunFolder("b" * 64).lock():
            entered.set()

    waiter = context.Process(target=wait)
    waiter.start()
    assert not entered.wait(0.3)
    os.kill(holder.pid, 9)  # a killed process holds nothing
    assert entered.wait(30)
    holder.join()
    waiter.join()


def test_only_finished_runs_that_nobody_wants_are_trimmed_oldest_first():
    folders = {name: RunFolder(name * 64) for name in "abcdef"}
    for age, (name, folder) in enumerate(folders.items()):
        (folder.path / "checkpoint").write_bytes(bytes(1000))
        if name != "b":  # interrupted
            folder.mark_finished(FinishedMark())
        os.utime(folder.path, (10_000 + age, 10_000 + age))
    with folders["c"].lock():  # someone trains it
        removed = trim_runs([folders["a"]], 3500)
    assert [path.name[0] for path in removed] == ["d", "e", "f"]
    assert trim_runs([], 10_000) == []
