"""A project with a git remote, a Prefect server and a worker on loopback, whose runs can be disturbed and checked."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import psutil

from conftest import new_clone
from proofs.film_project import make_film
from proofs.local_server import PREFECT, Server, free_port
from stylegan_core.storage.records import read_records

STAGES = ("prepare", "train", "evaluate", "stylize")
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
ROLES = {
    "server": ("server", "prefect.server.api.server:create_app"),
    "worker": ("worker",),
    "start": ("prefect.engine",),
    **{stage: (f"flows.{stage}",) for stage in STAGES},
}
"""Words of a process's command line, any of which tells what it is."""
SETTINGS = {
    "promote.max_swd_ratio": 1000.0,  # a model of so few steps is no better than the input: the gate accepts it
    "promote.margin": 0.99,
    "evaluate.baselines": False,
    "evaluate.temporal": False,
    "stylize.back_end": "torch",  # else each new model is measured with all
}


def keep_bytecode(folder: Path) -> None:
    """Keeps compiled modules where the environment forbids it: an installation has them, and starts faster.

    Args:
        folder: for them; the installation itself stays as it is.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(folder))


class TrialError(RuntimeError):
    """What was waited for did not happen."""


@dataclass(frozen=True)
class Work:
    """New work for a run.

    Attributes:
        commit: in the remote, with a changed picture.
        known_runs: ids of the runs that were there before.
        begun_ns: since the epoch.
    """

    commit: str
    known_runs: frozenset[str]
    begun_ns: int


class Trial:
    """The project and its services.

    Args:
        folder: new; everything is in it, but not the logs.
        logs: of server and worker.
        steps: of the training.
    """

    def __init__(self, folder: Path, logs: Path, steps: int) -> None:
        self.folder, self.logs = folder, logs
        logs.mkdir(parents=True, exist_ok=True)
        self.film = make_film(new_clone(folder, "tool"), folder / "film", steps=steps)
        self.film.settings(SETTINGS)
        self.remote = folder / "film.git"
        self.film.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(self.remote))
        self.film.run("git", "remote", "add", "origin", str(self.remote))
        self.film.run("git", "push", "--quiet", "origin", "main")
        self.port = free_port()
        self.server = Server(f"http://127.0.0.1:{self.port}/api")
        self.cache = Path(self.film.environment["STYLEREEL_CACHE_DIR"])
        self.environment = {
            **self.film.environment,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.server.api,
        }
        self._children: list[subprocess.Popen[bytes]] = []
        self._pictures = random.Random(0)

    # Services

    def start(self, role: str) -> None:
        """Starts the server or the worker; its log is continued."""
        serve = [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        command = serve if role == "server" else [sys.executable, "-m", "flows", "worker"]
        with (self.logs / f"{role}.log").open("ab") as sink:
            self._children.append(
                subprocess.Popen(
                    command,
                    cwd=self.film.root,
                    env=self.environment,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def wait_until_up(self) -> None:
        self.wait_for("an answer of the server", self.server.is_up, 900)

    def pids(self, *roles: str) -> set[int]:
        """Processes of this trial: all, or those of some roles."""
        marker, found = f"STYLEREEL_CACHE_DIR={self.cache}".encode(), set()
        words = {word.encode() for role in roles for word in ROLES[role]}
        for child in self._children:
            child.poll()  # else a dead one stays in the table
        for place in Path("/proc").iterdir():
            if not place.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                if marker not in (place / "environ").read_bytes().split(b"\0"):
                    continue
                if not roles or words & set((place / "cmdline").read_bytes().split(b"\0")):
                    found.add(int(place.name))
        return found

    def kill(self, *roles: str, number: int = signal.SIGKILL) -> set[int]:
        """Sends a signal to the processes of some roles, or to all at once, as a power cut ends them."""
        found = self.pids(*roles)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return found

    def deploy(self) -> None:
        """Makes the deployments, without a schedule."""
        call = "deploy(PrefectApi(sys.argv[1]), Path(sys.argv[2]), None)"
        modules = "import sys; from pathlib import Path; from flows.services.prefect_api import PrefectApi"
        program = f"{modules}; from flows.services.deployments import deploy; {call}"
        self.film.run(sys.executable, "-c", program, self.server.api, str(self.film.root), **self.environment)

    # Work

    def new_work(self) -> Work:
        """Changes a plate, adds it to DVC, commits, and pushes to the remote."""
        commit = self.commit_picture()
        return Work(commit, frozenset(run["id"] for run in self.runs()), time.time_ns())

    def commit_picture(self) -> str:
        plates = sorted((self.film.root / "plates" / "my_shot").iterdir())
        path = self._pictures.choice(plates)
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        left, top = self._pictures.randrange(pixels.shape[1] - 16), self._pictures.randrange(pixels.shape[0] - 16)
        pixels[top : top + 16, left : left + 16] = [self._pictures.randrange(256) for _ in range(pixels.shape[2])]
        part = path.with_name(f".part{path.suffix}")
        cv2.imwrite(str(part), pixels)
        part.replace(path)
        self.film.dvc("add", "plates")
        self.film.run("git", "commit", "--quiet", "--all", "--message", f"Change {path.name}")
        self.film.run("git", "push", "--quiet", "origin", "main")
        return str(self.film.run("git", "rev-parse", "HEAD").stdout.strip())

    def start_run(self, parameters: dict[str, Any] | None = None) -> None:
        (found,) = self.server.post("/deployments/filter", {"deployments": {"name": {"any_": ["film-nightly"]}}})
        body = {"parameters": parameters or {}, "state": {"type": "SCHEDULED"}}
        self.server.post(f"/deployments/{found['id']}/create_flow_run", body)

    def runs(self, work: Work | None = None) -> list[dict[str, Any]]:
        """Pipeline runs that have begun or ended, the oldest first; those of ``work`` alone, also if they wait."""
        found = self.server.flow_runs({"flows": {"name": {"any_": ["pipeline"]}}})
        if work is None:
            return found
        return [run for run in found if run["id"] not in work.known_runs]

    # Progress

    def works(self, stage: str, work: Work) -> bool:
        """Whether a stage is in the middle of its work: not starting, and not at its end."""
        if stage == "start":  # the process imports its code, and has not taken its lock yet
            locks = (self.film.root / ".stylereel" / "runs").glob("*.lock")
            return bool(self.pids("start")) and not any(locks)
        if stage == "train":
            return self.trained_steps(work) >= 50 and bool(self.pids(stage))
        if stage == "evaluate":
            return bool(self.pids(stage)) and self._has_begun_tasks(stage, work)
        return bool(self.new_files(stage, work)) and bool(self.pids(stage))

    def _has_begun_tasks(self, stage: str, work: Work) -> bool:
        after = datetime.fromtimestamp(work.begun_ns / 1e9, UTC).isoformat()
        found = {"flow_runs": {"name": {"any_": [stage]}, "start_time": {"after_": after}}}
        try:
            return bool(self.server.post("/task_runs/filter", found))
        except (urllib.error.URLError, OSError):
            return False

    def checkpoint(self, work: Work) -> Path | None:
        """The newest checkpoint of the training."""
        found = [(path, _mtime_ns(path)) for path in self.cache.glob("train/*/checkpoint-*.safetensors")]
        fresh = [(at, path) for path, at in found if at > work.begun_ns]
        return max(fresh)[1] if fresh else None

    def trained_steps(self, work: Work) -> int:
        path = self.checkpoint(work)
        return int(path.stem.rpartition("-")[2]) if path else 0

    def new_files(self, kind: str, work: Work) -> dict[Path, int]:
        """Files that a stage has written into the user's cache, with their times: decoded pictures, or frames."""
        found = {path: _mtime_ns(path) for path in (self.cache / kind).rglob("*") if path.name[:1] != "."}
        fresh = {path: at for path, at in found.items() if at > work.begun_ns and path.is_file()}
        return {path: at for path, at in fresh.items() if ".stylereel" not in path.parts}

    def finished_frames(self, work: Work) -> dict[Path, int]:
        """Of the frames in ``new_files`` those whose record is on the disk: the others are being finished."""
        frames = self.new_files("stylize", work)
        stores = {path.parent for path in (self.cache / "stylize").rglob(".stylereel")}
        recorded = {store / record.frame for store in stores for record in read_records(store)}
        return {path: at for path, at in frames.items() if path in recorded}

    def wait_for(self, what: str, found: Callable[[], object], within_s: float, pause_s: float = 1.0) -> None:
        deadline = time.monotonic() + within_s
        while not found():
            if time.monotonic() > deadline:
                raise TrialError(f"no {what} within {within_s:.0f} s; see {self.logs}")
            time.sleep(pause_s)

    # Results

    def published(self, commit: str) -> int:
        """Commits on runs/nightly of the remote whose results are those of ``commit``."""
        return self.sources().count(commit)

    def sources(self) -> list[str]:
        """Commits that the results on runs/nightly of the remote are of, the newest first."""
        command = ["git", "log", "--format=%(trailers:key=Source-commit,valueonly,separator=)", "runs/nightly", "--"]
        done = subprocess.run(command, cwd=self.remote, capture_output=True, text=True, check=False)
        return done.stdout.split() if done.returncode == 0 else []

    def settled(self, work: Work) -> list[dict[str, Any]] | None:
        """The runs of ``work`` if all have ended; None if one goes on, or the server does not answer."""
        try:
            runs = self.runs(work)
        except (urllib.error.URLError, OSError):
            return None
        return runs if runs and all(run["state_type"] in FINAL for run in runs) else None

    def lineage(self) -> dict[str, Any]:
        """What `stylereel whence` says of the model of the last run."""
        model = self.film.root.with_name("film-runs") / "models" / "my_shot"
        found: dict[str, Any] = json.loads(self.film.stylereel("whence", str(model), "--json").stdout)
        return found

    def frames(self) -> int:
        """Frames of the last run's result."""
        return len(list((self.film.root.with_name("film-runs") / "out" / "stylized" / "my_shot").glob("*.png")))

    def rss_mib(self, role: str) -> float:
        """Resident memory of the processes of a role."""
        sizes = []
        for pid in self.pids(role):
            with contextlib.suppress(psutil.Error):
                sizes.append(psutil.Process(pid).memory_info().rss)
        return sum(sizes) / 2**20


def _mtime_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # being replaced
        return 0
