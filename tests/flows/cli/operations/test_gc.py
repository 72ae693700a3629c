"""``gc`` lists first, and removes with --yes; DVC's part is proven by proofs/test_dvc_gc.py."""

from __future__ import annotations

import time

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from flows.cli.main import app
from tasks.shared import tracking, versioning
from tests.film_project import Film


def test_old_runs_are_listed_and_then_removed(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versioning, "collect_garbage", lambda *_, **__: None)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    (film.root.parent / "cache").mkdir(exist_ok=True)
    run = tracking.start_training_run("sea", settings={})
    store = tracking.client()
    store.set_terminated(run, "FAILED", int((time.time() - 100 * 86400) * 1000))

    said = CliRunner().invoke(app, ["gc"]).output
    assert f"MLflow run {run}: sea, ended " in said
    assert "MLflow: 1 runs that nothing uses, would be moved into MLflow's trash" in said
    assert "Prefect: no server answers" in said
    assert "Nothing was removed" in said
    assert store.get_run(run).info.lifecycle_stage == "active"

    assert "0 runs" in CliRunner().invoke(app, ["gc", "--keep-days", "101"]).output
    params = film.root / "params.yaml"
    before = params.read_text()
    params.write_text("limits: {keep_days: 101}\n")
    assert "0 runs" in CliRunner().invoke(app, ["gc"]).output
    params.write_text(before)
    assert "MLflow" not in CliRunner().invoke(app, ["gc", "--keep-days", "0"]).output

    with FileLock(film.root / ".stylereel/pipeline.lock"):
        refused = CliRunner().invoke(app, ["gc", "--yes"])
    assert refused.exit_code != 0
    assert "a pipeline is running in" in f"{refused.output}{refused.exception}"
    assert store.get_run(run).info.lifecycle_stage == "active"

    done = CliRunner().invoke(app, ["gc", "--yes"])
    assert done.exit_code == 0, done.output
    assert "1 runs that nothing uses, moved into MLflow's trash" in done.output
    assert store.get_run(run).info.lifecycle_stage == "deleted"
