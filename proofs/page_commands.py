"""Commands of a page of the documentation, and a shell that runs them as its reader would."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_PROGRAMS = (
    "cd",
    "curl",
    "docker",
    "dvc",
    "export",
    "git",
    "mlflow",
    "pg_dump",
    "prefect",
    "printf",
    "python",
    "stylereel",
)
_CRON = re.compile(r"(?:[\d*/,-]+ ){5}(?=\D)")
_COMMENT = re.compile(r"\s{2,}#.*|\s+$")
_COMMAND_TIMEOUT_S = 1800


@dataclass
class Page:
    """Lines of the indented blocks of a page.

    Attributes:
        commands: of each section that has any, in order, without comments; a command of several lines is one text.
        others: the lines that are no commands.
    """

    commands: dict[str, list[str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def read_page(path: Path) -> Page:
    page, section, begun = Page(), "", False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        if not line.startswith("    "):
            begun = False
            continue
        text = _COMMENT.sub("", line.strip())
        own = page.commands.get(section, [])
        if begun:
            own[-1] = f"{own[-1].removesuffix(chr(92))} {text}"
        elif cron_time(text) or text.split()[0] in _PROGRAMS:
            page.commands.setdefault(section, own).append(text)
        else:
            page.others.append(line.strip())
            continue
        begun = text.endswith(("\\", "|"))
    return page


def cron_time(command: str) -> str:
    """The five fields in front of a line of a crontab, "" for another command."""
    found = _CRON.match(command)
    return found.group() if found else ""


class Shell:
    """bash as its user has it: the folder and exported variables stay from one command to the next."""

    def __init__(self, folder: Path, environment: dict[str, str], scratch: Path) -> None:
        self.folder, self.environment, self._scratch = folder, environment, scratch

    def run(self, command: str, *, code: int = 0) -> str:
        """Output and errors of a command, which must end with ``code``."""
        state, log = self._scratch / "state", self._scratch / "output"
        keep = f"code=$?; {{ pwd; env -0; }} > {shlex.quote(str(state))}; exit $code"
        with log.open("wb") as sink:  # not a pipe: services that a command starts would hold it open
            process = subprocess.Popen(
                ["bash", "-c", f"set -o pipefail\n{command}\n{keep}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                ended = process.wait(timeout=_COMMAND_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                ended = process.wait()
        said = log.read_text(errors="replace")
        if ended != code:
            pytest.fail(f"{command}\nended with {ended}, not {code}, in {self.folder}:\n{said[-6000:]}")
        folder, _, variables = state.read_text().partition("\n")
        self.folder = Path(folder)
        self.environment = dict(entry.split("=", 1) for entry in variables.split("\0") if "=" in entry)
        return said

    def run_as_cron(self, command: str) -> str:
        """Runs a line of a crontab with the environment that cron gives it, in the user's home."""
        home = Path(self.environment["HOME"])
        kept = {name: self.environment[name] for name in self.environment if name in _OF_THE_TEST}
        bare = {**kept, "HOME": str(home), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}
        return Shell(home, bare, self._scratch).run(command.removeprefix(cron_time(command)))


_OF_THE_TEST = ("STYLEREEL_CACHE_DIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "PREFECT_HOME")
"""What keeps a test apart from the rest of the machine."""
