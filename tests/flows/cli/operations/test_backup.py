"""``backup`` and ``restore`` on the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from flows.services import site
from flows.services.service import ServiceRecord
from tests.film_project import Film


@pytest.fixture
def film(film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Film:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return film


def call(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output


def test_there_and_back(film: Film, tmp_path: Path) -> None:
    lineage = film.root / ".stylereel/lineage/flow-1.json"
    lineage.parent.mkdir(parents=True)
    lineage.write_text("{}")
    code, said = call("backup", str(tmp_path / "film.tar"))
    assert code == 0, said
    assert "film.tar: " in said
    assert f"not included: the database of the Prefect server: there is none at {tmp_path}/prefect/prefect.db" in said
    shutil.rmtree(film.root / ".stylereel")
    (film.root / "mlflow.db").unlink()
    code, said = call("restore", str(tmp_path / "film.tar"))
    assert code == 0, said
    assert f"{film.root}: the project film as of" in said
    assert lineage.is_file()
    code, said = call("restore", str(tmp_path / "film.tar"))
    assert code == 2
    assert "--force" in said


@pytest.mark.parametrize("worker", ["worker", "on-demand-worker"])
def test_services_that_run_are_named(film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: str) -> None:
    assert call("backup", str(tmp_path / "film.tar"))[0] == 0
    up = {worker, "server"}

    def running(folder: Path, name: str) -> ServiceRecord | None:
        return ServiceRecord(name=name, manager="processes") if name in up else None

    monkeypatch.setattr(site, "running", running)
    code, said = call("restore", str(tmp_path / "film.tar"), "--force")
    assert code == 2
    assert f"these services run: {worker}, server; stop them with `stylereel down`" in said
    (tmp_path / "prefect").mkdir(exist_ok=True)
    (tmp_path / "prefect/prefect.db").touch()
    up.remove(worker)
    assert call("restore", str(tmp_path / "film.tar"), "--force")[0] == 0, "the server's database is not touched"
    assert "server" in call("restore", str(tmp_path / "film.tar"), "--force", "--replace-server")[1]
