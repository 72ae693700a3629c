"""A folder on demand is stylized while a night trains, and the night ends with its time limit and can be continued."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from proofs.film_project import make_film
from proofs.local_server import PREFECT, Server, free_port, running, wait_for

LIMIT_HOURS = float(os.environ.get("STYLEREEL_PROOF_LIMIT_HOURS", "0.15"))
"""Of the training: time for a folder on demand, on a machine that is busy with other work, too."""


@pytest.fixture
def film(make_clone: Callable[..., Any], tmp_path: Path) -> Any:
    """A training of hours and a checkpoint a second."""
    film = make_film(make_clone("tool"), tmp_path / "film", steps=1_000_000)
    film.settings({"limits.train_hours": LIMIT_HOURS})
    return film


class Site:
    """Server and both workers on loopback."""

    def __init__(self, film: Any, folder: Path) -> None:
        self.film, self.folder, self.port = film, folder, free_port()
        self.server = Server(f"http://127.0.0.1:{self.port}/api")
        self.environment = {
            **film.environment,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.server.api,
        }

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def start(self, held: ExitStack) -> None:
        serve = [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        held.enter_context(running(serve, self.folder, self.environment, self.log("server")))
        wait_for("the server is up", self.server.is_up, 400, self.log("server"))
        self.film.run(sys.executable, "-m", "flows", "schedule", "0 2 * * *", **self.environment)
        for queue in ("trainings", "on-demand"):
            work = [sys.executable, "-m", "flows", "worker", "--queue", queue]
            held.enter_context(running(work, self.film.root, self.environment, self.log(queue)))

    def begin(self, name: str, **parameters: Any) -> str:
        (found,) = self.server.post("/deployments/filter", {"deployments": {"name": {"any_": [name]}}})
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self.server.post(f"/deployments/{found['id']}/create_flow_run", body)["id"])

    def state(self, run: str) -> dict[str, Any]:
        return self.server.get(f"/flow_runs/{run}")["state"]  # type: ignore[no-any-return]

    def wait_until_ended(self, run: str, log: str, within_s: float = 1200) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            state = self.state(run)
            return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

        return wait_for("the run has ended", ended, within_s, self.log(log))  # type: ignore[no-any-return]

    def trained_steps(self) -> int:
        names = Path(self.environment["STYLEREEL_CACHE_DIR"]).glob("train/*/checkpoint-*.safetensors")
        return max((int(path.stem.rpartition("-")[2]) for path in names), default=0)

    def progress(self, run: str) -> dict[str, float]:
        """What the page of a run shows, in percent."""
        where = {"artifacts": {"flow_run_id": {"any_": [run]}, "type": {"any_": ["progress"]}}}
        return {one["key"]: float(one["data"]) for one in self.server.post("/artifacts/filter", where)}

    def stages(self, run: str) -> list[dict[str, Any]]:
        return self.server.flow_runs({"flow_runs": {"tags": {"all_": [f"pipeline:{run}"]}}})


@pytest.mark.timeout(3600)
def test_work_on_demand_beside_a_night_that_ends_with_its_time_limit(
    film: Any, tiny_model_folder: Path, tmp_path: Path
) -> None:
    site = Site(film, tmp_path)
    with ExitStack() as held:
        site.start(held)
        night = site.begin("film-nightly")
        wait_for("a checkpoint", lambda: site.trained_steps() >= 20, 1200, site.log("trainings"))

        before = site.trained_steps()
        painted = tmp_path / "painted"
        folder = site.begin(
            "film-stylize", input=str(film.root / "plates/my_shot"), output=str(painted), model=str(tiny_model_folder)
        )
        state = site.wait_until_ended(folder, "on-demand")
        assert state["type"] == "COMPLETED", state
        assert len(list(painted.glob("*.png"))) == 8
        assert site.progress(folder) == {"stylize": 100.0}
        assert 0.0 <= site.progress(night)["train-my-shot"] < 100.0
        assert site.state(night)["type"] == "RUNNING", "the night trains meanwhile"
        wait_for("the training goes on", lambda: site.trained_steps() > before, 300, site.log("trainings"))

        state = site.wait_until_ended(night, "trainings")
        assert (state["type"], state["name"]) == ("FAILED", "TimedOut"), state
        assert f"train: stopped by its time limit of {LIMIT_HOURS:g} h" in state["message"]
        assert "raise limits.train_hours in params.yaml" in state["message"]
        assert all(run["state_type"] in ("COMPLETED", "FAILED") for run in site.stages(night))
        reached = site.trained_steps()
        assert "stopped by SIGTERM" in site.log("trainings").read_text(errors="replace")

        film.settings({"limits.train_hours": None})
        again = site.begin("film-nightly")
        wait_for("the training is continued", lambda: site.trained_steps() > reached, 1200, site.log("trainings"))
        tasks = site.server.post("/task_runs/filter", {"flow_runs": {"id": {"any_": [again]}}})
        assert {task["name"].rpartition("-")[0] or task["name"]: task["state_name"] for task in tasks}["prepare"] == (
            "Skipped"
        ), "a change of a limit runs no stage again"
