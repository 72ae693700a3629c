"""Deployments of a project: the nightly pipeline with its schedule, and stylize on demand."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flows.services.checkout_step import enter_checkout
from flows.services.cron import Cron
from flows.services.definitions import WORKERS
from flows.services.prefect_api import PrefectApi, quoted
from flows.services.service import read_record, records_folder
from flows.services.work_queue import POOL, claim_queues, on_demand_queue, owner_of_tags, trainings_queue
from tasks.shared.errors import UsageError
from tasks.shared.project_identity import ProjectIdentity, read_identity, refuse_clash

_SET_FOLDER = f"{enter_checkout.__module__}.{enter_checkout.__name__}"
_SET_FOLDER_STEPS = (_SET_FOLDER, "prefect.deployments.steps.set_working_directory")
"""The second one: of `prefect deploy`, and until 0.2.0."""
_FORMER = ("pipeline/nightly-training", "stylize-on-demand/stylize")
"""Until 0.2.0, those of all projects."""


@dataclass(frozen=True)
class Deployment:
    """A deployment that each project has.

    Attributes:
        flow: name of the flow.
        function: of flows/pipeline.py.
        suffix: its name is that of the project, a hyphen and this.
        parameters: where prefect.yaml has none.
        tag: besides those of the project.
        description: for people.
        on_demand: whether its runs wait in the queue of work on demand, not behind a training.
    """

    flow: str
    function: str
    suffix: str
    parameters: dict[str, Any]
    tag: str
    description: str
    on_demand: bool = False

    def queue(self, identity: ProjectIdentity) -> str:
        """The queue of its runs."""
        return on_demand_queue(identity) if self.on_demand else trainings_queue(identity)

    def name(self, identity: ProjectIdentity) -> str:
        """Its name on a server."""
        return f"{identity.name}-{self.suffix}"


NIGHTLY = Deployment(
    "pipeline",
    "pipeline",
    "nightly",
    {"scheduled": True, "push": True},
    "training",
    "Every night, bring data, models, figures and the stylized shots up to date.",
)
STYLIZE = Deployment(
    "stylize-on-demand",
    "stylize_on_demand",
    "stylize",
    {"input": "", "output": "", "model": ""},
    "stylize",
    "On demand: stylize a folder with the promoted model, or with one from the registry.",
    on_demand=True,
)


def deploy(api: PrefectApi, root: Path, cron: Cron | None) -> list[str]:
    """Creates or updates both deployments of a project; ``cron`` replaces the schedule of the nightly one.

    Args:
        api: of the server.
        root: the project, in which the runs work.
        cron: None: no schedule.

    Returns:
        What people should know: earlier deployments that were replaced, another working folder, a missing worker.

    Raises:
        UsageError: the names belong to another project.
        PrefectApiError: the server refused.
    """
    identity, notes = read_identity(root), []
    for deployment in (NIGHTLY, STYLIZE):
        refuse_name_clash(api, identity, deployment)
    claim_queues(api, identity)
    for deployment in (NIGHTLY, STYLIZE):
        found = find(api, identity, deployment)
        if found is not None and (before := folder_of(found)) not in (None, str(root)):
            notes.append(
                f"{found['name']} was made in {before} before; a worker there still takes runs, until `stylereel down`"
            )
        schedules = [_schedule(cron)] if cron and deployment is NIGHTLY else []
        _upsert(api, root, identity, deployment, schedules)
    own = records_folder(root)
    if read_record(own, WORKERS["trainings"]) and not read_record(own, WORKERS["on-demand"]):
        notes.append("work on demand waits for a worker of its own: run `stylereel up`, which starts it")
    return notes + _remove_former(api, root)


def find(api: PrefectApi, identity: ProjectIdentity, deployment: Deployment) -> dict[str, Any] | None:
    """A deployment of the project as the server has it; None if there is none."""
    path = f"/deployments/name/{quoted(deployment.flow)}/{quoted(deployment.name(identity))}"
    found: dict[str, Any] | None = api.get(path)
    return found


def refuse_name_clash(api: PrefectApi, identity: ProjectIdentity, deployment: Deployment) -> None:
    """Refuses a deployment of another project with the same name.

    Raises:
        UsageError: there is one.
    """
    found = find(api, identity, deployment)
    owner = owner_of_tags(found["tags"]) if found else None
    refuse_clash(identity, owner, f"the deployment {deployment.name(identity)} at {api.url}")


def folder_of(found: dict[str, Any]) -> str | None:
    """The folder from which a deployment was made, None if it names none."""
    pulls = found.get("pull_steps") or []
    steps = [step[name] for step in pulls for name in _SET_FOLDER_STEPS if name in step]
    return steps[0].get("directory") if steps else found.get("path")


def schedule_of(found: dict[str, Any]) -> Cron | None:
    """The active schedule of a deployment; None if it has none."""
    for entry in found.get("schedules") or []:
        if entry.get("active") and "cron" in entry["schedule"]:
            return Cron(entry["schedule"]["cron"], entry["schedule"].get("timezone") or "UTC")
    return None


def remove_schedule(api: PrefectApi, root: Path) -> bool:
    """Removes the schedule of a project and its runs that have not begun; False if there was none.

    Raises:
        UsageError: the deployment belongs to another project.
        PrefectApiError: the server refused.
    """
    identity = read_identity(root)
    refuse_name_clash(api, identity, NIGHTLY)
    found = find(api, identity, NIGHTLY)
    if found is None or not found["schedules"]:
        return False
    api.patch(f"/deployments/{found['id']}", {"schedules": []})
    return True


def former_deployments(api: PrefectApi, root: Path) -> list[dict[str, Any]]:
    """Deployments of this checkout that an earlier version made; no worker of a project takes their runs now."""
    found = [api.get("/deployments/name/" + "/".join(quoted(part) for part in name.split("/"))) for name in _FORMER]
    return [deployment for deployment in found if deployment is not None and folder_of(deployment) == str(root)]


def _remove_former(api: PrefectApi, root: Path) -> list[str]:
    found = former_deployments(api, root)
    for deployment in found:
        api.delete(f"/deployments/{deployment['id']}")
    return [f"removed the deployment {deployment['name']} of an earlier version" for deployment in found]


def _upsert(
    api: PrefectApi, root: Path, identity: ProjectIdentity, deployment: Deployment, schedules: list[dict[str, Any]]
) -> None:
    flow = api.post("/flows/", {"name": deployment.flow})
    body = {
        "flow_id": flow["id"],
        "name": deployment.name(identity),
        "description": deployment.description,
        "entrypoint": f"flows.pipeline.{deployment.function}",
        "pull_steps": [{_SET_FOLDER: {"directory": str(root)}}],
        "parameters": _parameters(root, deployment),
        "parameter_openapi_schema": _parameter_schema(deployment.function),
        "tags": [*identity.tags, deployment.tag],
        "work_pool_name": POOL,
        "work_queue_name": deployment.queue(identity),
        "paused": False,
        "schedules": schedules,
        "job_variables": {},
    }
    made = api.post("/deployments/", body)  # replaces all schedules of one that is there
    if schedules:  # else the server creates the next runs within a minute, and `status` shows none until then
        api.post(f"/deployments/{made['id']}/schedule", {})


def _schedule(cron: Cron) -> dict[str, Any]:
    return {"active": True, "schedule": {"cron": cron.text, "timezone": cron.timezone, "day_or": True}}


def _parameters(root: Path, deployment: Deployment) -> dict[str, Any]:
    """The parameters of the entry in prefect.yaml that has the same flow, whatever its name."""
    path = root / "prefect.yaml"
    try:
        document = YAML(typ="safe").load(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError, YAMLError) as error:
        raise UsageError(f"{path}: {' '.join(str(error).split())}") from error
    for entry in (document or {}).get("deployments") or []:
        function = str(entry.get("entrypoint", "")).replace(":", ".").rpartition(".")[2]
        if function == deployment.function:
            return deployment.parameters | (entry.get("parameters") or {})
    return deployment.parameters


@functools.cache
def _parameter_schema(function: str) -> dict[str, Any]:
    from prefect.utilities.callables import parameter_schema

    from flows import pipeline

    schema: dict[str, Any] = parameter_schema(getattr(pipeline, function)).model_dump(mode="json", exclude_unset=True)
    return schema
