"""Promotions and rollbacks: moves the registry's aliases and the project's copies of the promoted models."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from stylegan_core.storage.cache import cache_folder
from stylegan_core.storage.model_folder import read_model_digest
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.promotion.decision import Decision, now
from tasks.promotion.gate import GateResult
from tasks.promotion.record import DECISION_MARKDOWN, record
from tasks.scheduled.run_checkout import results_folder
from tasks.shared import registry
from tasks.shared.errors import StoppedError, UsageError
from tasks.shared.gate import GateError
from tasks.shared.project_home import project_home
from tasks.shared.promoted_copy import PromotedModel, copy_folder, keep_copy, point_to, read_promoted
from tasks.shared.provenance import note_model
from tasks.shared.registry import PREVIOUS, PROMOTED
from tasks.shared.tracking import registered_name

log = logging.getLogger(__name__)

_LOCK_WAIT_S = 60.0


def promote_candidates(root: Path, result: GateResult) -> None:
    """Promotes the models that passed the gate.

    Raises:
        GateError: models/ has changed since the decision.
        RegistryError: the registry failed; models that it names before the failure stay promoted.
    """
    for decision in result.decisions:
        folder = root / "models" / decision.training
        if read_model_digest(folder) != decision.digest:
            raise GateError(f"{folder} has changed since the gate decided about it: run the pipeline again")
    with _promotion_lock(root):
        for decision in result.decisions:
            _promote(root, decision.training, decision.digest, root / "models" / decision.training)
            if decision.outcome == "promoted":
                record(root, decision)


def known_comparison(root: Path, training: str, version: str | None = None) -> str:
    """The last decision about a model, in Markdown; empty if there was none.

    Args:
        root: the project.
        training: of the model.
        version: see ``promote_by_hand``.

    Raises:
        UsageError: there is no such model.
        RegistryError: the registry failed.
    """
    chosen = _chosen(root, training, version)
    return registry.read_annotation(chosen, DECISION_MARKDOWN) or ""


def promote_by_hand(root: Path, training: str, version: str | None = None) -> Decision:
    """Promotes a model without a comparison.

    Args:
        root: the project.
        training: of the model.
        version: a version's number, or the first digits of a digest; default: the last trained model.

    Returns:
        The recorded decision.

    Raises:
        UsageError: there is no such model.
        GateError: its files are damaged.
        RegistryError: the registry failed.
    """
    chosen = _chosen(root, training, version)
    folder = _fetch(root, training, chosen)
    with _promotion_lock(root):
        before = registry.aliased_version(training, PROMOTED)
        if before is not None and before.digest == chosen.digest:
            outcome, reason = "unchanged", "by hand: it is the promoted model already"
        else:
            outcome, reason = "promoted", "by hand"
        _promote(root, training, chosen.digest, folder)
        decision = Decision.model_validate(
            {
                "training": training,
                "outcome": outcome,
                "reason": reason,
                "digest": chosen.digest,
                "compared_with": before.digest if before else "",
                "time": now(),
                "by": "hand",
            }
        )
        if outcome == "promoted":
            record(root, decision)
            # Without a record, the next night would promote the newer one again.
            if before is not None and int(before.number) > int(chosen.number):
                record(root, _rolled_back(training, before, chosen))
    return decision


def rollback(root: Path, training: str) -> tuple[Decision, registry.RegisteredVersion]:
    """Promotes the model that was promoted before the present one, once.

    Args:
        root: the project.
        training: of the model.

    Returns:
        The recorded decision about the model that is no longer promoted, and the version that is promoted now.

    Raises:
        UsageError: there is no earlier promoted model.
        GateError: its files are damaged.
        RegistryError: the registry failed.
    """
    with _promotion_lock(root):
        present = registry.aliased_version(training, PROMOTED)
        former = registry.aliased_version(training, PREVIOUS)
        if present is None or former is None or former.digest == present.digest:
            raise UsageError(
                f"{registered_name(training)} has no earlier promoted model: name one with "
                f"`stylereel promote {training} --version N`"
            )
        keep_copy(root, training, _fetch(root, training, former), former.digest)
        registry.set_alias(training, former.digest, PROMOTED)
        registry.remove_alias(training, PREVIOUS)  # a second rollback would bring back what was rolled back
        _point(root, training, former)
        decision = _rolled_back(training, present, former)
        record(root, decision)
    return decision, former


def _rolled_back(training: str, present: registry.RegisteredVersion, former: registry.RegisteredVersion) -> Decision:
    return Decision(
        training=training,
        outcome="rolled back",
        reason=f"by hand, to version {former.number}",
        digest=present.digest,
        compared_with=former.digest,
        time=now(),
        by="hand",
    )


def refresh_copy(root: Path, training: str) -> None:
    """Brings the project's copy of the promoted model up to date with the registry; warns if that is not possible."""
    try:
        promoted = registry.aliased_version(training, PROMOTED)
        if promoted is not None:
            with _promotion_lock(root):
                keep_copy(root, training, _fetch(root, training, promoted), promoted.digest)
                _point(root, training, promoted)
    except (registry.RegistryError, UsageError, GateError, StoppedError) as error:
        log.warning("the promoted model of %s may be outdated: %s", training, error)


def _promote(root: Path, training: str, digest: str, folder: Path) -> None:
    """Copies a model and moves the aliases, in an order in which the promoted model is always available."""
    version = registry.find_version(training, digest)
    before = registry.aliased_version(training, PROMOTED)
    keep_copy(root, training, folder, digest)
    if before is None or before.digest != digest:
        if before is not None:
            registry.set_alias(training, before.digest, PREVIOUS)
        registry.set_alias(training, digest, PROMOTED)
    _point(root, training, version)


def _point(root: Path, training: str, version: registry.RegisteredVersion) -> None:
    note_model(version.digest, version.run_id)
    local = read_promoted(root, training)
    if local is not None and local.digest == version.digest:
        return
    former = registry.aliased_version(training, PREVIOUS)
    point_to(
        root,
        training,
        PromotedModel(digest=version.digest, time=now()),
        kept=(former.digest,) if former is not None else (),
    )


def _fetch(root: Path, training: str, version: registry.RegisteredVersion) -> Path:
    """The files of a version: the project's own, else from the registry."""
    for folder in (results_folder(root) / "models" / training, copy_folder(root, training, version.digest)):
        if read_model_digest(folder) == version.digest:
            return folder
    return registry.fetch_model(f"models:/{registered_name(training)}/{version.number}", cache_folder("registry"))


def _chosen(root: Path, training: str, version: str | None) -> registry.RegisteredVersion:
    if version is not None:
        return _named_version(training, version)
    folder = results_folder(root) / "models" / training
    digest, own = (read_model_digest(place) for place in (folder, root / "models" / training))
    if digest is None:
        raise UsageError(f"{folder} holds no model: name a registered one with --version")
    if own is not None and own != digest:
        raise UsageError(
            f"scheduled runs trained {digest[:12]}, and {root / 'models' / training} holds {own[:12]}: name the one "
            "that you mean with --version"
        )
    return registry.ensure_registered(training, folder, digest)


def _named_version(training: str, text: str) -> registry.RegisteredVersion:
    versions = registry.registered_versions(training)
    found = [version for version in versions if version.number == text]
    found = found or [version for version in versions if len(text) >= 4 and version.digest.startswith(text.lower())]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{version.number} ({version.digest[:8]})" for version in versions[:10]) or "none"
    what = f"{len(found)} versions begin with {text}" if found else f"no version {text}"
    raise UsageError(f"{registered_name(training)} has {what}; its last versions are: {known}")


@contextmanager
def _promotion_lock(root: Path) -> Iterator[None]:
    """Keeps a promotion by hand and one of the pipeline apart.

    Raises:
        StoppedError: another promotion takes too long.
    """
    state = project_home(root) / STATE_FOLDER
    state.mkdir(exist_ok=True)
    try:
        with FileLock(state / "promotion.lock", timeout=_LOCK_WAIT_S):
            yield
    except Timeout:
        raise StoppedError(f"another promotion has been running for {_LOCK_WAIT_S:.0f} s: try later") from None
