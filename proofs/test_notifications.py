"""Notifications with a real Prefect server on loopback: failed, crashed and late runs, a dead server, the automation.

The project has no pictures, so its pipeline fails in prepare; a run that waits for the pipeline's lock is killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from proofs.local_server import PREFECT, Server, free_port, running, wait_for
from tests.tasks.notify.local_receivers import WebhookReceiver, webhook_receiver

SECRET = "s3cr3t"
LATE = timedelta(hours=1)


class Site:
    """A project with its server, and a receiver of its messages."""

    def __init__(self, film: Any, folder: Path, receiver: WebhookReceiver) -> None:
        self.film, self.folder, self.receiver, self.port = film, folder, receiver, free_port()
        self.server = Server(f"http://127.0.0.1:{self.port}/api")
        self.environment = {
            **film.environment,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.server.api,
        }

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    @contextmanager
    def serving(self) -> Iterator[None]:
        serve = [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        with running(serve, self.folder, self.environment, self.log("server")):
            wait_for("the server is up", self.server.is_up, 300, self.log("server"))
            yield

    def working(self, name: str, *options: str) -> Any:
        work = [PREFECT, "worker", "start", "--pool", "stylereel", "--limit", "1", *options]
        return running(work, self.film.root, self.environment, self.log(name))

    def prefect(self, *arguments: str) -> None:
        self.film.run(PREFECT, "--no-prompt", *arguments, **self.environment)

    def deploy(self) -> None:
        self.prefect("work-pool", "create", "stylereel", "--type", "process")
        self.prefect("deploy", "--all")
        # A scheduled watch in the middle of a proof would find what the proof looks for.
        self.server.post(f"/deployments/{self.deployment_id('film-watch')}/pause_deployment", {})

    def notify(self, *arguments: str) -> str:
        done = self.film.stylereel("notify", *arguments, **self.environment)
        assert SECRET not in done.stdout + done.stderr
        return str(done.stdout)

    def watch(self) -> str:
        # Where it is before 23:00 now, so that no summary is due.
        zone = "Asia/Tokyo" if datetime.now(UTC).hour >= 21 else "UTC"
        return self.notify("watch", "--once", "--low-disk-gb", "0", "--summary-hour", "23", "--timezone", zone)

    def deployment_id(self, name: str) -> str:
        (found,) = self.server.post("/deployments/filter", {"deployments": {"name": {"any_": [name]}}})
        return str(found["id"])

    def ended(self, *, count: int, deployment: str = "film-nightly") -> list[dict[str, Any]]:
        """The last ``count`` runs, once they have ended."""
        mine = {"deployments": {"id": {"any_": [self.deployment_id(deployment)]}}}

        def found() -> list[dict[str, Any]]:
            runs = [run for run in self.server.flow_runs(mine) if run["end_time"]]
            return runs if len(runs) >= count else []

        return wait_for(f"{count} runs have ended", found, 400, self.log("worker"))  # type: ignore[no-any-return]

    def titles(self) -> list[str]:
        return [text.splitlines()[0] for text in self.receiver.texts]

    def running_note(self) -> dict[str, Any] | None:
        notes = (self.film.root / ".stylereel/run-notes").glob("*.json")
        found = [json.loads(path.read_text()) for path in notes]
        return next((note for note in found if note["outcome"] == "running"), None)


@pytest.fixture
def site(make_clone: Callable[..., Any], tmp_path: Path) -> Iterator[Site]:
    tool = make_clone("tool")
    tool.run(sys.executable, "-m", "flows", "init", str(tmp_path / "film"))
    with webhook_receiver() as receiver:
        site = Site(tool.at(tmp_path / "film"), tmp_path, receiver)
        site.notify("add", "--webhook", receiver.url)
        yield site


def run_nightly(site: Site, *options: str) -> None:
    site.prefect("deployment", "run", "pipeline/film-nightly", *options)


@pytest.mark.timeout(1800)
def test_failed_and_killed_runs(site: Site) -> None:
    with site.serving():
        site.deploy()
        with site.working("worker"):
            for count in (1, 2):
                run_nightly(site)
                assert site.ended(count=count)[-1]["state_type"] == "FAILED", site.log("worker").read_text()[-6000:]
            assert site.titles() == ["[film] pipeline failed"], "its pictures are missing: twice failed, once reported"
            assert "/runs/flow-run/" in site.receiver.texts[0]
            assert "What to do: " in site.receiver.texts[0]
            assert site.watch() == "", "the server knows of both failures, and they were reported"

            with FileLock(site.film.root / ".stylereel/pipeline.lock"):
                run_nightly(site)
                note = wait_for("a run waits for the lock", site.running_note, 300, site.log("worker"))
                time.sleep(2)
                os.kill(note["pid"], signal.SIGKILL)
                last = site.ended(count=3)[-1]
            assert last["state_type"] == "CRASHED"
            for _ in range(2):
                site.watch()
            assert site.titles()[1:] == ["[film] pipeline ended without a word"]
            assert last["id"] in site.receiver.texts[1]
    print("\n\n".join(site.receiver.texts))


@pytest.mark.timeout(1800)
def test_a_run_that_cannot_begin_and_a_dead_server(site: Site) -> None:
    with site.serving():
        site.deploy()
        with site.working("worker"):
            # Instead of Python: it ends before it could report itself.
            run_nightly(site, "--job-variable", "command=/bin/false")
            (unstartable,) = site.ended(count=1)
            assert unstartable["state_type"] == "CRASHED"
            for _ in range(2):
                site.watch()
            assert site.titles() == ["[film] pipeline ended without a word"]
            assert unstartable["id"] in site.receiver.texts[0]
    for _ in range(2):
        assert "the Prefect server does not answer" in site.watch()
    assert site.titles()[1:] == ["[film] the Prefect server does not answer"]
    with site.serving():
        site.watch()
    print("\n\n".join(site.receiver.texts))
    assert site.titles()[2:] == ["[film] the Prefect server works again"]


def make_a_late_run(site: Site) -> str:
    begin = (datetime.now(UTC) - LATE).isoformat()
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": begin}}
    path = f"/deployments/{site.deployment_id('film-nightly')}/create_flow_run"
    run_id = str(site.server.post(path, {"state": state})["id"])

    def late() -> bool:
        (run,) = site.server.flow_runs({"flow_runs": {"id": {"any_": [run_id]}}})
        return bool(run["state_name"] == "Late")

    wait_for("the server marks the run as late", late, 60, site.log("server"))
    return run_id


@pytest.mark.timeout(1800)
def test_a_worker_that_is_down_by_watch_and_by_an_automation(site: Site) -> None:
    with site.serving():
        site.deploy()
        first = make_a_late_run(site)
        for _ in range(2):
            site.watch()
        assert site.titles() == ["[film] the Prefect worker does not start"]
        assert first in site.receiver.texts[0]

        site.notify("automations")
        site.notify("automations")  # replaces the first one
        second = make_a_late_run(site)
        wait_for("the server posts", lambda: len(site.receiver.requests) >= 2, 60, site.log("server"))
        time.sleep(5)
        site.watch()
        assert len(site.receiver.requests) == 2, "the server alone reports it"
        print("\n\n".join(site.receiver.texts))
        assert second in site.receiver.texts[1]
        assert "film-nightly: run" in site.receiver.texts[1]
        assert "is Late" in site.receiver.texts[1]
        blocks = json.dumps(site.server.post("/block_documents/filter", {}))
        assert "stylereel-film-1" in blocks
        assert SECRET not in blocks, "the server does not show the URL"

        site.notify("automations", "--remove")
        assert site.server.post("/automations/filter", {}) == []
        make_a_late_run(site)
        time.sleep(5)
        site.watch()
        assert len(site.receiver.requests) == 2, "reported by watch before, and still late"


@pytest.mark.timeout(1800)
def test_the_watch_deployment_runs_in_its_own_worker(site: Site) -> None:
    with site.serving():
        site.deploy()
        make_a_late_run(site)  # the training's worker is down
        with site.working("watch-worker", "--work-queue", "film-watch"):
            site.prefect("deployment", "run", "watch/film-watch", "--param", "summary_hour=0")
            (run, *_) = site.ended(count=1, deployment="film-watch")
            assert run["state_type"] == "COMPLETED", site.log("watch-worker").read_text(errors="replace")[-6000:]
    titles = [title for title in site.titles() if "nearly full" not in title]
    assert titles == ["[film] the Prefect worker does not start", "[film] nothing ran"]
