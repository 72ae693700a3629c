"""MLflow: runs, metrics, results and the registration of models.

Only this module, ``mlflow_dataset``, ``system_metrics``, ``tasks.retention`` and ``tasks.serving`` import mlflow.

A training must survive a tracking store that is unreachable: a call that fails logs a warning, and a run that
could not be created is None, which the other functions accept.
"""

from __future__ import annotations

import functools
import logging
import math
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tasks.serving.mlflow_model import save_mlflow_model
from tasks.shared.errors import UsageError
from tasks.shared.origin import origin
from tasks.shared.project_home import project_home
from tasks.shared.project_identity import read_identity, refuse_clash
from tasks.shared.shown_url import shown_url
from tasks.shared.versioning import project_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

TAG = "stylereel."
"""Prefix of the tags and of registered models' names."""

_FORMER_EXPERIMENT = "stylereel"
"""Until 0.2.0, that of all projects."""
_PROJECT_ID = TAG + "project_id"

_Function = TypeVar("_Function", bound=Callable[..., Any])
_BATCH = 900  # the limit of a request is 1,000 metrics


def best_effort(function: _Function) -> _Function:
    """Decorates a function whose failure is logged as a warning; its result is then None. A wrong call is raised."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except UsageError:
            raise
        except Exception as error:
            log.warning("MLflow: %s failed, continuing without it: %s", function.__name__, shown_url(str(error)))
            return None

    return guarded  # type: ignore[return-value]


def tracking_uri(root: Path | None = None) -> str:
    """``MLFLOW_TRACKING_URI``, or the SQLite file mlflow.db in the project."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root or _home()) / 'mlflow.db'}"


def shown_tracking_uri() -> str:
    """``tracking_uri`` for messages: it may have a password."""
    return shown_url(tracking_uri())


def _home() -> Path:
    """The project of the working folder, also from a checkout of its scheduled runs."""
    return project_home(project_root())


def store_exists() -> bool:
    """Whether a store is configured or present; connecting to a missing SQLite file would create it."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or (_home() / "mlflow.db").is_file()


def experiment_name() -> str:
    """``MLFLOW_EXPERIMENT_NAME``, or "stylereel." with the project's name."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or TAG + read_identity(project_root()).name


def experiment_ids(store: MlflowClient) -> list[str]:
    """The experiments that may have this project's runs; empty if there is none yet."""
    found = [store.get_experiment_by_name(name) for name in (experiment_name(), _FORMER_EXPERIMENT)]
    return [str(experiment.experiment_id) for experiment in found if experiment is not None]


@functools.lru_cache(maxsize=4)
def _client(uri: str) -> MlflowClient:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # the default waits for minutes
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")  # else models get the project's pyproject.toml and uv.lock
    for noisy in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    from mlflow import MlflowClient

    # MLflow sets its own level for its loggers when it is imported.
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return MlflowClient(uri)


def client() -> MlflowClient:
    """A client of the project's store; importing mlflow takes seconds."""
    return _client(tracking_uri())


def _experiment_id(store: MlflowClient) -> str:
    """The project's experiment, which is created if there is none.

    Raises:
        UsageError: it is that of another project.
    """
    name, identity = experiment_name(), read_identity(project_root())
    found = store.get_experiment_by_name(name)
    if found is None:
        # A server chooses the artifact location; for a file the default depends on the working folder, so set it.
        local = (_home() / "mlartifacts").as_uri() if tracking_uri().startswith("sqlite") else None
        try:
            return str(store.create_experiment(name, local, tags={_PROJECT_ID: identity.id}))
        except Exception:  # another process has just created it
            found = store.get_experiment_by_name(name)
            if found is None:
                raise
    refuse_clash(identity, found.tags.get(_PROJECT_ID), f"the MLflow experiment {name} at {shown_tracking_uri()}")
    return str(found.experiment_id)


@best_effort
def start_training_run(
    name: str, *, settings: Mapping[str, object], tags: Mapping[str, str] | None = None, run_id: str | None = None
) -> str | None:
    """Creates the MLflow run of a training, or reopens it when the training is resumed.

    Args:
        name: of the training.
        settings: nested settings, logged flat with dots.
        tags: further tags, without the prefix "stylereel.".
        run_id: of the run to reopen; a new one is created if the store does not have it.

    Returns:
        Id of the run; None (and a warning) if the store cannot be reached.
    """
    store = client()
    if run_id is not None and _is_active(store, run_id):
        store.update_run(run_id, status="RUNNING")
    else:
        source = {"mlflow.source.name": "stylereel"}
        run_id = str(store.create_run(_experiment_id(store), run_name=name, tags=source).info.run_id)
    from mlflow.entities import Param, RunTag

    params = [Param(key, str(value)[:6000]) for key, value in flatten(settings).items()]
    marks = [RunTag(TAG + k, str(v)) for k, v in {**origin(), **(tags or {})}.items() if v]
    known = store.get_run(run_id).data.params  # MLflow's params are immutable, and a larger budget continues a run
    fresh = [p for p in params if known.get(p.key) is None]
    marks += [RunTag(f"{TAG}now.{p.key}", p.value) for p in params if known.get(p.key) not in (None, p.value)]
    for start in range(0, max(len(fresh), 1), 100):
        store.log_batch(run_id, params=fresh[start : start + 100], tags=marks if start == 0 else ())
    return run_id


def _is_active(store: MlflowClient, run_id: str) -> bool:
    try:
        return bool(store.get_run(run_id).info.lifecycle_stage == "active")
    except Exception:
        return False


def flatten(settings: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Flattens nested mappings; keys are joined by dots."""
    flat: dict[str, object] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + str(key)] = value
    return flat


@dataclass(frozen=True)
class LoggedMetrics:
    """Metrics of one step.

    Attributes:
        step: of the training; 0 for results.
        values: by name.
        time_ms: since the epoch.
    """

    step: int
    values: Mapping[str, float]
    time_ms: int = field(default_factory=lambda: int(time.time() * 1000))


@best_effort
def log_metrics(run_id: str, rows: Sequence[LoggedMetrics]) -> None:
    """Adds metrics to a run; values that are not finite are left out."""
    from mlflow.entities import Metric

    # SQL stores cannot hold NaN, and a plot cannot show it.
    metrics = [
        Metric(k, float(v), row.time_ms, row.step) for row in rows for k, v in row.values.items() if math.isfinite(v)
    ]
    for start in range(0, len(metrics), _BATCH):
        client().log_batch(run_id, metrics=metrics[start : start + _BATCH])


@best_effort
def log_results(
    run_id: str | None,
    *,
    metrics: Mapping[str, float] | None = None,
    files: Mapping[str, Path] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Adds the results of evaluate and stylize to the run of the training that made the model.

    Args:
        run_id: None does nothing.
        metrics: flat figures by name.
        files: files or folders by their artifact folder.
        tags: without the prefix "stylereel.".
    """
    if run_id is None:
        return
    from mlflow.entities import RunTag

    store = client()
    log_metrics(run_id, [LoggedMetrics(0, metrics or {})])
    if tags:
        store.log_batch(run_id, tags=[RunTag(TAG + k, str(v)) for k, v in tags.items()])
    for target, path in (files or {}).items():
        if path.is_dir():
            store.log_artifacts(run_id, str(path), target)
        else:
            store.log_artifact(run_id, str(path), target)


def registered_name(training: str) -> str:
    """Name of a training's models in the registry; a training is called like its shot, or "all"."""
    return f"{TAG}{read_identity(project_root()).name}.{training}".replace("/", "_").replace(":", "_")


@best_effort
def register_model(
    run_id: str | None, folder: Path, *, training: str, digest: str, alias: str = "trained"
) -> str | None:
    """Logs a model folder to its run, as an MLflow model, and registers a version; a digest is registered only once.

    Args:
        run_id: of the training's run; None does nothing.
        folder: with model.json and weights.
        training: a shot's name, or "all".
        digest: of the model.
        alias: of the registry; it is moved to this version.

    Returns:
        The version's number, None if the store cannot be reached.
    """
    if run_id is None:
        return None
    store = client()
    name = registered_name(training)
    known = [v for v in versions(store, name) if v.tags.get(TAG + "digest") == digest]
    if not known:
        # A larger budget continues the same run: one folder per model keeps earlier versions intact.
        place = f"model/{digest[:16]}"
        with tempfile.TemporaryDirectory(prefix="stylereel-model-") as temporary:
            saved = Path(temporary) / "model"
            save_mlflow_model(folder, saved)
            store.log_artifacts(run_id, str(saved), place)
        _create_registered_model(store, name)
        source = f"{store.get_run(run_id).info.artifact_uri}/{place}"
        version = store.create_model_version(name, source, run_id, tags={TAG + "digest": digest})
    else:
        version = known[0]
    store.set_tag(run_id, TAG + "model_digest", digest)  # the latest
    store.set_tag(run_id, model_tag(digest), digest)
    store.set_registered_model_alias(name, alias, version.version)
    return str(version.version)


def _create_registered_model(store: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    identity = read_identity(project_root())
    try:
        store.create_registered_model(name, tags={_PROJECT_ID: identity.id})
    except MlflowException as error:
        if "RESOURCE_ALREADY_EXISTS" not in str(error.error_code):
            raise
        other = store.get_registered_model(name).tags.get(_PROJECT_ID)
        refuse_clash(identity, other, f"the registered model {name} at {shown_tracking_uri()}")


def model_tag(digest: str) -> str:
    """Name of a run's tag for one of its models; a continued run has made several."""
    return f"{TAG}model.{digest[:16]}"


def versions(store: MlflowClient, name: str) -> list[Any]:
    """All versions of a registered model."""
    return list(store.search_model_versions(f"name = '{name}'"))


@best_effort
def find_run_by_digest(digest: str) -> str | None:
    """Id of the MLflow run that made the model with this digest, even if DVC restored the model from its cache."""
    if not store_exists():
        return None
    store = client()
    experiments = experiment_ids(store)
    if not experiments:
        return None
    found = store.search_runs(
        experiments, f"tags.`{model_tag(digest)}` = '{digest}'", order_by=["attributes.start_time ASC"]
    )
    return str(found[0].info.run_id) if found else None


@best_effort
def run_tags(run_id: str) -> dict[str, str] | None:
    """The tags of a run that stylereel wrote, without their prefix."""
    tags = client().get_run(run_id).data.tags
    return {k.removeprefix(TAG): v for k, v in tags.items() if k.startswith(TAG)}
