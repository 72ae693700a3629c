"""The deployments of the tool's clone and of new projects: they exist, and their flows take their parameters."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from flows.services.checkout_step import enter_checkout
from flows.services.deploy_step import claim_names
from flows.services.deployments import NIGHTLY, STYLIZE
from flows.services.work_queue import POOL
from tasks.project.init_project import init_project
from tasks.shared.project_identity import ProjectIdentity, read_identity

ROOT = Path(__file__).parents[2]
IDENTITY = ProjectIdentity(name="2024", id="123456789012")


@pytest.fixture(params=["clone", "new project"])
def documents(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The folder and its prefect.yaml; the new project's name would be a number in YAML, its id a float."""
    root = ROOT
    if request.param == "new project":
        monkeypatch.setenv("HOME", str(tmp_path / "empty-home"))
        monkeypatch.setattr(init_project.__module__ + ".new_identity", lambda _: IDENTITY)
        root = init_project(tmp_path / IDENTITY.name)
    return root, YAML(typ="safe").load((root / "prefect.yaml").read_text())


@pytest.fixture
def deployments(documents: tuple[Path, dict[str, Any]]) -> dict[str, Any]:
    return {deployment["name"]: deployment for deployment in documents[1]["deployments"]}


def test_prefect_yaml_describes_what_schedule_makes(documents: tuple[Path, dict[str, Any]]) -> None:
    root, document = documents
    identity, entries = read_identity(root), {entry["name"]: entry for entry in document["deployments"]}
    assert {f"{identity.name}-nightly", f"{identity.name}-stylize"} <= set(entries)
    for deployment in (NIGHTLY, STYLIZE):
        entry = entries[deployment.name(identity)]
        assert entry["parameters"] == deployment.parameters
        assert entry["description"] == deployment.description
        assert entry["tags"] == [*identity.tags, deployment.tag]
        assert (entry["work_pool"]["name"], entry["work_pool"]["work_queue_name"]) == (
            POOL, deployment.queue(identity),
        )  # fmt: skip


def test_no_schedule_is_in_the_file(deployments: dict[str, Any]) -> None:
    """``prefect deploy --cron`` would add to it, and make two; without, it replaces that of the server."""
    assert [
        schedule for entry in deployments.values() for schedule in entry["schedules"] if schedule.get("active")
    ] == []


def test_the_build_step_is_called_as_the_file_says(documents: tuple[Path, dict[str, Any]]) -> None:
    root, document = documents
    ((step, inputs),) = document["build"][0].items()
    assert step == f"{claim_names.__module__}.{claim_names.__name__}"
    assert inputs == {"project": read_identity(root).name, "project_id": read_identity(root).id}
    ((step, inputs),) = document["pull"][0].items()
    assert step == f"{enter_checkout.__module__}.{enter_checkout.__name__}"
    assert inputs == {"directory": "{{ directory }}"}, "what the build step returns"


def test_the_inbox_looks_only_when_it_is_activated(deployments: dict[str, Any]) -> None:
    (inbox,) = (deployment for name, deployment in deployments.items() if name.endswith("-inbox"))
    assert inbox["parameters"] == {"folder": "", "output": ""}
    assert inbox["schedules"] == [{"interval": 300, "active": False}]


def test_their_flows_take_their_parameters(deployments: dict[str, Any]) -> None:
    for deployment in deployments.values():
        module, _, name = deployment["entrypoint"].replace(".py:", ".").replace("/", ".").rpartition(".")
        flow = getattr(importlib.import_module(module), name)
        assert set(deployment["parameters"]) <= set(inspect.signature(flow.fn).parameters)


def test_none_has_a_concurrency_limit(deployments: dict[str, Any]) -> None:
    """Its lease lives in the server's memory: a power cut leaves the slot taken, a restart ends a healthy run."""
    assert not [name for name, deployment in deployments.items() if "concurrency_limit" in deployment]


def test_work_on_demand_does_not_wait_for_a_training(deployments: dict[str, Any]) -> None:
    queues = {name: entry["work_pool"]["work_queue_name"] for name, entry in deployments.items()}
    trainings, *on_demand = (
        next(queue for name, queue in queues.items() if name.endswith(kind))
        for kind in ("-nightly", "-stylize", "-inbox")
    )
    assert on_demand == [f"{trainings}-on-demand"] * 2


def test_watch_has_a_queue_of_its_own(deployments: dict[str, Any]) -> None:
    """A worker takes one run at a time: a watch behind a training of hours would see nothing."""
    (name,) = (name for name in deployments if name.endswith("-watch"))
    assert deployments[name]["work_pool"]["work_queue_name"] == name
    assert [schedule["interval"] for schedule in deployments[name]["schedules"]] == [900]
