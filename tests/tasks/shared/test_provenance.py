"""Provenance of models: what is noted, and when MLflow is queried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stylegan_core.recipes.model import Model, load_model
from tasks.shared import provenance, tracking
from tasks.shared.provenance import note_model, origin_of

RUN, COMMIT = "bb22" * 8, "ee55" * 10


@pytest.fixture
def queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A project with a store; lists the digests that MLflow is queried for."""
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    digests: list[str] = []

    def find(digest: str) -> str | None:
        digests.append(digest)
        return RUN

    for module in (provenance, tracking):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    monkeypatch.setattr(tracking, "find_run_by_digest", find)
    monkeypatch.setattr(tracking, "run_tags", lambda run: {"git_commit": COMMIT, "git_dirty": "no", "flow_run_id": "f"})
    return digests


def test_what_training_noted_needs_no_mlflow(queries: list[str], tiny_model: Model) -> None:
    note_model(tiny_model.card.digest, RUN)
    note_model(tiny_model.card.digest, "a later run that made the same")
    assert origin_of(tiny_model) == {"mlflow_run": RUN, "commit": COMMIT, "commit_changed": "no"}
    assert queries == []


def test_mlflow_is_queried_once_for_the_projects_own_models(
    queries: list[str], tiny_model: Model, tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    own: Any = load_model(_copy(tiny_model.folder, tmp_path / "models" / "all"))
    assert origin_of(own) == {}
    assert queries == []
    (tmp_path / "mlflow.db").touch()
    assert origin_of(tiny_model) == {}
    assert queries == []
    for _ in range(2):
        assert origin_of(own)["mlflow_run"] == RUN
    assert queries == [own.card.digest]


def test_a_model_without_a_run(queries: list[str], tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "run_tags", lambda run: None)
    note_model(tiny_model.card.digest, RUN)
    assert origin_of(tiny_model) == {"mlflow_run": RUN}


def _copy(source: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    assert json.loads((target / "model.json").read_text())
    return target
