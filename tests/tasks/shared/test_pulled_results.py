"""What a clone that only pulled knows of its files: dvc.lock's history and the last lines of commits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tasks.project.init_project import init_project
from tasks.scheduled.runs_branch import commit_results
from tasks.shared.pulled_results import models_of, results_of, results_with
from tasks.shared.versioning import git
from tasks.shared.whence import whence

FRAME = "out/stylized/my_shot/shot.0001.png"


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of a project with two nights on runs/nightly, and the objects that `dvc pull` fetches."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    film, clone = init_project(tmp_path / "film"), tmp_path / "clone"
    for night, frame in enumerate((b"first", b"second"), 1):
        lock = _store(tmp_path / "objects", frame, f"{night:064x}")
        (film / "dvc.lock").write_text(lock)
        message = f"Results of a scheduled run\n\npassed\n\nFlow-run: run-{night}\nSource-commit: {night:040x}"
        commit_results(film, "runs/nightly", ["dvc.lock"], message)
    (film / "dvc.lock").unlink()
    git(tmp_path, "clone", "--quiet", str(film), str(clone))
    (clone / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {tmp_path / 'objects'}\n")
    (clone / FRAME).parent.mkdir(parents=True)
    monkeypatch.chdir(clone)
    return clone


def _store(objects: Path, frame: bytes, model: str) -> str:
    """Puts a frame and a model into a DVC cache; returns the dvc.lock that names them."""

    def put(content: bytes, suffix: str = "") -> str:
        md5 = hashlib.md5(content).hexdigest() + suffix
        (objects / "files" / "md5" / md5[:2]).mkdir(parents=True, exist_ok=True)
        (objects / "files" / "md5" / md5[:2] / md5[2:]).write_bytes(content)
        return md5

    def folder(files: dict[str, bytes]) -> str:
        listed = [{"md5": put(content), "relpath": name} for name, content in files.items()]
        return put(json.dumps(listed).encode(), ".dir")

    stylized = folder({FRAME.removeprefix("out/stylized/"): frame})
    models = folder({"my_shot/model.json": json.dumps({"digest": model}).encode()})
    stage = "  {name}:\n    cmd: none\n    outs:\n    - path: {path}\n      hash: md5\n      md5: {md5}\n"
    outs = {"models": models, "out/stylized": stylized, "data/prepared": "0" * 32 + ".dir"}
    stages = (stage.format(name=f"stage{i}", path=path, md5=md5) for i, (path, md5) in enumerate(outs.items()))
    return "schema: '2.0'\nstages:\n" + "".join(stages)


def test_a_frame_leads_to_the_night_that_made_it(clone: Path) -> None:
    for night, content in enumerate((b"first", b"second"), 1):
        (clone / FRAME).write_bytes(content)
        found = results_with(clone, clone / FRAME)
        assert found is not None
        assert (found.flow_run, found.source_commit) == (f"run-{night}", f"{night:040x}")
        assert models_of(clone, found) == {"my_shot": f"{night:064x}"}
        trail = whence(clone, FRAME)
        assert list(trail.models) == [f"{night:064x}"]
        assert trail.flow_runs == [f"run-{night}"]
        assert trail.commits == [f"{night:040x}"]
        assert trail.results["prepared"] == "0" * 32 + ".dir"
        lock = git(clone, "show", f"{trail.results['commit']}:dvc.lock")
        assert trail.results["dvc_lock"] == hashlib.sha256(lock.encode()).hexdigest()


def test_a_changed_frame_has_no_commit(clone: Path) -> None:
    (clone / FRAME).write_bytes(b"retouched")
    assert results_with(clone, clone / FRAME) is None
    outside = clone.with_name("first.png")
    outside.write_bytes(b"first")
    assert results_with(clone, outside) is None


def test_a_flow_run_and_a_commit_lead_to_their_model(clone: Path) -> None:
    assert [results.flow_run for results in results_of(clone)] == ["run-2", "run-1"]
    for start in ("run-2", f"{2:040x}", next(results_of(clone)).commit[:10]):
        assert list(whence(clone, start).models) == [f"{2:064x}"]
