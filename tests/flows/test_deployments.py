"""The deployments of the tool's clone and of new projects: they exist, and their flows take their parameters."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tasks.project.init_project import init_project

ROOT = Path(__file__).parents[2]


def _deployments(folder: Path) -> dict[str, dict[str, Any]]:
    document = YAML(typ="safe").load((folder / "prefect.yaml").read_text())
    return {deployment["name"]: deployment for deployment in document["deployments"]}


@pytest.fixture(params=["clone", "new project"])
def deployments(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    if request.param == "clone":
        return _deployments(ROOT)
    monkeypatch.setenv("HOME", str(tmp_path / "empty-home"))
    return _deployments(init_project(tmp_path / "film"))


def test_all_exist_and_the_gate_has_its_limit(deployments: dict[str, Any]) -> None:
    assert {name.removeprefix("film-").removeprefix("stylereel-") for name in deployments} == {
        "nightly-training", "stylize", "watch",
    }  # fmt: skip
    assert deployments["nightly-training"]["parameters"]["max_swd_ratio"] == 1.0
    assert [schedule["cron"] for schedule in deployments["nightly-training"]["schedules"]] == ["0 2 * * *"]


def test_their_flows_take_their_parameters(deployments: dict[str, Any]) -> None:
    for deployment in deployments.values():
        module, _, name = deployment["entrypoint"].replace(".py:", ".").replace("/", ".").rpartition(".")
        flow = getattr(importlib.import_module(module), name)
        assert set(deployment["parameters"]) <= set(inspect.signature(flow.fn).parameters)


def test_none_has_a_concurrency_limit(deployments: dict[str, Any]) -> None:
    """Its lease lives in the server's memory: a power cut leaves the slot taken, a restart ends a healthy run."""
    assert not [name for name, deployment in deployments.items() if "concurrency_limit" in deployment]


def test_watch_has_a_queue_of_its_own(deployments: dict[str, Any]) -> None:
    """A worker takes one run at a time: a watch behind a training of hours would see nothing."""
    (name,) = (name for name in deployments if name.endswith("-watch"))
    assert deployments[name]["work_pool"]["work_queue_name"] == name
    assert [schedule["interval"] for schedule in deployments[name]["schedules"]] == [900]
