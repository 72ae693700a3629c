"""servers/compose.yaml: on loopback, with passwords from .env alone, and images of the versions that are pinned."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
SERVERS = ROOT / "servers"
TEXT = (SERVERS / "compose.yaml").read_text()
SERVICES: dict[str, Any] = YAML(typ="safe").load(TEXT)["services"]
SECRET = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|AUTH_STRING")


def test_ports_are_published_on_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(re.fullmatch(r"\$\{BIND:-127\.0\.0\.1\}:(\d+):\1", port) for port in ports)
    assert "ports" not in SERVICES["postgres"]


def test_every_secret_is_required_from_the_environment() -> None:
    found = {k: v for s in SERVICES.values() for k, v in s["environment"].items() if SECRET.search(k)}
    assert {"PREFECT_SERVER_API_AUTH_STRING", "MLFLOW_AUTH_ADMIN_PASSWORD", "PGPASSWORD"} <= set(found)
    assert all(re.fullmatch(r"(team:)?\$\{\w+:\?set it in \.env\}", value) for value in found.values()), found


def test_the_example_names_every_variable_and_no_value() -> None:
    example = (SERVERS / "env.example").read_text()
    required = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE)) == dict.fromkeys(required, "")
    assert set(re.findall(r"^# (\w+)=", example, re.MULTILINE)) == set(re.findall(r"\$\{(\w+):-", TEXT))


def test_git_ignores_the_file_with_the_secrets() -> None:
    done = subprocess.run(["git", "check-ignore", "--no-index", "servers/.env"], cwd=ROOT, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["prefect", "mlflow"])
def test_the_images_have_the_pinned_versions(name: str) -> None:
    (pinned,) = re.findall(rf"^{name}==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert re.split(r":v?|-", SERVICES[name]["image"])[1] == pinned


def test_mlflow_knows_the_options() -> None:
    from mlflow.cli import server

    known = {option for parameter in server.params for option in parameter.opts}
    command = SERVICES["mlflow"]["command"]
    assert command[:2] == ["mlflow", "server"]
    assert {word for word in command if word.startswith("--")} <= known


def test_mounted_files_are_there() -> None:
    mounts = [v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", []) if v.startswith("./")]
    assert sorted(mounts) == ["./databases.sh", "./mlflow-auth.ini"]
    assert all((SERVERS / mount).is_file() for mount in mounts)
