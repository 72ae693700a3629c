"""Queries of MLflow's registry and runs: models by URI, aliases, runs by the first digits of an id."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegan_core.storage.model_folder import read_model_digest
from tasks.shared import tracking
from tasks.shared.errors import UsageError
from tasks.shared.provenance import note_model

log = logging.getLogger(__name__)

PROMOTED = "promoted"
"""Alias of the model that passed the gate last."""
_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


@dataclass(frozen=True)
class TrackedRun:
    """An MLflow run.

    Attributes:
        id: of MLflow.
        tags: those that stylereel wrote, without their prefix.
    """

    id: str
    tags: Mapping[str, str]


def find_runs(start: str) -> list[TrackedRun]:
    """Runs whose id, model digest, flow run or commit begins with ``start``."""
    if not start.replace("-", "").isalnum():
        return []
    found = []
    try:
        store = tracking.client()
        experiments = tracking.experiment_ids(store)
        runs = store.search_runs(experiments, max_results=5000) if experiments else []
    except Exception as error:
        log.warning("MLflow: cannot search %s: %s", tracking.tracking_uri(), error)
        return []
    for run in runs:
        tags = {k.removeprefix(tracking.TAG): v for k, v in run.data.tags.items() if k.startswith(tracking.TAG)}
        ids = [run.info.run_id, tags.get("flow_run_id", ""), tags.get("git_commit", "")]
        ids += [*model_digests(tags), *tags.get("delivered_by", "").split()]
        if any(i.startswith(start) for i in ids if i):
            found.append(TrackedRun(run.info.run_id, tags))
    return found


def model_digests(tags: Mapping[str, str]) -> list[str]:
    """Digests of the models that a run made, by its tags; a continued run has made several."""
    return sorted(v for k, v in tags.items() if k.startswith("model."))


@tracking.best_effort
def set_alias(training: str, digest: str, alias: str) -> bool:
    """Moves a registry alias ("promoted") to the version with ``digest``; False if it is not registered."""
    store, name = tracking.client(), tracking.registered_name(training)
    for version in tracking.versions(store, name):
        if version.tags.get(tracking.TAG + "digest") == digest:
            store.set_registered_model_alias(name, alias, version.version)
            return True
    return False


def promoted_models() -> dict[str, str]:
    """URIs of the project's promoted models, by the last part of their names; empty without a store.

    Raises:
        UsageError: the registry cannot be reached.
    """
    if not tracking.store_exists():
        return {}
    start = tracking.registered_name("")
    try:
        found = tracking.client().search_registered_models(f"name LIKE '{start}%'", max_results=1000)
    except Exception as error:
        raise UsageError(f"the model registry at {tracking.tracking_uri()} cannot be reached: {error}") from error
    # LIKE takes an underscore of the project's name for any character.
    names = sorted(model.name for model in found if model.name.startswith(start) and PROMOTED in model.aliases)
    return {name.removeprefix(start): f"models:/{name}@{PROMOTED}" for name in names}


def fetch_model(uri: str, folder: Path) -> Path:
    """Copies a registered model, ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``, to a folder of its digest.

    Args:
        uri: of the model.
        folder: the copy goes below it; an existing copy is used.

    Raises:
        UsageError: the URI is malformed, the registry does not have it, or its files are those of another model.
    """
    parts = _URI.fullmatch(uri)
    if parts is None:
        raise UsageError(
            f"{uri} is not a model URI: write models:/NAME@ALIAS (trained, promoted) or models:/NAME/VERSION"
        )
    try:
        store = tracking.client()
        if parts["alias"]:
            version = store.get_model_version_by_alias(parts["name"], parts["alias"])
        else:
            version = store.get_model_version(parts["name"], parts["version"])
        digest = str(version.tags[tracking.TAG + "digest"])
        target = folder / digest[:16]
        if read_model_digest(target) != digest:
            _download(store, version, target)
        found = read_model_digest(target)
    except Exception as error:
        raise UsageError(f"{uri} is not in the model registry at {tracking.tracking_uri()}: {error}") from error
    if found != digest:
        raise UsageError(
            f"{uri} is registered as the model {digest[:16]}, but its files are those of {(found or 'none')[:16]}"
        )
    note_model(digest, str(version.run_id))
    return target


def _download(store: Any, version: Any, target: Path) -> None:
    """Downloads the files of a version to ``target``, all or none of them."""
    top = store.get_run(version.run_id).info.artifact_uri.rstrip("/") + "/"
    if not version.source.startswith(top):
        raise ValueError(f"its source {version.source} is not an artifact of its run")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        got = Path(store.download_artifacts(version.run_id, version.source.removeprefix(top), place))
        shutil.rmtree(target, ignore_errors=True)
        got.rename(target)
