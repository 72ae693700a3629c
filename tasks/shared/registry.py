"""Queries of MLflow's registry and runs: models by URI, aliases, runs by the first digits of an id."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegan_core.storage.model_folder import read_model_digest
from tasks.serving.mlflow_model import model_folder_in
from tasks.shared import tracking
from tasks.shared.errors import UsageError
from tasks.shared.provenance import note_model
from tasks.shared.shown_url import shown_url

log = logging.getLogger(__name__)

PROMOTED, PREVIOUS = "promoted", "previous"
"""Aliases of the model in use, and of the one before it."""
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
        log.warning("MLflow: cannot search %s: %s", tracking.shown_tracking_uri(), shown_url(str(error)))
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


class RegistryError(RuntimeError):
    """The model registry failed, or does not have a model; unlike tracking, promotion does not go on without it."""


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of a registered model.

    Attributes:
        number: of the version.
        digest: of the model.
        run_id: of the MLflow run that made it.
        tags: those that stylereel wrote, without their prefix.
        description: Markdown.
    """

    number: str
    digest: str
    run_id: str
    tags: Mapping[str, str]
    description: str


@contextmanager
def _loud(what: str) -> Iterator[None]:
    try:
        yield
    except (UsageError, RegistryError):
        raise
    except Exception as error:
        raise RegistryError(
            f"cannot {what} in the model registry at {tracking.shown_tracking_uri()}: {shown_url(str(error))}; correct "
            "this and run it again"
        ) from error


def registered_versions(training: str) -> list[RegisteredVersion]:
    """The versions of a training's model, the newest first.

    Raises:
        RegistryError: the registry failed.
    """
    with _loud(f"list the versions of {training}"):
        store, name = tracking.client(), tracking.registered_name(training)
        found = [_as_version(version) for version in tracking.versions(store, name)]
    return sorted(found, key=lambda version: int(version.number), reverse=True)


def find_version(training: str, digest: str) -> RegisteredVersion:
    """The version of the model with ``digest``.

    Raises:
        RegistryError: it is not registered, or the registry failed.
    """
    for version in registered_versions(training):
        if version.digest == digest:
            return version
    raise RegistryError(
        f"the model {digest[:16]} is not registered as {tracking.registered_name(training)} at "
        f"{tracking.shown_tracking_uri()}"
    )


def aliased_version(training: str, alias: str) -> RegisteredVersion | None:
    """The version that an alias names; None if there is none.

    Raises:
        RegistryError: the registry failed.
    """
    versions = registered_versions(training)
    if not versions:
        return None
    with _loud(f"read the alias {alias} of {training}"):
        aliases = tracking.client().get_registered_model(tracking.registered_name(training)).aliases
    return next((version for version in versions if version.number == str(aliases.get(alias))), None)


def set_alias(training: str, digest: str, alias: str) -> None:
    """Moves an alias, such as "promoted", to the version with ``digest``.

    Raises:
        RegistryError: it is not registered, or the registry failed.
    """
    number = find_version(training, digest).number
    with _loud(f"set the alias {alias} of {training}"):
        tracking.client().set_registered_model_alias(tracking.registered_name(training), alias, number)


def remove_alias(training: str, alias: str) -> None:
    """Removes an alias.

    Raises:
        RegistryError: the registry failed.
    """
    with _loud(f"remove the alias {alias} of {training}"):
        tracking.client().delete_registered_model_alias(tracking.registered_name(training), alias)


def annotate_version(
    training: str,
    digest: str,
    *,
    tags: Mapping[str, str] | None = None,
    description: str = "",
    files: Mapping[str, str] | None = None,
) -> None:
    """Adds to a version tags and a description, and files to its run.

    Args:
        training: of the model.
        digest: of the model.
        tags: without the prefix "stylereel.".
        description: Markdown; empty keeps the present one.
        files: texts by their names in the folder ``promotion/DIGEST`` of the run's artifacts.

    Raises:
        RegistryError: it is not registered, or the registry failed.
    """
    version = find_version(training, digest)
    with _loud(f"write to version {version.number} of {training}"):
        store, name = tracking.client(), tracking.registered_name(training)
        for file, text in (files or {}).items():
            store.log_text(version.run_id, text, f"{_notes(version)}/{file}")
        for tag, value in (tags or {}).items():
            store.set_model_version_tag(name, version.number, tracking.TAG + tag, value)
        if description:
            store.update_model_version(name, version.number, description)


def read_annotation(version: RegisteredVersion, file: str) -> str | None:
    """A text that ``annotate_version`` wrote; None if there is none.

    Raises:
        RegistryError: the registry failed.
    """
    with _loud(f"read {file} of version {version.number}"):
        store, path = tracking.client(), f"{_notes(version)}/{file}"
        if path not in [found.path for found in store.list_artifacts(version.run_id, _notes(version))]:
            return None
        with tempfile.TemporaryDirectory() as place:
            return Path(store.download_artifacts(version.run_id, path, place)).read_text(encoding="utf-8")


def ensure_registered(training: str, folder: Path, digest: str) -> RegisteredVersion:
    """The version of a model; registers it if that failed when it was trained.

    Args:
        training: of the model.
        folder: of the model.
        digest: of the model.

    Raises:
        RegistryError: it cannot be registered.
    """
    known = next((version for version in registered_versions(training) if version.digest == digest), None)
    if known is not None:
        return known
    run_id = tracking.find_run_by_digest(digest)
    if run_id is None:
        run_id = tracking.start_training_run(training, settings={}, tags={"registered_by": "promotion"})
        with _loud(f"end the run of {training}"):
            if run_id is not None:
                tracking.client().set_terminated(run_id)
    if tracking.register_model(run_id, folder, training=training, digest=digest) is None:
        raise RegistryError(
            f"the model {training} ({digest[:16]}) cannot be registered at {tracking.shown_tracking_uri()}: the "
            "warning above has the reason; correct this and run it again"
        )
    return find_version(training, digest)


def _as_version(version: Any) -> RegisteredVersion:
    tags = {k.removeprefix(tracking.TAG): v for k, v in version.tags.items() if k.startswith(tracking.TAG)}
    return RegisteredVersion(
        str(version.version), tags.get("digest", ""), str(version.run_id), tags, version.description or ""
    )


def _notes(version: RegisteredVersion) -> str:
    return f"promotion/{version.digest[:16]}"


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
        raise UsageError(
            f"the model registry at {tracking.shown_tracking_uri()} cannot be reached: {shown_url(str(error))}"
        ) from error
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
        raise UsageError(
            f"{uri} is not in the model registry at {tracking.shown_tracking_uri()}: {shown_url(str(error))}"
        ) from error
    if found != digest:
        raise UsageError(
            f"{uri} is registered as the model {digest[:16]}, but its files are those of {(found or 'none')[:16]}"
        )
    note_model(digest, str(version.run_id))
    return target


def _download(store: Any, version: Any, target: Path) -> None:
    """Downloads a version and moves its model folder to ``target``, whole or not at all."""
    top = store.get_run(version.run_id).info.artifact_uri.rstrip("/") + "/"
    if not version.source.startswith(top):
        raise ValueError(f"its source {version.source} is not an artifact of its run")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        got = Path(store.download_artifacts(version.run_id, version.source.removeprefix(top), place))
        shutil.rmtree(target, ignore_errors=True)
        model_folder_in(got).rename(target)
