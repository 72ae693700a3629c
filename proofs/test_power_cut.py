"""A power cut during a training kills server, worker, flow, dvc and training; or only the flow's own process dies."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proofs.film_project import make_film
from proofs.local_server import PREFECT, Server, free_port, running, wait_for

RESUMED_WITHIN_S = 120
STEPS = 1500


@pytest.fixture
def film(make_clone: Callable[..., Any], tmp_path: Path) -> Any:
    """A training of minutes and a checkpoint a second."""
    return make_film(make_clone("tool"), tmp_path / "film", steps=STEPS)


class Site:
    """Server and worker of a project on loopback, with their logs."""

    def __init__(self, film: Any, tmp_path: Path) -> None:
        self.film, self.folder, self.port = film, tmp_path, free_port()
        self.server = Server(f"http://127.0.0.1:{self.port}/api")
        self.environment = {
            **film.environment,
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "PREFECT_API_URL": self.server.api,
        }

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def serving(self, name: str) -> Any:
        serve = [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        return running(serve, self.folder, self.environment, self.log(name))

    def working(self, name: str) -> Any:
        return running([sys.executable, "-m", "flows", "worker"], self.film.root, self.environment, self.log(name))

    def wait_until_up(self, name: str) -> None:
        wait_for("the server is up", self.server.is_up, 180, self.log(name))

    def deploy_and_start(self) -> None:
        for arguments in (
            ("work-pool", "create", "stylereel", "--type", "process"),
            ("deploy", "--name", "film-nightly", "--param", "max_swd_ratio=10"),
            ("deployment", "run", "pipeline/film-nightly"),
        ):
            self.film.run(PREFECT, "--no-prompt", *arguments, **self.environment)

    def pipeline_runs(self) -> list[dict[str, Any]]:
        """Those that have begun: the schedule's next nights are in the list, too."""
        runs = self.server.flow_runs({"flows": {"name": {"any_": ["pipeline"]}}})
        return [run for run in runs if run["start_time"]]

    def trained_steps(self) -> int:
        """The last step of the training's newest checkpoint."""
        names = Path(self.environment["STYLEREEL_CACHE_DIR"]).glob("train/*/checkpoint-*.safetensors")
        return max((int(path.stem.rpartition("-")[2]) for path in names), default=0)

    def wait_until_trained(self, steps: int, log: str) -> int:
        return int(wait_for("a checkpoint", lambda: self.trained_steps() >= steps and self.trained_steps(), 600,
                            self.log(log)))  # fmt: skip

    def wait_until_ended(self, log: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            last = self.pipeline_runs()[-1]
            return last if last["state_type"] in ("COMPLETED", "FAILED") else None

        return wait_for("the run has ended", ended, 900, self.log(log))  # type: ignore[no-any-return]

    def first_process(self, variable: bytes) -> int:
        """The oldest process with this in its environment."""
        found = {}
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and variable in (folder / "environ").read_bytes().split(b"\0"):
                    found[int((folder / "stat").read_text().rpartition(")")[2].split()[19])] = int(folder.name)
            except OSError:
                continue
        return found[min(found)]

    def kill_everything(self) -> int:
        """SIGKILL to every process with this project's cache folder in its environment, as a power cut does."""
        marker = f"STYLEREEL_CACHE_DIR={self.environment['STYLEREEL_CACHE_DIR']}".encode()
        killed = 0
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and marker in (folder / "environ").read_bytes().split(b"\0"):
                    os.kill(int(folder.name), signal.SIGKILL)
                    killed += 1
            except (OSError, ProcessLookupError):
                continue
        return killed


@pytest.mark.timeout(1800)
def test_a_power_cut_during_training(film: Any, tmp_path: Path) -> None:
    site = Site(film, tmp_path)
    with site.serving("server"):
        site.wait_until_up("server")
        site.deploy_and_start()
        with site.working("worker"):
            site.wait_until_trained(50, "worker")
            assert site.kill_everything() >= 4, "server, worker, flow, dvc and stage"
            reached = site.trained_steps()
    with site.working("worker-again"):  # the worker may well be up before the server
        begun_s = time.monotonic()
        with site.serving("server-again"):
            site.wait_until_up("server-again")
            wait_for(
                "the work goes on",
                lambda: [r["state_type"] for r in site.pipeline_runs()] == ["CRASHED", "RUNNING"],
                RESUMED_WITHIN_S,
                site.log("worker-again"),
            )
            recovered_s = time.monotonic() - begun_s
            last = site.wait_until_ended("worker-again")
            log = site.log("worker-again").read_text(errors="replace")
            assert last["state_type"] == "COMPLETED", log[-6000:]
            assert [r["state_type"] for r in site.pipeline_runs()] == ["CRASHED", "COMPLETED"]
            assert "started-again-1" in last["tags"]
    print(f"power cut at step {reached} of {STEPS}: work went on {recovered_s:.0f} s after the worker's start")
    assert recovered_s <= RESUMED_WITHIN_S
    assert reached >= 50
    trail = json.loads(
        film.stylereel("whence", str(film.root.with_name("film-runs") / "models/my_shot"), "--json").stdout
    )
    (model,) = trail["models"].values()
    assert model["mlflow_run"], "one MLflow run, which the second process continued"


@pytest.mark.timeout(1800)
def test_the_process_of_a_run_alone_is_killed(film: Any, tmp_path: Path) -> None:
    site = Site(film, tmp_path)
    with site.serving("server"):
        site.wait_until_up("server")
        site.deploy_and_start()
        with site.working("worker"):
            site.wait_until_trained(50, "worker")
            run = f"PREFECT__FLOW_RUN_ID={site.pipeline_runs()[0]['id']}".encode()
            flow = site.first_process(run)
            os.kill(flow, signal.SIGKILL)
            begun_s = time.monotonic()
            wait_for(
                "the work goes on",
                lambda: [r["state_type"] for r in site.pipeline_runs()] == ["CRASHED", "RUNNING"],
                RESUMED_WITHIN_S,
                site.log("worker"),
            )
            print(f"run killed alone: work went on {time.monotonic() - begun_s:.0f} s after the kill")
            last = site.wait_until_ended("worker")
            assert last["state_type"] == "COMPLETED", site.log("worker").read_text(errors="replace")[-6000:]
            assert [r["state_type"] for r in site.pipeline_runs()] == ["CRASHED", "COMPLETED"]


@pytest.mark.timeout(1800)
def test_a_restart_of_the_server_during_training(film: Any, tmp_path: Path) -> None:
    site = Site(film, tmp_path)
    with site.serving("server"):
        site.wait_until_up("server")
        site.deploy_and_start()
        worker = site.working("worker")
        worker.__enter__()
        reached = site.wait_until_trained(50, "worker")
    try:
        time.sleep(15.0)
        assert not site.server.is_up()
        assert site.trained_steps() > reached, "the training does not need the server"
        with site.serving("server-again"):
            site.wait_until_up("server-again")
            last = site.wait_until_ended("worker")
            assert last["state_type"] == "COMPLETED", site.log("worker").read_text(errors="replace")[-6000:]
            assert len(site.pipeline_runs()) == 1
    finally:
        worker.__exit__(None, None, None)
