"""The machine of a reader of docs/operations.md: a new project, its services, and receivers of its messages."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from conftest import REPOSITORY, new_clone
from proofs.local_server import Server, free_port, running, wait_for
from proofs.page_commands import Shell, cron_time, read_page
from tests.tasks.notify.local_receivers import MailReceiver, WebhookReceiver

PAGE = read_page(REPOSITORY / "docs/operations.md")
NOT_RUN = {
    "pg_dump --format=custom --file prefect.dump postgresql://prefect@db:5432/prefect": "needs a PostgreSQL server",
}
"""Commands that this machine cannot run, with the reason."""
ELSEWHERE = {"A team's servers": "needs a team's servers: test_team_servers.py starts them without Docker"}
"""Sections whose commands another proof runs, with the reason."""
ENDS_WITHIN_S = 1500
_SMALL = {
    "train.keyframe.budget_steps": 6,
    "train.keyframe.crop_px": 32,
    "train.keyframe.batch_size": 2,
    "train.keyframe.blocks": 1,
    "train.cut.budget_steps": 2,
    "train.cut.crop_px": 64,
    "train.cut.batch_size": 1,
    "train.cut.blocks": 1,
    "train.cut.channels": 4,
    "evaluate.every": 4,
    "evaluate.baselines": False,
    "evaluate.temporal": False,
    "stylize.back_end": "torch",
    "promote.max_swd_ratio": 1000.0,  # a model of so few steps is no better than the input: the gate accepts it
    "promote.margin": 0.99,
}

Special = Callable[[Shell, str], str]
"""Runs a command that is not simply run to its end, given as the test has it; returns its output."""


class Site:
    def __init__(self, folder: Path, webhook: WebhookReceiver, mail: MailReceiver) -> None:
        self.folder, self.webhook, self.mail = folder, webhook, mail
        self._tool = new_clone(folder, "tool")
        self.home = self._tool.home
        self.project = self.home / "films/harbour"
        self.port, self._ui, self.serving_port = (free_port() for _ in range(3))
        self.server = Server(f"http://127.0.0.1:{self.port}/api")
        self.environment = dict(self._tool.environment)
        self.environment["XDG_RUNTIME_DIR"] = self.environment["DBUS_SESSION_BUS_ADDRESS"] = "/nonexistent"
        self._install()
        self.replaced = {
            "https://hooks.slack.com/services/...": webhook.url,
            "smtps://user:password@mail.example.com:465": mail.url,
            "http://127.0.0.1:4200/": f"http://127.0.0.1:{self.port}/",
            "stylereel up": f"stylereel up --port {self.port}",
            "mlflow ui": f"mlflow ui --port {self._ui}",
            "--port 5080": f"--port {self.serving_port}",
            "http://127.0.0.1:5080/": f"http://127.0.0.1:{self.serving_port}/",
            "/mnt/": f"{folder}/",
            "=/plates/": f"={folder}/",
            "=/painted/": f"={folder}/painted-",
            "PROJECT": "harbour",
            ".all@": ".harbour@",  # one model for each shot; the shot is called harbour, too
            "--settle-s 120": "--settle-s 2",
            " sea": " harbour",
            "models/sea": "models/harbour",
            "--version 7": "--version 2",
        }
        """Words of the page, and what stands for them here."""

    def _install(self) -> None:
        """Puts the tool where cron lines of the page have it, as `make setup` does: in .venv of ~/stylereel."""
        programs = self._tool.root / ".venv/bin"
        programs.mkdir(parents=True)
        command = programs / "stylereel"
        command.write_text(f'#!/bin/sh\nPYTHONPATH={self._tool.root} exec {sys.executable} -m flows "$@"\n')
        command.chmod(0o755)
        (self.home / "stylereel").symlink_to(self._tool.root)
        self.environment["PATH"] = f"{programs}:{self.environment['PATH']}"
        self.environment["PYTHONPATH"] = str(self._tool.root)  # for `python -m flows.train` in dvc.yaml

    def fill_project(self) -> None:
        """What a user does after `stylereel init`: pictures, and their shot in params.yaml; here with few steps."""
        sample = self._tool.home / "sample"
        self._tool.run(sys.executable, "-c", _BUILD, str(sample))
        film = self._tool.at(self.project)
        for kind in ("plates", "painted"):
            (self.project / kind / "my_shot").rmdir()
            shutil.copytree(sample / "shot" / kind, self.project / kind / "harbour")
        path = self.project / "params.yaml"
        path.write_text(path.read_text().replace("my_shot", "harbour"))
        film.run(sys.executable, "-c", _SET, repr(_SMALL))

    def new_frames(self, folder: Path) -> None:
        """A shot from another department."""
        shutil.copytree(self.project / "plates/harbour", folder)

    # Commands

    def shell(self) -> Shell:
        return Shell(self.project if self.project.exists() else self.home, dict(self.environment), self.folder)

    def own(self, command: str) -> str:
        """A command of the page with the test's own paths, ports and names."""
        for word in sorted(self.replaced, key=len, reverse=True):
            command = command.replace(word, self.replaced[word])
        return command

    def run_section(
        self, section: str, special: Mapping[str, Special] | None = None, shell: Shell | None = None
    ) -> dict[str, str]:
        """Runs the commands of a section in order; each must succeed. Returns what they said."""
        special, shell, said = special or {}, shell or self.shell(), {}
        commands = PAGE.commands[section]
        assert special.keys() <= set(commands), f"not on the page: {special.keys() - set(commands)}"
        for command in commands:
            if command in NOT_RUN:
                continue
            own, begun_s = self.own(command), time.monotonic()
            if command in special:
                said[command] = special[command](shell, own)
            else:
                said[command] = shell.run_as_cron(own) if cron_time(own) else shell.run(own)
            print(f"{time.monotonic() - begun_s:6.1f} s  {command}", flush=True)
        return said

    def serve(self, shell: Shell, command: str, what: str, ready: Callable[[], object]) -> str:
        """Starts a command that goes on, waits until ``ready()``, and ends it; returns what it said."""
        log = self.folder / "serving.log"
        with running(["bash", "-c", command], shell.folder, shell.environment, log):
            wait_for(what, ready, ENDS_WITHIN_S, log)
        return log.read_text(errors="replace")

    # Runs

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        """Those that have ended."""
        found = self.server.flow_runs({"deployments": {"name": {"any_": [deployment]}}})
        return [run for run in found if run["end_time"]]

    def start_run(self, deployment: str, **parameters: object) -> None:
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        self.server.post(f"/deployments/{self._id(deployment)}/create_flow_run", body)

    def pause(self, deployment: str) -> None:
        """No further run by its schedule, which would disturb later sections."""
        self.server.post(f"/deployments/{self._id(deployment)}/pause_deployment", {})

    def _id(self, deployment: str) -> str:
        (found,) = self.server.post("/deployments/filter", {"deployments": {"name": {"any_": [deployment]}}})
        return str(found["id"])

    def wait_for_run(self, deployment: str, before: list[dict[str, Any]]) -> dict[str, Any]:
        """The next run that ends, after those of ``before``."""
        known = {run["id"] for run in before}
        logs = sorted((self.home / ".local/state/stylereel").rglob("*worker*.log"))

        def ended() -> dict[str, Any] | None:
            return next((run for run in self.runs(deployment) if run["id"] not in known), None)

        return wait_for(f"a run of {deployment}", ended, ENDS_WITHIN_S, logs[-1])  # type: ignore[no-any-return]


_BUILD = """
import sys
from pathlib import Path
from stylegan_core.data.sample.build import build_sample
build_sample(Path(sys.argv[1]), frames=8, width_px=128, height_px=96, stroke_px=3)
"""
_SET = """
import ast, functools, sys
from pathlib import Path
from ruamel.yaml import YAML
yaml, path = YAML(), Path("params.yaml")
document = yaml.load(path)
for name, value in ast.literal_eval(sys.argv[1]).items():
    *sections, key = name.split(".")
    functools.reduce(lambda section, part: section[part], sections, document)[key] = value
yaml.dump(document, path)
"""
