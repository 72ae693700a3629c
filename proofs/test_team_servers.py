"""A team's servers with authentication: two checkouts and two workers share runs, results, models and the registry.

STYLEREEL_PROOF_TEAM_RUNS sets the number of runs, a multiple of 4. In each round both workers compute a commit at the
same time, then each takes what the other one has computed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import pytest

from conftest import Clone
from proofs.film_project import make_film
from proofs.local_server import running, wait_for
from proofs.machine import kill_everything
from proofs.reliability.trial import FINAL, SETTINGS, STAGES
from proofs.team_site import TeamSite, postgresql_programs

RUNS = int(os.environ.get("STYLEREEL_PROOF_TEAM_RUNS", "20"))
RUN_WITHIN_S = 3600
# What is shared does not depend on guides, and they take longest.
_SETTINGS = SETTINGS | {"train.keyframe.guide": False}
_MISSING = [name for name in ("psycopg2", "boto3", "moto", "dvc_s3") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(_MISSING), reason=f"packages of the extra team and moto are missing: {_MISSING}"),
    pytest.mark.skipif(postgresql_programs() is None, reason="PostgreSQL's initdb is missing (apt install postgresql)"),
    pytest.mark.timeout(7200),
]


class Member:
    """A checkout with a home of its own, as on a machine of its own, and its worker."""

    def __init__(self, name: str, film: Clone, site: TeamSite) -> None:
        self.name, self.film, self.site = name, film, site
        self.environment = {**film.environment, **site.environment(name)}
        for key, value in (("access_key_id", site.secrets.s3_id), ("secret_access_key", site.secrets.s3)):
            film.dvc("remote", "modify", "--local", "storage", key, value)

    @property
    def log(self) -> Path:
        return self.site.log(f"worker-{self.name}")

    def stylereel(self, *arguments: str) -> str:
        return self.film.stylereel(*arguments, **self.site.environment(self.name)).stdout

    def works(self) -> Any:
        return running([sys.executable, "-m", "flows", "worker"], self.film.root, self.environment, self.log)

    def took(self, run: str) -> bool:
        return run in self.log.read_text(errors="replace")

    def frames(self) -> int:
        return len(list((self.film.root.with_name("film-runs") / "out" / "stylized" / "my_shot").glob("*.png")))


class Team:
    """Two members, a git remote, and the servers."""

    def __init__(self, tool: Clone, folder: Path) -> None:
        self.site, self.folder, self.remote = TeamSite(folder), folder, folder / "film.git"
        self.tool, self._pictures = tool, random.Random(0)

    def set_up(self) -> None:
        self.site.start()
        film = make_film(self.tool, self.folder / "ada" / "film", steps=6)
        film.settings(_SETTINGS)
        film.dvc("remote", "modify", "storage", "url", "s3://dvc/film")
        film.dvc("remote", "modify", "storage", "endpointurl", self.site.address("s3"))
        film.run("git", "commit", "--quiet", "--all", "--message", "Storage of the team")
        film.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(self.remote))
        film.run("git", "remote", "add", "origin", str(self.remote))
        self.ada = Member("ada", film, self.site)
        film.dvc("push")
        film.run("git", "push", "--quiet", "origin", "main")
        (self.folder / "ben").mkdir()
        other = Clone(self.folder / "ben" / "film", self.folder / "ben" / "home")
        other.environment["PYTHONPATH"] = str(self.tool.root)
        self.tool.run("git", "clone", "--quiet", str(self.remote), str(other.root))
        self.ben = Member("ben", other, self.site)

    def commit_picture(self) -> str:
        """Ada changes a plate; returns the commit."""
        film = self.ada.film
        path = self._pictures.choice(sorted((film.root / "plates" / "my_shot").iterdir()))
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        left, top = self._pictures.randrange(pixels.shape[1] - 16), self._pictures.randrange(pixels.shape[0] - 16)
        pixels[top : top + 16, left : left + 16] = [self._pictures.randrange(256) for _ in range(pixels.shape[2])]
        cv2.imwrite(str(path), pixels)
        film.dvc("add", "plates")
        film.run("git", "commit", "--quiet", "--all", "--message", f"Change {path.name}")
        film.dvc("push", "plates.dvc")
        film.run("git", "push", "--quiet", "origin", "main")
        return str(film.run("git", "rev-parse", "HEAD").stdout.strip())

    def start_run(self, commit: str, only: Member | None = None) -> str:
        """A run of a commit, by whichever worker is free, or by one only."""
        where = {"deployments": {"name": {"any_": ["film-nightly"]}}}
        (found,) = self.site.prefect.post("/deployments/filter", where)
        body: dict[str, Any] = {"parameters": {"ref": commit}, "state": {"type": "SCHEDULED"}}
        if only:
            body["work_queue_name"] = self.queue(only)
        return str(self.site.prefect.post(f"/deployments/{found['id']}/create_flow_run", body)["id"])

    def queue(self, member: Member) -> str:
        program = "from pathlib import Path; from flows.services.work_queue import checkout_suffix as suffix"
        film = member.film
        return "film" + film.run(sys.executable, "-c", f"{program}; print(suffix(Path.cwd()))").stdout.strip()

    def wait_for(self, runs: list[str]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}

        def ended() -> bool:
            found.update({run: self.site.prefect.get(f"/flow_runs/{run}") for run in runs})
            return all(run["state_type"] in FINAL for run in found.values())

        wait_for("the runs have ended", ended, RUN_WITHIN_S, self.ada.log)
        for run in found.values():
            assert run["state_type"] == "COMPLETED", (run["state"]["message"], self._tails())
        return found

    def _tails(self) -> str:
        return "\n".join(member.log.read_text(errors="replace")[-4000:] for member in (self.ada, self.ben))

    def skipped(self, run: str) -> set[str]:
        tasks = self.site.prefect.post("/task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        named = {task["name"].rpartition("-")[0] or task["name"]: task["state_name"] for task in tasks}
        return {stage for stage in STAGES if named[stage] == "Skipped"}

    def taker(self, run: str) -> Member:
        (member,) = [member for member in (self.ada, self.ben) if member.took(run)]
        return member

    def other(self, member: Member) -> Member:
        return self.ben if member is self.ada else self.ada


@pytest.fixture
def team(make_clone: Callable[..., Clone], tmp_path: Path) -> Iterator[Team]:
    team = Team(make_clone("tool"), tmp_path)
    with team.site.held:
        team.set_up()
        yield team
    for home in (tmp_path, tmp_path / "ben"):  # dvc and stages have sessions of their own
        kill_everything(home)


def test_two_workers_share_runs_and_results(team: Team) -> None:
    begun_s = time.monotonic()
    assert "film-nightly" in team.ada.stylereel("schedule", "0 2 * * *")
    begun: list[str] = []
    with ExitStack() as held:
        for member in (team.ada, team.ben):
            held.enter_context(member.works())
        for round_ in range(RUNS // 4):
            computed = {commit: team.start_run(commit) for commit in (team.commit_picture(), team.commit_picture())}
            team.wait_for(list(computed.values()))
            assert [team.skipped(run) for run in computed.values()] == [set(), set()], "new pictures change every stage"
            takers = {commit: team.taker(run) for commit, run in computed.items()}
            pulled = {commit: team.start_run(commit, team.other(taker)) for commit, taker in takers.items()}
            team.wait_for(list(pulled.values()))
            assert [team.skipped(run) for run in pulled.values()] == [set(STAGES), set(STAGES)], "pulled, not computed"
            assert [team.taker(run) for run in pulled.values()] == [team.other(taker) for taker in takers.values()]
            assert (team.ada.frames(), team.ben.frames()) == (8, 8)
            begun += [*computed.values(), *pulled.values()]
            split = {member.name: list(takers.values()).count(member) for member in (team.ada, team.ben)}
            print(f"round {round_ + 1}: {split} computed, {time.monotonic() - begun_s:.0f} s", flush=True)
        _check_counts(team, begun)
        _check_login(team)
        _check_prefect_deploy(team)
        _check_secrets(team, team.ada.stylereel("status", "--json"))
    print(f"{len(begun)} runs in {time.monotonic() - begun_s:.0f} s")


def _check_counts(team: Team, begun: list[str]) -> None:
    """Each run once, each commit published and trained once, each model in the one registry."""
    runs = [r for r in team.site.prefect.flow_runs({"flows": {"name": {"any_": ["pipeline"]}}}) if r["start_time"]]
    assert sorted(run["id"] for run in runs) == sorted(begun), "none missing, none doubled"
    assert {run["run_count"] for run in runs} == {1}
    commits = {run["parameters"]["ref"] for run in runs}
    trailer = "--format=%(trailers:key=Source-commit,valueonly,separator=)"
    log = team.tool.run("git", "-C", str(team.remote), "log", trailer, "runs/nightly", "--")
    assert set(log.stdout.split()) == commits
    (experiment,) = [
        one["experiment_id"]
        for one in team.site.mlflow_api("experiments/search", {"max_results": 100}, "ada")["experiments"]
        if one["name"] == "stylereel.film"
    ]
    trained = team.site.mlflow_api("runs/search", {"experiment_ids": [experiment], "max_results": 1000}, "ben")["runs"]
    assert len(trained) == len(commits), "what one has computed, the other does not compute again"


def _check_secrets(team: Team, status: str) -> None:
    """No password or key in a log, the list of processes, a database, git's history, or what `status` prints."""
    shown = {path.name: path.read_text(errors="replace") for path in team.folder.glob("*.log")}
    assert {"prefect.log", "mlflow.log", "postgresql.log", "s3.log", "worker-ada.log", "worker-ben.log"} <= set(shown)
    shown |= {f"database {name}": team.site.dump(name) for name in ("prefect", "mlflow")}
    shown["git"] = team.tool.run("git", "-C", str(team.remote), "log", "--patch", "--all").stdout
    shown["status"] = status
    assert json.loads(status)["answers"]
    shown["processes"] = "\n".join(_command_lines())
    found = [(name, word[:4]) for name, text in shown.items() for word in team.site.secrets.texts() if word in text]
    assert not found, f"secrets in {found}"


def _command_lines() -> Iterator[str]:
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                yield (place / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue


def _check_login(team: Team) -> None:
    """A member with a wrong password is told what to set."""
    wrong = {**team.site.environment("ada"), "PREFECT_API_AUTH_STRING": "team:wrong"}
    done = team.ada.film.stylereel("schedule", "0 2 * * *", check=False, **wrong)
    assert done.returncode == 2, done.stderr
    assert "set PREFECT_API_AUTH_STRING=USER:PASSWORD" in done.stderr


def _check_prefect_deploy(team: Team) -> None:
    """Deployments of prefect.yaml work in the clone of the worker, too."""
    deploy = ("-m", "prefect", "--no-prompt", "deploy", "--name", "film-inbox", "--param", "folder=/mnt/inbox")
    team.ada.film.run(sys.executable, *deploy, **team.site.environment("ada"))
    found = team.site.prefect.get("/deployments/name/stylize-inbox/film-inbox")
    (step,) = found["pull_steps"]
    assert step == {"flows.services.checkout_step.enter_checkout": {"directory": str(team.ada.film.root)}}
