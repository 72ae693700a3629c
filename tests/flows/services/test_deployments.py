"""A schedule replaces the former one, and names of another project are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.services import deploy_step
from flows.services.cron import Cron
from flows.services.deployments import NIGHTLY, deploy, find, remove_schedule, schedule_of
from flows.services.service import ServiceRecord, records_folder, write_record
from flows.services.work_queue import claim_queues
from tasks.shared.errors import UsageError
from tasks.shared.project_identity import read_identity
from tests.flows.services.fake_server import FakeServer

NIGHT, LATER = Cron("0 2 * * *", "Europe/Berlin"), Cron("0 4 * * *", "UTC")
MakeProject = Callable[..., Path]


def test_a_second_schedule_replaces_the_first(make_project: MakeProject, server: FakeServer) -> None:
    film = make_project()
    deploy(server, film, NIGHT)
    deploy(server, film, LATER)
    assert set(server.deployments()) == {"film-nightly", "film-stylize"}
    (schedule,) = server.deployments()["film-nightly"]["schedules"]
    assert schedule["schedule"]["cron"] == "0 4 * * *"
    assert not server.deployments()["film-stylize"]["schedules"]
    assert server.planned == [server.deployments()["film-nightly"]["id"]] * 2, "its next runs are shown at once"


def test_off_removes_the_schedule_and_keeps_the_deployments(make_project: MakeProject, server: FakeServer) -> None:
    film = make_project()
    assert not remove_schedule(server, film)
    deploy(server, film, NIGHT)
    assert remove_schedule(server, film)
    nightly = find(server, read_identity(film), NIGHTLY)
    assert nightly is not None
    assert schedule_of(nightly) is None
    assert not remove_schedule(server, film)


def test_a_deployment_names_its_project(make_project: MakeProject, server: FakeServer) -> None:
    film = make_project()
    deploy(server, film, NIGHT)
    nightly = server.deployments()["film-nightly"]
    assert {"stylereel", "project:film", "project-id:0123456789ab"} <= set(nightly["tags"])
    assert (nightly["work_pool_name"], nightly["work_queue_name"]) == ("stylereel", "film")
    assert server.deployments()["film-stylize"]["work_queue_name"] == "film-on-demand"
    assert server.get("/work_pools/stylereel/queues/film-on-demand")
    assert str(film) in str(nightly["pull_steps"])
    assert nightly["entrypoint"] == "flows.pipeline.pipeline"
    assert set(nightly["parameters"]) <= set(nightly["parameter_openapi_schema"]["properties"])


def test_parameters_are_those_of_prefect_yaml_whatever_the_name(make_project: MakeProject, server: FakeServer) -> None:
    film = make_project()
    (film / "prefect.yaml").write_text(
        "deployments:\n- {name: nightly-training, entrypoint: 'flows/pipeline.py:pipeline', "
        "parameters: {max_swd_ratio: 0.5}}\n"
    )
    deploy(server, film, NIGHT)
    assert server.deployments()["film-nightly"]["parameters"] == {
        "scheduled": True, "push": True, "max_swd_ratio": 0.5
    }  # fmt: skip
    (film / "prefect.yaml").write_text("deployments: [")
    with pytest.raises(UsageError, match=r"prefect\.yaml"):
        deploy(server, film, NIGHT)


def test_another_project_of_the_same_name_is_refused_and_nothing_changes(
    make_project: MakeProject, server: FakeServer
) -> None:
    deploy(server, make_project("a/film"), NIGHT)
    before = {name: dict(one) for name, one in server.deployments().items()}
    other = make_project("b/film", number="ba9876543210")
    for call in (
        lambda: deploy(server, other, LATER),
        lambda: remove_schedule(server, other),
        lambda: claim_queues(server, read_identity(other)),
    ):
        with pytest.raises(UsageError, match=r"change the name in project\.yaml"):
            call()
    assert server.deployments() == before


def test_a_queue_without_owner_is_claimed(make_project: MakeProject, server: FakeServer) -> None:
    identity = read_identity(make_project())
    server.post("/work_pools/stylereel/queues", {"name": "film", "description": ""})
    claim_queues(server, identity)
    assert identity.id in server.get("/work_pools/stylereel/queues/film")["description"]
    claim_queues(server, identity)


def test_a_site_that_was_started_before_there_was_a_worker_on_demand_is_told(
    make_project: MakeProject, server: FakeServer
) -> None:
    """Its work on demand moves to a queue that nobody serves until the next `stylereel up`."""
    film = make_project()
    assert deploy(server, film, LATER) == []
    write_record(records_folder(film), ServiceRecord(name="worker", manager="processes"))
    assert any("stylereel up" in note for note in deploy(server, film, LATER))
    write_record(records_folder(film), ServiceRecord(name="on-demand-worker", manager="processes"))
    assert deploy(server, film, LATER) == []


def test_another_clone_takes_over_with_a_note(make_project: MakeProject, server: FakeServer) -> None:
    first, second = make_project("film"), make_project("night")
    assert deploy(server, first, NIGHT) == []
    notes = deploy(server, second, NIGHT)
    assert [str(first) in note for note in notes] == [True, True]


def test_deployments_of_an_earlier_version_are_replaced_in_their_own_folder_only(
    make_project: MakeProject, server: FakeServer
) -> None:
    film = make_project()
    step = "prefect.deployments.steps.set_working_directory"
    for flow, name, folder in (
        ("pipeline", "nightly-training", str(film)),
        ("stylize-on-demand", "stylize", "/elsewhere"),
    ):
        flow_id = server.post("/flows/", {"name": flow})["id"]
        steps = [{step: {"directory": folder}}]
        server.post("/deployments/", {"flow_id": flow_id, "name": name, "tags": [], "pull_steps": steps})
    notes = deploy(server, film, NIGHT)
    assert notes == ["removed the deployment nightly-training of an earlier version"]
    assert set(server.deployments()) == {"film-nightly", "film-stylize", "stylize"}


def test_prefect_deploy_refuses_another_identity(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    film = make_project()
    monkeypatch.chdir(film)
    assert deploy_step.claim_names("film", "0123456789ab") == {"directory": str(film)}  # no server is configured
    with pytest.raises(UsageError, match=r"write the name and id of project\.yaml into prefect\.yaml"):
        deploy_step.claim_names("reel", "0123456789ab")


def test_next_times_are_those_of_the_zone() -> None:
    times = Cron("30 2 * * *", "Europe/Berlin").next_times()
    assert [(time.hour, time.minute) for time in times] == [(2, 30)] * 3
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("cron", "message"),
    [(Cron("61 2 * * *", "UTC"), "not a cron schedule"), (Cron("0 2 * * *", "Mars/X"), "unknown time zone")],
)
def test_a_wrong_schedule_is_refused(cron: Cron, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        cron.next_times()
