"""Faults: what is done to a run in the middle of a stage, and what a service manager or a person does about it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from proofs.reliability.trial import STAGES, Trial, TrialError, Work

RESTART_AFTER_S = 5.0
"""A service manager starts a service again after a pause."""
NOBODY = "invalid"
"""Top-level domain that never resolves (RFC 2606)."""


@dataclass
class Fault:
    """Base class of all faults.

    Attributes:
        stage: in which it happens.
        begin: whether it is there before the run begins, instead of in the middle of the stage.
    """

    stage: str
    begin: ClassVar[bool] = False

    def before(self, trial: Trial) -> None:
        """Prepares the trial, before the run begins."""

    def strike(self, trial: Trial, work: Work) -> None:
        """Does the damage."""
        raise NotImplementedError

    def repair(self, trial: Trial, work: Work) -> None:
        """Ends the fault: what a service manager does, or a person who frees the disk or repairs the network."""

    def after(self, trial: Trial) -> None:
        """Undoes ``before``, when the row has ended."""


@dataclass
class Kill(Fault):
    """SIGKILL to the processes of a role, or to all at once."""

    role: str = "all"

    def strike(self, trial: Trial, work: Work) -> None:
        if not trial.kill(*{"all": (), "stage": (self.stage,)}.get(self.role, (self.role,))):
            raise TrialError(f"there is no process of {self.role}")

    def repair(self, trial: Trial, work: Work) -> None:
        time.sleep(RESTART_AFTER_S)
        for role in {"all": ("worker", "server"), "stage": ()}.get(self.role, (self.role,)):
            trial.start(role)


@dataclass
class Restart(Fault):
    """An orderly restart of the server, which is away for some seconds."""

    away_s: float = 15.0

    def strike(self, trial: Trial, work: Work) -> None:
        trial.kill("server", number=signal.SIGTERM)
        trial.wait_for("end of the server", lambda: not trial.pids("server"), 60)
        time.sleep(self.away_s)

    def repair(self, trial: Trial, work: Work) -> None:
        trial.start("server")


@dataclass
class FullDisk(Fault):
    """The file system with project, cache, MLflow's store and the server's database has no byte left."""

    held_s: float = 120.0

    def strike(self, trial: Trial, work: Work) -> None:
        if not os.path.ismount(trial.folder):
            raise TrialError(f"{trial.folder} is no file system of its own: run as root, who can mount one")
        self._fill(trial.folder)
        stop = time.monotonic() + self.held_s
        while time.monotonic() < stop and not (trial.settled(work) and not trial.pids(*STAGES)):
            time.sleep(2.0)
            self._fill(trial.folder)  # what was freed meanwhile

    def _fill(self, folder: Path) -> None:
        block = bytes(4096)
        with contextlib.suppress(OSError), (folder / "filler").open("ab", buffering=0) as file:
            free = os.statvfs(folder)
            os.posix_fallocate(file.fileno(), file.tell(), max(1, free.f_bavail * free.f_frsize - 2**20))
            file.seek(0, os.SEEK_END)
        with contextlib.suppress(OSError), (folder / "filler").open("ab", buffering=0) as file:
            while True:
                file.write(block)

    def repair(self, trial: Trial, work: Work) -> None:
        (trial.folder / "filler").unlink()


@dataclass
class NoName(Fault):
    """The host name of a server does not resolve: of the git remote, the DVC remote, or MLflow."""

    server: str = "git"
    begin: ClassVar[bool] = True
    _former: list[str] = field(default_factory=list)

    def strike(self, trial: Trial, work: Work) -> None:
        if self.server == "git":
            trial.film.run("git", "remote", "set-url", "origin", f"git://git.{NOBODY}/film.git")
        elif self.server == "dvc":
            trial.film.dvc("remote", "modify", "--local", "storage", "url", f"http://dvc.{NOBODY}/film")
        else:
            trial.environment["MLFLOW_TRACKING_URI"] = f"http://mlflow.{NOBODY}:5000"
            restart_services(trial, "worker")

    def repair(self, trial: Trial, work: Work) -> None:
        if self.server == "git":
            trial.film.run("git", "remote", "set-url", "origin", str(trial.remote))
        elif self.server == "dvc":
            (trial.film.root / ".dvc" / "config.local").unlink()
        else:
            del trial.environment["MLFLOW_TRACKING_URI"]
            restart_services(trial, "worker")


@dataclass
class ClockJump(Fault):
    """The clock of all processes of the trial jumps, by libfaketime; the monotonic clock goes on, as it does."""

    by_h: float = 2.0
    LIBRARY: ClassVar[Path] = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")

    def before(self, trial: Trial) -> None:
        if not self.LIBRARY.exists():
            raise TrialError("libfaketime is not installed: apt install faketime")
        if "LD_PRELOAD" in trial.environment:
            return
        self._offset(trial, 0.0)
        trial.environment |= self._variables(trial)
        restart_services(trial, "server", "worker")

    def strike(self, trial: Trial, work: Work) -> None:
        self._offset(trial, self.by_h)

    def after(self, trial: Trial) -> None:
        if "LD_PRELOAD" not in trial.environment:
            return
        for name in self._variables(trial):
            del trial.environment[name]
        restart_services(trial, "server", "worker")

    def _variables(self, trial: Trial) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self.LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(trial.logs / "clock"),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def _offset(self, trial: Trial, hours: float) -> None:
        (trial.logs / "clock.part").write_text(f"{hours:+g}h\n")
        (trial.logs / "clock.part").rename(trial.logs / "clock")


def restart_services(trial: Trial, *roles: str) -> None:
    """An orderly restart of services that have nothing to do."""
    trial.kill(*roles, number=signal.SIGTERM)
    trial.wait_for("end of the services", lambda: not trial.pids(*roles), 90)
    for role in roles:
        trial.start(role)
    trial.wait_until_up()


def all_series() -> dict[str, list[Fault]]:
    """The series by name. A power cut is the only kill after which the work is begun anew, three times at the most."""
    return {
        "kill/all/prepare,train": [Kill("prepare"), Kill("train")],
        "kill/all/evaluate,stylize": [Kill("evaluate"), Kill("stylize")],
        "kill/all/start": [Kill("start")],
        **{f"kill/{role}": [Kill(stage, role) for stage in STAGES] for role in ("worker", "server", "stage")},
        "disk/full": [FullDisk(stage) for stage in STAGES],
        "server/restart": [Restart("train")],
        "dns/git,dvc": [NoName("fetch", "git"), NoName("push", "dvc")],
        "dns/mlflow": [NoName("train", "mlflow")],
        "clock/+2h,-2h": [ClockJump("train", 2.0), ClockJump("evaluate", 0.0)],
        "clock/-2h,+2h": [ClockJump("train", -2.0), ClockJump("evaluate", 0.0)],
    }


@contextmanager
def own_disk(folder: Path, size_mib: int) -> Iterator[Path]:
    """A small ext4 file system in a file, mounted at a folder; a plain folder where mounting is not possible."""
    folder.mkdir(parents=True)
    image = folder.with_suffix(".img")
    mounted = False
    if os.geteuid() == 0:
        with image.open("wb") as file:
            file.truncate(size_mib * 2**20)
        make = ["mkfs.ext4", "-q", "-m", "0", "-F", str(image)]
        mounted = all(
            subprocess.run(command, check=False, capture_output=True).returncode == 0
            for command in (make, ["mount", "-o", "loop", str(image), str(folder)])
        )
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
        image.unlink(missing_ok=True)
