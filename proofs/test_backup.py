"""A backup during a run, the loss of the machine, and a restoration: the schedule, the models and the run are there."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from proofs.local_server import wait_for
from proofs.machine import ANY_MODEL, ENDS_WITHIN_S, Machine, kill_everything, processes

CRON = "30 3 * * *"


def promoted(film: Any) -> dict[str, str]:
    """Digests of the promoted models."""
    files = (film.root / ".stylereel/promoted").glob("*.json")
    return {path.stem: json.loads(path.read_text())["digest"] for path in files}


def whence(film: Any, query: str) -> dict[str, Any]:
    """The answer without the frames, whose records are in the user's cache."""
    found = json.loads(film.stylereel("whence", "--json", query).stdout)
    return {name: value for name, value in found.items() if name not in ("frames", "jobs")}


@pytest.mark.timeout(3600)
def test_after_the_loss_of_the_machine(new_film: Any, machine: Machine, tmp_path: Path) -> None:
    film = new_film("film")
    own = {"PREFECT_HOME": str(tmp_path / "prefect")}
    machine.up(film)
    film.stylereel("schedule", CRON, "--timezone", "Europe/Berlin")
    first = machine.wait_until_ended(film, machine.start_run("film-nightly", ANY_MODEL))
    assert first["state"] == "Completed"
    models = promoted(film)
    assert models
    answers = {query: whence(film, query) for query in (*models.values(), first["id"])}

    film.settings({"train.keyframe.budget_steps": 600})
    second = machine.start_run("film-nightly", ANY_MODEL)

    def is_training() -> bool:
        (run,) = (one for one in machine.status(film)["runs"] if one["id"] == second)
        return "train" in run["stage"]

    wait_for("the training runs", is_training, ENDS_WITHIN_S, machine.log(film))
    backup = tmp_path / "film.tar"
    said = film.stylereel("backup", str(backup), **own).stdout
    assert "not included: DVC's data" in said
    assert is_training(), "it was not disturbed"

    refused = film.stylereel("restore", str(backup), "--force", "--replace-server", check=False, **own)
    assert refused.returncode == 2
    assert "these services run: worker, on-demand-worker, mlflow, server" in refused.stderr

    assert kill_everything(tmp_path) >= 6
    lost = [
        film.root,
        tmp_path / "film-runs",
        tmp_path / "prefect",
        film.home / "stylereel-cache",
        film.home / ".local",
    ]
    for folder in lost:
        shutil.rmtree(folder)
    elsewhere = film.at(tmp_path)
    elsewhere.environment = film.environment
    said = elsewhere.stylereel("restore", str(backup), **own).stdout
    assert f"{film.root}: the project film as of" in said
    assert promoted(film) == models

    film.dvc("pull", "plates.dvc", "painted.dvc")
    machine.up(film)
    (schedule,) = machine.deployment("film-nightly")["schedules"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == (CRON, "Europe/Berlin")
    assert {query: whence(film, query) for query in answers} == answers
    runs = {one["id"]: one for one in machine.status(film)["runs"]}
    assert (runs[first["id"]]["state"], runs[second]["state"]) == ("Completed", "Crashed")
    with sqlite3.connect(film.root / "mlflow.db") as store:
        assert store.execute("PRAGMA quick_check").fetchone() == ("ok",)

    (again,) = (run for run in runs if run not in (first["id"], second))
    assert machine.wait_until_ended(film, again)["state"] == "Completed", "the worker began the work of the dead run"
    film.stylereel("down")
    assert processes(tmp_path) == []
