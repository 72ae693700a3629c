"""Old MLflow runs of a project: first into MLflow's trash, and out of the store when they were there for a while.

A run in the trash ("deleted" in MLflow) can be restored by `mlflow runs restore`, or in MLflow's page. `mlflow gc`
removes it for good, with its files.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.retention.in_use import InUse, find_in_use
from tasks.shared import tracking
from tasks.shared.child_processes.time_limit import patience_s
from tasks.shared.project_home import project_home
from tasks.shared.project_identity import read_identity
from tasks.shared.registry import model_digests
from tasks.shared.versioning import child_environment

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

log = logging.getLogger(__name__)

TRASH_DAYS = 30.0
"""Time in the trash, in which a run can be restored."""
_DAY_S = 86400.0
_ENDED = ("FINISHED", "FAILED", "KILLED")
_PAGE = 1000
_GC_S = 3600.0
"""The most that `mlflow gc` may take; what it has removed by then is gone, the rest follows the next time."""


class RetentionError(RuntimeError):
    """Runs cannot be removed from MLflow's store; what was not removed is tried again the next time."""


@dataclass(frozen=True)
class OldRun:
    """A run that nothing names.

    Attributes:
        id: of MLflow.
        name: of the training.
        ended_s: when it ended, seconds since 1970.
    """

    id: str
    name: str
    ended_s: float


@dataclass(frozen=True)
class Plan:
    """What is to be done; see ``plan``.

    Attributes:
        old: go into the trash.
        wanted: ids of runs in the trash that are in use again, and leave it.
        trash: number of runs of the project in the trash, without ``wanted``.
    """

    old: tuple[OldRun, ...] = ()
    wanted: tuple[str, ...] = ()
    trash: int = 0


def plan(root: Path, *, older_than_days: float, now_s: float) -> Plan:
    """Finds the runs of the project's experiment that ended long ago and that nothing names.

    A run stays if one of its versions has an alias (promoted, previous, trained or another one), if somebody has
    registered its model by a name of their own, or if ``find_in_use`` names it or its model. A run that has not ended
    stays.

    Args:
        root: the project.
        older_than_days: since their end.
        now_s: the time, seconds since 1970.

    Raises:
        mlflow.exceptions.MlflowException, OSError, ValueError: the store or the project's files cannot be read.
    """
    if not tracking.store_exists():
        return Plan()
    store = tracking.client()
    used = _with_aliases(store, find_in_use(root))
    old, wanted, trash = [], [], 0
    for run in _runs(store, read_identity(root).id):
        digests = model_digests({k.removeprefix(tracking.TAG): v for k, v in run.data.tags.items()})
        named, deleted = used.names(run.info.run_id, digests), run.info.lifecycle_stage == "deleted"
        ended_s = (run.info.end_time or 0) / 1000
        is_old = run.info.status in _ENDED and 0 < ended_s < now_s - older_than_days * _DAY_S
        named = named or ((deleted or is_old) and _registered_elsewhere(store, run.info.run_id))
        if deleted and named:
            wanted.append(str(run.info.run_id))
        elif deleted:
            trash += 1
        elif is_old and not named:
            old.append(OldRun(str(run.info.run_id), str(run.info.run_name), ended_s))
    return Plan(tuple(old), tuple(wanted), trash)


def carry_out(found: Plan, root: Path) -> str:
    """Moves old runs into the trash, restores those in use, and empties the trash of what was there for long.

    The trash is that of the project's own store, so `mlflow gc` also removes what people have put into it there. A
    store that others may share (``MLFLOW_TRACKING_URI``) is left to its owner.

    Returns:
        What its owner has to run; empty if nothing is left to do.

    Raises:
        RetentionError: `mlflow gc` failed, or took too long.
        mlflow.exceptions.MlflowException: the store failed.
    """
    if not tracking.store_exists():
        return ""
    store = tracking.client()
    for run_id in found.wanted:  # before the trash is emptied
        store.restore_run(run_id)
        log.info("MLflow: the run %s was in the trash and is in use: it was restored", run_id)
    for run in found.old:
        store.delete_run(run.id)
    own = f"sqlite:///{project_home(root) / 'mlflow.db'}"
    if tracking.tracking_uri(project_home(root)) != own:
        return (
            f"to empty the trash, run where the store is: mlflow gc --older-than {TRASH_DAYS:g}d" if found.old else ""
        )
    _empty_trash(own)
    _forget_versions(store)
    return ""


def _empty_trash(uri: str) -> None:
    older = f"{TRASH_DAYS:g}d"
    command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", uri, "--older-than", older]
    environment = child_environment({"MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"})
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=patience_s(_GC_S)
        )
    except subprocess.TimeoutExpired as error:
        raise RetentionError(f"`mlflow gc --older-than {older}` was stopped after {error.timeout:.0f} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise RetentionError(f"`mlflow gc --older-than {older}` failed: {' '.join(said)}")
    removed = done.stdout.count("has been permanently deleted")
    if removed:
        log.info("MLflow: %d entries were removed for good after %g days in the trash", removed, TRASH_DAYS)


def _runs(store: MlflowClient, project_id: str) -> Iterator[Run]:
    """All runs of the project in its experiment, those in the trash included.

    The experiment may have runs of others: ``MLFLOW_EXPERIMENT_NAME`` can name that of a team, and a server can have
    one of another project of the same name. Until 0.2.0 all projects had one experiment, which is not looked at.
    """
    from mlflow.entities import ViewType

    experiment = store.get_experiment_by_name(tracking.experiment_name())
    if experiment is None:
        return
    token = None
    while True:
        page = store.search_runs(
            [experiment.experiment_id], run_view_type=ViewType.ALL, max_results=_PAGE, page_token=token
        )
        yield from (run for run in page if run.data.tags.get(f"{tracking.TAG}project_id") == project_id)
        token = page.token
        if not token:
            return


def _with_aliases(store: MlflowClient, used: InUse) -> InUse:
    """Adds the runs of all versions that have an alias."""
    runs = set()
    for model in _registered(store):
        for version in dict(model.aliases).values():
            runs.add(str(store.get_model_version(model.name, str(version)).run_id))
    return InUse(used.models, used.runs | runs)


def _registered_elsewhere(store: MlflowClient, run_id: str) -> bool:
    """Whether a registered model that is not the project's has a version of this run."""
    versions = store.search_model_versions(f"run_id = '{run_id}'")
    return any(not version.name.startswith(tracking.registered_name("")) for version in versions)


def _registered(store: MlflowClient) -> list[Any]:
    """The project's registered models."""
    start = tracking.registered_name("")
    found = store.search_registered_models(f"name LIKE '{start}%'", max_results=1000)
    # LIKE takes an underscore of the project's name for any character.
    return [model for model in found if model.name.startswith(start)]


def _forget_versions(store: MlflowClient) -> None:
    """Removes the versions whose run, and with it their files, was removed for good."""
    from mlflow.exceptions import MlflowException

    for model in _registered(store):
        aliased = {str(version) for version in dict(model.aliases).values()}
        for version in tracking.versions(store, model.name):
            if str(version.version) in aliased or not version.run_id:
                continue
            try:
                store.get_run(version.run_id)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    store.delete_model_version(model.name, version.version)
