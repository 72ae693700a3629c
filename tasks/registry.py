"""MLflow's registry and runs, asked from outside: models by URI, aliases, runs by the first digits of an id."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from tasks import tracking
from tasks.errors import UsageError

log = logging.getLogger(__name__)

_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


def find_runs(start: str) -> list[dict[str, Any]]:
    """Runs whose id, model digest, flow run or commit begins with ``start``: their ``id`` and ``tags`` of ours."""
    if not start.replace("-", "").isalnum():
        return []
    found = []
    try:
        store = tracking.client()
        experiment = store.get_experiment_by_name(tracking.experiment_name())
        runs = store.search_runs([experiment.experiment_id], max_results=5000) if experiment else []
    except Exception as error:
        log.warning("MLflow: cannot search %s: %s", tracking.tracking_uri(), error)
        return []
    for run in runs:
        tags = {k.removeprefix(tracking.TAG): v for k, v in run.data.tags.items() if k.startswith(tracking.TAG)}
        ids = [run.info.run_id, tags.get("model_digest", ""), tags.get("flow_run_id", ""), tags.get("git_commit", "")]
        ids += tags.get("delivered_by", "").split()
        if any(i.startswith(start) for i in ids if i):
            found.append({"id": run.info.run_id, "tags": tags})
    return found


@tracking.warn_and_go_on
def set_alias(training: str, digest: str, alias: str) -> bool:
    """Moves a registry alias ("promoted") to the version with ``digest``; False if it is not registered."""
    store, name = tracking.client(), tracking.registered_name(training)
    for version in tracking.versions(store, name):
        if version.tags.get(tracking.TAG + "digest") == digest:
            store.set_registered_model_alias(name, alias, version.version)
            return True
    return False


def fetch_model(uri: str, folder: Path) -> Path:
    """Copies a registered model, ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``, below ``folder``.

    Raises:
        UsageError: the URI is none, or the registry does not know it.
    """
    parts = _URI.fullmatch(uri)
    if parts is None:
        raise UsageError(f"{uri} is no model URI: write models:/NAME@ALIAS (trained, promoted) or models:/NAME/VERSION")
    try:
        store = tracking.client()
        if parts["alias"]:
            version = store.get_model_version_by_alias(parts["name"], parts["alias"])
        else:
            version = store.get_model_version(parts["name"], parts["version"])
        folder.mkdir(parents=True, exist_ok=True)
        return Path(store.download_artifacts(version.run_id, "model", str(folder)))
    except Exception as error:
        raise UsageError(f"{uri} is not in the model registry at {tracking.tracking_uri()}: {error}") from error
